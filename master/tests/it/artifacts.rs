//! Files that steps keep: from the slave to whoever wants them, and no further than a file.

use crate::support::slave::{FakeSlave, ended, finished};
use crate::support::{Answer, World};
use master::stepping::Loop;
use protocol::BuildResult;
use protocol::artifacts::{Artifact, Artifacts};
use protocol::wire::{BuildRef, Happened, LogChunk, StepFile, ToSlave};
use reqwest::Method;
use tokio_tungstenite::tungstenite::Message;

const RECIPE: &str =
    "[[builder]]\nname = \"linux\"\n\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\nartifacts = \"doc/**\"\n";

/// A world whose recipe keeps files, and a build that begins.
async fn building(settings: &str) -> (World, FakeSlave, BuildRef, String) {
    let world = World::stepped_as(settings).await;
    crate::queue::by_hand(&world, &[(".bb.toml", RECIPE)]);
    world.turn(Loop::Mainline).await;
    let (mut oak, token) = FakeSlave::new(&world, "oak").await;
    crate::queue::publish(&world, "feature", &[("feature", "x\n")], &serde_json::json!({})).await;
    crate::queue::turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    let of = oak.given().await.of;
    oak.begins(of).await;
    (world, oak, of, token)
}

/// Step 1 has ended and keeps these files.
fn kept(files: &[(&str, u64)], notes: &[&str]) -> Happened {
    let file = |(path, bytes): &(&str, u64)| Artifact { path: (*path).to_owned(), bytes: *bytes };
    let notes = notes.iter().map(|note| (*note).to_owned()).collect();
    let mut what = finished(1, 0);
    if let Happened::StepFinished { artifacts, .. } = &mut what {
        *artifacts = Some(Box::new(Artifacts { files: files.iter().map(file).collect(), notes }));
    }
    what
}

async fn send(oak: &mut FakeSlave, of: BuildRef, offset: u64, bytes: &[u8]) {
    let chunk = LogChunk { of, file: StepFile::Artifacts(1), offset };
    oak.send(Message::Binary(chunk.encode(bytes).into())).await;
}

