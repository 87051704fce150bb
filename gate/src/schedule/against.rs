//! Why one slave does not take a build that waits: what [`super::Wait`] says of all of them, told of each.

use super::choose::shares_of;
use super::{Lock, Scope, Slave};
use protocol::wire::{Availability, Isolation};
use recipe::LockRequest;

/// What a build that waits needs.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Labels that its slave must have, all of them.
    pub labels: &'a [String],
    /// The weakest isolation allowed.
    pub isolation: Isolation,
    /// Locks that it needs.
    pub locks: &'a [LockRequest],
    /// How long it has waited, in milliseconds.
    pub waited_ms: i64,
}

/// What keeps a slave from taking it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Against {
    /// It has not all the labels.
    Labels {
        /// Those that it lacks.
        missing: Vec<String>,
    },
    /// It did not prove the isolation.
    Isolation {
        /// What is needed.
        needed: Isolation,
        /// What it proved.
        has: Isolation,
    },
    /// It is not connected.
    Offline,
    /// It takes no builds, by its own word or an admin's.
    Unavailable,
    /// Its slots are taken.
    Full {
        /// How many it has.
        slots: u32,
    },
    /// A lock of which each slave has shares has not enough of them left there.
    Lock {
        /// The lock.
        lock: String,
        /// Shares asked for.
        asked: u64,
        /// Shares that are left.
        left: u64,
    },
    /// It is reluctant, and the build has not waited for long enough.
    Reluctant {
        /// When it may take it, in milliseconds from now.
        in_ms: i64,
    },
}

/// What keeps a slave from taking a build, the first of all reasons that would not pass by themselves; none when the build waits
/// for something else than this slave. `running` are the locks of the builds that it runs, one for each.
pub fn against(
    asked: &Asked<'_>,
    slave: &Slave,
    running: &[&[LockRequest]],
    locks: &[Lock],
    reluctant_after_ms: i64,
) -> Option<Against> {
    let missing: Vec<String> = asked.labels.iter().filter(|label| !slave.labels.contains(label)).cloned().collect();
    if !missing.is_empty() {
        return Some(Against::Labels { missing });
    }
    if slave.isolation < asked.isolation {
        return Some(Against::Isolation { needed: asked.isolation, has: slave.isolation });
    }
    if !slave.connected {
        return Some(Against::Offline);
    }
    if !slave.takes_builds() {
        return Some(Against::Unavailable);
    }
    if u32::try_from(running.len()).unwrap_or(u32::MAX) >= slave.slots {
        return Some(Against::Full { slots: slave.slots });
    }
    if let Some(lock) = too_few(asked.locks, running, locks) {
        return Some(lock);
    }
    let in_ms = reluctant_after_ms.saturating_sub(asked.waited_ms);
    (slave.availability == Availability::Reluctant && in_ms > 0).then_some(Against::Reluctant { in_ms })
}

/// The first lock of each slave's own of which not enough is left.
fn too_few(asked: &[LockRequest], running: &[&[LockRequest]], locks: &[Lock]) -> Option<Against> {
    asked.iter().find_map(|request| {
        let (index, asked) = shares_of(locks, request)?;
        let lock = &locks[index];
        if lock.scope == Scope::Master {
            return None;
        }
        let held = running.iter().flat_map(|locks| locks.iter());
        let of_lock = held.filter_map(|held| shares_of(locks, held)).filter(|(other, _)| *other == index);
        let left = u64::from(lock.shares).saturating_sub(of_lock.map(|(_, shares)| shares).sum());
        (left < asked).then(|| Against::Lock { lock: lock.name.clone(), asked, left })
    })
}

