//! The headings of a file by where they stand. Whoever asks for those of a part is given these, and no others are looked at:
//! how many a file has, a stranger chooses.

use std::ops::Range;

use super::headings::Heading;
use crate::steps;

/// Headings, in the order that they stand in.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    all: Vec<Heading>,
}

impl Outline {
    pub(super) fn new(all: Vec<Heading>) -> Self {
        Self { all }
    }

    /// All of them: for what goes through the file once.
    pub(crate) fn all(&self) -> &[Heading] {
        steps::count(self.all.len());
        &self.all
    }

    /// The first of all.
    pub(crate) fn first(&self) -> Option<&Heading> {
        self.all.first()
    }

    /// Those that start within this part of the file.
    pub(crate) fn within(&self, part: Range<usize>) -> &[Heading] {
        let from = self.all.partition_point(|h| h.lines.start < part.start);
        let to = from + self.all[from..].partition_point(|h| h.lines.start < part.end);
        steps::count(1 + to - from);
        &self.all[from..to]
    }

    /// The last that starts before this place.
    pub(crate) fn before(&self, place: usize) -> Option<&Heading> {
        steps::count(1);
        self.all[..self.all.partition_point(|h| h.lines.start < place)].last()
    }

    /// The first that starts at this place or later.
    pub(crate) fn from(&self, place: usize) -> Option<&Heading> {
        steps::count(1);
        self.all.get(self.all.partition_point(|h| h.lines.start < place))
    }

    /// Whether the line that starts here is one of a heading.
    pub(crate) fn has_line(&self, start: usize) -> bool {
        self.before(start + 1).is_some_and(|h| h.lines.contains(&start))
    }
}
