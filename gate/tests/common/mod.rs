//! Short ways to write situations down.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gate::schedule::{Class, Lock, Plan, Running, Scope, Situation, Slave, Waiting};
use protocol::wire::{Availability, Isolation};
use protocol::{BuildId, ProjectId, SlaveId, UnixMs};
use recipe::{LockAmount, LockRequest};
use std::collections::BTreeMap;

pub const NOW: i64 = 1_000_000_000;
pub const RELUCTANT_AFTER: i64 = 60_000;

/// A situation at [`NOW`] with nothing in it.
pub fn nothing() -> Situation {
    Situation {
        now: UnixMs(NOW),
        reluctant_after_ms: RELUCTANT_AFTER,
        waiting: vec![],
        running: vec![],
        served: BTreeMap::new(),
        slaves: vec![],
        locks: vec![],
    }
}

/// A build of Ines' that came this second and needs nothing.
pub fn build(id: i64) -> Waiting {
    Waiting {
        id: BuildId(id),
        project: ProjectId(1),
        class: Class::Other,
        priority: 0,
        publisher: "ines".to_owned(),
        since: UnixMs(NOW),
        labels: vec![],
        locks: vec![],
        isolation: Isolation::None,
    }
}

/// An eager slave of one slot without labels.
pub fn slave(id: i64, name: &str) -> Slave {
    Slave {
        id: SlaveId(id),
        name: name.parse().unwrap(),
        connected: true,
        availability: Availability::Eager,
        labels: vec![],
        slots: 1,
        isolation: Isolation::Bubblewrap,
        warm: vec![],
        last_used: None,
    }
}

pub fn lock(name: &str, shares: u32, scope: Scope) -> Lock {
    Lock { name: name.to_owned(), shares, scope }
}

/// Requests: a number of shares, 0 for all.
pub fn wants(requests: &[(&str, u32)]) -> Vec<LockRequest> {
    let amount = |n| if n == 0 { LockAmount::Exclusive } else { LockAmount::Shares(n) };
    requests.iter().map(|(name, n)| LockRequest { name: (*name).to_owned(), amount: amount(*n) }).collect()
}

/// A build of Tomas' that runs.
pub fn running(id: i64, slave: i64, requests: &[(&str, u32)]) -> Running {
    Running { id: BuildId(id), slave: SlaveId(slave), publisher: "tomas".to_owned(), locks: wants(requests) }
}

/// Builds and slaves by number.
pub fn assigned(plan: &Plan) -> Vec<(i64, i64)> {
    plan.assigned.iter().map(|a| (a.build.0, a.slave.0)).collect()
}

/// The reasons of those that wait, one a line.
pub fn reasons(plan: &Plan) -> String {
    let line = |(id, wait): &(BuildId, gate::schedule::Wait)| {
        let next = wait.next();
        format!("#{id} {}: {}. Next: {} {}.", wait.code(), wait.text(), next.who, next.what)
    };
    plan.waits.iter().map(line).collect::<Vec<_>>().join("\n")
}
