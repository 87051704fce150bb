//! `cargo xtask bench [NAME]`: what is measured. Each file beside this one is one benchmark.
//!
//! A benchmark prints a table for people, and gives back the same numbers as JSON.

use clap::ValueEnum;
use std::process::ExitCode;

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The benchmark; all when none is named
    name: Option<Name>,
}

/// The benchmarks.
#[derive(Clone, Copy, ValueEnum)]
enum Name {}

/// What a benchmark gives back: its numbers, or why it could not be run.
type Numbers = Result<serde_json::Value, String>;

/// Runs the benchmark that `args` names, or all.
pub(crate) fn run(args: &Args) -> ExitCode {
    let names = args.name.map_or_else(|| Name::value_variants().to_vec(), |name| vec![name]);
    let mut ok = true;
    for name in names {
        let label = name.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        println!("== {label}");
        match measure(name) {
            Ok(numbers) => println!("{numbers}"),
            Err(reason) => {
                eprintln!("{label} could not be measured: {reason}");
                ok = false;
            }
        }
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(name: Name) -> Numbers {
    match name {}
}
