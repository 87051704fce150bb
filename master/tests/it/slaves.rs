//! Slaves that come, go, and say what they should not.

use crate::support::World;
use crate::support::slave::{FakeSlave, ended, finished, hello, started};
use master::store::{BuildRowState, TokenKind};
use protocol::wire::{BuildRef, Happened, Have, MAX_CHUNK, MAX_TEXT, StepFile, ToMaster, ToSlave, VERSION, Version};
use protocol::{BuildId, BuildResult, Fence};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

fn log_file(world: &World, build: BuildId, step: u32) -> std::path::PathBuf {
    world.basedir().join(format!("logs/{}/{build}/{step}.log", build.0 / 1000))
}

/// A slave that was given a build and has begun its first step.
async fn building(world: &World) -> (FakeSlave, String, BuildRef) {
    let (mut oak, token) = FakeSlave::new(world, "oak").await;
    world.publish("feature").await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    (oak, token, of)
}

async fn connected(world: &World, name: &str, wanted: bool) {
    world
        .until(&format!("{name} is connected: {wanted}"), async || {
            let slaves = world.get("/api/v1/slaves").await.json();
            let it = slaves.as_array().unwrap().iter().find(|s| s["name"] == name).cloned().unwrap_or_default();
            if it["connected"] == wanted { Ok(()) } else { Err(it.to_string()) }
        })
        .await;
}

