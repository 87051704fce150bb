//! `bb accept NAME`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{self, Format, safe};
use protocol::api::{Accept, BranchDetail, BranchSummary, QueueEntry};
use protocol::{BranchName, CommitId};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Accept a branch's newest revision: it may land. Binds to that commit and no other, in the words that are printed first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb accept load-balancing
  bb accept load-balancing --commit 3d9a1f7
  bb accept load-balancing --depends-on new-scheduler")]
pub(crate) struct Args {
    /// The branch's name
    name: BranchName,
    /// Only if the newest revision is this commit; its first digits are enough
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// It lands only after this branch, or with it; several by several options
    #[arg(long, value_name = "NAME")]
    depends_on: Vec<BranchName>,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = client.in_project(&format!("/branches/{}", args.name)).await?;
    let branch: BranchDetail = client.get(&path).await?;
    let commit = newest(&branch.summary, args.commit.as_deref())?;
    let what = what(&branch, &commit);
    // Before it is done, so that whoever sees it can still stop; JSON stays JSON.
    if args.format.json {
        eprint!("{what}");
    } else {
        print::out(&what)?;
    }
    let words = Some(branch.summary.words).filter(|words| !words.is_empty());
    let entry: QueueEntry =
        client.post(&format!("{path}/accept"), &Accept { commit, words, depends_on: args.depends_on }).await?;
    args.format.print(&entry, |entry| {
        let place = entry.place.map_or_else(String::new, |n| format!(", place {n} in the queue"));
        format!(
            "Accepted r{} of {}, {}{place}: {}\n",
            entry.revision,
            entry.branch,
            entry.commit.short(),
            safe(&entry.says)
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What is accepted: the commit, the words that it lands in, and whether that changes how it is built.
fn what(detail: &BranchDetail, commit: &CommitId) -> String {
    let branch = &detail.summary;
    let revision = branch.revision.map_or_else(String::new, |n| format!("r{n} of "));
    let mut text = format!("{revision}{}, {}: {}\n", branch.name, commit.short(), safe(&branch.title));
    if !branch.bugs.is_empty() {
        let _ = writeln!(text, "Bugs: {}", safe(&branch.bugs.join(", ")));
    }
    let name = &branch.name;
    if branch.changes_recipe {
        let _ = writeln!(text, "It changes the recipe: accepting it accepts how it is built, too (`bb show {name}`).");
    } else if detail.candidate.is_none() {
        let _ =
            writeln!(text, "Whether it changes the recipe is not known yet: there is no candidate (`bb show {name}`).");
    }
    text
}

fn newest(branch: &BranchSummary, wanted: Option<&str>) -> Result<CommitId, CliError> {
    let Some(commit) = branch.commit.clone() else {
        return Err(CliError::new(format!(
            "{} has no revision yet that could be accepted: {}",
            branch.name, branch.verdict.because
        ))
        .hint(format!("next: {} {}", branch.verdict.next.who, branch.verdict.next.what)));
    };
    match wanted {
        Some(wanted) if wanted.len() < 7 || !commit.as_str().starts_with(&wanted.to_lowercase()) => {
            Err(CliError::new(format!("the newest revision of {} is {commit}, not {wanted}", branch.name))
                .hint("look at it again with `bb show`, then accept what you saw"))
        }
        _ => Ok(commit),
    }
}
