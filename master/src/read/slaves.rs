//! Slaves and locks.

use super::{Moment, ReadError, build};
use crate::store::{Build, BuildRowState};
use gate::schedule::Scope;
use protocol::SlaveId;
use protocol::api::{BuildSummary, Lock, Look, Slave};
use recipe::LockAmount;
use std::collections::HashMap;

/// All slaves.
pub(crate) async fn slaves(at: &Moment<'_>) -> Result<Vec<Slave>, ReadError> {
    of_builds(at, &at.store.open_builds().await?).await
}

/// The same with the builds that are waited for or run.
pub(super) async fn of_builds(at: &Moment<'_>, open: &[Build]) -> Result<Vec<Slave>, ReadError> {
    let running: Vec<&Build> =
        open.iter().filter(|build| build.state == BuildRowState::Running && build.slave.is_some()).collect();
    let mut builds: HashMap<SlaveId, Vec<BuildSummary>> = HashMap::new();
    for (build, line) in running.iter().zip(build::summaries(at, &running).await?) {
        builds.entry(build.slave.unwrap_or(SlaveId(0))).or_default().extend(line);
    }
    let mut lines = Vec::new();
    for row in at.store.slaves().await? {
        let builds = builds.remove(&row.id).unwrap_or_default();
        let connected = at.is_connected(row.id);
        let word = gate::availability::word(connected, row.said, row.admin);
        lines.push(Slave {
            name: row.name,
            connected,
            since_ms: Some(row.since),
            said: row.said,
            said_reason: row.said_reason,
            admin: row.admin,
            labels: row.labels,
            slots: row.slots,
            isolation: row.isolation,
            isolation_notes: row.isolation_notes,
            machine: row.machine,
            bb: row.bb,
            builds,
            look: match word {
                "eager" => Look::Passed,
                "reluctant" => Look::Warnings,
                "offline" => Look::Failed,
                _ => Look::Waiting,
            },
            word: word.to_owned(),
        });
    }
    Ok(lines)
}

/// All locks: who holds them and who waits.
pub(crate) async fn locks(at: &Moment<'_>) -> Result<Vec<Lock>, ReadError> {
    let open = at.store.open_builds().await?;
    Ok(at
        .locks()
        .into_iter()
        .map(|lock| {
            let asked = |build: &Build| {
                build.builder.locks.iter().find(|r| r.name == lock.name).map(|r| match r.amount {
                    LockAmount::Shares(n) => n,
                    LockAmount::Exclusive => lock.shares,
                })
            };
            let of = |state| open.iter().filter(move |b| b.state == state);
            Lock {
                held: of(BuildRowState::Running).filter_map(|b| Some((b.id, asked(b)?))).collect(),
                waiting: of(BuildRowState::Waiting).filter(|b| asked(b).is_some()).map(|b| b.id).collect(),
                scope: match lock.scope {
                    Scope::Master => "master",
                    Scope::Slave => "slave",
                }
                .to_owned(),
                name: lock.name,
                shares: lock.shares,
            }
        })
        .collect())
}
