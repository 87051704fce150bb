//! git's own merge, in a bare repository, and what it says of conflicts.

use super::MAX_CONFLICTS;
use super::attributes::Attributes;
use crate::git::{Git, RunLimits};
use crate::mirror::{Kept, MirrorError, kept_at};
use crate::text::{shown, shown_lines};
use protocol::CommitId;
use protocol::api::ConflictFile;
use std::path::Path;
use std::time::Duration;

/// What `git merge-tree` gave.
pub(super) struct MergedTree {
    /// The tree, with conflict markers in it if there are conflicts.
    pub(super) tree: git2::Oid,
    /// Paths in conflict, each once, and what git says of them.
    conflicted: Vec<Conflicted>,
}

struct Conflicted {
    path: Vec<u8>,
    message: String,
}

/// The largest file whose conflicts are shown, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// Bytes of one file's conflicts that are shown.
const MAX_HUNKS: usize = 32 << 10;
/// Lines around a conflict that are shown.
const CONTEXT: usize = 3;

/// Merges `revision` into `mainline` as `git merge` would in a work tree of `mainline`: its attributes count.
pub(super) async fn merge_tree(
    git: &Git,
    mirror: &Path,
    attributes: &Attributes,
    mainline: &CommitId,
    revision: &CommitId,
) -> Result<MergedTree, MirrorError> {
    let limits = RunLimits { wall: Duration::from_secs(120), cpu: Duration::from_secs(120), ..RunLimits::default() };
    let run = attributes.give(git.bounded(), mirror).args([
        "merge-tree",
        "--write-tree",
        "-z",
        "--messages",
        mainline.as_str(),
        revision.as_str(),
    ]);
    let said = run.limits(limits).output_if(|exit| exit == 0 || exit == 1).await?;
    parse(&said.stdout).ok_or(MirrorError::Answer { what: "git merge-tree" })
}

/// Reads the answer: the tree; entries in conflict; an empty field; messages, each with its paths.
fn parse(answer: &[u8]) -> Option<MergedTree> {
    let mut fields = answer.split(|&b| b == 0);
    let tree = std::str::from_utf8(fields.next()?).ok()?;
    let tree = git2::Oid::from_str(tree.trim()).ok()?;
    let mut conflicted: Vec<Conflicted> = Vec::new();
    for field in fields.by_ref().take_while(|field| !field.is_empty()) {
        let tab = field.iter().position(|&b| b == b'\t')?;
        let path = &field[tab + 1..];
        if conflicted.last().is_none_or(|last| last.path != path) {
            conflicted.push(Conflicted { path: path.to_vec(), message: String::new() });
        }
    }
    while let Some(count) =
        fields.next().and_then(|field| std::str::from_utf8(field).ok()?.trim().parse::<usize>().ok())
    {
        let paths: Vec<&[u8]> = fields.by_ref().take(count).collect();
        let (kind, text) = (fields.next()?, fields.next()?);
        if !kind.starts_with(b"CONFLICT") {
            continue;
        }
        for conflict in conflicted.iter_mut().filter(|c| paths.contains(&c.path.as_slice())) {
            if !conflict.message.is_empty() {
                conflict.message.push('\n');
            }
            conflict.message.push_str(shown_lines(text).trim_end());
        }
    }
    Some(MergedTree { tree, conflicted })
}

impl MergedTree {
    /// The files in conflict, but for those whose content is settled otherwise; and how many more there are.
    pub(super) fn conflicts(
        &self,
        repository: &git2::Repository,
        settled: &[String],
    ) -> Result<(Vec<ConflictFile>, usize), MirrorError> {
        let open: Vec<&Conflicted> =
            self.conflicted.iter().filter(|c| !settled.iter().any(|s| s.as_bytes() == c.path)).collect();
        if open.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let failed = |source| MirrorError::Objects { what: "reading the merged tree".to_owned(), source };
        let tree = repository.find_tree(self.tree).map_err(failed)?;
        let mut files = Vec::new();
        for conflict in open.iter().take(MAX_CONFLICTS) {
            let kept = match std::str::from_utf8(&conflict.path) {
                Ok(path) => kept_at(&tree, path)?.filter(|kept: &Kept| kept.is_file()),
                Err(_) => None,
            };
            let bytes = match kept {
                Some(kept) => kept.bytes(repository, MAX_FILE)?.unwrap_or_default(),
                None => Vec::new(),
            };
            files.push(ConflictFile {
                path: shown(&conflict.path),
                hunks: marked_parts(&bytes),
                message: conflict.message.clone(),
            });
        }
        Ok((files, open.len() - open.len().min(MAX_CONFLICTS)))
    }
}

/// The parts of a file between git's markers, with a few lines around them.
pub(super) fn marked_parts(bytes: &[u8]) -> String {
    let lines: Vec<&[u8]> = bytes.split(|&b| b == b'\n').collect();
    let mut wanted: Vec<std::ops::Range<usize>> = Vec::new();
    let mut open = None;
    for (at, line) in lines.iter().enumerate() {
        if line.starts_with(b"<<<<<<< ") {
            open = Some(at);
        } else if line.starts_with(b">>>>>>> ")
            && let Some(start) = open.take()
        {
            let (start, end) = (start.saturating_sub(CONTEXT), (at + 1 + CONTEXT).min(lines.len()));
            match wanted.last_mut() {
                Some(last) if last.end >= start => last.end = end,
                _ => wanted.push(start..end),
            }
        }
    }
    let mut text = String::new();
    for range in wanted {
        if !text.is_empty() {
            text.push_str("…\n");
        }
        for line in &lines[range] {
            if text.len() > MAX_HUNKS {
                text.push_str("… and more\n");
                return text;
            }
            text.push_str(&crate::text::shortened(
                &String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)),
                2000,
            ));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_is_around_markers_is_shown() {
        let text = "1\n2\n3\n4\n<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n5\n6\n7\n8\n9\n";
        assert_eq!(marked_parts(text.as_bytes()), "2\n3\n4\n<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n5\n6\n7\n");
        assert_eq!(marked_parts(b"no markers\n"), "");
    }

    #[test]
    fn the_answer_is_read() {
        let tree = "a".repeat(40);
        let answer = format!(
            "{tree}\x00100644 {tree} 1\tf\x00100644 {tree} 2\tf\x00100644 {tree} 3\tg\x00\x001\x00f\x00Auto-merging\x00Auto-merging f\n\x001\x00f\x00CONFLICT (contents)\x00CONFLICT (content): Merge conflict in f\n\x00"
        );
        let parsed = parse(answer.as_bytes()).unwrap();
        let read: Vec<_> = parsed.conflicted.iter().map(|c| (c.path.as_slice(), c.message.as_str())).collect();
        assert_eq!(read, [(&b"f"[..], "CONFLICT (content): Merge conflict in f"), (b"g", "")]);
        assert!(parse(format!("{tree}\0").as_bytes()).unwrap().conflicted.is_empty());
    }

    proptest! {
        #[test]
        fn any_answer_and_file_is_survived(bytes: Vec<u8>) {
            let _ = (parse(&bytes), marked_parts(&bytes));
        }
    }
}
