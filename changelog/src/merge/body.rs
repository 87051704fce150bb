//! The merge of one entry that both sides changed: header, then units of its body.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::align::Alignment;
use super::alike::{hash_without_blanks, line_hashes};
use super::output::{Side, Verdict, three_way, too_fine};
use crate::header::same_header;
use crate::lines::{LineEnd, blank_head, blank_tail, is_blank, is_space, lines, trim, trim_end, without_end};
use crate::log::Entry;

/// The merged entry without the blank lines below it; `None` if the two changes conflict.
pub(super) fn merge(base: &Entry<'_>, ours: &Entry<'_>, theirs: &Entry<'_>, end: LineEnd) -> Option<Vec<u8>> {
    let Verdict::Take(header) = three_way(base.header_bytes(), ours.header_bytes(), theirs.header_bytes(), same_header)
    else {
        return None;
    };
    let (b, o, t) = (Body::of(base)?, Body::of(ours)?, Body::of(theirs)?);
    let mut out = header.to_vec();
    end_line(&mut out, end);
    let mut row = Row { out, end, gap: Some(three_way_lead(b.gap, o.gap, t.gap)) };
    merge_units(&b, &o, &t, &mut row)?;
    Some(row.out)
}

/// One entry of two that have the same header: `above`'s text, a blank line, `below`'s.
pub(super) fn join(above: &Entry<'_>, below: &Entry<'_>, end: LineEnd) -> Vec<u8> {
    let mut out = above.content().to_vec();
    end_line(&mut out, end);
    out.extend_from_slice(end.as_bytes());
    out.extend_from_slice(below.text());
    out
}

/// What one side wrote above the text of an entry that the other has not, as an entry of its own. `None` if it changed more than that, or if
/// what it wrote goes on with that text: words above its items, or an item that shares its words.
pub(super) fn written_above<'a>(base: &Entry<'_>, side: &Entry<'a>) -> Option<Entry<'a>> {
    if !same_header(base.header_bytes(), side.header_bytes()) {
        return None;
    }
    let len = without_end(side.content()).strip_suffix(without_end(base.text()))?.len();
    let above = side.up_to(len)?;
    let text = above.text();
    let on_its_own = !above.separator().is_empty() || {
        let starts_item = |unit: &[u8]| trim(first_line(unit)).starts_with(b"*");
        starts_item(base.text())
            && Body::of(&above).and_then(|b| b.units().last()).is_some_and(|unit| starts_item(unit.text))
            && trim_end(text).last() != Some(&b':')
    };
    (!text.is_empty() && text.ends_with(b"\n") && on_its_own).then_some(above)
}

fn end_line(out: &mut Vec<u8>, end: LineEnd) {
    if !out.ends_with(b"\n") {
        out.extend_from_slice(end.as_bytes());
    }
}

/// Blank lines: a change on one side counts, ours' before theirs'.
fn three_way_lead<'a>(base: &'a [u8], ours: &'a [u8], theirs: &'a [u8]) -> &'a [u8] {
    match three_way(base, ours, theirs, |a, b| a == b) {
        Verdict::Take(lead) => lead,
        Verdict::Both => ours,
    }
}

/// The units of an entry's body. There can be one for each line, so that each takes three numbers, and is put together when it is asked for.
struct Body<'a> {
    /// The blank lines between header and text.
    gap: &'a [u8],
    text: &'a [u8],
    spans: Vec<Span>,
}

/// Where in the text a unit stands: the blank lines above it begin, it begins, it ends.
struct Span {
    lead: u32,
    start: u32,
    end: u32,
}

/// Lines that belong together: an item, one more function of it, or a paragraph.
#[derive(Clone, Copy)]
struct Unit<'a> {
    /// The blank lines above; of the first unit unknown, for those belong to the header.
    lead: Option<&'a [u8]>,
    /// The lines, without the last line end.
    text: &'a [u8],
}

impl<'a> Unit<'a> {
    /// Whether it goes on with the item above: one more function of the same file.
    fn continues(&self) -> bool {
        self.lead.is_some_and(<[u8]>::is_empty) && trim(first_line(self.text)).starts_with(b"(")
    }
}

impl<'a> Body<'a> {
    /// `None` for a body that is too large to be told in units: of 4 GB, or of hardly a letter in each.
    fn of(entry: &Entry<'a>) -> Option<Self> {
        let body = entry.body_bytes();
        let gap = &body[..blank_head(body)];
        let text = &body[gap.len()..blank_tail(body).max(gap.len())];
        u32::try_from(text.len()).ok()?;
        let mut spans: Vec<Span> = Vec::new();
        let (mut at, mut unit_start, mut unit_end, mut lead) = (0, 0, 0, 0);
        let push = |spans: &mut Vec<Span>, [lead, start, end]: [usize; 3]| {
            let [lead, start, end] = [lead, start, end].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
            spans.push(Span { lead, start, end });
        };
        for line in lines(text) {
            let line_end = at + line.len();
            if !is_blank(line) {
                let starts = matches!(trim(line).first(), Some(b'*' | b'('));
                if at > 0 && (starts || unit_end < at) {
                    push(&mut spans, [lead, unit_start, unit_end]);
                    lead = unit_end;
                    unit_start = at;
                    if too_fine(spans.len(), at) {
                        return None;
                    }
                }
                unit_end = line_end;
            }
            at = line_end;
        }
        if unit_end > unit_start {
            push(&mut spans, [lead, unit_start, unit_end]);
        }
        Some(Self { gap, text, spans })
    }

