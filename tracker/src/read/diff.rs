//! The difference between two commits, as people read it, cut where it gets too long.

use super::changes::Changes;
use crate::mirror::{Kept, Mirror, MirrorError, kept_at, tree_of};
use crate::text::Budget;
use git2::{Delta, DiffFindOptions, DiffLineType, DiffOptions, Patch, Repository, Tree};
use protocol::CommitId;
use protocol::api::{Diff, DiffFile, DiffKind, DiffLine};

/// How much of a diff is told. What is left out is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DiffLimits {
    /// Files.
    pub files: usize,
    /// Lines of one file.
    pub lines_of_file: usize,
    /// Lines of all files together.
    pub lines: usize,
    /// Bytes of all lines together.
    pub bytes: usize,
    /// The largest file whose lines are compared, in bytes.
    pub file_bytes: u32,
    /// Most lines of a file whose lines are compared.
    pub file_lines: usize,
    /// Characters of one line.
    pub line_chars: usize,
}

impl Default for DiffLimits {
    fn default() -> Self {
        Self {
            files: 300,
            lines_of_file: 2000,
            lines: 20_000,
            bytes: 2 << 20,
            file_bytes: 4 << 20,
            file_lines: 200_000,
            line_chars: 1000,
        }
    }
}

/// Above so many files, renames are not looked for.
const MAX_RENAMES: u64 = 1000;
/// Characters of a path, and of what is said of a file.
const MAX_PATH: usize = 1000;
/// Lines of a file that is no text: whoever hides a script in one finds them shown, whoever changes a picture no wall of them.
const LINES_OF_BINARY: usize = 40;
/// Lines of a common end that are kept for what is shown around a change.
const KEPT_LINES: usize = 8;
/// Bytes that decide whether a file is text.
const LOOKED_AT: usize = 64 << 10;

impl Mirror {
    /// What changes from `old` to `new`.
    ///
    /// # Errors
    /// When one of them is not in the mirror.
    pub async fn diff(&self, old: &CommitId, new: &CommitId, limits: DiffLimits) -> Result<Diff, MirrorError> {
        let (old, new) = (old.clone(), new.clone());
        self.with_repository(move |repository| {
            let trees = Trees { old: tree_of(repository, &old)?, new: tree_of(repository, &new)? };
            diff(repository, &trees, limits).map_err(|error| match error {
                Failed::Git(source) => MirrorError::Objects { what: format!("comparing {old} and {new}"), source },
                Failed::Mirror(error) => error,
            })
        })
        .await
    }
}

/// How one text changes, whatever repository it is from. Names of files and notes are the caller's.
///
/// # Errors
/// When libgit2 can't compare them: one has 4 GiB, or there is no memory.
pub fn text_diff(path: &str, old: &[u8], new: &[u8], limits: DiffLimits) -> Result<DiffFile, MirrorError> {
    let mut file = DiffFile { path: path.to_owned(), ..DiffFile::default() };
    let (old, new) = without_common_end(old, new);
    let texts = [Content::of(old), Content::of(new)];
    if let Some(note) = texts.iter().find_map(|text| text.too_much(limits)) {
        file.notes.push(note);
        return Ok(file);
    }
    let mut options = DiffOptions::new();
    options.context_lines(3).interhunk_lines(0).indent_heuristic(true).force_text(true);
    let failed = |source| MirrorError::Objects { what: format!("comparing {path}"), source };
    let patch = Patch::from_buffers(old, None, new, None, Some(&mut options)).map_err(failed)?;
    let mut left = Left::of(limits);
    lines(&patch, limits, &mut left, &mut file).map_err(failed)?;
    Ok(file)
}

/// Both without what they end with alike, but for the lines that are shown around a change: entries are added in front of
/// a long ChangeLog.
fn without_common_end<'t>(old: &'t [u8], new: &'t [u8]) -> (&'t [u8], &'t [u8]) {
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let end = &new[new.len() - same..];
    // The first line of it may be the rest of one that differs.
    let Some(kept) = memchr::memchr_iter(b'\n', end).nth(KEPT_LINES) else { return (old, new) };
    let cut = same - (kept + 1);
    (&old[..old.len() - cut], &new[..new.len() - cut])
}

