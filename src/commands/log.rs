//! `bb log BUILD`, `bb log BRANCH [BUILDER]`

use crate::client::Client;
use crate::error::CliError;
use crate::print;
use crate::screen::Screen;
use crate::terminal::Harmless;
use protocol::api::{BranchDetail, BuildDetail, BuildState, BuildSummary, listed};
use protocol::{BranchName, BuildId};
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// Print a build's log, or that of a branch's latest build; with --follow, as it grows, until the build ends
///
/// Of a branch, the latest build of the builder is meant; where none is named, that of one which failed, else of one
/// which runs, else the newest.
///
/// On a terminal only text and colours are shown; a pipe, a file or --raw gets the bytes as the build printed them.
/// The exit code is 0 when the build passed or still runs, 1 when it ended otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb log 5133
  bb log 5133 --follow
  bb log 5133 --step test
  bb log load-balancing
  bb log load-balancing linux --follow")]
pub(crate) struct Args {
    /// The build's number, or the branch's name
    #[arg(value_name = "BUILD|BRANCH", value_parser = of)]
    of: Of,
    /// With a branch: the latest build of this builder
    builder: Option<String>,
    /// Go on as the log grows, until the build ends
    #[arg(long, short)]
    follow: bool,
    /// Only the step of this name
    #[arg(long)]
    step: Option<String>,
    /// The bytes as they are, on a terminal too, which a build can steer by them
    #[arg(long)]
    raw: bool,
    /// Print the build and its steps as JSON instead
    #[arg(long, conflicts_with_all = ["follow", "step", "raw"])]
    json: bool,
}

/// Whose log is wanted.
#[derive(Clone, Debug)]
pub(super) enum Of {
    Build(BuildId),
    Branch(BranchName),
}

pub(super) fn of(text: &str) -> Result<Of, String> {
    if let Ok(build) = build_id(text) {
        return Ok(Of::Build(build));
    }
    let branch = text.parse().map(Of::Branch);
    branch.map_err(|error| format!("this is no build's number, such as 5133, and no branch's name: {error}"))
}

pub(crate) fn build_id(text: &str) -> Result<BuildId, String> {
    text.trim_start_matches('#').parse().map_err(|_| "a build is named by its number, such as 5133".to_owned())
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let id = build_of(client, &args.of, args.builder.as_deref()).await?;
    let path = format!("/builds/{id}");
    let mut build: BuildDetail = client.get(&path).await?;
    if args.json {
        print::json(&build)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !build.summary.with.is_empty() {
        // Not among what is printed: a program may read that.
        eprintln!("{}", print::safe(&format!("build #{id} is of {} together", listed(build.summary.branches()))));
    }
    if let Some(step) = args.step.as_ref().filter(|name| build.steps.iter().all(|s| s.name != **name)) {
        let names: Vec<&str> = build.steps.iter().map(|s| s.name.as_str()).collect();
        return Err(CliError::new(format!("build #{id} has no step `{step}`"))
            .hint(format!("its steps are: {}", names.join(", "))));
    }
    let mut follow = if args.follow { "&follow=1" } else { "" };
    let url = format!("{path}/log?headers=1{follow}");
    let url = match &args.step {
        Some(step) => {
            follow = "";
            let number = build.steps.iter().find(|s| s.name == *step).map_or(0, |s| s.number);
            format!("{path}/steps/{number}/log?from=0{}", if args.follow { "&follow=1" } else { follow })
        }
        None => url,
    };
    let mut answer = client.stream(&url).await?;
    let mut harmless =
        (!args.raw && std::io::stdout().is_terminal()).then(|| Harmless::new(Screen::of_output().coloured()));
    while let Some(bytes) = answer.chunk().await? {
        match &mut harmless {
            Some(log) => print::out(&log.push(&bytes))?,
            None => print::out_bytes(&bytes)?,
        }
    }
    if let Some(mut log) = harmless {
        print::out(&log.end())?;
    }
    if args.follow {
        build = client.get(&path).await?;
    }
    Ok(match build.summary.state {
        BuildState::Finished(result) if !result.passed() => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// The build that is named, or the one of a branch that is wanted most.
pub(super) async fn build_of(client: &Client, of: &Of, builder: Option<&str>) -> Result<BuildId, CliError> {
    match (of, builder) {
        (Of::Build(build), None) => Ok(*build),
        (Of::Build(build), Some(builder)) => {
            Err(CliError::new(format!("build #{build} has one builder; `{builder}` is one too many"))
                .hint("name a branch and a builder, or a build alone"))
        }
        (Of::Branch(branch), builder) => latest(client, branch, builder).await,
    }
}

/// The build of a branch whose log is wanted most.
async fn latest(client: &Client, branch: &BranchName, builder: Option<&str>) -> Result<BuildId, CliError> {
    let detail: BranchDetail = client.get(&client.in_project(&format!("/branches/{branch}")).await?).await?;
    let all = || detail.builders.iter().filter_map(|of| of.builds.first());
    let wanted = match builder {
        Some(name) => all().find(|build| build.builder == name),
        None => {
            let of = |is: fn(&BuildState) -> bool| all().find(|build| is(&build.state));
            of(|state| matches!(state, BuildState::Finished(result) if !result.passed()))
                .or_else(|| of(|state| *state == BuildState::Running))
                .or_else(|| all().max_by_key(|build| build.id.0))
        }
    };
    let Some(build) = wanted else {
        let names: Vec<&str> = all().map(|build| build.builder.as_str()).collect();
        return Err(match builder {
            Some(builder) if !names.is_empty() => CliError::new(format!("{branch} has no build by `{builder}`"))
                .hint(format!("it has builds by: {}", names.join(", "))),
            _ => CliError::new(format!("nothing was built of {branch} yet"))
                .hint(format!("`bb show {branch}` says what it waits for")),
        });
    };
    // Not among what is printed: a program may read that.
    eprintln!("{}", chosen(build));
    Ok(build.id)
}

fn chosen(build: &BuildSummary) -> String {
    print::safe(&format!("build #{} of {} r{} by {}", build.id, build.branch, build.revision, build.builder))
}
