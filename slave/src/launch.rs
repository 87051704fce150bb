//! The supervisor: a small process, started for each step, that starts the step's command and afterwards ends
//! everything the command left behind.
//!
//! It reads one [`Spec`] (a line of JSON) from its standard input, which is one end of a socket; the slave holds the
//! other. When the slave closes its writing half, dies, or sends SIGTERM, the supervisor ends the step. Last it writes
//! one [`Outcome`] (a line of JSON) back. Its standard output and error are the step's log, which the command inherits.
//!
//! It is a child subreaper, so no descendant can leave it: whatever double-forks or starts a session of its own comes
//! back to it. It never decides what is run, and it never lets a build run as root.

pub(crate) mod processes;

use crate::seccomp;
use crate::user::BuildUser;
use processes::{Kill, Process};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, set_child_subreaper,
    set_dumpable_behavior, setrlimit, setsid,
};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::time::Instant;

/// The variable that marks every process of a slave, so that leftovers of an earlier life are found.
pub(crate) const MARK: &str = "BB_SUPERVISED_BY";

/// The longest spec, in bytes.
const MAX_SPEC: u64 = 8 << 20;

/// How long processes that are about to end by themselves are given, when the command itself ended.
const ENDING: Duration = Duration::from_millis(200);

/// How long the supervisor tries to KILL what is left before it says that it can't.
const KILL_FOR: Duration = Duration::from_secs(20);

/// What to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// The whole environment.
    pub(crate) env: Vec<(String, String)>,
    /// The folder to start it in.
    pub(crate) folder: PathBuf,
    /// The user to become first; none keeps the slave's own, which is never root.
    pub(crate) user: Option<BuildUser>,
    /// Whether the program is bubblewrap, which is not to be told to end while the build cleans up.
    pub(crate) wrapped: bool,
    /// Whether bubblewrap is to put the filters of system calls in force.
    pub(crate) filtered: bool,
    /// Resource limits.
    pub(crate) limits: Rlimits,
    /// Time between TERM and KILL, in milliseconds.
    pub(crate) grace_ms: u64,
    /// Whether a person steers it.
    #[serde(default)]
    pub(crate) attended: Attended,
}

/// Whether a person steers a command. One that is steered has what the supervisor has as standard error as its input, and its
/// output and errors go to the supervisor's standard output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Attended {
    /// Nobody does: a step of a build.
    #[default]
    No,
    /// Somebody does, and it gets a session of its own, so that it can't type into his terminal.
    Apart,
    /// Somebody does, at his terminal, with all that a shell needs of it.
    AtTerminal,
}

/// Resource limits of every process of a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rlimits {
    /// Greatest length of a file, in bytes.
    pub(crate) file_bytes: u64,
    /// Open files of one process.
    pub(crate) open_files: u64,
    /// Processes and threads of the build's own user; without such a user nothing is limited.
    pub(crate) processes: u64,
}

/// How the command ended, said after everything that it left behind is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// How the command itself ended.
    pub(crate) end: End,
    /// How many processes the command left behind that had to be ended.
    pub(crate) left_behind: u32,
    /// How many processes could not be ended.
    pub(crate) survivors: u32,
}

/// How the command itself ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It could not be started.
    NotStarted(String),
}

/// Runs the supervisor; `bb slave-launch` is nothing else. Only a slave starts it.
///
/// The exit code is 0 when an outcome was written, also for a command that failed.
pub fn main(args: &[OsString]) -> ExitCode {
    crate::close_on_exec();
    if !args.is_empty() {
        eprintln!("this command takes no arguments: a slave starts it for each step of a build");
        return ExitCode::from(2);
    }
    match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bb's supervisor: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("there is no step to run on standard input: only a slave starts this command")]
    NoSpec,
    #[error("the step's description can't be read: {0}")]
    BadSpec(serde_json::Error),
    #[error("a build would run as root; the slave must name another user")]
    Root,
    #[error("{what}: {error}")]
    System { what: &'static str, error: std::io::Error },
}

/// For `map_err`: says what was tried.
fn failed<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> LaunchError {
    move |error| LaunchError::System { what, error: error.into() }
}

fn supervise() -> Result<(), LaunchError> {
    let control = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed("standard input"))?;
    let control = UnixStream::from(control);
    let mut line = Vec::new();
    // Nothing comes after it but the end, which is found again whenever it is looked for.
    BufReader::new(&control).take(MAX_SPEC).read_until(b'\n', &mut line).map_err(|_| LaunchError::NoSpec)?;
    if line.last() != Some(&b'\n') {
        return Err(LaunchError::NoSpec);
    }
    let spec: Spec = serde_json::from_slice(&line).map_err(LaunchError::BadSpec)?;
    if spec.user.is_none() && rustix::process::geteuid().is_root() {
        return Err(LaunchError::Root);
    }
    // Files below /proc/self belong to root once the process is not dumpable, so this comes first.
    let spared = std::fs::read_to_string("/proc/self/oom_score_adj");
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    prepare(&spec)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed("runtime"))?;
    runtime.block_on(async {
        let outcome = Supervisor::start(&control, spec, spared.ok())?.run().await?;
        let mut said = serde_json::to_vec(&outcome).map_err(LaunchError::BadSpec)?;
        said.push(b'\n');
        // Nobody may be there any more to read it.
        let _ = control.set_nonblocking(false);
        let _ = (&control).write_all(&said);
        Ok(())
    })
}

