//! Rows: what was measured, in one form for people, for JSON, and for a comparison with an earlier run.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// By how much a number may be worse than in an earlier run and still be noise, as a factor. Of a single run of each nothing
/// finer can be said.
const NOISE: f64 = 1.2;

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// The benchmark.
    bench: String,
    /// What of it, unique in it.
    what: String,
    /// The number; or a word, or whether it is so.
    measured: Value,
    /// `s`, `ms`, `MB`, `/s`, …; empty for a word.
    unit: String,
    /// The same of the other program, or of the other half, in the same run.
    peer: Option<f64>,
    /// How many times better than the peer: smaller, or larger where the unit is of so many a second.
    ratio: Option<f64>,
    /// What is wanted, in words; empty where nothing is.
    wanted: String,
    /// Whether that is so; true where nothing is wanted.
    holds: bool,
}

/// What is wanted of a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// So many times better than the peer.
    Times(f64),
}

impl Row {
    /// A number, rounded to three places behind the point.
    pub(super) fn number(bench: &str, what: impl Into<String>, measured: f64, unit: &str) -> Self {
        Self::of(bench, what.into(), json!(rounded(measured)), unit)
    }

    /// Something that is no number: whether it is as wanted says `holds`.
    pub(super) fn word(
        bench: &str,
        what: impl Into<String>,
        measured: impl Into<Value>,
        wanted: &str,
        holds: bool,
    ) -> Self {
        Self { wanted: wanted.to_owned(), holds, ..Self::of(bench, what.into(), measured.into(), "") }
    }

    fn of(bench: &str, what: String, measured: Value, unit: &str) -> Self {
        let (bench, unit, wanted) = (bench.to_owned(), unit.to_owned(), String::new());
        Self { bench, what, measured, unit, peer: None, ratio: None, wanted, holds: true }
    }

    /// Beside what another program, or another half, took in the same run.
    pub(super) fn beside(mut self, peer: f64) -> Self {
        self.peer = Some(rounded(peer));
        self.ratio = self.measured.as_f64().map(|measured| rounded(self.times_better(measured, peer)));
        self
    }

    pub(super) fn wanting(mut self, wanted: Wanted) -> Self {
        let measured = self.measured.as_f64();
        let unit = &self.unit;
        (self.wanted, self.holds) = match wanted {
            Wanted::AtMost(most) => (format!("at most {most} {unit}"), measured.is_some_and(|it| it <= most)),
            Wanted::AtLeast(least) => (format!("at least {least} {unit}"), measured.is_some_and(|it| it >= least)),
            Wanted::Times(times) => {
                (format!("{times} times better than the peer"), self.ratio.is_some_and(|it| it >= times))
            }
        };
        self.wanted = self.wanted.trim().to_owned();
        self
    }

    pub(super) fn holds(&self) -> bool {
        self.holds
    }

    /// Whether it is one of those that hold on every machine, because no clock is in it.
    pub(super) fn is_promise(&self) -> bool {
        matches!(self.bench.as_str(), "crash" | "hostile" | "queue-histories")
    }

    fn more_is_better(&self) -> bool {
        self.unit.ends_with("/s")
    }

    fn times_better(&self, measured: f64, than: f64) -> f64 {
        let (more, less) = if self.more_is_better() { (measured, than) } else { (than, measured) };
        more / less.max(f64::MIN_POSITIVE)
    }

    /// For people, in a line.
    pub(super) fn line(&self) -> String {
        let Self { what, measured, unit, wanted, .. } = self;
        let word = if self.holds { "     " } else { "NOT  " };
        let peer = self.peer.zip(self.ratio);
        let peer = peer.map_or_else(String::new, |(peer, ratio)| format!("; peer {peer} {unit}, {ratio} times better"));
        let wanted = if wanted.is_empty() { String::new() } else { format!("; wanted: {wanted}") };
        let measured = measured.as_str().map_or_else(|| measured.to_string(), ToOwned::to_owned);
        format!("   {word}{what}: {}{peer}{wanted}", format!("{measured} {unit}").trim_end())
    }

