//! Builds that wait go along with mainline and its recipe; what a branch had that ended comes back with it.

use crate::support::World;
use crate::support::slave::FakeSlave;
use master::store::Build;
use serde_json::{Value, json};

const BRANCH: &str = "/api/v1/projects/heron/branches/feature";

/// Puts a recipe onto mainline; gives the new tip.
fn mainline_takes(world: &World, builders: &[(&str, &str)]) -> String {
    let builder = |(name, slaves): &(&str, &str)| {
        format!("[[builder]]\nname = \"{name}\"\n{slaves}\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n")
    };
    let recipe: String = builders.iter().map(builder).collect();
    world.author.git(&["fetch", "--quiet", "origin"]);
    world.author.git(&["checkout", "--quiet", "--detach", "origin/main"]);
    let tip = world.author.commit(&[(".bb.toml", &recipe)], "Change the recipe");
    world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
    tip
}

async fn mainline_is(world: &World, tip: &str) {
    world
        .until("mainline is read", async || {
            let now = world.store().project(&"heron".parse().unwrap()).await.unwrap().unwrap().tip;
            if now.as_ref().is_some_and(|now| now.as_str() == tip) { Ok(()) } else { Err(format!("{now:?}")) }
        })
        .await;
}

async fn open(world: &World) -> Vec<Build> {
    let id = world.branch_row("feature").await.id;
    let mut open = world.store().open_builds().await.unwrap();
    open.retain(|build| build.branch == id);
    open
}

/// The mainline that a build was merged with.
async fn base(world: &World, build: &Build) -> String {
    world.store().candidate_by_id(build.candidate).await.unwrap().mainline.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_that_wait_go_along_with_mainline_and_its_recipe() {
    let world = World::start().await;
    let stuck = mainline_takes(&world, &[("linux", "slaves = [\"nosuch\"]"), ("old", "slaves = [\"nosuch\"]")]);
    mainline_is(&world, &stuck).await;
    world.publish("feature").await;
    world.verdict("feature", "stuck").await;
    let before = open(&world).await;
    assert_eq!(before.len(), 2);

    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    let mended = mainline_takes(&world, &[("linux", "")]);
    let assignment = oak.given().await;
    assert_eq!(assignment.builder.name, "linux");
    let after = open(&world).await;
    assert_eq!(after.len(), 1, "what the recipe names no more is not built");
    assert_eq!(after[0].id, before[0].id, "it keeps its number and its place");
    assert_eq!(base(&world, &after[0]).await, mended);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_again_is_the_candidate_of_now() {
    let world = World::start().await;
    world.publish("feature").await;
    world.asked("feature").await;
    let first = open(&world).await.remove(0);
    let cancelled = world.post(&format!("/api/v1/builds/{}/cancel", first.id), &json!({})).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    let tip = mainline_takes(&world, &[("linux", ""), ("new", "")]);
    world
        .until("there is a candidate on it", async || {
            let newest = world.store().candidate_of(first.revision).await.unwrap().unwrap();
            if newest.mainline.as_str() == tip { Ok(()) } else { Err(newest.mainline.to_string()) }
        })
        .await;
    let one = world.post(&format!("/api/v1/builds/{}/rebuild", first.id), &json!({})).await;
    assert_eq!(one.status, 200, "{}", one.text);
    let again = open(&world).await;
    assert_eq!(base(&world, &again[0]).await, tip);
    world.post(&format!("/api/v1/builds/{}/cancel", again[0].id), &json!({})).await;

    let all = world.post(&format!("{BRANCH}/rebuild"), &json!({})).await;
    let asked = all.json().as_array().map(Vec::len);
    let open = open(&world).await;
    assert!(
        open.iter().any(|b| b.builder.name == "linux") && open.iter().any(|b| b.builder.name == "new"),
        "{asked:?}"
    );
    for build in &open {
        assert_eq!(base(&world, build).await, tip);
    }
}

async fn withdraw_and_publish_again(world: &World) -> Value {
    assert_eq!(world.post(&format!("{BRANCH}/withdraw"), &json!({})).await.status, 200);
    let body = json!({"url": world.author.url(), "branch": "feature", "name": "feature"});
    let again = world.post("/api/v1/projects/heron/branches", &body).await;
    assert_eq!(again.status, 201, "{}", again.text);
    again.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_withdrawn_from_the_queue_is_ready_when_it_comes_back() {
    let world = World::start().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    oak.passes_next().await;
    world.verdict("feature", "ready").await;
    assert_eq!(world.post("/api/v1/projects/heron/queue/pause", &json!({})).await.status, 200);
    world.accept("feature").await;
    world.verdict("feature", "queue-paused").await;
    let again = withdraw_and_publish_again(&world).await;
    assert_eq!(again["verdict"]["code"], "ready", "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_withdrawn_before_it_was_built_is_built_when_it_comes_back() {
    let world = World::start().await;
    world.publish("feature").await;
    world.asked("feature").await;
    withdraw_and_publish_again(&world).await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    oak.passes_next().await;
    world.verdict("feature", "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_comes_later_builds_what_is_there() {
    let world = World::start().await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.publish("feature").await;
    oak.passes_next().await;
    world.verdict("feature", "ready").await;
    let tip = mainline_takes(&world, &[("linux", ""), ("later", "")]);
    let assignment = oak.given().await;
    assert_eq!(assignment.builder.name, "later");
    let asked = open(&world).await;
    assert_eq!((asked.len(), base(&world, &asked[0]).await), (1, tip));
}
