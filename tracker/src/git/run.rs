//! One run of git: its arguments and environment, its limits, and how it ends.
//!
//! A run is a process group of its own. When it takes too long, says too much, or nobody waits for it any more, the
//! whole group is killed: git's helpers (`git-remote-https`, `ssh`, `index-pack`) would live on if only git were.

use super::environment::{ADMIN_CONFIG, ADMIN_ENV, BOUNDED_CONFIG, BOUNDED_ENV, Environment, is_the_admins};
use super::ref_writers::RefWriters;
use super::unsaid::Unsaid;
use super::view::{Needs, Parent, View};
use super::{CONFIG_COUNT, Git, quoted, told};
use crate::Explain;
use crate::text::{shortened, tail};
use protocol::Hint;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How much a run may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunLimits {
    /// Longest run by the clock on the wall.
    pub wall: Duration,
    /// Most processor time, of each process.
    pub cpu: Duration,
    /// Longest file that it may write, in bytes.
    pub file_bytes: u64,
    /// Most memory of its own, of each process, in bytes; files that it maps don't count.
    pub memory_bytes: u64,
    /// Most bytes that it may print.
    pub output_bytes: usize,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(10 * 60),
            cpu: Duration::from_secs(10 * 60),
            file_bytes: 4 << 30,
            memory_bytes: 4 << 30,
            output_bytes: 16 << 20,
        }
    }
}

/// A run of git failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started.
    #[error("git could not be started for `{what}`: {source}")]
    NotStarted {
        /// What was to be run, without secrets.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ran for too long and was killed, with all it had started.
    #[error("`{what}` was stopped after {} s", after.as_secs())]
    TimedOut {
        /// What was run.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// It printed too much and was killed.
    #[error("`{what}` was stopped because it printed more than {limit} bytes")]
    TooMuchOutput {
        /// What was run.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// It ended with an error.
    #[error("`{what}` {}{}", ended(*exit, *signal), said(stderr))]
    Failed {
        /// What was run.
        what: String,
        /// Its exit code, if it ended by itself.
        exit: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// The end of what it said, control characters made visible.
        stderr: String,
    },
    /// Its pipes broke.
    #[error("talking to `{what}` failed: {source}")]
    Pipe {
        /// What was run.
        what: String,
        /// Why.
        source: std::io::Error,
    },
}

fn ended(exit: Option<i32>, signal: Option<i32>) -> String {
    match (exit, signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end by itself".to_owned(),
    }
}

fn said(stderr: &str) -> String {
    let line = told::in_one_line(stderr);
    if line.is_empty() { line } else { format!(": {line}") }
}

impl RunError {
    /// The same where the other side that git talked to, if any, is bb's own as well: what it said counts like git's own words.
    pub(crate) fn of_own_sides(self) -> Self {
        match self {
            Self::Failed { what, exit, signal, stderr } => {
                Self::Failed { what, exit, signal, stderr: told::of_both_sides(&stderr) }
            }
            other => other,
        }
    }

    /// The end of what git said, if it came to that.
    pub fn stderr(&self) -> &str {
        match self {
            Self::Failed { stderr, .. } => stderr,
            _ => "",
        }
    }

    /// Whether the kernel ended it because a file grew past the limit.
    pub(crate) fn hit_file_limit(&self) -> bool {
        match self {
            Self::Failed { signal, stderr, exit, .. } => {
                *signal == Some(Signal::XFSZ.as_raw())
                    || *exit == Some(128 + Signal::XFSZ.as_raw())
                    || stderr.contains("died of signal 25")
                    || stderr.contains("File too large")
            }
            _ => false,
        }
    }
}

impl Explain for RunError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotStarted { .. } => "git-not-started",
            Self::TimedOut { .. } => "git-timed-out",
            Self::TooMuchOutput { .. } => "git-output-too-long",
            Self::Failed { .. } => "git-failed",
            Self::Pipe { .. } => "git-pipe",
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::NotStarted { .. } => Hint::by_admin("checks that git is installed and may be run by bb's user"),
            Self::TimedOut { .. } | Self::TooMuchOutput { .. } | Self::Pipe { .. } => {
                Hint::by_bb("tries again; if it goes on, an admin looks at the log")
            }
            Self::Failed { stderr, .. } => {
                told::hint(stderr).unwrap_or_else(|| Hint::by_admin("looks at what git said, all of it in the log"))
            }
        }
    }
}

/// What a run printed.
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) exit: i32,
}

