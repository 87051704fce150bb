//! `bb branches`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{self, Cell, Format, ago, safe};
use protocol::api::BranchSummary;
use std::process::ExitCode;

/// List branches: where each stands and whose turn it is
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb branches
  bb branches --query ann --json")]
pub(crate) struct Args {
    /// Only those whose name, title, author or bug has this text in it
    #[arg(long, short, value_name = "TEXT")]
    query: Option<String>,
    /// Also those that landed, were withdrawn or retired
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(text) = &args.query {
        query.append_pair("q", text);
    }
    if args.all {
        query.append_pair("state", "all");
    }
    let path = client.in_project(&format!("/branches?{}", query.finish())).await?;
    let branches: Vec<BranchSummary> = client.get(&path).await?;
    args.format.print(&branches, |branches| {
        if branches.is_empty() {
            return "No branch. Publish one with `bb publish URL BRANCH`.\n".to_owned();
        }
        let rows = branches.iter().map(row).collect();
        print::table(&["name", "state", "next", "revision", "publisher", "changed"], rows)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn row(branch: &BranchSummary) -> Vec<Cell> {
    vec![
        branch.name.to_string().into(),
        Cell::of(branch.verdict.look, safe(&branch.verdict.state)),
        safe(&format!("{} {}", branch.verdict.next.who, branch.verdict.next.what)).into(),
        branch.revision.map_or_else(|| "-".to_owned(), |n| format!("r{n}")).into(),
        safe(&branch.publisher).into(),
        ago(branch.changed_ms).into(),
    ]
}
