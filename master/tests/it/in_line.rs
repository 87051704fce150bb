//! What it costs that many wait in the queue: nothing while nothing changes, and each entry its own part when it lands.

use crate::queue::{code, publish, stepped, turns};
use crate::support::World;
use crate::support::counts::Counts;
use crate::support::slave::FakeSlave;
use master::stepping::Loop;
use serde_json::json;

/// So many branches in the queue, that are built together.
async fn waiting(many: usize) -> (World, FakeSlave, Vec<String>) {
    let (world, oak) = stepped().await;
    let names: Vec<String> = (0..many).map(|n| format!("work-{n}")).collect();
    for name in &names {
        publish(&world, name, &[(name, "x\n")], &json!({})).await;
        turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    }
    for name in &names {
        world.accept(name).await;
    }
    turns(&world, &[Loop::Queue, Loop::Queue, Loop::Schedule]).await;
    (world, oak, names)
}

/// Statements of a turn in which nothing is to be done, and of one in which all land.
async fn statements(counts: &Counts, many: usize) -> (u64, u64) {
    let (world, mut oak, names) = waiting(many).await;
    counts.clear();
    turns(&world, &[Loop::Queue]).await;
    let rests = counts.statements();
    let queue = world.get("/api/v1/projects/heron/queue").await.json();
    let places: Vec<_> =
        queue["entries"].as_array().unwrap().iter().map(|entry| entry["place"].as_u64().unwrap()).collect();
    assert_eq!(places, (1..=many as u64).collect::<Vec<_>>());
    oak.passes_next().await;
    counts.clear();
    turns(&world, &[Loop::Queue]).await;
    let lands = counts.statements();
    for name in &names {
        assert_eq!(code(&world, name).await, "landed", "{name}");
    }
    (rests, lands)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_asks_the_store_as_often_however_many_wait_and_a_landing_so_often_for_each() {
    let counts = Counts::begin();
    let (few, few_land) = Box::pin(statements(&counts, 2)).await;
    let (many, many_land) = Box::pin(statements(&counts, 12)).await;
    println!("{few} statements with two, {many} with twelve; {few_land} and {many_land} when they land");
    assert!(many <= few, "{few} statements with two, {many} with twelve");
    let each = (many_land - few_land) / 10;
    assert!(each <= 45, "{each} statements for each that lands");
}
