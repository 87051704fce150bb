//! `bb show NAME`

use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, look, safe};
use protocol::BranchName;
use protocol::api::{BranchDetail, CandidateOutcome, DiffKind, DiffLine, WouldLand};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Show a branch: would it land, why, who is next; its builds, ChangeLog and commits
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb show load-balancing
  bb show load-balancing --diff")]
pub(crate) struct Args {
    /// The branch's name
    name: BranchName,
    /// Show the diff against mainline too
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = client.in_project(&format!("/branches/{}", args.name)).await?;
    let branch: BranchDetail = client.get(&path).await?;
    args.format.print(&branch, |branch| human(branch, args.diff, client))?;
    Ok(ExitCode::SUCCESS)
}

fn human(branch: &BranchDetail, with_diff: bool, client: &Client) -> String {
    let mut text = String::new();
    let summary = &branch.summary;
    let verdict = &summary.verdict;
    let would = match verdict.would_land {
        WouldLand::Yes => "yes",
        WouldLand::No => "no",
        WouldLand::NotYet => "not yet",
        WouldLand::NotKnownYet => "not known yet",
    };
    let _ = writeln!(text, "{}  {}", summary.name, safe(&summary.title));
    let _ = writeln!(
        text,
        "{}: would land: {would}, {}",
        look(verdict.look, &safe(&verdict.state)),
        safe(&verdict.because)
    );
    let _ = writeln!(text, "Next: {} {}", safe(&verdict.next.who), safe(&verdict.next.what));
    for need in &verdict.needs {
        let _ = writeln!(text, "  {}", look(need.look, &safe(&need.text)));
    }
    let _ = writeln!(text, "\nFrom      {} {}", safe(&summary.url), safe(&summary.branch));
    if let Some(trouble) = &branch.watch.trouble {
        let _ = writeln!(text, "Trouble   {}", safe(trouble));
    }
    for revision in branch.revisions.iter().take(5) {
        let refused = revision.refused.as_ref().map_or_else(String::new, |r| format!(", refused: {}", r.text));
        let _ = writeln!(
            text,
            "r{:<8} {}  {}{}",
            revision.number,
            revision.commit.short(),
            safe(&revision.subject),
            safe(&refused)
        );
    }
    if branch.changes_recipe {
        let _ = writeln!(text, "THIS BRANCH CHANGES THE RECIPE: accepting it accepts how it is built, too.");
        if let Some(recipe) = &branch.recipe_diff {
            lines(&mut text, &recipe.lines);
        }
    }
    for row in &branch.builders {
        if let Some(build) = row.builds.first() {
            let _ = writeln!(
                text,
                "Build     #{} {}: {}  {}",
                build.id,
                safe(&row.builder),
                look(build.look, &build.word),
                safe(&row.says)
            );
        }
    }
    candidate(&mut text, branch);
    if with_diff {
        for file in &branch.diff.files {
            let _ = writeln!(text, "\n{} {}", safe(&file.path), safe(&file.notes.join(", ")));
            lines(&mut text, &file.lines);
        }
    }
    if let Some(newest) = branch.refs.first() {
        let _ = writeln!(text, "\nFetch     git fetch {} {newest}", client.url(&branch.git_path));
    }
    for event in branch.timeline.iter().take(8) {
        let _ = writeln!(text, "{:<9} {}", ago(event.at_ms), safe(&event.text));
    }
    let _ = writeln!(text, "Page      {}", client.url(&summary.page));
    text
}

fn candidate(text: &mut String, branch: &BranchDetail) {
    match branch.candidate.as_ref().map(|c| &c.outcome) {
        Some(CandidateOutcome::Made { commit, changelogs, coming, kept, exempt, notes, .. }) => {
            let _ = writeln!(text, "Candidate {commit}");
            if let Some(reason) = exempt {
                let _ = writeln!(text, "  no ChangeLog entry is needed: {}", safe(reason));
            }
            for path in kept {
                let _ = writeln!(text, "  {} stays until the release", safe(path));
            }
            for note in notes {
                let _ = writeln!(text, "  {}", safe(note));
            }
            for file in changelogs {
                let _ = writeln!(text, "\n{} as it will read:", safe(&file.path));
                lines(text, &file.lines);
            }
            for file in coming {
                let _ = writeln!(text, "\n{} as it will read at the release:", safe(&file.path));
                lines(text, &file.lines);
            }
        }
        Some(CandidateOutcome::Conflict { files }) => {
            for file in files {
                let _ = writeln!(
                    text,
                    "\nConflict in {}: {}\n{}",
                    safe(&file.path),
                    safe(&file.message),
                    safe(&file.hunks)
                );
            }
        }
        Some(CandidateOutcome::Refused(refusal) | CandidateOutcome::MainlineTrouble(refusal)) => {
            let _ = writeln!(text, "\nNo candidate: {}\nhint: {}", safe(&refusal.text), safe(&refusal.hint));
        }
        None => {}
    }
}

fn lines(text: &mut String, lines: &[DiffLine]) {
    for line in lines {
        let sign = match line.kind {
            DiffKind::Hunk => "",
            DiffKind::Context => " ",
            DiffKind::Add => "+",
            DiffKind::Delete => "-",
        };
        let _ = writeln!(text, "{sign}{}", safe(&line.text));
    }
}
