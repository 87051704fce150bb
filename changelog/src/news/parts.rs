//! The parts of a section: what stands right under its heading, and under each heading within. Each is looked at once, however much is
//! added to it.

use std::collections::HashMap;
use std::ops::Range;

use super::News;
use super::headings::bullet;
use super::layout::{Layout, Version};
use crate::lines::{LineEnd, blank_tail, is_blank, lines, separate, without_blank_lines};
use crate::steps;

/// What stands last in a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Its heading: nothing is said below it.
    Heading,
    /// Something of a list.
    List,
    /// Other text.
    Text,
}

/// A section's own text, or that of a heading within; the first has no title.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) title: String,
    pub(super) level: usize,
    text: Vec<u8>,
    /// The blank lines at its end: what is added comes above them.
    tail: Vec<u8>,
    last: Last,
}

impl Part {
    /// Of a text that starts with the heading, which has so many bytes.
    pub(super) fn new(title: String, level: usize, heading: usize, mut text: Vec<u8>) -> Self {
        let below = text.get(heading..).unwrap_or_default();
        if is_blank(below) {
            return Self { title, level, text, tail: Vec::new(), last: Last::Heading };
        }
        let last = if ends_in_list(below) { Last::List } else { Last::Text };
        let tail = text.split_off(blank_tail(&text));
        Self { title, level, text, tail, last }
    }

    /// Adds at the end of the text.
    fn push(&mut self, piece: &[u8], end: LineEnd) {
        if !self.text.is_empty() && !self.text.ends_with(b"\n") {
            self.text.extend_from_slice(end.as_bytes());
        }
        // A list does not start right below a line of text.
        if self.last == Last::Text {
            self.text.extend_from_slice(end.as_bytes());
        }
        self.text.extend_from_slice(piece);
        let goes_on = self.last == Last::List && !lines(piece).any(is_blank);
        self.last = if goes_on || ends_in_list(piece) { Last::List } else { Last::Text };
    }
}

/// All parts of a section, the first of which is its own.
pub(super) struct Parts {
    all: Vec<Part>,
    /// Where those of a title stand, lowest first.
    titled: HashMap<Vec<u8>, Vec<usize>>,
    /// Where news of a section and heading was found to go: of many pieces with one heading, it is read once.
    found: HashMap<Goes, usize>,
}

/// A section's name, and the heading by which it is, not by what it says.
type Goes = (Option<String>, *const u8);

impl Parts {
    /// Of a section that is not there yet.
    pub(super) fn only(own: Part) -> Self {
        Self::indexed(vec![own])
    }

    /// Of a section of a file.
    pub(super) fn of(layout: &Layout<'_>, version: &Version) -> Self {
        let own = &version.heading;
        let inner = layout.headings.within(own.lines.end..version.range.end.max(own.lines.end));
        let end_of = |n: usize| inner.get(n).map_or(version.range.end, |h| h.lines.start);
        let first = layout.text[version.range.start..end_of(0)].to_vec();
        let mut all = vec![Part::new(String::new(), own.level, own.lines.len(), first)];
        all.extend(inner.iter().enumerate().map(|(n, h)| {
            let text = layout.text[h.lines.start..end_of(n + 1)].to_vec();
            Part::new(layout.shown(h), h.level, h.lines.len(), text)
        }));
        let heads: Vec<usize> = inner.iter().map(|h| h.lines.len()).collect();
        Self::indexed(joined(all, &heads))
    }

    fn indexed(all: Vec<Part>) -> Self {
        let mut parts = Self { all, titled: HashMap::new(), found: HashMap::new() };
        parts.index();
        parts
    }

