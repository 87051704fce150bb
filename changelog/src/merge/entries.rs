//! The merge of a ChangeLog's parts: preamble, entries, trailer.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use super::align::{Alignment, Votes};
use super::alike::{hash_without_blanks, line_hashes, same};
use super::moved::Moved;
use super::options::{MergeOptions, Order};
use super::output::{Output, Side, Verdict, three_way};
use super::{body, text};
use crate::header::same_header;
use crate::lines::without_end;
use crate::log::{ChangeLog, Entry};

/// Merges the three and writes the result.
pub(super) fn merge(
    base: &ChangeLog<'_>,
    ours: &ChangeLog<'_>,
    theirs: &ChangeLog<'_>,
    options: &MergeOptions,
    out: &mut Output,
) {
    let hasher = RandomState::new();
    let (of_ours, of_theirs) = (align(base, ours, &hasher), align(base, theirs, &hasher));
    let moved = Moved::find(base, (ours, &of_ours), (theirs, &of_theirs), &hasher);
    let merge = Merge { of_ours, of_theirs, moved, base, ours, theirs, options };
    let only_preamble = [base, ours, theirs].iter().all(|log| log.preamble().len() == log.bytes().len());
    let merge_preamble = if only_preamble { text::merge_last } else { text::merge };
    merge_preamble(base.preamble(), ours.preamble(), theirs.preamble(), &options.markers, out);
    let mut trailer = Output { bytes: Vec::new(), end: out.end, conflicts: 0 };
    text::merge_last(base.trailer(), ours.trailer(), theirs.trailer(), &options.markers, &mut trailer);
    merge.entries(!trailer.bytes.is_empty(), &hasher, out);
    if !trailer.bytes.is_empty() && ours.trailer().is_empty() && !out.bytes.is_empty() {
        out.end_line();
        if crate::lines::blank_tail(&out.bytes) == out.bytes.len() {
            out.blank_line();
        }
    }
    out.push(&trailer.bytes);
    out.conflicts += trailer.conflicts;
}

/// The numbers of the entries of `side` that are none of the base's.
pub(super) fn added_to(base: &ChangeLog<'_>, side: &ChangeLog<'_>) -> Vec<usize> {
    let found = align(base, side, &RandomState::new());
    (0..side.entries().len()).filter(|&s| found.base_of(s).is_none()).collect()
}

/// Which entries of a side are which of the base.
fn align(base: &ChangeLog<'_>, side: &ChangeLog<'_>, hasher: &RandomState) -> Alignment {
    let mut found = Alignment::new(base.entries().len(), side.entries().len());
    let mut by = |key: &dyn Fn(&Entry<'_>) -> Option<u64>| {
        found.by_key(|b| key(&base.entry(b)?), |s| key(&side.entry(s)?));
    };
    by(&|e| Some(hasher.hash_one(without_end(e.content()))));
    by(&|e| Some(hash_without_blanks(e.content(), hasher)));
    by(&|e| (!e.text().is_empty()).then(|| hash_without_blanks(e.text(), hasher)));
    let features = |log: &ChangeLog<'_>, at: usize| log.entry(at).map_or(Vec::new(), |e| line_hashes(e.text(), hasher));
    let alike = |v: Votes| match (base.entry(v.base), side.entry(v.side)) {
        (Some(b), Some(s)) => {
            same_header(b.header_bytes(), s.header_bytes()) || 2 * v.shared >= v.base_size.max(v.side_size)
        }
        _ => false,
    };
    found.by_votes(|b| features(base, b), |s| features(side, s), alike);
    let header = |log: &ChangeLog<'_>, at: usize| Some(hash_without_blanks(log.entry(at)?.header_bytes(), hasher));
    found.by_key(|b| header(base, b), |s| header(side, s));
    found
}

struct Merge<'a> {
    base: &'a ChangeLog<'a>,
    ours: &'a ChangeLog<'a>,
    theirs: &'a ChangeLog<'a>,
    of_ours: Alignment,
    of_theirs: Alignment,
    moved: Moved<'a>,
    options: &'a MergeOptions,
}

