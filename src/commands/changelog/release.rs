//! `bb changelog release VERSION`

use crate::commands::merge_changelog::{say_first, told, worktree_error};
use crate::error::CliError;
use crate::print::Format;
use changelog::Nothing;
use jiff::civil::Date;
use std::path::PathBuf;
use std::process::ExitCode;
use tracker::worktree::{FoldRequest, Then, WorkTree};

/// Fold all fragments that are kept, under a heading for the version, and stage both
///
/// The heading and its date look as those of the releases before. Where there is nothing to say, no version is made, unless --empty says so. For projects that keep fragments until they release: with `fold = "release"`
/// in [project] of .bb.toml, landing leaves them where they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb changelog release 1.2.0
  bb changelog release 1.2.0 --date 2026-11-24 --dry-run")]
pub(crate) struct Args {
    /// The version, as in 1.2.0
    version: String,
    /// Work in this folder instead of the current one
    #[arg(short = 'C', value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The date of the release instead of today, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Make the version also if there is nothing to say of it
    #[arg(long)]
    empty: bool,
    /// Take files as they are, also with changes that are not staged
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let version = args.version.trim();
    if version.is_empty() || version.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(CliError::new("the version is empty, or has blanks in it").hint("say it as in 1.2.0"));
    }
    let tree = WorkTree::open(&args.folder).map_err(worktree_error)?;
    let places = tree.places().map_err(worktree_error)?;
    let then = if args.dry_run { Then::DryRun } else { Then::Stage };
    let request = FoldRequest { date: args.date.unwrap_or_else(super::super::today), then, force: args.force };
    let nothing = if args.empty { Nothing::Headed } else { Nothing::Refused };
    let report = tree.release(&places, &request, version, nothing).map_err(worktree_error)?;
    say_first(&report);
    args.format.print(&report, |report| told(report, then))?;
    Ok(ExitCode::SUCCESS)
}
