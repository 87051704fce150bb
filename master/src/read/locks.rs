//! Locks: who holds them, and who waits.

use super::{Moment, ReadError, build};
use crate::store::{Build, BuildRowState};
use gate::schedule::Scope;
use protocol::BuildId;
use protocol::api::{BuildSummary, Lock, LockUse};
use recipe::LockAmount;
use std::collections::{HashMap, HashSet};

/// Of those who wait for a lock so many are told of.
pub(crate) const MOST_WAITERS: usize = 100;

/// A build that asks for shares of a lock.
struct Asks<'b> {
    build: &'b Build,
    shares: u32,
    place: Option<u32>,
}

/// All locks in the order in which they are defined; of those who wait for each at most so many.
pub(crate) async fn locks(at: &Moment<'_>, most: usize) -> Result<Vec<Lock>, ReadError> {
    let locks = at.locks();
    if locks.is_empty() {
        return Ok(Vec::new());
    }
    let open = at.store.open_builds().await?;
    let mut all: Vec<(gate::schedule::Lock, Vec<Asks<'_>>, Vec<Asks<'_>>)> = Vec::new();
    for lock in locks {
        let places = places(at.line_of(&lock.name));
        let asks = |state| {
            let of = open.iter().filter(move |build| build.state == state);
            of.filter_map(|build| Some(Asks { build, shares: shares(build, &lock)?, place: None })).collect::<Vec<_>>()
        };
        let (mut held, mut waiting) = (asks(BuildRowState::Running), asks(BuildRowState::Waiting));
        held.sort_by_key(|it| (it.build.started, it.build.id));
        for it in &mut waiting {
            it.place = places.get(&it.build.id).copied();
        }
        waiting.sort_by_key(|it| (it.place.is_none(), it.place, it.build.requested, it.build.id));
        all.push((lock, held, waiting));
    }
    let mut shown: Vec<&Build> = Vec::new();
    let mut seen = HashSet::new();
    for (_, held, waiting) in &all {
        let these = held.iter().chain(waiting.iter().take(most)).map(|it| it.build);
        shown.extend(these.filter(|build| seen.insert(build.id)));
    }
    let lines = build::summaries(at, &shown).await?;
    let lines: HashMap<BuildId, BuildSummary> = lines.into_iter().flatten().map(|line| (line.id, line)).collect();
    let used = |it: &Asks<'_>| {
        let build = lines.get(&it.build.id)?.clone();
        let since_ms = build.started_ms.filter(|_| it.build.state == BuildRowState::Running);
        let since_ms = since_ms.unwrap_or(build.requested_ms);
        Some(LockUse { build, shares: it.shares, since_ms, place: it.place })
    };
    let told = |(lock, held, waiting): (gate::schedule::Lock, Vec<Asks<'_>>, Vec<Asks<'_>>)| Lock {
        taken: held.iter().map(|it| u64::from(it.shares)).sum(),
        held: held.iter().filter_map(used).collect(),
        waiting: waiting.iter().take(most).filter_map(used).collect(),
        waiting_count: u32::try_from(waiting.len()).unwrap_or(u32::MAX),
        scope: match lock.scope {
            Scope::Master => "master",
            Scope::Slave => "slave",
        }
        .to_owned(),
        name: lock.name,
        shares: lock.shares,
    };
    Ok(all.into_iter().map(told).collect())
}

/// The place of each build in a line, from 1.
fn places(line: Vec<BuildId>) -> HashMap<BuildId, u32> {
    line.into_iter().zip(1..).collect()
}

/// How many shares of a lock a build asks for; requests for the same lock add up, as where builds are given out.
fn shares(build: &Build, lock: &gate::schedule::Lock) -> Option<u32> {
    let asked = build.builder.locks.iter().filter(|request| request.name == lock.name);
    let shares = asked.map(|request| match request.amount {
        LockAmount::Shares(shares) => shares,
        LockAmount::Exclusive => lock.shares,
    });
    shares.map(|shares| shares.max(1)).reduce(u32::saturating_add)
}
