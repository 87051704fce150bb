//! `bb log BUILD`

use crate::client::Client;
use crate::error::CliError;
use crate::print;
use crate::screen::Screen;
use crate::terminal::Harmless;
use protocol::BuildId;
use protocol::api::{BuildDetail, BuildState};
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// Print a build's log; with --follow, as it grows, until the build ends
///
/// On a terminal only text and colours are shown; a pipe, a file or --raw gets the bytes as the build printed them.
/// The exit code is 0 when the build passed or still runs, 1 when it ended otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb log 5133
  bb log 5133 --follow
  bb log 5133 --step test")]
pub(crate) struct Args {
    /// The build's number
    #[arg(value_parser = build_id)]
    build: BuildId,
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

pub(crate) fn build_id(text: &str) -> Result<BuildId, String> {
    text.trim_start_matches('#').parse().map_err(|_| "a build is named by its number, such as 5133".to_owned())
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let path = format!("/builds/{}", args.build);
    let mut build: BuildDetail = client.get(&path).await?;
    if args.json {
        print::json(&build)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(step) = args.step.as_ref().filter(|name| build.steps.iter().all(|s| s.name != **name)) {
        let names: Vec<&str> = build.steps.iter().map(|s| s.name.as_str()).collect();
        return Err(CliError::new(format!("build #{} has no step `{step}`", args.build))
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
