//! The only place that starts a build's process.
//!
//! A step runs under a supervisor ([`crate::launch`]), in bubblewrap when a self-test at start proved that it keeps
//! builds in ([`probe`]), and as a user of its own when the slave runs as root. The sandbox never decides whether an
//! isolation is enough; it says what it has.
//!
//! Not limited yet: memory and disk space, which the notes of every slave say ([`unlimited`]).

mod bubblewrap;
mod probe;
mod users;

use crate::config::{Config, OwnLimits, WantedIsolation};
use crate::launch::processes::{self, Kill};
use crate::launch::{Attended, MARK, Outcome, Rlimits, Spec};
use crate::user::BuildUser;
use crate::work::Slot;
use protocol::wire::Isolation;
use rustix::process::Signal;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tracker::checkout::{Place, Reach};
pub use users::NoUsers;
pub(crate) use users::Users;

/// How the supervisor is started: a program that calls [`crate::launch::main`] when given these arguments.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Launcher {
    /// This very program with these arguments, also after its file was replaced by a newer one.
    pub fn this_program(args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), args: args.into_iter().map(Into::into).collect() }
    }
}

/// Starts builds' processes, in the strongest isolation that was proven.
#[derive(Debug)]
pub(crate) struct Sandbox {
    launcher: Launcher,
    isolation: Isolation,
    /// Whether bubblewrap puts the filters of system calls in force.
    filtered: bool,
    notes: Vec<String>,
    read_only: Vec<PathBuf>,
    limits: OwnLimits,
}

/// A command to be run in a slot.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The program and its arguments.
    pub(crate) argv: Vec<String>,
    /// The whole environment.
    pub(crate) env: Vec<(String, String)>,
    /// Time between TERM and KILL.
    pub(crate) grace: Duration,
}

/// What builds in `slot` are not kept from, said on the slaves' page as plainly as what they are kept from.
fn unlimited(slot: &Slot) -> &'static str {
    match slot.user() {
        Some(_) => "memory and disk space of a build are not limited",
        // The kernel counts processes by user, and this one is the slave's own too.
        None => {
            "memory, disk space and the number of processes of a build are not limited: for the last, run the slave as root"
        }
    }
}

/// What a build sees as its folders.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The work folder: the candidate's files.
    pub(crate) work: PathBuf,
    /// Where `$BB_LINKS` and `$BB_SUMMARY` are.
    pub(crate) notes: PathBuf,
    /// Temporary files.
    pub(crate) tmp: PathBuf,
}

/// bubblewrap was asked for and does not keep builds in.
#[derive(Debug, thiserror::Error)]
#[error("`isolation = \"bubblewrap\"`, but its self-test failed: {}; {hint}", .notes.join("; "), hint = probe::HINT)]
pub(crate) struct NotIsolated {
    /// What the self-test found.
    pub(crate) notes: Vec<String>,
}

impl Sandbox {
    /// None that was proven: it starts nothing that needs any.
    pub(crate) fn unproven(config: &Config, launcher: Launcher, notes: Vec<String>) -> Self {
        let (isolation, filtered) = (Isolation::None, false);
        let (read_only, limits) = (config.read_only.clone(), config.limits);
        Self { launcher, isolation, filtered, notes, read_only, limits }
    }

    /// Finds out what isolation this machine has, by running a probe in `slot`.
    ///
    /// # Errors
    /// When bubblewrap is demanded and its self-test fails.
    pub(crate) async fn prove(
        config: &Config,
        launcher: Launcher,
        slot: &Slot,
        secret: &std::path::Path,
    ) -> Result<Self, NotIsolated> {
        let mut sandbox = Self {
            launcher,
            isolation: Isolation::None,
            filtered: false,
            notes: Vec::new(),
            read_only: config.read_only.clone(),
            limits: config.limits,
        };
        let unlimited = unlimited(slot).to_owned();
        if config.isolation == WantedIsolation::None {
            sandbox.notes.extend(["bubblewrap is switched off in slave.toml".to_owned(), unlimited]);
            return Ok(sandbox);
        }
        sandbox.isolation = Isolation::Bubblewrap;
        match sandbox.try_out(slot, secret).await {
            Ok(notes) => sandbox.notes = notes,
            Err(notes) if config.isolation == WantedIsolation::Bubblewrap => return Err(NotIsolated { notes }),
            Err(notes) => {
                sandbox.isolation = Isolation::None;
                sandbox.notes = notes;
            }
        }
        sandbox.notes.push(unlimited);
        Ok(sandbox)
    }

