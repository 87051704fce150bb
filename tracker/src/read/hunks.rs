//! How one text changes: its hunks, within what a page has room for.

use super::limits::DiffLimits;
use crate::mirror::MirrorError;
use crate::text::Budget;
use git2::{DiffLineType, DiffOptions, Patch};
use protocol::api::{DiffFile, DiffKind, DiffLine};

/// Lines of a common end that are kept for what is shown around a change.
const KEPT_LINES: usize = 8;
/// Bytes that decide whether a file is text.
const LOOKED_AT: usize = 64 << 10;

/// How one text changes, whatever repository it is from. Names of files and notes are the caller's.
///
/// # Errors
/// When libgit2 can't compare them: one has 4 GiB, or there is no memory.
pub fn text_diff(path: &str, old: &[u8], new: &[u8], limits: DiffLimits) -> Result<DiffFile, MirrorError> {
    let mut file = DiffFile { path: path.to_owned(), ..DiffFile::default() };
    match [Content::of(old), Content::of(new)].iter().find_map(|text| text.too_much(limits)) {
        Some(note) => leave_out(&mut file, note),
        None => compare(old, new, limits, &mut Left::of(limits), &mut file)?,
    }
    Ok(file)
}

/// Says why a file's lines are not there.
pub(super) fn leave_out(file: &mut DiffFile, why: String) {
    file.notes.push(why);
    file.not_compared = true;
}

/// Adds the lines that differ, as far as there is room.
pub(super) fn compare(
    old: &[u8],
    new: &[u8],
    limits: DiffLimits,
    left: &mut Left,
    file: &mut DiffFile,
) -> Result<(), MirrorError> {
    let (old, new) = without_common_end(old, new);
    let mut options = DiffOptions::new();
    options.context_lines(3).interhunk_lines(0).indent_heuristic(true).force_text(true);
    let failed = |source| MirrorError::of_objects(format!("comparing {}", file.path), source);
    let patch = Patch::from_buffers(old, None, new, None, Some(&mut options)).map_err(failed)?;
    let mut own = Left { lines: left.lines.min(limits.lines_of_file), budget: left.budget.part(limits.bytes_of_file) };
    let before = own.lines;
    let done = lines(&patch, limits, &mut own, file)
        .map_err(|source| MirrorError::of_objects(format!("comparing {}", file.path), source));
    left.lines -= before - own.lines;
    left.budget.give_back(own.budget);
    done
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

/// What the whole diff may still get.
pub(super) struct Left {
    lines: usize,
    budget: Budget,
}

impl Left {
    pub(super) fn of(limits: DiffLimits) -> Self {
        Self { lines: limits.lines, budget: Budget::of(limits.bytes) }
    }

    fn is_spent(&self) -> bool {
        self.lines == 0 || self.budget.is_spent()
    }
}

/// One side of a file, as far as it decides how the file is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Content {
    pub(super) bytes: u64,
    lines: usize,
    /// Most of its front is no text in any way. It is shown all the same, after the others and with its bytes beside it.
    pub(super) is_binary: bool,
    pub(super) has_nul: bool,
}

impl Content {
    pub(super) fn of(bytes: &[u8]) -> Self {
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
            is_binary: odd * 10 > front.len() * 3,
            has_nul: memchr::memchr(0, bytes).is_some(),
        }
    }

    /// Why its lines are not compared.
    pub(super) fn too_much(&self, limits: DiffLimits) -> Option<String> {
        if self.bytes > u64::from(limits.file_bytes) {
            Some(too_large(self.bytes))
        } else if self.lines > limits.file_lines {
            Some(format!("too long to be compared: {} lines", self.lines))
        } else {
            None
        }
    }
}

pub(super) fn too_large(bytes: u64) -> String {
    format!("too large to be compared: {bytes} bytes")
}

fn lines(patch: &Patch<'_>, limits: DiffLimits, left: &mut Left, file: &mut DiffFile) -> Result<(), git2::Error> {
    let (context, added, removed) = patch.line_stats()?;
    (file.added, file.removed) = (added as u64, removed as u64);
    let mut told = 0;
    'hunks: for hunk in 0..patch.num_hunks() {
        let (head, count) = patch.hunk(hunk)?;
        if left.is_spent() {
            break;
        }
        push(file, left, limits, DiffKind::Hunk, (None, None), head.header());
        for at in 0..count {
            if left.is_spent() {
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
    let (text, is_cut) = left.budget.line_of(content, limits.line_chars);
    // A hunk's head is git's own, with a line of the file that it cuts, too.
    file.lines_cut += u64::from(is_cut && kind != DiffKind::Hunk);
    left.lines = left.lines.saturating_sub(1);
    file.lines.push(DiffLine { kind, old, new, text });
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
        assert!(is_binary(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0") && is_binary(&[0xff; 100]));
    }
}
