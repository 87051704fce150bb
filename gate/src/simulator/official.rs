//! Mainline as it is, whatever the queue believes.

use crate::ids::EntryId;
use crate::stacks::{By, Line, Mainline, MainlineId, Move};
use std::collections::HashMap;

/// What a commit holds, as a number: the same for the same entries in the same order on the same push of others.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub(super) struct Content(u64);

impl Content {
    fn with(self, entry: EntryId) -> Self {
        Self((self.0.rotate_left(5) ^ entry.0.cast_unsigned()).wrapping_mul(0x517c_c1b7_2722_0a95))
    }
}

/// A commit that mainline was at.
#[derive(Clone, Copy, Debug)]
struct Commit {
    content: Content,
    /// So many had landed.
    landed: usize,
    /// Whether it fails by itself.
    broken: bool,
    /// Whether the queue put it there.
    by_queue: bool,
}

/// Mainline's true story.
pub(super) struct Official {
    commits: HashMap<MainlineId, Commit>,
    /// When each landed: the how manieth.
    landed: HashMap<EntryId, usize>,
    now: MainlineId,
    pushes: u64,
}

impl Official {
    pub(super) fn new() -> Self {
        let now = MainlineId(0);
        let first = Commit { content: Content(1), landed: 0, broken: false, by_queue: false };
        Self { commits: [(now, first)].into(), landed: HashMap::new(), now, pushes: 0 }
    }

    fn commit(&self, at: MainlineId) -> Commit {
        self.commits[&at]
    }

    pub(super) fn now(&self) -> MainlineId {
        self.now
    }

    /// What is at the top of a line.
    pub(super) fn content(&self, line: &Line) -> Content {
        line.entries.iter().fold(self.commit(line.on).content, |content, entry| content.with(*entry))
    }

    /// Whether a line's mainline fails by itself.
    pub(super) fn is_broken(&self, on: MainlineId) -> bool {
        self.commit(on).broken
    }

    pub(super) fn is_by_queue(&self, on: MainlineId) -> bool {
        self.commit(on).by_queue
    }

    pub(super) fn has_landed(&self, entry: EntryId) -> bool {
        self.landed.contains_key(&entry)
    }

    /// Whether an entry is in a commit of mainline.
    pub(super) fn holds(&self, on: MainlineId, entry: EntryId) -> bool {
        self.landed.get(&entry).is_some_and(|at| *at < self.commit(on).landed)
    }

    /// The queue pushes these.
    pub(super) fn land(&mut self, mainline: &mut Mainline, entries: &[EntryId]) {
        let before = self.commit(self.now);
        let content = entries.iter().fold(before.content, |content, entry| content.with(*entry));
        for entry in entries {
            self.landed.insert(*entry, self.landed.len());
        }
        let commit = Commit { content, landed: self.landed.len(), by_queue: true, ..before };
        self.moves(mainline, commit, By::Landing(entries.to_vec()));
    }

    /// Others push.
    pub(super) fn push(&mut self, mainline: &mut Mainline, broken: bool) {
        self.pushes += 1;
        let content = Content(self.pushes.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let commit = Commit { content, landed: self.landed.len(), broken, by_queue: false };
        self.moves(mainline, commit, By::Others);
    }

    fn moves(&mut self, mainline: &mut Mainline, commit: Commit, by: By) {
        mainline.moves.push(Move { from: self.now, by });
        self.now = MainlineId(self.now.0 + 1);
        mainline.at = self.now;
        self.commits.insert(self.now, commit);
    }
}
