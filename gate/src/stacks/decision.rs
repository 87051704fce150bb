//! The answer: what is missing, and how everybody stands.

use super::stack::Line;
use crate::ids::{EntryId, StackId};

/// What the queue does next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What is missing, in the order in which to do it. Each is asked for again until the situation says that it was done.
    pub actions: Vec<Action>,
    /// How each entry stands that is not ejected, in the queue's order.
    pub standings: Vec<Standing>,
    /// How much was looked at, for tests: grows with the work and with nothing else.
    pub steps: u64,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Move mainline to this stack's top, by compare-and-swap.
    Land {
        /// The stack.
        stack: StackId,
        /// What lands by that: its entries that are not in mainline yet, in order.
        entries: Vec<EntryId>,
    },
    /// Take the entry out of the queue.
    Eject {
        /// The entry.
        entry: EntryId,
        /// Why.
        evidence: Evidence,
    },
    /// Cancel what runs of this stack: nobody needs to know how it ends.
    Cancel {
        /// The stack.
        stack: StackId,
    },
    /// Make this line and build its top, by every builder that judges it and has no result of the same content.
    Start {
        /// The line.
        line: Line,
        /// What for.
        purpose: Purpose,
    },
    /// Build a stack again by those of its builders that did not pass: it failed, perhaps by chance, or ended without a result.
    Again {
        /// The stack.
        stack: StackId,
        /// What for.
        purpose: Purpose,
    },
}

/// Why an entry is ejected.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// A stack failed all of whose other members are in mainline.
    Failed {
        /// The stack.
        stack: StackId,
        /// The builder that failed.
        builder: String,
        /// The other members.
        with: Vec<EntryId>,
        /// How often builds failed that only it can be the reason of.
        times: u32,
        /// How likely all of them failed by chance.
        doubt: f64,
        /// Whether it passed before, with others or on an older mainline: it is not bad alone, but does not go together with
        /// what is in mainline.
        passed_before: bool,
    },
    /// It does not merge with mainline.
    Conflict,
}

/// What a build is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// Whether mainline itself passes: somebody would be ejected if it does.
    Mainline,
    /// Nothing but to land those that are known to be good.
    Land {
        /// So many.
        good: u32,
    },
    /// To learn of some that nothing is known of yet.
    Fresh {
        /// So many.
        fresh: u32,
        /// Together with so many that are known to be good.
        good: u32,
    },
    /// To find the bad ones of a set that failed.
    Suspects {
        /// So many of them.
        some: u32,
        /// So many there are.
        of: u32,
        /// Together with so many that are known to be good.
        good: u32,
    },
}

/// How an entry stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The entry.
    pub entry: EntryId,
    /// Its place, from 1.
    pub place: u32,
    /// The running stack that tells most of it, if one does.
    pub stack: Option<StackId>,
    /// What it waits for.
    pub why: Why,
}

/// What an entry waits for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Why {
    /// It is landed now.
    Landing,
    /// Nothing is known of it yet.
    Unknown,
    /// It passed with others, and lands with the next stack that passes.
    Good,
    /// It is one of a set that failed.
    Suspect {
        /// So many are in the set.
        of: u32,
        /// So often it failed.
        times: u32,
    },
    /// It is the only one that can be the reason, and is ejected when the others of the stack that failed are in mainline.
    Convicted,
    /// It needs one that left without landing.
    Needs {
        /// That one.
        entry: EntryId,
    },
    /// It needs itself, by way of these.
    Circle {
        /// The others of the circle.
        with: Vec<EntryId>,
    },
    /// It can't be merged together with one before it, which has to land or leave first.
    Conflict {
        /// That one.
        with: EntryId,
    },
    /// Mainline itself fails: a maintainer mends it.
    MainlineFails,
}

impl Why {
    /// The stable word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Landing => "landing",
            Self::Unknown => "unknown",
            Self::Good => "good",
            Self::Suspect { .. } => "suspect",
            Self::Convicted => "convicted",
            Self::Needs { .. } => "needs",
            Self::Circle { .. } => "circle",
            Self::Conflict { .. } => "conflict-in-front",
            Self::MainlineFails => "mainline-fails",
        }
    }
}

impl Purpose {
    /// For people: `half of 4 suspects, with 12 known good`.
    pub fn words(&self) -> String {
        let with = |good: u32| if good == 0 { String::new() } else { format!(", with {good} known good") };
        match *self {
            Self::Mainline => "mainline itself".to_owned(),
            Self::Land { good } => format!("{good} known good, to land"),
            Self::Fresh { fresh, good } => format!("{fresh} not known yet{}", with(good)),
            Self::Suspects { some, of, good } if some * 2 == of => format!("half of {of} suspects{}", with(good)),
            Self::Suspects { some, of, good } if some == of && of > 1 => {
                format!("all {of} suspects again{}", with(good))
            }
            Self::Suspects { of: 1, good, .. } => format!("one suspect again{}", with(good)),
            Self::Suspects { some, of, good } => format!("{some} of {of} suspects{}", with(good)),
        }
    }
}
