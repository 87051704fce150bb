//! One step of a loop: what can keep it from being done, and when the next is due.

use crate::store::StoreError;
use std::time::Duration;
use tracker::candidate::CandidateError;
use tracker::mirror::{MirrorError, OfficialError};

/// The longest a loop waits without being woken.
pub(super) const TICK: Duration = Duration::from_secs(30);

/// Why a step of a loop was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Mirror(#[from] MirrorError),
    #[error("{0}")]
    Candidate(#[from] CandidateError),
    #[error("{0}")]
    Official(#[from] OfficialError),
    #[error("{0}")]
    Settings(String),
    #[error("a stored value can't be read or written: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a date can't be read: {0}")]
    Date(#[from] jiff::Error),
    #[error("{0}")]
    Id(#[from] protocol::id::NoCommitId),
    #[error("a log can't be deleted: {0}")]
    Log(#[from] std::io::Error),
}

/// When a loop wants its next turn, if nothing wakes it before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Again {
    /// At the next tick.
    AtTick,
    /// After this time, or at the tick if that is sooner.
    After(Duration),
    /// At once: there was more to do than one turn does.
    Now,
}

/// What came of a turn that was told what had been heard: whoever takes turns must say whether that is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// All of it was done.
    Did(Again),
    /// Something of it was not done yet: the next turn is told to do everything.
    Owes(Again),
}

impl Again {
    /// The sooner of two wishes.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::After(one), Self::After(other)) => Self::After(one.min(other)),
            (Self::After(time), Self::AtTick) | (Self::AtTick, Self::After(time)) => Self::After(time),
            (Self::AtTick, Self::AtTick) => Self::AtTick,
        }
    }
}
