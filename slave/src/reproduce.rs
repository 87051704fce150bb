//! Runs a build where no slave runs it: at a person's home, by the code that a slave runs it by, with nobody to report to.
//!
//! The isolation is decided here as a slave's is, by a self-test, and a build that may be a stranger's runs outside of any only if
//! the person says so in so many words.

use crate::build::{Bench, Build, Stop, environment, notes};
use crate::config::{Config, WantedIsolation};
use crate::launch::End;
use crate::sandbox::{Launcher, NoUsers, NotIsolated, Sandbox, Task, Users};
use crate::source::Source;
use crate::spool::{Spool, Spooled};
use crate::work::{self, Slots, TakenSlot};
use protocol::BuildResult;
use protocol::wire::{Assignment, Happened, Isolation, StepFile};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What is to be run, and where.
pub struct Reproduction {
    /// The build, as a slave was given it.
    pub assignment: Assignment,
    /// The master, the isolation, and what this machine adds to the environment; limits as on a slave.
    pub config: Config,
    /// Where everything is made. It is this reproduction's alone.
    pub folder: PathBuf,
    /// How supervisors are started.
    pub launcher: Launcher,
    /// Where the candidate comes from.
    pub source: Arc<dyn Source>,
}

/// A build can't be run here.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// Isolation was asked for that this machine does not have.
    #[error("builds can't be kept in by bubblewrap here: {0}")]
    NotIsolated(String),
    /// The build may be a stranger's, and nothing would keep it in.
    #[error("this build may be a stranger's code, and nothing here would keep it in: {0}")]
    TooOpen(String),
    /// As root, builds run under users of their own, of which none can be had.
    #[error(transparent)]
    Users(#[from] NoUsers),
    /// Another reproduction runs in the folder.
    #[error("another `bb reproduce` runs in {0}")]
    Locked(PathBuf),
    /// A file or folder can't be used.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// What happens while a build runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// A step began; 0 is getting the candidate.
    Began(u32, String),
    /// It printed something.
    Printed(Vec<u8>),
    /// It ended.
    Ended(StepEnd),
}

/// How a step ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StepEnd {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// How.
    pub result: BuildResult,
    /// The exit code, if it ended by itself.
    pub exit_code: Option<i32>,
    /// Why, if not by its exit code.
    pub reason: Option<String>,
}

impl StepEnd {
    /// In words: `failure, exit code 2`.
    pub fn words(&self) -> String {
        ended(self.result, self.exit_code, self.reason.as_deref())
    }
}

/// How something ended, in words.
fn ended(result: BuildResult, exit_code: Option<i32>, reason: Option<&str>) -> String {
    match (reason, exit_code) {
        (Some(reason), _) => format!("{result}, {reason}"),
        (None, Some(code)) if code != 0 => format!("{result}, exit code {code}"),
        (None, _) => result.to_string(),
    }
}

/// What came of a build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reproduced {
    /// Its result.
    pub result: BuildResult,
    /// One line on it.
    pub reason: String,
    /// Its steps that ended, the first is getting the candidate.
    pub steps: Vec<StepEnd>,
}

/// Where a build can be run.
pub struct Home {
    assignment: Assignment,
    bench: Bench,
    spool: Spool,
    slot: TakenSlot,
    _users: Option<Users>,
    _lock: File,
}

/// The file that keeps others from the folder, and that no build can read.
const LOCK: &str = "reproduce.lock";

