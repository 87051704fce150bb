//! Which entries a ChangeLog has already. An entry is the same if authors and text are; its date may differ, because a fold re-dates.
//! A fold also joins entries under one header, so what is looked up is a run of paragraphs. The same words come back for
//! years, so that only paragraphs count that can be copies: those gained since a base, or dated on or after the entry.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use jiff::civil::Date;

use crate::header::Header;
use crate::lines::{is_blank, lines, trim_end};
use crate::log::{ChangeLog, Entry};

/// The paragraphs of a ChangeLog that an entry could be a copy of.
pub(crate) struct Known<'a> {
    hasher: RandomState,
    entries: Vec<KnownEntry<'a>>,
    /// By author and paragraph: the entry and the paragraph in it.
    starts: HashMap<u64, Vec<(usize, usize)>>,
    dated: bool,
}

struct KnownEntry<'a> {
    day: Option<Date>,
    /// Each with whether it may be a copy.
    paragraphs: Vec<(&'a [u8], bool)>,
    authors: u64,
}

impl<'a> Known<'a> {
    /// The paragraphs that `log` gained since `base`.
    pub(crate) fn since(log: &ChangeLog<'a>, base: &ChangeLog<'_>) -> Self {
        let hasher = RandomState::new();
        let mut before: HashMap<u64, usize> = HashMap::new();
        for entry in base.entries() {
            for paragraph in paragraphs(entry.text()) {
                *before.entry(under_header(&hasher, &entry, paragraph)).or_default() += 1;
            }
        }
        let mut entries = Vec::new();
        // From the bottom: the old ones are there.
        for index in (0..log.entries().len()).rev() {
            let Some(entry) = log.entry(index) else { continue };
            let mut all: Vec<(&[u8], bool)> = paragraphs(entry.text()).map(|p| (p, true)).collect();
            for (paragraph, gained) in all.iter_mut().rev() {
                if let Some(n) = before.get_mut(&under_header(&hasher, &entry, paragraph)).filter(|n| **n > 0) {
                    *n -= 1;
                    *gained = false;
                }
            }
            if all.iter().any(|(_, gained)| *gained) {
                entries.push(KnownEntry { day: None, paragraphs: all, authors: authors(&hasher, &entry.header()) });
            }
        }
        Self::index(hasher, entries, false)
    }

    /// The paragraphs of the entries of `log` that are dated on or after `day`; no entry is looked up that is older.
    pub(crate) fn from_day(log: &ChangeLog<'a>, day: Date) -> Self {
        let hasher = RandomState::new();
        let entries = log
            .entries()
            .filter(|e| e.date().day.is_some_and(|d| d >= day))
            .map(|e| KnownEntry {
                day: e.date().day,
                paragraphs: paragraphs(e.text()).map(|p| (p, true)).collect(),
                authors: authors(&hasher, &e.header()),
            })
            .collect();
        Self::index(hasher, entries, true)
    }

    fn index(hasher: RandomState, entries: Vec<KnownEntry<'a>>, dated: bool) -> Self {
        let mut starts: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
        for (e, entry) in entries.iter().enumerate() {
            for (p, (paragraph, gained)) in entry.paragraphs.iter().enumerate() {
                if *gained {
                    starts.entry(start_key(&hasher, entry.authors, paragraph)).or_default().push((e, p));
                }
            }
        }
        Self { hasher, entries, starts, dated }
    }

    /// Whether an entry of these authors and this text is there.
    pub(crate) fn has(&self, header: &Header<'_>, text: &[u8]) -> bool {
        let wanted: Vec<&[u8]> = paragraphs(text).collect();
        let Some(first) = wanted.first() else { return false };
        if self.dated && header.date.day.is_none() {
            return false;
        }
        let key = start_key(&self.hasher, authors(&self.hasher, header), first);
        let Some(places) = self.starts.get(&key) else { return false };
        places.iter().any(|&(e, p)| {
            let entry = &self.entries[e];
            let late_enough = !self.dated || entry.day >= header.date.day;
            let run = entry.paragraphs.get(p..p + wanted.len());
            late_enough
                && run.is_some_and(|run| run.iter().zip(&wanted).all(|((a, gained), b)| *gained && same_text(a, b)))
        })
    }
}

/// The text's paragraphs: runs of lines without a blank one.
pub(crate) fn paragraphs(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = crate::lines::blank_head(rest);
        rest = &rest[start..];
        let len: usize = lines(rest).take_while(|l| !is_blank(l)).map(<[u8]>::len).sum();
        let (paragraph, after) = rest.split_at(len);
        rest = after;
        (len > 0).then_some(paragraph)
    })
}

/// Whether two texts are the same but for blanks at line ends.
pub(crate) fn same_text(a: &[u8], b: &[u8]) -> bool {
    lines(a).map(trim_end).eq(lines(b).map(trim_end))
}

fn under_header(hasher: &RandomState, entry: &Entry<'_>, paragraph: &[u8]) -> u64 {
    let mut h = hasher.build_hasher();
    feed(&mut h, entry.header_bytes());
    feed(&mut h, paragraph);
    std::hash::Hasher::finish(&h)
}

fn start_key(hasher: &RandomState, authors: u64, paragraph: &[u8]) -> u64 {
    let mut h = hasher.build_hasher();
    std::hash::Hasher::write_u64(&mut h, authors);
    feed(&mut h, paragraph);
    std::hash::Hasher::finish(&h)
}

fn authors(hasher: &RandomState, header: &Header<'_>) -> u64 {
    hasher.hash_one(&header.authors)
}

fn feed(h: &mut impl std::hash::Hasher, text: &[u8]) {
    for line in lines(text) {
        h.write(trim_end(line));
        h.write_u8(b'\n');
    }
    h.write_u8(0);
}
