//! `bb why NAME`

use super::show;
use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, safe};
use crate::screen::Screen;
use protocol::BranchName;
use protocol::api::{BranchDetail, QueueEntry, Verdict};
use serde::Serialize;
use std::process::ExitCode;

/// Say why a branch stands where it stands: would it land, what is missing, who is next, and how it left the queue
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb why load-balancing
  bb why load-balancing --json")]
pub(crate) struct Args {
    /// The branch's name
    name: BranchName,
    #[command(flatten)]
    format: Format,
}

/// What a program reads.
#[derive(Serialize)]
struct Why<'b> {
    branch: &'b BranchName,
    revision: Option<u32>,
    verdict: &'b Verdict,
    /// Its places in the queue, newest first.
    queue: &'b [QueueEntry],
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = client.in_project(&format!("/branches/{}", args.name)).await?;
    let branch: BranchDetail = client.get(&path).await?;
    let summary = &branch.summary;
    let why =
        Why { branch: &summary.name, revision: summary.revision, verdict: &summary.verdict, queue: &branch.queue };
    args.format.show(&why, |_, screen| human(&branch, screen))?;
    Ok(ExitCode::SUCCESS)
}

fn human(branch: &BranchDetail, screen: Screen) -> String {
    let mut text = String::new();
    show::verdict(&mut text, branch, screen);
    for entry in branch.queue.iter().filter(|entry| entry.left_ms.is_some()).take(3) {
        let said = format!("Left the queue as r{} ({}): {}\n", entry.revision, safe(&entry.code), safe(&entry.says));
        text.push_str(&screen.sentences(&said, 2));
    }
    text
}
