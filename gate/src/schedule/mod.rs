//! Which waiting build goes to which slave now, and why each of the others waits. Locks are taken here, all together or
//! not at all. Never starts a build: it only says which could start.
//!
//! **Order.** Class, then `priority`; then who has waited a day goes first; then the publisher with the fewest builds
//! running; then the publisher who was served longest ago, so that a flood of builds leaves every other turn to others
//! even where there is one slot; then the oldest.
//!
//! **Slaves.** Those with every label, the isolation and a free slot; eager ones first, reluctant ones only once the build
//! has waited `reluctant_after`; then those that are warm for the project; then the least loaded; then the least
//! recently used.
//!
//! **Locks.** Whoever waits for a lock stands in that lock's line: by class, priority, then time. A build takes shares only
//! where all who stand before it could still have theirs, so that small requests never starve a large one, and
//! nobody holds a share while waiting for another, so that there is no deadlock. A build whose slaves are all away
//! stands in no line: what can't run holds nobody up.

mod against;
mod away;
mod choose;
mod stranded;
mod wait;

pub use against::{Against, Asked, against};
pub use away::{Fate, Lost, fate};
pub use choose::schedule;
use protocol::wire::{Availability, Isolation};
use protocol::{BuildId, ProjectId, SlaveId, SlaveName, UnixMs};
use recipe::LockRequest;
use std::collections::BTreeMap;
pub use stranded::{Stranded, stranded};
pub use wait::{Wait, needed};

/// The isolation that builds of a publisher's branches need at least, who is trusted or is not.
pub const fn isolation_of(trusted: bool) -> Isolation {
    if trusted { Isolation::None } else { Isolation::Bubblewrap }
}

/// Everything that the choice depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Situation {
    /// The time now.
    pub now: UnixMs,
    /// How long a build waits for an eager slave before a reluctant one may take it, in milliseconds.
    pub reluctant_after_ms: i64,
    /// Builds that nobody has yet, in any order.
    pub waiting: Vec<Waiting>,
    /// Builds that were given out and have not ended.
    pub running: Vec<Running>,
    /// When a build of each publisher was last given to a slave. Who is not named here was never served.
    pub served: BTreeMap<String, UnixMs>,
    /// All slaves that the master knows, connected or not.
    pub slaves: Vec<Slave>,
    /// All locks that the admin defined.
    pub locks: Vec<Lock>,
}

/// What a build is for; the first goes first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Class {
    /// The queue asked for it.
    Queue,
    /// Its branch is accepted.
    Accepted,
    /// Its branch has a good review.
    Reviewed,
    /// All others.
    Other,
}

/// A build that waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// The build.
    pub id: BuildId,
    /// Its project, by which a slave is warm.
    pub project: ProjectId,
    /// What it is for.
    pub class: Class,
    /// A maintainer's word; greater goes first, 0 is usual.
    pub priority: i32,
    /// Who published the branch; publishers are treated fairly.
    pub publisher: String,
    /// Since when it waits.
    pub since: UnixMs,
    /// Labels that a slave must have, all of them.
    pub labels: Vec<String>,
    /// Locks that it needs, all of them.
    pub locks: Vec<LockRequest>,
    /// The weakest isolation allowed.
    pub isolation: Isolation,
}

/// A build that was given to a slave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Running {
    /// The build.
    pub id: BuildId,
    /// The slave; it takes one of its slots.
    pub slave: SlaveId,
    /// Who published the branch.
    pub publisher: String,
    /// Locks that it holds.
    pub locks: Vec<LockRequest>,
}

/// A slave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slave {
    /// The slave.
    pub id: SlaveId,
    /// Its name, for people.
    pub name: SlaveName,
    /// Whether it is connected.
    pub connected: bool,
    /// The stricter of its own word and the admin's; see [`crate::availability::effective`].
    pub availability: Availability,
    /// What it can do.
    pub labels: Vec<String>,
    /// Builds it runs at once.
    pub slots: u32,
    /// The isolation it proved.
    pub isolation: Isolation,
    /// Projects that it has a work folder of.
    pub warm: Vec<ProjectId>,
    /// When it was last given a build.
    pub last_used: Option<UnixMs>,
}

/// A lock: a counting semaphore.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lock {
    /// Its name.
    pub name: String,
    /// Shares there are: in all, or on each slave.
    pub shares: u32,
    /// Where they are counted.
    pub scope: Scope,
}

/// Where the shares of a lock are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Once, for all slaves together.
    Master,
    /// On each slave for itself.
    Slave,
}

/// What to do now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// Builds to start, in the order in which they were chosen.
    pub assigned: Vec<Assigned>,
    /// Every other waiting build with its reason, in the order of [`Situation::waiting`].
    pub waits: Vec<(BuildId, Wait)>,
    /// Each lock's line, in the order of [`Situation::locks`].
    pub lines: Vec<Line>,
    /// When the passing of time alone will change this plan: a reluctant slave may take a build then.
    pub look_again: Option<UnixMs>,
}

/// Who stands in a lock's line, the first first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Line {
    /// The lock.
    pub lock: String,
    /// Builds that ask for it, have no slave yet and could run on one that is there.
    pub builds: Vec<BuildId>,
}

/// A build and the slave that gets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Assigned {
    /// The build.
    pub build: BuildId,
    /// The slave.
    pub slave: SlaveId,
}
