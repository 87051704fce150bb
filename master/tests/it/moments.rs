//! A page says one thing, and asks the store no more often for many branches than for few.

use crate::support::slave::FakeSlave;
use crate::support::{Answer, World};
use master::stepping::Loop;
use serde_json::Value;

/// Publishes a branch and brings it to where a maintainer accepts it.
async fn ready(world: &World, oak: &mut FakeSlave, name: &str) {
    world.publish(name).await;
    for which in [Loop::Mainline, Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule] {
        world.turn(which).await;
    }
    oak.passes_next().await;
}

/// Asks for a page, and does something when it has read so many things from the store. None when it never reads as many.
async fn interrupted(world: &World, path: &str, after: usize, what: impl AsyncFn()) -> Option<Answer> {
    world.stops().stop_at(&["store.read"]);
    let mut asked = Box::pin(world.get(path));
    for _ in 0..after {
        tokio::select! {
            _ = &mut asked => {
                world.stops().open();
                return None;
            }
            held = world.stops().held() => held.go(),
        }
    }
    let held = tokio::select! {
        _ = &mut asked => {
            world.stops().open();
            return None;
        }
        held = world.stops().held() => held,
    };
    world.stops().stop_at(&[]);
    what().await;
    held.go();
    Some(asked.await)
}

/// Whether a branch's page says that it landed; each of its parts must say the same.
fn says_landed(it: &Value) -> bool {
    let landed = it["summary"]["verdict"]["code"] == "landed";
    let place = &it["queue"][0];
    assert_eq!(place["landed"].is_string(), landed, "the queue beside the verdict: {it}");
    assert_eq!(place["place"].is_null(), landed, "{place}");
    assert_eq!(it["watch"]["next_ms"].is_null(), landed, "{}", it["watch"]);
    let told = it["timeline"].as_array().unwrap().iter().any(|event| event["kind"] == "landed");
    assert_eq!(told, landed, "the timeline beside the verdict: {}", it["timeline"]);
    landed
}

/// The same of an overview.
fn overview_says_landed(it: &Value, name: &str) -> bool {
    let has = |list: &str| it[list].as_array().unwrap().iter().any(|line| line["branch"] == name);
    let landed = has("landed");
    assert_eq!(has("queue"), !landed, "in the queue and landed at once, or neither: {it}");
    landed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_one_thing_while_something_lands() {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    let mut said = [Vec::new(), Vec::new()];
    // After each read of the page but its last, the branch lands.
    for after in 0.. {
        let mut is_over = true;
        for (page, said) in said.iter_mut().enumerate() {
            let name = format!("feature-{page}-{after}");
            ready(&world, &mut oak, &name).await;
            world.accept(&name).await;
            let path = match page {
                0 => format!("/api/v1/projects/heron/branches/{name}"),
                _ => "/api/v1/projects/heron".to_owned(),
            };
            let answer = interrupted(&world, &path, after, async || world.turn(Loop::Queue).await).await;
            match answer {
                Some(answer) => {
                    is_over = false;
                    let it = answer.json();
                    said.push(if page == 0 { says_landed(&it) } else { overview_says_landed(&it, &name) });
                }
                None => world.turn(Loop::Queue).await,
            }
            assert_eq!(world.branch(&name).await["summary"]["verdict"]["code"], "landed");
        }
        if is_over {
            break;
        }
    }
    for said in said {
        assert!(said.len() >= 6, "it is put together from several reads: {said:?}");
        // Before the first read it has landed; from then on it has not, whatever is read later.
        assert!(said[0]);
        assert!(said.iter().skip(1).any(|landed| !landed), "{said:?}");
        assert!(said.is_sorted_by(|before, after| before >= after), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_reads_more_often_for_many_branches_than_for_few() {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    let pages = [
        "/p/heron",
        "/p/heron/branches",
        "/p/heron/branches?state=all",
        "/p/heron/queue",
        "/api/v1/projects/heron",
        "/api/v1/projects/heron/branches?state=all",
        "/api/v1/projects/heron/queue",
        "/api/v1/slaves",
    ];
    let mut counts = Vec::new();
    for round in [2, 8] {
        for n in 0..round {
            // Of each kind; nothing lands, so that all stays as it is.
            for kind in ["ready", "queued", "withdrawn"] {
                let name = format!("{kind}-{round}-{n}");
                ready(&world, &mut oak, &name).await;
                if kind != "ready" {
                    world.accept(&name).await;
                }
                if kind == "withdrawn" {
                    let path = format!("/api/v1/projects/heron/branches/{name}/withdraw");
                    assert_eq!(world.post(&path, &serde_json::json!({})).await.status, 200);
                }
            }
        }
        let mut count = Vec::new();
        for page in pages {
            count.push((page, world.reads(page).await));
        }
        counts.push(count);
    }
    assert_eq!(counts[0], counts[1]);
    for (page, count) in &counts[1] {
        assert!(*count <= 32, "{page} reads {count} times");
    }
}
