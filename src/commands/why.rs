//! `bb why NAME`

use super::show;
use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, safe};
use crate::screen::Screen;
use protocol::BranchName;
use protocol::api::{BranchDetail, BuildSummary, Look, Next, QueueEntry, Tested, TestedBuild, Verdict};
use serde::Serialize;
use std::process::ExitCode;

/// Say why a branch stands where it stands: would it land, what is missing, who is next, and how it left the queue
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb why load-balancing
  bb why load-balancing --json")]
pub(crate) struct Args {
    /// The branch's name
    name: BranchName,
    #[command(flatten)]
    format: Format,
}

/// What a program reads.
#[derive(Serialize)]
struct Why<'b> {
    branch: &'b BranchName,
    revision: Option<u32>,
    /// Why it stands where it stands: the queue's code while it is there and of how it left, else the verdict's.
    code: &'b str,
    says: &'b str,
    next: &'b Next,
    evidence: Evidence<'b>,
    verdict: &'b Verdict,
    /// Its places in the queue, newest first.
    queue: &'b [QueueEntry],
}

/// What that is known by.
#[derive(Serialize)]
struct Evidence<'b> {
    /// What the queue built of it, alone or with others.
    tested: Option<&'b Tested>,
    /// Each builder's newest build of the branch by itself.
    builds: Vec<&'b BuildSummary>,
}

impl<'b> Why<'b> {
    fn of(branch: &'b BranchDetail) -> Self {
        let (summary, verdict) = (&branch.summary, &branch.summary.verdict);
        let decides = matches!(verdict.code.as_str(), "queued" | "ejected" | "landed");
        let entry = branch.queue.first().filter(|_| decides);
        let builds = branch.builders.iter().filter_map(|row| row.builds.first());
        Self {
            branch: &summary.name,
            revision: summary.revision,
            code: entry.map_or(&verdict.code, |entry| &entry.code),
            says: entry.map_or(&verdict.because, |entry| &entry.says),
            next: entry.map_or(&verdict.next, |entry| &entry.next),
            evidence: Evidence {
                tested: entry.and_then(|entry| entry.tested.as_ref()),
                builds: builds.filter(|build| Some(build.revision) == summary.revision).collect(),
            },
            verdict,
            queue: &branch.queue,
        }
    }
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = client.in_project(&format!("/branches/{}", args.name)).await?;
    let branch: BranchDetail = client.get(&path).await?;
    args.format.show(&Why::of(&branch), |why, screen| human(&branch, why, screen))?;
    Ok(ExitCode::SUCCESS)
}

fn human(branch: &BranchDetail, why: &Why<'_>, screen: Screen) -> String {
    let mut text = String::new();
    show::verdict(&mut text, branch, screen);
    let mut line = |word: &str, said: &str| {
        text.push_str(&screen.sentences(&format!("{word:<9} {}\n", safe(said)), show::HANG));
    };
    line("Code", why.code);
    if let Some(tested) = why.evidence.tested {
        line("Evidence", &tested.words());
        let failed = |build: &&TestedBuild| matches!(build.look, Look::Failed | Look::Exception);
        for build in tested.builds.iter().filter(failed) {
            let step = build.step.as_ref().map_or_else(String::new, |step| format!(" --step {}", step.name));
            line("Log", &format!("bb log {}{step}", build.build));
        }
    } else {
        for build in &why.evidence.builds {
            let says = if build.says.is_empty() { String::new() } else { format!(": {}", build.says) };
            line("Evidence", &format!("build #{} of {}, {}{says}", build.id, build.builder, build.word));
        }
    }
    for entry in branch.queue.iter().filter(|entry| entry.left_ms.is_some()).take(3) {
        let said = format!("Left the queue as r{} ({}): {}\n", entry.revision, safe(&entry.code), safe(&entry.says));
        text.push_str(&screen.sentences(&said, 2));
    }
    text
}