    /// How many times worse it is than in an earlier run, if it is a number there and here: by the ratio to the peer where
    /// both have one, which another machine or a busy hour changes least.
    fn times_worse(&self, earlier: &Self) -> Option<f64> {
        match (self.ratio, earlier.ratio) {
            (Some(now), Some(before)) => Some(before / now.max(f64::MIN_POSITIVE)),
            _ => Some(self.times_better(earlier.measured.as_f64()?, self.measured.as_f64()?)),
        }
    }
}

/// What became worse since an earlier run by more than noise, does not hold any more, or is missing; a line each.
pub(super) fn worse(earlier: &[Row], now: &[Row]) -> Vec<String> {
    let mut lines = Vec::new();
    let ran = |bench: &str| now.iter().any(|row| row.bench == bench);
    for before in earlier.iter().filter(|row| ran(&row.bench)) {
        let name = format!("{}: {}", before.bench, before.what);
        let Some(row) = now.iter().find(|row| row.bench == before.bench && row.what == before.what) else {
            lines.push(format!("{name} is not measured any more"));
            continue;
        };
        let (was, is) = (&before.measured, &row.measured);
        if let Some(times) = row.times_worse(before).filter(|times| *times > NOISE) {
            lines.push(format!("{name} became {times:.2} times worse: {was} to {is} {}", row.unit));
        } else if before.holds && !row.holds {
            lines.push(format!("{name} does not hold any more: {was} to {is} {}", row.unit));
        }
    }
    lines
}

fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::slice::from_ref;

    fn row(measured: f64, unit: &str) -> Row {
        Row::number("throughput", "builds", measured, unit)
    }

    #[test]
    fn a_row_has_its_ratio_and_holds_or_not() {
        let fast = row(100.0, "builds/s").beside(2.0).wanting(Wanted::Times(50.0));
        assert_eq!((fast.ratio, fast.holds()), (Some(50.0), true));
        assert!(!row(100.0, "builds/s").beside(2.1).wanting(Wanted::Times(50.0)).holds());
        let quick = row(0.5, "s").beside(2.0).wanting(Wanted::AtMost(0.4));
        assert_eq!((quick.ratio, quick.holds()), (Some(4.0), false));
        assert!(row(3.0, "MB").wanting(Wanted::AtLeast(3.0)).holds());
        assert!(!Row::word("hostile", "x", "no", "yes", false).holds());
        let text = serde_json::to_value(&quick).unwrap();
        let keys: Vec<&String> = text.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["bench", "holds", "measured", "peer", "ratio", "unit", "wanted", "what"]);
        assert_eq!(serde_json::from_value::<Row>(text).unwrap(), quick);
        assert_eq!(
            quick.line(),
            "   NOT  builds: 0.5 s; peer 2.0 s, 4 times better; wanted: at most 0.4 s".replace("2.0", "2")
        );
    }

    #[test]
    fn what_became_worse_by_more_than_noise_is_named() {
        let none: Vec<String> = Vec::new();
        assert_eq!(worse(&[row(10.0, "s")], &[row(11.9, "s")]), none);
        assert_eq!(worse(&[row(10.0, "s")], &[row(2.0, "s")]), none, "better is not named");
        assert_eq!(worse(&[row(10.0, "s")], &[row(20.0, "s")]).len(), 1);
        assert_eq!(worse(&[row(10.0, "builds/s")], &[row(20.0, "builds/s")]), none);
        assert!(worse(&[row(20.0, "builds/s")], &[row(10.0, "builds/s")])[0].contains("2.00 times worse"));
        // A slow hour slows both.
        assert_eq!(worse(&[row(10.0, "s").beside(20.0)], &[row(30.0, "s").beside(60.0)]), none);
        assert_eq!(worse(&[row(10.0, "s").beside(40.0)], &[row(10.0, "s").beside(20.0)]).len(), 1);
        let held = row(10.0, "s").wanting(Wanted::AtMost(10.0));
        let fails = row(10.5, "s").wanting(Wanted::AtMost(10.0));
        assert!(worse(from_ref(&held), &[fails])[0].contains("does not hold"));
        assert!(worse(from_ref(&held), &[Row::number("throughput", "other", 1.0, "s")])[0].contains("not measured"));
        assert_eq!(worse(&[held], &[Row::number("log", "other", 1.0, "s")]), none, "it was not run");
    }
}
