//! Which entries a ChangeLog has already. An entry is the same if authors and text are; its date may differ, because a fold re-dates.
//! A fold also joins entries under one header, so what is looked up is a run of paragraphs. The same words come back for
//! years, so that only paragraphs count that can be copies: those gained since a base, or dated on or after the entry.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use jiff::civil::Date;

use crate::header::Header;
use crate::lines::{is_blank, lines, trim_end};
use crate::log::{ChangeLog, Entry};
use crate::steps;

/// The paragraphs of a ChangeLog that an entry could be a copy of.
pub(crate) struct Known<'a> {
    hasher: RandomState,
    entries: Vec<KnownEntry<'a>>,
    /// By author and paragraph: where such a one can be the first of a copy.
    starts: HashMap<u64, Vec<Place>>,
    /// By author, first paragraph and how many: the runs there are, each by what it says, once they are asked for. Many
    /// entries that start alike are so not compared with many others.
    runs: HashMap<(u64, usize), HashMap<u64, Place>>,
    dated: bool,
}

/// An entry, and a paragraph of it.
#[derive(Clone, Copy)]
struct Place {
    entry: usize,
    paragraph: usize,
}

struct KnownEntry<'a> {
    day: Option<Date>,
    /// Each with how many from it on may be copies.
    paragraphs: Vec<(&'a [u8], usize)>,
    /// What those before each say together, and all.
    said: Vec<u64>,
    authors: u64,
}

/// What several paragraphs say, in one number: that of a run is worked out of what stands before it and what stands before its end.
#[derive(Clone, Copy)]
struct Said {
    sum: u64,
    /// The base to the power of how many they are.
    power: u64,
}

impl Said {
    const PRIME: u64 = (1 << 61) - 1;

    fn times(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b) % u128::from(Self::PRIME);
        u64::try_from(product).unwrap_or_default()
    }

    fn nothing() -> Self {
        Self { sum: 0, power: 1 }
    }

    fn and(self, paragraph: u64, base: u64) -> Self {
        let sum = (Self::times(self.sum, base) + paragraph % Self::PRIME) % Self::PRIME;
        Self { sum, power: Self::times(self.power, base) }
    }

    /// What the last of several say, of sums of all and of those before; `power` is that of how many they are.
    fn last(all: u64, before: u64, power: u64) -> u64 {
        (all + Self::PRIME - Self::times(before, power)) % Self::PRIME
    }
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
                entries.push(KnownEntry::new(&hasher, None, all, &entry));
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
            .map(|e| KnownEntry::new(&hasher, e.date().day, paragraphs(e.text()).map(|p| (p, true)).collect(), &e))
            .collect();
        Self::index(hasher, entries, true)
    }

    fn index(hasher: RandomState, entries: Vec<KnownEntry<'a>>, dated: bool) -> Self {
        let mut starts: HashMap<u64, Vec<Place>> = HashMap::new();
        for (e, entry) in entries.iter().enumerate() {
            for (p, (paragraph, run)) in entry.paragraphs.iter().enumerate() {
                if *run > 0 {
                    let key = start_key(&hasher, entry.authors, paragraph);
                    starts.entry(key).or_default().push(Place { entry: e, paragraph: p });
                }
            }
        }
        Self { hasher, entries, starts, runs: HashMap::new(), dated }
    }

    /// Whether an entry of these authors and this text is there.
    pub(crate) fn has(&mut self, header: &Header<'_>, text: &[u8]) -> bool {
        let wanted: Vec<&[u8]> = paragraphs(text).collect();
        let Some(first) = wanted.first() else { return false };
        if self.dated && header.date.day.is_none() {
            return false;
        }
        let key = start_key(&self.hasher, authors(&self.hasher, header), first);
        let Some(places) = self.starts.get(&key) else { return false };
        let base = base(&self.hasher);
        let said = wanted.iter().fold(Said::nothing(), |said, p| said.and(words(&self.hasher, p), base));
        let (entries, count) = (&self.entries, wanted.len());
        let runs = self.runs.entry((key, count)).or_insert_with(|| runs(entries, places, count, said.power));
        let Some(place) = runs.get(&said.sum) else { return false };
        let entry = &self.entries[place.entry];
        let run = entry.paragraphs.get(place.paragraph..place.paragraph + count);
        (!self.dated || entry.day >= header.date.day)
            && run.is_some_and(|run| run.iter().zip(&wanted).all(|((a, _), b)| same_text(a, b)))
    }
}

/// The runs of so many paragraphs that start at these places, each once: in the newest entry that has it.
fn runs(entries: &[KnownEntry<'_>], places: &[Place], count: usize, power: u64) -> HashMap<u64, Place> {
    let mut found: HashMap<u64, Place> = HashMap::new();
    steps::count(places.len());
    for place in places {
        let entry = &entries[place.entry];
        let is_run = entry.paragraphs.get(place.paragraph).is_some_and(|(_, run)| *run >= count);
        let (Some(before), Some(all)) = (entry.said.get(place.paragraph), entry.said.get(place.paragraph + count))
        else {
            continue;
        };
        if is_run {
            let there = found.entry(Said::last(*all, *before, power)).or_insert(*place);
            if entries[there.entry].day < entry.day {
                *there = *place;
            }
        }
    }
    found
}

impl<'a> KnownEntry<'a> {
    /// Of paragraphs, each with whether it may be a copy.
    fn new(hasher: &RandomState, day: Option<Date>, all: Vec<(&'a [u8], bool)>, entry: &Entry<'_>) -> Self {
        let base = base(hasher);
        let mut last = Said::nothing();
        let mut said = vec![last.sum];
        for (paragraph, _) in &all {
            last = last.and(words(hasher, paragraph), base);
            said.push(last.sum);
        }
        let mut run = 0;
        let mut paragraphs: Vec<(&[u8], usize)> = Vec::with_capacity(all.len());
        for (paragraph, gained) in all.into_iter().rev() {
            run = if gained { run + 1 } else { 0 };
            paragraphs.push((paragraph, run));
        }
        paragraphs.reverse();
        Self { day, paragraphs, said, authors: authors(hasher, &entry.header()) }
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

/// What one paragraph says.
fn words(hasher: &RandomState, paragraph: &[u8]) -> u64 {
    let mut h = hasher.build_hasher();
    feed(&mut h, paragraph);
    std::hash::Hasher::finish(&h)
}

/// What sums are made with: nobody outside knows it.
fn base(hasher: &RandomState) -> u64 {
    hasher.hash_one("base") % (Said::PRIME - 2) + 2
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
