//! The `bb` command: reads arguments, calls what does the work, prints. It decides nothing itself.

mod client;
mod commands;
mod error;
mod folders;
mod local;
mod print;
mod process;
mod screen;
mod terminal;
mod text;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The merge driver starts no program; whatever else does is to leave no file open for it.
    let other = || {
        slave::close_on_exec();
        commands::run(commands::cli())
    };
    match commands::run_at_once().unwrap_or_else(other) {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}
