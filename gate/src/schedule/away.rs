//! What becomes of a build whose slave is away.

use super::{Lock, Scope, Slave, Waiting};
use protocol::SlaveId;
use protocol::wire::{Availability, Isolation};
use recipe::LockRequest;

/// A build that was given to a slave which is not connected any more.
#[derive(Clone, Copy, Debug)]
pub struct Lost<'a> {
    /// The slave.
    pub slave: SlaveId,
    /// How long it has been away, in milliseconds.
    pub away_ms: i64,
    /// Whether nobody wants the build any more.
    pub cancelled: bool,
    /// Labels that a slave must have to run it.
    pub labels: &'a [String],
    /// Locks that it holds meanwhile.
    pub locks: &'a [LockRequest],
    /// The weakest isolation allowed.
    pub isolation: Isolation,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// Its slave may come back within this time.
    Wait {
        /// Milliseconds.
        ms: i64,
    },
    /// Nobody else could run it, and it is in nobody's way: what its slave has done so far is not thrown away.
    Keep,
    /// It ends, and is run again if it is wanted.
    GiveUp,
}

/// What becomes of a build whose slave is away: after the lease it is another's, if there is another.
pub fn fate(lost: &Lost<'_>, lease_ms: i64, slaves: &[Slave], waiting: &[Waiting], locks: &[Lock]) -> Fate {
    if lost.away_ms < lease_ms {
        return Fate::Wait { ms: lease_ms - lost.away_ms };
    }
    let another = |s: &Slave| s.id != lost.slave && s.connected && s.could_run(lost.labels, lost.isolation);
    let shared = |request: &LockRequest| locks.iter().any(|l| l.name == request.name && l.scope == Scope::Master);
    let wanted = |held: &LockRequest| waiting.iter().flat_map(|b| &b.locks).any(|other| other.name == held.name);
    let in_the_way = lost.locks.iter().any(|held| shared(held) && wanted(held));
    if lost.cancelled || in_the_way || slaves.iter().any(another) { Fate::GiveUp } else { Fate::Keep }
}

impl Slave {
    /// Whether it takes builds that need these labels and this isolation, if it is connected and has a free slot.
    pub fn could_run(&self, labels: &[String], isolation: Isolation) -> bool {
        self.has_labels(labels) && self.isolation >= isolation && self.takes_builds()
    }

    pub(super) fn has_labels(&self, labels: &[String]) -> bool {
        labels.iter().all(|label| self.labels.contains(label))
    }

    pub(super) fn takes_builds(&self) -> bool {
        self.availability != Availability::Unavailable && self.slots > 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schedule::Class;
    use protocol::{BuildId, ProjectId, UnixMs};
    use recipe::LockAmount;

    fn slave(id: i64) -> Slave {
        Slave {
            id: SlaveId(id),
            name: format!("slave{id}").parse().unwrap(),
            connected: true,
            availability: Availability::Eager,
            labels: vec!["linux".to_owned()],
            slots: 1,
            isolation: Isolation::Bubblewrap,
            warm: Vec::new(),
            last_used: None,
        }
    }

    fn waiting(locks: Vec<LockRequest>) -> Waiting {
        Waiting {
            id: BuildId(9),
            project: ProjectId(1),
            class: Class::Other,
            priority: 0,
            publisher: "ann".to_owned(),
            since: UnixMs(0),
            labels: vec!["windows".to_owned()],
            locks,
            isolation: Isolation::None,
        }
    }

    #[test]
    fn a_build_is_kept_while_nobody_else_could_run_it_and_it_is_in_nobodys_way() {
        let labels = ["linux".to_owned()];
        let vm = || vec![LockRequest { name: "vm".to_owned(), amount: LockAmount::Shares(1) }];
        let held = vm();
        let lost = Lost {
            slave: SlaveId(1),
            away_ms: 60_000,
            cancelled: false,
            labels: &labels,
            locks: &held,
            isolation: Isolation::Bubblewrap,
        };
        let lock = |scope| [Lock { name: "vm".to_owned(), shares: 1, scope }];
        let fate = |lost: &Lost<'_>, slaves: &[Slave]| fate(lost, 60_000, slaves, &[], &lock(Scope::Master));
        assert_eq!(fate(&Lost { away_ms: 59_000, ..lost }, &[slave(2)]), Fate::Wait { ms: 1000 });
        assert_eq!(fate(&lost, &[slave(2)]), Fate::GiveUp);
        assert_eq!(fate(&lost, &[Slave { availability: Availability::Reluctant, ..slave(2) }]), Fate::GiveUp);
        let others = [
            slave(1),
            Slave { connected: false, ..slave(2) },
            Slave { availability: Availability::Unavailable, ..slave(3) },
            Slave { labels: Vec::new(), ..slave(4) },
            Slave { isolation: Isolation::None, ..slave(5) },
        ];
        assert_eq!(fate(&lost, &others), Fate::Keep);
        assert_eq!(fate(&Lost { cancelled: true, ..lost }, &others), Fate::GiveUp);

        let fate = |scope, wants| super::fate(&lost, 60_000, &others, &[waiting(wants)], &lock(scope));
        assert_eq!(fate(Scope::Master, vm()), Fate::GiveUp, "somebody waits for its lock");
        assert_eq!(fate(Scope::Slave, vm()), Fate::Keep, "others have that lock on slaves of their own");
        assert_eq!(fate(Scope::Master, Vec::new()), Fate::Keep);
    }
}
