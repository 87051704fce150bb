//! Finds the format of a ChangeLog in its path and text.

use crate::date::HeaderDate;
use crate::format::{Format, FormatError};
use crate::lines::{is_space, lines, lossy, mark_len, trim_end};
use crate::marks::{is_debian_head, is_keep_heading, is_news_heading, is_towncrier_start};
use crate::news::has_versions;

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
    let shown = &bytes[mark_len(bytes)..bytes.len().min(LOOKED_AT)];
    let mut found = marks(shown);
    // Headings of versions, however they are marked. A line that merely starts with a date is no more than that, then.
    let is_versioned = || has_versions(path, shown);
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
