//! The three-way merge of plain lines, for what stands around the entries.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use super::align::Alignment;
use super::options::{Markers, Merged};
use super::output::{Output, Verdict, three_way, too_fine};
use crate::lines::{LineEnd, lines};

/// Merges three texts line by line, as git does without a driver.
pub fn merge_as_text(base: &[u8], ours: &[u8], theirs: &[u8], markers: &Markers) -> Merged {
    let mut out = Output { bytes: Vec::with_capacity(ours.len()), end: LineEnd::of(ours), conflicts: 0 };
    merge(base, ours, theirs, markers, &mut out);
    Merged { bytes: out.bytes, conflicts: out.conflicts }
}

/// Merges three texts line by line; what both changed differently is marked.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], markers: &Markers, out: &mut Output) {
    match three_way(base, ours, theirs, |a, b| a == b) {
        Verdict::Take(text) => out.push(text),
        Verdict::Both => by_lines(base, ours, theirs, markers, out),
    }
}

/// Merges what the files end with: the end of the last line is as ours has it, and nothing to disagree on.
pub(super) fn merge_last(base: &[u8], ours: &[u8], theirs: &[u8], markers: &Markers, out: &mut Output) {
    let end = out.end;
    let whole = |text: &[u8]| -> Vec<u8> {
        let open = !text.is_empty() && !text.ends_with(b"\n");
        [text, if open { end.as_bytes() } else { b"" }].concat()
    };
    let before = out.conflicts;
    merge(&whole(base), &whole(ours), &whole(theirs), markers, out);
    if !ours.is_empty() && !ours.ends_with(b"\n") && out.conflicts == before {
        out.cut_line_end();
    }
}

fn by_lines(base: &[u8], ours: &[u8], theirs: &[u8], markers: &Markers, out: &mut Output) {
    let texts = [base, ours, theirs];
    let above = common_lines(texts);
    out.push(&base[..above]);
    let rest = texts.map(|text| &text[above..]);
    let below = common_lines_below(rest);
    let [base, ours, theirs] = rest.map(|text| &text[..text.len() - below]);
    by_changed_lines(base, ours, theirs, markers, out);
    out.push(&rest[0][rest[0].len() - below..]);
}

/// How many bytes the lines at the start take that all three have.
fn common_lines([base, ours, theirs]: [&[u8]; 3]) -> usize {
    let same = base.iter().zip(ours).zip(theirs).take_while(|((b, o), t)| b == o && b == t).count();
    memchr::memrchr(b'\n', &base[..same]).map_or(0, |at| at + 1)
}

/// How many bytes the lines at the end take that all three have, each with the line end above it.
fn common_lines_below([base, ours, theirs]: [&[u8]; 3]) -> usize {
    let backwards = base.iter().rev().zip(ours.iter().rev()).zip(theirs.iter().rev());
    let same = backwards.take_while(|((b, o), t)| b == o && b == t).count();
    let tail = &base[base.len() - same..];
    memchr::memchr(b'\n', tail).map_or(0, |at| tail.len() - at - 1)
}

fn by_changed_lines(base: &[u8], ours: &[u8], theirs: &[u8], markers: &Markers, out: &mut Output) {
    let texts = [base, ours, theirs];
    let count = |text: &[u8]| lines(text).count();
    // With one of them empty there is no line that all have.
    if texts.iter().any(|text| text.is_empty() || too_fine(count(text), text.len())) {
        return hunk(base, ours, theirs, markers, out);
    }
    let [b, o, t] = texts.map(Lines::of);
    let hasher = RandomState::new();
    let align = |side: &Lines<'_>| {
        let mut alignment = Alignment::new(b.len(), side.len());
        alignment.by_key(|i| Some(hasher.hash_one(b.line(i))), |i| Some(hasher.hash_one(side.line(i))));
        alignment
    };
    let (of_ours, of_theirs) = (align(&o), align(&t));
    // Between two lines that all three have, whatever is not the same is one hunk.
    let (mut last_b, mut last_o, mut last_t) = (0, 0, 0);
    let common = (0..b.len()).filter_map(|i| Some((i, of_ours.side_of(i)?, of_theirs.side_of(i)?)));
    for (at_b, at_o, at_t) in common.chain([(b.len(), o.len(), t.len())]) {
        hunk(b.lines(last_b..at_b), o.lines(last_o..at_o), t.lines(last_t..at_t), markers, out);
        if at_o < o.len() {
            out.push(o.line(at_o));
        }
        (last_b, last_o, last_t) = (at_b + 1, at_o + 1, at_t + 1);
    }
}

/// A text and where its lines end.
struct Lines<'a> {
    text: &'a [u8],
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a [u8]) -> Self {
        let mut at = 0;
        let end = |line: &[u8]| {
            at += line.len();
            at
        };
        Self { text, ends: lines(text).map(end).collect() }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn line(&self, at: usize) -> &'a [u8] {
        self.lines(at..at + 1)
    }

    fn lines(&self, which: Range<usize>) -> &'a [u8] {
        let start = |at: usize| at.checked_sub(1).map_or(0, |above| self.ends[above]);
        &self.text[start(which.start)..start(which.end)]
    }
}

fn hunk(base: &[u8], ours: &[u8], theirs: &[u8], markers: &Markers, out: &mut Output) {
    match three_way(base, ours, theirs, |a, b| a == b) {
        Verdict::Take(text) => out.push(text),
        Verdict::Both => out.conflict(markers, ours, theirs),
    }
}
