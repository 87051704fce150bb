//! `bb artifacts BUILD`

use super::log::build_id;
use crate::client::Client;
use crate::error::CliError;
use crate::print;
use crate::screen::{Cell, Screen};
use protocol::BuildId;
use protocol::api::{ArtifactsState, BuildDetail, StepArtifacts, StepDetail};
use protocol::artifacts::why_no_path;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// List the files that a build's steps keep, or fetch them
///
/// With --into they are written to DIR/STEP/PATH. They are a branch's own, and the branch may be a stranger's: look before you
/// open or run one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb artifacts 5133
  bb artifacts 5133 --into out
  bb artifacts 5133 --step doc --into out
  bb artifacts 5133 --json")]
pub(crate) struct Args {
    /// The build's number
    #[arg(value_parser = build_id)]
    build: BuildId,
    /// Only those of the step of this name
    #[arg(long)]
    step: Option<String>,
    /// Fetch them into this folder, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long, requires = "into")]
    force: bool,
    /// Print them as JSON
    #[arg(long, conflicts_with = "into")]
    json: bool,
}

/// What a step keeps.
#[derive(serde::Serialize)]
struct Kept {
    step: String,
    number: u32,
    #[serde(flatten)]
    artifacts: StepArtifacts,
}

pub(crate) async fn run(args: Args, client: &Client) -> Result<ExitCode, CliError> {
    let id = args.build;
    let build: BuildDetail = client.get(&format!("/builds/{id}")).await?;
    if let Some(step) = args.step.as_ref().filter(|name| build.steps.iter().all(|s| s.name != **name)) {
        let names: Vec<&str> = build.steps.iter().map(|s| s.name.as_str()).collect();
        return Err(CliError::new(format!("build #{id} has no step `{step}`"))
            .hint(format!("its steps are: {}", names.join(", "))));
    }
    let wanted = |step: &StepDetail| args.step.as_ref().is_none_or(|name| *name == step.name);
    let kept = build.steps.into_iter().filter(wanted).filter_map(|step| {
        let StepDetail { name, number, artifacts, .. } = step;
        Some(Kept { step: name, number, artifacts: artifacts? })
    });
    let kept: Vec<Kept> = kept.collect();
    let Some(into) = &args.into else {
        if args.json {
            print::json(&kept)?;
        } else {
            print::out(&listing(&kept, Screen::of_output()))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let there: Vec<&Kept> = kept.iter().filter(|kept| kept.artifacts.count > 0).collect();
    if there.is_empty() {
        return Err(CliError::new(format!("build #{id} keeps no files"))
            .hint("a step of its recipe names some by `artifacts`, and files match when it ends"));
    }
    for kept in there {
        match kept.artifacts.state {
            ArtifactsState::Here => fetch(client, id, kept, into, args.force).await?,
            ArtifactsState::Coming => {
                return Err(CliError::new(format!(
                    "the files of step `{}` are on their way from the slave",
                    kept.step
                ))
                .hint("try again in a moment"));
            }
            ArtifactsState::Gone => {
                return Err(CliError::new(format!("the files of step `{}` were kept for long enough", kept.step))
                    .hint(format!("`bb rebuild` makes them anew; `bb log {id}` is still there")));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listing(kept: &[Kept], screen: Screen) -> String {
    let head = ["step", "file", "bytes"];
    let rows = kept.iter().flat_map(|kept| {
        kept.artifacts.files.iter().map(|file| -> Vec<Cell> {
            vec![kept.step.clone().into(), file.path.clone().into(), file.bytes.to_string().into()]
        })
    });
    let mut text = screen.list(&head, &rows.collect::<Vec<_>>(), "The build keeps no files.");
    for Kept { step, artifacts, .. } in kept {
        let more = artifacts.count - artifacts.files.len();
        if more > 0 {
            text.push_str(&format!("{}: {more} more; --into fetches them all\n", print::safe(step)));
        }
        match artifacts.state {
            ArtifactsState::Here => {}
            ArtifactsState::Coming => text.push_str(&format!("{}: on their way from the slave\n", print::safe(step))),
            ArtifactsState::Gone => text.push_str(&format!("{}: deleted since\n", print::safe(step))),
        }
        for note in &artifacts.notes {
            text.push_str(&format!("{}: {}\n", print::safe(step), print::safe(note)));
        }
    }
    text
}

/// Fetches all files of a step.
async fn fetch(client: &Client, build: BuildId, kept: &Kept, into: &Path, force: bool) -> Result<(), CliError> {
    if kept.step.contains('/') || why_no_path(&kept.step).is_some() {
        return Err(CliError::new(format!("`{}` can't be the name of a folder", print::safe(&kept.step))));
    }
    let folder = into.join(&kept.step);
    let failed = |error: io::Error| CliError::new(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut archive = tempfile::tempfile().map_err(|error| CliError::new(format!("a temporary file: {error}")))?;
    let mut answer = client.stream(&format!("/builds/{build}/steps/{}/artifacts.tar", kept.number)).await?;
    while let Some(bytes) = answer.chunk().await? {
        archive.write_all(&bytes).map_err(|error| CliError::new(format!("a temporary file: {error}")))?;
    }
    archive.rewind().map_err(|error| CliError::new(format!("a temporary file: {error}")))?;
    let written = unpack(&mut archive, &folder, force)?;
    for path in &written {
        print::out(&format!("{}\n", print::safe(&path.display().to_string())))?;
    }
    if written.len() != kept.artifacts.count {
        let (came, all) = (written.len(), kept.artifacts.count);
        return Err(CliError::new(format!("{came} of the {all} files of step `{}` came", kept.step)).hint("try again"));
    }
    Ok(())
}

/// Writes the files of an archive below a folder: plain ones alone, by paths that stay below it.
fn unpack(archive: &mut File, folder: &Path, force: bool) -> Result<Vec<PathBuf>, CliError> {
    let broken = |error: io::Error| CliError::new(format!("the archive can't be read: {error}"));
    let mut archive = tar::Archive::new(archive);
    let mut written = Vec::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry.header().entry_type().is_file() || why_no_path(&path).is_some() {
            return Err(CliError::new(format!("the master gave what is no plain file: {}", print::safe(&path))));
        }
        let path = folder.join(path);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                CliError::new(format!("{} is there already", path.display())).hint("--force replaces it")
            }
            _ => CliError::new(format!("{}: {error}", path.display())),
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        if force && path.symlink_metadata().is_ok() {
            // What is replaced may be a link that leads elsewhere.
            std::fs::remove_file(&path).map_err(failed)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        io::copy(&mut entry, &mut file).map_err(failed)?;
        written.push(path);
    }
    Ok(written)
}
