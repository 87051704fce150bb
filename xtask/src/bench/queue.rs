//! The queue of stacks in the simulator of `gate`, beside one by one, bors' batches and Zuul's window on the same draws. What
//! is measured is drawn from a seed, so that it is the same on every machine; only how long an answer takes is not.

use super::numbers::Rows;
use super::rows::{Row, Wanted};
use std::path::Path;
use std::process::Command;

/// Of optimal nested group testing (Sobel and Groll, 1959), as the figures that are wanted name it: bad branches of a
/// hundred, builds a branch, and how many times that a new queue may take.
const OPTIMUM: [(&str, f64, f64); 4] =
    [("1 %", 0.091, 1.15), ("5 %", 0.279, 1.08), ("10 %", 0.469, 1.06), ("25 %", 0.821, 1.05)];
/// How many times that a queue may take that knows its project.
const LEARNED: f64 = 1.05;

/// At most these shares of Zuul's window: slots, then mean times and builds at each rate.
const OF_ZUUL: [(u32, [f64; 4], [f64; 4]); 3] = [
    (4, [0.17, 0.34, 0.53, 0.66], [0.15, 0.34, 0.50, 0.67]),
    (8, [0.30, 0.36, 0.43, 0.43], [0.20, 0.33, 0.43, 0.59]),
    (32, [0.70, 0.41, 0.27, 0.17], [0.36, 0.35, 0.40, 0.53]),
];

/// Runs the simulator: so many worlds for each figure, and so many histories.
pub(super) fn measure(simulate: &Path, runs: u64, histories: u64, seed: u64) -> Rows {
    let figures = run(simulate, "figures", runs, seed)?;
    let mut rows: Vec<Row> = figures.iter().map(|told| wanting("queue", told)).collect();
    let histories = run(simulate, "histories", histories, seed)?;
    rows.extend(histories.iter().map(|told| wanting("queue-histories", told)));
    Ok(rows)
}

/// When the simulator says that the last of 100 branches is decided, in lengths of a build, of which 10 % are bad, with four slots.
pub(super) fn last_decision(simulate: &Path, runs: u64, seed: u64) -> Result<f64, String> {
    let figures = run(simulate, "figures", runs, seed)?;
    let wanted = |it: &&Told| it.what == "p = 10 %, P = 4: last decision";
    let found = figures.iter().find(wanted).map(|it| it.number);
    found.ok_or_else(|| "the simulator does not say when the last is decided".to_owned())
}

/// A row of the simulator's.
struct Told {
    what: String,
    number: f64,
    unit: String,
    peer: Option<f64>,
}

fn run(simulate: &Path, what: &str, number: u64, seed: u64) -> Result<Vec<Told>, String> {
    let out = Command::new(simulate).args([what, &number.to_string(), &seed.to_string()]).output();
    let out = out.map_err(|error| format!("{}: {error}", simulate.display()))?;
    let said = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        return Err(format!("the simulator failed: {}", said.trim()));
    }
    // Promises that were broken, each with its history's seed.
    said.lines().for_each(|line| eprintln!("   {line}"));
    String::from_utf8_lossy(&out.stdout).lines().map(told).collect()
}

fn told(line: &str) -> Result<Told, String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let number = |text: &str| text.parse::<f64>().map_err(|error| format!("{line}: {error}"));
    let [what, measured, unit, peer] = fields[..] else { return Err(format!("{line}: not four fields")) };
    let peer = if peer.is_empty() { None } else { Some(number(peer)?) };
    Ok(Told { what: what.to_owned(), number: number(measured)?, unit: unit.to_owned(), peer })
}

/// The row, with what is wanted of it.
fn wanting(bench: &str, told: &Told) -> Row {
    let mut row = Row::number(bench, &told.what, told.number, &told.unit);
    if let Some(peer) = told.peer {
        row = row.beside(peer);
    }
    match wanted(told) {
        Some(most) => row.wanting(Wanted::AtMost((most * 1e4).round() / 1e4)),
        None => row,
    }
}

/// At most how much is wanted, if anything is.
fn wanted(told: &Told) -> Option<f64> {
    let what = told.what.as_str();
    let one_slot = OPTIMUM.iter().find_map(|(rate, optimum, cold)| {
        let tail = what.strip_prefix(&format!("p = {rate}, P = 1: builds a branch, "))?;
        let times = if tail == "new" { *cold } else { LEARNED };
        Some(optimum * times)
    });
    if one_slot.is_some() {
        return one_slot;
    }
    if let Some(spread) = told.peer.filter(|_| what.ends_with(": last decision")) {
        return Some(1.15 * spread + 2.5);
    }
    let of_zuul = OF_ZUUL.iter().find_map(|(slots, times, builds)| {
        let (at, tail) = OPTIMUM.iter().enumerate().find_map(|(at, (rate, ..))| {
            let tail = what.strip_prefix(&format!("p = {rate}, P = {slots}: "))?;
            Some((at, tail))
        })?;
        match tail {
            "mean time, share of Zuul's" => Some(times[at]),
            "builds, share of Zuul's" => Some(builds[at]),
            _ => None,
        }
    });
    of_zuul.or_else(|| others(what))
}

fn others(what: &str) -> Option<f64> {
    Some(match what {
        "arrivals, p = 5 %, P = 4, load 3: mean time" | "arrivals, p = 5 %, P = 8, load 3: mean time" => 3.4,
        "arrivals, p = 5 %, P = 32, load 3: mean time" => 3.8,
        "flakes 1 %: good ones ejected, where most are" => 0.02,
        "flakes 5 %: good ones ejected, where most are" => 0.25,
        "pairs: good ones ejected" | "histories in which a promise was broken" => 0.0,
        "most builds a branch in a history" => 60.0,
        "an answer for 1,000 branches and 32 slots: the slowest" => 1.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn most(line: &str) -> Option<f64> {
        wanted(&told(line).unwrap())
    }

    #[test]
    fn rows_of_the_simulator_get_what_is_wanted_of_them() {
        assert_eq!(most("p = 5 %, P = 1: builds a branch, new\t0.3\t\t0.29"), Some(0.279 * 1.08));
        assert_eq!(most("p = 25 %, P = 1: builds a branch, after 200 decided\t0.3\t\t"), Some(0.821 * 1.05));
        assert_eq!(most("p = 25 %, P = 4: builds a branch, new\t0.3\t\t"), None);
        assert_eq!(most("p = 10 %, P = 32: mean time, share of Zuul's\t0.27\t\t"), Some(0.27));
        assert_eq!(most("p = 10 %, P = 32, lengths 1 ± 0.5: mean time, share of Zuul's\t0.27\t\t"), None);
        assert_eq!(most("p = 1 %, P = 8: last decision\t3\tlengths\t2"), Some(1.15 * 2.0 + 2.5));
        assert_eq!(most("histories in which a promise was broken\t0\t\t"), Some(0.0));
        assert!(told("what\tnothing\t\t").is_err() && told("what").is_err());
    }
}
