//! The subcommands, a file each, all of one shape: `Args`, and `run` that does it.

mod accept;
mod artifacts;
mod branches;
mod builds;
mod cancel;
mod changelog;
mod claim;
mod completions;
mod demo;
mod locks;
mod log;
mod login;
mod man;
pub(crate) mod master;
mod merge;
mod merge_changelog;
mod publish;
mod queue;
mod rebuild;
mod reproduce;
mod review;
mod show;
mod slave;
mod slaves;
mod token;
mod up;
mod wait;
mod why;
mod withdraw;

use crate::client::{Client, MasterArgs};
use crate::error::CliError;
use crate::local::LAUNCH;
use clap::builder::{OsStr, Resettable};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

/// Watches published feature branches, builds each as it would land, and lands the accepted ones on an always green
/// mainline
#[derive(Debug, Parser)]
#[command(
    name = "bb",
    version,
    max_term_width = 110,
    after_help = "Begin with `bb demo`, or with `bb up` in a repository of your own."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    master: MasterArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Up(up::Args),
    Publish(publish::Args),
    Branches(branches::Args),
    Builds(builds::Args),
    Show(show::Args),
    Why(why::Args),
    Wait(wait::Args),
    Log(log::Args),
    Artifacts(artifacts::Args),
    Review(review::Args),
    Accept(accept::Args),
    Withdraw(withdraw::Args),
    Claim(claim::Args),
    Reproduce(reproduce::Args),
    Rebuild(rebuild::Args),
    Cancel(cancel::Args),
    Queue(queue::Args),
    Slaves(slaves::Args),
    Locks(locks::Args),
    Token(token::Args),
    Login(login::Args),
    Master(master::Args),
    #[command(visible_alias = "worker")]
    Slave(slave::Args),
    Merge(merge::Args),
    MergeChangelog(merge_changelog::Args),
    Changelog(changelog::Args),
    Completions(completions::Args),
    Man(man::Args),
    /// Supervises one step of a build; only slaves start it
    #[command(name = LAUNCH, hide = true)]
    Launch {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// What the command line says. A variable that is set to nothing counts as unset, as usual where one is "taken away" in
/// a continuous integration's settings.
pub(crate) fn cli() -> Cli {
    let unless_empty = |arg: clap::Arg| match arg.get_env() {
        Some(name) if std::env::var_os(name).is_some_and(|value| value.is_empty()) => {
            arg.env(Resettable::<OsStr>::Reset)
        }
        _ => arg,
    };
    let mut command = Cli::command().mut_args(unless_empty);
    let matches = command.get_matches_mut();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

/// Runs the subcommand.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let asking = || Client::new(&cli.master);
    match cli.command {
        Command::Demo(args) => wait(demo::run(args)),
        Command::Up(args) => wait(up::run(args)),
        Command::Master(args) => wait(master::run(args, cli.master.project)),
        Command::Slave(args) => wait(slave::run(args, &cli.master)),
        Command::Launch { args } => Ok(::slave::launch::main(&args)),
        Command::Publish(args) => wait(publish::run(args, &asking()?)),
        Command::Branches(args) => wait(branches::run(args, &asking()?)),
        Command::Builds(args) => wait(builds::run(args, &asking()?)),
        Command::Show(args) => wait(show::run(args, &asking()?)),
        Command::Why(args) => wait(why::run(args, &asking()?)),
        Command::Wait(args) => wait(wait::run(args, &asking()?)),
        Command::Log(args) => wait(log::run(args, &asking()?)),
        Command::Artifacts(args) => wait(artifacts::run(args, &asking()?)),
        Command::Review(args) => wait(review::run(args, &asking()?)),
        Command::Accept(args) => wait(accept::run(args, &asking()?)),
        Command::Withdraw(args) => wait(withdraw::run(args, &asking()?)),
        Command::Claim(args) => wait(claim::run(args, &asking()?)),
        Command::Reproduce(args) => wait(reproduce::run(args, &asking()?)),
        Command::Rebuild(args) => wait(rebuild::run(args, &asking()?)),
        Command::Cancel(args) => wait(cancel::run(args, &asking()?)),
        Command::Queue(args) => wait(queue::run(args, &asking()?)),
        Command::Slaves(args) => wait(slaves::run(args, &asking()?)),
        Command::Locks(args) => wait(locks::run(args, &asking()?)),
        Command::Token(args) => wait(token::run(args, &asking()?)),
        Command::Login(args) => wait(login::run(args, &cli.master)),
        Command::Merge(args) => wait(merge::run(args, &cli.master)),
        Command::MergeChangelog(args) => merge_changelog::run(&args),
        Command::Changelog(args) => changelog::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(&args),
    }
}

/// The one command that git waits for, file by file: the merge driver. It is found without the options of all other commands being put
/// together first, which takes as long as its work; whatever else is asked of it comes here by the long way.
pub(crate) fn run_at_once() -> Option<Result<ExitCode, CliError>> {
    let mut words = std::env::args_os().skip(1);
    if words.next()? != "changelog" || words.next()? != "driver" {
        return None;
    }
    changelog::driver_of_files(words.collect())
}

/// Waits for something asynchronous; a command does one thing, so each makes its own runtime.
fn wait(work: impl Future<Output = Result<ExitCode, CliError>>) -> Result<ExitCode, CliError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// The day where the user is.
fn today() -> jiff::civil::Date {
    jiff::ZonedDateTime::now().date()
}

/// What listings look like, for the tests of all of them.
#[cfg(test)]
pub(crate) mod listings {
    pub(crate) use super::branches::listing as branches;
    pub(crate) use super::builds::listing as builds;
    pub(crate) use super::locks::listing as locks;
    pub(crate) use super::queue::listing as queue;
    pub(crate) use super::slaves::listing as slaves;
    pub(crate) use super::token::listing as tokens;
}
