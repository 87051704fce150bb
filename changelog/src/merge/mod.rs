//! Three ChangeLogs become one: the merge driver's decisions. Entries added by both sides never conflict; what both changed
//! differently is marked, that entry only.

mod align;
mod body;
mod entries;
mod moved;
mod text;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::date::HeaderDate;
use crate::lines::{LineEnd, is_blank};
use crate::log::{ChangeLog, Extent};

/// Where entries go that both sides added at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Newest date first; of one day, theirs above ours.
    #[default]
    Date,
    /// Theirs above ours, whatever the dates.
    Arrival,
}

/// How conflicts are marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// How many `<`, `=` and `>` a marker has.
    pub size: usize,
    /// What follows the `<`s.
    pub ours: String,
    /// What follows the `>`s.
    pub theirs: String,
}

impl Default for Markers {
    fn default() -> Self {
        Self { size: 7, ours: "ours".to_owned(), theirs: "theirs".to_owned() }
    }
}

/// How to merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeOptions {
    /// Where added entries go.
    pub order: Order,
    /// How conflicts are marked.
    pub markers: Markers,
}

/// A merged ChangeLog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The file, with conflict markers where there are conflicts.
    pub bytes: Vec<u8>,
    /// How many conflicts are marked in it.
    pub conflicts: usize,
}

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

/// Merges three texts line by line, as git does without a driver.
pub fn merge_as_text(base: &[u8], ours: &[u8], theirs: &[u8], markers: &Markers) -> Merged {
    let mut out = Output { bytes: Vec::with_capacity(ours.len()), end: LineEnd::of(ours), conflicts: 0 };
    text::merge(base, ours, theirs, markers, &mut out);
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

/// Whether so many pieces of so many bytes are too small to be looked at one by one: what is noted of each would take many times the memory of
/// the file. Texts that people write have some thirty letters in a line.
fn too_fine(pieces: usize, bytes: usize) -> bool {
    pieces > 100_000 && bytes / pieces < 8
}

/// One of the two sides of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

/// What is written so far.
struct Output {
    bytes: Vec<u8>,
    end: LineEnd,
    conflicts: usize,
}

impl Output {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
    }

    /// Ends the line that was begun, if one was.
    fn end_line(&mut self) {
        if !self.bytes.is_empty() && !self.bytes.ends_with(b"\n") {
            self.bytes.extend_from_slice(self.end.as_bytes());
        }
    }

    /// Drops the last line's end.
    fn cut_line_end(&mut self) {
        let len = crate::lines::without_end(&self.bytes).len();
        self.bytes.truncate(len);
    }

    fn blank_line(&mut self) {
        self.end_line();
        self.bytes.extend_from_slice(self.end.as_bytes());
    }

    /// Both versions between markers.
    fn conflict(&mut self, markers: &Markers, ours: &[u8], theirs: &[u8]) {
        self.conflicts += 1;
        self.end_line();
        self.marker(b'<', markers.size, &markers.ours);
        self.push(ours);
        self.end_line();
        self.marker(b'=', markers.size, "");
        self.push(theirs);
        self.end_line();
        self.marker(b'>', markers.size, &markers.theirs);
    }

    fn marker(&mut self, mark: u8, size: usize, label: &str) {
        self.bytes.extend(std::iter::repeat_n(mark, size));
        if !label.is_empty() {
            self.push(b" ");
            self.push(label.as_bytes());
        }
        self.push(self.end.as_bytes());
    }
}

/// What becomes of something that the base has, or had none of.
enum Verdict<T> {
    /// This one, whichever side it is from.
    Take(T),
    /// Both changed it.
    Both,
}

/// The rule for anything that can be compared: changed on one side only, that side's; the same on both, once.
fn three_way<T: Copy>(base: T, ours: T, theirs: T, same: impl Fn(T, T) -> bool) -> Verdict<T> {
    if same(ours, theirs) || same(theirs, base) {
        Verdict::Take(ours)
    } else if same(ours, base) {
        Verdict::Take(theirs)
    } else {
        Verdict::Both
    }
}

#[cfg(test)]
mod tests;
