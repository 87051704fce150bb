//! Three ChangeLogs become one: the merge driver's decisions. Entries added by both sides never conflict; what both changed
//! differently is marked, that entry only.

mod align;
mod alike;
mod body;
mod entries;
mod moved;
mod options;
mod output;
mod text;

use std::borrow::Cow;

pub use options::{Markers, MergeOptions, Merged, Order};
use output::Output;
pub use text::merge_as_text;

use crate::date::HeaderDate;
use crate::lines::{LineEnd, is_blank};
use crate::log::{ChangeLog, Extent};

/// Merges `ours` and `theirs`, which both come from `base`.
pub fn merge(base: &[u8], ours: &[u8], theirs: &[u8], options: &MergeOptions) -> Merged {
    let tail = common_tail(base, ours, theirs);
    let [base, ours_head, theirs] = [base, ours, theirs].map(|file| &file[..file.len() - tail]);
    let tail = &ours[ours_head.len()..];
    let mut merged = merge_heads(base, ours_head, theirs, tail, options);
    merged.bytes.extend_from_slice(tail);
    merged
}

/// Merges the heads of three files that all go on with the same tail, of which `tail` is at least the first lines (empty if there is none). The
/// tail must start where [`entry_start`] finds one; it is not part of the result.
pub fn merge_heads(base: &[u8], ours: &[u8], theirs: &[u8], tail: &[u8], options: &MergeOptions) -> Merged {
    if ours == theirs || theirs == base {
        return Merged { bytes: ours.to_vec(), conflicts: 0 };
    }
    if ours == base {
        return Merged { bytes: theirs.to_vec(), conflicts: 0 };
    }
    if tail.is_empty() && crate::news::is_keep(ours) {
        return crate::news::merge_keep(base, ours, theirs, options);
    }
    // A side that only has other line ends than ours has not changed anything.
    let shown = if ours.is_empty() { &tail[..tail.len().min(4096)] } else { ours };
    let end = LineEnd::uniform(shown).unwrap_or_else(|| LineEnd::of(shown));
    let (base, theirs) = (with_line_ends_of(shown, base), with_line_ends_of(shown, theirs));
    if theirs == base {
        return Merged { bytes: ours.to_vec(), conflicts: 0 };
    }
    let extent = if tail.is_empty() { Extent::Whole } else { Extent::Head };
    let mut out = Output { bytes: Vec::with_capacity(ours.len() + theirs.len() / 8), end, conflicts: 0 };
    entries::merge(
        &ChangeLog::parse_extent(&base, extent),
        &ChangeLog::parse_extent(ours, extent),
        &ChangeLog::parse_extent(&theirs, extent),
        options,
        &mut out,
    );
    Merged { bytes: out.bytes, conflicts: out.conflicts }
}

/// The numbers of the entries of `side` that `base` does not have, neither as they are nor changed.
pub(crate) fn added_entries(base: &ChangeLog<'_>, side: &ChangeLog<'_>) -> Vec<usize> {
    entries::added_to(base, side)
}

/// The file with the line ends of `ours`, if both have one kind throughout and it is not the same.
fn with_line_ends_of<'a>(ours: &[u8], file: &'a [u8]) -> Cow<'a, [u8]> {
    match (LineEnd::uniform(ours), LineEnd::uniform(file)) {
        (Some(wanted), Some(has)) if wanted != has => {
            let mut out = Vec::with_capacity(file.len() + file.len() / 16);
            for line in crate::lines::lines(file) {
                out.extend_from_slice(crate::lines::without_end(line));
                if line.ends_with(b"\n") {
                    out.extend_from_slice(wanted.as_bytes());
                }
            }
            Cow::Owned(out)
        }
        _ => Cow::Borrowed(file),
    }
}

/// How many bytes at the end of all three are the same and start with an entry: most of a large ChangeLog, which need not be read.
fn common_tail(base: &[u8], ours: &[u8], theirs: &[u8]) -> usize {
    // A file of another format has no entries that could be merged one by one.
    if ours.starts_with(b"#") {
        return 0;
    }
    let same = common_suffix(base, ours, base.len().min(ours.len()));
    let same = common_suffix(base, theirs, same.min(theirs.len()));
    let text = &base[base.len() - same..];
    entry_start(text).map_or(0, |start| text.len() - start)
}

/// Where in a piece of a ChangeLog the first entry starts that is one whatever stands above the piece: a header below a blank line, both whole
/// within the piece.
pub fn entry_start(text: &[u8]) -> Option<usize> {
    let mut line = None;
    let mut blank_above = false;
    for at in memchr::memchr_iter(b'\n', text) {
        if let Some(start) = line {
            let this: &[u8] = &text[start..=at];
            if blank_above && HeaderDate::at_start_of(this).is_some() {
                return Some(start);
            }
            blank_above = is_blank(this);
        }
        line = Some(at + 1);
    }
    None
}

fn common_suffix(a: &[u8], b: &[u8], at_most: usize) -> usize {
    const BLOCK: usize = 4096;
    let (a, b) = (&a[a.len() - at_most..], &b[b.len() - at_most..]);
    let blocks =
        a.rchunks(BLOCK).zip(b.rchunks(BLOCK)).take_while(|(a, b)| a == b).map(|(a, _)| a.len()).sum::<usize>();
    let rest = at_most - blocks;
    let bytes = a[..rest].iter().rev().zip(b[..rest].iter().rev()).take(BLOCK).take_while(|(a, b)| a == b).count();
    blocks + bytes
}

#[cfg(test)]
mod tests;
