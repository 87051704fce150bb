//! Slaves and locks.

use super::{BuildSummary, Look};
use crate::wire::{Availability, Isolation};
use crate::{BuildId, SlaveName, UnixMs};
use serde::{Deserialize, Serialize};

/// A slave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slave {
    /// Its name.
    pub name: SlaveName,
    /// Whether it is connected.
    pub connected: bool,
    /// Since when it is, or is not.
    pub since_ms: Option<UnixMs>,
    /// Its own word.
    pub said: Availability,
    /// Why.
    pub said_reason: String,
    /// The admin's word.
    pub admin: Availability,
    /// What it can do.
    pub labels: Vec<String>,
    /// Builds it runs at once.
    pub slots: u32,
    /// The isolation it proved.
    pub isolation: Isolation,
    /// What its self-test found.
    pub isolation_notes: Vec<String>,
    /// The machine.
    pub machine: String,
    /// Its bb.
    pub bb: String,
    /// What it runs.
    pub builds: Vec<BuildSummary>,
    /// Its look.
    pub look: Look,
    /// The word: `eager`, `reluctant`, `unavailable`, `offline`.
    pub word: String,
}

/// A lock: who holds it and who waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// Shares there are; on each slave, for a lock of that scope.
    pub shares: u32,
    /// `master` or `slave`.
    pub scope: String,
    /// Builds that hold shares: the build, how many.
    pub held: Vec<(BuildId, u32)>,
    /// Builds that wait for it, first come first.
    pub waiting: Vec<BuildId>,
}
