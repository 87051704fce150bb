//! Who comes after whom, who is held, and where in the queue an entry is.

use super::decision::Why;
use super::situation::{Accepted, By, Move, Situation};
use crate::ids::EntryId;
use std::collections::{HashMap, HashSet};

/// The entries that can be tested, in the order in which they are: by priority, then by acceptance, each after what it needs.
pub(super) struct Order<'a> {
    /// By place.
    pub(super) entries: Vec<&'a Accepted>,
    /// The places that each needs, all of them lower than its own.
    pub(super) needs: Vec<Vec<usize>>,
    /// The places that each conflicts with.
    pub(super) conflicts: Vec<Vec<usize>>,
    /// Who is held, by what it needs.
    pub(super) held: Vec<(&'a Accepted, Why)>,
    index: Index,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Where {
    /// In the queue, at this place of [`Order::entries`].
    At(usize),
    /// In mainline, by the move of this number.
    Landed(usize),
    /// Neither: it left, or it is held.
    Gone,
}

impl<'a> Order<'a> {
    /// The order of those that are not in `out`, when mainline came where it is by these moves.
    pub(super) fn of(situation: &'a Situation, moves: &[Move], out: &HashSet<EntryId>) -> Self {
        let landed = moves.iter().enumerate().flat_map(|(at, one)| match &one.by {
            By::Landing(entries) => entries.iter().map(|entry| (*entry, Where::Landed(at))).collect(),
            By::Others => Vec::new(),
        });
        let landed: Vec<(EntryId, Where)> = landed.collect();
        let in_mainline: HashSet<EntryId> = landed.iter().map(|(entry, _)| *entry).collect();
        let stays = |entry: &&Accepted| !out.contains(&entry.id) && !in_mainline.contains(&entry.id);
        let mut waiting: Vec<&Accepted> = situation.entries.iter().filter(stays).collect();
        waiting.sort_by_key(|entry| std::cmp::Reverse(entry.priority));
        let (entries, held) = Sorted::of(&waiting, &in_mainline);
        let at = entries.iter().enumerate().map(|(at, entry)| (entry.id, Where::At(at)));
        let index = Index::of(landed.into_iter().chain(at));
        let mut order = Self { needs: Vec::new(), conflicts: vec![Vec::new(); entries.len()], entries, held, index };
        let place = |entry: &EntryId| match order.index.get(*entry) {
            Where::At(at) => Some(at),
            Where::Landed(_) | Where::Gone => None,
        };
        order.needs = order.entries.iter().map(|entry| entry.needs.iter().filter_map(place).collect()).collect();
        for (one, other) in &situation.conflicts {
            if let (Some(one), Some(other)) = (place(one), place(other)) {
                order.conflicts[one].push(other);
                order.conflicts[other].push(one);
            }
        }
        order
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries at these places.
    pub(super) fn ids(&self, places: &[usize]) -> Vec<EntryId> {
        places.iter().map(|at| self.entries[*at].id).collect()
    }

    pub(super) fn find(&self, entry: EntryId) -> Where {
        self.index.get(entry)
    }
}

/// Puts each after what it needs.
struct Sorted<'a> {
    entries: Vec<&'a Accepted>,
    held: Vec<(&'a Accepted, Why)>,
    done: HashMap<EntryId, Mark>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mark {
    Placed,
    Held,
}

impl<'a> Sorted<'a> {
    fn of(waiting: &[&'a Accepted], landed: &HashSet<EntryId>) -> (Vec<&'a Accepted>, Vec<(&'a Accepted, Why)>) {
        if waiting.iter().all(|entry| entry.needs.is_empty()) {
            return (waiting.to_vec(), Vec::new());
        }
        let by_id: HashMap<EntryId, &Accepted> = waiting.iter().map(|entry| (entry.id, *entry)).collect();
        let mut sorted = Self { entries: Vec::new(), held: Vec::new(), done: HashMap::new() };
        for entry in waiting {
            sorted.place(entry, &by_id, landed);
        }
        (sorted.entries, sorted.held)
    }

    /// Places an entry, and before it what it needs. A path is kept by hand, because a chain of needs may be long.
    fn place(&mut self, first: &'a Accepted, by_id: &HashMap<EntryId, &'a Accepted>, landed: &HashSet<EntryId>) {
        let mut path: Vec<(&Accepted, usize)> = vec![(first, 0)];
        while let Some((entry, next)) = path.last_mut() {
            let entry = *entry;
            if self.done.contains_key(&entry.id) {
                path.pop();
                continue;
            }
            let Some(need) = entry.needs.get(*next) else {
                self.entries.push(entry);
                self.done.insert(entry.id, Mark::Placed);
                path.pop();
                continue;
            };
            *next += 1;
            if landed.contains(need) || self.done.get(need) == Some(&Mark::Placed) {
                continue;
            }
            let circle = path.iter().position(|(before, _)| before.id == *need);
            match (by_id.get(need), circle) {
                (Some(_), Some(from)) => {
                    let with: Vec<EntryId> = path[from..].iter().map(|(other, _)| other.id).collect();
                    for (other, _) in path.split_off(from) {
                        let others = with.iter().copied().filter(|id| *id != other.id).collect();
                        self.hold(other, Why::Circle { with: others });
                    }
                }
                (Some(needed), None) if !self.done.contains_key(need) => path.push((needed, 0)),
                (Some(_) | None, _) => {
                    path.pop();
                    self.hold(entry, Why::Needs { entry: *need });
                }
            }
        }
    }

    fn hold(&mut self, entry: &'a Accepted, why: Why) {
        self.done.insert(entry.id, Mark::Held);
        self.held.push((entry, why));
    }
}

/// Where each entry is, found at once: ids are numbers of rows, mostly of one time.
struct Index {
    from: i64,
    dense: Vec<Where>,
    others: HashMap<EntryId, Where>,
}

impl Index {
    fn of(all: impl Iterator<Item = (EntryId, Where)>) -> Self {
        let all: Vec<(EntryId, Where)> = all.collect();
        let from = all.iter().map(|(id, _)| id.0).min().unwrap_or_default();
        let to = all.iter().map(|(id, _)| id.0).max().unwrap_or_default();
        // Old ones may wait beside new ones; what is too far from the first is looked up.
        let span = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX).min(all.len() * 8 + 64);
        let mut index = Self { from, dense: vec![Where::Gone; span + 1], others: HashMap::new() };
        for (id, place) in all {
            match index.slot(id) {
                Some(at) => index.dense[at] = place,
                None => _ = index.others.insert(id, place),
            }
        }
        index
    }

    fn slot(&self, id: EntryId) -> Option<usize> {
        let at = usize::try_from(id.0.checked_sub(self.from)?).ok()?;
        (at < self.dense.len()).then_some(at)
    }

    fn get(&self, id: EntryId) -> Where {
        match self.slot(id) {
            Some(at) => self.dense[at],
            None => self.others.get(&id).copied().unwrap_or(Where::Gone),
        }
    }
}