/// What becomes of an entry of the base.
enum Fate<'a> {
    Gone,
    /// Gone, but for what the other side wrote above its text.
    Left(Side, Addition<'a>),
    /// One version, and the blank lines below it.
    Kept(Piece<'a>),
    Conflict {
        ours: Option<Entry<'a>>,
        theirs: Option<Entry<'a>>,
    },
}

/// Something to write: a text without the blank lines below it, and those, if they are known.
struct Piece<'a> {
    text: PieceText<'a>,
    separator: Option<&'a [u8]>,
}

enum PieceText<'a> {
    Entry(Entry<'a>),
    Merged(Vec<u8>),
}

impl PieceText<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Entry(e) => e.content(),
            Self::Merged(text) => text,
        }
    }
}

impl<'a> Merge<'a> {
    fn entries(&self, trailer_follows: bool, hasher: &RandomState, out: &mut Output) {
        let ours = self.added(Side::Ours);
        let mut copies = Copies::of(&ours, hasher);
        let theirs: Vec<Added<'a>> =
            self.added(Side::Theirs).into_iter().filter(|a| !copies.take(&a.addition.entry)).collect();
        let (mut o, mut t) = (0, 0);
        let mut writer = Writer { out, pending: None };
        // A place is what lies between two entries that stay; all that is added there is sorted together.
        let mut place = Place::default();
        for b in 0..=self.base.entries().len() {
            take_while(&ours, &mut o, b, &mut place.ours);
            take_while(&theirs, &mut t, b, &mut place.theirs);
            if b == self.base.entries().len() {
                break;
            }
            match self.fate(b, writer.out) {
                Fate::Gone => {}
                Fate::Left(Side::Ours, addition) => place.ours.push(addition),
                Fate::Left(Side::Theirs, addition) => {
                    if !copies.take(&addition.entry) {
                        place.theirs.push(addition);
                    }
                }
                Fate::Kept(piece) => {
                    self.place(&mut place, &mut writer);
                    writer.piece(&piece);
                }
                Fate::Conflict { ours, theirs } => {
                    self.place(&mut place, &mut writer);
                    self.conflict(ours, theirs, &mut writer);
                }
            }
        }
        self.place(&mut place, &mut writer);
        let end = if self.ours.bytes().is_empty() { self.theirs } else { self.ours };
        writer.finish(end, trailer_follows);
    }

