//! When a slave takes builds: rules, words of people, and what its master hears of them.
#![allow(clippy::unwrap_used)]

mod support;

use protocol::BuildResult::{Retry, Success};
use protocol::UnixMs;
use protocol::wire::Availability::{self, Eager, Reluctant, Unavailable};
use protocol::wire::{ToSlave, Voice, Word};
use slave::availability::{Said, say, status};
use slave::config::WantedIsolation;
use std::path::Path;
use support::*;

const NEVER: Option<UnixMs> = None;

fn now() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

/// Says something as ann; the basedir has a slave.toml, as that of `bb slave create` has.
fn ann(basedir: &Path, says: Availability, until: Option<UnixMs>, at_once: bool) {
    std::fs::write(basedir.join("slave.toml"), "master = \"http://127.0.0.1:1\"\nname = \"testling\"\n").unwrap();
    say(basedir, Some(&Said::new(says, "ann", "a talk", now(), until, at_once))).unwrap();
}

fn rules(master: &Master, text: &str) -> slave::Config {
    let mut config = config(master, WantedIsolation::None);
    config.availability = toml::from_str(text).unwrap();
    config
}

#[tokio::test]
async fn a_person_s_word_is_heard_at_once_survives_a_restart_and_is_taken_back() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.until_word(Eager).await;
    ann(slave.basedir.path(), Reluctant, NEVER, false);
    let word = master.until_word(Reluctant).await;
    assert_eq!(
        (word.voice, word.who.as_str(), word.reason.as_str(), word.until),
        (Voice::Person, "ann", "a talk", None)
    );

    let basedir = slave.stop().await;
    // Said while nothing runs.
    ann(basedir.path(), Unavailable, NEVER, false);
    let slave = Running::start_in(basedir, config(&master, WantedIsolation::None));
    let hello = master.until("another hello", |m| m.hellos().into_iter().nth(1)).await;
    assert_eq!((hello.availability, hello.word.unwrap().who.as_str()), (Unavailable, "ann"));

    say(slave.basedir.path(), None).unwrap();
    assert_eq!(master.until_word(Eager).await.voice, Voice::Nobody);
    slave.stop().await;
}

#[tokio::test]
async fn a_word_ends_by_itself_at_its_time_and_the_rules_hold_again() {
    let master = Master::start().await;
    let slave = Running::start(rules(&master, "otherwise = \"reluctant\""));
    master.until_word(Reluctant).await;
    ann(slave.basedir.path(), Eager, Some(UnixMs(now().0 + 1500)), false);
    let eager = |m: &Master| m.words().into_iter().find(|word| word.says == Eager);
    let word = master.until("a word that ends", eager).await;
    assert!(word.until.is_some());
    master.until_word(Reluctant).await;
    slave.stop().await;
}

#[tokio::test]
async fn a_rule_speaks_with_its_reason() {
    let master = Master::start().await;
    let always = "[[rule]]\nsay = \"reluctant\"\nhours = \"00:00-24:00\"\nreason = \"a small machine\"\n";
    let slave = Running::start(rules(&master, always));
    let word = master.until_word(Reluctant).await;
    assert_eq!((word.voice, word.because().as_str()), (Voice::Rule, "rule 1: a small machine"));
    slave.stop().await;
}

#[tokio::test]
async fn unavailable_lets_a_running_build_finish_and_takes_no_other() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.give(assignment(1, vec![sh("wait", "echo here; until [ -e go ]; do sleep 0.05; done")]));
    master.printed(build(1), 1, "here").await;
    ann(slave.basedir.path(), Unavailable, NEVER, false);
    master.until_word(Unavailable).await;
    // One that was on its way when the slave said so is handed back.
    master.give(assignment(2, vec![sh("test", "true")]));
    let (result, why) = result(&master.finished(build(2)).await);
    assert_eq!(result, Retry);
    assert!(why.contains("ann: a talk"), "{why}");
    std::fs::write(slave.basedir.path().join("work/0/build/go"), "").unwrap();
    assert_eq!(support::result(&master.finished(build(1)).await).0, Success);
    slave.stop().await;
}

