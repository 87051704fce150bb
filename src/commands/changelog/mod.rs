//! `bb changelog …`: what concerns ChangeLogs and fragments, a file a subcommand.

mod driver;
mod show;

use crate::error::CliError;
use clap::Subcommand;
use std::process::ExitCode;

/// Look at ChangeLogs and fragments, and merge them. Needs no master
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Args),
    Driver(driver::Args),
}

pub(crate) fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::Show(args) => show::run(&args),
        Command::Driver(args) => driver::run(&args),
    }
}
