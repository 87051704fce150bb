//! `bb changelog show FILE`

use crate::error::CliError;
use crate::print::{self, safe};
use changelog::ChangeLog;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show a ChangeLog's entries as data, or print the file from what was parsed
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb changelog show ChangeLog
  bb changelog show ChangeLog --json | jq '.entries[0].files'
  bb changelog show ChangeLog --raw | cmp - ChangeLog")]
pub(crate) struct Args {
    /// The ChangeLog
    file: PathBuf,
    /// Print all entries as JSON
    #[arg(long, conflicts_with = "raw")]
    json: bool,
    /// Print the file from its parsed parts: always the same bytes
    #[arg(long)]
    raw: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let bytes = std::fs::read(&args.file).map_err(|e| {
        CliError::new(format!("{}: {e}", args.file.display())).hint("name a ChangeLog that can be read")
    })?;
    let log = ChangeLog::parse(&bytes);
    if args.raw {
        print::out_bytes(&log.print())?;
    } else {
        for entry in log.entries() {
            print::out(&safe(&String::from_utf8_lossy(entry.header_bytes())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
