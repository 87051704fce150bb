//! Which format a ChangeLog is written in: by its name and by what stands in it, never by the fragments.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::date::HeaderDate;
use crate::lines::{is_space, lines, lossy, trim_end};

/// A format of ChangeLogs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The GNU ChangeLog: dated entries, newest first.
    Gnu,
    /// `CHANGELOG.md` as keepachangelog.com describes it.
    KeepAChangelog,
    /// `debian/changelog`.
    Debian,
    /// The news file of towncrier.
    Towncrier,
    /// A plain `NEWS`.
    News,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gnu => "gnu",
            Self::KeepAChangelog => "keep-a-changelog",
            Self::Debian => "debian",
            Self::Towncrier => "towncrier",
            Self::News => "news",
        })
    }
}

/// Why the format of a file is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It has the marks of two.
    #[error("{path} has the marks of two formats: {first} and {second}")]
    Two {
        /// The file.
        path: String,
        /// One of them.
        first: Format,
        /// The other.
        second: Format,
    },
    /// It has the marks of none.
    #[error("{path} is in no format that bb knows: no dated header, no version heading")]
    None {
        /// The file.
        path: String,
    },
}

/// How much of a file is looked at; whatever comes later, its first entries show the format.
const LOOKED_AT: usize = 64 << 10;

/// The format of the file at `path`.
///
/// # Errors
/// [`FormatError`] if the file has the marks of two formats or of none; then the project must say it.
pub fn detect(path: &[u8], bytes: &[u8]) -> Result<Format, FormatError> {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let is_marked_up = [&b".md"[..], b".markdown", b".rst"].iter().any(|end| lower.ends_with(end));
    if name.starts_with(b"ChangeLog") && !is_marked_up {
        return Ok(Format::Gnu);
    }
    let is_news = name.starts_with(b"NEWS");
    if bytes.iter().all(|&b| b == b'\n' || is_space(b)) {
        return Ok(match () {
            () if path.ends_with(b"debian/changelog") => Format::Debian,
            () if is_news && !is_marked_up => Format::News,
            () if is_marked_up => Format::KeepAChangelog,
            () => Format::Gnu,
        });
    }
    let shown = &bytes[..bytes.len().min(LOOKED_AT)];
    let mut found = marks(shown);
    // Headings of versions, however they are marked. A line that merely starts with a date is no more than that, then.
    let is_versioned = || crate::news::has_versions(path, shown);
    if matches!(found.as_slice(), [] | [Format::Gnu] | [Format::KeepAChangelog, Format::Gnu])
        && !opens_as_gnu(shown)
        && is_versioned()
    {
        found = vec![Format::KeepAChangelog];
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] if is_marked_up => Ok(if is_news { Format::News } else { Format::KeepAChangelog }),
        [] if is_news => Ok(Format::News),
        [] => Err(FormatError::None { path: lossy(path) }),
        [first, second, ..] => Err(FormatError::Two { path: lossy(path), first: *first, second: *second }),
    }
}

/// Whether the first text is a header of the GNU ChangeLog, with nothing of a heading about it.
fn opens_as_gnu(text: &[u8]) -> bool {
    let mut shown = lines(text).map(trim_end).filter(|l| !l.is_empty());
    let (first, second) = (shown.next().unwrap_or_default(), shown.next().unwrap_or_default());
    HeaderDate::at_start_of(first).is_some() && !second.iter().all(|b| b.is_ascii_punctuation())
}

fn marks(text: &[u8]) -> Vec<Format> {
    let mut found = Vec::new();
    let mut add = |format| {
        if !found.contains(&format) {
            found.push(format);
        }
    };
    let mut is_first = true;
    for line in lines(text).map(trim_end).filter(|l| !l.is_empty()) {
        if is_first && is_debian_head(line) {
            add(Format::Debian);
        } else if is_towncrier_start(line) {
            add(Format::Towncrier);
        } else if is_keep_heading(line) || is_first && line.to_ascii_lowercase().starts_with(b"# change") {
            add(Format::KeepAChangelog);
        } else if is_news_heading(line) {
            add(Format::News);
        } else if HeaderDate::at_start_of(line).is_some() {
            add(Format::Gnu);
        }
        is_first = false;
    }
    // What towncrier writes below its line can look like other formats.
    if found.contains(&Format::Towncrier) {
        found = vec![Format::Towncrier];
    }
    found
}

/// `## [Unreleased]`, `## [1.2.0] - 2024-05-01`, `## v1.2.0 - 2024-05-01`.
pub(crate) fn is_keep_heading(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"## ") else { return false };
    let rest = rest.strip_prefix(b"[").unwrap_or(rest);
    let rest = rest.strip_prefix(b"v").unwrap_or(rest);
    rest.first().is_some_and(u8::is_ascii_digit) || rest.to_ascii_lowercase().starts_with(b"unreleased")
}

/// `name (version) dist; urgency=…`.
pub(crate) fn is_debian_head(line: &[u8]) -> bool {
    let Some(open) = memchr::memmem::find(line, b" (") else { return false };
    let is_name = open > 0 && line[..open].iter().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b));
    is_name && memchr::memmem::find(&line[open..], b"; urgency=").is_some()
}

/// The line below which towncrier writes.
pub(crate) fn is_towncrier_start(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"towncrier release notes start").is_some()
}

/// `* Noteworthy changes in release 1.2 (…)`, `Changes in 1.2:`.
pub(crate) fn is_news_heading(line: &[u8]) -> bool {
    line.starts_with(b"* Noteworthy changes in ")
        || line.starts_with(b"* Changes in ")
        || line.starts_with(b"Changes in ")
        || line.starts_with(b"Changes since ")
        || line.starts_with(b"* Major changes in ")
        || line.starts_with(b"News in ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn formats_are_recognised() {
        let cases: &[(&str, &str, Format)] = &[
            ("ChangeLog", "", Format::Gnu),
            ("ChangeLog.old", "# Changelog\n", Format::Gnu),
            ("CHANGES", "2024-01-02  A  <a@x>\n\n\t* x: y\n", Format::Gnu),
            ("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n", Format::KeepAChangelog),
            ("CHANGELOG.md", "", Format::KeepAChangelog),
            ("HISTORY.md", "## v1.2.0 - 2024-01-01\n", Format::KeepAChangelog),
            ("debian/changelog", "bb (1.0-1) unstable; urgency=medium\n", Format::Debian),
            ("NEWS.rst", "News\n====\n\n.. towncrier release notes start\n\n## 1.2\n", Format::Towncrier),
            ("NEWS", "* Noteworthy changes in release ?.? (????-??-??) [?]\n", Format::News),
            ("NEWS", "words\n", Format::News),
        ];
        for (path, text, want) in cases {
            assert_eq!(detect(path.as_bytes(), text.as_bytes()), Ok(*want), "{path}");
        }
        let none = detect(b"CHANGES", b"words\n").unwrap_err();
        assert_eq!(none.to_string(), "CHANGES is in no format that bb knows: no dated header, no version heading");
        let two = detect(b"CHANGES", b"# Changelog\n\n2024-01-02  A  <a@x>\n").unwrap_err();
        assert_eq!(two.to_string(), "CHANGES has the marks of two formats: keep-a-changelog and gnu");
    }
}
