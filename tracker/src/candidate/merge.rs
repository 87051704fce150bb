//! git's own merge, in a bare repository, and what it says of conflicts.

use super::MAX_CONFLICTS;
use super::attributes::Attributes;
use crate::git::{Git, RunLimits};
use crate::mirror::{Kept, MirrorError, kept_at};
use crate::text::Budget;
use protocol::CommitId;
use protocol::api::ConflictFile;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// What `git merge-tree` gave: its answer, and where in it things stand.
pub(super) struct MergedTree {
    /// The tree, with conflict markers in it if there are conflicts.
    pub(super) tree: git2::Oid,
    answer: Vec<u8>,
    /// Paths in conflict, each once.
    conflicted: Vec<Range<usize>>,
    /// What git says of conflicts: which path's, and its words. Of each path only some are kept.
    messages: Vec<(usize, Range<usize>)>,
}

/// The largest file whose conflicts are shown, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// Characters of one file's conflicts that are shown.
const MAX_HUNKS: usize = 32 << 10;
/// Characters of a line.
const MAX_LINE: usize = 2000;
/// Characters of a path, and of what git says of one file.
const MAX_WORDS: usize = 2000;
/// Messages about one path.
const MAX_MESSAGES: usize = 8;
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
    parse(said.stdout).ok_or(MirrorError::Answer { what: "git merge-tree" })
}

/// Reads the answer: the tree; entries in conflict; an empty field; messages, each with its paths.
fn parse(answer: Vec<u8>) -> Option<MergedTree> {
    let mut at = 0;
    let mut next = || {
        let rest = answer.get(at..)?;
        let end = at + memchr::memchr(0, rest).unwrap_or(rest.len());
        let field = at..end;
        at = end + 1;
        Some(field)
    };
    let text = |field: Range<usize>| std::str::from_utf8(&answer[field]).ok().map(str::trim);
    let tree = git2::Oid::from_str(text(next()?)?).ok()?;
    let mut conflicted: Vec<Range<usize>> = Vec::new();
    while let Some(field) = next().filter(|field| !field.is_empty()) {
        let tab = memchr::memchr(b'\t', &answer[field.clone()])?;
        let path = field.start + tab + 1..field.end;
        if conflicted.last().is_none_or(|last| answer[last.clone()] != answer[path.clone()]) {
            conflicted.push(path);
        }
    }
    let known: HashMap<&[u8], usize> = conflicted.iter().enumerate().map(|(n, it)| (&answer[it.clone()], n)).collect();
    let mut messages: Vec<(usize, Range<usize>)> = Vec::new();
    let mut count_of = vec![0_usize; conflicted.len()];
    while let Some(count) = next().and_then(|field| text(field)?.parse::<usize>().ok()) {
        let mut of = Vec::new();
        for _ in 0..count {
            of.extend(known.get(&answer[next()?]).copied());
        }
        let (kind, words) = (next()?, next()?);
        if !answer[kind].starts_with(b"CONFLICT") {
            continue;
        }
        of.dedup();
        for path in of {
            if count_of[path] < MAX_MESSAGES {
                count_of[path] += 1;
                messages.push((path, words.clone()));
            }
        }
    }
    Some(MergedTree { tree, conflicted, messages, answer })
}

impl MergedTree {
    /// The files in conflict, but for those whose content is settled otherwise, as far as there is room for them; and how
    /// many more there are.
    pub(super) fn conflicts(
        &self,
        repository: &git2::Repository,
        settled: &[String],
        budget: &mut Budget,
    ) -> Result<(Vec<ConflictFile>, usize), MirrorError> {
        let settled: HashSet<&[u8]> = settled.iter().map(String::as_bytes).collect();
        let path_of = |n: usize| self.answer.get(self.conflicted[n].clone()).unwrap_or_default();
        let open: Vec<usize> = (0..self.conflicted.len()).filter(|n| !settled.contains(path_of(*n))).collect();
        if open.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let failed = |source| MirrorError::Objects { what: "reading the merged tree".to_owned(), source };
        let tree = repository.find_tree(self.tree).map_err(failed)?;
        let mut files = Vec::new();
        for &n in open.iter().take(MAX_CONFLICTS) {
            // The first is always told: without any, there would seem to be no conflict.
            if budget.is_spent() && !files.is_empty() {
                break;
            }
            let kept = match std::str::from_utf8(path_of(n)) {
                Ok(path) => kept_at(&tree, path)?.filter(|kept: &Kept| kept.is_file()),
                Err(_) => None,
            };
            let bytes = match kept {
                Some(kept) => kept.bytes(repository, MAX_FILE)?.unwrap_or_default(),
                None => Vec::new(),
            };
            files.push(ConflictFile {
                path: budget.line(path_of(n), MAX_WORDS),
                message: self.message(n, budget),
                hunks: marked_parts(&bytes, budget),
            });
        }
        let left_out = open.len() - files.len();
        Ok((files, left_out))
    }

