//! `bb changelog driver`

use crate::commands::merge_changelog::worktree_error;
use crate::error::CliError;
use crate::print::{Format, safe};
use changelog::Markers;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracker::worktree::{DriverInstall, DriverRun, Installed, WorkTree, run_driver};

/// Any code above 128 tells git that the driver failed and the file is as it was.
const FAILED: u8 = 129;

/// Merge ChangeLogs when git merges: `driver install` once, and no ChangeLog conflicts any more
///
/// Git itself calls it as `bb changelog driver BASE OURS THEIRS [MARKER_SIZE] [PATH] [OURS_LABEL] [THEIRS_LABEL]`. The result replaces OURS. The
/// exit code is 0, 1 when conflicts are marked in it, and above 128 when nothing could be done and OURS is as it was.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb changelog driver install
  bb changelog driver uninstall
  bb changelog driver base ours theirs")]
pub(crate) struct Args {
    /// `install`, `uninstall`, or the three files of a merge
    // All by hand: a mistake here must exit above 128, which clap would not.
    #[arg(value_name = "ARG", required = true, num_args = 1.., allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Args {
    /// The files of a merge and what git says of them; anything else is for clap to read.
    pub(super) fn of_files(words: Vec<OsString>) -> Option<Self> {
        let is_option = |word: &OsString| word.as_encoded_bytes().starts_with(b"-");
        (words.len() >= 3 && !words.iter().any(is_option)).then_some(Self { args: words })
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    match args.args.as_slice() {
        [word] if word == "install" => installed(Format { json: false }, true),
        [word] if word == "uninstall" => installed(Format { json: false }, false),
        [word, flag] if word == "install" && flag == "--json" => installed(Format { json: true }, true),
        [word, flag] if word == "uninstall" && flag == "--json" => installed(Format { json: true }, false),
        [base, ours, theirs, rest @ ..] if rest.len() <= 4 => {
            let text = |at: usize| rest.get(at).map(|v| v.to_string_lossy().into_owned());
            // An older git hands over a placeholder that it does not know as it is.
            let label = |at| text(at).filter(|l: &String| !l.is_empty() && !l.starts_with('%'));
            let markers = Markers {
                size: text(0).and_then(|s| s.parse().ok()).filter(|n| (1..=200).contains(n)).unwrap_or(7),
                ours: label(2).unwrap_or_else(|| "ours".to_owned()),
                theirs: label(3).unwrap_or_else(|| "theirs".to_owned()),
            };
            let file = PathBuf::from;
            let run = DriverRun { base: file(base), ours: file(ours), theirs: file(theirs), markers, path: text(1) };
            merged(&run)
        }
        _ => Err(CliError::new("the driver takes `install`, `uninstall`, or BASE OURS THEIRS [MARKER_SIZE] [PATH] [OURS_LABEL] [THEIRS_LABEL]")
            .hint("see `bb changelog driver --help`")
            .exit(FAILED)),
    }
}

fn merged(run: &DriverRun) -> Result<ExitCode, CliError> {
    // Should there be a mistake in the merge itself, git must hear of it as a failure, not as a conflict.
    let done = std::panic::catch_unwind(|| run_driver(run, Path::new(".")));
    match done {
        Ok(Ok(0)) => Ok(ExitCode::SUCCESS),
        Ok(Ok(conflicts)) => {
            let name = run.path.clone().unwrap_or_else(|| run.ours.display().to_string());
            let entries = if conflicts == 1 { "entry was" } else { "entries were" };
            eprintln!("{}: {conflicts} {entries} changed differently on both sides", safe(&name));
            Ok(ExitCode::from(1))
        }
        Ok(Err(error)) => Err(worktree_error(error).exit(FAILED)),
        Err(_) => Err(CliError::new("the merge stopped at a mistake of its own; the file is as it was").exit(FAILED)),
    }
}

fn installed(format: Format, install: bool) -> Result<ExitCode, CliError> {
    let tree = WorkTree::open(Path::new(".")).map_err(worktree_error)?;
    let done = if install {
        tree.install_driver(&DriverInstall { command: own_command() }).map_err(worktree_error)?
    } else {
        tree.uninstall_driver().map_err(worktree_error)?
    };
    format.print(&done, |done| told(done, install))?;
    Ok(ExitCode::SUCCESS)
}

fn told(done: &Installed, install: bool) -> String {
    let (attributes, config) = if install { ("added to", "set in") } else { ("removed from", "removed from") };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(done.attributes.iter().map(|l| format!("{attributes} .gitattributes: {l}")));
    lines.extend(done.config.iter().map(|l| format!("{config} git's configuration of this repository: {l}")));
    if install && done.attributes.is_empty() {
        lines.push(".gitattributes names the driver already".to_owned());
    }
    if lines.is_empty() {
        lines.push("the driver is not installed here".to_owned());
    }
    if install {
        lines.push("Commit .gitattributes; everybody who merges runs this command once in their own clone.".to_owned());
    }
    lines.join("\n") + "\n"
}

/// How a shell finds this program again: by its name, if that leads here, else by its path.
fn own_command() -> String {
    let Ok(own) = std::env::current_exe().and_then(std::fs::canonicalize) else { return "bb".to_owned() };
    let on_path = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).map(|d| d.join("bb")).find(|f| f.is_file()));
    if on_path.and_then(|f| f.canonicalize().ok()).is_some_and(|found| found == own) {
        return "bb".to_owned();
    }
    format!("'{}'", own.display().to_string().replace('\'', "'\\''"))
}
