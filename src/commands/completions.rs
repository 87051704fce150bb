//! `bb completions SHELL`

use crate::error::CliError;
use clap::CommandFactory as _;
use std::process::ExitCode;

/// Print completions for a shell
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "Example:
  bb completions bash > ~/.local/share/bash-completion/completions/bb")]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "bb", &mut text);
    crate::print::out_bytes(&text)?;
    Ok(ExitCode::SUCCESS)
}
