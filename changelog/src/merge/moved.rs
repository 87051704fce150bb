//! Entries that one side put to another place, as they were. To the alignment they are removed there and added here; what the other side did to
//! them meanwhile is done where they stand now.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::align::Alignment;
use super::alike::same;
use super::output::Side;
use crate::lines::without_end;
use crate::log::{ChangeLog, Entry};

/// The entries that each side moved.
pub(super) struct Moved<'a> {
    ours: OfSide<'a>,
    theirs: OfSide<'a>,
}

#[derive(Default)]
struct OfSide<'a> {
    /// By number in the base: the number on this side.
    places: HashMap<usize, usize>,
    /// By number on this side: what the other side made of it; `None` if it removed it.
    changed: HashMap<usize, Option<Entry<'a>>>,
}

impl<'a> Moved<'a> {
    pub(super) fn find(
        base: &ChangeLog<'a>,
        ours: (&ChangeLog<'a>, &Alignment),
        theirs: (&ChangeLog<'a>, &Alignment),
        hasher: &RandomState,
    ) -> Self {
        let mut all = Self { ours: OfSide::moved(base, ours, hasher), theirs: OfSide::moved(base, theirs, hasher) };
        let Self { ours: of_ours, theirs: of_theirs } = &mut all;
        of_ours.changed = of_ours.changed_by(base, theirs, of_theirs);
        of_theirs.changed = of_theirs.changed_by(base, ours, of_ours);
        all
    }

    /// Whether the side moved the base's entry `b`.
    pub(super) fn has(&self, side: Side, b: usize) -> bool {
        self.of(side).places.contains_key(&b)
    }

    /// What becomes of the entry `at`, which the side has and the base has not there.
    pub(super) fn now(&self, side: Side, at: usize, entry: Entry<'a>) -> Option<Entry<'a>> {
        self.of(side).changed.get(&at).copied().unwrap_or(Some(entry))
    }

    fn of(&self, side: Side) -> &OfSide<'a> {
        match side {
            Side::Ours => &self.ours,
            Side::Theirs => &self.theirs,
        }
    }
}

impl<'a> OfSide<'a> {
    /// Entries without a pair that both have once.
    fn moved(base: &ChangeLog<'a>, (side, found): (&ChangeLog<'a>, &Alignment), hasher: &RandomState) -> Self {
        let gone = once(base, |b| found.side_of(b).is_none(), hasher);
        let new = once(side, |s| found.base_of(s).is_none(), hasher);
        let places = gone.iter().filter_map(|(key, b)| Some(((*b)?, (*new.get(key)?)?))).collect();
        Self { places, changed: HashMap::new() }
    }

    fn changed_by(
        &self,
        base: &ChangeLog<'a>,
        (other, found): (&ChangeLog<'a>, &Alignment),
        of_other: &Self,
    ) -> HashMap<usize, Option<Entry<'a>>> {
        let fate = |b: usize, at: usize| match found.side_of(b).and_then(|o| other.entry(o)) {
            Some(entry) => (!same(entry, base.entry(b)?)).then_some((at, Some(entry))),
            None => (!of_other.places.contains_key(&b)).then_some((at, None)),
        };
        self.places.iter().filter_map(|(&b, &at)| fate(b, at)).collect()
    }
}

/// By content the number of each entry that `is_free`; `None` for what comes more than once.
fn once(log: &ChangeLog<'_>, is_free: impl Fn(usize) -> bool, hasher: &RandomState) -> HashMap<u64, Option<usize>> {
    let mut found = HashMap::new();
    for (at, entry) in log.entries().enumerate().filter(|(at, _)| is_free(*at)) {
        found.entry(hasher.hash_one(without_end(entry.content()))).and_modify(|at| *at = None).or_insert(Some(at));
    }
    found
}
