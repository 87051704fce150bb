//! The question: everything that the next step depends on.

use super::experience::Experience;
use super::stack::{MainlineId, Stack};
use crate::ids::{EntryId, StackId};
use protocol::UnixMs;

/// Everything that the queue's next step depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    /// The time now.
    pub now: UnixMs,
    /// Where mainline is, and how it came there.
    pub mainline: Mainline,
    /// Accepted and neither landed nor gone, in the order in which they were accepted.
    pub entries: Vec<Accepted>,
    /// The stacks that were asked for, in that order. Those of which no member waits any more may be left out.
    pub stacks: Vec<Stack>,
    /// Pairs of entries that can't be merged into one line.
    pub conflicts: Vec<(EntryId, EntryId)>,
    /// The stack whose landing was begun, and whose end is not known yet.
    pub landing: Option<StackId>,
    /// So many more stacks could be built at once.
    pub free: u32,
    /// How long the builds of a stack take, as a mean, in milliseconds.
    pub mean_ms: u64,
    /// What was learned so far.
    pub experience: Experience,
    /// The project's settings.
    pub policy: Policy,
}

/// What a project sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// What a build is worth: so many branches wait one build's length for it. Cheap builds: less; dear ones: more.
    pub price: f64,
    /// How certain it must be that a branch fails by itself, and not by chance, before it is ejected.
    pub sure: f64,
    /// How often builds of good content fail by chance, where the project knows; learned where it does not.
    pub chance: Option<f64>,
    /// At most so many entries in a stack; 1 where every commit of mainline must be tested.
    pub most: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { price: 0.25, sure: 0.999, chance: None, most: 200 }
    }
}

/// Where mainline is, and how it came there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mainline {
    /// Where it is now.
    pub at: MainlineId,
    /// How it came there, the oldest move first, from the oldest commit that a stack stands on.
    pub moves: Vec<Move>,
    /// Whether the queue put it at the oldest of these commits; so that one passed.
    pub began_by_queue: bool,
}

/// A move of mainline, from a commit to the next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Move {
    /// Where it was.
    pub from: MainlineId,
    /// Who moved it.
    pub by: By,
}

/// Who moved mainline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum By {
    /// The queue landed these, in this order.
    Landing(Vec<EntryId>),
    /// Somebody else pushed.
    Others,
}

/// An accepted branch.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Its place.
    pub id: EntryId,
    /// A maintainer's word; greater goes first, 0 is usual.
    pub priority: i32,
    /// When it was accepted.
    pub since: UnixMs,
    /// The entries that must land before it or with it, those that landed left out. One that is not among the entries has
    /// left, and holds it.
    pub needs: Vec<EntryId>,
    /// How likely it fails beside an ordinary branch of this project, by what is known of it before it is built: 1 is
    /// ordinary, 2 fails about twice as often.
    pub risk: f64,
    /// Whether it does not merge with mainline as it is now.
    pub conflicts: bool,
}

impl Accepted {
    /// Its risk, within reason: what is no number is ordinary.
    pub(super) fn hazard(&self) -> f64 {
        if self.risk.is_finite() { self.risk.clamp(0.01, 100.0) } else { 1.0 }
    }
}
