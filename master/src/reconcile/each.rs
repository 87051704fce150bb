//! One item's trouble is that item's trouble: in every list that a reconciler goes through, the others go on.

use super::{Again, StepError};
use crate::state::Guarded;
use crate::store::StoreError;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The first pause after an item failed, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Items remembered; more than fail at once in any life.
const MOST: usize = 10_000;

/// Items of a project that failed lately. Nothing here matters after a restart: they fail again, or don't.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<HashMap<(&'static str, i64), Trouble>>);

#[derive(Clone, Debug)]
struct Trouble {
    times: u32,
    until: Instant,
}

impl Troubles {
    /// How many items of a reconciler are being left alone: so many more are to be asked for.
    pub(super) fn waiting(&self, reconciler: &'static str) -> u32 {
        let now = Instant::now();
        let count = self.lock().iter().filter(|((of, _), trouble)| *of == reconciler && trouble.until > now).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(&'static str, i64), Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an item is still left alone.
    fn rest(&self, key: (&'static str, i64)) -> Option<Duration> {
        let until = self.lock().get(&key)?.until;
        until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
    }

    fn fine(&self, key: (&'static str, i64)) {
        self.lock().remove(&key);
    }

    /// Remembers a failure; gives how long the item is left alone.
    fn failed(&self, key: (&'static str, i64)) -> Duration {
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        let times = all.get(&key).map_or(0, |trouble| trouble.times) + 1;
        let pause = PAUSE.0.saturating_mul(1 << (times - 1).min(16)).min(PAUSE.1);
        all.insert(key, Trouble { times, until: Instant::now() + pause });
        pause
    }
}

/// Whether an error says something of the whole store, so that no other item would fare better.
fn is_everybodys(error: &StepError) -> bool {
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

impl Again {
    /// The sooner of two wishes.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::After(one), Self::After(other)) => Self::After(one.min(other)),
            (Self::After(time), Self::AtTick) | (Self::AtTick, Self::After(time)) => Self::After(time),
            (Self::AtTick, Self::AtTick) => Self::AtTick,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_left_alone_ever_longer_and_not_for_ever() {
        let troubles = Troubles::default();
        let key = ("test", 7);
        assert_eq!(troubles.rest(key), None);
        let pauses: Vec<u64> = (0..12).map(|_| troubles.failed(key).as_secs()).collect();
        assert_eq!(pauses[..4], [1, 2, 4, 8]);
        assert_eq!(pauses[11], 300);
        assert!(troubles.rest(key).is_some() && troubles.rest(("test", 8)).is_none());
        assert_eq!((troubles.waiting("test"), troubles.waiting("other")), (1, 0));
        troubles.fine(key);
        assert_eq!(troubles.rest(key), None);
        assert_eq!(troubles.failed(key).as_secs(), 1);
    }
}
