//! The project's own chores: `cargo xtask test`, `cargo xtask bench`.
//!
//! Small on purpose: it is compiled before the first test of whoever cloned this. It never changes a source file.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod requirements;
mod runner;
mod test;

use clap::{Parser, Subcommand};
use std::process::{Command, ExitCode};

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what the tests need, then lint and run every test
    Test(test::Args),
    /// Measure, and print the numbers as a table and as JSON
    Bench(bench::Args),
}

fn main() -> ExitCode {
    match Cli::parse().chore {
        Chore::Test(args) => test::run(&args),
        Chore::Bench(args) => bench::run(&args),
    }
}

/// Cargo, in the workspace's root whatever folder this was called from.
fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}
