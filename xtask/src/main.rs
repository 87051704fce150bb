//! The project's own chores: `cargo xtask test`, `cargo xtask bench`, `cargo xtask screenshot`.
//!
//! Small on purpose: it is compiled before the first test of whoever cloned this. It never changes a source file.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod cargo;
mod requirements;
mod runner;
mod test;

use cargo::cargo;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

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
    /// Take the README's screenshot anew, docs/screenshot.png
    Screenshot,
}

fn main() -> ExitCode {
    match Cli::parse().chore {
        Chore::Test(args) => test::run(&args),
        Chore::Bench(args) => bench::run(&args),
        Chore::Screenshot => screenshot(),
    }
}

/// The picture is taken by the story that looks at the same page.
fn screenshot() -> ExitCode {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/screenshot.png");
    let mut story = cargo(&["test", "--package", "bb", "--test", "e2e", "--", "the_readme_has_a_picture"]);
    let ok = story.env("BB_SCREENSHOT", file).status().is_ok_and(|status| status.success());
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
