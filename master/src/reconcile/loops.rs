//! The loops themselves: what each is called, who wakes it, and how it goes on after an error.

use super::board::Board;
use super::each::look_after;
use super::hearing::Hearing;
use super::step::{Again, StepError, TICK, Turn};
use super::{builds, candidates, claims, expire, mainline, mend, pack, queue, schedule, upkeep, watch};
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Heard, Interest, Listener, Topic, Topics};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracker::mirror::Upkeep;

/// The first pause after an error, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The shortest time between two comparisons of rows and mirror.
const MIRROR_REST: Duration = Duration::from_secs(2);

/// A loop, one for the master or one for each of its projects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loop {
    /// Renews claims.
    Claims,
    /// Gives builds out.
    Schedule,
    /// Looks at mainline.
    Mainline,
    /// Looks at the branches that are due.
    Watch,
    /// Makes candidates.
    Candidates,
    /// Asks for builds.
    Builds,
    /// Decides and lands.
    Queue,
    /// Compares rows and mirror.
    Mend,
    /// Keeps mirrors small.
    Upkeep,
    /// Packs logs.
    Pack,
    /// Deletes what builds left, once it was kept for long enough.
    Expire,
}

/// One turn of a loop, to the end of all that it begins.
pub(crate) async fn turn(shared: &Arc<Shared>, which: Loop) -> Result<(), StepError> {
    match which {
        Loop::Claims => claims::step(shared).await.map(drop)?,
        Loop::Schedule => schedule::step(shared, &mut Board::default(), &Heard::All).await.map(drop)?,
        Loop::Pack => pack::step(shared, &mut pack::BEGIN.clone()).await.map(drop)?,
        Loop::Expire => expire::step(shared).await.map(drop)?,
        _ => {
            for project in &shared.projects {
                looked_after(project, of_project(shared, project, which).await)?;
            }
        }
    }
    Ok(())
}

async fn of_project(shared: &Arc<Shared>, project: &Arc<Guarded>, which: Loop) -> Result<(), StepError> {
    match which {
        Loop::Claims | Loop::Schedule | Loop::Pack | Loop::Expire => Ok(()),
        Loop::Mainline => mainline::step(shared, project).await.map(drop),
        Loop::Watch => watch::turn(shared, project).await.map(drop),
        Loop::Candidates => candidates::step(shared, project).await.map(drop),
        Loop::Builds => builds::step(shared, project, &Heard::All).await.map(drop),
        Loop::Queue => queue::step(shared, project, &Heard::All).await.map(drop),
        Loop::Mend => mend::step(shared, project).await.map(drop),
        Loop::Upkeep => upkeep::once(shared, project, Upkeep::Recent).await,
    }
}

/// A turn of a project that ended at its mirror has that looked after: no loop stands still for what nobody mends.
fn looked_after<T>(project: &Guarded, turn: Result<T, StepError>) -> Result<T, StepError> {
    if let Err(error) = &turn {
        look_after(project, error);
    }
    turn
}

/// Starts all loops.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let woken = Wake::Store(shared.store.listen(SCHEDULE));
    let (all, board) = (shared.clone(), Arc::new(Mutex::new(Board::default())));
    tasks.spawn(turns("schedule", shared.shutdown.clone(), woken, move |heard| {
        let (shared, board) = (all.clone(), board.clone());
        async move { schedule::step(&shared, &mut *board.lock().await, &heard).await }
    }));
    let all = shared.clone();
    tasks.spawn(turns("claims", shared.shutdown.clone(), Wake::Nobody, move |_| {
        let shared = all.clone();
        async move { claims::step(&shared).await.map(Turn::Did) }
    }));
    let (all, round) = (shared.clone(), Arc::new(Mutex::new(pack::BEGIN)));
    tasks.spawn(turns("pack", shared.shutdown.clone(), Wake::Nobody, move |_| {
        let (shared, round) = (all.clone(), round.clone());
        async move { pack::step(&shared, &mut *round.lock().await).await.map(Turn::Did) }
    }));
    let all = shared.clone();
    tasks.spawn(turns("expire", shared.shutdown.clone(), Wake::Nobody, move |_| {
        let shared = all.clone();
        async move { expire::step(&shared).await.map(Turn::Did) }
    }));
    for project in &shared.projects {
        let by_store = |topics| Wake::Store(shared.store.listen(Interest { topics, ..Interest::of(project.id, []) }));
        let mainline = Wake::Mainline(project.clone());
        spawn(shared, project, tasks, "mainline", mainline, |s, p, _| async move {
            mainline::step(&s, &p).await.map(Turn::Did)
        });
        tasks.spawn(watch::run(shared.clone(), project.clone()));
        let woken = by_store(CANDIDATES);
        spawn(shared, project, tasks, "candidates", woken, |s, p, _| async move {
            candidates::step(&s, &p).await.map(Turn::Did)
        });
        let mirror = Wake::Mirror(project.clone());
        spawn(shared, project, tasks, "mend", mirror, |s, p, _| async move { mend::step(&s, &p).await.map(Turn::Did) });
        let woken = by_store(BUILDS);
        spawn(shared, project, tasks, "builds", woken, |s, p, heard| async move { builds::step(&s, &p, &heard).await });
        let (all, guarded) = (shared.clone(), project.clone());
        tasks.spawn(async move { upkeep::run(&all, &guarded).await });
        let woken = by_store(QUEUE);
        spawn(shared, project, tasks, "queue", woken, |s, p, heard| async move {
            queue::step(&s, &p, &heard).await.map(Turn::Did)
        });
    }
}