    /// The entries that a side added, from the top.
    fn added(&self, side: Side) -> Vec<Added<'a>> {
        let (log, alignment) = match side {
            Side::Ours => (self.ours, &self.of_ours),
            Side::Theirs => (self.theirs, &self.of_theirs),
        };
        let mut above = 0;
        let mut found = Vec::new();
        for (at, entry) in log.entries().enumerate() {
            if let Some(b) = alignment.base_of(at) {
                above = b + 1;
            } else if let Some(now) = self.moved.now(side, at, entry) {
                found.push(Added { above, addition: Addition { entry: now, separator: separator_of(log, entry) } });
            }
        }
        found
    }

    fn fate(&self, b: usize, out: &Output) -> Fate<'a> {
        let Some(base) = self.base.entry(b) else { return Fate::Gone };
        let ours = self.of_ours.side_of(b).and_then(|o| self.ours.entry(o));
        let theirs = self.of_theirs.side_of(b).and_then(|t| self.theirs.entry(t));
        let (o, t) = match (ours, theirs) {
            (Some(o), Some(t)) => (o, t),
            (None, None) => return Fate::Gone,
            (Some(_), None) if self.moved.has(Side::Theirs, b) => return Fate::Gone,
            (None, Some(_)) if self.moved.has(Side::Ours, b) => return Fate::Gone,
            (Some(entry), None) | (None, Some(entry)) => {
                if same(base, entry) {
                    return Fate::Gone;
                }
                let side = if ours.is_some() { Side::Ours } else { Side::Theirs };
                return match body::written_above(&base, &entry) {
                    Some(entry) => Fate::Left(
                        side,
                        Addition { entry, separator: Some(entry.separator()).filter(|s| !s.is_empty()) },
                    ),
                    None => Fate::Conflict { ours, theirs },
                };
            }
        };
        let text = match three_way(base, o, t, same) {
            Verdict::Take(entry) => PieceText::Entry(entry),
            Verdict::Both => match body::merge(&base, &o, &t, out.end) {
                Some(merged) => PieceText::Merged(merged),
                None => return Fate::Conflict { ours, theirs },
            },
        };
        let known = |log: &ChangeLog<'_>, entry: Entry<'a>| separator_of(log, entry);
        let separator = match (known(self.base, base), known(self.ours, o), known(self.theirs, t)) {
            (Some(b), Some(o), Some(t)) if o == b => Some(t),
            (_, Some(o), _) => Some(o),
            (_, None, t) => t,
        };
        Fate::Kept(Piece { text, separator })
    }

    /// Writes what both sides added at one place.
    fn place(&self, place: &mut Place<'a>, writer: &mut Writer<'_, 'a>) {
        let Place { ours, theirs } = std::mem::take(place);
        let mut sorted = interleave(&ours, &theirs, self.options.order).into_iter().peekable();
        while let Some((side, Addition { entry, separator })) = sorted.next() {
            let joins = |(other, next): &(Side, Addition<'_>)| {
                *other != side && same_header(next.entry.header_bytes(), entry.header_bytes())
            };
            let Some((_, next)) = sorted.next_if(joins) else {
                writer.piece(&Piece { text: PieceText::Entry(entry), separator });
                continue;
            };
            let (above, below) = if side == Side::Theirs { (entry, next.entry) } else { (next.entry, entry) };
            let text = PieceText::Merged(body::join(&above, &below, writer.out.end));
            writer.piece(&Piece { text, separator: next.separator });
        }
    }

    fn conflict(&self, ours: Option<Entry<'a>>, theirs: Option<Entry<'a>>, writer: &mut Writer<'_, 'a>) {
        writer.separate();
        let with_separator = |log: &ChangeLog<'a>, entry: Option<Entry<'a>>| -> Vec<u8> {
            let Some(entry) = entry else { return Vec::new() };
            let end = writer.out.end.as_bytes();
            let separator = separator_of(log, entry).unwrap_or(end);
            [without_end(entry.content()), end, separator].concat()
        };
        let (ours, theirs) = (with_separator(self.ours, ours), with_separator(self.theirs, theirs));
        writer.out.conflict(&self.options.markers, &ours, &theirs);
    }
}

/// The blank lines below an entry; unknown for the last one of a file, where what follows is the end.
fn separator_of<'a>(log: &ChangeLog<'_>, entry: Entry<'a>) -> Option<&'a [u8]> {
    let is_last =
        log.is_whole() && log.trailer().is_empty() && entry.offset() + entry.bytes().len() == log.bytes().len();
    (!is_last).then(|| entry.separator())
}

/// An entry that a side added, and the number of the base's entry that it stands above.
struct Added<'a> {
    above: usize,
    addition: Addition<'a>,
}

/// An entry to be written that the base does not have there.
#[derive(Clone, Copy)]
struct Addition<'a> {
    entry: Entry<'a>,
    separator: Option<&'a [u8]>,
}

/// What both sides added between two entries that stay.
#[derive(Default)]
struct Place<'a> {
    ours: Vec<Addition<'a>>,
    theirs: Vec<Addition<'a>>,
}

fn take_while<'a>(added: &[Added<'a>], at: &mut usize, above: usize, place: &mut Vec<Addition<'a>>) {
    while let Some(a) = added.get(*at).filter(|a| a.above == above) {
        place.push(a.addition);
        *at += 1;
    }
}

