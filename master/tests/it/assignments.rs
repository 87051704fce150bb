//! Builds and the slaves that have them: what the rows say and what slaves hold is the same, and a slave says no more of a
//! build than its assignment allows.

use crate::support::World;
use crate::support::slave::{FakeSlave, ended, finished, hello, started};
use master::stepping::Loop;
use master::store::{BuildRowState, Finished, TokenKind};
use protocol::wire::{
    Availability, BuildRef, Happened, Hello, MAX_HELD, MAX_LINK, MAX_LINKS, MAX_SUMMARY, StepFile, ToMaster, ToSlave,
};
use protocol::{BuildId, BuildResult, Fence, SlaveId};
use serde_json::json;

/// A build of `feature` that waits.
async fn waiting() -> World {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    world.publish("feature").await;
    for which in [Loop::Watch, Loop::Candidates, Loop::Builds] {
        world.turn(which).await;
    }
    world
}

async fn state(world: &World, build: BuildId) -> BuildRowState {
    world.store().build(build).await.unwrap().unwrap().state
}

/// Waits until a slave's word on its availability was taken.
async fn said(world: &World, name: &str, wanted: Availability) {
    world
        .until(&format!("{name} said {wanted:?}"), async || {
            let slaves = world.store().slaves().await.unwrap();
            if slaves.iter().any(|s| s.name.as_str() == name && s.said == wanted) { Ok(()) } else { Err(String::new()) }
        })
        .await;
}