fn prepare(spec: &Spec) -> Result<(), LaunchError> {
    if spec.attended != Attended::AtTerminal {
        // It fails only when this process leads a session already, which is as good.
        let _ = setsid();
    }
    set_child_subreaper(Some(getpid())).map_err(failed("becoming a child subreaper"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("hiding from builds"))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, spec.limits.file_bytes)?;
    limit(Resource::Nofile, spec.limits.open_files)?;
    if spec.user.is_some() {
        limit(Resource::Nproc, spec.limits.processes)?;
    }
    Ok(())
}

/// Sets a limit, or the hard one that holds already when that is lower.
fn limit(resource: Resource, value: u64) -> Result<(), LaunchError> {
    let hard = rustix::process::getrlimit(resource).maximum;
    let value = hard.map_or(value, |hard| hard.min(value));
    setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) }).map_err(failed("setting a limit"))
}

/// The command and what watches it.
struct Supervisor {
    control: tokio::net::UnixStream,
    terminated: Stream,
    /// What is typed at a terminal is for the command, not for this process.
    _typed: Option<[Stream; 2]>,
    child_ended: Stream,
    started: Result<Pid, String>,
    ended: Option<WaitStatus>,
    /// No process is left that this one is, or would become, the parent of.
    childless: bool,
    spec: Spec,
}

impl Supervisor {
    fn start(control: &UnixStream, spec: Spec, oom_score: Option<String>) -> Result<Self, LaunchError> {
        let terminated = signal(SignalKind::terminate()).map_err(failed("watching for SIGTERM"))?;
        let child_ended = signal(SignalKind::child()).map_err(failed("watching for SIGCHLD"))?;
        let typed = match spec.attended {
            Attended::No | Attended::Apart => None,
            Attended::AtTerminal => {
                let ignored = |kind| signal(kind).map_err(failed("watching for what is typed"));
                Some([ignored(SignalKind::interrupt())?, ignored(SignalKind::quit())?])
            }
        };
        let control = control.try_clone().map_err(failed("the control socket"))?;
        control.set_nonblocking(true).map_err(failed("the control socket"))?;
        let control = tokio::net::UnixStream::from_std(control).map_err(failed("the control socket"))?;
        let started = start_command(&spec);
        if let Some(score) = oom_score {
            let _ = std::fs::write("/proc/self/oom_score_adj", score);
        }
        Ok(Self { control, terminated, _typed: typed, child_ended, started, ended: None, childless: false, spec })
    }

