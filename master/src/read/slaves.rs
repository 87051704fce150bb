//! Slaves.

use super::{Moment, ReadError, build};
use crate::store::{Build, BuildRowState, SlaveRow, now};
use gate::schedule::{self, Asked};
use protocol::SlaveId;
use protocol::api::{BuildSummary, Look, Slave, SlaveOfBuild};
use protocol::wire::Voice;
use std::collections::HashMap;

/// All slaves.
pub(crate) async fn slaves(at: &Moment<'_>) -> Result<Vec<Slave>, ReadError> {
    let (rows, running) = (at.store.slaves().await?, at.store.running_on(None).await?);
    lines(at, rows, &running).await
}

/// How each slave stands to a build, by name: why it does not take one that waits, else which has it.
pub(crate) async fn of_build(at: &Moment<'_>, build: &Build) -> Result<Vec<SlaveOfBuild>, ReadError> {
    let rows = at.store.slaves().await?;
    if build.state != BuildRowState::Waiting {
        let says = if build.result().is_some() { "it ran it" } else { "it runs it" };
        let having = rows.into_iter().filter(|row| build.slave == Some(row.id));
        let has = |row: SlaveRow| SlaveOfBuild { name: row.name, code: "has".to_owned(), says: says.to_owned() };
        return Ok(having.map(has).collect());
    }
    let trusted = at.store.branch_by_id(build.branch).await?.trusted;
    let asked = Asked {
        labels: &build.builder.slaves,
        isolation: build.isolation.max(schedule::isolation_of(trusted)),
        locks: &build.builder.locks,
        waited_ms: now().0.saturating_sub(build.requested.0),
    };
    let (locks, running) = (at.locks(), at.store.running_on(None).await?);
    let after_ms = at.reluctant_after_ms();
    let told = |row: SlaveRow| {
        let on_it = running.iter().filter(|other| other.slave == Some(row.id));
        let held: Vec<&[recipe::LockRequest]> = on_it.map(|other| other.builder.locks.as_slice()).collect();
        let slave = schedule::Slave {
            id: row.id,
            connected: at.is_connected(row.id),
            availability: row.availability(now()),
            slots: row.slots,
            isolation: row.isolation,
            warm: Vec::new(),
            last_used: None,
            name: row.name,
            labels: row.labels,
        };
        let (code, says) = match schedule::against(&asked, &slave, &held, &locks, after_ms) {
            Some(against) => (against.code(), against.text()),
            None => ("able", "it could take it; the build waits for its turn, or for a lock of the master".to_owned()),
        };
        SlaveOfBuild { name: slave.name, code: code.to_owned(), says }
    };
    Ok(rows.into_iter().map(told).collect())
}

/// Some of the slaves, and how many there are.
pub(super) struct Shown {
    pub(super) lines: Vec<Slave>,
    pub(super) count: u32,
    /// How many take builds.
    pub(super) able: u32,
}

/// At most so many; where there are more, those first that don't take builds.
pub(super) async fn some(at: &Moment<'_>, most: usize) -> Result<Shown, ReadError> {
    let mut rows = at.store.slaves().await?;
    let takes = |row: &SlaveRow| matches!(word(at, row), "eager" | "reluctant");
    let able = rows.iter().filter(|row| takes(row)).count();
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    if rows.len() > most {
        // Stable, so that each kind stays by name.
        rows.sort_by_key(takes);
        rows.truncate(most);
    }
    let ids: Vec<SlaveId> = rows.iter().map(|row| row.id).collect();
    let running = at.store.running_on(Some(&ids)).await?;
    let lines = lines(at, rows, &running).await?;
    Ok(Shown { lines, count, able: u32::try_from(able).unwrap_or(u32::MAX) })
}

fn word(at: &Moment<'_>, row: &SlaveRow) -> &'static str {
    gate::availability::word(at.is_connected(row.id), row.said, row.admin_at(now()).says)
}

/// Slaves in their order, with the builds that they run.
async fn lines(at: &Moment<'_>, rows: Vec<SlaveRow>, running: &[Build]) -> Result<Vec<Slave>, ReadError> {
    let running: Vec<&Build> = running.iter().filter(|build| build.slave.is_some()).collect();
    let mut builds: HashMap<SlaveId, Vec<BuildSummary>> = HashMap::new();
    for (build, line) in running.iter().zip(build::summaries(at, &running).await?) {
        builds.entry(build.slave.unwrap_or(SlaveId(0))).or_default().extend(line);
    }
    let mut lines = Vec::new();
    for row in rows {
        let builds = builds.remove(&row.id).unwrap_or_default();
        let (connected, word) = (at.is_connected(row.id), word(at, &row));
        let admin = row.admin_at(now());
        lines.push(Slave {
            name: row.name,
            connected,
            since_ms: Some(row.since),
            said: row.said,
            said_reason: row.said_reason,
            said_word: Some(row.said_word),
            admin: admin.says,
            admin_word: Some(admin).filter(|word| word.voice == Voice::Admin),
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