impl Against {
    /// The stable word for it, as data.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Labels { .. } => "labels",
            Self::Isolation { .. } => "isolation",
            Self::Offline => "offline",
            Self::Unavailable => "unavailable",
            Self::Full { .. } => "full",
            Self::Lock { .. } => "lock",
            Self::Reluctant { .. } => "reluctant",
        }
    }

    /// The same in words, without a full stop.
    pub fn text(&self) -> String {
        match self {
            Self::Labels { missing } => {
                let named: Vec<String> = missing.iter().map(|label| format!("`{label}`")).collect();
                format!("it lacks the label{} {}", if named.len() == 1 { "" } else { "s" }, named.join(", "))
            }
            Self::Isolation { needed, has } => {
                format!("the build needs the isolation {}, and it proved {}", needed.as_str(), has.as_str())
            }
            Self::Offline => "it is not connected".to_owned(),
            Self::Unavailable => "it takes no builds".to_owned(),
            Self::Full { slots: 1 } => "its slot is taken".to_owned(),
            Self::Full { slots } => format!("its {slots} slots are taken"),
            Self::Lock { lock, asked, left } => {
                format!("{asked} of lock `{lock}` are needed there, and {left} are left")
            }
            Self::Reluctant { in_ms } => {
                format!("it is reluctant: it takes the build in {} s if no eager one does", (in_ms + 999) / 1000)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use protocol::SlaveId;
    use recipe::LockAmount;

    fn slave() -> Slave {
        Slave {
            id: SlaveId(1),
            name: "oak".parse().unwrap(),
            connected: true,
            availability: Availability::Eager,
            labels: vec!["linux".to_owned()],
            slots: 2,
            isolation: Isolation::Bubblewrap,
            warm: Vec::new(),
            last_used: None,
        }
    }

    fn lock(name: &str, amount: LockAmount) -> LockRequest {
        LockRequest { name: name.to_owned(), amount }
    }

    #[test]
    fn each_reason_is_told_and_what_lasts_before_what_passes() {
        let (linux, both) = (vec!["linux".to_owned()], vec!["linux".to_owned(), "arm64".to_owned()]);
        let disk = [lock("disk", LockAmount::Exclusive)];
        let free = Asked { labels: &linux, isolation: Isolation::Bubblewrap, locks: &disk, waited_ms: 4_000 };
        let locks = [
            Lock { name: "disk".to_owned(), shares: 3, scope: Scope::Slave },
            Lock { name: "vm".to_owned(), shares: 1, scope: Scope::Master },
        ];
        let told = |asked: &Asked<'_>, slave: &Slave, running: &[&[LockRequest]]| {
            against(asked, slave, running, &locks, 10_000).map(|against| (against.code(), against.text()))
        };
        let said = |code, text: &str| Some((code, text.to_owned()));
        assert_eq!(told(&free, &slave(), &[]), None);
        let one = [lock("disk", LockAmount::Shares(2))];
        assert_eq!(told(&free, &slave(), &[&one]), said("lock", "3 of lock `disk` are needed there, and 1 are left"));
        // A lock of the master's is nothing that a slave could help.
        let vm = [lock("vm", LockAmount::Shares(1)), lock("gone", LockAmount::Shares(1))];
        assert_eq!(told(&Asked { locks: &vm, ..free }, &slave(), &[&vm]), None);
        assert_eq!(told(&free, &slave(), &[&[], &[]]), said("full", "its 2 slots are taken"));
        let reluctant = Slave { availability: Availability::Reluctant, ..slave() };
        let soon = "it is reluctant: it takes the build in 6 s if no eager one does";
        assert_eq!(told(&free, &reluctant, &[]), said("reluctant", soon));
        assert_eq!(told(&Asked { waited_ms: 10_000, ..free }, &reluctant, &[]), None);
        let away = Slave { availability: Availability::Unavailable, ..slave() };
        assert_eq!(told(&free, &away, &[&[], &[]]), said("unavailable", "it takes no builds"));
        let offline = Slave { connected: false, ..away };
        assert_eq!(told(&free, &offline, &[]), said("offline", "it is not connected"));
        let open = Slave { isolation: Isolation::None, ..offline };
        let isolation = "the build needs the isolation bubblewrap, and it proved none";
        assert_eq!(told(&free, &open, &[]), said("isolation", isolation));
        assert_eq!(told(&Asked { labels: &both, ..free }, &open, &[]), said("labels", "it lacks the label `arm64`"));
    }
}
