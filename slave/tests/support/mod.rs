//! A world for a slave: a master that plays by the protocol and can be told not to, a source of files, and slaves.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::result_large_err)]

pub mod files;
mod master;
pub mod process;

use files::Files;
pub use master::{Master, Seen};
use protocol::wire::{Assignment, BuildRef, Isolation, Limits};
use protocol::{BuildId, BuildResult, Fence};
use recipe::{Builder, History, OnFailure, Run, Step, When};
use slave::config::{SlotCount, WantedIsolation};
use slave::{Config, Launcher, RunError, Slave};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes; reached only when a test fails.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The token that the master knows.
pub const TOKEN: &str = "bb_slave_test_token";

/// The supervisor as the tests start it.
pub fn launcher() -> Launcher {
    Launcher { program: PathBuf::from(env!("CARGO_BIN_EXE_slave-under-test")), args: vec!["slave-launch".into()] }
}

/// Whether builds run under users of their own here.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A basedir of its own for a slave.
pub fn basedir() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    // As root, builds run under users of their own, which must be able to pass.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    let token = folder.path().join("secrets/slave.token");
    std::fs::write(&token, TOKEN).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

/// A slave of `master` with this isolation and one slot.
pub fn config(master: &Master, isolation: WantedIsolation) -> Config {
    let mut config = Config::new(master.url().parse().unwrap(), "testling".parse().unwrap());
    config.isolation = isolation;
    config.labels = vec!["linux".to_owned()];
    config.slots = SlotCount::try_from(1).unwrap();
    config.limits.grace_s = 1;
    config
}

/// A slave that runs in this process.
pub struct Running {
    pub basedir: TempDir,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    pub fn start(config: Config) -> Self {
        Self::start_in(basedir(), config)
    }

    pub fn start_in(basedir: TempDir, config: Config) -> Self {
        Self::start_with(basedir, config, |_| ())
    }

    pub fn start_with(basedir: TempDir, config: Config, change: impl FnOnce(&mut Slave)) -> Self {
        let mut slave = Slave {
            config,
            basedir: basedir.path().to_owned(),
            token: TOKEN.parse().unwrap(),
            launcher: launcher(),
            source: Arc::new(Files),
            page: None,
        };
        change(&mut slave);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(slave.run(shutdown.clone()));
        Self { basedir, shutdown, task }
    }

    /// Stops it in an orderly way.
    pub async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the slave stops").unwrap().unwrap();
        self.basedir
    }

    /// Waits until it ends by itself.
    pub async fn end(self) -> Result<(), RunError> {
        tokio::time::timeout(PATIENCE, self.task).await.expect("the slave ends").unwrap()
    }
}

/// The build of this number.
pub fn build(n: i64) -> BuildRef {
    BuildRef { build: BuildId(n), fence: Fence(1) }
}

/// A step that runs a shell text.
pub fn sh(name: &str, text: &str) -> Step {
    Step {
        name: name.to_owned(),
        run: Run::Shell(text.to_owned()),
        timeout_s: None,
        when: When::OnSuccess,
        on_failure: OnFailure::Fail,
        env: Default::default(),
        junit: Vec::new(),
        artifacts: Vec::new(),
    }
}

/// A build of these steps.
pub fn assignment(n: i64, steps: Vec<Step>) -> Assignment {
    Assignment {
        of: build(n),
        project: "demo".parse().unwrap(),
        git_path: "/git/demo.git".to_owned(),
        git_ref: "refs/heads/candidate".to_owned(),
        commit: "0123456789012345678901234567890123456789".parse().unwrap(),
        what: "feature".to_owned(),
        builder: Builder {
            name: "linux".to_owned(),
            slaves: Vec::new(),
            locks: Vec::new(),
            required: true,
            history: History::Full,
            steps,
        },
        isolation: Isolation::None,
        limits: Limits::default(),
        env: Vec::new(),
    }
}

/// Runs one build of these steps on a fresh slave and gives what the master heard of it.
pub async fn run(isolation: WantedIsolation, change: impl FnOnce(&mut Assignment), steps: Vec<Step>) -> Seen {
    let master = Master::start().await;
    let slave = Running::start(config(&master, isolation));
    let mut assignment = assignment(1, steps);
    change(&mut assignment);
    master.give(assignment);
    let seen = master.finished(build(1)).await;
    slave.stop().await;
    seen
}

/// As [`run`], in bubblewrap and without; both are to give the same.
pub async fn run_both(change: impl Fn(&mut Assignment), steps: Vec<Step>) -> [Seen; 2] {
    let without = run(WantedIsolation::None, &change, steps.clone()).await;
    let within = run(WantedIsolation::Bubblewrap, &change, steps).await;
    [without, within]
}

/// The last report's words.
pub fn result(seen: &Seen) -> (BuildResult, String) {
    seen.result.clone().expect("the build has finished")
}
