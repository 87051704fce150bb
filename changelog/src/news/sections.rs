//! What versions a file has, for whoever wants to look at it.

use super::debian;
use super::version::VersionSection;
use super::{kind_of, layout_of};
use crate::detect::detect;
use crate::folded::FoldOptions;
use crate::format::{Format, FormatError};
use crate::lines::{LineCounter, lossy};

/// The versions of a file that is written by version, in its order; none of one that is written by date.
///
/// # Errors
/// [`FormatError`] if its format shows neither by path nor by content.
pub fn versions(path: &[u8], text: &[u8], options: &FoldOptions<'_>) -> Result<Vec<VersionSection>, FormatError> {
    let format = match options.format {
        Some(format) => format,
        None => detect(path, text)?,
    };
    if format == Format::Gnu {
        return Ok(Vec::new());
    }
    if kind_of(format).is_none() {
        return Ok(debian::stanzas(text));
    }
    let layout = layout_of(path, text, options);
    let mut counter = LineCounter::new(text);
    let section = |v: &super::layout::Version| {
        let title = &text[v.heading.title.clone()];
        VersionSection {
            line: counter.line(v.heading.title.start),
            start: v.range.start,
            end: v.range.end,
            heading: layout.shown(&v.heading),
            version: v.title.version.clone().map(|at| lossy(&title[at])),
            date: v.title.day.as_ref().map(|day| day.date),
            released: !v.title.is_open(),
            body: v.heading.lines.end..v.range.end.max(v.heading.lines.end),
        }
    };
    Ok(layout.versions.iter().map(section).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_of_every_format_are_listed() {
        let of = |path: &str, text: &str| {
            let all = versions(path.as_bytes(), text.as_bytes(), &FoldOptions::default()).unwrap();
            let line = |v: &VersionSection| {
                assert_eq!(&text[v.start..v.end].lines().any(|l| l.contains(&v.heading)), &true);
                let (version, date) = (v.version.as_deref().unwrap_or("-"), v.date.map(|d| d.to_string()));
                format!("{} {version} {} {}", v.line, date.as_deref().unwrap_or("-"), v.released)
            };
            all.iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(
            of(
                "CHANGELOG.md",
                "# Changelog\n\n## [Unreleased]\n\n- A.\n\n## [1.0.0] - 2024-01-02\n\n### Added\n\n- All.\n"
            ),
            ["3 - - false", "7 1.0.0 2024-01-02 true"]
        );
        assert_eq!(
            of("NEWS.rst", "News\n====\n\n1.0 (January 2, 2024)\n---------------------\n\n- A.\n"),
            ["4 1.0 2024-01-02 true"]
        );
        let debian = "\np (1.1) UNRELEASED; urgency=low\n\n  * A.\n\n -- A <a@x>  Tue, 05 Mar 2024 10:00:00 +0100\n\np (1.0) unstable; urgency=low\n\n  * B.\n\n -- A <a@x>  Mon, 04 Mar 2024 10:00:00 +0100\n";
        assert_eq!(of("debian/changelog", debian), ["2 1.1 2024-03-05 false", "8 1.0 2024-03-04 true"]);
        assert_eq!(of("ChangeLog", "2024-01-02  A  <a@x>\n\n\t* x: Y.\n"), Vec::<String>::new());
    }
}
