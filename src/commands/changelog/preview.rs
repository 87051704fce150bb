//! `bb changelog preview`

use super::AgainstArgs;
use crate::commands::merge_changelog::worktree_error;
use crate::error::CliError;
use crate::print::{self, safe};
use crate::screen::Screen;

use jiff::civil::Date;
use protocol::api::{DiffFile, DiffKind};
use serde::Serialize;
use std::process::ExitCode;
use tracker::Explain as _;
use tracker::read::{DiffLimits, text_diff};
use tracker::worktree::Preview;

/// Show ChangeLog as it will read once the branch is merged
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb changelog preview
  bb changelog preview --whole | head -40")]
pub(crate) struct Args {
    #[command(flatten)]
    against: AgainstArgs,
    /// The date of the merge instead of today, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
    /// Print the whole file instead of the difference
    #[arg(long)]
    whole: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "whole")]
    json: bool,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    path: &'a str,
    entries: usize,
    added: String,
    left_out: &'a [changelog::LeftOut],
    notes: &'a [changelog::Note],
    diff: DiffFile,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let (tree, places) = args.against.open()?;
    let against = tree.against(args.against.against.as_deref()).map_err(worktree_error)?;
    let all = tree.preview(&places, &against, args.date.unwrap_or_else(super::super::today)).map_err(worktree_error)?;
    if args.json {
        let shown: Vec<Shown<'_>> = all.iter().map(shown).collect::<Result<_, _>>()?;
        print::out(&format!("{}\n", serde_json::to_string_pretty(&shown)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    if all.is_empty() {
        eprintln!("The branch changes no ChangeLog.");
    }
    for preview in &all {
        for left in &preview.folded.left_out {
            eprintln!("{}", safe(&left.to_string()));
        }
        for note in &preview.folded.notes {
            eprintln!("{}", safe(&note.to_string()));
        }
        if args.whole {
            print::out_bytes(&preview.folded.changelog)?;
        } else {
            print::out(&as_diff(preview)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(preview: &Preview) -> Result<Shown<'_>, CliError> {
    let added = preview.folded.changelog.get(preview.folded.added.clone()).unwrap_or_default();
    Ok(Shown {
        path: &preview.path,
        entries: preview.folded.entries,
        added: String::from_utf8_lossy(added).into_owned(),
        left_out: &preview.folded.left_out,
        notes: &preview.folded.notes,
        diff: diff(preview)?,
    })
}

/// How the file changes, whole: here nobody has to scroll past others.
fn diff(preview: &Preview) -> Result<DiffFile, CliError> {
    let all = DiffLimits {
        lines_of_file: usize::MAX,
        lines: usize::MAX,
        bytes: usize::MAX,
        file_bytes: u32::MAX,
        file_lines: usize::MAX,
        ..DiffLimits::default()
    };
    text_diff(&preview.path, &preview.before, &preview.folded.changelog, all)
        .map_err(|error| CliError::new(safe(&error.to_string())).hint(error.hint()))
}

fn as_diff(preview: &Preview) -> Result<String, CliError> {
    let mut text = format!("--- a/{0}\n+++ b/{0}\n", safe(&preview.path));
    for line in diff(preview)?.lines {
        let (code, mark) = match line.kind {
            DiffKind::Hunk => ("36", ""),
            DiffKind::Context => ("0", " "),
            DiffKind::Delete => ("31", "-"),
            DiffKind::Add => ("32", "+"),
        };
        let line = safe(&line.text);
        text += &if Screen::of_output().coloured() {
            format!("\x1b[{code}m{mark}{line}\x1b[0m\n")
        } else {
            format!("{mark}{line}\n")
        };
    }
    Ok(text)
}
