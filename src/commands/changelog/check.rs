//! `bb changelog check`

use super::AgainstArgs;
use super::file::{ChangelogFile, Role};
use crate::commands::merge_changelog::worktree_error;
use crate::error::CliError;
use crate::print::{Format, safe};
use crate::screen::Screen;
use changelog::{Complaint, Encoding, Fragment, check_changelog, check_fragment};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracker::worktree::CheckReport;

/// Check the branch's fragments, or the files that are named: for CI, and before publishing
///
/// Whether the branch has a fragment, whether each is well formed and names files that the branch changes, and whether it would fold. A commit with a
/// trailer `No-ChangeLog: REASON` needs none. A ChangeLog that is named is checked as what it is: by the settings of the repository that it stands in, else
/// by its name and content. The exit code is 0 when there is nothing to complain about, 1 when there is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb changelog check
  bb changelog check --against origin/stable --json
  bb changelog check ChangeLog")]
pub(crate) struct Args {
    /// Only look at these ChangeLogs and fragments, wherever they are
    files: Vec<PathBuf>,
    #[command(flatten)]
    against: AgainstArgs,
    #[command(flatten)]
    format: Format,
}

/// What is printed as JSON when files are named.
#[derive(Serialize)]
struct FilesReport {
    complaints: Vec<Complaint>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let complaints = if args.files.is_empty() {
        let (tree, places) = args.against.open()?;
        let against = tree.against(args.against.against.as_deref()).map_err(worktree_error)?;
        let report = tree.check(&places, against, super::super::today()).map_err(worktree_error)?;
        args.format.print(&report, told)?;
        report.complaints
    } else {
        let mut complaints = Vec::new();
        for file in &args.files {
            complaints.extend(of_file(file)?);
        }
        let report = FilesReport { complaints };
        args.format.print(&report, |r| listed(&r.complaints))?;
        report.complaints
    };
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong with a file, as what it is: a ChangeLog in its format, or a fragment.
fn of_file(file: &Path) -> Result<Vec<Complaint>, CliError> {
    let read = ChangelogFile::read(file)?;
    let shown = file.display().to_string();
    Ok(match &read.role {
        Role::ChangeLog => check_changelog(shown.as_bytes(), &read.bytes, &read.place.fold_options()),
        Role::Fragment(kind) => {
            let fragment = Fragment { kind: kind.clone(), ..Fragment::gnu(shown.as_bytes(), &read.bytes) };
            check_fragment(&fragment, Encoding::Utf8, read.place.date)
        }
    })
}

fn told(report: &CheckReport) -> String {
    let mut text = listed(&report.complaints);
    if report.complaints.is_empty() {
        let _ = match (&report.exempt, report.fragments.len()) {
            (Some(reason), 0) => writeln!(text, "No fragment is needed: {}", safe(reason)),
            (_, 0) => writeln!(text, "Nothing to say: the branch changes nothing that a fragment would speak of."),
            (_, n) => writeln!(
                text,
                "{n} fragment{} would fold: {}",
                if n == 1 { "" } else { "s" },
                safe(&report.fragments.join(", "))
            ),
        };
    }
    text
}

/// The complaints, each with its line; what to do is said once for each kind.
fn listed(complaints: &[Complaint]) -> String {
    let mut text = String::new();
    let mut hints = BTreeSet::new();
    for complaint in complaints {
        let _ = writeln!(text, "{}", safe(&complaint.to_string()));
        if !complaint.text.is_empty() {
            let _ = writeln!(text, "{}", complaint.excerpt());
        }
        if hints.insert(complaint.problem.hint()) {
            let _ = writeln!(text, "hint: {}", complaint.problem.hint());
        }
    }
    if !Screen::of_output().coloured() { text } else { text.replace("hint:", "\x1b[36mhint:\x1b[0m") }
}
