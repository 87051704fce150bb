//! One item's trouble is that item's trouble: in every list that a reconciler goes through, the others go on.

use super::{Again, StepError};
use crate::project::Guarded;
use crate::store::StoreError;
use std::time::Duration;

/// Whether an error says something of the whole store, so that no other item would fare better.
pub(super) fn is_everybodys(error: &StepError) -> bool {
    matches!(error, StepError::Store(error) if !matches!(error, StoreError::Corrupt { .. }))
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
    let mut next: Option<Duration> = None;
    for item in items {
        let key = (reconciler, number(&item));
        let rest = match project.troubles.rest(key) {
            Some(rest) => rest,
            None => match work(item).await {
                Ok(()) => {
                    project.troubles.fine(key);
                    continue;
                }
                Err(error) if is_everybodys(&error) => return Err(error),
                Err(error) => {
                    let pause = project.troubles.failed(key);
                    let item = key.1;
                    tracing::warn!(reconciler, project = %project.name, item, %error, "it is tried again in {} s", pause.as_secs());
                    if matches!(error, StepError::Mirror(_) | StepError::Candidate(_)) {
                        project.look_after_mirror();
                    }
                    pause
                }
            },
        };
        next = Some(next.map_or(rest, |next| next.min(rest)));
    }
    Ok(next.map_or(Again::AtTick, Again::After))
}
