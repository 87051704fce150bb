//! Items of a project that failed lately, each left alone for a while, ever longer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The first pause after an item failed, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Items remembered; more than fail at once in any life.
const MOST: usize = 10_000;

/// Items of a project that failed lately, and why, where that is told. Nothing here matters after a restart: they fail again,
/// or don't.
#[derive(Debug)]
pub(crate) struct Troubles<W = ()>(Mutex<HashMap<(&'static str, i64), Trouble<W>>>);

#[derive(Clone, Debug)]
struct Trouble<W> {
    times: u32,
    until: Instant,
    why: W,
}

impl<W> Default for Troubles<W> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<W: Clone> Troubles<W> {
    /// How many items of a reconciler are being left alone: so many more are to be asked for.
    pub(crate) fn waiting(&self, reconciler: &'static str) -> u32 {
        let now = Instant::now();
        let count = self.lock().iter().filter(|((of, _), trouble)| *of == reconciler && trouble.until > now).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(&'static str, i64), Trouble<W>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an item is still left alone.
    pub(crate) fn rest(&self, key: (&'static str, i64)) -> Option<Duration> {
        let until = self.lock().get(&key)?.until;
        until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
    }

    /// Why an item failed when it was tried last, if it did, also while it is tried again.
    pub(crate) fn last(&self, key: (&'static str, i64)) -> Option<W> {
        self.lock().get(&key).map(|trouble| trouble.why.clone())
    }

    /// It did not fail any more.
    pub(crate) fn fine(&self, key: (&'static str, i64)) {
        self.lock().remove(&key);
    }

    /// Remembers a failure; gives how long the item is left alone.
    pub(crate) fn failed(&self, key: (&'static str, i64), why: W) -> Duration {
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        let times = all.get(&key).map_or(0, |trouble| trouble.times) + 1;
        let pause = PAUSE.0.saturating_mul(1 << (times - 1).min(16)).min(PAUSE.1);
        all.insert(key, Trouble { times, until: Instant::now() + pause, why });
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_left_alone_ever_longer_and_not_for_ever() {
        let troubles = Troubles::<u32>::default();
        let key = ("test", 7);
        assert_eq!(troubles.rest(key), None);
        let pauses: Vec<u64> = (0..12).map(|n| troubles.failed(key, n).as_secs()).collect();
        assert_eq!(pauses[..4], [1, 2, 4, 8]);
        assert_eq!(pauses[11], 300);
        assert!(troubles.rest(key).is_some() && troubles.rest(("test", 8)).is_none());
        assert_eq!((troubles.waiting("test"), troubles.waiting("other")), (1, 0));
        assert_eq!((troubles.last(key), troubles.last(("test", 8))), (Some(11), None));
        troubles.fine(key);
        assert_eq!((troubles.rest(key), troubles.last(key)), (None, None));
        assert_eq!(troubles.failed(key, 12).as_secs(), 1);
    }
}