/// The entries that ours added, of which theirs may have copies, byte for byte.
struct Copies<'h> {
    hasher: &'h RandomState,
    left: HashMap<u64, usize>,
}

impl<'h> Copies<'h> {
    fn of(ours: &[Added<'_>], hasher: &'h RandomState) -> Self {
        let mut copies = Self { hasher, left: HashMap::new() };
        for added in ours {
            *copies.left.entry(copies.key(&added.addition.entry)).or_default() += 1;
        }
        copies
    }

    fn key(&self, entry: &Entry<'_>) -> u64 {
        self.hasher.hash_one(without_end(entry.content()))
    }

    /// Whether ours has a copy that no entry was found to be yet.
    fn take(&mut self, entry: &Entry<'_>) -> bool {
        let key = self.key(entry);
        self.left.get_mut(&key).filter(|n| **n > 0).map(|n| *n -= 1).is_some()
    }
}

/// Entries of both sides in one row: newest first, theirs above ours on one day; each side's own order stays, and an undated entry
/// stays below the one that it follows.
fn interleave<'a>(ours: &[Addition<'a>], theirs: &[Addition<'a>], order: Order) -> Vec<(Side, Addition<'a>)> {
    let mut row = Vec::with_capacity(ours.len() + theirs.len());
    let (mut o, mut t) = (0, 0);
    push_undated(&mut row, Side::Theirs, theirs, &mut t);
    push_undated(&mut row, Side::Ours, ours, &mut o);
    loop {
        let side = match (ours.get(o), theirs.get(t)) {
            (None, None) => return row,
            (Some(_), None) => Side::Ours,
            (None, Some(_)) => Side::Theirs,
            (Some(a), Some(b)) if order == Order::Date && is_newer(&a.entry, &b.entry) => Side::Ours,
            _ => Side::Theirs,
        };
        let (added, at) = if side == Side::Ours { (ours, &mut o) } else { (theirs, &mut t) };
        row.push((side, added[*at]));
        *at += 1;
        push_undated(&mut row, side, added, at);
    }
}

fn push_undated<'a>(row: &mut Vec<(Side, Addition<'a>)>, side: Side, added: &[Addition<'a>], at: &mut usize) {
    while let Some(addition) = added.get(*at).filter(|a| a.entry.date().day.is_none()) {
        row.push((side, *addition));
        *at += 1;
    }
}

/// Whether `a` is newer than `b`; the time counts only if both have one.
fn is_newer(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    let (a, b) = (a.date(), b.date());
    match (a.time, b.time) {
        (Some(x), Some(y)) if a.day == b.day => x > y,
        _ => a.day > b.day,
    }
}

/// Writes pieces one below the other; the blank lines between two are written when the lower one comes.
struct Writer<'o, 'a> {
    out: &'o mut Output,
    pending: Option<Option<&'a [u8]>>,
}

impl<'a> Writer<'_, 'a> {
    fn piece(&mut self, piece: &Piece<'a>) {
        self.separate();
        self.out.push(piece.text.bytes());
        self.pending = Some(piece.separator);
    }

    fn separate(&mut self) {
        self.out.end_line();
        match self.pending.take() {
            None => {}
            Some(Some(separator)) => self.out.push(separator),
            Some(None) => self.out.blank_line(),
        }
    }

    /// Below the last entry: what ours has there.
    fn finish(mut self, end: &ChangeLog<'_>, trailer_follows: bool) {
        if !end.is_whole() || trailer_follows {
            self.separate();
            return;
        }
        if self.pending.take().is_none() {
            return;
        }
        let last: Range<usize> = match end.entries().next_back() {
            Some(last) => last.offset() + without_end(last.content()).len()..last.offset() + last.bytes().len(),
            None => 0..0,
        };
        let tail = &end.bytes()[last];
        self.out.cut_line_end();
        if end.entries().len() == 0 { self.out.end_line() } else { self.out.push(tail) }
    }
}