impl Reproduction {
    /// Makes the place and finds out what isolation there is. Nothing of the build has run when this returns.
    ///
    /// # Errors
    /// When there is less isolation than there has to be, or the place can't be made.
    pub async fn begin(self) -> Result<Home, ReproduceError> {
        let Self { mut assignment, config, folder, launcher, source } = self;
        let io = |error| ReproduceError::Io { path: folder.clone(), error };
        let folder = std::fs::canonicalize(&folder).map_err(io)?;
        let io = |error| ReproduceError::Io { path: folder.clone(), error };
        let lock = lock(&folder)?;
        crate::slave::hide();
        let seed = work::seed(&folder);
        let root = rustix::process::geteuid().is_root();
        let users = match root {
            true => Some(Users::take(&Path::new(work::MACHINE_FOLDER).join("users"), config.slots, None, seed)?),
            false => None,
        };
        let each = users.as_ref().map_or_else(|| vec![None], |users| vec![users.each.first().copied()]);
        let mark = format!("{seed:016x}.");
        let _ = Sandbox::sweep(&mark, each.iter().copied().flatten().collect()).await;
        let work = work::work_folder(&folder, None, root);
        let slot = Arc::new(Slots::create(&work, &each, &mark).map_err(io)?).take().await.map_err(io)?;
        let spool = folder.join("builds");
        work::remove_all(&spool).map_err(io)?;
        let spool = Spool::open(spool).map_err(|error| io(io::Error::other(error)))?;
        let proven = Sandbox::prove(&config, launcher, &slot, &folder.join(LOCK)).await;
        let sandbox = proven.map_err(|NotIsolated { notes }| ReproduceError::NotIsolated(notes.join("; ")))?;
        match config.isolation {
            WantedIsolation::None => assignment.isolation = Isolation::None,
            WantedIsolation::Auto | WantedIsolation::Bubblewrap if sandbox.isolation() < assignment.isolation => {
                return Err(ReproduceError::TooOpen(sandbox.notes().join("; ")));
            }
            WantedIsolation::Auto | WantedIsolation::Bubblewrap => {}
        }
        let sandbox = RwLock::new(Arc::new(sandbox));
        let bench = Bench { config, sandbox, source, token: None };
        Ok(Home { assignment, bench, spool, slot, _users: users, _lock: lock })
    }
}

/// Keeps others from the folder for as long as the file is open.
fn lock(folder: &Path) -> Result<File, ReproduceError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = folder.join(LOCK);
    let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = opened.map_err(|error| ReproduceError::Io { path, error })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(ReproduceError::Locked(folder.to_owned())),
    }
}

impl Home {
    /// The isolation that steps run in, and what the self-test found.
    pub fn isolation(&self) -> (Isolation, Vec<String>) {
        let sandbox = self.bench.sandbox();
        (sandbox.isolation(), sandbox.notes().to_vec())
    }

    /// The work folder, as it is on this machine.
    pub fn work(&self) -> PathBuf {
        self.slot.work()
    }

    /// The environment of a step of the recipe, by its number from 1; none if there is no such step.
    pub fn environment(&self, number: u32) -> Option<Vec<(String, String)>> {
        let step = self.assignment.builder.steps.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        let view = self.bench.sandbox().view(&self.slot);
        Some(environment::of_step(&self.bench.config.env, &self.assignment, step, &view))
    }

    /// Runs the build. What it does is told as it happens; `stop` ends it.
    ///
    /// # Errors
    /// When nothing can be written down here. Whatever goes wrong with the build itself is its result.
    pub async fn run(
        &mut self,
        stop: CancellationToken,
        mut tell: impl FnMut(Told),
    ) -> Result<Reproduced, ReproduceError> {
        let io = |error| ReproduceError::Io { path: self.slot.work(), error };
        let added = self.spool.add(&self.assignment).map_err(|error| io(io::Error::other(error)))?;
        let spooled = added.ok_or_else(|| io(io::Error::other("this build ran here before")))?;
        let (say, stopped) = watch::channel(None);
        let mut follow = Follow { build: &spooled, next: 0, step: None, offset: 0, steps: Vec::new() };
        let build = Build::run(&self.bench, &self.assignment, &spooled, &self.slot, stopped);
        tokio::pin!(build);
        let mut told_to_stop = false;
        let (result, reason) = loop {
            tokio::select! {
                end = &mut build => break end,
                () = self.spool.changed().notified() => follow.look(&mut tell),
                () = stop.cancelled(), if !told_to_stop => {
                    told_to_stop = true;
                    say.send_replace(Some(Stop::Cancel("you ended it".to_owned())));
                }
            }
        };
        follow.look(&mut tell);
        Ok(Reproduced { result, reason, steps: follow.steps })
    }

