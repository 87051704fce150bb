//! What all merges are made of: the two sides, what comes of each piece, and where it is written.

use super::options::Markers;
use crate::lines::LineEnd;

/// Whether so many pieces of so many bytes are too small to be looked at one by one: what is noted of each would take many times the memory of
/// the file. Texts that people write have some thirty letters in a line.
pub(super) fn too_fine(pieces: usize, bytes: usize) -> bool {
    pieces > 100_000 && bytes / pieces < 8
}

/// One of the two sides of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Ours,
    Theirs,
}

/// What is written so far.
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    pub(super) end: LineEnd,
    pub(super) conflicts: usize,
}

impl Output {
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
    }

    /// Ends the line that was begun, if one was.
    pub(super) fn end_line(&mut self) {
        if !self.bytes.is_empty() && !self.bytes.ends_with(b"\n") {
            self.bytes.extend_from_slice(self.end.as_bytes());
        }
    }

    /// Drops the last line's end.
    pub(super) fn cut_line_end(&mut self) {
        let len = crate::lines::without_end(&self.bytes).len();
        self.bytes.truncate(len);
    }

    pub(super) fn blank_line(&mut self) {
        self.end_line();
        self.bytes.extend_from_slice(self.end.as_bytes());
    }

    /// Both versions between markers.
    pub(super) fn conflict(&mut self, markers: &Markers, ours: &[u8], theirs: &[u8]) {
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

    pub(super) fn marker(&mut self, mark: u8, size: usize, label: &str) {
        self.bytes.extend(std::iter::repeat_n(mark, size));
        if !label.is_empty() {
            self.push(b" ");
            self.push(label.as_bytes());
        }
        self.push(self.end.as_bytes());
    }
}

/// What becomes of something that the base has, or had none of.
pub(super) enum Verdict<T> {
    /// This one, whichever side it is from.
    Take(T),
    /// Both changed it.
    Both,
}

/// The rule for anything that can be compared: changed on one side only, that side's; the same on both, once.
pub(super) fn three_way<T: Copy>(base: T, ours: T, theirs: T, same: impl Fn(T, T) -> bool) -> Verdict<T> {
    if same(ours, theirs) || same(theirs, base) {
        Verdict::Take(ours)
    } else if same(ours, base) {
        Verdict::Take(theirs)
    } else {
        Verdict::Both
    }
}
