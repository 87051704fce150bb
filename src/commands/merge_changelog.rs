//! `bb merge-changelog`

use crate::error::CliError;
use crate::print::{Format, safe};
use jiff::civil::Date;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tracker::worktree::{FoldReport, FoldRequest, Then, WorkTree, WorkTreeError};

/// Fold the branch's fragments into ChangeLog, and stage both. Needs no master
///
/// Works on a branch, in the middle of a merge (`git commit` then concludes it), and after one (--amend). Fragments that mainline keeps until its
/// release are left there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  git merge --no-commit topic && bb merge-changelog && git commit
  bb merge-changelog --amend
  bb merge-changelog --dry-run --date 2026-11-24")]
pub(crate) struct Args {
    /// Work in this folder instead of the current one
    #[arg(short = 'C', value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// What mainline is, instead of the upstream's main branch
    #[arg(long, value_name = "REF", conflicts_with = "all")]
    against: Option<String>,
    /// Fold all fragments that are there, those too that mainline keeps
    #[arg(long)]
    all: bool,
    /// The date of the entries instead of today, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
    /// Only say what would be done
    #[arg(long, conflicts_with_all = ["commit", "amend"])]
    dry_run: bool,
    /// Commit it; in the middle of a merge, conclude the merge
    #[arg(long, conflicts_with = "amend")]
    commit: bool,
    /// Put it into the newest commit
    #[arg(long)]
    amend: bool,
    /// Take files as they are, also with changes that are not staged
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let tree = WorkTree::open(&args.folder).map_err(worktree_error)?;
    let places = tree.places().map_err(worktree_error)?;
    let then = match (args.dry_run, args.commit, args.amend) {
        (true, _, _) => Then::DryRun,
        (_, true, _) => Then::Commit,
        (_, _, true) => Then::Amend,
        _ => Then::Stage,
    };
    let request = FoldRequest { date: args.date.unwrap_or_else(super::today), then, force: args.force };
    let report = match (&args.against, args.all) {
        (Some(against), _) => tree.merge_changelog_against(&places, &request, against),
        (None, true) => tree.fold_all(&places, &request),
        (None, false) => tree.merge_changelog(&places, &request),
    };
    let report = report.map_err(worktree_error)?;
    say_first(&report);
    args.format.print(&report, |report| told(report, then))?;
    Ok(ExitCode::SUCCESS)
}

/// What is said beside the result.
pub(crate) fn say_first(report: &FoldReport) {
    if report.finished {
        eprintln!("Finished the fold that was killed.");
    }
    for path in &report.stray {
        eprintln!("warning: {} is in the fragments' folder, but is no fragment: left as it is", safe(path));
    }
}

/// More fragments than these are counted, not named.
const MOST_NAMED: usize = 8;

/// What came of it, for people.
pub(crate) fn told(report: &FoldReport, then: Then) -> String {
    let mut text = String::new();
    let count = |n: usize| if n == 1 { "1 fragment".to_owned() } else { format!("{n} fragments") };
    if let waiting @ 1.. = report.waiting.len() {
        let stay = if waiting == 1 { "stays" } else { "stay" };
        let _ = writeln!(
            text,
            "{} {stay} until the release, as .bb.toml says: `bb changelog release VERSION` folds them.",
            count(waiting)
        );
    }
    if let kept @ 1.. = report.kept.len() {
        let _ = writeln!(text, "{} of mainline's own left for its release; --all takes them too.", count(kept));
    }
    if report.places.is_empty() && !report.finished {
        return text + "No fragment to fold.\n";
    }
    for place in &report.places {
        let entries = if place.entries == 1 { "entry" } else { "entries" };
        let from = match place.removed.len() {
            0 => "the branch's own edits".to_owned(),
            1..=MOST_NAMED => place.removed.join(", "),
            more => format!("{more} fragments"),
        };
        let _ = writeln!(
            text,
            "{}: {} {entries} of {}, dated {}",
            safe(&place.path),
            place.entries,
            safe(&from),
            report.date
        );
        for left in &place.left_out {
            let _ = writeln!(text, "  {}", safe(&left.to_string()));
        }
        for note in &place.notes {
            let _ = writeln!(text, "  {}", safe(&note.to_string()));
        }
        if then == Then::DryRun {
            let _ = writeln!(text, "{}", safe(place.added.trim_end_matches('\n')));
        }
    }
    let end = match (&report.commit, report.changed) {
        (Some(commit), _) => format!("Committed as {}.\n", commit.get(..12).unwrap_or(commit)),
        (None, true) => "Staged; `git commit` when you are ready.\n".to_owned(),
        (None, false) => "Nothing was changed.\n".to_owned(),
    };
    text + &end
}

/// An error of the work tree, with its hint; bad fragments are shown with the line.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(crate) fn worktree_error(error: WorkTreeError) -> CliError {
    let hint = error.hint();
    let message = match &error {
        WorkTreeError::Fold(changelog::FoldError::Fragments(complaints)) => {
            let shown = complaints.iter().map(|c| format!("{}\n{}", safe(&c.to_string()), c.excerpt()));
            shown.collect::<Vec<_>>().join("\n")
        }
        other => safe(other.to_string().trim_end()),
    };
    CliError::new(message).hint(hint)
}