    /// Lets a person into the work folder, in the environment of a step and kept in as it was, until he leaves.
    ///
    /// # Errors
    /// When there is no such step, or the shell can't be started.
    pub async fn shell(&self, number: u32) -> io::Result<()> {
        let none = || io::Error::other(format!("the build has no step {number}"));
        let mut env = self.environment(number).ok_or_else(none)?;
        let name = |n: u32| self.assignment.builder.steps.get(n as usize - 1).map_or("", |step| &step.name);
        env.retain(|(name, _)| name != "TERM" && name != "PS1");
        let terminal = std::env::var("TERM").ok().filter(|term| !term.is_empty() && term.len() < 64);
        env.push(("TERM".to_owned(), terminal.unwrap_or_else(|| "dumb".to_owned())));
        env.push(("PS1".to_owned(), format!("[{} of #{}] $ ", name(number), self.assignment.of.build)));
        notes::begin(&self.slot).await?;
        let shell: &[&str] = match Path::new("/bin/bash").exists() {
            true => &["/bin/bash", "--noprofile", "--norc"],
            false => &["/bin/sh"],
        };
        let argv = environment::marked(shell.iter().map(|&word| word.to_owned()).collect());
        let task = Task { argv, env, grace: Duration::from_secs(self.bench.config.limits.grace_s) };
        match self.bench.sandbox().attend(&self.slot, task).await? {
            Some(outcome) => match outcome.end {
                End::NotStarted(why) => Err(io::Error::other(why)),
                End::Exited(_) | End::Signalled(_) => Ok(()),
            },
            None => Err(io::Error::other("the shell's supervisor was killed")),
        }
    }

    /// Removes everything that was made.
    ///
    /// # Errors
    /// When something can't be removed.
    pub async fn remove(self) -> io::Result<()> {
        let _ = Sandbox::sweep_slot(&self.slot).await;
        self.slot.clean().await?;
        let folder = self.slot.work();
        if let Some(slot) = folder.parent() {
            work::remove_all(slot)?;
            // Elsewhere than in the folder it is bb's own; with others' slots in it, it stays.
            let _ = slot.parent().map(std::fs::remove_dir);
        }
        Ok(())
    }
}

/// Tells of what a build writes down.
struct Follow<'a> {
    build: &'a Spooled,
    /// The next report.
    next: u32,
    /// The step that runs.
    step: Option<(u32, String)>,
    /// How much of its log was told.
    offset: u64,
    steps: Vec<StepEnd>,
}

/// Bytes of a log that are told at once.
const PIECE: usize = 64 << 10;

impl Follow<'_> {
    /// Tells of everything that is new.
    fn look(&mut self, tell: &mut impl FnMut(Told)) {
        loop {
            // In this order: a report that a step ended comes after all of its log.
            let report = self.build.report_at(self.next);
            self.printed(tell);
            let Some(report) = report else { return };
            self.next += 1;
            match report.what {
                Happened::StepStarted { step, name } => {
                    (self.step, self.offset) = (Some((step, name.clone())), 0);
                    tell(Told::Began(step, name));
                }
                Happened::StepFinished { step: number, result, exit_code, reason, .. } => {
                    let name = self.step.take().map(|(_, name)| name).unwrap_or_default();
                    let end = StepEnd { number, name, result, exit_code, reason };
                    self.steps.push(end.clone());
                    tell(Told::Ended(end));
                }
                Happened::BuildFinished { .. } => {}
            }
        }
    }

    fn printed(&mut self, tell: &mut impl FnMut(Told)) {
        let Some((step, _)) = self.step else { return };
        while let Ok(bytes) = self.build.read_file(StepFile::Log(step), self.offset, PIECE)
            && !bytes.is_empty()
        {
            self.offset += bytes.len() as u64;
            tell(Told::Printed(bytes));
        }
    }
}