#[tokio::test]
async fn now_hands_running_builds_back() {
    let unique = process::unique();
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.give(assignment(1, vec![sh("long", &format!("echo here; sleep {unique}"))]));
    master.printed(build(1), 1, "here").await;
    ann(slave.basedir.path(), Unavailable, NEVER, true);
    let (result, why) = result(&master.finished(build(1)).await);
    assert_eq!(result, Retry);
    assert!(why.contains("made unavailable (ann: a talk)"), "{why}");
    // The master knew that it takes nothing before it heard of the build's end.
    assert_eq!(master.words().pop().unwrap().says, Unavailable);
    process::until_sleepers(&unique, false).await;
    slave.stop().await;
}

#[tokio::test]
async fn a_slave_that_is_told_to_end_finishes_what_it_runs_within_its_bound() {
    let master = Master::start().await;
    let slave = Running::start(rules(&master, "drain = \"1h\""));
    master.give(assignment(1, vec![sh("wait", "echo here; until [ -e go ]; do sleep 0.05; done")]));
    master.printed(build(1), 1, "here").await;
    let go = slave.basedir.path().join("work/0/build/go");
    let stopping = tokio::spawn(slave.stop());
    let word = master.until_word(Unavailable).await;
    assert_eq!((word.voice, word.reason.as_str()), (Voice::Machine, "it was told to end, and finishes what it runs"));
    std::fs::write(go, "").unwrap();
    assert_eq!(result(&master.finished(build(1)).await).0, Success);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_slave_that_is_told_to_end_hands_back_what_is_not_done_in_time() {
    let unique = process::unique();
    let master = Master::start().await;
    let slave = Running::start(rules(&master, "drain = \"1s\""));
    master.give(assignment(1, vec![sh("long", &format!("echo here; sleep {unique}"))]));
    master.printed(build(1), 1, "here").await;
    let stopping = tokio::spawn(slave.stop());
    assert_eq!(result(&master.finished(build(1)).await).0, Retry);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_word_that_can_t_be_read_is_taken_for_unavailable() {
    let master = Master::start().await;
    let basedir = basedir();
    std::fs::write(basedir.path().join("availability.json"), "{\"word\":").unwrap();
    let slave = Running::start_in(basedir, config(&master, WantedIsolation::None));
    let word = master.until_word(Unavailable).await;
    assert!(word.voice == Voice::Machine && word.reason.contains("availability.json"), "{word:?}");
    say_nothing(slave.basedir.path());
    master.until_word(Eager).await;
    slave.stop().await;
}

fn say_nothing(basedir: &Path) {
    std::fs::remove_file(basedir.join("availability.json")).unwrap();
}

#[tokio::test]
async fn what_holds_can_be_read_beside_a_running_slave_with_the_admin_s_word() {
    let master = Master::start().await;
    let slave = Running::start(config(&master, WantedIsolation::None));
    master.until_word(Eager).await;
    ann(slave.basedir.path(), Reluctant, NEVER, false);
    master.until_word(Reluctant).await;
    let word = Word { says: Unavailable, voice: Voice::Admin, who: "olga".to_owned(), ..Word::nobody(now()) };
    master.send(ToSlave::Availability { admin: Unavailable, word: Some(word.clone()) });
    let basedir = slave.basedir.path().to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut read = None;
        testkit::watch::until(&basedir, "the admin's word", || {
            read = Some(status(&basedir, now()).unwrap());
            read.as_ref().is_some_and(|it| it.admin.is_some())
        });
        read.unwrap()
    });
    let it = read.await.unwrap();
    assert!(it.running);
    assert_eq!((it.word.says, it.admin), (Reluctant, Some(word)));
    let basedir = slave.stop().await;
    let it = status(basedir.path(), now()).unwrap();
    assert!(!it.running && it.word.says == Reluctant && it.admin.is_none(), "{it:?}");
}

