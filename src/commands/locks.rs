//! `bb locks`

use crate::client::Client;
use crate::error::CliError;
use crate::print::Format;
use crate::screen::{Cell, Screen};
use protocol::api::Lock;
use std::process::ExitCode;

/// List locks: which builds hold shares of them, and which wait for some
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb locks
  bb locks --json")]
pub(crate) struct Args {
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let locks: Vec<Lock> = client.get("/locks").await?;
    args.format.show(&locks, |locks, screen| listing(locks, screen))?;
    Ok(ExitCode::SUCCESS)
}

/// The locks.
pub(crate) fn listing(locks: &[Lock], screen: Screen) -> String {
    let head = ["lock", "shares", "taken", "held by", "waiting"];
    let none = "No locks are defined. An admin defines them in master.toml, as `[[lock]]`.";
    screen.list(&head, &locks.iter().map(row).collect::<Vec<_>>(), none)
}

fn row(lock: &Lock) -> Vec<Cell> {
    let taken: u64 = lock.held.iter().map(|(_, shares)| u64::from(*shares)).sum();
    let held = lock.held.iter().map(|(build, shares)| match shares {
        1 => format!("#{build}"),
        shares => format!("#{build} ({shares})"),
    });
    let waiting = lock.waiting.iter().map(|build| format!("#{build}"));
    vec![
        lock.name.clone().into(),
        match lock.scope.as_str() {
            "slave" => format!("{} on each slave", lock.shares),
            _ => lock.shares.to_string(),
        }
        .into(),
        taken.to_string().into(),
        held.collect::<Vec<_>>().join(", ").into(),
        waiting.collect::<Vec<_>>().join(", ").into(),
    ]
}
