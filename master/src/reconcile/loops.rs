//! The loops themselves: what each is called, who wakes it, and how it goes on after an error.

use super::board::Board;
use super::step::{Again, StepError, TICK};
use super::{builds, candidates, claims, mainline, mend, queue, schedule, upkeep, watch};
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Heard, Interest, Listener, Topic, Topics};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
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
}

/// One turn of a loop, to the end of all that it begins.
pub(crate) async fn turn(shared: &Arc<Shared>, which: Loop) -> Result<(), StepError> {
    match which {
        Loop::Claims => claims::step(shared).await.map(drop)?,
        Loop::Schedule => schedule::step(shared, &mut Board::default(), &Heard::All).await.map(drop)?,
        _ => {
            for project in &shared.projects {
                match which {
                    Loop::Claims | Loop::Schedule => {}
                    Loop::Mainline => mainline::step(shared, project).await.map(drop)?,
                    Loop::Watch => watch::turn(shared, project).await.map(drop)?,
                    Loop::Candidates => candidates::step(shared, project).await.map(drop)?,
                    Loop::Builds => builds::step(shared, project, &Heard::All).await.map(drop)?,
                    Loop::Queue => queue::step(shared, project).await.map(drop)?,
                    Loop::Mend => mend::step(shared, project).await.map(drop)?,
                    Loop::Upkeep => upkeep::once(shared, project, Upkeep::Recent).await?,
                }
            }
        }
    }
    Ok(())
}

/// Starts all loops.
pub(crate) fn start(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let woken = Wake::Store(shared.store.listen(SCHEDULE));
    let (all, board) = (shared.clone(), Arc::new(Mutex::new(Board::default())));
    tasks.spawn(turns("schedule", shared.clone(), woken, move |heard| {
        let (shared, board) = (all.clone(), board.clone());
        async move { schedule::step(&shared, &mut *board.lock().await, &heard).await }
    }));
    let all = shared.clone();
    tasks.spawn(turns("claims", shared.clone(), Wake::Nobody, move |_| {
        let shared = all.clone();
        async move { claims::step(&shared).await }
    }));
    for project in &shared.projects {
        let by_store = |topics| Wake::Store(shared.store.listen(Interest { topics, ..Interest::of(project.id, []) }));
        let mainline = Wake::Mainline(project.clone());
        spawn(shared, project, tasks, "mainline", mainline, |s, p, _| async move { mainline::step(&s, &p).await });
        tasks.spawn(watch::run(shared.clone(), project.clone()));
        let woken = by_store(CANDIDATES);
        spawn(shared, project, tasks, "candidates", woken, |s, p, _| async move { candidates::step(&s, &p).await });
        let mirror = Wake::Mirror(project.clone());
        spawn(shared, project, tasks, "mend", mirror, |s, p, _| async move { mend::step(&s, &p).await });
        let woken = by_store(BUILDS);
        spawn(shared, project, tasks, "builds", woken, |s, p, heard| async move { builds::step(&s, &p, &heard).await });
        let (all, guarded) = (shared.clone(), project.clone());
        tasks.spawn(async move { upkeep::run(&all, &guarded).await });
        let woken = by_store(QUEUE);
        spawn(shared, project, tasks, "queue", woken, |s, p, _| async move { queue::step(&s, &p).await });
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

/// Starts a loop of one project.
fn spawn<F, W>(
    shared: &Arc<Shared>,
    project: &Arc<Guarded>,
    tasks: &mut JoinSet<()>,
    name: &'static str,
    woken: Wake,
    step: F,
) where
    F: Fn(Arc<Shared>, Arc<Guarded>, Heard) -> W + Send + 'static,
    W: Future<Output = Result<Again, StepError>> + Send + 'static,
{
    let (all, project) = (shared.clone(), project.clone());
    tasks.spawn(turns(name, shared.clone(), woken, move |heard| step(all.clone(), project.clone(), heard)));
}

/// Takes turns until the master ends. A turn is told what was heard since the one before, if that one did not fail.
async fn turns<F, W>(name: &'static str, shared: Arc<Shared>, woken: Wake, step: F)
where
    F: Fn(Heard) -> W + Send,
    W: Future<Output = Result<Again, StepError>> + Send,
{
    let (mut pause, mut failed) = (PAUSE.0, false);
    loop {
        // Heard before the turn: what changes during it wakes the loop again.
        let heard = match &woken {
            Wake::Store(changes) => changes.heard(),
            Wake::Mainline(_) | Wake::Mirror(_) | Wake::Nobody => Heard::Nothing,
        };
        let heard = if failed { Heard::All } else { heard };
        let done = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            done = step(heard) => done,
        };
        failed = done.is_err();
        let wait = match done {
            Ok(again) => {
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
                    () = shared.shutdown.cancelled() => return,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE.1);
                continue;
            }
        };
        let rest = async {
            match &woken {
                Wake::Store(changes) => drop(timeout(wait.min(TICK), changes.changed()).await),
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
            () = shared.shutdown.cancelled() => return,
            () = rest => {}
        }
    }
}
