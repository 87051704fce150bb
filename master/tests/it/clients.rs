//! Many clients at once, on both databases: nobody is told that the store does not answer, and what is one stays one.

use crate::support::{Answer, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const BRANCH: &str = "/api/v1/projects/heron/branches/feature";
const CLIENTS: usize = 24;

/// The same asked by all clients at once; how many were answered with which status.
async fn at_once(world: &World, path: &str, body: &Value) -> (Vec<Answer>, BTreeMap<u16, usize>) {
    let asked = (0..CLIENTS).map(|_| world.post(path, body));
    let answers = futures_util::future::join_all(asked).await;
    let mut statuses = BTreeMap::new();
    for answer in &answers {
        *statuses.entry(answer.status).or_default() += 1;
    }
    (answers, statuses)
}

async fn crowd(settings: &str) {
    let world = World::start_as(settings, "").await;
    // No slave takes them: what is open stays so.
    world.publish("feature").await;
    world.asked("feature").await;
    let first = world.store().open_builds().await.unwrap().remove(0);
    let id = first.branch;

    let (_, statuses) = at_once(&world, &format!("/api/v1/builds/{}/cancel", first.id), &json!({})).await;
    assert_eq!(statuses, [(200, 1), (409, CLIENTS - 1)].into(), "it was cancelled once");
    let (answers, statuses) = at_once(&world, &format!("/api/v1/builds/{}/rebuild", first.id), &json!({})).await;
    assert_eq!(statuses, [(200, CLIENTS)].into());
    let open = world.store().open_builds().await.unwrap();
    assert_eq!(open.len(), 1, "one build for one builder: {open:?}");
    assert!(answers.iter().all(|a| a.json()["summary"]["id"] == open[0].id.0), "all were given that one");

    let again = json!({"url": world.author.url(), "branch": "feature", "name": "feature"});
    let (_, statuses) = at_once(&world, "/api/v1/projects/heron/branches", &again).await;
    assert_eq!(statuses, [(200, CLIENTS)].into());
    let names = (0..CLIENTS).map(|n| format!("other-{n}")).collect::<Vec<_>>();
    let others: Vec<Value> = names.iter().map(|n| json!({"url": world.author.url(), "branch": n})).collect();
    let publish = others.iter().map(|other| world.post("/api/v1/projects/heron/branches", other));
    let new = futures_util::future::join_all(publish).await;
    assert!(new.iter().all(|a| a.status == 201), "{:?}", new.iter().map(|a| &a.text).collect::<Vec<_>>());

    let commit = world.branch("feature").await["summary"]["commit"].clone();
    let (_, statuses) = at_once(&world, &format!("{BRANCH}/accept"), &json!({"commit": commit})).await;
    assert_eq!(statuses, [(200, CLIENTS)].into());
    let events = world.store().events_after(protocol::EventId(0), 10_000).await.unwrap();
    let of_branch = |kind| events.iter().filter(|e| e.branch == Some(id) && e.kind == kind).count();
    let told = ["published", "build-cancelled", "build-requested", "accepted"].map(of_branch);
    assert_eq!(told, [1, 1, 1, 1], "each happened once");

    let (_, statuses) = at_once(&world, &format!("{BRANCH}/withdraw"), &json!({})).await;
    assert_eq!(statuses, [(200, 1), (409, CLIENTS - 1)].into());
    let open = world.store().open_builds().await.unwrap();
    assert!(open.iter().all(|b| b.branch != id), "nothing is built any more: {open:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_at_once_on_sqlite() {
    crowd("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_at_once_on_postgresql() {
    let url = tokio::task::spawn_blocking(testkit::postgres::fresh_database).await.unwrap();
    crowd(&format!("store = {url:?}\n")).await;
}
