//! `cargo xtask bench [NAME]`: what is measured. Each file beside this one is one benchmark.
//!
//! A benchmark gives back rows, which are printed for people and kept as JSON, and can be compared with an earlier run's.
//! Numbers of one machine say little; so a benchmark also gives ratios, of two halves or of two programs, measured in the
//! same run.

mod beside;
mod big;
mod build;
mod changelog;
mod crash;
mod hostile;
mod log;
mod machine;
mod moves;
mod numbers;
mod queue;
mod queue_real;
mod rows;
mod throughput;

use crate::cargo::cargo;
use clap::ValueEnum;
use numbers::{Rows, root};
use rows::Row;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The benchmark; when none is named, all but the slow ones
    name: Option<Name>,
    /// Measure the program as `cargo build` makes it, not as `cargo build --release` does
    #[arg(long)]
    dev: bool,
    /// Measure this program, and build none: an older one, to compare with
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    bb: Option<PathBuf>,
    /// For `crash`: so many histories on each database, 20 by default; for `queue`: so many, 100,000 by default
    #[arg(long, value_name = "NUMBER")]
    histories: Option<u64>,
    /// For `queue`: so many drawn worlds for each figure
    #[arg(long, default_value_t = 500, value_name = "NUMBER")]
    runs: u64,
    /// For `crash` and `queue`: the first seed; a history is the same for the same seed, in `crash` but for the machine's own speed
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// For `queue`: the queue as it really runs, beside the simulator's forecast
    #[arg(long)]
    real: bool,
    /// For `big`: so many live branches, and four times as many that ended
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    branches: usize,
    /// For `big`: about so many builds
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER")]
    builds: u64,
    /// Write the rows into this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with the rows that an earlier run wrote into this file, and fail when something became worse by more than noise
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

/// The benchmarks.
#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// The same work by bb and by Buildbot, which is installed from PyPI (slow)
    Beside,
    /// Pages of a store with years in it, on both databases (slow)
    Big,
    /// From clone to the built program, in the dev profile (slow)
    Build,
    /// 100 branches published at once: the second half against the first
    Throughput,
    /// A build that prints 100 MB: memory, and how soon the log's end is shown
    Log,
    /// Mainline moves under 1,000 live branches: how soon all conflicts with it are known (slow)
    Moves,
    /// Merging ChangeLogs and folding fragments, beside git-merge-changelog and towncrier
    Changelog,
    /// Kills, pauses, full disks and lost networks at random moments, and what must hold afterwards (slow)
    Crash,
    /// The queue of stacks in a simulator, beside other queues on the same draws; many histories in which all goes wrong (slow)
    Queue,
    /// What strangers send to cost memory, places or a reviewer's eye (slow)
    Hostile,
}

impl Name {
    fn is_slow(self) -> bool {
        matches!(self, Name::Beside | Name::Big | Name::Build | Name::Crash | Name::Hostile | Name::Moves | Name::Queue)
    }

    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Runs the benchmark that `args` names, or all that are not slow.
pub(crate) fn run(args: &Args) -> ExitCode {
    let earlier = match args.against.as_deref().map(read).transpose() {
        Ok(earlier) => earlier,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let quick = || Name::value_variants().iter().copied().filter(|name| !name.is_slow()).collect();
    let names: Vec<Name> = args.name.map_or_else(quick, |name| vec![name]);
    let (mut rows, mut ok) = (Vec::new(), true);
    for name in names {
        println!("== {}", name.word());
        match measure(name, args) {
            Ok(measured) => {
                measured.iter().for_each(|row| println!("{}", row.line()));
                rows.extend(measured);
            }
            Err(reason) => {
                eprintln!("{} could not be measured: {reason}", name.word());
                ok = false;
            }
        }
    }
    // What is wanted of the harnesses must hold; how fast something is on this machine is for people to judge.
    ok &= rows.iter().all(|row| row.holds() || !row.is_promise());
    if let Some(file) = &args.json
        && let Err(error) = write(file, &rows)
    {
        eprintln!("{}: {error}", file.display());
        ok = false;
    }
    for line in earlier.iter().flat_map(|earlier| rows::worse(earlier, &rows)) {
        println!("WORSE  {line}");
        ok = false;
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write(file: &Path, rows: &[Row]) -> std::io::Result<()> {
    let all = json!({ "machine": machine::describe(), "rows": rows });
    std::fs::write(file, format!("{all:#}\n"))
}

/// The rows that an earlier run wrote.
fn read(file: &Path) -> Result<Vec<Row>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let all: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let rows = serde_json::from_value(all["rows"].clone());
    rows.map_err(|error| format!("{}: these are no rows of a benchmark: {error}", file.display()))
}

fn measure(name: Name, args: &Args) -> Rows {
    match name {
        Name::Beside => beside::measure(&bb(args)?),
        Name::Big => {
            let size = big::Size { branches: args.branches, builds: args.builds };
            big::measure(&bb(args)?, &fill(args)?, size)
        }
        Name::Build => build::measure(),
        Name::Throughput => throughput::measure(&bb(args)?),
        Name::Log => log::measure(&bb(args)?),
        Name::Moves => moves::measure(&bb(args)?),
        Name::Changelog => changelog::measure(&bb(args)?),
        Name::Hostile => hostile::measure(&bb(args)?),
        Name::Crash => crash::measure(&bb(args)?, args.seed..args.seed + args.histories.unwrap_or(20)),
        Name::Queue if args.real => {
            let forecast = queue::last_decision(&simulate(args)?, args.runs.min(100), args.seed)?;
            queue_real::measure(&bb(args)?, forecast)
        }
        Name::Queue => queue::measure(&simulate(args)?, args.runs, args.histories.unwrap_or(100_000), args.seed),
    }
}

/// The program to be measured: the one that `args` names, or one that is built.
fn bb(args: &Args) -> Result<PathBuf, String> {
    if let Some(bb) = &args.bb {
        return bb.canonicalize().map_err(|error| format!("{}: {error}", bb.display()));
    }
    built(args, &["--package", "bb"], "bb")
}

/// The program that fills a store.
fn fill(args: &Args) -> Result<PathBuf, String> {
    // Both packages are named, so that what they have in common is compiled once.
    built(args, &["--package", "bb", "--package", "master"], "fill")
}

/// The program that plays the queue.
fn simulate(args: &Args) -> Result<PathBuf, String> {
    built(args, &["--package", "gate"], "simulate")
}

/// A program of these packages, built.
fn built(args: &Args, packages: &[&str], program: &str) -> Result<PathBuf, String> {
    let (profile, folder) = if args.dev { ("dev", "debug") } else { ("release", "release") };
    let mut command = cargo(&["build", "--quiet", "--locked", "--bin", program, "--profile", profile]);
    let built = command.args(packages).status().map_err(|error| error.to_string())?;
    if !built.success() {
        return Err(format!("{program} can't be built"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join(folder).join(program))
}
