//! Gives waiting builds to slaves, as `gate::schedule` chooses, and takes them back from slaves that are lost.

use super::board::Board;
use super::each::{is_everybodys, look_after};
use super::step::Turn;
use super::{Again, StepError};
use crate::project::assignment;
use crate::state::Shared;
use crate::store::{Build, BuildRowState, Finished, Happening, Heard, OpenBuild, SlaveRow, needs_of, now};
use gate::schedule::{
    Assigned, Class, Fate, Lost, Plan, Running, Situation, Slave, Stranded, Waiting, fate, isolation_of, schedule,
    stranded,
};
use protocol::api::Look;
use protocol::wire::Isolation;
use protocol::{BuildId, BuildResult, SlaveId, UnixMs};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// What builds that could not be given out are remembered under.
const NAME: &str = "schedule";
/// Plans made in one turn, each without what could not be given out by the ones before.
const PLANS: usize = 32;

/// `heard` is what changed since the last turn with this board.
pub(super) async fn step(shared: &Shared, board: &mut Board, heard: &Heard) -> Result<Turn, StepError> {
    shared.sessions.record_gone(&shared.store).await;
    board.refresh(&shared.store, heard).await?;
    let slaves = slaves(shared, &board.slaves);
    let mut waiting: Vec<Waiting> = board.open.values().filter_map(|it| waiting(shared, it)).collect();
    // One that could not be given out lately is left alone for a while: others have its place.
    let rests = waiting.iter().filter_map(|it| rest(shared, it)).min();
    waiting.retain(|it| rest(shared, it).is_none());
    forget_strangers(shared, board).await?;
    let (mut running, mut kept, mut next_loss) = (Vec::new(), HashSet::new(), None);
    for it in board.open.values() {
        match mind(shared, &it.build, &board.slaves, &slaves, &waiting).await? {
            Minded::GoesOn => {}
            Minded::Until(left) => next_loss = next_loss.min(Some(left)).or(Some(left)),
            Minded::Kept => drop(kept.insert(it.build.id)),
            Minded::Ended => continue,
        }
        running.extend(self::running(it));
    }
    shared.set_kept(kept);
    let situation = situation(shared, waiting, running, slaves, board.served.clone());
    let asked = situation.waiting.clone();
    let (plan, failed) = give_all(shared, board, situation).await?;
    let alone = tell_stranded(shared, board, stranded(&plan.waits, &asked)).await?;
    shared.set_lines(plan.lines);
    shared.set_waits(plan.waits.into_iter().collect(), |id| {
        board.open.get(&id).map(|it| needs_of(&it.build.builder, it.build.isolation, it.trusted))
    });
    // An admin's word that ends.
    let admins = board.slaves.iter().filter_map(|row| row.admin_word.until).filter(|until| *until > now()).min();
    let ends = admins.map(|at| Duration::from_millis(u64::try_from(at.0 - now().0).unwrap_or(0)));
    let look = plan.look_again.map(|at| Duration::from_millis(u64::try_from(at.0 - now().0).unwrap_or(0)));
    Ok(Turn::Did(match [look, next_loss, rests, failed, ends, alone].into_iter().flatten().min() {
        Some(time) => Again::After(time.max(Duration::from_millis(50))),
        None => Again::AtTick,
    }))
}

/// Tells of builds whose every slave has left, once each time: on the pages, in the project's events, and in the master's log. Gives
/// when that is to be looked at again, where slaves may only be on their way back.
async fn tell_stranded(shared: &Shared, board: &Board, all: Vec<Stranded>) -> Result<Option<Duration>, StepError> {
    // After a start, and after a cut line, slaves come back within their lease; one that says it takes none has left at once.
    let lease = shared.config.times.lease();
    let away = board.slaves.iter().filter_map(|row| shared.sessions.away(row.id));
    let soon = away.filter(|away| *away < lease).map(|away| lease - away).min();
    shared.keep_told(&all);
    let (maybe, sure): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.offline && soon.is_some());
    for it in &sure {
        if !shared.was_told(it) {
            let text = it.text();
            tracing::warn!(project = it.project.0, "{text}");
            let (kind, look, actor) = ("slaves-away", Look::Warnings, "bb".to_owned());
            let (project, branch, build) = (Some(it.project), None, None);
            shared.store.record(&Happening { project, branch, build, kind, look, text, actor }).await?;
            shared.tell(it);
        }
    }
    shared.set_stranded(sure);
    Ok(soon.filter(|_| !maybe.is_empty()))
}

/// How long a build that waits is still left alone.
fn rest(shared: &Shared, it: &Waiting) -> Option<Duration> {
    shared.guarded(it.project)?.troubles.rest((NAME, it.id.0))
}

