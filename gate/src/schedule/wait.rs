//! Why a build waits: a stable code, words for people, and whose turn it is.

use crate::code::Code;
use crate::words::{builds, list, quoted, slaves_are};
use protocol::api::Next;
use protocol::wire::Isolation;
use protocol::{BuildId, SlaveName};
use recipe::LockRequest;

/// What a build needs of a slave, and of locks, as one text: builds that need the same can't be given to anybody for the same
/// reason, if that does not pass by itself ([`Wait::passes_by_itself`]).
pub fn needed(labels: &[String], locks: &[LockRequest], isolation: Isolation) -> String {
    let locks: Vec<String> = locks.iter().map(|lock| format!("{} {:?}", lock.name, lock.amount)).collect();
    format!("{} / {} / {}", labels.join(" "), locks.join(" "), isolation.as_str())
}

/// Why a build can't start now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wait {
    /// It asks for a lock that the admin did not define.
    UnknownLock {
        /// The lock.
        lock: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// It asks for more shares than the lock has.
    LockTooSmall {
        /// The lock.
        lock: String,
        /// Shares asked for.
        asked: u64,
        /// Shares there are.
        shares: u32,
    },
    /// The master has no slave at all.
    NoSlave,
    /// Labels that no slave has.
    NoLabel {
        /// Those missing.
        missing: Vec<String>,
    },
    /// Each label is on some slave, but no slave has all of them.
    NoSlaveWithAll {
        /// The labels asked for.
        labels: Vec<String>,
    },
    /// No slave with its labels proved the isolation it needs.
    Isolation {
        /// What it needs.
        needed: Isolation,
        /// Slaves that could run it otherwise.
        slaves: Vec<SlaveName>,
    },
    /// Every slave that could run it is away.
    Away {
        /// Not connected.
        offline: Vec<SlaveName>,
        /// Connected, but takes no builds.
        unavailable: Vec<SlaveName>,
    },
    /// Every slave that could run it has its slots taken.
    Full {
        /// These.
        slaves: Vec<SlaveName>,
    },
    /// A slave is free, but a lock is not.
    Lock {
        /// The lock.
        lock: String,
        /// Builds that hold it.
        held_by: Vec<BuildId>,
        /// The first of those that stand before it in the lock's line.
        behind: Vec<BuildId>,
        /// How many more of them there are.
        behind_more: usize,
    },
    /// Only a reluctant slave is free, and the build has not waited long enough for it.
    Reluctant {
        /// The slave.
        slave: SlaveName,
        /// When it takes the build, in milliseconds from now.
        in_ms: i64,
    },
}

impl Wait {
    /// The stable code as data.
    pub const fn kind(&self) -> Code {
        match self {
            Self::UnknownLock { .. } => Code::UnknownLock,
            Self::LockTooSmall { .. } => Code::LockTooSmall,
            Self::NoSlave => Code::NoSlave,
            Self::NoLabel { .. } => Code::NoLabel,
            Self::NoSlaveWithAll { .. } => Code::NoSlaveWithAllLabels,
            Self::Isolation { .. } => Code::NoIsolation,
            Self::Away { .. } => Code::SlavesAway,
            Self::Full { .. } => Code::SlavesFull,
            Self::Lock { .. } => Code::LockHeld,
            Self::Reluctant { .. } => Code::ReluctantSoon,
        }
    }

