//! The `bb` command: reads arguments, calls what does the work, prints. It decides nothing itself.

mod client;
mod commands;
mod error;
mod folders;
mod local;
mod print;
mod process;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run_at_once().unwrap_or_else(|| commands::run(commands::Cli::parse())) {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}
