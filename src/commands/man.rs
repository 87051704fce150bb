//! `bb man [FOLDER]`

use crate::error::CliError;
use clap::CommandFactory as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print bb's man page, or write the pages of all commands into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb man | man -l -
  bb man ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Where to write a page for each command
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    match &args.folder {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(super::Cli::command()).render(&mut page)?;
            crate::print::out_bytes(&page)?;
        }
        Some(folder) => {
            let failed = |error: std::io::Error| {
                CliError::new(format!("the pages can't be written to {}: {error}", folder.display()))
                    .hint("name a folder that you may write to")
            };
            std::fs::create_dir_all(folder).map_err(failed)?;
            clap_mangen::generate_to(super::Cli::command(), folder).map_err(failed)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
