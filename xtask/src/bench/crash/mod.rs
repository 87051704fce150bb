//! Crash histories: a real master, two slaves and their authors, beset at random moments; then everything is healed, and
//! what bb promises is checked from outside.
//!
//! A history is made of a seed: what people do and which faults come, in which order. When exactly they hit depends on
//! the machine too, so a seed that found something is a strong hint and no proof. It never looks into the store: only at
//! the API, the official repository, and what lies on the disks of master and slaves.
#![allow(clippy::expect_used, reason = "as in any test: a history that can't be played has failed")]

mod check;
mod crowd;
mod faults;
mod history;
mod made;
mod people;

use super::numbers::Rows;
use super::rows::{Row, Wanted};
use history::{Database, History};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// Histories played at once: as many as use a small machine well, and slow one another down now and then.
const AT_ONCE: usize = 3;

/// Plays the histories of these seeds on each database.
pub(super) fn measure(bb: &Path, seeds: Range<u64>) -> Rows {
    let began = Instant::now();
    let cluster = testkit::postgres::Cluster::start().map_err(|error| error.to_string())?;
    let wanted: Vec<(u64, Database)> =
        seeds.flat_map(|seed| [(seed, Database::Sqlite), (seed, Database::Postgres)]).collect();
    let (todo, done) = (Mutex::new(wanted.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((seed, database)) = next(&todo) {
                    let found = play(bb, seed, database, &cluster.url());
                    print!("{}", found.report());
                    if let Ok(mut done) = done.lock() {
                        done.push(found);
                    }
                }
            });
        }
    });
    let done = done.into_inner().map_err(|_| "a history's thread failed".to_owned())?;
    let failed = done.iter().filter(|found| !found.violations.is_empty()).count();
    let sum = |of: fn(&Found) -> usize| done.iter().map(of).sum::<usize>();
    // In the form that `cargo xtask test` counts.
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {} passed; {failed} failed", done.len() - failed);
    // Said again at the end, where who reads only a log's tail finds it.
    for found in done.iter().filter(|found| !found.violations.is_empty()) {
        println!("   {}", found.in_short());
    }
    let row = |what: &str, measured: usize, unit: &str| Row::number("crash", what, measured as f64, unit);
    Ok(vec![
        row("histories that break a promise", failed, "histories").wanting(Wanted::AtMost(0.0)),
        row("histories", done.len(), "histories"),
        row("faults", sum(|found| found.faults), "faults"),
        row("acknowledged answers", sum(|found| found.acknowledged), "answers"),
        row("landings", sum(|found| found.landed), "landings"),
        row("landings by one push with others", sum(|found| found.with_others), "landings"),
        Row::number(
            "crash",
            "a history",
            began.elapsed().as_secs_f64() * AT_ONCE as f64 / done.len().max(1) as f64,
            "s",
        ),
    ])
}

fn next<T>(todo: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    todo.lock().ok()?.next()
}

/// What came of one history.
struct Found {
    seed: u64,
    database: Database,
    /// What does not hold, in words.
    violations: Vec<String>,
    /// What happened, a line each.
    story: Vec<String>,
    faults: usize,
    acknowledged: usize,
    landed: usize,
    /// Of those, how many came by one push with others.
    with_others: usize,
}

impl Found {
    /// Which history it is and what does not hold.
    fn in_short(&self) -> String {
        format!("history {} on {:?}: {}", self.seed, self.database, self.violations.join("; "))
    }

    fn report(&self) -> String {
        let Self { seed, database, faults, acknowledged, landed, with_others, .. } = self;
        let word = if self.violations.is_empty() { "ok" } else { "BROKEN" };
        let mut text = format!(
            "history {seed} on {database:?}: {word}; {faults} faults, {acknowledged} acknowledged, {landed} landed, \
             {with_others} with others\n"
        );
        if !self.violations.is_empty() {
            let lines = self.story.iter().map(|line| format!("   {line}\n"));
            text.extend(lines.chain(self.violations.iter().map(|line| format!("   !! {line}\n"))));
        }
        text
    }
}

fn play(bb: &Path, seed: u64, database: Database, admin: &str) -> Found {
    // A story's own helpers panic when what must come does not.
    let mut story = Vec::new();
    let played = catch_unwind(AssertUnwindSafe(|| History::play(bb, seed, database, admin, &mut story)));
    played.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violations = vec![words.unwrap_or_else(|| "it panicked".to_owned())];
        Found { seed, database, violations, story, faults: 0, acknowledged: 0, landed: 0, with_others: 0 }
    })
}