/// A run to be made.
pub(crate) struct Run {
    git: Git,
    environment: Environment,
    args: Vec<OsString>,
    /// What of the arguments is named in messages.
    what: Vec<String>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    unsaid: Unsaid,
    limits: RunLimits,
    grows: Option<(PathBuf, u64)>,
    view: Option<Arc<View>>,
    lock: Option<PathBuf>,
    writers: Option<RefWriters>,
}

impl Run {
    pub(super) fn bounded(git: &Git) -> Self {
        let run = Self::new(git, Environment::Empty, &BOUNDED_ENV, &BOUNDED_CONFIG);
        run.env("GIT_SSH_COMMAND", git.ssh_command(None))
    }

    pub(super) fn as_admin(git: &Git) -> Self {
        Self::new(git, Environment::Admin, &ADMIN_ENV, &ADMIN_CONFIG)
    }

    fn new(git: &Git, environment: Environment, env: &[(&str, &str)], config: &[&str]) -> Self {
        let run = Self {
            git: git.clone(),
            environment,
            args: Vec::new(),
            what: vec!["git".to_owned()],
            env: Vec::new(),
            folder: None,
            unsaid: Unsaid::default(),
            limits: RunLimits::default(),
            grows: None,
            view: None,
            lock: None,
            writers: None,
        };
        let run = env.iter().fold(run, |run, (name, value)| run.env(name, value));
        config.iter().fold(run, Self::config)
    }

    /// Works on a bare repository.
    pub(crate) fn repository(mut self, path: &Path) -> Self {
        let mut arg = OsString::from("--git-dir=");
        arg.push(path);
        self.args.push(arg);
        self.folder = Some(path.to_owned());
        self.own(path)
    }

    /// A place of ours that it works on: no message says where it is.
    pub(crate) fn own(mut self, path: &Path) -> Self {
        self.unsaid.place(path);
        self
    }

    /// Works on a bare repository as if it had this work tree, in which it starts.
    pub(crate) fn repository_with_work_tree(self, path: &Path, work_tree: &Path) -> Self {
        let mut run = self.repository(path);
        let mut arg = OsString::from("--work-tree=");
        arg.push(work_tree);
        run.args.push(arg);
        run.folder = Some(work_tree.to_owned());
        run.own(work_tree)
    }

    /// Sets a configuration variable for this run.
    pub(crate) fn config(mut self, setting: impl AsRef<OsStr>) -> Self {
        self.args.extend(["-c".into(), setting.as_ref().to_owned()]);
        self
    }

