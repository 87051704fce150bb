//! `bb builds`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, safe};
use crate::screen::{Cell, Screen};
use protocol::api::{BuildPage, BuildSummary, listed};
use protocol::{BranchName, BuildId, SlaveName};
use std::process::ExitCode;

/// List builds, newest first: of what, where, and how each ended
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb builds
  bb builds --branch load-balancing --state failure
  bb builds --slave oak --limit 200 --json")]
pub(crate) struct Args {
    /// Only those of this branch
    #[arg(long, value_name = "NAME")]
    branch: Option<BranchName>,
    /// Only those by this builder
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
    /// Only those that this slave was given last
    #[arg(long, value_name = "NAME")]
    slave: Option<SlaveName>,
    /// Only those in this state: waiting, running, or a result (success, warnings, failure, skipped, exception, retry, cancelled)
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only those older than this one
    #[arg(long, value_name = "BUILD")]
    before: Option<BuildId>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    format: Format,
}

/// The most builds that the master gives at once.
const MOST: usize = 200;

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let given = [
        ("branch", args.branch.as_ref().map(ToString::to_string)),
        ("builder", args.builder.clone()),
        ("slave", args.slave.as_ref().map(ToString::to_string)),
        ("state", args.state.clone()),
    ];
    for (name, value) in given.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    let builds = pages(client, &query, args.before, usize::try_from(args.limit).unwrap_or(usize::MAX)).await?;
    let narrowed = given.iter().any(|(_, value)| value.is_some()) || args.before.is_some();
    args.format.show(&builds, |builds, screen| listing(builds, narrowed, screen))?;
    Ok(ExitCode::SUCCESS)
}

/// As many as are wanted, page by page.
async fn pages(
    client: &Client,
    query: &str,
    mut before: Option<BuildId>,
    limit: usize,
) -> Result<Vec<BuildSummary>, CliError> {
    let mut builds = Vec::new();
    loop {
        let room = (limit - builds.len()).min(MOST);
        let from = before.map_or_else(String::new, |id| format!("&before={id}"));
        let path = client.in_project(&format!("/builds?limit={room}{from}&{query}")).await?;
        let page: BuildPage = client.get(&path).await?;
        builds.extend(page.builds.into_iter().take(room));
        if page.next.is_none() || builds.len() >= limit {
            return Ok(builds);
        }
        before = page.next;
    }
}

/// The builds.
pub(crate) fn listing(builds: &[BuildSummary], narrowed: bool, screen: Screen) -> String {
    let head = ["build", "builder", "state", "branch", "revision", "slave", "asked for", "says"];
    let none = if narrowed { "No build is all of that." } else { "Nothing was built yet." };
    screen.list(&head, &builds.iter().map(row).collect::<Vec<_>>(), none)
}

fn row(build: &BuildSummary) -> Vec<Cell> {
    let queue = if build.for_queue { ", for the queue" } else { "" };
    vec![
        format!("#{}", build.id).into(),
        safe(&build.builder).into(),
        Cell::of(build.look, build.word.as_str()),
        match build.stack {
            Some(_) => listed(build.branches()).into(),
            None => build.branch.to_string().into(),
        },
        match build.stack {
            Some(stack) => format!("together, stack {stack}").into(),
            None => format!("r{}{queue}", build.revision).into(),
        },
        build.slave.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string).into(),
        ago(build.requested_ms).into(),
        safe(&build.says).into(),
    ]
}