/// Gives builds out by one plan after another, each without what could not be given out by the one before: its place is
/// somebody else's in the same turn. Gives the last plan, and when the first that failed is to be tried again.
async fn give_all(
    shared: &Shared,
    board: &mut Board,
    mut it: Situation,
) -> Result<(Plan, Option<Duration>), StepError> {
    let mut again: Option<Duration> = None;
    for _ in 0..PLANS {
        let plan = schedule(&it);
        let mut came_true = true;
        for Assigned { build, slave } in &plan.assigned {
            let is_there = it.slaves.iter().any(|row| row.id == *slave && row.connected);
            let Some(open) = board.open.get(build).filter(|_| is_there) else {
                came_true = false;
                continue;
            };
            let given = match give(shared, open, *slave).await {
                Ok(given) => given,
                Err(error) if is_everybodys(&error) => return Err(error),
                Err(error) => {
                    let pause = failed(shared, &open.build, &error);
                    again = Some(again.map_or(pause, |again| again.min(pause)));
                    Given::Failed
                }
            };
            came_true &= given == Given::Yes;
            took(board, &mut it, (*build, *slave), given);
        }
        if came_true {
            return Ok((plan, again));
        }
    }
    // What is still wrong is found in as many plans of the next turn.
    Ok((schedule(&it), Some(Duration::ZERO)))
}

/// Remembers that a build could not be given out; gives how long it is left alone.
fn failed(shared: &Shared, build: &Build, error: &StepError) -> Duration {
    let Some(project) = shared.guarded(build.project) else { return super::TICK };
    look_after(project, error);
    let pause = project.troubles.failed((NAME, build.id.0), ());
    tracing::warn!(build = %build.id, %error, "a build can't be given out; it is tried again in {} s", pause.as_secs());
    pause
}

/// What came of giving a build to a slave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Given {
    /// The slave has it.
    Yes,
    /// Its row is another by now: what it is was heard, and is read in the next turn.
    Changed,
    /// The slave takes nothing now.
    NotThere,
    /// It could not be given out.
    Failed,
}

/// What the next plan of a turn begins with.
fn took(board: &mut Board, it: &mut Situation, (build, slave): (BuildId, SlaveId), given: Given) {
    if given == Given::NotThere {
        it.slaves.iter_mut().filter(|row| row.id == slave).for_each(|row| row.connected = false);
        return;
    }
    let waited = it.waiting.iter().position(|waiting| waiting.id == build).map(|at| it.waiting.remove(at));
    match given {
        Given::Yes => {
            let at = now();
            board.slaves.iter_mut().filter(|row| row.id == slave).for_each(|row| row.used = at);
            it.slaves.iter_mut().filter(|row| row.id == slave).for_each(|row| row.last_used = Some(at));
            if let Some(Waiting { id, publisher, locks, .. }) = waited {
                it.served.insert(publisher.clone(), at);
                it.running.push(Running { id, slave, publisher, locks });
            }
        }
        Given::Changed => drop(board.open.remove(&build)),
        Given::NotThere | Given::Failed => {}
    }
}

/// What came of minding a build.
enum Minded {
    /// It waits, or its slave is here and has it.
    GoesOn,
    /// Its slave is away and has this long to come back.
    Until(Duration),
    /// Its slave is away, and nobody else could run it.
    Kept,
    /// Its slave has it no more.
    Ended,
}

/// Passes on that a running build is cancelled, and ends one whose slave has lost it or was away too long.
async fn mind(
    shared: &Shared,
    build: &Build,
    rows: &[SlaveRow],
    slaves: &[Slave],
    waiting: &[Waiting],
) -> Result<Minded, StepError> {
    let (BuildRowState::Running, Some(slave)) = (build.state, build.slave) else { return Ok(Minded::GoesOn) };
    let of = build.reference();
    let name = || rows.iter().find(|s| s.id == slave).map_or_else(|| "?".to_owned(), |s| s.name.to_string());
    let Some(away) = shared.sessions.away(slave) else {
        if shared.sessions.holds(slave, of) == Some(false) {
            lost(shared, build, &name()).await?;
            return Ok(Minded::Ended);
        }
        if let Some(reason) = &build.cancel {
            shared.sessions.cancel(slave, of, reason);
        }
        return Ok(Minded::GoesOn);
    };
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let lease = shared.config.times.lease();
    let it = Lost {
        slave,
        away_ms: ms(away),
        cancelled: build.cancel.is_some(),
        labels: &build.builder.slaves,
        locks: &build.builder.locks,
        isolation: build.isolation,
    };
    match fate(&it, ms(lease), slaves, waiting, &shared.config.counted_locks()) {
        Fate::Wait { ms } => Ok(Minded::Until(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))),
        Fate::Keep => Ok(Minded::Kept),
        Fate::GiveUp => {
            let end = match &build.cancel {
                Some(reason) => Finished { result: BuildResult::Cancelled, says: reason.clone() },
                None => Finished {
                    result: BuildResult::Retry,
                    says: format!("slave {} was away for more than {} s", name(), lease.as_secs()),
                },
            };
            shared.store.give_up(of, &end).await?;
            Ok(Minded::Ended)
        }
    }
}