    /// An argument; it is named in messages. Never give it a secret.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.what.push(shortened(&arg.as_ref().to_string_lossy(), 200));
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Several arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// An argument that messages name otherwise, also those of git, because it may hold the admin's credentials.
    pub(crate) fn unnamed_arg(mut self, arg: impl AsRef<OsStr>, named: &str) -> Self {
        self.unsaid.word(&arg.as_ref().to_string_lossy(), named);
        self.what.push(named.to_owned());
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// A configuration variable whose value only this user may see: it goes by the environment. One for each run.
    pub(crate) fn secret_config(self, name: &str, value: &str) -> Self {
        if self.git.version() >= CONFIG_COUNT {
            let run = self.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", name);
            return run.env("GIT_CONFIG_VALUE_0", value);
        }
        // How `-c` itself is passed on to git's own children; git adds those of the arguments to it.
        self.env("GIT_CONFIG_PARAMETERS", quoted(format!("{name}={value}").as_ref()))
    }

    pub(crate) fn limits(mut self, limits: RunLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Ends the run as if a file were too long when all files below `folder` together exceed `bytes`.
    pub(crate) fn grows(mut self, folder: PathBuf, bytes: u64) -> Self {
        self.grows = Some((folder, bytes));
        self
    }

    /// Lets it see nothing but this, its repository and the object stores that it is told of.
    pub(crate) fn sees_only(mut self, view: Arc<View>) -> Self {
        self.view = Some(view);
        self
    }

    /// Waits for a lock and holds it, with all it starts, until the last of them has ended: also when whoever started it
    /// was killed. Without `flock` it goes without.
    pub(crate) fn holding(mut self, lock: PathBuf) -> Self {
        self.lock = Some(lock);
        self
    }

    /// Holds a share of those who write refs in that repository, likewise. When it fails, locks that it left there go.
    pub(crate) fn writing_refs(mut self, writers: &RefWriters) -> Self {
        self.writers = Some(writers.clone());
        self
    }

    /// Runs to the end; an exit code other than 0 is an error.
    pub(crate) async fn output(self) -> Result<Output, RunError> {
        self.output_if(|exit| exit == 0).await
    }

    /// Runs to the end; the exit code decides whether that is a success.
    pub(crate) async fn output_if(self, good: impl Fn(i32) -> bool) -> Result<Output, RunError> {
        let writers = self.writers.clone();
        let done = self.run(good).await;
        if let (Err(_), Some(writers)) = (&done, writers) {
            crate::blocking::blocking(move || writers.remove_left()).await;
        }
        done
    }

    async fn run(mut self, good: impl Fn(i32) -> bool) -> Result<Output, RunError> {
        let limits = self.limits;
        let grows = self.grows.take();
        let mut running = self.start(false)?;
        let what = running.what.clone();
        let pipe = |source| RunError::Pipe { what: what.clone(), source };
        let Some(stdout) = running.stdout.take() else {
            return Err(pipe(std::io::ErrorKind::BrokenPipe.into()));
        };
        let work = async {
            let Some(bytes) = read_capped(stdout, limits.output_bytes).await.map_err(&pipe)? else {
                return Err(RunError::TooMuchOutput { what: what.clone(), limit: limits.output_bytes });
            };
            let (exit, signal, stderr) = running.finish().await?;
            match exit {
                Some(code) if good(code) => Ok(Output { stdout: bytes, stderr, exit: code }),
                _ => Err(RunError::Failed { what: what.clone(), exit, signal, stderr }),
            }
        };
        tokio::select! {
            done = tokio::time::timeout(limits.wall, work) => match done {
                Ok(done) => done,
                Err(_) => Err(RunError::TimedOut { what, after: limits.wall }),
            },
            () = outgrown(grows) => Err(RunError::Failed {
                what,
                exit: None,
                signal: Some(Signal::XFSZ.as_raw()),
                stderr: "File too large".to_owned(),
            }),
        }
    }

    /// Starts it with its output (and input, if asked for) as pipes. The wall limit is the caller's to keep.
    pub(crate) fn start(self, with_input: bool) -> Result<Running, RunError> {
        let what = self.unsaid.in_text(&self.what.join(" "));
        let mut command = self.command();
        command
            .stdin(if with_input { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let started = match &self.view {
            None => command.spawn().map(|child| (child, None)),
            Some(view) => view.spawn(command, &self.needs()).map(|(child, parent)| (child, Some(parent))),
        };
        let (mut child, parent) = started.map_err(|source| RunError::NotStarted { what: what.clone(), source })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let (None, Some(pid)) = (self.git.prlimit(), group) {
            limit_running(pid, self.limits);
        }
        let stdout = child.stdout.take();
        let stdin = child.stdin.take();
        let stderr = child.stderr.take().map(|pipe| tokio::spawn(read_tail(pipe)));
        let unsaid = self.unsaid;
        Ok(Running { what, unsaid, group: Group(group), child, stdin, stdout, stderr, _parent: parent })
    }

    /// What a run with a view works on besides.
    fn needs(&self) -> Needs {
        let programs = std::iter::once(self.git.program()).chain(self.git.prlimit());
        let stores = self.env.iter().filter(|(name, _)| name == "GIT_ALTERNATE_OBJECT_DIRECTORIES");
        Needs {
            programs: programs.map(Path::to_owned).collect(),
            reads: stores.flat_map(|(_, value)| std::env::split_paths(value)).collect(),
            writes: self.folder.iter().cloned().collect(),
        }
    }

    /// The command; started by `prlimit` where there is one, so that its limits hold from its first instruction on.
    fn command(&self) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(prlimit) = self.git.prlimit() {
            words.push(prlimit.into());
            words.push(format!("--fsize={}", self.limits.file_bytes).into());
            words.push(format!("--cpu={}", self.limits.cpu.as_secs().max(1)).into());
            words.push(format!("--data={}", self.limits.memory_bytes).into());
            words.extend(["--core=0".into(), "--".into()]);
        }
        if let Some(flock) = self.git.flock() {
            let shared = self.writers.as_ref().map(|writers| ("--shared", writers.lock()));
            let alone = self.lock.iter().map(|lock| ("--exclusive", lock.clone()));
            for (how, lock) in shared.into_iter().chain(alone) {
                // In place of a process of its own, so that signals and exit codes are git's.
                words.extend([flock.into(), "--no-fork".into(), how.into(), lock.into()]);
            }
        }
        words.push(self.git.program().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        match self.environment {
            Environment::Empty => {
                command.env_clear();
                command.env("PATH", self.git.path());
            }
            Environment::Admin => {
                for (name, _) in std::env::vars_os().filter(|(name, _)| !is_the_admins(name)) {
                    command.env_remove(&name);
                }
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value))).args(&self.args);
        match &self.folder {
            Some(folder) => _ = command.current_dir(folder),
            // Where git looks for a repository around it, it would meet what it may not see.
            None if self.view.is_some() => _ = command.current_dir("/"),
            None => {}
        }
        command
    }
}

/// Without `prlimit` the limits are set just after the start, before git can have done much.
fn limit_running(pid: Pid, limits: RunLimits) {
    let both = |n: u64| Rlimit { current: Some(n), maximum: Some(n) };
    let cpu = limits.cpu.as_secs().max(1);
    for (resource, limit) in [
        (Resource::Fsize, both(limits.file_bytes)),
        (Resource::Cpu, both(cpu)),
        (Resource::Data, both(limits.memory_bytes)),
        (Resource::Core, both(0)),
    ] {
        // It may have ended already.
        let _ = rustix::process::prlimit(Some(pid), resource, limit);
    }
}

/// A process group that is killed when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }
}

/// A run that goes on. Dropped, it is killed with all it started.
pub(crate) struct Running {
    pub(crate) what: String,
    unsaid: Unsaid,
    // Dropped before the child, so that the group is killed while its id is surely still its own.
    group: Group,
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    stderr: Option<tokio::task::JoinHandle<Vec<u8>>>,
    _parent: Option<Parent>,
}

impl Running {
    /// Gives it all of its input.
    pub(crate) async fn feed(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        let Some(mut stdin) = self.stdin.take() else { return Ok(()) };
        let fed = async {
            stdin.write_all(bytes).await?;
            stdin.shutdown().await
        };
        fed.await.map_err(|source| RunError::Pipe { what: self.what.clone(), source })
    }

    /// The same from a file.
    pub(crate) async fn feed_file(&mut self, path: &Path) -> Result<(), RunError> {
        let Some(mut stdin) = self.stdin.take() else { return Ok(()) };
        let fed = async {
            let mut file = tokio::fs::File::open(path).await?;
            tokio::io::copy(&mut file, &mut stdin).await?;
            stdin.shutdown().await
        };
        fed.await.map_err(|source| RunError::Pipe { what: self.what.clone(), source })
    }

    /// Waits for its end: exit code, signal, the end of what it said.
    pub(crate) async fn finish(&mut self) -> Result<(Option<i32>, Option<i32>, String), RunError> {
        use std::os::unix::process::ExitStatusExt;
        self.stdin = None;
        let status = self.child.wait().await.map_err(|source| RunError::Pipe { what: self.what.clone(), source })?;
        // What it left running would hold the pipe for errors open.
        drop(std::mem::replace(&mut self.group, Group(None)));
        let stderr = match self.stderr.take() {
            Some(task) => task.await.unwrap_or_default(),
            None => Vec::new(),
        };
        let said = tail(self.unsaid.in_text(&String::from_utf8_lossy(&stderr)).as_bytes(), 4096);
        if !status.success() && said.trim().contains('\n') {
            // Whoever is told of it is told one line.
            tracing::info!(what = %self.what, said = ?said, "git failed");
        }
        Ok((status.code(), status.signal(), said))
    }
}

async fn read_capped(mut pipe: impl AsyncRead + Unpin, cap: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut limited = (&mut pipe).take(cap as u64 + 1);
    limited.read_to_end(&mut bytes).await?;
    Ok((bytes.len() <= cap).then_some(bytes))
}

/// Reads all and keeps the end.
async fn read_tail(mut pipe: impl AsyncRead + Unpin) -> Vec<u8> {
    const KEEP: usize = 8192;
    let mut kept = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(n @ 1..) = pipe.read(&mut piece).await {
        kept.extend_from_slice(&piece[..n]);
        if kept.len() > 2 * KEEP {
            kept.drain(..kept.len() - KEEP);
        }
    }
    kept
}

/// Ends when the files below the folder exceed their limit.
async fn outgrown(grows: Option<(PathBuf, u64)>) {
    let Some((folder, limit)) = grows else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let folder = folder.clone();
        if crate::blocking::blocking(move || bytes_below(&folder, limit) > limit).await {
            return;
        }
    }
}

/// The bytes of all files below a folder; more than `enough` are not counted.
pub(crate) fn bytes_below(folder: &Path, enough: u64) -> u64 {
    let mut sum = 0_u64;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => sum = sum.saturating_add(meta.len()),
                Err(_) => {}
            }
            if sum > enough {
                return sum;
            }
        }
    }
    sum
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
