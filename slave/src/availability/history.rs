//! The machine's load over the last day, a sample a minute, also over restarts.

use protocol::UnixMs;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The file's name.
const FILE: &str = "load.txt";
/// Minutes of a day.
const MOST: usize = 24 * 60;
/// Every so many minutes it is written down.
const WRITTEN_EVERY: i64 = 10;

/// The samples, oldest first: the minute since 1970, and the greatest load in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History(VecDeque<(i64, f64)>);

impl History {
    /// That of the slave's last life, as far as it is of the last day.
    pub(super) fn read(basedir: &Path, now: UnixMs) -> Self {
        let text = fs::read_to_string(basedir.join(FILE)).unwrap_or_default();
        let now = now.0 / 60_000;
        let of_line = |line: &str| {
            let (minute, load) = line.split_once(' ')?;
            let (minute, load): (i64, f64) = (minute.parse().ok()?, load.parse().ok()?);
            let day = i64::try_from(MOST).unwrap_or(i64::MAX);
            (load.is_finite() && load >= 0.0 && minute <= now && now - minute < day).then_some((minute, load))
        };
        let mut all: Vec<_> = text.lines().take(2 * MOST).filter_map(of_line).collect();
        all.sort_by_key(|(minute, _)| *minute);
        all.dedup_by_key(|(minute, _)| *minute);
        Self(all.into())
    }

    /// Takes a sample in; true when it should be written down by now.
    pub(super) fn add(&mut self, now: UnixMs, load: f64) -> bool {
        let minute = now.0 / 60_000;
        match self.0.back_mut() {
            Some((last, greatest)) if *last == minute => {
                *greatest = greatest.max(load);
                false
            }
            // A clock that was put back: what it foresaw is forgotten.
            Some((last, _)) if *last > minute => {
                self.0.retain(|(at, _)| *at < minute);
                self.0.push_back((minute, load));
                false
            }
            _ => {
                self.0.push_back((minute, load));
                while self.0.len() > MOST {
                    self.0.pop_front();
                }
                minute % WRITTEN_EVERY == 0
            }
        }
    }

    /// Writes it down; where that fails it is only a picture that is lost.
    pub(super) fn write(&self, basedir: &Path) {
        let mut text = String::new();
        for (minute, load) in &self.0 {
            let _ = writeln!(text, "{minute} {load:.2}");
        }
        if let Err(error) = fs::write(basedir.join(FILE), text) {
            tracing::debug!("the load can't be written down: {error}");
        }
    }

    /// Moments in milliseconds since 1970, and the load then.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (i64, f64)> {
        self.0.iter().map(|(minute, load)| (minute * 60_000, *load))
    }

    /// The newest.
    pub(crate) fn newest(&self) -> Option<f64> {
        self.0.back().map(|(_, load)| *load)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_day_is_kept_and_read_back() {
        let (basedir, mut history) = (tempfile::tempdir().unwrap(), History::default());
        for minute in 0..3000 {
            history.add(UnixMs(minute * 60_000), 1.0);
            history.add(UnixMs(minute * 60_000 + 5000), 2.0);
        }
        assert_eq!((history.0.len(), history.newest()), (MOST, Some(2.0)));
        history.write(basedir.path());
        let now = UnixMs(2999 * 60_000);
        assert_eq!(History::read(basedir.path(), now), history);
        fs::write(basedir.path().join(FILE), "x\n-\n2998 NaN\n2998 inf\n99999 1\n2999 0.5\n").unwrap();
        assert_eq!(History::read(basedir.path(), now).0, [(2999, 0.5)]);
    }
}
