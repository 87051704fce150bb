//! The `bb` command: reads arguments, calls what does the work, prints. It decides nothing itself.

mod client;
mod commands;
mod error;
mod folders;
mod local;
mod print;
mod process;
mod terminal;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    slave::close_on_exec();
    let cli = commands::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}
