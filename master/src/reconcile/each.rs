//! One item's trouble is that item's trouble: in every list that a reconciler goes through, the others go on.

use super::{Again, StepError};
use crate::project::Guarded;
use crate::store::{StoreError, Trouble};
use futures_util::StreamExt as _;
use gate::queue::Candidate;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracker::mirror::OfficialError;
use tracker::watch::PollError;

/// Whether an error says something of the whole store, so that no other item would fare better.
pub(super) fn is_everybodys(error: &StepError) -> bool {
    matches!(error, StepError::Store(error) if !matches!(error, StoreError::Corrupt { .. }))
}

/// Has the mirror looked after where an error says that something of it could not be read: whatever stopped there goes on
/// when that is mended, or known to be whole.
pub(super) fn look_after(project: &Guarded, error: &StepError) {
    let of_mirror = |error: &StepError| match error {
        StepError::Mirror(_) | StepError::Candidate(_) | StepError::Official(OfficialError::Mirror(_)) => true,
        // What git says may be of either side.
        StepError::Official(OfficialError::Reach(PollError::Git { .. })) => true,
        StepError::Store(_)
        | StepError::Official(_)
        | StepError::Settings(_)
        | StepError::Json(_)
        | StepError::Date(_)
        | StepError::Id(_)
        | StepError::Log(_) => false,
    };
    if of_mirror(error) {
        project.look_after_mirror();
    }
}

/// What the queue says of an entry that can't be made or landed by such an error.
pub(super) fn unready(error: &StepError) -> Candidate {
    let trouble = match error {
        StepError::Mirror(error) => Trouble::of(error),
        StepError::Candidate(error) => Trouble::of(error),
        error => return Candidate::Unreadable { text: error.to_string() },
    };
    Candidate::Missing { text: trouble.text, hint: trouble.hint }
}

/// Does `work` for each item. One that fails is told of in the log, remembered in the project's [`Troubles`], and left
/// alone for a while, ever longer; the others go on. If the mirror was at fault it is looked at, too. Gives when the
/// first of those that were left alone is to be tried again.
///
/// # Errors
/// Only when the store itself fails.
pub(super) async fn each<T, N, F, W>(
    project: &Guarded,
    reconciler: &'static str,
    items: impl IntoIterator<Item = T>,
    number: N,
    work: F,
) -> Result<Again, StepError>
where
    N: Fn(&T) -> i64,
    F: Fn(T) -> W,
    W: Future<Output = Result<(), StepError>>,
{
    some_at_once(1, project, reconciler, items, number, work).await
}

/// The same for several items at once: who waits for the disk or a process keeps nobody else from working. When the store
/// fails no more are begun, and those under way are ended first.
///
/// # Errors
/// Only when the store itself fails.
pub(super) async fn some_at_once<T, N, F, W>(
    at_once: usize,
    project: &Guarded,
    reconciler: &'static str,
    items: impl IntoIterator<Item = T>,
    number: N,
    work: F,
) -> Result<Again, StepError>
where
    N: Fn(&T) -> i64,
    F: Fn(T) -> W,
    W: Future<Output = Result<(), StepError>>,
{
    let stopped = AtomicBool::new(false);
    let one = async |item: T| {
        if stopped.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let key = (reconciler, number(&item));
        if let Some(rest) = project.troubles.rest(key) {
            return Ok(Some(rest));
        }
        match work(item).await {
            Ok(()) => {
                project.troubles.fine(key);
                Ok(None)
            }
            Err(error) if is_everybodys(&error) => {
                stopped.store(true, Ordering::Relaxed);
                Err(error)
            }
            Err(error) => {
                let pause = project.troubles.failed(key, ());
                let item = key.1;
                tracing::warn!(reconciler, project = %project.name, item, %error, "it is tried again in {} s", pause.as_secs());
                look_after(project, &error);
                Ok(Some(pause))
            }
        }
    };
    let all: Vec<_> = futures_util::stream::iter(items).map(one).buffered(at_once).collect().await;
    let mut next: Option<Duration> = None;
    for rest in all {
        next = next.into_iter().chain(rest?).min();
    }
    Ok(next.map_or(Again::AtTick, Again::After))
}
