//! Listings of branches: all of them, by pages, with true counts.

use crate::support::World;
use master::stepping::Loop;
use master::store::{BranchState, NewBranch, Published};
use protocol::ProjectId;
use serde_json::Value;
use std::collections::BTreeSet;

async fn branch(world: &World, name: &str, ended: bool) {
    let new = NewBranch {
        project: ProjectId(1),
        name: Some(name.parse().unwrap()),
        url: format!("https://ann.example/{name}.git"),
        source_ref: "refs/heads/x".to_owned(),
        title: format!("About {name}"),
        bugs: Vec::new(),
        publisher: "ann".to_owned(),
        token: None,
        trusted: false,
    };
    let Published::New(branch) = world.store().publish(&new).await.unwrap() else { panic!("{name} is new") };
    if ended {
        world.store().end_branch(&branch, BranchState::Withdrawn, "withdrawn by ann", "ann").await.unwrap();
    }
}

/// All pages of a listing: their branches in order, and what each page counts.
async fn all(world: &World, query: &str) -> Vec<String> {
    let (mut names, mut after, mut counts) = (Vec::new(), String::new(), BTreeSet::new());
    loop {
        let answer = world.get(&format!("/api/v1/projects/heron/branches?{query}{after}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        counts.insert((page["live"].as_u64().unwrap(), page["ended"].as_u64().unwrap()));
        names.extend(page["branches"].as_array().unwrap().iter().map(|b| b["name"].as_str().unwrap().to_owned()));
        match &page["next"] {
            Value::Null => break,
            next => after = format!("&after={}", next.as_str().unwrap()),
        }
    }
    assert_eq!(counts.len(), 1, "every page counts all: {counts:?}");
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn no_branch_is_lost_however_many_ended() {
    let world = World::stepped().await;
    let live: Vec<String> = (0..12).map(|n| format!("live-{n}")).collect();
    let ended: Vec<String> = (0..230).map(|n| format!("ended-{n}")).collect();
    for name in &ended {
        branch(&world, name, true).await;
    }
    for name in &live {
        branch(&world, name, false).await;
    }
    let newest_first = |names: &[String]| names.iter().rev().cloned().collect::<Vec<_>>();
    let expected = [newest_first(&live), newest_first(&ended)].concat();
    for limit in ["", "&limit=1&q=ended-22", "&limit=7", "&limit=200"] {
        let names = all(&world, &format!("state=all{limit}")).await;
        let expected: Vec<String> =
            expected.iter().filter(|n| !limit.contains("q=") || n.contains("ended-22")).cloned().collect();
        assert_eq!(names, expected, "{limit}");
    }
    assert_eq!(all(&world, "limit=5").await, newest_first(&live));
    assert_eq!(all(&world, "state=all&q=ABOUT+ended-0").await, ["ended-0"], "the oldest is found, too");

    let page = world.get("/p/heron/branches?state=all").await.text;
    assert!(page.contains("12 live, 230 ended"), "{page}");
    let mut next = page;
    let mut seen = 0;
    loop {
        seen += next.matches("<tr id=\"b-").count();
        assert!(next.contains("12 live, 230 ended"));
        let Some(link) = next.split("rel=\"next\" href=\"").nth(1) else { break };
        let link = link.split('"').next().unwrap().replace("&amp;", "&").replace("&#x3D;", "=");
        next = world.get(&link).await.text;
    }
    assert_eq!(seen, 242);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_listed_is_said() {
    let world = World::stepped().await;
    let long = format!("q={}", "x".repeat(201));
    for query in [
        "state=foo",
        "after=x",
        "after=live-1",
        "after=ended-1-x",
        "limit=0",
        "limit=201",
        "limit=x",
        &long,
        "q=a%00",
        "bug=%00",
    ] {
        let api = world.get(&format!("/api/v1/projects/heron/branches?{query}")).await;
        assert_eq!((api.status, api.problem().as_str()), (400, "query"), "{query}");
        let page = world.get(&format!("/p/heron/branches?{query}")).await;
        assert!(page.status == 400 && page.text.contains("<code>query</code>"), "{query}: {}", page.status);
    }
    // Whatever is listed: not every database takes a NUL to be looked for.
    for path in ["/api/v1/projects/heron/builds?builder=%00", "/p/heron/builds?builder=a%00b", "/slaves?from=%00"] {
        assert_eq!(world.get(path).await.status, 400, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_called_in_lists_what_its_merge_is_called() {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    world.author.git(&["fetch", "--quiet", "origin"]);
    world.author.branch("hello", "origin/main");
    world.author.commit(&[("hello", "1\n")], "Say  hello\n\nTo all.");
    world.author.commit(&[("hello", "2\n")], "Mend a letter");
    let branches = "/api/v1/projects/heron/branches";
    let body = serde_json::json!({"url": world.author.url(), "branch": "hello", "name": "hello"});
    assert_eq!(world.post(branches, &body).await.status, 201);
    for which in [Loop::Watch, Loop::Candidates] {
        world.turn(which).await;
        let page = world.get(&format!("{branches}?q=SAY+hello")).await.json();
        assert_eq!(page["branches"][0]["title"], "Say hello", "{page}");
    }
    let branch = world.branch("hello").await;
    let message = branch["candidate"]["message"].as_str().unwrap();
    assert!(message.starts_with("Merge hello: Say hello\n"), "{message}");
    assert_eq!(branch["summary"]["title"], "Say hello");
    assert_eq!(world.get(&format!("{branches}?q=letter")).await.json()["live"], 0);
}