    /// Runs the self-test with the filters of system calls, and without where they can't be had; which, the notes say.
    async fn try_out(&mut self, slot: &Slot, secret: &std::path::Path) -> Result<Vec<String>, Vec<String>> {
        self.filtered = true;
        let filtered = match probe::run(self, slot, secret).await {
            Ok(notes) => return Ok(notes),
            Err(notes) => notes,
        };
        self.filtered = false;
        let mut notes = probe::run(self, slot, secret).await?;
        notes.push(format!("system calls are not filtered: {}", filtered.join("; ")));
        Ok(notes)
    }

    /// The strongest isolation that was proven; every build runs in it.
    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// What the self-test found, a line each.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where builds in `slot` see their folders.
    pub(crate) fn view(&self, slot: &Slot) -> View {
        match self.isolation {
            Isolation::Bubblewrap => View { work: "/build".into(), notes: "/bb".into(), tmp: "/tmp".into() },
            Isolation::None => View { work: slot.work(), notes: slot.notes(), tmp: slot.tmp() },
        }
    }

    /// Where the source is to put a build's files and history.
    pub(crate) fn place(&self, slot: &Slot) -> Place {
        let objects_seen = match self.isolation {
            Isolation::Bubblewrap => bubblewrap::OBJECTS.into(),
            Isolation::None => slot.objects(),
        };
        let reach = if slot.user().is_some() { Reach::Files } else { Reach::Link };
        Place { files: slot.work(), objects: slot.objects(), objects_seen, reach }
    }

    /// Starts a command. It is ended, with all that it started, when the result is dropped.
    pub(crate) async fn start(&self, slot: &Slot, task: Task) -> io::Result<Running> {
        let (output, input) = io::pipe()?;
        let supervised = self.supervise(slot, self.spec(slot, task, Attended::No), input.try_clone()?, input).await?;
        Ok(Running { output: pipe::Receiver::from_owned_fd(output.into())?, supervised })
    }

