//! The difference between two commits, as people read it, cut where it gets too long.

use crate::mirror::{Kept, Mirror, MirrorError, kept_at, tree_of};
use crate::text::{shortened, shown};
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
    /// Characters of one line.
    pub line_chars: usize,
}

impl Default for DiffLimits {
    fn default() -> Self {
        Self { files: 300, lines_of_file: 2000, lines: 20_000, bytes: 2 << 20, file_bytes: 4 << 20, line_chars: 1000 }
    }
}

/// Above so many files, renames are not looked for.
const MAX_RENAMES: usize = 1000;

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
    let mut options = DiffOptions::new();
    options.context_lines(3).interhunk_lines(0).indent_heuristic(true).force_text(true);
    let failed = |source| MirrorError::Objects { what: format!("comparing {path}"), source };
    let patch = Patch::from_buffers(old, None, new, None, Some(&mut options)).map_err(failed)?;
    let mut left = Left { lines: limits.lines, bytes: limits.bytes };
    lines(&patch, limits, &mut left, &mut file).map_err(failed)?;
    Ok(file)
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
    let mut options = DiffOptions::new();
    options.context_lines(3).interhunk_lines(0).indent_heuristic(true).include_typechange(true);
    options.ignore_submodules(false).max_size(i64::from(limits.file_bytes));
    let mut found = repository.diff_tree_to_tree(Some(&trees.old), Some(&trees.new), Some(&mut options))?;
    if found.deltas().len() <= MAX_RENAMES {
        found.find_similar(Some(DiffFindOptions::new().renames(true).rename_limit(200)))?;
    }
    let mut told = Diff::default();
    let mut left = Left { lines: limits.lines, bytes: limits.bytes };
    for at in 0..found.deltas().len() {
        if told.files.len() >= limits.files || left.lines == 0 || left.bytes == 0 {
            told.files_left_out = (found.deltas().len() - told.files.len()) as u64;
            break;
        }
        let Some(file) = file(repository, &found, at, trees, limits, &mut left)? else { continue };
        told.added += file.added;
        told.removed += file.removed;
        told.files.push(file);
    }
    Ok(told)
}

struct Left {
    lines: usize,
    bytes: usize,
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
        path: shown(path),
        old_path: old_path.filter(|_| delta.status() == Delta::Renamed).map(shown),
        notes: notes(repository, delta.status(), old, new)?,
        added: 0,
        removed: 0,
        lines: Vec::new(),
        lines_left_out: 0,
    };
    let is_text = |kept: Option<Kept>| kept.is_none_or(Kept::is_file);
    if !is_text(old) || !is_text(new) {
        return Ok(Some(file));
    }
    let is_large = |file: git2::DiffFile<'_>| file.size() > u64::from(limits.file_bytes);
    // The sizes are known only once the patch was made.
    let patch = Patch::from_diff(diff, at)?;
    let delta = diff.get_delta(at).unwrap_or(delta);
    match patch {
        Some(patch) if !delta.flags().is_binary() => lines(&patch, limits, left, &mut file)?,
        _ if is_large(delta.old_file()) || is_large(delta.new_file()) => {
            file.notes.push("too large to be compared".to_owned());
        }
        _ if delta.flags().is_binary() => file.notes.push("binary".to_owned()),
        _ => {}
    }
    Ok(Some(file))
}

fn lines(patch: &Patch<'_>, limits: DiffLimits, left: &mut Left, file: &mut DiffFile) -> Result<(), git2::Error> {
    let (context, added, removed) = patch.line_stats()?;
    (file.added, file.removed) = (added as u64, removed as u64);
    let mut told = 0;
    'hunks: for hunk in 0..patch.num_hunks() {
        let (head, count) = patch.hunk(hunk)?;
        if file.lines.len() >= limits.lines_of_file || left.lines == 0 || left.bytes == 0 {
            break;
        }
        push(file, left, limits, DiffKind::Hunk, (None, None), head.header());
        for at in 0..count {
            if file.lines.len() >= limits.lines_of_file || left.lines == 0 || left.bytes == 0 {
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
    // Enough bytes for the characters that are shown; the rest of a line of 50 MB is not even looked at.
    let front = &content[..content.len().min(limits.line_chars.saturating_mul(4))];
    let mut text = shortened(&String::from_utf8_lossy(front), limits.line_chars);
    if front.len() < content.len() && !text.ends_with('…') {
        text.push('…');
    }
    left.lines = left.lines.saturating_sub(1);
    left.bytes = left.bytes.saturating_sub(text.len() + 1);
    file.lines.push(DiffLine { kind, old, new, text });
}

/// What happened besides lines; always told, whatever is cut.
fn notes(
    repository: &Repository,
    status: Delta,
    old: Option<Kept>,
    new: Option<Kept>,
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
                notes.push(format!("{when}symbolic link to {}", shortened(&shown(&target), 300)));
            }
            Some((kept, 0o160_000)) => notes.push(format!("{when}submodule at {}", kept.id)),
            _ => {}
        }
    }
    Ok(notes)
}
