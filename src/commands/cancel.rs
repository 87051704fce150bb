//! `bb cancel BUILD`

use super::log::build_id;
use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, look, safe};
use protocol::BuildId;
use protocol::api::BuildDetail;
use std::process::ExitCode;

/// Cancel a build that waits or runs
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  bb cancel 5133")]
pub(crate) struct Args {
    /// The build's number
    #[arg(value_parser = build_id)]
    build: BuildId,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = format!("/builds/{}/cancel", args.build);
    let build: BuildDetail = client.post(&path, &serde_json::json!({})).await?;
    args.format.print(&build, |build| {
        let it = &build.summary;
        format!("#{} {} of {}: {}  {}\n", it.id, safe(&it.builder), it.branch, look(it.look, &it.word), safe(&it.says))
    })?;
    Ok(ExitCode::SUCCESS)
}