#[tokio::test]
async fn a_machine_that_is_out_of_disk_says_so_and_takes_nothing() {
    let master = Master::start().await;
    // More than any disk has.
    let slave = Running::start(rules(&master, "min_free_disk = \"8000000TiB\""));
    let word = master.until_word(Unavailable).await;
    assert!(word.voice == Voice::Machine && word.reason.starts_with("out of disk: "), "{word:?}");
    // A person's word makes it no milder.
    ann(slave.basedir.path(), Eager, NEVER, false);
    master.give(assignment(1, vec![sh("test", "true")]));
    let (result, why) = result(&master.finished(build(1)).await);
    assert_eq!(result, Retry);
    assert!(why.contains("out of disk"), "{why}");
    slave.stop().await;
}

/// One request to the slave's page, and the answer as it came.
async fn ask(at: &str, request: String) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(at).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Where a slave's page is, without `http://`.
async fn page_of(slave: &Running) -> String {
    let folder = slave.basedir.path().to_owned();
    std::fs::write(folder.join("slave.toml"), "master = \"http://127.0.0.1:1\"\nname = \"testling\"\n").unwrap();
    let find = tokio::task::spawn_blocking(move || {
        let mut page = None;
        testkit::watch::until(&folder, "where the page is", || {
            page = status(&folder, now()).unwrap().page;
            page.is_some()
        });
        page.unwrap().strip_prefix("http://").unwrap().to_owned()
    });
    find.await.unwrap()
}

/// Whoever connects and says nothing, however often, keeps nobody from the page.
#[tokio::test]
async fn its_own_page_holds_so_many_connections_and_no_more() {
    use tokio::io::AsyncReadExt as _;
    let master = Master::start().await;
    let slave = Running::start_with(basedir(), config(&master, WantedIsolation::None), |slave| {
        slave.page = Some("127.0.0.1:0".parse().unwrap());
    });
    master.until_word(Eager).await;
    let at = page_of(&slave).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(tokio::net::TcpStream::connect(&at).await.unwrap());
    }
    let request = format!("GET / HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    assert!(ask(&at, request).await.starts_with("HTTP/1.1 200"));
    let mut byte = [0; 1];
    let closed = idle[0].read(&mut byte);
    assert!(matches!(tokio::time::timeout(PATIENCE, closed).await.unwrap(), Ok(0) | Err(_)));
    slave.stop().await;
}

#[tokio::test]
async fn its_own_page_shows_and_takes_words_and_nothing_from_other_sites() {
    let master = Master::start().await;
    let slave = Running::start_with(basedir(), config(&master, WantedIsolation::None), |slave| {
        slave.page = Some("127.0.0.1:0".parse().unwrap());
    });
    master.until_word(Eager).await;
    let at = page_of(&slave).await;
    let get = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let shown = ask(&at, get(&at)).await;
    assert!(shown.starts_with("HTTP/1.1 200") && shown.contains("It takes builds"), "{shown}");
    assert!(shown.contains("content-security-policy: default-src 'none'"), "{shown}");
    let csrf = shown.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(ask(&at, get("evil.example:8020")).await.starts_with("HTTP/1.1 403"));
    let post = |csrf: &str, more: &str| {
        let body = format!("csrf={csrf}&word=reluctant&length=2h&reason=a+talk");
        format!(
            "POST /word HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{more}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for (csrf, more) in [
        (csrf.as_str(), "Origin: http://evil.example\r\n"),
        (csrf.as_str(), "Origin: null\r\n"),
        (csrf.as_str(), "Sec-Fetch-Site: cross-site\r\n"),
        ("", ""),
        ("0123", ""),
    ] {
        assert!(ask(&at, post(csrf, more)).await.starts_with("HTTP/1.1 403"), "{more}");
    }
    assert!(!slave.basedir.path().join("availability.json").exists(), "nothing was said");
    let own = format!("Origin: http://{at}\r\nSec-Fetch-Site: same-origin\r\n");
    assert!(ask(&at, post(&csrf, &own)).await.starts_with("HTTP/1.1 303"));
    let word = master.until_word(Reluctant).await;
    assert_eq!((word.who.as_str(), word.reason.as_str(), word.until.is_some()), ("the slave's page", "a talk", true));
    assert!(ask(&at, get(&at)).await.contains("a talk"));
    slave.stop().await;
}
