//! Slaves and locks.

use super::{BuildSummary, Look};
use crate::wire::{Availability, Isolation, Word};
use crate::{SlaveName, UnixMs};
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
    /// Its own word in full: who, why, since and until.
    #[serde(default)]
    pub said_word: Option<Word>,
    /// The admin's word.
    pub admin: Availability,
    /// The admin's word in full; none where no admin said anything.
    #[serde(default)]
    pub admin_word: Option<Word>,
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

/// How a slave stands to a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlaveOfBuild {
    /// Its name.
    pub name: SlaveName,
    /// A stable word: `labels`, `isolation`, `offline`, `unavailable`, `full`, `lock` or `reluctant` where that keeps it from taking
    /// the build, `able` where nothing about it does, `has` where it runs the build or ran it.
    pub code: String,
    /// The same in words.
    pub says: String,
}

/// What an admin says of a slave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAvailability {
    /// The word.
    pub availability: Availability,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// Until when; none for as long as it is not taken back.
    #[serde(default)]
    pub until_ms: Option<UnixMs>,
    /// With `unavailable`: whether what runs there goes to other slaves at once.
    #[serde(default)]
    pub now: bool,
}

/// A lock: who holds it and who waits, `GET /locks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// Shares there are; on each slave, for a lock of that scope.
    pub shares: u32,
    /// `master` or `slave`.
    pub scope: String,
    /// How many are held: in all, for a lock of each slave, too. More than there are where the admin made it smaller meanwhile.
    pub taken: u64,
    /// Builds that hold shares, who has held the longest first.
    pub held: Vec<LockUse>,
    /// Builds that ask for it and have no slave yet: those that stand in its line in their order, then those that can't run now whatever
    /// it has, and hold nobody up. At most 100 of them.
    pub waiting: Vec<LockUse>,
    /// How many there are of these.
    pub waiting_count: u32,
}

/// A build that holds shares of a lock, or waits for some.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LockUse {
    /// The build; of one that waits it says why.
    pub build: BuildSummary,
    /// How many shares.
    pub shares: u32,
    /// Since when it holds them, or waits.
    pub since_ms: UnixMs,
    /// Its place in the lock's line, from 1; none of one that holds shares, or stands in no line.
    pub place: Option<u32>,
}
