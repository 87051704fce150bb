//! `bb withdraw NAME`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, safe};
use protocol::BranchName;
use protocol::api::BranchSummary;
use std::process::ExitCode;

/// Withdraw a branch: it is watched, built and landed no more; its page stays
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bb withdraw load-balancing")]
pub(crate) struct Args {
    /// The branch's name
    name: BranchName,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = client.in_project(&format!("/branches/{}/withdraw", args.name)).await?;
    let branch: BranchSummary = client.post(&path, &serde_json::json!({})).await?;
    args.format.print(&branch, |branch| format!("{}: {}\n", branch.name, safe(&branch.verdict.state)))?;
    Ok(ExitCode::SUCCESS)
}
