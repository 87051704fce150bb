//! Slaves and locks.

use super::{ReadError, build};
use crate::state::Shared;
use crate::store::{Build, BuildRowState};
use gate::schedule::Scope;
use protocol::api::{Lock, Look, Slave};
use recipe::LockAmount;

/// All slaves.
pub(crate) async fn slaves(shared: &Shared) -> Result<Vec<Slave>, ReadError> {
    let open = shared.store.open_builds().await?;
    let mut lines = Vec::new();
    for row in shared.store.slaves().await? {
        let mut builds = Vec::new();
        for build in open.iter().filter(|b| b.slave == Some(row.id) && b.state == BuildRowState::Running) {
            builds.extend(build::summary_of(shared, build).await?);
        }
        let connected = shared.sessions.connected(row.id);
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
pub(crate) async fn locks(shared: &Shared) -> Result<Vec<Lock>, ReadError> {
    let open = shared.store.open_builds().await?;
    Ok(shared
        .config
        .counted_locks()
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
