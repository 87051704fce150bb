//! Landing, when it is interrupted, overtaken or refused.

use crate::support::World;
use crate::support::slave::FakeSlave;
use master::auth::may_still_accept;
use master::store::{Begun, Candidate, Claim, Entry, Member, Standing, Store};
use protocol::api::Next;
use protocol::{BuildResult, CommitId, ProjectId};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

const QUEUE: &str = "/api/v1/projects/heron/queue";

async fn pause(world: &World, word: &str) {
    assert_eq!(world.post(&format!("{QUEUE}/{word}"), &json!({})).await.status, 200);
}

/// A branch that passed and was accepted, in a queue that is paused; and its candidate.
async fn about_to_land(world: &World) -> (FakeSlave, Candidate) {
    let (mut oak, _) = FakeSlave::new(world, "oak").await;
    world.publish("feature").await;
    oak.passes_next().await;
    world.verdict("feature", "ready").await;
    pause(world, "pause").await;
    world.accept("feature").await;
    let revision = world.store().newest_revision(world.branch_row("feature").await.id).await.unwrap().unwrap();
    let candidate = world.store().candidate_of(revision.id).await.unwrap().unwrap();
    (oak, candidate)
}

/// What a master leaves that was killed after it wrote down that it would push.
async fn intent(world: &World, candidate: &Candidate) -> CommitId {
    let commit = candidate.made_commit().unwrap().clone();
    let entry = world.store().queue(ProjectId(1)).await.unwrap().remove(0);
    let owner = world.basedir().display().to_string();
    let claim = world.store().claim_project(ProjectId(1), &owner, 30_000).await.unwrap().unwrap();
    begin(world.store(), claim, &entry, candidate).await;
    commit
}

/// Begins a landing though nobody resumed the queue.
async fn begin(store: &Store, claim: Claim, entry: &Entry, candidate: &Candidate) {
    let next = Next { who: "bb".to_owned(), what: "lands it".to_owned() };
    let standing = Standing { code: "landing".to_owned(), says: "it passed".to_owned(), next };
    store.set_standing(claim, entry, Some(candidate.id), &standing).await.unwrap();
    store.resume_queue(ProjectId(1), "mia").await.unwrap();
    let line = [Member::of(entry.id, candidate).unwrap()];
    let begun = store.begin_landing(claim, &candidate.mainline, &line, may_still_accept).await.unwrap();
    assert!(matches!(begun, Begun::Yes(_)));
}