enum Failed {
    Git(git2::Error),
    Mirror(MirrorError),
}

impl From<git2::Error> for Failed {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

impl From<MirrorError> for Failed {
    fn from(error: MirrorError) -> Self {
        Self::Mirror(error)
    }
}

struct Trees<'r> {
    old: Tree<'r>,
    new: Tree<'r>,
}

fn diff(repository: &Repository, trees: &Trees<'_>, limits: DiffLimits) -> Result<Diff, Failed> {
    let changes = Changes::between(repository, &trees.old, &trees.new, limits.files)?;
    let mut options = DiffOptions::new();
    options.context_lines(3).interhunk_lines(0).indent_heuristic(true).include_typechange(true);
    // Lines are shown whatever a file holds and whatever attributes say of it: a NUL hides nothing.
    options.ignore_submodules(false).max_size(i64::from(limits.file_bytes)).force_text(true);
    if changes.count > MAX_RENAMES {
        // Only those that are told, so that a list of all of them is never made.
        options.disable_pathspec_match(true);
        for path in changes.first {
            options.pathspec(path);
        }
    }
    let mut found = repository.diff_tree_to_tree(Some(&trees.old), Some(&trees.new), Some(&mut options))?;
    if changes.count <= MAX_RENAMES {
        found.find_similar(Some(DiffFindOptions::new().renames(true).rename_limit(200)))?;
    }
    let all = if changes.count > MAX_RENAMES { changes.count } else { found.deltas().len() as u64 };
    let mut told = Diff::default();
    let mut left = Left::of(limits);
    for at in 0..found.deltas().len() {
        if told.files.len() >= limits.files || left.is_spent() {
            break;
        }
        let Some(file) = file(repository, &found, at, trees, limits, &mut left)? else { continue };
        told.added += file.added;
        told.removed += file.removed;
        told.files.push(file);
    }
    told.files_left_out = all.saturating_sub(told.files.len() as u64);
    Ok(told)
}

/// What the whole diff may still get.
struct Left {
    lines: usize,
    budget: Budget,
}

impl Left {
    fn of(limits: DiffLimits) -> Self {
        Self { lines: limits.lines, budget: Budget::of(limits.bytes) }
    }

    fn is_spent(&self) -> bool {
        self.lines == 0 || self.budget.is_spent()
    }
}

/// One side of a file, as far as it decides how the file is shown.
#[derive(Clone, Copy, Default)]
struct Content {
    bytes: u64,
    lines: usize,
    /// Most of it is no text in any way.
    is_binary: bool,
    has_nul: bool,
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        let front = &bytes[..bytes.len().min(LOOKED_AT)];
        let odd: usize = front
            .utf8_chunks()
            .map(|chunk| {
                let is_odd = |c: &char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c' | '\x1b');
                chunk.invalid().len() + chunk.valid().chars().filter(is_odd).count()
            })
            .sum();
        Self {
            bytes: bytes.len() as u64,
            lines: memchr::memchr_iter(b'\n', bytes).count() + 1,
            is_binary: !bytes.starts_with(b"#!") && odd * 10 > front.len() * 3,
            has_nul: memchr::memchr(0, bytes).is_some(),
        }
    }

    /// Of a file in the mirror; one that is too large is not read.
    fn kept(repository: &Repository, kept: Option<Kept>, limits: DiffLimits) -> Result<Self, MirrorError> {
        let Some(kept) = kept else { return Ok(Self::default()) };
        let failed = |source| MirrorError::Objects { what: format!("reading the object {}", kept.id), source };
        let (bytes, _) = repository.odb().and_then(|odb| odb.read_header(kept.id)).map_err(failed)?;
        if bytes as u64 > u64::from(limits.file_bytes) {
            return Ok(Self { bytes: bytes as u64, ..Self::default() });
        }
        Ok(Self::of(repository.find_blob(kept.id).map_err(failed)?.content()))
    }

    /// Why its lines are not compared.
    fn too_much(&self, limits: DiffLimits) -> Option<String> {
        if self.bytes > u64::from(limits.file_bytes) {
            Some(format!("too large to be compared: {} bytes", self.bytes))
        } else if self.lines > limits.file_lines {
            Some(format!("too long to be compared: {} lines", self.lines))
        } else {
            None
        }
    }
}

