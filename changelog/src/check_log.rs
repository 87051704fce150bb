//! Checks of ChangeLogs themselves: what would keep news out of them.

use crate::check::{MOST, check_header};
use crate::complaint::{Complaint, Problem};
use crate::detect::detect;
use crate::fold::fold;
use crate::folded::{DatePolicy, FoldError, FoldOptions};
use crate::format::Format;
use crate::fragment::{Fragment, is_conflict_marker};
use crate::lines::{lines, lossy};
use crate::log::ChangeLog;

/// What is wrong in a ChangeLog as it stands: conflict markers that were committed, and what would keep news out of it; in one that is
/// written by date, also dates that do not exist, and half an address.
pub fn check_changelog(path: &[u8], bytes: &[u8], options: &FoldOptions<'_>) -> Vec<Complaint> {
    let mut found = Vec::new();
    let mut offset = 0;
    for line in lines(bytes) {
        if is_conflict_marker(line) && found.len() < MOST {
            found.push(Complaint::at(path, bytes, offset, Problem::ConflictMarker));
        }
        offset += line.len();
    }
    match options.format.map_or_else(|| detect(path, bytes), Ok) {
        Ok(Format::Gnu) => {
            for entry in ChangeLog::parse(bytes).entries() {
                if found.len() < 2 * MOST {
                    check_header(path, bytes, &entry, DatePolicy::Author, &mut found);
                }
            }
        }
        Ok(_) => found.extend(closed_to_news(path, bytes, options)),
        Err(error) => found.push(would_not_fold(path, bytes, &error.into())),
    }
    found.sort_by_key(|c| (c.line, c.column));
    found
}

/// An entry that any ChangeLog takes.
const PROBE: &[u8] = b"2026-01-02  A U Thor  <author@example.org>\n\n\t* probe: Say it.\n";

/// Why no news could be put into a file, whoever brings it; found by trying.
fn closed_to_news(path: &[u8], bytes: &[u8], options: &FoldOptions<'_>) -> Option<Complaint> {
    let probe = Fragment::gnu(b"probe.ChangeLog", PROBE);
    match fold(path, Some(bytes), &[probe], jiff::civil::date(2026, 1, 2), options) {
        Ok(_) => None,
        Err(error) => Some(would_not_fold(path, bytes, &error)),
    }
}

/// The error as a complaint about the ChangeLog, at the first line that it names.
pub fn would_not_fold(path: &[u8], bytes: &[u8], error: &FoldError) -> Complaint {
    let line = match error {
        FoldError::Unclear { headings, .. } => headings.first().map_or(1, |(line, _)| *line),
        _ => 1,
    };
    let offset = lines(bytes).take(line - 1).map(<[u8]>::len).sum();
    let said = error.to_string();
    let said = said.strip_prefix(&format!("{}: ", lossy(path))).unwrap_or(&said);
    let reason = format!("{said} ({})", error.hint());
    Complaint::at(path, bytes, offset, Problem::WouldNotFold { reason })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_changelog_is_checked_as_what_it_is() {
        let of = |path: &str, text: &str| {
            let found = check_changelog(path.as_bytes(), text.as_bytes(), &FoldOptions::default());
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let news = "# Changelog\n\n## [Unreleased]\n\n## [1.0.0] - 2024-01-02\n\n- All.\n";
        assert_eq!(of("CHANGELOG.md", news), "");
        let twice = news.replace("- All.\n", "- All.\n\n## Unreleased\n\n<<<<<<< HEAD\n");
        assert_eq!(
            of("CHANGELOG.md", &twice),
            "CHANGELOG.md:3:1: line 3 (`[Unreleased]`) and line 9 (`Unreleased`) each name what is not released yet (leave one of them, above all versions that are released)\n\
             CHANGELOG.md:11:1: conflict marker"
        );
        assert_eq!(of("CHANGES.rst", "1.0 (2024-01-02)\n================\n\n- All.\n"), "");
        assert!(of("CHANGES", "Words.\n").starts_with("CHANGES:1:1: CHANGES is in no format that bb knows"));
        let options = FoldOptions { format: Some(Format::News), ..FoldOptions::default() };
        assert_eq!(check_changelog(b"CHANGES", b"Words.\n", &options), []);
        assert_eq!(
            of("debian/changelog", ""),
            "debian/changelog:1:1: the Debian changelog has no stanza yet that would name the package (write the first stanza by hand, for instance with `dch --create`)"
        );
    }
}
