//! `bb branches`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, safe, word};
use crate::screen::{Cell, Screen, changes_recipe};
use protocol::api::{BranchPage, BranchSummary};
use std::collections::HashSet;
use std::process::ExitCode;

/// List branches: where each stands and whose turn it is
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb branches
  bb branches --turn maintainer
  bb branches --query ann --json")]
pub(crate) struct Args {
    /// Only those that have this text in their name, title, author or bugs, or that ended so
    #[arg(long, short, value_name = "TEXT")]
    query: Option<String>,
    /// Only those that this person published or wrote
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Only those with this reference to a bug
    #[arg(long, value_name = "BUG")]
    bug: Option<String>,
    /// Only live ones whose turn it is so
    #[arg(long, value_name = "WHOSE", value_parser = ["bb", "maintainer", "author"], conflicts_with = "all")]
    turn: Option<String>,
    /// Only those whose verdict has this code, whether they ended or not: ready, conflict, landed, …
    #[arg(long, value_name = "CODE", conflicts_with = "all")]
    state: Option<String>,
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
    let state = if args.all { Some("all") } else { args.state.as_deref() };
    for (name, given) in [
        ("owner", args.owner.as_deref()),
        ("bug", args.bug.as_deref()),
        ("turn", args.turn.as_deref()),
        ("state", state),
    ] {
        given.map(|text| query.append_pair(name, text));
    }
    let is_narrowed = [&args.owner, &args.bug, &args.turn, &args.state].iter().any(|given| given.is_some());
    query.append_pair("limit", MOST);
    let query = query.finish();
    let branches = all(client, &query).await?;
    args.format.show(&branches, |branches, screen| {
        if branches.is_empty() && is_narrowed {
            return "No branch is all of that.\n".to_owned();
        }
        listing(branches, args.query.as_deref(), args.all, screen)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The branches that have `query` in what it is looked for in, if something is: live ones, or `all`.
pub(crate) fn listing(branches: &[BranchSummary], query: Option<&str>, all: bool, screen: Screen) -> String {
    let none = match (query, all) {
        (Some(query), true) => {
            format!("No branch has `{}` in its name, title, author or bugs, nor ended so.", safe(query))
        }
        (Some(query), false) => format!(
            "No live branch has `{}` in its name, title, author or bugs. `bb branches --all --query {}` also looks at those that ended.",
            safe(query),
            safe(&word(query))
        ),
        (None, true) => "No branch. Publish one with `bb publish URL BRANCH`.".to_owned(),
        (None, false) => {
            "No live branch. Publish one with `bb publish URL BRANCH`; `bb branches --all` also lists those that ended."
                .to_owned()
        }
    };
    let head = ["name", "state", "revision", "publisher", "changed", "recipe", "next"];
    screen.list(&head, &branches.iter().map(row).collect::<Vec<_>>(), &none)
}

/// The most branches that the master gives at once.
const MOST: &str = "200";

/// All pages of a listing. A branch that changed meanwhile may stand on two of them; it is taken as it was first.
pub(super) async fn all(client: &Client, query: &str) -> Result<Vec<BranchSummary>, CliError> {
    let (mut branches, mut names) = (Vec::<BranchSummary>::new(), HashSet::new());
    let mut after = String::new();
    loop {
        let path = client.in_project(&format!("/branches?{query}{after}")).await?;
        let page: BranchPage = client.get(&path).await?;
        branches.extend(page.branches.into_iter().filter(|branch| names.insert(branch.name.clone())));
        let Some(next) = page.next else { return Ok(branches) };
        after = format!("&after={next}");
    }
}

fn row(branch: &BranchSummary) -> Vec<Cell> {
    vec![
        branch.name.to_string().into(),
        Cell::of(branch.verdict.look, safe(&branch.verdict.state)),
        branch.revision.map_or_else(|| "-".to_owned(), |n| format!("r{n}")).into(),
        safe(&branch.publisher).into(),
        ago(branch.changed_ms).into(),
        changes_recipe(branch.changes_recipe),
        safe(&format!("{} {}", branch.verdict.next.who, branch.verdict.next.what)).into(),
    ]
}
