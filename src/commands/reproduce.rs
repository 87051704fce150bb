//! `bb reproduce BUILD`, `bb reproduce BRANCH [BUILDER]`

use super::log::{Of, build_of, of};
use crate::client::Client;
use crate::error::CliError;
use crate::print::{note, safe, tell};
use crate::screen::Screen;
use crate::terminal::Harmless;
use crate::{local, print, process};
use clap::ValueEnum;
use protocol::api::{BuildDetail, BuildState};
use protocol::wire::{Assignment, Isolation};
use protocol::{BuildId, BuildResult};
use slave::config::WantedIsolation;
use slave::reproduce::{Comparison, Home, Recorded, ReproduceError, Reproduced, Reproduction, Told, compare, ran};
use std::io::IsTerminal as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tracker::git::Git;

/// Run a build again on this machine, as a slave runs it, and say whether it comes out the same
///
/// The candidate is fetched from the master by plain git; the steps run by the code, in the environment and in the isolation that
/// a slave runs them in. Nobody is told of it: the master hears only that something is fetched. Of a branch, the build is meant
/// whose log `bb log` prints.
///
/// What the steps print goes to standard output, what bb says to standard error. The exit code is 0 when it came out as it is
/// recorded, 3 when it did not, 4 when nothing is recorded that it could be held against, and 1 when it could not be run here.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb reproduce 5133
  bb reproduce 5133 --shell
  bb reproduce load-balancing linux
  bb reproduce 5133 --at test --shell --into ~/heron-5133
  bb reproduce 5133 --env PATH=$HOME/.cargo/bin:/usr/bin:/bin --read-only ~/.cargo --read-only ~/.rustup

auto: bubblewrap if its self-test passes here; where it does not, only builds of whom the master trusts are run.
bubblewrap: that or nothing. none: nothing keeps the build from your files, whoever wrote it.")]
pub(crate) struct Args {
    /// The build's number, or the branch's name
    #[arg(value_name = "BUILD|BRANCH", value_parser = of)]
    of: Of,
    /// With a branch: the latest build of this builder
    builder: Option<String>,
    /// Run the steps up to this one, by name or number, and no further
    #[arg(long, value_name = "STEP")]
    at: Option<String>,
    /// Then open a shell in the work folder, in the environment and isolation of the step that failed, or of --at
    #[arg(long)]
    shell: bool,
    /// What keeps the build from this machine
    #[arg(long, value_enum, default_value_t = Wanted::Auto)]
    isolation: Wanted,
    /// Make everything in this folder and leave it there; given again, less is to be fetched [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Leave the temporary folder
    #[arg(long, conflicts_with = "into")]
    keep: bool,
    /// A variable for all steps, as `env` of slave.toml; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// A file or folder outside /usr that the build may read in bubblewrap, as `read_only` of slave.toml; may be given again
    #[arg(long, value_name = "PATH")]
    read_only: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Wanted {
    Auto,
    Bubblewrap,
    None,
}

impl From<Wanted> for WantedIsolation {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Auto => Self::Auto,
            Wanted::Bubblewrap => Self::Bubblewrap,
            Wanted::None => Self::None,
        }
    }
}