/// A build that the store says is at a slave which is here and does not have it: it never got there, or is lost.
async fn lost(shared: &Shared, build: &Build, slave: &str) -> Result<(), StepError> {
    if build.next_report == 0 {
        shared.store.take_back(build.reference()).await?;
        return Ok(());
    }
    let says = format!("slave {slave} has lost it");
    shared.store.give_up(build.reference(), &Finished { result: BuildResult::Retry, says }).await?;
    Ok(())
}

/// Has slaves forget builds that they have and the store gives to nobody or to others. One that ended by its slave's own
/// word stays until its logs are here.
async fn forget_strangers(shared: &Shared, board: &Board) -> Result<(), StepError> {
    for (slave, of) in shared.sessions.held() {
        let is_its = |build: &Build| build.reference() == of && build.slave == Some(slave);
        if board.open.get(&of.build).is_some_and(|it| is_its(&it.build))
            || shared.store.build(of.build).await?.as_ref().is_some_and(is_its)
        {
            continue;
        }
        tracing::warn!(build = %of.build, "a slave has a build that is not its any more: it is told to forget it");
        shared.sessions.forget(slave, of);
    }
    Ok(())
}

/// What a build needs: what it was asked for with, and never less than its publisher is trusted with at this moment.
fn isolation(build: &OpenBuild) -> Isolation {
    build.build.isolation.max(isolation_of(build.trusted))
}

/// A build that waits; none of a project that this master does not guard (any more): nobody could give it out.
fn waiting(shared: &Shared, open: &OpenBuild) -> Option<Waiting> {
    let build = &open.build;
    if build.state != BuildRowState::Waiting || shared.guarded(build.project).is_none() {
        return None;
    }
    Some(Waiting {
        id: build.id,
        project: build.project,
        class: if build.for_queue { Class::Queue } else { Class::Other },
        priority: i32::try_from(build.priority).unwrap_or(0),
        publisher: open.publisher.clone(),
        since: build.requested,
        labels: build.builder.slaves.clone(),
        locks: build.builder.locks.clone(),
        isolation: isolation(open),
    })
}

fn running(open: &OpenBuild) -> Option<Running> {
    let OpenBuild { build, publisher, .. } = open;
    let slave = build.slave.filter(|_| build.state == BuildRowState::Running)?;
    Some(Running { id: build.id, slave, publisher: publisher.clone(), locks: build.builder.locks.clone() })
}

fn slaves(shared: &Shared, rows: &[SlaveRow]) -> Vec<Slave> {
    let slave = |slave: &SlaveRow| Slave {
        id: slave.id,
        name: slave.name.clone(),
        connected: shared.sessions.connected(slave.id),
        availability: slave.availability(now()),
        labels: slave.labels.clone(),
        slots: slave.slots,
        isolation: slave.isolation,
        warm: shared.sessions.warm(slave.id),
        last_used: (slave.used.0 > 0).then_some(slave.used),
    };
    rows.iter().map(slave).collect()
}

fn situation(
    shared: &Shared,
    waiting: Vec<Waiting>,
    running: Vec<Running>,
    slaves: Vec<Slave>,
    served: BTreeMap<String, UnixMs>,
) -> Situation {
    Situation {
        now: now(),
        reluctant_after_ms: i64::try_from(shared.config.times.reluctant_after_s)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000),
        waiting,
        running,
        served,
        slaves,
        locks: shared.config.counted_locks(),
    }
}

/// Gives a build to a slave: everything about it is known and can be said before the row says that the slave has it, and
/// the row is durable before the slave hears of it. A message that is lost is found missing at the next hello, or tick.
async fn give(shared: &Shared, open: &OpenBuild, slave: SlaveId) -> Result<Given, StepError> {
    let build = &open.build;
    let Some(project) = shared.guarded(build.project) else { return Ok(Given::Changed) };
    // What nobody could fetch is given to nobody.
    project.mirror.commit(&build.commit).await?;
    let limits = shared.config.limits.into();
    let mut assignment = assignment(&shared.store, project, build, limits, &shared.url).await?;
    assignment.isolation = assignment.isolation.max(isolation(open));
    // What an earlier, interrupted run left must not be taken for this one's.
    shared.logs.forget(build.id)?;
    let Some(given) = shared.store.give_out(build.id, slave).await? else { return Ok(Given::Changed) };
    assignment.of = given.reference();
    if given.commit != build.commit || given.builder != build.builder {
        // It moved on with mainline in between: it is given out as it is now, in the next turn.
        shared.store.take_back(assignment.of).await?;
        return Ok(Given::Changed);
    }
    let of = assignment.of;
    if !shared.sessions.start(slave, project.id, assignment) {
        shared.store.take_back(of).await?;
        return Ok(Given::NotThere);
    }
    project.troubles.fine((NAME, build.id.0));
    Ok(Given::Yes)
}