    fn message(&self, path: usize, budget: &mut Budget) -> String {
        let of_path = self.messages.iter().filter(|(of, _)| *of == path);
        let words: Vec<&[u8]> = of_path.filter_map(|(_, words)| self.answer.get(words.clone())).collect();
        budget.lines(words.join(&b'\n').trim_ascii_end(), MAX_WORDS).replace("\n\n", "\n")
    }
}

/// The parts of a file between git's markers, with a few lines around them.
pub(super) fn marked_parts(bytes: &[u8], budget: &mut Budget) -> String {
    let mut text = String::new();
    // Where the line after what was shown last begins, and the lines before the present one.
    let (mut shown_to, mut before) = (0, VecDeque::new());
    let (mut open, mut after) = (None, 0);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes).chain((!bytes.ends_with(b"\n")).then_some(bytes.len())) {
        let line = &bytes[start..end];
        if line.starts_with(b"<<<<<<< ") {
            open = Some(before.front().copied().unwrap_or(start));
        }
        let is_end = line.starts_with(b">>>>>>> ");
        let from = if is_end { open.take() } else { None };
        if let Some(from) = from {
            after = CONTEXT + 1;
            if !text.is_empty() && from > shown_to {
                text.push_str("…\n");
            }
            if !show(&bytes[from.max(shown_to)..start], &mut text, budget) {
                return text;
            }
            shown_to = start;
        }
        if after > 0 {
            after -= 1;
            if !show(&bytes[shown_to..(end + 1).min(bytes.len())], &mut text, budget) {
                return text;
            }
            shown_to = end + 1;
        }
        before.push_back(start);
        if before.len() > CONTEXT {
            before.pop_front();
        }
        start = end + 1;
    }
    text
}

/// Adds whole lines, if there is still room for them.
fn show(bytes: &[u8], text: &mut String, budget: &mut Budget) -> bool {
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        if text.len() > MAX_HUNKS || budget.is_spent() {
            text.push_str("… and more\n");
            return false;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        text.push_str(&budget.line(line.strip_suffix(b"\r").unwrap_or(line), MAX_LINE));
        text.push('\n');
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn parts(bytes: &[u8]) -> String {
        marked_parts(bytes, &mut Budget::of(1 << 20))
    }

    #[test]
    fn only_what_is_around_markers_is_shown() {
        let text = "1\n2\n3\n4\n<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n5\n6\n7\n8\n9\n";
        assert_eq!(parts(text.as_bytes()), "2\n3\n4\n<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n5\n6\n7\n");
        assert_eq!(parts(b"no markers\n"), "");
        assert_eq!(parts(b"<<<<<<< a\nx\n>>>>>>> b"), "<<<<<<< a\nx\n>>>>>>> b\n");
        assert_eq!(parts(b"<<<<<<< a\nno end\n"), "");
        // Two that are near each other, and one far away.
        let one = "<<<<<<< a\n>>>>>>> b\n";
        let text = format!("{one}1\n2\n{one}1\n2\n3\n4\n5\n6\n7\n{one}");
        assert_eq!(parts(text.as_bytes()), format!("{one}1\n2\n{one}1\n2\n3\n…\n5\n6\n7\n{one}"));
    }

    #[test]
    fn what_is_shown_ends_with_the_budget() {
        let lines = "\u{1}".repeat(100) + "\n";
        let text = format!("<<<<<<< a\n{}>>>>>>> b\n", lines.repeat(1000));
        let mut budget = Budget::of(4000);
        let shown = marked_parts(text.as_bytes(), &mut budget);
        assert!(shown.len() < 4200 && shown.ends_with("… and more\n"), "{}", shown.len());
        assert!(parts(text.as_bytes()).len() < MAX_HUNKS + 2000);
    }

    #[test]
    fn the_answer_is_read() {
        let tree = "a".repeat(40);
        let answer = format!(
            "{tree}\x00100644 {tree} 1\tf\x00100644 {tree} 2\tf\x00100644 {tree} 3\tg\x00\x001\x00f\x00Auto-merging\x00Auto-merging f\n\x001\x00f\x00CONFLICT (contents)\x00CONFLICT (content): Merge conflict in f\n\x00"
        );
        let parsed = parse(answer.into_bytes()).unwrap();
        let mut budget = Budget::of(1000);
        let read: Vec<_> = parsed.conflicted.iter().map(|path| &parsed.answer[path.clone()]).collect();
        assert_eq!(read, [b"f", b"g"]);
        assert_eq!(parsed.message(0, &mut budget), "CONFLICT (content): Merge conflict in f");
        assert_eq!(parsed.message(1, &mut budget), "");
        assert!(parse(format!("{tree}\0").into_bytes()).unwrap().conflicted.is_empty());
    }

    proptest! {
        #[test]
        fn any_answer_and_file_is_survived(bytes: Vec<u8>) {
            let _ = (parts(&bytes), parse(bytes));
        }
    }
}
