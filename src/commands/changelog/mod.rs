//! `bb changelog …`: what concerns ChangeLogs and fragments, a file a subcommand.

mod check;
mod driver;
mod file;
mod new;
mod preview;
mod release;
mod show;

use crate::commands::merge_changelog::worktree_error;
use crate::error::CliError;
use changelog::Place;
use clap::Subcommand;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use tracker::worktree::WorkTree;

/// Write, check, preview and merge ChangeLogs and fragments. Needs no master
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb changelog new
  bb changelog check
  bb changelog driver install")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Args),
    Check(check::Args),
    Preview(preview::Args),
    Release(release::Args),
    Show(show::Args),
    Driver(driver::Args),
}

pub(crate) fn run(args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        Command::New(args) => new::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Preview(args) => preview::run(&args),
        Command::Release(args) => release::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Driver(args) => driver::run(&args),
    }
}

/// The merge driver, if these are the files of a merge.
pub(super) fn driver_of_files(words: Vec<OsString>) -> Option<Result<ExitCode, CliError>> {
    let args = driver::Args::of_files(words)?;
    Some(driver::run(&args))
}

/// Where the branch is, and what it is compared with.
#[derive(Debug, clap::Args)]
pub(crate) struct AgainstArgs {
    /// Work in this folder instead of the current one
    #[arg(short = 'C', value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// What the branch will be merged into, instead of the upstream's main branch
    #[arg(long, value_name = "REF")]
    against: Option<String>,
}

impl AgainstArgs {
    fn open(&self) -> Result<(WorkTree, Vec<Place>), CliError> {
        let tree = WorkTree::open(&self.folder).map_err(worktree_error)?;
        let places = tree.places().map_err(worktree_error)?;
        Ok((tree, places))
    }
}
