//! What a landing costs those who are behind it in the queue: nothing.

use crate::queue::{code, publish, stepped, turns};
use crate::support::counts::Counts;
use master::stepping::Loop;
use serde_json::json;

const ALL: [Loop; 4] = [Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule];

/// Statements of the turns from one landing to the next, while so many are behind it.
async fn statements_of_a_landing(counts: &Counts, behind: usize) -> u64 {
    let (world, mut oak) = stepped().await;
    let names: Vec<String> = (0..behind + 2).map(|n| format!("work-{n}")).collect();
    for name in &names {
        publish(&world, name, &[(name, "x\n")], &json!({})).await;
        turns(&world, &ALL).await;
        oak.passes_next().await;
    }
    for name in &names {
        world.accept(name).await;
    }
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(code(&world, &names[0]).await, "landed");
    // The second is made on the new mainline, built and landed; what is behind it is left as it is.
    counts.clear();
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    let statements = counts.statements();
    assert_eq!(code(&world, &names[1]).await, "landed");
    let tip = world.official.head();
    for name in &names[2..] {
        let branch = world.branch(name).await;
        assert_ne!(branch["candidate"]["mainline"], json!(tip), "{name} is made when its turn comes");
        assert_eq!(branch["candidate"]["again"], json!(false), "{name} is not doubted meanwhile");
    }
    let places: Vec<_> = world.get("/api/v1/projects/heron/queue").await.json()["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["says"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(places.len(), behind);
    if let Some(last) = places.get(3) {
        assert_eq!(last, "3 branches are before it");
    }
    statements
}

#[tokio::test(flavor = "multi_thread")]
async fn a_landing_asks_the_store_as_often_however_many_are_behind_it() {
    let counts = Counts::begin();
    let few = statements_of_a_landing(&counts, 1).await;
    let many = statements_of_a_landing(&counts, 12).await;
    println!("{few} statements with one behind, {many} with twelve");
    assert!(many <= few + 2, "{few} statements with one behind, {many} with twelve");
}
