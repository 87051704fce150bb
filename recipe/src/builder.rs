//! One named way to build: its steps, the locks it needs and which slaves can.

use crate::Step;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// One named way to build a candidate.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Builder {
    /// Its name, unique in the recipe: 1 to 64 of `a-z A-Z 0-9 . _ -`, the first no punctuation.
    pub name: String,
    /// Labels that a slave must have, all of them, to run this builder.
    pub slaves: Vec<String>,
    /// Locks held while a build runs, taken all together or not at all.
    pub locks: Vec<LockRequest>,
    /// Whether a branch may land only when this builder passed.
    pub required: bool,
    /// How much of the history its builds see.
    #[serde(default, skip_serializing_if = "History::is_full")]
    pub history: History,
    /// The steps, run in order.
    pub steps: Vec<Step>,
}

/// How much of a candidate's history a build sees.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum History {
    /// All of it, with the official repository's tags, as in a clone.
    #[default]
    Full,
    /// So many commits deep, counted from the candidate, which is the first: as in a clone by `--depth`.
    Commits(NonZeroU32),
}

impl History {
    /// Whether it is all of it.
    pub fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

/// A share of a lock that a builder wants.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct LockRequest {
    /// The lock's name, defined by the master's admin.
    pub name: String,
    /// How much of it.
    pub amount: LockAmount,
}

/// How much of a lock is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockAmount {
    /// So many shares, at least one.
    Shares(u32),
    /// All shares there are.
    Exclusive,
}
