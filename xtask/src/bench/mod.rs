//! `cargo xtask bench [NAME]`: what is measured. Each file beside this one is one benchmark.
//!
//! A benchmark prints a table for people and gives back the same numbers as JSON. Numbers of one machine say little;
//! each benchmark also gives a ratio, of two halves or of two programs, measured in the same run.

mod build;
mod changelog;
mod crash;
mod hostile;
mod log;
mod machine;
mod numbers;
mod throughput;

use crate::cargo::cargo;
use clap::ValueEnum;
use numbers::{Numbers, root};
use serde_json::Value;
use std::path::PathBuf;
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
    /// For `crash`: so many histories on each database
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    histories: u64,
    /// For `crash`: the first seed; a history is the same for the same seed, but for the machine's own speed
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Write the numbers into this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The benchmarks.
#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// From clone to the built program, in the dev profile (slow)
    Build,
    /// 100 branches published at once: the second half against the first
    Throughput,
    /// A build that prints 100 MB: memory, and how soon the log's end is shown
    Log,
    /// Merging ChangeLogs and folding fragments, beside git-merge-changelog and towncrier
    Changelog,
    /// Kills, pauses, full disks and lost networks at random moments, and what must hold afterwards (slow)
    Crash,
    /// What strangers send to cost memory, places or a reviewer's eye (slow)
    Hostile,
}

impl Name {
    fn is_slow(self) -> bool {
        matches!(self, Name::Build | Name::Crash | Name::Hostile)
    }

    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Runs the benchmark that `args` names, or all that are not slow.
pub(crate) fn run(args: &Args) -> ExitCode {
    let quick = || Name::value_variants().iter().copied().filter(|name| !name.is_slow()).collect();
    let names: Vec<Name> = args.name.map_or_else(quick, |name| vec![name]);
    let mut numbers = serde_json::Map::new();
    numbers.insert("machine".to_owned(), machine::describe());
    let mut ok = true;
    for name in names {
        println!("== {}", name.word());
        match measure(name, args) {
            Ok(measured) => {
                numbers.insert(name.word(), measured);
            }
            Err(reason) => {
                eprintln!("{} could not be measured: {reason}", name.word());
                ok = false;
            }
        }
    }
    let text = format!("{:#}", Value::Object(numbers));
    println!("{text}");
    if let Some(file) = &args.json
        && let Err(error) = std::fs::write(file, text + "\n")
    {
        eprintln!("{}: {error}", file.display());
        ok = false;
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(name: Name, args: &Args) -> Numbers {
    match name {
        Name::Build => build::measure(),
        Name::Throughput => throughput::measure(&bb(args)?),
        Name::Log => log::measure(&bb(args)?),
        Name::Changelog => changelog::measure(&bb(args)?),
        Name::Hostile => hostile::measure(&bb(args)?),
        Name::Crash => crash::measure(&bb(args)?, args.seed..args.seed + args.histories),
    }
}

/// The program to be measured: the one that `args` names, or one that is built.
fn bb(args: &Args) -> Result<PathBuf, String> {
    if let Some(bb) = &args.bb {
        return bb.canonicalize().map_err(|error| format!("{}: {error}", bb.display()));
    }
    let (profile, folder) = if args.dev { ("dev", "debug") } else { ("release", "release") };
    let mut command = cargo(&["build", "--quiet", "--locked", "--package", "bb", "--profile", profile]);
    let built = command.status().map_err(|error| error.to_string())?;
    if !built.success() {
        return Err("bb can't be built".to_owned());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join(folder).join("bb"))
}
