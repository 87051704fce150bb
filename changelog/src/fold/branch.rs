//! The fold for a branch that may have edited the ChangeLog itself: what it added is lifted out and folded, the rest is merged as text.

use std::collections::HashMap;

use jiff::civil::Date;

use super::{Incoming, fold, fold_incoming, format_of};
use crate::complaint::{Complaint, Problem};
use crate::folded::{FoldError, FoldOptions, Folded};
use crate::format::Format;
use crate::fragment::{Fragment, is_conflict_marker};
use crate::lines::{blank_tail, is_blank, lines, lossy};
use crate::log::ChangeLog;
use crate::merge::{Markers, MergeOptions, added_entries, merge, merge_as_text};
use crate::news;

/// The three versions of a ChangeLog that a branch's merge is about; `None` where there is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchChangeLog<'a> {
    /// The ChangeLog's path, for messages.
    pub path: &'a [u8],
    /// At the merge base.
    pub base: Option<&'a [u8]>,
    /// On mainline.
    pub mainline: Option<&'a [u8]>,
    /// On the branch.
    pub branch: Option<&'a [u8]>,
}

/// Folds a branch's fragments, and the entries that it added to the ChangeLog itself, into mainline's ChangeLog. What else the branch changed in it
/// is merged as text, and only that can conflict. `options.base` is not used: the base is in `file`.
///
/// # Errors
/// As [`fold`](super::fold); [`FoldError::Conflict`] if old text was changed on both sides, [`FoldError::Deleted`] if the branch has no
/// ChangeLog though its base had one.
pub fn fold_branch(
    file: &BranchChangeLog<'_>,
    fragments: &[Fragment<'_>],
    on: Date,
    options: &FoldOptions<'_>,
) -> Result<Folded, FoldError> {
    let base = file.base.unwrap_or_default();
    let mainline = file.mainline.unwrap_or_default();
    let options = FoldOptions { base: Some(base), ..*options };
    let branch = match (file.branch, file.base) {
        (None, Some(_)) => return Err(FoldError::Deleted { path: lossy(file.path) }),
        (branch, base) if branch == base => return fold(file.path, file.mainline, fragments, on, &options),
        (branch, _) => branch.unwrap_or_default(),
    };
    refuse_markers(file.path, base, branch)?;
    let shown = if mainline.is_empty() { branch } else { mainline };
    let format = format_of(file.path, shown, &options)?;
    if format != Format::Gnu {
        let (lifted, rest) = news::lift(format, file.path, base, branch, &options);
        let merged = merged_rest(file, &rest)?;
        return news::fold(format, file.path, merged.as_deref().unwrap_or(mainline), fragments, lifted, on, &options);
    }
    let (base_log, branch_log) = (ChangeLog::parse(base), ChangeLog::parse(branch));
    let added = added_entries(&base_log, &branch_log);
    let lifted: Vec<Incoming<'_>> = added
        .iter()
        .filter_map(|&at| Some(Incoming { path: file.path, file: branch, entry: branch_log.entry(at)? }))
        .collect();
    let rest = without(&branch_log, &added);
    if rest[..blank_tail(&rest)] == base[..blank_tail(base)] {
        return fold_incoming(mainline, fragments, &lifted, on, &options);
    }
    let merged = merge(base, mainline, &rest, &MergeOptions::default());
    if merged.conflicts > 0 {
        return Err(FoldError::Conflict { path: lossy(file.path), conflicts: merged.conflicts, bytes: merged.bytes });
    }
    fold_incoming(&merged.bytes, fragments, &lifted, on, &options)
}

/// What the branch changed besides adding news, merged as text into mainline's file; `None` if it changed nothing.
fn merged_rest(file: &BranchChangeLog<'_>, rest: &[u8]) -> Result<Option<Vec<u8>>, FoldError> {
    let (base, mainline) = (file.base.unwrap_or_default(), file.mainline.unwrap_or_default());
    let text = |bytes| lines(bytes).filter(|l| !is_blank(l));
    if text(base).eq(text(rest)) {
        return Ok(None);
    }
    let merged = merge_as_text(base, mainline, rest, &Markers::default());
    if merged.conflicts > 0 {
        return Err(FoldError::Conflict { path: lossy(file.path), conflicts: merged.conflicts, bytes: merged.bytes });
    }
    Ok(Some(merged.bytes))
}

/// Conflict markers that the branch adds are a mistake; those committed long ago are text.
fn refuse_markers(path: &[u8], base: &[u8], branch: &[u8]) -> Result<(), FoldError> {
    let mut before: HashMap<&[u8], usize> = HashMap::new();
    for line in lines(base).filter(|l| is_conflict_marker(l)) {
        *before.entry(line).or_default() += 1;
    }
    let mut offset = 0;
    for line in lines(branch) {
        if is_conflict_marker(line) {
            match before.get_mut(line) {
                Some(n) if *n > 0 => *n -= 1,
                _ => {
                    return Err(FoldError::Fragments(vec![Complaint::at(
                        path,
                        branch,
                        offset,
                        Problem::ConflictMarker,
                    )]));
                }
            }
        }
        offset += line.len();
    }
    Ok(())
}

/// The file without the entries of these numbers.
fn without(log: &ChangeLog<'_>, added: &[usize]) -> Vec<u8> {
    let mut out = Vec::with_capacity(log.bytes().len());
    out.extend_from_slice(log.preamble());
    let mut added = added.iter().peekable();
    for (at, entry) in log.entries().enumerate() {
        if added.next_if(|a| **a == at).is_none() {
            out.extend_from_slice(entry.bytes());
        }
    }
    out.extend_from_slice(log.trailer());
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const OLD: &str = "2024-02-01  Bob  <bob@x>\n\n\t* a.c: Old.\n";
    const MAIN: &str = "2024-02-15  Cid  <cid@x>\n\n\t* c.c: Main.\n";
    const ANN: &str = "2024-02-10  Ann  <ann@x>\n\n\t* b.c (f): New.\n";
    const DAY: Date = Date::constant(2024, 3, 5);

    fn landed(base: &str, mainline: &str, branch: &str, fragments: &[&str]) -> Result<Folded, FoldError> {
        let file = BranchChangeLog {
            path: b"ChangeLog",
            base: Some(base.as_bytes()),
            mainline: Some(mainline.as_bytes()),
            branch: Some(branch.as_bytes()),
        };
        let fragments: Vec<_> = fragments.iter().map(|f| Fragment::gnu(b"repo.ChangeLog", f.as_bytes())).collect();
        fold_branch(&file, &fragments, DAY, &FoldOptions::default())
    }

    fn text(folded: Result<Folded, FoldError>) -> String {
        String::from_utf8(folded.unwrap().changelog).unwrap()
    }

    #[test]
    fn entries_that_the_branch_added_are_folded_like_a_fragment() {
        let main = format!("{MAIN}\n{OLD}");
        let want = format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{main}");
        assert_eq!(text(landed(OLD, &main, &format!("{ANN}\n{OLD}"), &[])), want);
        // In the wrong place, too; and beside a fragment.
        assert_eq!(text(landed(OLD, &main, &format!("{OLD}\n{ANN}"), &[])), want);
        let fragment = "2024-02-11  Dan  <dan@x>\n\n\t* d.c: Also.\n";
        let both = landed(OLD, &main, &format!("{ANN}\n{OLD}"), &[fragment]);
        assert_eq!(text(both), format!("2024-03-05  Dan  <dan@x>\n\n\t* d.c: Also.\n\n{want}"));
    }

    #[test]
    fn a_corrected_old_entry_is_merged_as_text_and_can_conflict() {
        let main = format!("{MAIN}\n{OLD}");
        let branch = format!("{ANN}\n{}", OLD.replace("Old", "Old, corrected"));
        let want = format!(
            "2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{MAIN}\n{}",
            OLD.replace("Old", "Old, corrected")
        );
        assert_eq!(text(landed(OLD, &main, &branch, &[])), want);
        let other = format!("{MAIN}\n{}", OLD.replace("Old", "Ancient"));
        let error = landed(OLD, &other, &branch, &[]).unwrap_err();
        assert_eq!(error.to_string(), "ChangeLog: 1 old entry was changed differently on both sides");
        assert!(!error.hint().is_empty());
    }

    #[test]
    fn a_second_merge_of_the_same_branch_adds_nothing() {
        let main = format!("{MAIN}\n{OLD}");
        let branch = format!("{ANN}\n{OLD}");
        let once = text(landed(OLD, &main, &branch, &[]));
        let again = landed(OLD, &once, &branch, &[]).unwrap();
        assert_eq!((again.entries, again.left_out.len(), again.lifted), (0, 1, 1));
        assert_eq!(String::from_utf8(again.changelog).unwrap(), once);
    }

    #[test]
    fn markers_that_the_branch_adds_are_refused_and_old_ones_are_text() {
        let marked = format!("{OLD}\n>>>>>>> topic\n");
        let branch = format!("{ANN}\n{marked}");
        assert_eq!(
            text(landed(&marked, &marked, &branch, &[])),
            format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{marked}")
        );
        let error = landed(OLD, OLD, &marked, &[]).unwrap_err();
        assert_eq!(error.to_string(), "ChangeLog:5:1: conflict marker");
    }

    #[test]
    fn a_branch_that_deletes_the_changelog_is_refused() {
        let file = BranchChangeLog { path: b"ChangeLog", base: Some(b"x"), mainline: Some(b"x"), branch: None };
        let error = fold_branch(&file, &[], DAY, &FoldOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "ChangeLog: the branch deletes the ChangeLog");
    }

    #[test]
    fn the_branch_can_bring_the_first_changelog() {
        let file = BranchChangeLog { path: b"ChangeLog", base: None, mainline: None, branch: Some(ANN.as_bytes()) };
        let folded = fold_branch(&file, &[], DAY, &FoldOptions::default()).unwrap();
        assert_eq!(folded.changelog, ANN.replace("02-10", "03-05").as_bytes());
    }
}
