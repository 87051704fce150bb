//! The program under test, run to its end or kept running.

use crate::world::PATIENCE;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a program that ended said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it said on standard error.
    pub err: String,
    command: String,
}

impl Said {
    /// Runs `command` to its end.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn of(command: &mut Command) -> Said {
        let out = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        Said {
            code: out.status.code(),
            out: String::from_utf8_lossy(&out.stdout).into_owned(),
            err: String::from_utf8_lossy(&out.stderr).into_owned(),
            command: format!("bb {}", words.join(" ")),
        }
    }

    /// What it printed, if it succeeded.
    ///
    /// # Panics
    /// When it did not.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "`{}` failed:\n{}{}", self.command, self.out, self.err);
        self.out
    }

    /// What it said on standard error, if it failed with an exit code.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    pub fn fails(self) -> String {
        assert!(self.code.is_some_and(|code| code != 0), "`{}` did not fail:\n{}{}", self.command, self.out, self.err);
        self.err
    }

    /// The JSON that it printed, if it succeeded.
    ///
    /// # Panics
    /// When it failed or printed something else.
    #[must_use]
    pub fn json(self) -> serde_json::Value {
        let command = self.command.clone();
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("`{command}` printed no JSON ({error}):\n{out}"))
    }
}

/// A running program, in a process group of its own. The group is killed with the value; the program also when the
/// thread ends that started it, however that ends.
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    pub(super) fn start(name: &str, words: &[OsString], surround: impl FnOnce(&mut Command), log: PathBuf) -> Program {
        let file = File::create(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(words);
        surround(&mut command);
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be opened twice"))
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("setpriv (package util-linux) can't start {name}: {error}"));
        Program { name: name.to_owned(), child, log }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that it prints into, both streams.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until `is` says so.
    ///
    /// # Panics
    /// When the program ends first, or it never is so.
    pub fn until(&mut self, what: &str, is: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended ({status}) before {what}:\n{}", self.name, self.printed());
            }
            assert!(Instant::now() < deadline, "waited in vain until {what}:\n{}", self.printed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end, by TERM, INT or another signal.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Stops it where it is, as a machine that sleeps, or lets it go on.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn freeze(&self, frozen: bool) {
        self.signal(if frozen { Signal::STOP } else { Signal::CONT });
    }

    /// Kills those of its children that run this program, by its name; gives how many.
    #[must_use]
    pub fn kill_children(&self, program: &str) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten().flatten();
        let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let pids = children.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let named =
            |pid: &String| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.trim() == program);
        let kill = |pid: String| rustix::process::kill_process(Pid::from_raw(pid.parse().ok()?)?, Signal::KILL).ok();
        pids.filter(named).filter_map(kill).count()
    }

    /// Lets none of its files grow beyond so many bytes from now on, as on a full disk; None lifts it again. It must have
    /// been started under [`limit_files`](super::World::limit_files): the signal that comes first would end it else.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(self.pid()), Resource::Fsize, limit).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it doesn't end.
    pub fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "{} did not end:\n{}", self.name, self.printed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The most memory that it ever held at once, in bytes, as the kernel counts it (VmHWM).
    #[must_use]
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
        Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An ended child is not waited for yet here, so its group's number is still its own.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let status = self.child.wait();
        if std::thread::panicking() {
            let how =
                status.map(|status| status.signal().map_or_else(|| status.to_string(), |n| format!("signal {n}")));
            let printed = self.printed();
            let tail: Vec<&str> = printed.lines().rev().take(60).collect();
            eprintln!("--- {} ({how:?}) said last:", self.name);
            for line in tail.into_iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}
