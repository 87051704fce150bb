//! The slave and its master over connections that are cut, refused, and made again.
#![allow(clippy::unwrap_used)]

mod support;

use protocol::BuildResult::{Cancelled, Success};
use protocol::wire::{ToSlave, Version};
use slave::config::WantedIsolation;
use slave::{RunError, Slave};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use support::*;
use tokio_util::sync::CancellationToken;

/// Waits until a build's folder is gone from the slave's disk.
async fn until_gone(basedir: &std::path::Path, folder: &str) {
    let builds = basedir.join("builds");
    let folder = builds.join(folder);
    until(&builds, "it is gone", move || !folder.exists()).await;
}

/// Waits for what happens in a folder, while master and slave go on.
async fn until(folder: &std::path::Path, what: &'static str, check: impl FnMut() -> bool + Send + 'static) {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || testkit::watch::until(&folder, what, check)).await.unwrap();
}

/// Waits until the reports of the first build, which nobody hears, have this in them.
async fn until_reported(basedir: &std::path::Path, words: &'static str) {
    let folder = basedir.join("builds/1-1");
    let reports = folder.join("reports");
    until(&folder, words, move || std::fs::read_to_string(&reports).unwrap().contains(words)).await;
}

#[tokio::test]
async fn a_log_goes_on_where_the_master_has_it_however_often_the_line_is_cut() {
    let master = Master::start().await;
    master.behave(|m| m.cut_after = Some(150_000));
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.give(assignment(1, vec![sh("count", "seq 1 150000")]));
    // The master itself checks that every piece begins where the last one ended.
    let seen = master.finished(build(1)).await;
    let expected: String = (1..=150_000).map(|n| format!("{n}\n")).collect();
    assert!(seen.log(1) == expected, "{} bytes", seen.log(1).len());
    assert!(master.hellos().len() > 3, "the line was cut {} times", master.hellos().len());
    slave.stop().await;
}

#[tokio::test]
async fn a_build_goes_on_without_a_connection() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.give(assignment(1, vec![sh("wait", "echo here; until [ -e go ]; do sleep 0.05; done; echo gone on")]));
    master.printed(build(1), 1, "here").await;
    master.behave(|m| m.refuse = Some("the database is being moved".to_owned()));
    master.cut();
    master.until("another hello", |m| (m.hellos().len() > 1).then_some(())).await;
    std::fs::write(slave.basedir.path().join("work/0/build/go"), "").unwrap();
    until_reported(slave.basedir.path(), "build-finished").await;
    assert!(master.seen(build(1)).result.is_none());
    let basedir = slave.stop().await;
    // Its next life tells what came of it.
    master.behave(|m| m.refuse = None);
    let slave = Running::start_in(basedir, config(&master, WantedIsolation::None));
    let seen = master.finished(build(1)).await;
    assert_eq!((result(&seen).0, seen.log(1).as_str()), (Success, "here\ngone on\n"));
    until_gone(slave.basedir.path(), "1-1").await;
    slave.stop().await;
}

#[tokio::test]
async fn what_the_master_has_is_deleted() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.give(assignment(1, vec![sh("test", "true")]));
    master.until("its end", |m| m.seen(build(1)).result).await;
    assert!(slave.basedir.path().join("builds/1-1/log-1").exists(), "kept until the master says so");
    master.finished(build(1)).await;
    until_gone(slave.basedir.path(), "1-1").await;
    slave.stop().await;
}

#[tokio::test]
async fn a_build_that_the_master_gave_up_is_stopped_and_deleted() {
    let unique = process::unique();
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    let long = vec![sh("long", &format!("echo here; sleep {unique}"))];
    master.give(assignment(1, long.clone()));
    master.printed(build(1), 1, "here").await;
    // At the next welcome it is not among those that the master waits for.
    master.behave(|m| m.forgotten.push(build(1)));
    master.cut();
    process::until_sleepers(&unique, false).await;
    until_gone(slave.basedir.path(), "1-1").await;
    assert!(master.seen(build(1)).result.is_none(), "nothing more was said of it");
    // In a running session a word does it.
    master.give(assignment(2, long));
    master.printed(build(2), 1, "here").await;
    master.send(ToSlave::Forget { of: build(2) });
    process::until_sleepers(&unique, false).await;
    until_gone(slave.basedir.path(), "2-1").await;
    assert!(master.seen(build(2)).result.is_none());
    slave.stop().await;
}

