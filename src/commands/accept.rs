//! `bb accept NAME…`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{self, Format, safe};
use protocol::api::{Accept, BranchDetail, BranchSummary, QueueEntry};
use protocol::{BranchName, CommitId};
use serde::Serialize;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Accept branches' newest revisions: they may land. Binds to those commits and no others, in the words that are printed first
///
/// Of several each is answered by itself, and one that can't be accepted keeps nothing from the others; the exit code is 1 when one
/// was not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb accept load-balancing
  bb accept load-balancing --commit 3d9a1f7
  bb accept load-balancing --depends-on new-scheduler
  bb accept load-balancing --when-green
  bb accept one two three
  bb accept --all-green")]
pub(crate) struct Args {
    /// The branches' names
    #[arg(value_name = "NAME", required_unless_present = "all_green")]
    names: Vec<BranchName>,
    /// All branches that are ready: they passed, and wait for nothing but this
    #[arg(long, conflicts_with_all = ["names", "commit", "depends_on", "when_green"])]
    all_green: bool,
    /// Each counts once all required builders passed on its commit alone; a newer revision that comes before ends it
    #[arg(long)]
    when_green: bool,
    /// Only if the newest revision is this commit; its first digits are enough
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// It lands only after this branch, or with it; several by several options
    #[arg(long, value_name = "NAME")]
    depends_on: Vec<BranchName>,
    #[command(flatten)]
    format: Format,
}

/// What came of one of several.
#[derive(Serialize)]
struct Answered {
    branch: BranchName,
    /// Its place in the queue, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<QueueEntry>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    if let (Some(commit), true) = (&args.commit, args.names.len() > 1) {
        return Err(CliError::new(format!(
            "{commit} can be the commit of one branch, and {} are named",
            args.names.len()
        ))
        .hint("accept them one by one with --commit, or leave it out"));
    }
    match &args.names[..] {
        [name] => {
            let entry = accept(&args, name, client).await?;
            args.format.print(&entry, accepted)?;
            Ok(ExitCode::SUCCESS)
        }
        [] => several(&args, &super::branches::all(client, "state=ready&limit=200").await?, client).await,
        names => several(&args, names, client).await,
    }
}

/// Accepts several, each answered by itself.
async fn several(args: &Args, names: &[impl Named], client: &Client) -> Result<ExitCode, CliError> {
    let mut answers = Vec::with_capacity(names.len());
    for name in names.iter().map(Named::name) {
        let answer = accept(args, name, client).await;
        if !args.format.json {
            match &answer {
                Ok(entry) => print::out(&accepted(entry))?,
                Err(error) => {
                    error.report();
                }
            }
        }
        // Whoever can't be reached is not asked for each of the others.
        if let Err(error) = &answer
            && error.may_pass()
        {
            return answer.map(|_| ExitCode::FAILURE);
        }
        let refused = answer.as_ref().err().map(CliError::line);
        answers.push(Answered { branch: name.clone(), entry: answer.ok(), refused });
    }
    if args.format.json {
        print::json(&answers)?;
    } else if answers.is_empty() {
        print::out("No branch is ready.\n")?;
    }
    Ok(ExitCode::from(u8::from(answers.iter().any(|answer| answer.refused.is_some()))))
}

/// What has a branch's name.
trait Named {
    fn name(&self) -> &BranchName;
}

impl Named for BranchName {
    fn name(&self) -> &BranchName {
        self
    }
}

impl Named for BranchSummary {
    fn name(&self) -> &BranchName {
        &self.name
    }
}

async fn accept(args: &Args, name: &BranchName, client: &Client) -> Result<QueueEntry, CliError> {
    let path = client.in_project(&format!("/branches/{name}")).await?;
    let branch: BranchDetail = client.get(&path).await?;
    let commit = newest(&branch.summary, args.commit.as_deref())?;
    let what = what(&branch, &commit);
    // Before it is done, so that whoever sees it can still stop; JSON stays JSON.
    if args.format.json {
        eprint!("{what}");
    } else {
        print::out(&what)?;
    }
    if args.all_green && branch.summary.verdict.code != "ready" {
        return Err(CliError::new(format!("{name} is not ready any more: {}", branch.summary.verdict.because)));
    }
    let words = Some(branch.summary.words).filter(|words| !words.is_empty());
    let it = Accept { commit, words, depends_on: args.depends_on.clone(), when_green: args.when_green };
    client.post(&format!("{path}/accept"), &it).await
}

fn accepted(entry: &QueueEntry) -> String {
    let place = entry.place.map_or_else(String::new, |n| format!(", place {n} in the queue"));
    let (revision, branch, commit) = (entry.revision, &entry.branch, entry.commit.short());
    format!("Accepted r{revision} of {branch}, {commit}{place}: {}\n", safe(&entry.says))
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