/// Waits until the master knows that a slave has gone.
async fn gone(world: &World, name: &str) {
    world
        .until(&format!("{name} is gone"), async || {
            let slaves = world.store().slaves().await.unwrap();
            if slaves.iter().any(|s| s.name.as_str() == name && s.connected) { Err(String::new()) } else { Ok(()) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_left_the_settings_takes_no_slot() {
    let mut world = World::start().await;
    world.publish("feature").await;
    world.asked("feature").await;
    world.kill_master().await;
    let settings = world.basedir().join("master.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("\"heron\"", "\"crane\"")).unwrap();
    world.start_master().await;
    let (mut oak, token) = FakeSlave::new(&world, "oak").await;
    let body = json!({"url": world.author.url(), "branch": "feature"});
    assert_eq!(world.post("/api/v1/projects/crane/branches", &body).await.status, 201);
    let given = oak.passes_next().await;
    assert_eq!(given.project.as_str(), "crane");
    assert_eq!(state(&world, BuildId(1)).await, BuildRowState::Waiting);
    drop(oak);

    // When it is back, so is its build.
    world.kill_master().await;
    std::fs::write(&settings, text).unwrap();
    world.start_master().await;
    let (mut oak, _) = FakeSlave::connect(&world, &token, "oak", &[]).await;
    assert_eq!(oak.passes_next().await.of.build, BuildId(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_slave_knows_nothing_of_is_taken_back() {
    let world = waiting().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    // What a master leaves that writes the row and then can't say so to the slave.
    let lost = world.store().give_out(BuildId(1), SlaveId(1)).await.unwrap().unwrap();
    for _ in 0..2 {
        world.turn(Loop::Schedule).await;
    }
    let of = oak.given().await.of;
    assert_eq!(of, BuildRef { build: BuildId(1), fence: Fence(lost.fence.0 + 1) });
    oak.begins(of).await;
    world.turn(Loop::Schedule).await;
    assert_eq!(state(&world, of.build).await, BuildRowState::Running, "what it has stays with it");
    oak.ends(of, 1, BuildResult::Success).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_forgets_what_no_row_gives_it() {
    let world = waiting().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.turn(Loop::Schedule).await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    let end = Finished { result: BuildResult::Retry, says: "somebody gave it up".to_owned() };
    world.store().give_up(of, &end).await.unwrap();
    world.turn(Loop::Schedule).await;
    let (mut forgot, mut again) = (false, None);
    while !(forgot && again.is_some()) {
        match oak.next().await.unwrap() {
            ToSlave::Forget { of: it } => forgot = it == of,
            ToSlave::Start(it) => again = Some(it.of),
            _ => {}
        }
    }
    oak.ends(again.unwrap(), 0, BuildResult::Success).await;
    // One that ended by the slave's own word and whose log is still to come is none of these.
    world.post("/api/v1/projects/heron/branches/feature/rebuild", &json!({})).await;
    world.turn(Loop::Schedule).await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    for (number, what) in [(1, finished(1, 3)), (2, ended(BuildResult::Success))] {
        oak.report(of, number, what).await;
        assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: number + 1 });
    }
    world.turn(Loop::Schedule).await;
    oak.chunk(of, 1, 0, b"log").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Log(1), next: 3 });
    assert_eq!(oak.answer().await, ToSlave::Forget { of });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_nobody_else_could_run_outlasts_the_lease() {
    let world = waiting().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.turn(Loop::Schedule).await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    drop(oak);
    gone(&world, "oak").await;
    world.turn(Loop::Schedule).await;
    assert_eq!(state(&world, of.build).await, BuildRowState::Running);
    let build = world.get(&format!("/api/v1/builds/{}", of.build)).await.json();
    let says = build["summary"]["says"].as_str().unwrap();
    assert!(says.contains("oak is away") && says.contains("no other"), "{says}");
    // A slave that takes no builds changes nothing.
    let elm_token = world.token(TokenKind::Slave, "elm").await;
    let mut elm = FakeSlave::open(&world, &elm_token).await.unwrap();
    elm.say(&ToMaster::Hello(Hello { availability: Availability::Unavailable, ..hello("elm", &[]) })).await;
    assert!(matches!(elm.next().await, Some(ToSlave::Welcome { .. })));
    world.turn(Loop::Schedule).await;
    assert_eq!(state(&world, of.build).await, BuildRowState::Running);
    elm.say(&ToMaster::Availability { said: Availability::Reluctant, reason: String::new(), word: None }).await;
    said(&world, "elm", Availability::Reluctant).await;
    world.turn(Loop::Schedule).await;
    assert_eq!(state(&world, of.build).await, BuildRowState::Finished(BuildResult::Retry));
    elm.say(&ToMaster::Availability { said: Availability::Eager, reason: String::new(), word: None }).await;
    said(&world, "elm", Availability::Eager).await;
    world.turn(Loop::Schedule).await;
    // One that could takes it over.
    let again = elm.given().await.of;
    assert_ne!(again.build, of.build);
    elm.ends(again, 0, BuildResult::Success).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_outlasted_the_lease_goes_on_when_its_slave_is_back_and_ends_when_nobody_wants_it() {
    let world = waiting().await;
    let (mut oak, token) = FakeSlave::new(&world, "oak").await;
    world.turn(Loop::Schedule).await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    for _ in 0..2 {
        drop(oak);
        gone(&world, "oak").await;
        world.turn(Loop::Schedule).await;
        let have;
        (oak, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
        assert_eq!(have.len(), 1);
    }
    drop(oak);
    gone(&world, "oak").await;
    assert_eq!(world.post(&format!("/api/v1/builds/{}/cancel", of.build), &json!({})).await.status, 200);
    world.turn(Loop::Schedule).await;
    assert_eq!(state(&world, of.build).await, BuildRowState::Finished(BuildResult::Cancelled));
}

/// What no assignment allows, of a build with one step.
fn forbidden() -> Vec<(u32, Happened)> {
    let name = |step, name: &str| Happened::StepStarted { step, name: name.to_owned() };
    let with = |links: usize, link: usize, summary: usize| {
        let Happened::StepFinished { step, result, exit_code, log_len, reason, lacks, ran_ms, .. } = finished(1, 0)
        else {
            panic!()
        };
        let links = vec![("n".repeat(link), "https://x/".to_owned()); links];
        Happened::StepFinished {
            step,
            result,
            exit_code,
            log_len,
            reason,
            lacks,
            ran_ms,
            links,
            summary: "s".repeat(summary),
            tests: None,
            artifacts: None,
        }
    };
    vec![
        (1, name(2, "test")),
        (1, name(u32::MAX, "test")),
        (1, name(1, "another")),
        (1, finished(7, 0)),
        (1, finished(1, u64::MAX)),
        (1, with(MAX_LINKS + 1, 1, 0)),
        (1, with(1, MAX_LINK + 1, 0)),
        (1, with(0, 0, MAX_SUMMARY + 1)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_assignment_does_not_allow_ends_the_connection_with_words_and_at_last_the_build() {
    let world = World::start().await;
    let (mut oak, token) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    let logs = world.basedir().join("logs/0").join(of.build.to_string());
    for (number, what) in forbidden() {
        oak.report(of, number, what.clone()).await;
        match oak.answer().await {
            ToSlave::Refused { reason } => assert!(reason.contains(&format!("build #{}", of.build)), "{reason}"),
            other => panic!("{what:?}: {other:?}"),
        }
        oak.closed().await;
        let have;
        (oak, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
        assert_eq!(have.len(), 1, "the build is still its after {what:?}");
        assert_eq!(have[0].next_report, 1, "nothing of it was recorded");
    }
    // Another one, and the build is run anew.
    oak.chunk(of, 4_000_000, 0, b"x").await;
    assert!(matches!(oak.answer().await, ToSlave::Refused { .. }));
    oak.closed().await;
    assert_eq!(state(&world, of.build).await, BuildRowState::Finished(BuildResult::Retry));
    assert!(!logs.exists() || std::fs::read_dir(&logs).unwrap().count() == 0);
    let (mut oak, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
    assert_eq!(have, []);
    oak.passes_next().await;
    world.verdict("feature", "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_steps_open_no_file() {
    let world = World::start().await;
    let (mut oak, token) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    let of = oak.given().await.of;
    for step in 2..1002 {
        oak.chunk(of, step, 0, b"x").await;
    }
    assert!(matches!(oak.answer().await, ToSlave::Refused { .. }));
    oak.closed().await;
    let logs = world.basedir().join("logs/0").join(of.build.to_string());
    assert!(!logs.exists(), "{:?}", std::fs::read_dir(&logs).unwrap().count());
    let (mut oak, _) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
    oak.ends(of, 0, BuildResult::Success).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_is_bounded_too() {
    let world = World::start().await;
    let token = world.token(TokenKind::Slave, "oak").await;
    let of = |n| BuildRef { build: BuildId(n), fence: Fence(1) };
    let many: Vec<BuildRef> = (0..=i64::try_from(MAX_HELD).unwrap()).map(of).collect();
    for (hello, word) in [
        (hello("oak", &many), "spool"),
        (Hello { labels: vec!["l".repeat(1000)], ..hello("oak", &[]) }, "slave.toml"),
        (Hello { labels: vec!["a\0b".to_owned()], ..hello("oak", &[]) }, "slave.toml"),
    ] {
        let mut slave = FakeSlave::open(&world, &token).await.unwrap();
        slave.say(&ToMaster::Hello(hello)).await;
        let Some(ToSlave::Refused { reason }) = slave.next().await else { panic!("it was not refused: {word}") };
        assert!(reason.contains(word), "{reason}");
    }
    let long = "w\0".repeat(10_000);
    let hello = Hello { machine: long.clone(), bb: long.clone(), isolation_notes: vec![long; 3], ..hello("oak", &[]) };
    let mut slave = FakeSlave::open(&world, &token).await.unwrap();
    slave.say(&ToMaster::Hello(hello)).await;
    assert!(matches!(slave.next().await, Some(ToSlave::Welcome { .. })));
    let row = world.store().slaves().await.unwrap().remove(0);
    assert!(row.machine.len() < 1000 && row.isolation_notes.iter().all(|note| note.len() < 1000));
    slave.report(of(1), 0, started(1)).await;
    assert_eq!(slave.answer().await, ToSlave::Forget { of: of(1) });
}
