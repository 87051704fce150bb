//! `bb artifacts BUILD`

use super::log::build_id;
use crate::client::Client;
use crate::error::CliError;
use crate::print;
use crate::screen::{Cell, Screen};
use protocol::BuildId;
use protocol::api::{ArtifactsState, BuildDetail, StepArtifacts, StepDetail};
use protocol::artifacts::{MAX_FILES, MAX_PATH, why_no_path};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
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
        let more = artifacts.count.saturating_sub(artifacts.files.len());
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

/// What an archive has beside the bytes of each file, at most: two headers, the name, and what fills up blocks of 512 bytes.
const BESIDE_EACH: u64 = 4 * 512 + MAX_PATH.next_multiple_of(512) as u64;
/// What follows the last one.
const AT_END: u64 = 1024;

/// Fetches all files of a step.
async fn fetch(client: &Client, build: BuildId, kept: &Kept, into: &Path, force: bool) -> Result<(), CliError> {
    let all = kept.artifacts.count;
    if kept.step.contains('/') || why_no_path(&kept.step).is_some() {
        return Err(CliError::new(format!("`{}` can't be the name of a folder", print::safe(&kept.step))));
    }
    if all > MAX_FILES {
        return Err(CliError::new(format!(
            "the master says that a step keeps {all} files, and {MAX_FILES} is the most"
        )));
    }
    let temporary = |error: io::Error| CliError::new(format!("a temporary file: {error}"));
    let mut archive = tempfile::tempfile().map_err(temporary)?;
    let mut answer = client.stream(&format!("/builds/{build}/steps/{}/artifacts.tar", kept.number)).await?;
    let most = (all as u64 * BESIDE_EACH).saturating_add(AT_END).saturating_add(kept.artifacts.bytes);
    let mut came = 0_u64;
    while let Some(bytes) = answer.chunk().await? {
        came = came.saturating_add(bytes.len() as u64);
        if came > most {
            let said = kept.artifacts.bytes;
            return Err(CliError::new(format!("the master sends more than the {said} bytes that it says there are")));
        }
        archive.write_all(&bytes).map_err(temporary)?;
    }
    archive.rewind().map_err(temporary)?;
    std::fs::create_dir_all(into).map_err(|error| CliError::new(format!("{}: {error}", into.display())))?;
    let written = unpack(&mut archive, into, &kept.step, all, force)?;
    for path in &written {
        print::out(&format!("{}\n", print::safe(&path.display().to_string())))?;
    }
    if written.len() != all {
        let came = written.len();
        return Err(CliError::new(format!("{came} of the {all} files of step `{}` came", kept.step)).hint("try again"));
    }
    Ok(())
}

/// Writes the files of an archive to `into/STEP`: plain ones alone, at most so many, by paths that stay below it and through no
/// link, whatever is there already.
fn unpack(archive: &mut File, into: &Path, step: &str, most: usize, force: bool) -> Result<Vec<PathBuf>, CliError> {
    let broken = |error: io::Error| CliError::new(format!("the archive can't be read: {error}"));
    let base = openat(CWD, into, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| CliError::new(format!("{}: {}", into.display(), io::Error::from(error))))?;
    let mut archive = tar::Archive::new(archive);
    let (mut written, mut long) = (Vec::new(), None);
    // Taken apart here: a name that is said apart has no bound else.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() && long.is_none() && entry.size() <= MAX_PATH as u64 + 1 {
            let mut name = Vec::new();
            entry.read_to_end(&mut name).map_err(broken)?;
            long = Some(name.strip_suffix(b"\0").map(<[u8]>::to_vec).unwrap_or(name));
            continue;
        }
        let name = long.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = String::from_utf8_lossy(&name).into_owned();
        if !kind.is_file() || why_no_path(&name).is_some() || written.len() >= most {
            return Err(CliError::new(format!("the master gave what is no plain file: {}", print::safe(&name))));
        }
        let path = into.join(step).join(&name);
        write_file(&base, &format!("{step}/{name}"), &mut entry, force).map_err(|error| match error {
            Unwritten::Link => CliError::new(format!("{} leads through what is no folder", path.display()))
                .hint("files are written below the folder alone, and through no link: name another one"),
            Unwritten::There => {
                CliError::new(format!("{} is there already", path.display())).hint("--force replaces it")
            }
            Unwritten::Failed(error) => CliError::new(format!("{}: {error}", path.display())),
        })?;
        written.push(path);
    }
    Ok(written)
}

/// Why a file was not written.
enum Unwritten {
    /// A link, or what is no folder, stands in the way.
    Link,
    /// It is there already.
    There,
    Failed(io::Error),
}