    fn index(&mut self) {
        self.titled.clear();
        steps::count(self.all.len());
        for (at, part) in self.all.iter().enumerate().skip(1) {
            self.titled.entry(key(&part.title)).or_default().push(at);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The first of this title among some.
    pub(super) fn titled(&self, title: &str, among: Range<usize>) -> Option<usize> {
        let places = self.titled.get(&key(title))?;
        places.get(places.partition_point(|at| *at < among.start)).copied().filter(|at| *at < among.end)
    }

    /// The first of some that is such a one.
    pub(super) fn find(&self, among: Range<usize>, is_it: impl Fn(&Part) -> bool) -> Option<usize> {
        steps::count(among.len());
        among.clone().zip(&self.all[among]).find(|(_, part)| is_it(part)).map(|(at, _)| at)
    }

    pub(super) fn insert(&mut self, at: usize, part: Part) {
        if at == self.all.len() {
            self.titled.entry(key(&part.title)).or_default().push(at);
            self.all.push(part);
            return;
        }
        // Seldom: only what has a place of its own in an order comes before others.
        self.all.insert(at, part);
        for place in self.found.values_mut().filter(|place| **place >= at) {
            *place += 1;
        }
        self.index();
    }

    /// Adds a piece of news, written as `piece`, to the part that `place` finds or makes for it.
    pub(super) fn add(&mut self, news: &News, piece: &[u8], end: LineEnd, place: impl FnOnce(&mut Self) -> usize) {
        let goes = (news.section.clone(), news.which_heading());
        let at = match self.found.get(&goes) {
            Some(&at) => at,
            None => {
                let at = place(self);
                self.found.insert(goes, at);
                at
            }
        };
        let Some(part) = self.all.get_mut(at) else { return };
        // A version's own list does not start right below its heading.
        if at == 0 && part.last == Last::Heading {
            separate(&mut part.text, 1, end);
        }
        part.push(piece, end);
    }

    /// Writes them all, a blank line at least between two.
    pub(super) fn write(&self, out: &mut Vec<u8>, end: LineEnd) {
        for (n, part) in self.all.iter().enumerate() {
            if n > 0 {
                separate(out, 1, end);
            }
            out.extend_from_slice(&part.text);
            out.extend_from_slice(&part.tail);
        }
    }
}

/// Parts that a merge doubled are one again, unless there are others below them. `headings`: how long those of all but the first are.
fn joined(parts: Vec<Part>, headings: &[usize]) -> Vec<Part> {
    let top = parts.get(1).map_or(0, |p| p.level);
    let levels: Vec<usize> = parts.iter().map(|p| p.level).collect();
    let mut all: Vec<Part> = Vec::with_capacity(parts.len());
    let mut twins: HashMap<Vec<u8>, usize> = HashMap::new();
    for (n, part) in parts.into_iter().enumerate() {
        let name = part.title.to_ascii_lowercase().into_bytes();
        if n == 0 || part.level != top || name.is_empty() {
            all.push(part);
            continue;
        }
        let twin = twins.get(&name).copied();
        let is_alone = levels.get(n + 1).is_none_or(|next| *next <= top);
        match twin.filter(|at| is_alone && all.get(at + 1).is_none_or(|p| p.level <= top)) {
            Some(first) => {
                let body = part.text.get(n.checked_sub(1).map_or(0, |n| headings[n])..).unwrap_or_default();
                let body = without_blank_lines(body);
                if !body.is_empty() {
                    all[first].push(body, LineEnd::of(&part.text));
                }
            }
            None => {
                twins.entry(name).or_insert(all.len());
                all.push(part);
            }
        }
    }
    all
}

/// A title's words, to find it by.
fn key(title: &str) -> Vec<u8> {
    steps::count(title.len() / 64);
    bare(title).to_ascii_lowercase().into_bytes()
}

/// A title without what stands around its words.
pub(super) fn bare(title: &str) -> &str {
    title.trim_matches(|c: char| !c.is_alphanumeric())
}

/// Whether the last paragraph belongs to a list: it has a bullet, or is indented below something that has.
fn ends_in_list(text: &[u8]) -> bool {
    let all: Vec<&[u8]> = lines(text).collect();
    let mut rest = all.as_slice();
    loop {
        while let [above @ .., last] = rest
            && is_blank(last)
        {
            rest = above;
        }
        let start = rest.iter().rposition(|line| is_blank(line)).map_or(0, |n| n + 1);
        let (above, paragraph) = rest.split_at(start);
        let Some(first) = paragraph.first() else { return false };
        if paragraph.iter().any(|line| bullet(line).is_some()) {
            return true;
        }
        if !matches!(first.first(), Some(b' ' | b'\t')) {
            return false;
        }
        rest = above;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_ends_in() {
        for list in ["- a\n", "Words:\n- a\n", "- a\n  b\n", "- a\nb\n", "- a\n\n  b\n\n  c\n\n", "* a\n\n\tb\n"] {
            assert!(ends_in_list(list.as_bytes()), "{list}");
        }
        for text in ["", "Words.\n", "- a\n\nWords.\n", "  Indented.\n", "Words.\n\n  Indented.\n\n", "    code\n"] {
            assert!(!ends_in_list(text.as_bytes()), "{text}");
        }
    }
}