    async fn run(mut self) -> Result<Outcome, LaunchError> {
        let main = match &self.started {
            Ok(pid) => *pid,
            Err(why) => return Ok(Outcome { end: End::NotStarted(why.clone()), left_behind: 0, survivors: 0 }),
        };
        self.reap(main);
        while self.ended.is_none() {
            let mut byte = [0];
            tokio::select! {
                _ = self.child_ended.recv() => self.reap(main),
                _ = self.terminated.recv() => break,
                // Nothing more is ever said on it: the slave closes it when the step is to end, or died.
                _ = self.control.read(&mut byte) => break,
            }
        }
        let (left_behind, survivors) = self.end_everything(main).await;
        let end = match self.ended {
            Some(status) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => End::Exited(code),
                (None, Some(signal)) => End::Signalled(signal),
                (None, None) => End::NotStarted("its end can't be read".to_owned()),
            },
            None => End::Signalled(Signal::KILL.as_raw()),
        };
        Ok(Outcome { end, left_behind: count(left_behind), survivors: count(survivors) })
    }

    /// Collects every child that ended, those that were left to this process too.
    fn reap(&mut self, main: Pid) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == main && (status.exited() || status.signaled()) => {
                    self.ended = Some(status);
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) => {
                    // As the child subreaper of all that it started, it would have got whatever outlived its parent.
                    self.childless = error == Errno::CHILD;
                    return;
                }
            }
        }
    }

    /// Everything that is still to be ended.
    fn remaining(&self) -> Vec<Process> {
        if self.childless && self.spec.user.is_none() {
            return Vec::new();
        }
        let mut all = processes::all();
        let own = processes::descendants(&all, getpid());
        all.retain(|p| own.contains(&p.pid) || self.spec.user.is_some_and(|user| p.belongs_to(user)));
        all
    }

    /// TERM for everything, KILL after the grace for what is still there. Returns how many processes beside the command
    /// itself there were, and how many are there still.
    async fn end_everything(&mut self, main: Pid) -> (usize, usize) {
        self.reap(main);
        let done_by = Instant::now() + ENDING;
        let mut first = self.remaining();
        while self.ended.is_some() && !first.is_empty() && Instant::now() < done_by {
            self.pause(done_by).await;
            self.reap(main);
            first = self.remaining();
        }
        if first.is_empty() && self.ended.is_some() {
            return (0, 0);
        }
        let others = first.iter().filter(|p| p.pid != main).count();
        for process in first.iter().filter(|p| !(self.spec.wrapped && p.pid == main)) {
            process.signal(Signal::TERM);
        }
        let killed_from = Instant::now() + Duration::from_millis(self.spec.grace_ms);
        while !self.remaining().is_empty() {
            if Instant::now() >= killed_from {
                self.kill_everything(main, killed_from + KILL_FOR).await;
                break;
            }
            self.pause(killed_from).await;
            self.reap(main);
        }
        (others, self.remaining().len())
    }

    async fn kill_everything(&mut self, main: Pid, until: Instant) {
        loop {
            if let Some(user) = self.spec.user {
                Kill::all_of(user);
            }
            for process in self.remaining() {
                process.signal(Signal::KILL);
            }
            self.reap(main);
            if self.remaining().is_empty() || Instant::now() >= until {
                return;
            }
            self.pause(until).await;
        }
    }

    /// Waits a moment, less when a child ends.
    async fn pause(&mut self, until: Instant) {
        let soon = Instant::now() + Duration::from_millis(25);
        tokio::select! {
            _ = self.child_ended.recv() => {}
            () = tokio::time::sleep_until(soon.min(until)) => {}
        }
    }
}

/// The filters of system calls as files that what is started next inherits.
fn filters() -> Result<Vec<OwnedFd>, String> {
    let filters = seccomp::filters().map_err(|error| error.to_string())?;
    let file = |filter: Vec<u8>| -> std::io::Result<OwnedFd> {
        let mut file = std::fs::File::from(memfd_create("filter", MemfdFlags::empty())?);
        file.write_all(&filter)?;
        file.rewind()?;
        Ok(file.into())
    };
    let files: std::io::Result<Vec<_>> = filters.into_iter().map(file).collect();
    files.map_err(|error| format!("the filters of system calls can't be handed on: {error}"))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn start_command(spec: &Spec) -> Result<Pid, String> {
    let (program, args) = spec.argv.split_first().ok_or("it is empty")?;
    let mut command = Command::new(program);
    // Open until bubblewrap has them; it reads each and closes it.
    let filters = if spec.filtered { filters()? } else { Vec::new() };
    for filter in &filters {
        command.args(["--add-seccomp-fd", &filter.as_raw_fd().to_string()]);
    }
    command.args(args).env_clear().envs(spec.env.iter().map(|(k, v)| (k, v))).current_dir(&spec.folder);
    if spec.attended == Attended::No {
        command.stdin(Stdio::null());
    } else {
        let copy = |file: BorrowedFd<'_>| file.try_clone_to_owned().map(Stdio::from);
        let (input, errors) = (copy(std::io::stderr().as_fd()), copy(std::io::stdout().as_fd()));
        let broken = |error| format!("its input and output can't be handed on: {error}");
        command.stdin(input.map_err(broken)?).stderr(errors.map_err(broken)?);
    }
    if spec.attended != Attended::AtTerminal {
        command.process_group(0);
    }
    if let Some(user) = spec.user {
        // As root, std drops the supplementary groups too when the user changes.
        command.uid(user.id()).gid(user.id());
    }
    let child = command.spawn().map_err(|error| format!("`{program}` can't be started: {error}"))?;
    Ok(Pid::from_child(&child))
}