async fn ranged(world: &World, path: &str, range: &str) -> Answer {
    world.answer(world.request(Method::GET, path).header("range", range)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_keeps_is_had_file_by_file_and_whole() {
    let (world, mut oak, of, _) = building("").await;
    oak.report(of, 1, kept(&[("doc/<b>.html", 11), ("doc/a b/\u{e9}", 0), ("doc/z", 5)], &["one is left out"])).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 2 });
    oak.report(of, 2, ended(BuildResult::Success)).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 3 });
    let (api, page) = (format!("/api/v1/builds/{}", of.build), format!("/p/heron/builds/{}", of.build));
    let coming = world.get(&format!("{api}/steps/1/artifacts/doc/z")).await;
    assert_eq!((coming.status, coming.problem().as_str()), (503, "artifacts-coming"), "{}", coming.text);
    assert_eq!(world.get(&api).await.json()["steps"][0]["artifacts"]["state"], "coming");
    send(&mut oak, of, 0, b"<script>x<!hello").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Artifacts(1), next: 16 });
    assert_eq!(oak.answer().await, ToSlave::Forget { of }, "only now");

    let told = world.get(&api).await.json();
    let told = &told["steps"][0]["artifacts"];
    assert_eq!((&told["state"], &told["count"], &told["bytes"]), (&"here".into(), &3.into(), &16.into()), "{told}");
    let names: Vec<_> = told["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(names, ["doc/<b>.html", "doc/a b/\u{e9}", "doc/z"]);
    assert!(told["until_ms"].as_i64().is_some());
    for (file, text) in told["files"].as_array().unwrap().iter().zip(["<script>x<!", "", "hello"]) {
        let had = world.get(file["page"].as_str().unwrap()).await;
        assert_eq!((had.status, had.text.as_str()), (200, text));
        assert_eq!(had.header("content-type"), "application/octet-stream");
        assert!(had.header("content-disposition").starts_with("attachment; filename*=UTF-8''"));
        assert!(had.header("content-security-policy").contains("sandbox"));
    }
    let shown = world.get(&page).await.text;
    assert!(shown.contains("doc/&lt;b&gt;.html") && !shown.contains("<b>.html") && shown.contains("one is left out"));

    let part = ranged(&world, &format!("{api}/steps/1/artifacts/doc/z"), "bytes=1-2").await;
    assert_eq!((part.status, part.text.as_str()), (206, "el"));
    let beyond = ranged(&world, &format!("{api}/steps/1/artifacts/doc/z"), "bytes=5-").await;
    assert_eq!(beyond.status, 416);
    for path in ["steps/1/artifacts/doc", "steps/0/artifacts.tar", "steps/7/artifacts/x"] {
        assert_eq!(world.get(&format!("{api}/{path}")).await.status, 404, "{path}");
    }

    let archive = world.get(&format!("{api}/steps/1/artifacts.tar")).await.text;
    let mut archive = tar::Archive::new(archive.as_bytes());
    let mut unpacked = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        unpacked.push((entry.path().unwrap().to_str().unwrap().to_owned(), text));
    }
    let expected = [("doc/<b>.html", "<script>x<!"), ("doc/a b/\u{e9}", ""), ("doc/z", "hello")];
    assert_eq!(unpacked, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_when_they_were_kept_for_long_enough_and_their_names_stay() {
    let (world, mut oak, of, _) = building("").await;
    oak.report(of, 1, kept(&[("doc/z", 5)], &[])).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 2 });
    send(&mut oak, of, 0, b"hello").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Artifacts(1), next: 5 });
    world.turn(Loop::Expire).await;
    oak.ends(of, 2, BuildResult::Success).await;
    world.turn(Loop::Expire).await;
    let api = format!("/api/v1/builds/{}", of.build);
    assert_eq!(world.get(&format!("{api}/steps/1/artifacts/doc/z")).await.text, "hello");
    let pool = sqlx::AnyPool::connect(&master::store::Store::sqlite_url(&world.basedir())).await.unwrap();
    sqlx::query("UPDATE build SET finished_ms = 1000").execute(&pool).await.unwrap();
    pool.close().await;
    world.turn(Loop::Expire).await;
    let gone = world.get(&format!("{api}/steps/1/artifacts/doc/z")).await;
    assert_eq!((gone.status, gone.problem().as_str()), (410, "artifacts-gone"), "{}", gone.text);
    let told = world.get(&api).await.json();
    assert_eq!(told["steps"][0]["artifacts"]["state"], "gone");
    assert_eq!(told["steps"][0]["artifacts"]["files"][0]["path"], "doc/z");
    let page = world.get(&format!("/p/heron/builds/{}", of.build)).await.text;
    assert!(page.contains("doc/z") && !page.contains("artifacts.tar"), "{page}");
    assert!(!world.basedir().join(format!("logs/0/{}/1.artifacts", of.build)).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_files_are_too_many_those_of_the_oldest_build_go() {
    let (world, mut oak, of, _) = building("keep.artifacts_bytes = 9\n").await;
    keeps_five(&mut oak, of).await;
    world.turn(Loop::Expire).await;
    crate::queue::publish(&world, "second", &[("second", "x\n")], &serde_json::json!({})).await;
    crate::queue::turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    let second = oak.given().await.of;
    oak.begins(second).await;
    keeps_five(&mut oak, second).await;
    world.turn(Loop::Expire).await;
    let status =
        async |of: BuildRef| world.get(&format!("/api/v1/builds/{}/steps/1/artifacts/doc/z", of.build)).await.status;
    assert_eq!((status(of).await, status(second).await), (410, 200));
}

/// Step 1 keeps five bytes, and the build ends.
async fn keeps_five(oak: &mut FakeSlave, of: BuildRef) {
    // At once, as a slave sends them: what came just before is recorded before what comes with it is looked at.
    oak.report(of, 1, kept(&[("doc/z", 5)], &[])).await;
    send(oak, of, 0, b"hello").await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 2 });
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Artifacts(1), next: 5 });
    oak.ends(of, 2, BuildResult::Success).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_that_comes_back_goes_on_where_the_master_has_it_and_sends_no_more_than_may_be() {
    let (world, mut oak, of, token) = building("limits.artifact_bytes = 8\n").await;
    send(&mut oak, of, 0, b"hel").await;
    let none = ToSlave::LogAcknowledged { of, file: StepFile::Artifacts(1), next: 0 };
    assert_eq!(oak.answer().await, none, "not before it is told what they are");
    oak.report(of, 1, kept(&[("doc/z", 5)], &[])).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 2 });
    send(&mut oak, of, 0, b"hel").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Artifacts(1), next: 3 });
    drop(oak);
    let (mut oak, have) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
    assert!(have[0].logs.contains(&(StepFile::Artifacts(1), 3)), "{have:?}");
    send(&mut oak, of, 3, b"lo").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Artifacts(1), next: 5 });
    send(&mut oak, of, 5, b"more").await;
    let refused = oak.next().await;
    assert!(matches!(&refused, Some(ToSlave::Refused { reason }) if reason.contains("8 bytes")), "{refused:?}");
}

