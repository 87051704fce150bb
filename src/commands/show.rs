//! `bb show NAME`, `bb show BUILD`

use super::log::Of;
use crate::client::Client;
use crate::error::CliError;
use crate::print::{Format, ago, safe};
use crate::screen::Screen;
use protocol::api::{BranchDetail, BuildDetail, CandidateOutcome, DiffKind, DiffLine, Look, QueueEntry, WouldLand};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Show a branch: would it land, why, who is next; its builds, ChangeLog and commits. Or a build, and how to do the same at home
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb show load-balancing
  bb show load-balancing --diff
  bb show 5133")]
pub(crate) struct Args {
    /// The branch's name, or the build's number
    #[arg(value_name = "NAME|BUILD", value_parser = super::log::of)]
    of: Of,
    /// Show the diff against mainline too
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let name = match args.of {
        Of::Branch(name) => name,
        Of::Build(_) if args.diff => {
            return Err(
                CliError::new("--diff goes with a branch").hint("a build's branch is in what `bb show BUILD` says")
            );
        }
        Of::Build(id) => {
            let build: BuildDetail = client.get(&format!("/builds/{id}")).await?;
            args.format.show(&build, |build, screen| of_build(build, client, screen))?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let path = client.in_project(&format!("/branches/{name}")).await?;
    let branch: BranchDetail = client.get(&path).await?;
    args.format.show(&branch, |branch, screen| human(branch, args.diff, client, screen))?;
    Ok(ExitCode::SUCCESS)
}

/// A build: what came of it, its steps, and the lines that do the same at home.
fn of_build(build: &BuildDetail, client: &Client, screen: Screen) -> String {
    let summary = &build.summary;
    let says = if summary.says.is_empty() { String::new() } else { format!(": {}", safe(&summary.says)) };
    let word = screen.look(summary.look, &safe(&summary.word));
    let (builder, of) =
        (safe(&summary.builder), format!("{} r{}{}", summary.branch, summary.revision, summary.together()));
    let mut text = screen.sentences(&format!("Build #{} by {builder} of {of}: {word}{says}\n", summary.id), 2);
    if let Some(next) = &build.next {
        text += &screen.sentences(&format!("Next: {} {}\n", safe(&next.who), safe(&next.what)), 2);
    }
    text.push('\n');
    for step in &build.steps {
        let code = step.exit_code.filter(|&code| code != 0 && step.says.is_empty());
        let code = code.map_or_else(String::new, |code| format!(", exit code {code}"));
        let says = if step.says.is_empty() { code } else { format!(": {}", safe(&step.says)) };
        let word = screen.look(step.look, &safe(&step.word));
        text += &screen.sentences(&format!("{:<9} {word}{says}\n", safe(&step.name)), HANG);
    }
    if !build.reproduce.is_empty() {
        let _ = writeln!(text, "\nThe same at home, by `bb reproduce {}` or by plain git and a shell:", summary.id);
        build.reproduce.iter().for_each(|line| _ = writeln!(text, "  {}", safe(line).replace('\n', "\n  ")));
    }
    let _ = writeln!(text, "\nPage      {}", client.url(&summary.page));
    text
}

fn human(branch: &BranchDetail, with_diff: bool, client: &Client, screen: Screen) -> String {
    let mut text = String::new();
    verdict(&mut text, branch, screen);
    let summary = &branch.summary;
    let _ = writeln!(text, "\nFrom      {} {}", safe(&summary.url), safe(&summary.branch));
    if let Some(trouble) = &branch.watch.trouble {
        text += &screen.sentences(&format!("Trouble   {}\n", safe(trouble)), HANG);
    }
    for revision in branch.revisions.iter().take(5) {
        let refused = revision.refused.as_ref().map_or_else(String::new, |r| format!(", refused: {}", r.text));
        let (subject, commit) = (safe(&revision.subject), revision.commit.short());
        let line = format!("r{:<8} {commit}  {subject}{}\n", revision.number, safe(&refused));
        text += &screen.sentences(&line, HANG);
    }
    if branch.changes_recipe {
        let said = "THIS BRANCH CHANGES THE RECIPE: accepting it accepts how it is built, too.\n";
        text += &screen.sentences(said, 0);
        if let Some(recipe) = &branch.recipe_diff {
            lines(&mut text, &recipe.lines);
        }
    }
    for row in &branch.builders {
        if let Some(build) = row.builds.first() {
            let (builder, word) = (safe(&row.builder), screen.look(build.look, &build.word));
            let says = if row.says.is_empty() { String::new() } else { format!(", {}", safe(&row.says)) };
            text += &screen.sentences(&format!("Build     #{} {builder}: {word}{says}\n", build.id), HANG);
        }
    }
    if let Some(entry) = branch.queue.first() {
        tested(&mut text, entry, screen);
    }
    candidate(&mut text, branch, screen);
    if with_diff {
        for file in &branch.diff.files {
            let _ = writeln!(text, "\n{} {}", safe(&file.path), safe(&file.notes.join(", ")));
            lines(&mut text, &file.lines);
        }
        if let Some(trouble) = &branch.diff.trouble {
            let _ = writeln!(text, "\nThe diff is not here: {}", safe(trouble));
        }
        if branch.diff.files_left_out > 0 || branch.diff.has_more {
            let more = if branch.diff.has_more { "at least " } else { "" };
            let _ = writeln!(text, "\n{more}{} more files are left out", branch.diff.files_left_out);
        }
        if !branch.diff.whole.is_empty() {
            let _ = writeln!(text, "\nNot all of it is here. All of it, by plain git:");
            branch.diff.whole.iter().for_each(|line| _ = writeln!(text, "  {}", safe(line)));
        }
    }
    if let Some(newest) = branch.refs.first() {
        let _ = writeln!(text, "\nFetch     git fetch {} {newest}", client.url(&branch.git_path));
    }
    for event in branch.timeline.iter().take(8) {
        text += &screen.sentences(&format!("{:<9} {}\n", ago(event.at_ms), safe(&event.text)), HANG);
    }
    let _ = writeln!(text, "Page      {}", client.url(&summary.page));
    text
}

/// Where what stands beside a word begins, so that what goes on in the next line stands below it.
pub(super) const HANG: usize = 10;

/// Would it land, why, and who is next.
pub(super) fn verdict(text: &mut String, branch: &BranchDetail, screen: Screen) {
    let (summary, verdict) = (&branch.summary, &branch.summary.verdict);
    let would = match verdict.would_land {
        WouldLand::Yes => "yes",
        WouldLand::No => "no",
        WouldLand::NotYet => "not yet",
        WouldLand::NotKnownYet => "not known yet",
    };
    let state = screen.look(verdict.look, &safe(&verdict.state));
    let (who, what) = (safe(&verdict.next.who), safe(&verdict.next.what));
    text.push_str(&screen.sentences(&format!("{}  {}\n", summary.name, safe(&summary.title)), 2));
    let because = safe(&verdict.because);
    let answer = match verdict.look {
        Look::Landed => because.trim_start_matches("because ").to_owned(),
        _ => format!("would land: {would}, {because}"),
    };
    text.push_str(&screen.sentences(&format!("{state}: {answer}\n"), 2));
    text.push_str(&screen.sentences(&format!("Next: {who} {what}\n"), 2));
    for need in &verdict.needs {
        text.push_str(&screen.sentences(&format!("  {}\n", screen.look(need.look, &safe(&need.text))), 2));
    }
}

/// What decides whether an entry lands, or did.
pub(super) fn tested(text: &mut String, entry: &QueueEntry, screen: Screen) {
    if let Some(tested) = &entry.tested {
        text.push_str(&screen.sentences(&format!("Evidence  {}\n", safe(&tested.words())), HANG));
    }
}

fn candidate(text: &mut String, branch: &BranchDetail, screen: Screen) {
    match branch.candidate.as_ref().map(|c| &c.outcome) {
        Some(CandidateOutcome::Made { commit, changelogs, coming, kept, exempt, notes, .. }) => {
            let _ = writeln!(text, "Candidate {commit}");
            if let Some(reason) = exempt {
                let said = format!("  no ChangeLog entry is needed: {}\n", safe(reason));
                text.push_str(&screen.sentences(&said, 2));
            }
            for path in kept {
                let _ = writeln!(text, "  {} stays until the release", safe(path));
            }
            for note in notes {
                text.push_str(&screen.sentences(&format!("  {}\n", safe(note)), 2));
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
            let said = format!("\nNo candidate: {}\nhint: {}\n", safe(&refusal.text), safe(&refusal.hint));
            text.push_str(&screen.sentences(&said, 2));
        }
        None => {}
    }
    if let Some((candidate, now)) = branch.candidate.as_ref().and_then(|it| Some((it, it.mainline_now.as_ref()?))) {
        let (made_on, now) = (candidate.mainline.short(), now.short());
        let so = if candidate.again {
            format!("something that it touches has moved since: it is being looked at again on {now}")
        } else {
            format!("nothing that it touches has moved since, up to {now}")
        };
        let _ = writeln!(text, "Mainline  as of {made_on}; {so}");
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