/// Writes a file by a path below a folder, and makes the folders on the way: each is opened from within the one above it.
fn write_file(base: &OwnedFd, path: &str, from: &mut impl io::Read, force: bool) -> Result<(), Unwritten> {
    let failed = |error: Errno| Unwritten::Failed(error.into());
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut folder = base.try_clone().map_err(Unwritten::Failed)?;
    for name in folders.split('/').filter(|name| !name.is_empty()) {
        match mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error)),
        }
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        folder = openat(&folder, name, how, Mode::empty()).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => Unwritten::Link,
            error => failed(error),
        })?;
    }
    let open = || {
        let how = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(&folder, name, how, Mode::from_raw_mode(0o666))
    };
    let opened = match open() {
        Err(Errno::EXIST) if force => {
            // What is replaced may be a link that leads elsewhere.
            unlinkat(&folder, name, AtFlags::empty()).map_err(failed)?;
            open()
        }
        opened => opened,
    };
    let file = opened.map_err(|error| if error == Errno::EXIST { Unwritten::There } else { failed(error) })?;
    io::copy(from, &mut File::from(file)).map(drop).map_err(|error| {
        // Half a file must not be taken for it.
        let _ = unlinkat(&folder, name, AtFlags::empty());
        Unwritten::Failed(error)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    /// An archive of these: kinds, names, texts.
    fn archive(files: &[(tar::EntryType, &str, &str)]) -> File {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (kind, name, text) in files {
            let mut header = tar::Header::new_gnu();
            // As it is: the library would refuse such names.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, text.as_bytes()).unwrap();
        }
        let mut file = builder.into_inner().unwrap();
        file.rewind().unwrap();
        file
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    fn says(files: &[(tar::EntryType, &str, &str)], into: &Path, force: bool) -> String {
        format!("{:?}", unpack(&mut archive(files), into, "test", 10, force))
    }

    #[test]
    fn what_a_master_must_not_give_is_written_nowhere() {
        let into = tempfile::tempdir().unwrap();
        let long = "n/".repeat(300);
        for (kind, name) in [
            (FILE, "../x"),
            (FILE, "/etc/x"),
            (FILE, "a/../../x"),
            (FILE, ".git/config"),
            (FILE, "a/.GIT/config"),
            (FILE, "a\nb"),
            (FILE, ""),
            (tar::EntryType::Symlink, "link"),
            (tar::EntryType::Link, "link"),
            (tar::EntryType::Directory, "folder"),
            (tar::EntryType::Fifo, "pipe"),
            (tar::EntryType::Block, "disk"),
            (tar::EntryType::GNUSparse, "holes"),
            (tar::EntryType::XHeader, "pax"),
        ] {
            let said = says(&[(kind, name, "text")], into.path(), true);
            assert!(said.contains("no plain file"), "{name}: {said}");
        }
        let said = says(&[(tar::EntryType::GNULongName, "././@LongLink", &long), (FILE, "x", "")], into.path(), true);
        assert!(said.contains("no plain file"), "{said}");
        let twice = [(tar::EntryType::GNULongName, "l", "a\0"), (tar::EntryType::GNULongName, "l", "b\0")];
        assert!(says(&twice, into.path(), true).contains("no plain file"));
        let many: Vec<_> =
            ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a"].map(|name| (FILE, name, "")).to_vec();
        assert!(says(&many, into.path(), true).contains("no plain file"), "more than it said");
        assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 1, "only test/");
    }

    #[test]
    fn nothing_is_written_through_what_is_there() {
        let into = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("mine"), "mine").unwrap();
        std::fs::create_dir(into.path().join("test")).unwrap();
        symlink(elsewhere.path(), into.path().join("test/doc")).unwrap();
        symlink(elsewhere.path().join("mine"), into.path().join("test/file")).unwrap();
        for force in [false, true] {
            let said = says(&[(FILE, "doc/new", "theirs")], into.path(), force);
            assert!(said.contains("no folder"), "{said}");
        }
        assert!(says(&[(FILE, "file", "theirs")], into.path(), false).contains("there already"));
        says(&[(FILE, "file", "theirs")], into.path(), true);
        assert_eq!(std::fs::read_to_string(into.path().join("test/file")).unwrap(), "theirs");
        assert_eq!(std::fs::read_to_string(elsewhere.path().join("mine")).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 1);
        // The step's folder itself.
        let other = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), other.path().join("test")).unwrap();
        assert!(says(&[(FILE, "new", "theirs")], other.path(), true).contains("no folder"));
        // A name that is said apart, as the master's own archives have them.
        let name = format!("{}/end", "long".repeat(40));
        let apart = [(tar::EntryType::GNULongName, "././@LongLink", name.as_str()), (FILE, "short", "text")];
        assert!(says(&apart, into.path(), false).contains("end"));
        assert_eq!(std::fs::read_to_string(into.path().join("test").join(name)).unwrap(), "text");
    }
}