/// The exit code when it came out otherwise, and when there is nothing to compare it with.
const OTHERWISE: u8 = 3;
const NOTHING: u8 = 4;

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    if name.is_empty() || name.starts_with("BB_") {
        return Err("a variable has a name, and those that begin with BB_ are bb's own".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    process::log("error");
    let git = Git::find_to_fetch(None).map_err(CliError::explained)?;
    let build = build_of(client, &args.of, args.builder.as_deref()).await?;
    let recorded: BuildDetail = client.get(&format!("/builds/{build}")).await?;
    let mut assignment: Assignment = client.get(&format!("/builds/{build}/assignment")).await?;
    let at = args.at.as_deref().map(|step| cut_at(&mut assignment, step)).transpose()?;
    let folder = Folder::make(&args, build)?;
    let mut config = slave::Config::new(client.url("").parse()?, "home".parse()?);
    config.isolation = args.isolation.into();
    config.env = args.env.iter().cloned().collect();
    let whole = |path: &PathBuf| std::path::absolute(path);
    config.read_only = args.read_only.iter().map(whole).collect::<Result<_, _>>()?;
    let (launcher, source) = (local::launcher(), local::source(git, &folder.path));
    let steps = assignment.clone();
    let reproduction = Reproduction { assignment, config, folder: folder.path.clone(), launcher, source };
    let mut home = match reproduction.begin().await {
        Ok(home) => home,
        Err(error) => {
            folder.leave(None).await;
            return Err(refused(error));
        }
    };
    note(&safe(&begun(&steps, &home, args.isolation)));
    let stop = process::shutdown_on_signal();
    let ended = home.run(stop.clone(), printer(&recorded)).await;
    let code = match ended {
        Ok(_) if stop.is_cancelled() => Err(CliError::new("you ended it").exit(130)),
        Ok(here) if !ran(&here) => Err(CliError::new(format!("the build could not be run here: {}", here.reason))
            .hint(format!("`bb show {}` has the same in plain git and a shell", build))),
        Ok(here) => {
            let code = judged(&here, &recorded);
            if args.shell {
                shell(&home, &steps, &here, at).await?;
            }
            Ok(code)
        }
        Err(error) => Err(error.into()),
    };
    folder.leave(Some(home)).await;
    code
}

/// Leaves out the steps after one, which is given by name or number, and gives its number.
fn cut_at(assignment: &mut Assignment, at: &str) -> Result<u32, CliError> {
    let steps = &mut assignment.builder.steps;
    let number = at.parse::<usize>().ok().filter(|n| (1..=steps.len()).contains(n));
    let Some(number) = steps.iter().position(|step| step.name == at).map(|n| n + 1).or(number) else {
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        return Err(CliError::new(format!("build #{} has no step `{at}`", assignment.of.build))
            .hint(format!("its steps are: {}", names.join(", "))));
    };
    steps.truncate(number);
    Ok(u32::try_from(number)?)
}

fn refused(error: ReproduceError) -> CliError {
    let hint = match &error {
        ReproduceError::NotIsolated(_) => {
            "mend that, or say --isolation none if nothing is to keep the build from your files"
        }
        ReproduceError::TooOpen(_) => {
            "read what it does first; then say --isolation none to run it with nothing between it and your files"
        }
        ReproduceError::Locked(_) => "wait for it, or name another folder with --into",
        ReproduceError::Users(_) => "run it as a plain user",
        ReproduceError::Io { .. } => "",
    };
    CliError::from(error).hint(hint)
}

/// What is about to run, and what it is kept from.
fn begun(assignment: &Assignment, home: &Home, asked: Wanted) -> String {
    let (isolation, notes) = home.isolation();
    let kept = match isolation {
        Isolation::Bubblewrap => {
            "in bubblewrap: without network, and nothing can be written but its own folder".to_owned()
        }
        Isolation::None if asked == Wanted::None => {
            "WITH NOTHING THAT KEEPS IT FROM YOUR FILES, as you said".to_owned()
        }
        Isolation::None => format!(
            "WITH NOTHING THAT KEEPS IT FROM YOUR FILES, as the master trusts its publisher ({})",
            notes.join("; ")
        ),
    };
    let Assignment { of, builder, what, commit, .. } = assignment;
    let folder = home.work();
    format!(
        "Build #{} by {} of {what}, {}, {kept}\nWork folder: {}",
        of.build,
        builder.name,
        commit.short(),
        folder.display()
    )
}

/// Prints what happens.
fn printer(recorded: &BuildDetail) -> impl FnMut(Told) {
    let screen = Screen::of_output();
    let on_terminal = std::io::stdout().is_terminal();
    let (mut harmless, mut own) = (None, true);
    move |told| match told {
        Told::Began(number, name) => {
            let command = recorded.steps.iter().find(|step| step.number == number).map(|step| step.command.trim_end());
            let command = command.filter(|text| !text.is_empty());
            note(&safe(&format!("== {name}{}", command.map_or_else(String::new, |text| format!(": {text}")))));
            own = number == 0;
            harmless = on_terminal.then(|| Harmless::new(screen.coloured()));
        }
        Told::Printed(bytes) if own => note(&safe(String::from_utf8_lossy(&bytes).trim_end())),
        Told::Printed(bytes) => match &mut harmless {
            Some(log) => tell(&log.push(&bytes)),
            None => print::tell_bytes(&bytes),
        },
        Told::Ended(end) => {
            if let Some(mut log) = harmless.take() {
                tell(&log.end());
            }
            note(&safe(&format!("== {}: {}", end.name, end.words())));
        }
    }
}

/// Says whether it came out as it is recorded; the exit code.
fn judged(here: &Reproduced, recorded: &BuildDetail) -> ExitCode {
    let whole = match recorded.summary.state {
        BuildState::Finished(result) => Some(result),
        BuildState::Waiting | BuildState::Running => None,
    };
    let step = |step: &protocol::api::StepDetail| Recorded {
        name: step.name.clone(),
        result: step.result,
        exit_code: step.exit_code,
        reason: (!step.says.is_empty() && step.result != Some(BuildResult::Success)).then(|| step.says.clone()),
    };
    let steps: Vec<Recorded> = recorded.steps.iter().filter(|step| step.number > 0).map(step).collect();
    let came = format!("{}: {}", here.result, here.reason);
    match compare(here, whole, &steps) {
        Comparison::Same => {
            note(&safe(&format!("The same as recorded: {came}")));
            ExitCode::SUCCESS
        }
        Comparison::Other(lines) => {
            note(&safe(&format!("ANOTHER RESULT than is recorded: {came}\n  {}", lines.join("\n  "))));
            ExitCode::from(OTHERWISE)
        }
        Comparison::Nothing(why) => {
            note(&safe(&format!("{came}. There is nothing to hold it against: {why}")));
            ExitCode::from(NOTHING)
        }
    }
}

/// Opens a shell at the step that was named, else at the one that failed.
async fn shell(home: &Home, assignment: &Assignment, here: &Reproduced, at: Option<u32>) -> Result<(), CliError> {
    let failed = here.steps.iter().find(|end| end.number > 0 && end.result == BuildResult::Failure);
    let Some(number) = at.or_else(|| failed.map(|end| end.number)) else {
        note("No step failed, so there is no shell: --at STEP says where it is to be.");
        return Ok(());
    };
    let step = usize::try_from(number).ok().and_then(|n| assignment.builder.steps.get(n.checked_sub(1)?));
    let name = step.map_or("", |step| step.name.as_str());
    note(&safe(&format!("A shell as step {name} had it; `exit` ends it.")));
    Ok(home.shell(number).await?)
}

/// Where everything is made.
struct Folder {
    path: PathBuf,
    kept: bool,
}

/// What marks a folder of an earlier reproduction.
const MARK: &str = "reproduce.lock";

impl Folder {
    fn make(args: &Args, build: BuildId) -> Result<Self, CliError> {
        // As root, builds run under users of their own, which must be able to pass.
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o711);
        let Some(path) = &args.into else {
            let name = format!("bb-reproduce-{build}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            builder.create(&path).map_err(|error| CliError::new(format!("{}: {error}", path.display())))?;
            return Ok(Self { path, kept: args.keep });
        };
        let failed = |error: std::io::Error| CliError::new(format!("{}: {error}", path.display()));
        builder.recursive(true).create(path).map_err(failed)?;
        let is_empty = std::fs::read_dir(path).map_err(failed)?.next().is_none();
        if !is_empty && !path.join(MARK).exists() {
            return Err(CliError::new(format!(
                "{} is not empty, and nothing was reproduced there before",
                path.display()
            ))
            .hint("name a new folder with --into"));
        }
        Ok(Self { path: path.clone(), kept: true })
    }

    /// Says where things stay, or removes them. Nothing that goes wrong here is the build's.
    async fn leave(self, home: Option<Home>) {
        if self.kept {
            let at = home.map_or_else(|| self.path.clone(), |home| home.work());
            return note(&safe(&format!("The work folder stays: {}", at.display())));
        }
        let removed = match home {
            Some(home) => home.remove().await,
            None => Ok(()),
        };
        if let Err(error) = removed.and_then(|()| std::fs::remove_dir_all(&self.path)) {
            note(&safe(&format!("warning: {} can't be removed: {error}", self.path.display())));
        }
    }
}