#[tokio::test]
async fn a_cancelled_build_ends_and_says_so() {
    let unique = process::unique();
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::Auto));
    let mut last = sh("always", "true");
    last.when = recipe::When::Always;
    let long = vec![sh("long", &format!("echo here; sleep {unique}")), last];
    master.give(assignment(1, long.clone()));
    master.printed(build(1), 1, "here").await;
    master.send(ToSlave::Cancel { of: build(1), reason: "r2 is newer".to_owned() });
    let seen = master.finished(build(1)).await;
    assert_eq!(result(&seen), (Cancelled, "cancelled: r2 is newer".to_owned()));
    assert_eq!(seen.log(1), "here\n\n[bb: cancelled: r2 is newer]\n");
    assert!(!seen.logs.contains_key(&2) && process::sleepers(&unique).is_empty());
    // Said while the slave was away, it holds at the next welcome.
    master.give(assignment(2, long));
    master.printed(build(2), 1, "here").await;
    master.behave(|m| m.cancel.push(build(2)));
    master.cut();
    assert_eq!(result(&master.finished(build(2)).await).0, Cancelled);
    slave.stop().await;
}

#[tokio::test]
async fn a_build_given_twice_is_run_once() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    let one = assignment(1, vec![sh("test", "echo once")]);
    master.give(one.clone());
    master.give(one);
    master.until("its end", |m| m.seen(build(1)).result).await;
    master.give(assignment(1, vec![sh("test", "echo twice")]));
    master.give(assignment(2, vec![sh("test", "true")]));
    master.finished(build(2)).await;
    assert_eq!(master.finished(build(1)).await.log(1), "once\n");
    slave.stop().await;
}

#[tokio::test]
async fn a_wrong_token_ends_a_slave_that_runs_nothing() {
    let master = Master::start().await;
    master.behave(|m| m.token = "another".to_owned());
    let error = Running::start(config(&master, WantedIsolation::None)).end().await.unwrap_err();
    assert!(matches!(error, RunError::Unauthorized(_)), "{error}");
    assert!(error.to_string().contains("does not know this slave's token") && !error.to_string().contains(TOKEN));
    assert_eq!(master.refused(), 1);
}

#[tokio::test]
async fn a_token_that_is_withdrawn_lets_running_builds_end() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.give(assignment(1, vec![sh("wait", "echo here; until [ -e go ]; do sleep 0.05; done")]));
    master.printed(build(1), 1, "here").await;
    master.behave(|m| m.token = "another".to_owned());
    master.cut();
    master.until("a refusal", |m| (m.refused() > 0).then_some(())).await;
    std::fs::write(slave.basedir.path().join("work/0/build/go"), "").unwrap();
    until_reported(slave.basedir.path(), "\"result\":\"success\",\"reason\":\"all").await;
    slave.stop().await;
}

#[tokio::test]
async fn a_master_of_another_major_version_ends_the_slave() {
    let master = Master::start().await;
    master.behave(|m| m.version = Version { major: 2, minor: 0 });
    let error = Running::start(config(&master, WantedIsolation::None)).end().await.unwrap_err();
    assert!(matches!(error, RunError::Incompatible(_)), "{error}");
    assert!(error.to_string().contains("update bb here"), "{error}");
}

#[tokio::test]
async fn a_refused_slave_stays_and_can_be_stopped() {
    let master = Master::start().await;
    master.behave(|m| m.refuse = Some("another slave of this name is connected".to_owned()));
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.until("a hello", |m| m.hellos().pop()).await;
    slave.stop().await;
}

#[tokio::test]
async fn a_second_slave_on_a_basedir_is_refused() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.until("a hello", |m| m.hellos().pop()).await;
    let second = Slave {
        config: config(&master, WantedIsolation::None),
        basedir: slave.basedir.path().to_owned(),
        token: TOKEN.parse().unwrap(),
        launcher: launcher(),
        source: Arc::new(files::Files),
        page: None,
    };
    let error = second.run(CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, RunError::Locked(_)), "{error}");
    slave.stop().await;
}

#[tokio::test]
async fn a_created_slave_runs() {
    let master = Master::start().await;
    let folder = tempfile::tempdir().unwrap();
    let basedir = folder.path().join("slave");
    let mut config = config(&master, WantedIsolation::Auto);
    config.labels = vec!["linux".to_owned(), "with \"quotes\"".to_owned()];
    slave::create(&basedir, &config, &TOKEN.parse().unwrap()).unwrap();
    let mode = |name: &str| std::fs::metadata(basedir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("slave.toml"), mode("secrets/slave.token"), mode("secrets")), (0o644, 0o600, 0o700));
    let again = slave::create(&basedir, &config, &"other".parse().unwrap()).unwrap_err();
    assert!(matches!(again, slave::CreateError::Exists(_)), "{again}");

    let slave = Slave::load(&basedir, launcher(), Arc::new(files::Files)).unwrap();
    assert_eq!((&slave.config.labels, &slave.config.master), (&config.labels, &config.master));
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(slave.run(shutdown.clone()));
    master.until("a hello", |m| m.hellos().pop()).await;
    shutdown.cancel();
    task.await.unwrap().unwrap();
}