    /// Runs a command that a person steers, from this process's own standard input to its own standard output, and gives how it
    /// ended; none when its supervisor died without a word.
    pub(crate) async fn attend(&self, slot: &Slot, task: Task) -> io::Result<Option<Outcome>> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        // What can type into the terminal has none, unless a filter keeps it from doing so, or it is the person's own user anyway.
        let attended = match self.isolation {
            Isolation::Bubblewrap if self.filtered => Attended::AtTerminal,
            Isolation::None if slot.user().is_none() => Attended::AtTerminal,
            Isolation::Bubblewrap | Isolation::None => Attended::Apart,
        };
        let spec = self.spec(slot, task, attended);
        let mut supervised = self.supervise(slot, spec, Stdio::inherit(), stdin).await?;
        let outcome = supervised.outcome().await;
        let _ = supervised.process.wait().await;
        Ok(outcome)
    }

    async fn supervise(
        &self,
        slot: &Slot,
        spec: Spec,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> io::Result<Supervised> {
        let (control, theirs) = std::os::unix::net::UnixStream::pair()?;
        let mut command = Command::new(&self.launcher.program);
        command.args(&self.launcher.args).env_clear().env(MARK, slot.mark()).current_dir("/");
        command.stdin(OwnedFd::from(theirs)).stdout(stdout).stderr(stderr);
        let process = command.spawn().map_err(|error| {
            let program = self.launcher.program.display();
            io::Error::new(error.kind(), format!("the supervisor `{program}` can't be started: {error}"))
        })?;
        // Its ends of socket and pipe are to be open nowhere else.
        drop(command);
        control.set_nonblocking(true)?;
        let mut control = BufReader::new(UnixStream::from_std(control)?);
        let mut spec = serde_json::to_vec(&spec)?;
        spec.push(b'\n');
        control.get_mut().write_all(&spec).await?;
        Ok(Supervised { control, said: Vec::new(), process })
    }

    fn spec(&self, slot: &Slot, task: Task, attended: Attended) -> Spec {
        let Task { argv, mut env, grace } = task;
        env.push((MARK.to_owned(), slot.mark().to_owned()));
        let wrapped = self.isolation == Isolation::Bubblewrap;
        let filtered = wrapped && self.filtered;
        let (argv, env, folder) = if wrapped {
            let argv = bubblewrap::command(slot, &argv, &env, &self.read_only, self.limits.tmp_bytes, attended);
            // bubblewrap itself is to see nothing that a recipe says; it is found as the slave's admin has it.
            let path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned());
            (argv, vec![("PATH".to_owned(), path)], PathBuf::from("/"))
        } else {
            (argv, env, slot.work())
        };
        let limits = Rlimits {
            file_bytes: self.limits.file_bytes,
            open_files: self.limits.open_files,
            processes: self.limits.processes,
        };
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        Spec { argv, env, folder, user: slot.user(), wrapped, filtered, limits, grace_ms, attended }
    }

    /// Kills what a step whose supervisor is gone left in a slot: all of the slot's user; without such a user, what
    /// carries the slot's mark. Gives whether all is gone.
    pub(crate) async fn sweep_slot(slot: &Slot) -> bool {
        Self::sweep(slot.mark(), slot.user().into_iter().collect()).await
    }

    /// Kills what builds left on the machine: everything of these users, and everything whose mark begins so. Only to be called while none of its supervisors is wanted any more. Gives whether all is
    /// gone.
    pub(crate) async fn sweep(mark: &str, users: Vec<BuildUser>) -> bool {
        let mark = mark.to_owned();
        let swept = tokio::task::spawn_blocking(move || {
            for _ in 0..200 {
                let marked = processes::marked(MARK, &mark);
                let all = processes::all();
                let busy: Vec<_> =
                    users.iter().copied().filter(|&user| all.iter().any(|p| p.belongs_to(user))).collect();
                if marked.is_empty() && busy.is_empty() {
                    return true;
                }
                tracing::warn!(marked = marked.len(), users = busy.len(), "ending processes that builds left behind");
                for pid in marked {
                    processes::signal(pid, Signal::KILL, |pid| processes::is_marked(pid, MARK, &mark));
                }
                busy.into_iter().for_each(Kill::all_of);
                std::thread::sleep(Duration::from_millis(25));
            }
            tracing::error!("some processes of builds can't be ended");
            false
        });
        swept.await.unwrap_or(false)
    }
}

/// The search path of builds, unless slave.toml or the recipe says otherwise.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A command that runs under its supervisor.
#[derive(Debug)]
pub(crate) struct Running {
    output: pipe::Receiver,
    supervised: Supervised,
}

/// A supervisor, and what is said with it.
#[derive(Debug)]
struct Supervised {
    control: BufReader<UnixStream>,
    said: Vec<u8>,
    process: Child,
}

impl Supervised {
    /// How the command ended; none when its supervisor died without a word. Can be cancelled without loss.
    async fn outcome(&mut self) -> Option<Outcome> {
        match self.control.read_until(b'\n', &mut self.said).await {
            Ok(_) => serde_json::from_slice(&self.said).ok(),
            Err(_) => None,
        }
    }
}

impl Running {
    /// The next piece of output; 0 is its end. Can be cancelled without loss.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer).await
    }

    /// The next piece of output, or how the command ended. Can be cancelled without loss.
    pub(crate) async fn next(&mut self, buffer: &mut [u8], open: bool) -> Next {
        tokio::select! {
            // Output first: a command's end is told when nothing more of it is at hand.
            biased;
            read = self.output.read(buffer), if open => Next::Output(read),
            outcome = self.supervised.outcome() => Next::Ended(outcome),
        }
    }

    /// Asks the supervisor to end everything.
    pub(crate) async fn end(&mut self) {
        let _ = self.supervised.control.get_mut().shutdown().await;
    }

    /// Ends the supervisor itself, which did not do its work.
    pub(crate) async fn kill_supervisor(&mut self) {
        let _ = self.supervised.process.kill().await;
    }

    /// Collects the supervisor.
    pub(crate) async fn collect(mut self) {
        let _ = self.supervised.process.wait().await;
    }
}

/// What a running command did next.
#[derive(Debug)]
pub(crate) enum Next {
    /// It printed so many bytes; 0 when all is said.
    Output(io::Result<usize>),
    /// It ended; none when its supervisor died without a word.
    Ended(Option<Outcome>),
}
