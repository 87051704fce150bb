//! Files of a diff: their lines, what is not shown of them, and where their bytes are.

use crate::names;
use crate::pages::parts::{DiffRow, diff_rows};
use crate::pages::words::count;
use protocol::CommitId;
use protocol::api::{Diff, DiffFile};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct FileView {
    id: String,
    path: String,
    old_path: Option<String>,
    notes: Vec<String>,
    added: u64,
    removed: u64,
    lines: Vec<DiffRow>,
    /// What is not here of its lines.
    left_out: Option<String>,
    /// Where its lines are spoken of.
    comment: Option<String>,
    /// Its bytes, before and now.
    bytes: Vec<Bytes>,
}

/// A link to the bytes of one side.
#[derive(Serialize)]
struct Bytes {
    href: String,
    label: &'static str,
    /// A look at them as numbers, where they are no text.
    hex: bool,
}

/// The files of a branch's change.
pub(super) fn files(diff: &Diff, branch_page: &str) -> Vec<FileView> {
    let mut views = views(&diff.files, "f");
    for (view, file) in views.iter_mut().zip(&diff.files) {
        view.bytes = bytes(diff, file, branch_page);
        view.comment = Some(names::comment_on(branch_page, &file.path));
    }
    views
}

/// Files, each with an id of its own after `prefix`.
pub(super) fn views(files: &[DiffFile], prefix: &str) -> Vec<FileView> {
    let view = |(n, file): (usize, &DiffFile)| {
        let id = format!("{prefix}{n}");
        FileView {
            lines: diff_rows(&file.lines, Some(&id)),
            id,
            path: file.path.clone(),
            old_path: file.old_path.clone(),
            notes: file.notes.clone(),
            added: file.added,
            removed: file.removed,
            left_out: left_out(file),
            comment: None,
            bytes: Vec::new(),
        }
    };
    (1..).zip(files).map(view).collect()
}

fn left_out(file: &DiffFile) -> Option<String> {
    let count = |n: u64, one, many| count(usize::try_from(n).unwrap_or(usize::MAX), one, many);
    let said: Vec<String> = [
        (file.lines_left_out, "more line is left out", "more lines are left out"),
        (file.lines_cut, "line is cut", "lines are cut"),
    ]
    .into_iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, one, many)| count(n, one, many))
    .collect();
    match (said.as_slice(), file.not_compared) {
        ([], false) => None,
        ([], true) => Some("None of its lines is here; its bytes are whole.".to_owned()),
        (said, _) => Some(format!("{}; its bytes are whole.", said.join(", "))),
    }
}

fn bytes(diff: &Diff, file: &DiffFile, branch_page: &str) -> Vec<Bytes> {
    let has_nul = file.notes.iter().any(|note| note.contains("NUL"));
    let link = |commit: &Option<CommitId>, at: &Option<String>, label| {
        let href = format!("{branch_page}/raw/{}/{}", commit.as_ref()?, at.as_ref()?);
        Some(Bytes { href, label, hex: file.is_binary || has_nul })
    };
    let is_same = file.old_at.is_none() || file.new_at.is_none();
    let (before, now) = if is_same { ("bytes", "bytes") } else { ("bytes before", "bytes now") };
    [link(&diff.old, &file.old_at, before), link(&diff.new, &file.new_at, now)].into_iter().flatten().collect()
}

/// What is not here of the files.
pub(super) fn files_left_out(diff: &Diff) -> Option<String> {
    let n = usize::try_from(diff.files_left_out).unwrap_or(usize::MAX);
    match (n, diff.has_more) {
        (0, false) => None,
        (0, true) => Some("There are more files: finding them all would take too long here.".to_owned()),
        (n, false) => Some(format!("{} left out.", count(n, "more file is", "more files are"))),
        (n, true) => {
            let files = count(n, "more file is", "more files are");
            Some(format!("{files} left out, and there are others: finding them all would take too long here."))
        }
    }
}