    fn len(&self) -> usize {
        self.spans.len()
    }

    fn unit(&self, at: usize) -> Unit<'a> {
        let span = &self.spans[at];
        let [lead, start, end] = [span.lead, span.start, span.end].map(|n| n as usize);
        Unit { lead: (at > 0).then(|| &self.text[lead..start]), text: without_end(&self.text[start..end]) }
    }

    fn units(&self) -> impl ExactSizeIterator<Item = Unit<'a>> + '_ {
        (0..self.len()).map(|at| self.unit(at))
    }
}

fn first_line(text: &[u8]) -> &[u8] {
    lines(text).next().unwrap_or_default()
}

/// A unit of the result.
struct Placed<'a> {
    lead: Option<&'a [u8]>,
    text: std::borrow::Cow<'a, [u8]>,
}

impl<'a> From<Unit<'a>> for Placed<'a> {
    fn from(unit: Unit<'a>) -> Self {
        Self { lead: unit.lead, text: unit.text.into() }
    }
}

/// The result, as far as it is written.
struct Row<'a> {
    out: Vec<u8>,
    end: LineEnd,
    /// What stands above the first unit, until it is written.
    gap: Option<&'a [u8]>,
}

impl Row<'_> {
    fn push(&mut self, unit: &Placed<'_>) {
        match (self.gap.take(), unit.lead) {
            (Some(gap), _) => self.out.extend_from_slice(gap),
            (None, Some(lead)) => self.out.extend_from_slice(lead),
            (None, None) => self.out.extend_from_slice(self.end.as_bytes()),
        }
        self.out.extend_from_slice(&unit.text);
        end_line(&mut self.out, self.end);
    }
}

/// Writes the merged units; `None` if two changes conflict.
fn merge_units(base: &Body<'_>, ours: &Body<'_>, theirs: &Body<'_>, row: &mut Row<'_>) -> Option<()> {
    let hasher = RandomState::new();
    let mut of_ours = align(base, ours, &hasher);
    let mut of_theirs = align(base, theirs, &hasher);
    // A unit that both sides have and the base has not was added by both: it is no other wording of what they removed.
    let (new_in_ours, new_in_theirs) = (unpaired(&of_ours, ours), unpaired(&of_theirs, theirs));
    of_ours.by_order(|o| !new_in_theirs.contains(ours.unit(o).text));
    of_theirs.by_order(|t| !new_in_ours.contains(theirs.unit(t).text));
    let (ours_added, theirs_added) = (added(&of_ours, ours), added(&of_theirs, theirs));
    let mut place = Place::default();
    for b in 0..base.len() {
        place.add(b, &ours_added, &theirs_added);
        if let Some(unit) =
            fate(base.unit(b), of_ours.side_of(b).map(|o| ours.unit(o)), of_theirs.side_of(b).map(|t| theirs.unit(t)))?
        {
            place.write(Side::Theirs, row);
            row.push(&unit);
        }
    }
    place.add(base.len(), &ours_added, &theirs_added);
    place.write(Side::Ours, row);
    Some(())
}

fn align(base: &Body<'_>, side: &Body<'_>, hasher: &RandomState) -> Alignment {
    let mut found = Alignment::new(base.len(), side.len());
    found.by_key(|b| Some(hasher.hash_one(base.unit(b).text)), |s| Some(hasher.hash_one(side.unit(s).text)));
    let loose = |unit: Unit<'_>| Some(hash_without_blanks(unit.text, hasher));
    found.by_key(|b| loose(base.unit(b)), |s| loose(side.unit(s)));
    let features = |unit: Unit<'_>| line_hashes(unit.text, hasher);
    found.by_votes(
        |b| features(base.unit(b)),
        |s| features(side.unit(s)),
        |v| 2 * v.shared >= v.base_size.min(v.side_size),
    );
    let head = |unit: Unit<'_>| Some(hash_without_blanks(head_of(unit.text), hasher));
    found.by_key(|b| head(base.unit(b)), |s| head(side.unit(s)));
    found
}

fn unpaired<'a>(alignment: &Alignment, body: &Body<'a>) -> HashSet<&'a [u8]> {
    body.units().enumerate().filter(|(at, _)| alignment.base_of(*at).is_none()).map(|(_, unit)| unit.text).collect()
}

/// What names the unit: its first line up to the colon.
fn head_of(text: &[u8]) -> &[u8] {
    let line = first_line(text);
    &line[..memchr::memchr(b':', line).unwrap_or(line.len())]
}