async fn refused(world: &World, token: &str, hello: protocol::wire::Hello) -> String {
    let mut slave = FakeSlave::open(world, token).await.unwrap();
    slave.say(&ToMaster::Hello(hello)).await;
    let Some(ToSlave::Refused { reason }) = slave.next().await else { panic!("it was not refused") };
    slave.closed().await;
    reason
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_that_can_t_work_here_is_told_why() {
    let world = World::start().await;
    let token = world.token(TokenKind::Slave, "oak").await;
    let newer = Version { major: VERSION.major + 1, minor: 0 };
    let said = refused(&world, &token, protocol::wire::Hello { version: newer, ..hello("oak", &[]) }).await;
    assert!(said.contains("update bb on the master"), "{said}");
    let said = refused(&world, &token, hello("elm", &[])).await;
    assert!(said.contains("`oak`") && said.contains("bb token new slave elm"), "{said}");
    for slots in [0, 1_000_000] {
        let said = refused(&world, &token, protocol::wire::Hello { slots, ..hello("oak", &[]) }).await;
        assert!(said.contains("slave.toml"), "{said}");
    }
    assert_eq!(world.get("/api/v1/slaves").await.json(), json!([]));
    for token in [world.token.as_str(), "bb_slave_unknown"] {
        match FakeSlave::open(&world, token).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 401),
            _ => panic!("only a slave's token opens this"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_ends_the_connection_and_nothing_else() {
    let world = World::start().await;
    let token = world.token(TokenKind::Slave, "oak").await;
    let of = BuildRef { build: BuildId(1), fence: Fence(1) };
    let report = serde_json::to_string(&ToMaster::Report(protocol::wire::Report {
        of,
        number: 0,
        at: protocol::UnixMs(1),
        what: started(1),
    }));
    let text = |text: &str| Message::Text(text.to_owned().into());
    let binary = |bytes: &[u8]| Message::Binary(bytes.to_vec().into());
    let before_hello = [text(&report.unwrap()), text("{"), text(""), text("{\"type\":\"hello\"}"), binary(b"{}\n")];
    for frame in before_hello {
        let mut slave = FakeSlave::open(&world, &token).await.unwrap();
        slave.send(frame).await;
        slave.closed().await;
    }
    assert_eq!(world.get("/api/v1/slaves").await.json(), json!([]), "none of them was a slave");

    let second = serde_json::to_string(&ToMaster::Hello(hello("oak", &[]))).unwrap();
    let deep = format!("{{\"type\":\"report\",\"of\":{}", "[".repeat(100_000));
    let after_hello = [
        text(&second),
        text("{\"type\":\"start\"}"),
        text(&deep),
        text(&"x".repeat(MAX_TEXT + 1)),
        binary(b""),
        binary(b"no line"),
        binary(b"{\"of\":1}\nx"),
        binary(&vec![b'\n'; MAX_CHUNK + 2]),
        binary(&vec![0; MAX_TEXT + 1]),
    ];
    for frame in after_hello {
        let (mut slave, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
        assert_eq!(have, [], "a build that was never given is to be forgotten");
        slave.send(frame).await;
        slave.closed().await;
        connected(&world, "oak", false).await;
    }
    let _oak = FakeSlave::connect(&world, &token, "oak", &[]).await;
    connected(&world, "oak", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_slave_s_build_is_out_of_reach() {
    let world = World::start().await;
    let (mut oak, _, of) = building(&world).await;
    let (mut elm, _) = FakeSlave::new(&world, "elm").await;
    for of in [of, BuildRef { fence: Fence(0), ..of }, BuildRef { build: BuildId(777), fence: Fence(1) }] {
        elm.chunk(of, 1, 0, b"forged").await;
        assert_eq!(elm.answer().await, ToSlave::Forget { of });
        elm.report(of, 1, ended(BuildResult::Success)).await;
        assert_eq!(elm.answer().await, ToSlave::Forget { of });
    }
    assert!(!log_file(&world, of.build, 1).exists() && !log_file(&world, BuildId(777), 1).exists());
    let build = world.store().build(of.build).await.unwrap().unwrap();
    assert_eq!((build.state, build.next_report), (BuildRowState::Running, 1));
    // Its own older fencing number does not count either.
    let old = BuildRef { fence: Fence(of.fence.0 - 1), ..of };
    oak.report(old, 1, ended(BuildResult::Success)).await;
    assert_eq!(oak.answer().await, ToSlave::Forget { of: old });
    oak.ends(of, 1, BuildResult::Success).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_takes_each_byte_once_wherever_a_chunk_claims_to_begin() {
    let world = World::start_as("[limits]\nlog_bytes = 100\n", "").await;
    let (mut oak, token, of) = building(&world).await;
    let at = |next| ToSlave::LogAcknowledged { of, file: StepFile::Log(1), next };
    oak.chunk(of, 1, 0, b"one ").await;
    assert_eq!(oak.answer().await, at(4));
    oak.chunk(of, 1, 9, b"after a gap").await;
    assert_eq!(oak.answer().await, at(4));
    oak.chunk(of, 1, 2, b"e two").await;
    assert_eq!(oak.answer().await, at(7));
    oak.chunk(of, 1, 0, b"ONE").await;
    assert_eq!(oak.answer().await, at(7));
    for offset in [u64::MAX, u64::MAX - 1, 1 << 40, 100 + (64 << 10)] {
        oak.chunk(of, 1, offset, b"xy").await;
        oak.closed().await;
        let have;
        (oak, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
        assert_eq!(have, [Have { of, next_report: 1, logs: vec![(StepFile::Log(1), 7)], cancel: false }], "{offset}");
    }
    assert_eq!(std::fs::read(log_file(&world, of.build, 1)).unwrap(), b"one two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_forgotten_only_after_its_log_is_durable() {
    let world = World::start().await;
    let (mut oak, _, of) = building(&world).await;
    // In one go, so that the master finds all of it at once.
    use futures_util::SinkExt as _;
    let chunk = protocol::wire::LogChunk { of, file: StepFile::Log(1), offset: 0 }.encode(b"0123456789");
    oak.socket.feed(Message::Binary(chunk.into())).await.unwrap();
    for (number, what) in [(1, finished(1, 10)), (2, ended(BuildResult::Success))] {
        let report = protocol::wire::Report { of, number, at: protocol::UnixMs(1), what };
        let text = serde_json::to_string(&ToMaster::Report(report)).unwrap();
        oak.socket.feed(Message::Text(text.into())).await.unwrap();
    }
    oak.socket.flush().await.unwrap();
    let mut heard = Vec::new();
    while heard.last() != Some(&ToSlave::Forget { of }) {
        heard.push(oak.answer().await);
    }
    assert!(heard.contains(&ToSlave::LogAcknowledged { of, file: StepFile::Log(1), next: 10 }), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_log_comes_after_its_end_is_forgotten_once_it_is_all_there() {
    let world = World::start().await;
    let (mut oak, token, of) = building(&world).await;
    oak.chunk(of, 1, 0, b"01234").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Log(1), next: 5 });
    oak.report(of, 1, finished(1, 10)).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 2 });
    oak.report(of, 2, ended(BuildResult::Success)).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 3 });
    drop(oak);

    let (mut oak, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
    assert_eq!(have, [Have { of, next_report: 3, logs: vec![(StepFile::Log(1), 5)], cancel: false }]);
    oak.chunk(of, 1, 5, b"56789").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Log(1), next: 10 });
    assert_eq!(oak.answer().await, ToSlave::Forget { of });
    assert_eq!(std::fs::read(log_file(&world, of.build, 1)).unwrap(), b"0123456789");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_killed_goes_on_from_what_is_durable() {
    let mut world = World::start().await;
    let (mut oak, token, of) = building(&world).await;
    oak.chunk(of, 1, 0, b"before ").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Log(1), next: 7 });
    world.kill_master().await;
    world.start_master().await;

    let (mut oak, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
    assert_eq!(have, [Have { of, next_report: 1, logs: vec![(StepFile::Log(1), 7)], cancel: false }]);
    // What it had not heard an answer to, it says again.
    oak.report(of, 0, started(1)).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 1 });
    oak.chunk(of, 1, 0, b"before and after").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Log(1), next: 16 });
    oak.report(of, 2, ended(BuildResult::Success)).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 1 }, "report 1 is missing");
    oak.report(of, 1, finished(1, 16)).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 2 });
    oak.ends(of, 2, BuildResult::Success).await;
    let branch = world.verdict("feature", "ready").await;
    let text = branch["timeline"].to_string();
    assert_eq!(text.matches("\"build-finished\"").count(), 1, "{text}");
    assert_eq!(world.get(&format!("/api/v1/builds/{}/log", of.build)).await.text, "before and after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_never_reached_its_slave_is_given_out_again() {
    let mut world = World::start().await;
    let (mut oak, token) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    let lost = oak.given().await.of;
    world.kill_master().await;
    world.start_master().await;
    let (mut oak, have) = FakeSlave::connect(&world, &token, "oak", &[]).await;
    assert_eq!(have, []);
    let again = oak.given().await.of;
    assert_eq!(again.build, lost.build, "the same build");
    assert!(again.fence > lost.fence);
    oak.report(lost, 0, started(1)).await;
    assert_eq!(oak.answer().await, ToSlave::Forget { of: lost });
    oak.ends(again, 0, BuildResult::Success).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_that_vanishes_loses_its_build_to_another() {
    let world = World::start_as("", "lease_s = 1").await;
    let (oak, token, of) = building(&world).await;
    let (mut elm, _) = FakeSlave::new(&world, "elm").await;
    drop(oak);
    let again = elm.given().await.of;
    assert_ne!(again.build, of.build);
    let first = world.store().build(of.build).await.unwrap().unwrap();
    assert_eq!(first.result(), Some(BuildResult::Retry));
    assert_eq!(first.retried_as, Some(again.build));
    elm.ends(again, 0, BuildResult::Success).await;

    let (mut oak, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
    assert_eq!(have, [], "it hears at once that nobody waits for it");
    oak.report(of, 1, ended(BuildResult::Failure)).await;
    assert_eq!(oak.answer().await, ToSlave::Forget { of });
    oak.chunk(of, 1, 0, b"late").await;
    assert_eq!(oak.answer().await, ToSlave::Forget { of });
    assert!(!log_file(&world, of.build, 1).exists());
    world.verdict("feature", "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_slave_counts_as_lost() {
    let world = World::start_as("", "silence_s = 1\nlease_s = 1").await;
    // Who doesn't read doesn't answer pings either.
    let (_oak, _, of) = building(&world).await;
    // Another one could run the build: without it, it would stay where it is.
    let (mut elm, _) = FakeSlave::new(&world, "elm").await;
    tokio::spawn(async move { while elm.next().await.is_some() {} });
    world
        .until("its build is given up", async || {
            let build = world.store().build(of.build).await.unwrap().unwrap();
            build.result().ok_or_else(|| format!("{:?}", build.state))
        })
        .await;
    connected(&world, "oak", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_connections_of_one_slave_the_newer_counts() {
    let world = World::start().await;
    let (mut older, token, of) = building(&world).await;
    let (mut newer, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
    assert_eq!(have.len(), 1);
    older.closed().await;
    connected(&world, "oak", true).await;
    newer.ends(of, 1, BuildResult::Success).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_whose_token_is_revoked_is_out_at_once() {
    let world = World::start().await;
    let (mut oak, token) = FakeSlave::new(&world, "oak").await;
    let tokens = world.request(reqwest::Method::GET, "/api/v1/tokens").bearer_auth(&world.token);
    let tokens = world.answer(tokens).await.json();
    let id = tokens.as_array().unwrap().iter().find(|t| t["name"] == "oak").unwrap()["id"].clone();
    let revoke = world.request(reqwest::Method::DELETE, &format!("/api/v1/tokens/{id}"));
    assert_eq!(world.answer(revoke.bearer_auth(&world.token)).await.status, 200);
    oak.closed().await;
    assert!(FakeSlave::open(&world, &token).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_can_t_be_written_is_not_acknowledged_and_goes_on_when_it_can_be() {
    let world = World::start().await;
    let (mut oak, token, of) = building(&world).await;
    oak.chunk(of, 1, 0, b"begun ").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Log(1), next: 6 });
    // A folder where the first step's file should be fails for everybody, root too.
    let blocked = log_file(&world, of.build, 0);
    std::fs::create_dir(&blocked).unwrap();
    oak.chunk(of, 0, 0, b"more").await;
    assert_eq!(oak.next().await, None, "no acknowledgement, and the connection ends");
    std::fs::remove_dir(&blocked).unwrap();

    let (mut oak, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
    assert_eq!(have, [Have { of, next_report: 1, logs: vec![(StepFile::Log(1), 6)], cancel: false }]);
    oak.chunk(of, 0, 0, b"more").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Log(0), next: 4 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_a_step_spoiled_is_recorded_all_the_same() {
    // PostgreSQL takes no NUL in a text.
    let url = tokio::task::spawn_blocking(testkit::postgres::fresh_database).await.unwrap();
    let world = World::start_as(&format!("store = {url:?}\n"), "").await;
    let (mut oak, _, of) = building(&world).await;
    let Happened::StepFinished { step, result, exit_code, log_len, reason, ran_ms, .. } = finished(1, 0) else {
        panic!()
    };
    let (links, summary) = (vec![("re\0port".to_owned(), "https://x/\0".to_owned())], "all\0 good".to_owned());
    let spoiled = Happened::StepFinished {
        step,
        result,
        exit_code,
        log_len,
        reason,
        lacks: None,
        ran_ms,
        links,
        summary,
        tests: None,
        artifacts: None,
    };
    oak.report(of, 1, spoiled).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 2 });
    oak.ends(of, 2, BuildResult::Success).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slave_says_is_recorded_only_while_its_token_counts() {
    let world = World::start().await;
    let (mut oak, _, of) = building(&world).await;
    // In the store alone, as by another master: nobody has ended the connection.
    let token = world.store().tokens().await.unwrap().into_iter().find(|token| token.name == "oak").unwrap();
    world.store().revoke_token(token.id).await.unwrap();
    oak.report(of, 1, ended(BuildResult::Success)).await;
    assert_eq!(oak.next().await, None, "no acknowledgement, and the connection ends");
    connected(&world, "oak", false).await;
    assert!(world.store().build(of.build).await.unwrap().unwrap().result().is_none());
}
