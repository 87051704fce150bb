//! Turns taken one at a time, and whoever is stopped in the middle of one.

use crate::support::World;
use crate::support::slave::FakeSlave;
use master::stepping::Loop;
use protocol::ProjectId;
use serde_json::json;

/// A branch that passed.
async fn ready(world: &World) -> FakeSlave {
    world.turn(Loop::Mainline).await;
    let (mut oak, _) = FakeSlave::new(world, "oak").await;
    world.publish("feature").await;
    for which in [Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule] {
        world.turn(which).await;
    }
    oak.passes_next().await;
    oak
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_but_by_a_turn() {
    let world = World::stepped().await;
    let _oak = ready(&world).await;
    world.accept("feature").await;
    assert_eq!(world.official.log("main"), ["Begin"]);
    world.turn(Loop::Queue).await;
    assert_eq!(world.branch("feature").await["summary"]["verdict"]["code"], "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_stopped_goes_on_when_let_go_and_is_killed_with_the_master() {
    let mut world = World::stepped().await;
    let _oak = ready(&world).await;
    world.accept("feature").await;
    let before = world.official.head();

    world.stops().stop_at(&["queue.push", "queue.pushed"]);
    let turn = tokio::spawn(world.master().turn(Loop::Queue));
    let held = world.stops().held().await;
    assert_eq!(held.place, "queue.push");
    assert!(world.store().open_landing(ProjectId(1)).await.unwrap().is_some());
    assert_eq!(world.official.head(), before);
    held.go();
    assert_eq!(world.stops().held().await.place, "queue.pushed");
    let after = world.official.head();
    assert_ne!(after, before);

    // Killed between the push and its row, the next turn of the next master finds out.
    world.kill_master().await;
    turn.abort();
    world.start_master().await;
    world.turn(Loop::Queue).await;
    assert_eq!(world.branch("feature").await["summary"]["verdict"]["code"], "landed");
    assert_eq!(world.official.head(), after);
    assert_eq!(world.post("/api/v1/projects/heron/branches/feature/withdraw", &json!({})).await.status, 409);
}