    /// The stable code as a word.
    pub const fn code(&self) -> &'static str {
        self.kind().as_str()
    }

    /// Why it waits, in words, without a full stop: `no slave has the label "arm64"`.
    pub fn text(&self) -> String {
        match self {
            Self::UnknownLock { lock, known } if known.is_empty() => {
                format!("there is no lock `{lock}`; the master has no locks")
            }
            Self::UnknownLock { lock, known } => format!("there is no lock `{lock}`; the master has {}", quoted(known)),
            Self::LockTooSmall { lock, asked, shares } => {
                format!("it asks for {asked} shares of lock `{lock}`, which has {shares}")
            }
            Self::NoSlave => "the master has no slave".to_owned(),
            Self::NoLabel { missing } if missing.len() == 1 => format!("no slave has the label {}", quoted(missing)),
            Self::NoLabel { missing } => format!("no slave has the labels {}", quoted(missing)),
            Self::NoSlaveWithAll { labels } => format!("no slave has all of the labels {}", quoted(labels)),
            Self::Isolation { needed, slaves } => {
                format!("it needs isolation by {}, which is not proven on {}", needed.as_str(), list(slaves))
            }
            Self::Away { offline, unavailable } => match (offline.is_empty(), unavailable.is_empty()) {
                (false, true) => format!("{} offline", slaves_are(offline)),
                (true, _) => format!("{} unavailable", slaves_are(unavailable)),
                (false, false) => {
                    format!("{} offline, {} unavailable", slaves_are(offline), slaves_are(unavailable))
                }
            },
            Self::Full { slaves } => format!("{} full", slaves_are(slaves)),
            Self::Lock { lock, held_by, behind, .. } if behind.is_empty() => {
                format!("lock `{lock}` is held by {}", builds(held_by))
            }
            Self::Lock { lock, held_by, behind, behind_more } => {
                let mut line: Vec<String> = behind.iter().map(|b| format!("#{b}")).collect();
                if *behind_more > 0 {
                    line.push(format!("{behind_more} more"));
                }
                if held_by.is_empty() {
                    format!("lock `{lock}` goes to {} first", list(line))
                } else {
                    format!("lock `{lock}` is held by {} and goes to {} next", builds(held_by), list(line))
                }
            }
            Self::Reluctant { slave, in_ms } => {
                format!("slave {slave} is reluctant; it takes it in {} s", (in_ms.max(&0) + 999) / 1000)
            }
        }
    }

    /// Whose turn it is, and what they do.
    pub fn next(&self) -> Next {
        self.next_of("a maintainer", "the recipe")
    }

    /// The same where the recipe is a branch's own, which `author` mends.
    pub fn next_by_author(&self, author: &str) -> Next {
        self.next_of(author, "its .bb.toml")
    }

    fn next_of(&self, whose: &str, recipe: &str) -> Next {
        let (who, what) = match self {
            Self::UnknownLock { lock, .. } => {
                ("an admin", format!("defines lock `{lock}` on the master, or {whose} takes it out of {recipe}"))
            }
            Self::LockTooSmall { lock, .. } => {
                ("an admin", format!("gives lock `{lock}` more shares, or {whose} asks for fewer in {recipe}"))
            }
            Self::NoSlave => ("an admin", "adds a slave with `bb slave create`".to_owned()),
            Self::NoLabel { missing } => {
                ("an admin", format!("adds a slave with {}, or {whose} mends {recipe}", quoted(missing)))
            }
            Self::NoSlaveWithAll { labels } => {
                ("an admin", format!("adds a slave with all of {}, or {whose} mends {recipe}", quoted(labels)))
            }
            Self::Isolation { needed, .. } => (
                "an admin",
                format!("installs {} on a slave, or trusts the publisher to build without", needed.as_str()),
            ),
            Self::Away { offline, unavailable } => match [offline.as_slice(), unavailable].concat().as_slice() {
                [one] => {
                    ("bb", format!("gives it to {one} when that is back; an admin looks after it if it stays away"))
                }
                _ => (
                    "bb",
                    "gives it to the first of them that is back; an admin looks after those that stay away".to_owned(),
                ),
            },
            Self::Full { .. } => ("bb", "gives it to the first free slot".to_owned()),
            Self::Lock { lock, .. } => ("bb", format!("starts it when lock `{lock}` is free")),
            Self::Reluctant { slave, .. } => ("bb", format!("gives it to {slave}, or sooner to an eager slave")),
        };
        Next { who: who.to_owned(), what }
    }

    /// Whether it goes on by itself; if not, a person must do what [`Wait::next`] says.
    pub const fn passes_by_itself(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Full { .. } | Self::Lock { .. } | Self::Reluctant { .. })
    }
}
