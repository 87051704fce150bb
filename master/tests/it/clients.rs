//! Many clients at once, on both databases: nobody is told that the store does not answer, and what is one stays one.

use crate::support::slave::FakeSlave;
use crate::support::{Answer, World};
use master::stepping::Loop;
use master::store::{BranchState, Revoked, TokenKind};
use reqwest::Method;
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

    let as_read = world.as_read("feature").await;
    let (_, statuses) = at_once(&world, &format!("{BRANCH}/accept"), &as_read).await;
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

/// Whoever revokes a token is sure of it: what its bearer had asked for before, and was not done yet, is not done.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_allowed_is_done_only_while_it_counts() {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    world.publish("feature").await;
    for which in [Loop::Watch, Loop::Candidates, Loop::Builds] {
        world.turn(which).await;
    }
    FakeSlave::new(&world, "oak").await;
    let build = world.store().open_builds().await.unwrap().remove(0).id;
    let as_read = world.as_read("feature").await;
    let other = world.store().tokens().await.unwrap()[0].id;
    let acts = [
        ("/api/v1/projects/heron/branches".to_owned(), json!({"url": world.author.url(), "branch": "another"})),
        (format!("{BRANCH}/accept"), as_read),
        (format!("{BRANCH}/withdraw"), json!({})),
        (format!("{BRANCH}/rebuild"), json!({})),
        (format!("/api/v1/builds/{build}/rebuild"), json!({})),
        (format!("/api/v1/builds/{build}/cancel"), json!({})),
        ("/api/v1/projects/heron/queue/pause".to_owned(), json!({})),
        ("/api/v1/slaves/oak/availability".to_owned(), json!({"availability": "unavailable"})),
        ("/api/v1/tokens".to_owned(), json!({"kind": "maintainer", "name": "eve", "trusted": true})),
        (format!("DELETE /api/v1/tokens/{other}"), json!({})),
    ];
    for (path, body) in acts {
        let token = world.token(TokenKind::Maintainer, "olga").await;
        let id = world.store().tokens().await.unwrap()[0].id;
        // Its use is noted now, so that the next write is what it asks for.
        let seen = world.answer(world.request(Method::GET, "/api/v1/tokens").bearer_auth(&token)).await;
        assert_eq!(seen.status, 200);
        let before = world.store().newest_event().await.unwrap();
        let request = match path.strip_prefix("DELETE ") {
            Some(path) => world.request(Method::DELETE, path),
            None => world.request(Method::POST, &path),
        };
        world.stops().stop_at(&["store.write"]);
        let asked = tokio::spawn(request.bearer_auth(&token).json(&body).send());
        let held = world.stops().held().await;
        world.stops().stop_at(&[]);
        assert!(matches!(world.store().revoke_token(id).await.unwrap(), Revoked::Now(_)));
        held.go();
        let answer = asked.await.unwrap().unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{path}");
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(answer["code"], "token-revoked", "{path}: {answer}");
        assert_eq!(world.store().newest_event().await.unwrap(), before, "{path}");
    }
    let tokens = world.store().tokens().await.unwrap();
    assert!(tokens.iter().all(|t| t.name != "eve") && tokens.iter().any(|t| t.id == other && t.revoked.is_none()));
    assert_eq!(world.branch_row("feature").await.state, BranchState::Live);
    assert!(world.store().build(build).await.unwrap().unwrap().result().is_none());
}
