//! Gives waiting builds to slaves, as `gate::schedule` chooses, and takes them back from slaves that are lost.

use super::{Again, StepError};
use crate::config::LockScope;
use crate::state::Shared;
use crate::store::{Build, BuildRowState, Finished, SlaveRow, now};
use gate::schedule::{Class, Lock, Running, Scope, Situation, Slave, Waiting, schedule};
use protocol::wire::{Assignment, ToSlave};
use protocol::{BranchId, BuildId, BuildResult, SlaveId, UnixMs};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tracker::mirror::Mirror;

pub(super) async fn step(shared: &Shared) -> Result<Again, StepError> {
    let slaves = shared.store.slaves().await?;
    let mut builds = Vec::new();
    let mut next_loss = None;
    for build in shared.store.open_builds().await? {
        match mind(shared, &build, &slaves).await? {
            Minded::Kept => builds.push(build),
            Minded::Until(left) => {
                next_loss = next_loss.min(Some(left)).or(Some(left));
                builds.push(build);
            }
            Minded::GivenUp => {}
        }
    }
    let publishers = publishers(shared, &builds).await?;
    let served = shared.store.served().await?;
    let situation = situation(shared, &builds, &slaves, &publishers, served);
    let plan = schedule(&situation);
    shared.set_waits(plan.waits.into_iter().collect());
    for assigned in plan.assigned {
        give(shared, assigned.build, assigned.slave).await?;
    }
    let look = plan.look_again.map(|at| Duration::from_millis(u64::try_from(at.0 - now().0).unwrap_or(0)));
    Ok(match [look, next_loss].into_iter().flatten().min() {
        Some(time) => Again::After(time.max(Duration::from_millis(50))),
        None => Again::AtTick,
    })
}

/// What came of minding a build.
enum Minded {
    Kept,
    /// Its slave is away and has this long to come back.
    Until(Duration),
    GivenUp,
}

/// Passes on that a running build is cancelled, and gives it up when its slave was away too long.
async fn mind(shared: &Shared, build: &Build, slaves: &[SlaveRow]) -> Result<Minded, StepError> {
    let (BuildRowState::Running, Some(slave)) = (build.state, build.slave) else { return Ok(Minded::Kept) };
    let of = build.reference();
    let Some(away) = shared.sessions.away(slave) else {
        if let Some(reason) = &build.cancel {
            shared.sessions.cancel(slave, of, reason);
        }
        return Ok(Minded::Kept);
    };
    let lease = shared.config.times.lease();
    if away < lease {
        return Ok(Minded::Until(lease - away));
    }
    let name = slaves.iter().find(|s| s.id == slave).map_or_else(|| "?".to_owned(), |s| s.name.to_string());
    let end = match &build.cancel {
        Some(reason) => Finished { result: BuildResult::Cancelled, says: reason.clone() },
        None => Finished {
            result: BuildResult::Retry,
            says: format!("slave {name} was away for more than {} s", lease.as_secs()),
        },
    };
    shared.store.give_up(of, &end).await?;
    Ok(Minded::GivenUp)
}

async fn publishers(shared: &Shared, builds: &[Build]) -> Result<HashMap<BranchId, String>, StepError> {
    let mut names = HashMap::new();
    for build in builds {
        if let std::collections::hash_map::Entry::Vacant(entry) = names.entry(build.branch) {
            entry.insert(shared.store.branch_by_id(build.branch).await?.publisher);
        }
    }
    Ok(names)
}

fn situation(
    shared: &Shared,
    builds: &[Build],
    slaves: &[SlaveRow],
    publishers: &HashMap<BranchId, String>,
    served: BTreeMap<String, UnixMs>,
) -> Situation {
    let publisher = |build: &Build| publishers.get(&build.branch).cloned().unwrap_or_default();
    let waiting = builds.iter().filter(|b| b.state == BuildRowState::Waiting).map(|build| Waiting {
        id: build.id,
        project: build.project,
        class: if build.for_queue { Class::Queue } else { Class::Other },
        priority: i32::try_from(build.priority).unwrap_or(0),
        publisher: publisher(build),
        since: build.requested,
        labels: build.builder.slaves.clone(),
        locks: build.builder.locks.clone(),
        isolation: build.isolation,
    });
    let running = builds.iter().filter(|b| b.state == BuildRowState::Running).filter_map(|build| {
        let slave = build.slave?;
        Some(Running { id: build.id, slave, publisher: publisher(build), locks: build.builder.locks.clone() })
    });
    let slaves = slaves.iter().map(|slave| Slave {
        id: slave.id,
        name: slave.name.clone(),
        connected: shared.sessions.connected(slave.id),
        availability: gate::availability::effective(slave.said, slave.admin),
        labels: slave.labels.clone(),
        slots: slave.slots,
        isolation: slave.isolation,
        warm: shared.sessions.warm(slave.id),
        last_used: (slave.used.0 > 0).then_some(slave.used),
    });
    Situation {
        now: now(),
        reluctant_after_ms: i64::try_from(shared.config.times.reluctant_after_s)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000),
        waiting: waiting.collect(),
        running: running.collect(),
        served,
        slaves: slaves.collect(),
        locks: locks(shared),
    }
}

/// The locks that the admin defined.
pub(crate) fn locks(shared: &Shared) -> Vec<Lock> {
    let scope = |scope| match scope {
        LockScope::Master => Scope::Master,
        LockScope::Slave => Scope::Slave,
    };
    let lock = |l: &crate::config::Lock| Lock { name: l.name.clone(), shares: l.shares, scope: scope(l.scope) };
    shared.config.locks.iter().map(lock).collect()
}

/// Gives a build to a slave: durable first, then told. A message that is lost is found missing at the next hello.
async fn give(shared: &Shared, id: BuildId, slave: SlaveId) -> Result<(), StepError> {
    // What an earlier, interrupted run left must not be taken for this one's.
    shared.logs.forget(id)?;
    let Some(build) = shared.store.give_out(id, slave).await? else { return Ok(()) };
    let branch = shared.store.branch_by_id(build.branch).await?;
    let revision = shared.store.revision_by_id(build.revision).await?;
    let Some(project) = shared.guarded(build.project) else { return Ok(()) };
    let of = build.reference();
    let assignment = Assignment {
        of,
        project: project.name.clone(),
        git_path: format!("/git/{}.git", project.name),
        git_ref: Mirror::kept_candidate_ref(&branch.name, revision.number, &build.commit),
        commit: build.commit.clone(),
        what: format!("{} r{}", branch.name, revision.number),
        builder: build.builder.clone(),
        isolation: build.isolation,
        limits: shared.config.limits.into(),
        env: vec![
            ("BB_PROJECT".to_owned(), project.name.to_string()),
            ("BB_BRANCH".to_owned(), branch.name.to_string()),
        ],
    };
    if !shared.sessions.start(slave, of, project.id, ToSlave::Start(Box::new(assignment))) {
        shared.store.take_back(of).await?;
    }
    Ok(())
}
