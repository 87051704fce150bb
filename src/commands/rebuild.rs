//! `bb rebuild BRANCH`

use crate::client::Client;
use crate::error::CliError;
use crate::print::Format;
use protocol::api::{BranchDetail, BuildDetail, BuildState};
use protocol::{BranchName, BuildId};
use std::process::ExitCode;

/// Build a branch's newest revision again: each builder whose build has ended
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb rebuild load-balancing
  bb rebuild load-balancing --builder linux")]
pub(crate) struct Args {
    /// The branch's name
    branch: BranchName,
    /// Only this builder's
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = client.in_project(&format!("/branches/{}", args.branch)).await?;
    let asked: Vec<BuildId> = match &args.builder {
        None => client.post(&format!("{path}/rebuild"), &serde_json::json!({})).await?,
        Some(builder) => {
            let old = newest(&client.get(&path).await?, builder)?;
            let new: BuildDetail = client.post(&format!("/builds/{old}/rebuild"), &serde_json::json!({})).await?;
            vec![new.summary.id]
        }
    };
    args.format.print(&asked, |asked| match asked.as_slice() {
        [] => format!("Nothing to build again: no build of {}'s newest revision has ended.\n", args.branch),
        asked => asked.iter().map(|id| format!("Asked for build #{id}; `bb log {id} --follow` shows it\n")).collect(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The build of a builder that is to be run again.
fn newest(branch: &BranchDetail, builder: &str) -> Result<BuildId, CliError> {
    let name = &branch.summary.name;
    let Some(row) = branch.builders.iter().find(|row| row.builder == builder) else {
        let names: Vec<&str> = branch.builders.iter().map(|row| row.builder.as_str()).collect();
        let hint = match names.as_slice() {
            [] => format!("it has none yet: `bb show {name}` says why"),
            names => format!("its builders are: {}", names.join(", ")),
        };
        return Err(CliError::new(format!("{name} has no builder `{builder}`")).hint(hint));
    };
    match row.builds.first() {
        Some(build) if matches!(build.state, BuildState::Finished(_)) => Ok(build.id),
        Some(build) => Err(CliError::new(format!("build #{} of {builder} has not ended yet", build.id))
            .hint(format!("`bb cancel {}` ends it", build.id))),
        None => Err(CliError::new(format!("{builder} has built nothing of {name} yet"))
            .hint(format!("`bb show {name}` says what it waits for"))),
    }
}
