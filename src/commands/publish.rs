//! `bb publish URL BRANCH`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, safe};
use protocol::api::{BranchSummary, Publish};
use std::process::ExitCode;
use tracker::source::{UncheckedUrl, url_without_secrets};

/// Publish a branch: bb watches it from now on and keeps a page for it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb publish https://git.example.org/ann/heron.git load-balancing
  bb publish . my-fix --bug 412 --title 'Close the spool before exit'")]
pub(crate) struct Args {
    /// The repository: a URL, or a path on the master's machine that its admin allows
    url: String,
    /// The branch in it
    branch: String,
    /// The name to register it under [default: made from BRANCH]
    #[arg(long)]
    name: Option<String>,
    /// What it is, one line
    #[arg(long)]
    title: Option<String>,
    /// A bug that it is about; may be given again
    #[arg(long = "bug", value_name = "BUG")]
    bugs: Vec<String>,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let url = whole(args.url)?;
    let body = Publish { url, branch: args.branch, name: args.name, title: args.title, bugs: args.bugs };
    let branch: BranchSummary = client.post(&client.in_project("/branches").await?, &body).await?;
    args.format.print(&branch, |branch| format!("{}\n", safe(&client.url(&branch.page))))?;
    Ok(ExitCode::SUCCESS)
}

/// A relative path is meant from here, not from where the master runs.
fn whole(url: String) -> Result<String, CliError> {
    if !UncheckedUrl::new(url.as_str()).is_relative_path() {
        return Ok(url);
    }
    let shown = url_without_secrets(&url);
    let path = std::fs::canonicalize(&url).map_err(|error| {
        CliError::new(format!("`{shown}` is no URL, and as a path it can't be read from here: {error}"))
            .hint("give the URL that `git clone` takes, or the path of a repository that the master's admin allows")
    })?;
    path.into_os_string().into_string().map_err(|_| {
        CliError::new(format!("the whole path of `{shown}` is not UTF-8")).hint("publish it by a URL, or move it")
    })
}