fn file(
    repository: &Repository,
    diff: &git2::Diff<'_>,
    at: usize,
    trees: &Trees<'_>,
    limits: DiffLimits,
    left: &mut Left,
) -> Result<Option<DiffFile>, Failed> {
    let Some(delta) = diff.get_delta(at) else { return Ok(None) };
    let (old_path, new_path) = (delta.old_file().path_bytes(), delta.new_file().path_bytes());
    let path = new_path.or(old_path).unwrap_or_default();
    let side = |tree: &Tree<'_>, path: Option<&[u8]>, is_there: bool| match path.map(std::str::from_utf8) {
        Some(Ok(path)) if is_there => kept_at(tree, path),
        _ => Ok(None),
    };
    let old = side(&trees.old, old_path, delta.status() != Delta::Added)?;
    let new = side(&trees.new, new_path, delta.status() != Delta::Deleted)?;
    let mut file = DiffFile {
        path: left.budget.line(path, MAX_PATH),
        old_path: old_path.filter(|_| delta.status() == Delta::Renamed).map(|path| left.budget.line(path, MAX_PATH)),
        notes: notes(repository, delta.status(), old, new, &mut left.budget)?,
        added: 0,
        removed: 0,
        lines: Vec::new(),
        lines_left_out: 0,
    };
    let is_text = |kept: Option<Kept>| kept.is_none_or(Kept::is_file);
    if !is_text(old) || !is_text(new) {
        return Ok(Some(file));
    }
    let sides = [Content::kept(repository, old, limits)?, Content::kept(repository, new, limits)?];
    if let Some(note) = sides.iter().find_map(|side| side.too_much(limits)) {
        file.notes.push(note);
        return Ok(Some(file));
    }
    let mut limits = limits;
    if sides.iter().any(|side| side.is_binary) {
        limits.lines_of_file = limits.lines_of_file.min(LINES_OF_BINARY);
        let [was, is] = sides.map(|side| side.bytes);
        file.notes.push(match (old, new) {
            (Some(_), Some(_)) => format!("binary, {was} to {is} bytes"),
            _ => format!("binary, {} bytes", was.max(is)),
        });
    } else if sides.iter().any(|side| side.has_nul) {
        file.notes.push("has NUL characters in it".to_owned());
    }
    if let Some(patch) = Patch::from_diff(diff, at)? {
        lines(&patch, limits, left, &mut file)?;
    }
    Ok(Some(file))
}

fn lines(patch: &Patch<'_>, limits: DiffLimits, left: &mut Left, file: &mut DiffFile) -> Result<(), git2::Error> {
    let (context, added, removed) = patch.line_stats()?;
    (file.added, file.removed) = (added as u64, removed as u64);
    let mut told = 0;
    'hunks: for hunk in 0..patch.num_hunks() {
        let (head, count) = patch.hunk(hunk)?;
        if file.lines.len() >= limits.lines_of_file || left.is_spent() {
            break;
        }
        push(file, left, limits, DiffKind::Hunk, (None, None), head.header());
        for at in 0..count {
            if file.lines.len() >= limits.lines_of_file || left.is_spent() {
                break 'hunks;
            }
            let line = patch.line_in_hunk(hunk, at)?;
            let kind = match line.origin_value() {
                DiffLineType::Addition => DiffKind::Add,
                DiffLineType::Deletion => DiffKind::Delete,
                DiffLineType::Context => DiffKind::Context,
                _ => {
                    push(file, left, limits, DiffKind::Context, (None, None), b"\\ No newline at end of file");
                    continue;
                }
            };
            told += 1;
            push(file, left, limits, kind, (line.old_lineno(), line.new_lineno()), line.content());
        }
    }
    file.lines_left_out = (context + added + removed - told) as u64;
    Ok(())
}

