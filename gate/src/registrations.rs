//! How many branches a stranger may publish: so many in an hour, and so many that are live at once, for each of whoever may
//! stand behind them.

use protocol::UnixMs;
use std::fmt;

/// The time over which registrations are counted.
pub const HOUR_MS: i64 = 3_600_000;

/// Whom a registration counts for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Of {
    /// The address that it came from; for those who show no token.
    Address,
    /// The token that it was made with.
    Publisher,
    /// The host of the published repository; for those who show no token.
    Host,
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "this address",
            Self::Publisher => "this token",
            Self::Host => "this host",
        })
    }
}

/// The most of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Most {
    /// Registrations in an hour.
    pub hour: u32,
    /// Live branches.
    pub live: u32,
}

/// What one of those whom a registration would count for has done, and has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Who it is.
    pub of: Of,
    /// The most that it may.
    pub most: Most,
    /// When it registered branches, the newest first; no more than `most.hour` are needed.
    pub registered: Vec<UnixMs>,
    /// Its live branches.
    pub live: u32,
}

/// One more is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TooMany {
    /// There were as many in the last hour as there may be.
    Often {
        /// Whose they were.
        of: Of,
        /// How many.
        most: u32,
        /// Milliseconds until one more is taken.
        after_ms: i64,
    },
    /// As many are live as may be.
    Live {
        /// Whose they are.
        of: Of,
        /// How many.
        most: u32,
    },
}

/// Whether one more registration is taken, by the records of all whom it counts for: the longest wait is the answer.
///
/// # Errors
/// When it is too many for one of them.
pub fn judge(now: UnixMs, records: &[Record]) -> Result<(), TooMany> {
    let live = records.iter().find(|it| it.live >= it.most.live);
    if let Some(it) = live {
        return Err(TooMany::Live { of: it.of, most: it.most.live });
    }
    let wait = |it: &Record| {
        // Counted from the newest, the one after which as many as may be lie within the hour; a clock that was set back
        // makes nobody wait for longer than the hour.
        let last = usize::try_from(it.most.hour).ok().and_then(|most| most.checked_sub(1));
        let at = match last {
            Some(last) => it.registered.get(last)?.0.min(now.0),
            None => now.0,
        };
        Some(at + HOUR_MS - now.0).filter(|after_ms| *after_ms > 0)
    };
    let longest = records.iter().filter_map(|it| Some((wait(it)?, it))).max_by_key(|(after_ms, _)| *after_ms);
    match longest {
        Some((after_ms, it)) => Err(TooMany::Often { of: it.of, most: it.most.hour, after_ms }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(100 * HOUR_MS);

    fn record(of: Of, hour: u32, ago_ms: &[i64]) -> Record {
        let registered = ago_ms.iter().map(|ago| UnixMs(NOW.0 - ago)).collect();
        Record { of, most: Most { hour, live: 3 }, registered, live: 0 }
    }

    #[test]
    fn so_many_in_an_hour_and_then_the_time_until_the_next() {
        assert_eq!(judge(NOW, &[]), Ok(()));
        assert_eq!(judge(NOW, &[record(Of::Address, 3, &[1, 2])]), Ok(()));
        let full = record(Of::Address, 3, &[1, 2, HOUR_MS - 5]);
        assert_eq!(judge(NOW, &[full]), Err(TooMany::Often { of: Of::Address, most: 3, after_ms: 5 }));
        assert_eq!(judge(NOW, &[record(Of::Address, 3, &[1, 2, HOUR_MS])]), Ok(()));
        let none = judge(NOW, &[record(Of::Address, 0, &[])]);
        assert_eq!(none, Err(TooMany::Often { of: Of::Address, most: 0, after_ms: HOUR_MS }));
    }

    #[test]
    fn the_longest_wait_is_told() {
        let all = [record(Of::Address, 1, &[HOUR_MS - 5]), record(Of::Host, 2, &[0, 10])];
        assert_eq!(judge(NOW, &all), Err(TooMany::Often { of: Of::Host, most: 2, after_ms: HOUR_MS - 10 }));
    }

    #[test]
    fn so_many_are_live() {
        let live = Record { live: 3, ..record(Of::Publisher, 9, &[]) };
        assert_eq!(judge(NOW, &[live]), Err(TooMany::Live { of: Of::Publisher, most: 3 }));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait_for_ever() {
        let later = record(Of::Address, 1, &[-1000 * HOUR_MS]);
        assert_eq!(judge(NOW, &[later]), Err(TooMany::Often { of: Of::Address, most: 1, after_ms: HOUR_MS }));
    }
}