/// After a restore nobody has them: the deep check says so, for they would be on their way for ever.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_here_any_more_are_found_by_the_deep_check() {
    let (world, mut oak, of, _) = building("").await;
    keeps_five(&mut oak, of).await;
    let file = world.basedir().join(format!("logs/0/{}/1.artifacts", of.build));
    let found = async || {
        let found = master::inspect::inspect(&world.basedir(), false).await.unwrap().findings;
        found.into_iter().filter(|it| it.kind == "artifacts").map(|it| it.what).collect::<Vec<_>>()
    };
    std::fs::remove_file(&file).unwrap();
    assert_eq!(found().await, Vec::<String>::new(), "of a build that ended just now they may be on their way");
    let pool = sqlx::AnyPool::connect(&master::store::Store::sqlite_url(&world.basedir())).await.unwrap();
    sqlx::query("UPDATE build SET finished_ms = 1000").execute(&pool).await.unwrap();
    pool.close().await;
    assert_eq!(found().await, [format!("what step 1 of build #{} kept has 0 of 5 bytes", of.build)]);
    std::fs::write(&file, "hello").unwrap();
    assert_eq!(found().await, Vec::<String>::new());
}

/// Whatever a slave sends, of what a build leaves on the master's disk all is counted, and so goes when its time has come.
#[tokio::test(flavor = "multi_thread")]
async fn no_file_stays_that_nobody_counts() {
    let (world, mut oak, of, token) = building("limits.artifact_bytes = 8\nkeep.artifacts_bytes = 1\n").await;
    let there = || world.basedir().join(format!("logs/0/{}/1.artifacts", of.build)).exists();
    // It never says what they are, and the build ends.
    send(&mut oak, of, 0, b"hello").await;
    let none = ToSlave::LogAcknowledged { of, file: StepFile::Artifacts(1), next: 0 };
    assert_eq!(oak.answer().await, none);
    assert!(!there());
    // It says that they are fewer once they are here.
    oak.report(of, 1, kept(&[("doc/z", 8)], &[])).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 2 });
    send(&mut oak, of, 0, b"12345678").await;
    assert_eq!(oak.answer().await, ToSlave::LogAcknowledged { of, file: StepFile::Artifacts(1), next: 8 });
    oak.report(of, 2, kept(&[], &[])).await;
    assert_eq!(oak.answer().await, ToSlave::ReportsAcknowledged { of, next: 3 });
    assert_eq!(world.store().artifact_bytes().await.unwrap(), 8);
    oak.ends(of, 3, BuildResult::Success).await;
    world.turn(Loop::Expire).await;
    assert!(!there());
    // They are deleted, and the slave sends them once more.
    drop(oak);
    let (mut oak, _) = FakeSlave::connect(&world, &token, "oak", &[of]).await;
    send(&mut oak, of, 0, b"12345678").await;
    assert!(matches!(oak.answer().await, ToSlave::Forget { .. }));
    assert!(!there());
}