fn push(
    file: &mut DiffFile,
    left: &mut Left,
    limits: DiffLimits,
    kind: DiffKind,
    (old, new): (Option<u32>, Option<u32>),
    content: &[u8],
) {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let text = left.budget.line(content, limits.line_chars);
    left.lines = left.lines.saturating_sub(1);
    file.lines.push(DiffLine { kind, old, new, text });
}

/// What happened besides lines; always told, whatever is cut.
fn notes(
    repository: &Repository,
    status: Delta,
    old: Option<Kept>,
    new: Option<Kept>,
    budget: &mut Budget,
) -> Result<Vec<String>, MirrorError> {
    let mut notes = Vec::new();
    match (old, new) {
        (None, Some(new)) if new.mode == 0o100_644 => notes.push("new file".to_owned()),
        (None, Some(new)) => notes.push(format!("new file, mode {:o}", new.mode)),
        (Some(_), None) => notes.push("deleted".to_owned()),
        (Some(old), Some(new)) if old.mode != new.mode => notes.push(format!("mode {:o} to {:o}", old.mode, new.mode)),
        _ => {}
    }
    if let (Delta::Renamed, Some(old), Some(new)) = (status, old, new)
        && old.id == new.id
    {
        notes.push("renamed, content unchanged".to_owned());
    }
    for (kept, when) in [(old, "was "), (new, "")] {
        match kept.map(|kept| (kept, kept.mode)) {
            Some((kept, 0o120_000)) => {
                let target = kept.bytes(repository, 64 << 10)?.unwrap_or_default();
                notes.push(format!("{when}symbolic link to {}", budget.line(&target, 300)));
            }
            Some((kept, 0o160_000)) => notes.push(format!("{when}submodule at {}", kept.id)),
            _ => {}
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_common_end_is_not_compared_and_changes_nothing() {
        let old: String = (0..100).map(|n| format!("{n}\n")).collect();
        for (old, new) in [
            (old.clone(), format!("new\n{old}")),
            (old.clone(), old.replace("50\n", "")),
            (old.clone(), old.replace("99\n", "99")),
            (format!("x{old}"), format!("y{old}")),
            (old.clone(), String::new()),
            (old.clone(), old.clone()),
        ] {
            let (short_old, short_new) = without_common_end(old.as_bytes(), new.as_bytes());
            assert_eq!(old.len() - short_old.len(), new.len() - short_new.len());
            let limits = DiffLimits::default();
            let whole = {
                let mut file = DiffFile::default();
                let mut options = DiffOptions::new();
                options.context_lines(3).interhunk_lines(0).indent_heuristic(true).force_text(true);
                let patch =
                    Patch::from_buffers(old.as_bytes(), None, new.as_bytes(), None, Some(&mut options)).unwrap();
                lines(&patch, limits, &mut Left::of(limits), &mut file).unwrap();
                file
            };
            let told = text_diff("", old.as_bytes(), new.as_bytes(), limits).unwrap();
            assert_eq!((told.added, told.removed), (whole.added, whole.removed));
            assert_eq!(told.lines, whole.lines, "{short_new:?}");
        }
    }

    #[test]
    fn what_is_text_and_what_is_none() {
        let is_binary = |bytes: &[u8]| Content::of(bytes).is_binary;
        assert!(!is_binary(b"") && !is_binary(b"text\n") && !is_binary("\u{e4}\u{4e00}".as_bytes()));
        assert!(!is_binary(b"exit 0\n\0rm -rf /\n") && Content::of(b"a\0").has_nul);
        assert!(!is_binary(b"#!/bin/sh\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
        assert!(is_binary(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0") && is_binary(&[0xff; 100]));
    }
}