/// What the loops are woken by: whatever they read to find out what there is to do.
const SCHEDULE: Interest = Interest::all([Topic::Build, Topic::Slave, Topic::Token, Topic::Branch]);
const CANDIDATES: Topics = Topics::of([Topic::Branch, Topic::Revision, Topic::Queue, Topic::Mainline]);
const BUILDS: Topics = Topics::of([Topic::Branch, Topic::Revision, Topic::Candidate, Topic::Mainline, Topic::Build]);
const QUEUE: Topics = Topics::of([
    Topic::Queue,
    Topic::Branch,
    Topic::Revision,
    Topic::Candidate,
    Topic::Build,
    Topic::Mainline,
    Topic::Token,
]);

/// Who wakes a loop before its time.
#[derive(Debug)]
enum Wake {
    /// Writes to the store; and it never rests for longer than a tick.
    Store(Listener),
    /// Whoever wants a project's mainline looked at.
    Mainline(Arc<Guarded>),
    /// Whoever missed something in a project's mirror.
    Mirror(Arc<Guarded>),
    /// Nobody: it has a clock of its own.
    Nobody,
}

/// Starts a loop of one project. One that does not ask what was heard does everything in each turn.
fn spawn<F, W>(
    shared: &Arc<Shared>,
    project: &Arc<Guarded>,
    tasks: &mut JoinSet<()>,
    name: &'static str,
    woken: Wake,
    step: F,
) where
    F: Fn(Arc<Shared>, Arc<Guarded>, Heard) -> W + Send + 'static,
    W: Future<Output = Result<Turn, StepError>> + Send + 'static,
{
    let (all, project) = (shared.clone(), project.clone());
    tasks.spawn(turns(name, shared.shutdown.clone(), woken, move |heard| {
        let (turn, project) = (step(all.clone(), project.clone(), heard), project.clone());
        async move { looked_after(&project, turn.await) }
    }));
}

/// Takes turns until the master ends. [`Hearing`] says what a turn is told.
async fn turns<F, W>(name: &'static str, shutdown: CancellationToken, woken: Wake, step: F)
where
    F: Fn(Heard) -> W + Send,
    W: Future<Output = Result<Turn, StepError>> + Send,
{
    let (mut pause, mut hearing) = (PAUSE.0, Hearing::default());
    loop {
        // Heard before the turn: what changes during it wakes the loop again.
        let heard = match &woken {
            Wake::Store(changes) => changes.heard(),
            Wake::Mainline(_) | Wake::Mirror(_) | Wake::Nobody => Heard::Nothing,
        };
        let (heard, told) = hearing.tell(heard, Instant::now());
        let done = tokio::select! {
            () = shutdown.cancelled() => return,
            done = step(heard) => done,
        };
        hearing.ended(&told, &done);
        let wait = match done {
            Ok(Turn::Did(again) | Turn::Owes(again)) => {
                pause = PAUSE.0;
                match again {
                    Again::AtTick => TICK,
                    Again::After(time) => time,
                    Again::Now => Duration::ZERO,
                }
            }
            Err(error) => {
                tracing::warn!(reconciler = name, %error, "a turn failed; trying again in {} ms", pause.as_millis());
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE.1);
                continue;
            }
        };
        let rest = async {
            match &woken {
                Wake::Store(changes) => {
                    drop(timeout(wait.min(hearing.rest(Instant::now())), changes.changed()).await);
                }
                Wake::Mainline(project) => drop(timeout(wait, project.mainline_wanted()).await),
                // Whoever looks at a page can wish for it: so not at once again.
                Wake::Mirror(project) => {
                    sleep(wait.min(MIRROR_REST)).await;
                    drop(timeout(wait.saturating_sub(MIRROR_REST), project.mirror_wanted()).await);
                }
                Wake::Nobody => sleep(wait).await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = rest => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::{Change, Store};
    use std::collections::VecDeque;
    use std::sync::Mutex as Lock;
    use tokio::sync::mpsc::unbounded_channel;

    #[tokio::test]
    async fn what_a_turn_did_not_do_the_next_one_is_told_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Store::sqlite_url(folder.path())).await.unwrap();
        let (shutdown, woken) = (CancellationToken::new(), Wake::Store(store.listen(SCHEDULE)));
        let (did, owes) = (Ok(Turn::Did(Again::AtTick)), Ok(Turn::Owes(Again::AtTick)));
        let failed = Err(StepError::Settings("a turn that fails".to_owned()));
        let outcomes = Lock::new(VecDeque::from([did, owes, failed]));
        let (tell, mut told) = unbounded_channel();
        let step = move |heard| {
            let outcome = outcomes.lock().unwrap().pop_front().unwrap_or(Ok(Turn::Did(Again::AtTick)));
            tell.send(heard).unwrap();
            async { outcome }
        };
        let running = tokio::spawn(turns("test", shutdown.clone(), woken, step));
        let change = Change::of_all(Topic::Build, 7);
        let rows = Heard::Rows([change].into());
        assert_eq!(told.recv().await, Some(Heard::All), "a loop begins with everything");
        store.say(change);
        assert_eq!(told.recv().await.as_ref(), Some(&rows));
        store.say(change);
        assert_eq!(told.recv().await, Some(Heard::All), "the one before did not do it");
        assert_eq!(told.recv().await, Some(Heard::All), "the one before failed");
        store.say(change);
        assert_eq!(told.recv().await, Some(rows));
        shutdown.cancel();
        running.await.unwrap();
    }
}