fn landed_events(branch: &Value) -> usize {
    branch["timeline"].as_array().unwrap().iter().filter(|e| e["kind"] == "landed").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_intent_and_push_it_lands_once() {
    let mut world = World::start().await;
    let (_oak, candidate) = about_to_land(&world).await;
    // Nothing of this master may act on the intent: it is made as the last thing before the end.
    let commit = {
        let path = world.basedir();
        let store_url = master::store::Store::sqlite_url(&path);
        world.kill_master().await;
        let store = master::store::Store::open(&store_url).await.unwrap();
        let entry = store.queue(ProjectId(1)).await.unwrap().remove(0);
        let claim = store.claim_project(ProjectId(1), &path.display().to_string(), 30_000).await.unwrap().unwrap();
        let commit = candidate.made_commit().unwrap().clone();
        begin(&store, claim, &entry, &candidate).await;
        store.close().await;
        commit
    };
    assert_eq!(world.official.log("main"), ["Begin"]);
    world.start_master().await;
    let branch = world.verdict("feature", "landed").await;
    assert_eq!(world.official.head(), commit.as_str());
    assert_eq!(landed_events(&branch), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_push_and_row_it_is_recorded_once_also_when_mainline_went_on() {
    for goes_on in [false, true] {
        let mut world = World::start().await;
        let (_oak, candidate) = about_to_land(&world).await;
        let mirror = world.basedir().join("mirrors/heron.git");
        let commit = candidate.made_commit().unwrap().to_string();
        let store_url = master::store::Store::sqlite_url(&world.basedir());
        world.kill_master().await;
        let store = master::store::Store::open(&store_url).await.unwrap();
        let entry = store.queue(ProjectId(1)).await.unwrap().remove(0);
        let owner = world.basedir().display().to_string();
        let claim = store.claim_project(ProjectId(1), &owner, 30_000).await.unwrap().unwrap();
        begin(&store, claim, &entry, &candidate).await;
        store.close().await;
        testkit::git::Repo::at(mirror).git(&[
            "push",
            "--quiet",
            world.official.url(),
            &format!("{commit}:refs/heads/main"),
        ]);
        if goes_on {
            world.author.git(&["fetch", "--quiet", "origin"]);
            world.author.branch("outside", "origin/main");
            world.author.commit(&[("outside", "x\n")], "Push past bb");
            world.author.git(&["push", "--quiet", "origin", "outside:main"]);
        }
        let tip = world.official.head();
        world.start_master().await;
        let branch = world.verdict("feature", "landed").await;
        assert_eq!(branch["queue"][0]["landed"], commit, "{branch}");
        assert_eq!(landed_events(&branch), 1);
        assert_eq!(world.official.head(), tip, "nothing was pushed again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_of_a_running_master_is_finished_by_it() {
    let world = World::start().await;
    let (_oak, candidate) = about_to_land(&world).await;
    let commit = intent(&world, &candidate).await;
    pause(&world, "resume").await;
    world.verdict("feature", "landed").await;
    assert_eq!(world.official.head(), commit.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn mainline_that_moves_under_the_queue_makes_it_begin_anew() {
    let world = World::start().await;
    let (mut oak, token) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    let first = oak.given().await;
    world.accept("feature").await;
    oak.begins(first.of).await;

    world.author.branch("outside", "origin/main");
    world.author.commit(&[("outside", "x\n")], "Push past bb");
    world.author.git(&["push", "--quiet", "origin", "outside:main"]);
    let outside = world.official.head();
    world
        .until("the new mainline is seen", async || {
            let tip = world.store().project_by_id(ProjectId(1)).await.unwrap().tip;
            if tip.as_ref().is_some_and(|t| t.as_str() == outside) { Ok(()) } else { Err(format!("{tip:?}")) }
        })
        .await;
    oak.ends(first.of, 1, BuildResult::Success).await;
    let second = oak.given().await;
    assert_ne!(second.commit, first.commit);
    oak.ends(second.of, 0, BuildResult::Success).await;
    let branch = world.verdict("feature", "landed").await;
    assert_eq!(world.official.head(), second.commit.as_str());
    assert_eq!(world.official.resolve("main^1"), outside, "nothing of the outside push was lost");
    assert_eq!(landed_events(&branch), 1);
    let open = world.store().open_builds().await.unwrap();
    assert!(open.is_empty(), "no build is left over: {open:?}");
    drop((oak, token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_is_tried_again_ever_more_seldom_and_then_the_branch_leaves() {
    let world = World::start().await;
    let hook = world.official.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let tries = world.folder().join("tries");
    let script = format!("#!/bin/sh\ndate +%s%N >> {}\necho no pushes on Friday >&2\nexit 1\n", tries.display());
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (_oak, _) = about_to_land(&world).await;
    pause(&world, "resume").await;

    let queue = world.until("the standing says what the official repository said", async || {
        let queue = world.get(QUEUE).await.json();
        if queue["entries"][0]["code"] == "push-refused" { Ok(queue) } else { Err(queue["entries"].to_string()) }
    });
    let queue = queue.await;
    let entry = &queue["entries"][0];
    assert!(entry["says"].as_str().unwrap().contains("no pushes on Friday"), "{entry}");
    assert_eq!(entry["next"]["who"], "an admin", "{entry}");

    let left = world.until("it leaves the queue", async || {
        let queue = world.get(QUEUE).await.json();
        if queue["entries"] == json!([]) { Ok(queue["left"][0].clone()) } else { Err(queue["entries"].to_string()) }
    });
    let left = left.await;
    assert_eq!(left["code"], "ejected-push", "{left}");
    let times: Vec<u128> = std::fs::read_to_string(&tries).unwrap().lines().map(|t| t.parse().unwrap()).collect();
    let pauses: Vec<u128> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(pauses.len(), 4, "{pauses:?}");
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert_eq!(world.official.log("main"), ["Begin"]);

    // Mended and accepted again, it is pushed again.
    std::fs::remove_file(&hook).unwrap();
    world.accept("feature").await;
    world.verdict("feature", "landed").await;
}
