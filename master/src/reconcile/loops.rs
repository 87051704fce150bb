//! The loops themselves: what each is called, who wakes it, and how it goes on after an error.

use super::step::{Again, StepError, TICK};
use super::{builds, candidates, claims, mainline, mend, queue, schedule, upkeep, watch};
use crate::project::Guarded;
use crate::state::Shared;
use std::sync::Arc;
use std::time::Duration;
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
        Loop::Schedule => schedule::step(shared).await.map(drop)?,
        _ => {
            for project in &shared.projects {
                match which {
                    Loop::Claims | Loop::Schedule => {}
                    Loop::Mainline => mainline::step(shared, project).await.map(drop)?,
                    Loop::Watch => watch::turn(shared, project).await.map(drop)?,
                    Loop::Candidates => candidates::step(shared, project).await.map(drop)?,
                    Loop::Builds => builds::step(shared, project).await.map(drop)?,
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
    let all = shared.clone();
    tasks.spawn(turns("schedule", shared.clone(), Wake::Store, move || {
        let shared = all.clone();
        async move { schedule::step(&shared).await }
    }));
    let all = shared.clone();
    tasks.spawn(turns("claims", shared.clone(), Wake::Nobody, move || {
        let shared = all.clone();
        async move { claims::step(&shared).await }
    }));
    for project in &shared.projects {
        let mainline = Wake::Mainline(project.clone());
        let by_store = Wake::Store;
        spawn(shared, project, tasks, "mainline", mainline, |s, p| async move { mainline::step(&s, &p).await });
        tasks.spawn(watch::run(shared.clone(), project.clone()));
        let steps = by_store.clone();
        spawn(shared, project, tasks, "candidates", steps, |s, p| async move { candidates::step(&s, &p).await });
        let mirror = Wake::Mirror(project.clone());
        spawn(shared, project, tasks, "mend", mirror, |s, p| async move { mend::step(&s, &p).await });
        let steps = by_store.clone();
        spawn(shared, project, tasks, "builds", steps, |s, p| async move { builds::step(&s, &p).await });
        let (all, guarded) = (shared.clone(), project.clone());
        tasks.spawn(async move { upkeep::run(&all, &guarded).await });
        spawn(shared, project, tasks, "queue", by_store, |s, p| async move { queue::step(&s, &p).await });
    }
}

/// Who wakes a loop before its time.
#[derive(Clone, Debug)]
enum Wake {
    /// Every write to the store; and it never rests for longer than a tick.
    Store,
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
    F: Fn(Arc<Shared>, Arc<Guarded>) -> W + Send + 'static,
    W: Future<Output = Result<Again, StepError>> + Send + 'static,
{
    let (all, project) = (shared.clone(), project.clone());
    tasks.spawn(turns(name, shared.clone(), woken, move || step(all.clone(), project.clone())));
}

/// Takes turns until the master ends.
async fn turns<F, W>(name: &'static str, shared: Arc<Shared>, woken: Wake, step: F)
where
    F: Fn() -> W + Send,
    W: Future<Output = Result<Again, StepError>> + Send,
{
    let mut changes = shared.store.changes();
    let mut pause = PAUSE.0;
    loop {
        // Marked as seen before the turn: what changes during it wakes the loop again.
        changes.borrow_and_update();
        let done = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            done = step() => done,
        };
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
                Wake::Store => drop(timeout(wait.min(TICK), changes.changed()).await),
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
