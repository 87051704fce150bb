//! `bb locks`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago};
use crate::screen::{Cell, Screen};
use protocol::api::{Lock, LockUse};
use std::process::ExitCode;

/// List locks: which builds hold shares of them, which wait for some, and since when
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

/// The locks: a line for each build that holds shares or waits for some, in its order, and for each lock that is free.
pub(crate) fn listing(locks: &[Lock], screen: Screen) -> String {
    let head = ["lock", "taken", "build", "branch", "stands", "shares", "slave", "since"];
    let none = "No locks are defined. An admin defines them in master.toml, as `[[lock]]`.";
    screen.list(&head, &locks.iter().flat_map(rows).collect::<Vec<_>>(), none)
}

fn rows(lock: &Lock) -> Vec<Vec<Cell>> {
    let taken = match lock.scope.as_str() {
        "slave" => format!("{}, {} on each slave", lock.taken, lock.shares),
        _ => format!("{} of {}", lock.taken, lock.shares),
    };
    let row = |build: String, branch: String, stands: String, shares: String, slave: String, since: String| {
        let cells = [lock.name.clone(), taken.clone(), build, branch, stands, shares, slave, since];
        cells.map(Cell::from).to_vec()
    };
    let one = |it: &LockUse, stands: String| {
        let slave = it.build.slave.as_ref().map(ToString::to_string).unwrap_or_default();
        let (build, branch) = (format!("#{} {}", it.build.id, it.build.builder), it.build.branch.to_string());
        row(build, branch, stands, it.shares.to_string(), slave, ago(it.since_ms))
    };
    let held = lock.held.iter().map(|it| one(it, "holds it".to_owned()));
    let waiting = lock.waiting.iter().map(|it| match it.place {
        Some(place) => one(it, format!("waits, place {place}")),
        None => one(it, it.build.says.clone()),
    });
    let mut rows: Vec<Vec<Cell>> = held.chain(waiting).collect();
    let others = (lock.waiting_count as usize).saturating_sub(lock.waiting.len());
    let blank = String::new;
    if rows.is_empty() {
        rows.push(row(blank(), blank(), "free".to_owned(), blank(), blank(), blank()));
    } else if others > 0 {
        rows.push(row(blank(), blank(), format!("{others} more wait"), blank(), blank(), blank()));
    }
    rows
}
