//! `bb cancel BUILD`

use super::log::build_id;
use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, safe};
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
    args.format.show(&build, |build, screen| {
        let it = &build.summary;
        let word = screen.look(it.look, &it.word);
        let says = if it.says.is_empty() { String::new() } else { format!(", {}", safe(&it.says)) };
        screen.sentences(&format!("#{} {} of {}: {word}{says}\n", it.id, safe(&it.builder), it.branch), 2)
    })?;
    Ok(ExitCode::SUCCESS)
}