/// How a step ended where the build was recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// How; none if it did not end.
    pub result: Option<BuildResult>,
    /// The exit code, if it ended by itself.
    pub exit_code: Option<i32>,
    /// Why, if not by its exit code.
    pub reason: Option<String>,
}

/// Whether a build came out as it did before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Comparison {
    /// As it did before: every step that ran here ended as it is recorded.
    Same,
    /// Otherwise; a line for each step of which that is so.
    Other(Vec<String>),
    /// Nothing is recorded that says anything of the commit, and why.
    Nothing(String),
}

/// Compares what came out here with what is recorded, `whole` being the recorded result of the build.
///
/// Only what says something of the commit is compared: a machine's fault, here or there, is none of that.
pub fn compare(here: &Reproduced, whole: Option<BuildResult>, steps: &[Recorded]) -> Comparison {
    let speaks =
        |result: BuildResult| !matches!(result, BuildResult::Exception | BuildResult::Retry | BuildResult::Cancelled);
    match whole {
        None => return Comparison::Nothing("it has not ended".to_owned()),
        Some(result) if !speaks(result) => {
            return Comparison::Nothing(format!("its recorded result, {result}, says nothing of the commit"));
        }
        Some(_) => {}
    }
    let mut others = Vec::new();
    let mut compared = 0;
    for end in here.steps.iter().filter(|end| end.number > 0) {
        let Some(before) = steps.iter().find(|step| step.name == end.name) else { continue };
        let Some(result) = before.result else { continue };
        compared += 1;
        if (result, before.exit_code) != (end.result, end.exit_code) {
            let was = ended(result, before.exit_code, before.reason.as_deref());
            others.push(format!("{}: {} here, and {was} as it is recorded", end.name, end.words()));
        }
    }
    match (compared, others.is_empty()) {
        (0, _) => Comparison::Nothing("none of the steps that ran here has a recorded end".to_owned()),
        (_, true) => Comparison::Same,
        (_, false) => Comparison::Other(others),
    }
}

/// Whether a build that came out so ran at all: a candidate that can't be had, or a sandbox that does not come up, is no result.
pub fn ran(here: &Reproduced) -> bool {
    !matches!(here.result, BuildResult::Exception | BuildResult::Retry | BuildResult::Cancelled)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn step(name: &str, result: BuildResult, exit_code: Option<i32>) -> StepEnd {
        StepEnd { number: 1, name: name.to_owned(), result, exit_code, reason: None }
    }

    fn recorded(name: &str, result: BuildResult, exit_code: i32) -> Recorded {
        Recorded { name: name.to_owned(), result: Some(result), exit_code: Some(exit_code), reason: None }
    }

    fn here(steps: Vec<StepEnd>) -> Reproduced {
        Reproduced { result: BuildResult::Failure, reason: String::new(), steps }
    }

    #[test]
    fn what_ended_as_before_is_the_same_and_all_else_is_named() {
        use BuildResult::{Exception, Failure, Success};
        let ours = here(vec![step("build", Success, Some(0)), step("test", Failure, Some(2))]);
        let theirs =
            |code| vec![recorded("build", Success, 0), recorded("test", Failure, code), recorded("doc", Success, 0)];
        assert_eq!(compare(&ours, Some(Failure), &theirs(2)), Comparison::Same);
        let Comparison::Other(lines) = compare(&ours, Some(Failure), &theirs(1)) else { unreachable!() };
        assert_eq!(lines, ["test: failure, exit code 2 here, and failure, exit code 1 as it is recorded"]);
        assert!(matches!(compare(&ours, None, &theirs(2)), Comparison::Nothing(_)));
        assert!(matches!(compare(&ours, Some(Exception), &theirs(2)), Comparison::Nothing(_)));
        // With nothing to hold it against it is never called the same.
        assert!(matches!(compare(&here(Vec::new()), Some(Success), &theirs(2)), Comparison::Nothing(_)));
        assert!(matches!(compare(&ours, Some(Failure), &[]), Comparison::Nothing(_)));
    }
}
