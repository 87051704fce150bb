//! How long to wait before dialling again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

/// Pauses that double up to half a minute, each by chance between half and whole, so that a hundred slaves don't come
/// back to a restarted master in the same instant.
#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Pause {
    /// The next pause.
    pub(super) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(LONGEST);
        jitter(now, chance())
    }

    /// A pause before trying again what is unlikely to go better.
    pub(super) fn long(&mut self) -> Duration {
        jitter(LONG, chance())
    }
}

/// Between half of `whole` and all of it.
fn jitter(whole: Duration, chance: u64) -> Duration {
    let half = whole / 2;
    let span = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    half + Duration::from_millis(chance % span)
}

/// A number by chance: the standard library seeds each of these anew. No secret hangs on it.
fn chance() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_below_half_a_minute() {
        let mut pause = Pause::default();
        let mut before = Duration::ZERO;
        for _ in 0..20 {
            let next = pause.next();
            assert!(next >= before / 2 && next <= LONGEST, "{next:?}");
            before = next;
        }
        assert!(before >= LONGEST / 2);
    }

    #[test]
    fn jitter_stays_between_half_and_whole() {
        for chance in [0, 1, 499, 500, 501, u64::MAX] {
            let pause = jitter(Duration::from_secs(1), chance);
            assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&pause), "{pause:?}");
        }
    }
}
