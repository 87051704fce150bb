//! A build at home, with real processes: by the same code, so with the same end, log and environment as on a slave.
#![allow(clippy::unwrap_used)]

mod support;

use protocol::BuildResult::{Failure, Success};
use protocol::wire::{Assignment, Isolation};
use slave::Config;
use slave::config::WantedIsolation;
use slave::reproduce::{Home, ReproduceError, Reproduced, Reproduction, Told};
use std::sync::Arc;
use support::files::Files;
use support::*;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

fn reproduction(at: &TempDir, isolation: WantedIsolation, assignment: Assignment) -> Reproduction {
    let mut config = Config::new("http://127.0.0.1:1".parse().unwrap(), "home".parse().unwrap());
    config.isolation = isolation;
    config.limits.grace_s = 1;
    let folder = at.path().to_owned();
    Reproduction { assignment, config, folder, launcher: launcher(), source: Arc::new(Files) }
}

/// Runs it and gives what was told, the steps' output as text.
async fn run_at_home(home: &mut Home) -> (Reproduced, Vec<String>) {
    let mut told: Vec<String> = Vec::new();
    let reproduced = home
        .run(CancellationToken::new(), |what| match what {
            Told::Began(_, name) => told.push(format!("{name}: ")),
            Told::Printed(bytes) => told.last_mut().unwrap().push_str(&String::from_utf8(bytes).unwrap()),
            Told::Ended(end) => told.push(format!("{} ended: {}", end.name, end.words())),
        })
        .await
        .unwrap();
    (reproduced, told)
}

#[tokio::test]
async fn at_home_a_build_ends_and_prints_as_on_a_slave() {
    let steps = || vec![sh("look", "cat README; env | sort"), sh("test", "echo no; exit 3"), sh("more", "echo never")];
    let properties = |a: &mut Assignment| {
        a.env.extend([("BB_BRANCH", "feature"), ("BB_REVISION", "r2")].map(|(n, v)| (n.to_owned(), v.to_owned())));
    };
    for isolation in [WantedIsolation::Bubblewrap, WantedIsolation::None] {
        let seen = run(isolation, properties, steps()).await;
        let at = basedir();
        let mut assignment = assignment(1, steps());
        properties(&mut assignment);
        let mut home = reproduction(&at, isolation, assignment).begin().await.unwrap();
        let (here, told) = run_at_home(&mut home).await;
        assert_eq!((here.result, here.reason.clone()), result(&seen));
        let ends: Vec<_> = here.steps.iter().map(|end| (end.name.as_str(), end.result, end.exit_code)).collect();
        assert_eq!(ends[1..3], [("look", Success, Some(0)), ("test", Failure, Some(3))]);
        let own = |text: &str| {
            let line = |line: &&str| !line.contains("/work/") && !line.starts_with("BB_SUPERVISED_BY=");
            text.lines().filter(line).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(own(told[2].strip_prefix("look: ").unwrap()), own(&seen.log(1)), "log and environment");
        assert!(told[2].contains("BB_REVISION=r2") && told[2].contains("BB_CANDIDATE=0123456789"), "{}", told[2]);
        assert_eq!(told[4..6], ["test: no\n".to_owned(), "test ended: failure, exit code 3".to_owned()]);
        assert!(home.work().join("README").exists(), "the work folder stays for whoever looks at it");
        home.remove().await.unwrap();
        assert!(!at.path().join("work/0").exists());
    }
}

#[tokio::test]
async fn a_strangers_build_runs_bare_only_if_that_is_said() {
    let strangers = || Assignment { isolation: Isolation::Bubblewrap, ..assignment(1, vec![sh("test", "echo ran")]) };
    let unprovable = |at: &TempDir, wanted, assignment| {
        let mut reproduction = reproduction(at, wanted, assignment);
        reproduction.config.read_only.push("/there/is/no/such/file".into());
        reproduction
    };
    let at = basedir();
    let refused = unprovable(&at, WantedIsolation::Auto, strangers()).begin().await;
    assert!(matches!(refused, Err(ReproduceError::TooOpen(_))));
    let refused = unprovable(&at, WantedIsolation::Bubblewrap, assignment(1, Vec::new())).begin().await;
    assert!(matches!(refused, Err(ReproduceError::NotIsolated(_))));
    let mut home = unprovable(&at, WantedIsolation::None, strangers()).begin().await.unwrap();
    assert_eq!(home.isolation().0, Isolation::None);
    assert_eq!(run_at_home(&mut home).await.0.result, Success);
    // Whom the master trusts is run as its slaves would run him.
    drop(home);
    let home = unprovable(&at, WantedIsolation::Auto, assignment(1, Vec::new())).begin().await.unwrap();
    assert_eq!(home.isolation().0, Isolation::None);
    let second = reproduction(&at, WantedIsolation::None, assignment(1, Vec::new())).begin().await;
    assert!(matches!(second, Err(ReproduceError::Locked(_))), "a folder is one reproduction's alone");
}
