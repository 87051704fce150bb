//! `bb claim NAME`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, safe};
use protocol::BranchName;
use protocol::api::{Claim, Claimed};
use std::process::ExitCode;

/// Claim a branch of your repository that somebody else registered, or a name under which nothing was ever fetched
///
/// The master says which branch the repository is to show; push that and claim again. It may be deleted then.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb claim load-balancing
  bb claim load-balancing --for https://git.example.org/ann/heron.git load-balancing")]
pub(crate) struct Args {
    /// The branch's name here
    name: BranchName,
    /// Claim the name for a branch of this repository of yours
    #[arg(long = "for", num_args = 2, value_names = ["URL", "BRANCH"])]
    source: Option<Vec<String>>,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let mut source = args.source.unwrap_or_default().into_iter();
    let body = Claim { url: source.next(), branch: source.next() };
    let path = client.in_project(&format!("/branches/{}/claim", args.name)).await?;
    let claimed: Claimed = client.post(&path, &body).await?;
    args.format.print(&claimed, |it| {
        if it.proved {
            format!("{} is yours: {}\n", it.branch.name, safe(&client.url(&it.branch.page)))
        } else {
            format!("Show that {} is yours, then claim again:\n\n  {}\n", safe(&it.repository), safe(&it.push))
        }
    })?;
    Ok(if claimed.proved { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