/// What becomes of a unit of the base: `None` for a conflict, `Some(None)` if it goes.
fn fate<'a>(base: Unit<'a>, ours: Option<Unit<'a>>, theirs: Option<Unit<'a>>) -> Option<Option<Placed<'a>>> {
    let (o, t) = match (ours, theirs) {
        (Some(o), Some(t)) => (o, t),
        (None, None) => return Some(None),
        (Some(side), None) | (None, Some(side)) => return (side.text == base.text).then_some(None),
    };
    let lead = match (base.lead, o.lead, t.lead) {
        (Some(b), Some(o), Some(t)) => Some(three_way_lead(b, o, t)),
        (_, o, t) => o.or(t),
    };
    let text = match three_way(base.text, o.text, t.text, |a, b| a == b) {
        Verdict::Take(text) => text.into(),
        Verdict::Both => {
            reindented(base.text, o.text, t.text).or_else(|| reindented(base.text, t.text, o.text))?.into()
        }
    };
    Some(Some(Placed { lead, text }))
}

/// If `indented` differs from `base` in blanks only: the text of `worded` with those blanks.
fn reindented(base: &[u8], indented: &[u8], worded: &[u8]) -> Option<Vec<u8>> {
    let pairs: Vec<(&[u8], &[u8])> = lines(base).zip(lines(indented)).collect();
    let only_blanks = lines(base).count() == lines(indented).count() && pairs.iter().all(|(b, i)| bare(b) == bare(i));
    if !only_blanks {
        return None;
    }
    let mut indents: HashMap<&[u8], &[u8]> = HashMap::new();
    for (b, i) in &pairs {
        indents.entry(indent(b)).or_insert(indent(i));
    }
    let mut out = Vec::with_capacity(worded.len() + pairs.len() * 8);
    let mut from = 0;
    for line in lines(worded) {
        // A line that is still there is taken whole; a new one gets the indent that lines of its indent got.
        let near = &pairs[from..pairs.len().min(from + NEAR)];
        match near.iter().position(|(b, _)| trim_end(b) == trim_end(line)) {
            Some(at) => {
                out.extend_from_slice(without_end(near[at].1));
                from += at + 1;
            }
            None => {
                let own = indent(line);
                out.extend_from_slice(indents.get(own).copied().unwrap_or(own));
                out.extend_from_slice(&without_end(line)[own.len()..]);
            }
        }
        out.extend_from_slice(&line[without_end(line).len()..]);
    }
    Some(out)
}

/// How many lines ahead an unchanged line is looked for, so that one huge unit stays linear.
const NEAR: usize = 64;

fn bare(line: &[u8]) -> &[u8] {
    trim(trim_end(line))
}

fn indent(line: &[u8]) -> &[u8] {
    let text = without_end(line);
    let len = text.iter().position(|&b| !is_space(b)).unwrap_or(text.len());
    &text[..len]
}

/// The units that a side added, each with the base's unit that it stands above.
fn added<'a>(alignment: &Alignment, body: &Body<'a>) -> Vec<(usize, Unit<'a>)> {
    let mut above = 0;
    let mut found = Vec::new();
    for (at, unit) in body.units().enumerate() {
        match alignment.base_of(at) {
            Some(b) => above = b + 1,
            None => found.push((above, unit)),
        }
    }
    found
}

/// What both sides added between two units that stay.
#[derive(Default)]
struct Place<'a> {
    ours: Vec<Unit<'a>>,
    theirs: Vec<Unit<'a>>,
}

impl<'a> Place<'a> {
    fn add(&mut self, above: usize, ours: &[(usize, Unit<'a>)], theirs: &[(usize, Unit<'a>)]) {
        let of = |added: &[(usize, Unit<'a>)]| {
            let from = added.partition_point(|(a, _)| *a < above);
            let to = added.partition_point(|(a, _)| *a <= above);
            added[from..to].iter().map(|(_, u)| *u).collect::<Vec<_>>()
        };
        self.ours.extend(of(ours));
        self.theirs.extend(of(theirs));
    }

    /// Writes one side above the other; what goes on with the item above stays with it, and what is the same stands once.
    fn write(&mut self, above: Side, row: &mut Row<'_>) {
        if self.ours.is_empty() && self.theirs.is_empty() {
            return;
        }
        let ours = std::mem::take(&mut self.ours);
        let mut theirs = std::mem::take(&mut self.theirs);
        let own: HashSet<&[u8]> = ours.iter().map(|o| o.text).collect();
        theirs.retain(|t| !own.contains(t.text));
        let (first, second) = if above == Side::Theirs { (theirs, ours) } else { (ours, theirs) };
        let continuing = |units: &[Unit<'a>]| units.iter().take_while(|u| u.continues()).count();
        let (a, b) = (continuing(&first), continuing(&second));
        for unit in first[..a].iter().chain(&second[..b]).chain(&first[a..]).chain(&second[b..]) {
            row.push(&(*unit).into());
        }
    }
}
