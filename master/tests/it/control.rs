//! What people say of the queue beside its order: acceptances for when it is green, the calendar, and the page's own buttons.

use crate::queue::{BRANCHES, by_hand, code, publish, stepped, turns, verdict};
use crate::strangers::Sends as _;
use crate::support::World;
use crate::terms::signed_in;
use master::stepping::Loop;
use master::store::TokenKind;
use protocol::BuildResult;
use reqwest::Method;
use serde_json::{Value, json};

const TO_BUILDS: [Loop; 5] = [Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Queue, Loop::Schedule];
const TO_THE_END: [Loop; 4] = [Loop::Candidates, Loop::Queue, Loop::Schedule, Loop::Queue];

async fn accept_when_green(world: &World, name: &str) -> Value {
    let mut it = world.as_read(name).await;
    it["when_green"] = json!(true);
    let answer = world.post(&format!("{BRANCHES}/{name}/accept"), &it).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn place(world: &World, name: &str) -> Value {
    world.branch(name).await["queue"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_for_when_it_is_green_waits_for_what_passes_alone() {
    let (world, mut oak) = stepped().await;
    publish(&world, "first", &[("first", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    let accepted = accept_when_green(&world, "first").await;
    assert_eq!(accepted["when_green"], true);
    // Others go by, also those that were accepted later.
    publish(&world, "second", &[("second", "x\n")], &json!({})).await;
    turns(&world, &TO_BUILDS).await;
    world.accept("second").await;
    turns(&world, &TO_THE_END).await;
    assert_eq!(code(&world, "first").await, "when-green");
    assert_eq!(place(&world, "first").await["says"], "accepted for when it is green; linux is left");
    let asked = world.store().open_builds().await.unwrap();
    let first = world.branch_row("first").await.id;
    assert!(asked.iter().all(|build| build.branch != first || !build.for_queue), "{asked:?}");

    // The first build is first's own, alone.
    let build = oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    assert_ne!(code(&world, "first").await, "when-green", "{build:?}");
    assert!(place(&world, "first").await.get("when_green").is_none());
    let events = world.branch("first").await["timeline"].to_string();
    assert!(events.contains("for when it is green") && events.contains("Passed alone"), "{events}");
    for _ in 0..6 {
        turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
        if !world.store().open_builds().await.unwrap().is_empty() {
            oak.passes_next().await;
        }
    }
    turns(&world, &[Loop::Queue]).await;
    assert_eq!((code(&world, "first").await, code(&world, "second").await), ("landed".into(), "landed".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_green_or_not_the_newest_does_not_land_by_it() {
    let (world, mut oak) = stepped().await;
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    accept_when_green(&world, "feature").await;
    turns(&world, &[Loop::Schedule]).await;
    let of = oak.given().await.of;
    oak.ends(of, 0, BuildResult::Failure).await;
    turns(&world, &TO_THE_END).await;
    let it = place(&world, "feature").await;
    assert_eq!((&it["code"], &it["next"]["what"]), (&json!("when-green"), &json!("makes linux pass")), "{it}");
    assert_eq!(verdict(&world, "feature").await, "queue-held");

    // Accepted for when it is green a second time it is the same; a newer revision ends it.
    accept_when_green(&world, "feature").await;
    assert_eq!(code(&world, "feature").await, "when-green");
    publish(&world, "feature", &[("feature", "y\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Queue]).await;
    let it = place(&world, "feature").await;
    assert_eq!((&it["code"], &it["next"]["who"]), (&json!("ejected-outdated"), &json!("a maintainer")), "{it}");

    // Accepted at once the same place waits no longer.
    turns(&world, &[Loop::Candidates, Loop::Builds]).await;
    accept_when_green(&world, "feature").await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(code(&world, "feature").await, "when-green");
    world.accept("feature").await;
    turns(&world, &TO_THE_END).await;
    assert_eq!(code(&world, "feature").await, "testing");
    oak.passes_next().await;
    turns(&world, &TO_THE_END).await;
    assert_eq!(code(&world, "feature").await, "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_freeze_nothing_lands_but_what_it_lets_by_and_everybody_is_told() {
    let (world, mut oak) = stepped().await;
    let recipe = world.official.show("main", ".bb.toml");
    let freeze = "[[queue.freeze]]\nfrom = \"2020-01-01\"\nto = \"9000-01-01\"\nexcept = 10\nreason = \"the <b>release</b> is cut\"\n";
    by_hand(&world, &[(".bb.toml", &format!("{freeze}{recipe}"))]);
    turns(&world, &[Loop::Mainline]).await;
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.accept("feature").await;
    turns(&world, &TO_THE_END).await;
    oak.passes_next().await;
    turns(&world, &TO_THE_END).await;
    let it = place(&world, "feature").await;
    let says =
        "mainline is frozen until Wed 9000-01-01 00:00 (UTC); priority 10 and above lands: the <b>release</b> is cut";
    assert_eq!((&it["code"], &it["says"], &it["next"]["who"]), (&json!("frozen"), &json!(says), &json!("bb")), "{it}");
    assert_eq!(verdict(&world, "feature").await, "queue-paused");
    let queue = world.get("/api/v1/projects/heron/queue").await.json();
    assert_eq!(queue["project"]["frozen"]["says"], says);
    for page in ["/p/heron", "/p/heron/queue", "/p/heron/branches/feature", "/p/heron/branches"] {
        let text = world.get(page).await.text;
        assert!(text.contains("rozen until Wed 9000-01-01 00:00 (UTC)") && !text.contains("<b>release"), "{page}");
    }
    assert_eq!(world.post(&format!("{BRANCHES}/feature/priority"), &json!({"priority": 10})).await.status, 200);
    turns(&world, &TO_THE_END).await;
    assert_eq!(code(&world, "feature").await, "landed");

    // One that never ends is warned of, and one that is over for ever.
    let freezes =
        "[[queue.freeze]]\nfrom = \"2020-01-01\"\n[[queue.freeze]]\nfrom = \"2020-01-01\"\nto = \"2020-01-02\"\n";
    by_hand(&world, &[(".bb.toml", &format!("{freezes}{recipe}"))]);
    turns(&world, &[Loop::Mainline]).await;
    let page = world.get("/p/heron/queue").await.text;
    assert!(page.contains("it never ends") && page.contains("it is over for ever"), "{page}");
    assert!(page.contains("gives the freeze an end") || page.contains("never ends by itself"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_s_page_has_the_buttons_for_whoever_may() {
    let (world, _oak) = stepped().await;
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.accept("feature").await;
    assert!(!world.get("/p/heron/queue").await.text.contains("Steer"), "nobody in particular may");
    let (cookie, csrf) = signed_in(&world).await;
    let page = async || {
        let request = world.request(Method::GET, "/p/heron/queue").header("cookie", &cookie);
        world.answer(request).await.text
    };
    let send = async |verb: &str, fields: &[(&str, &str)]| {
        let path = format!("/p/heron/branches/feature/{verb}");
        let request = world.request(Method::POST, &path).header("cookie", &cookie);
        let own = [("csrf", csrf.as_str())];
        let fields: Vec<(&str, &str)> = own.into_iter().chain(fields.iter().copied()).collect();
        world.answer(request.sends(&fields)).await.status
    };
    assert!(page().await.contains("action=\"/p/heron/branches/feature/hold\""));
    assert_eq!(send("hold", &[("reason", "ask Tom")]).await, 303);
    let text = page().await;
    assert!(text.contains("action=\"/p/heron/branches/feature/release\"") && text.contains("ask Tom"), "{text}");
    assert_eq!(send("release", &[]).await, 303);
    assert_eq!(send("priority", &[("priority", "7")]).await, 303);
    assert!(page().await.contains("priority 7"));
    assert_eq!(send("priority", &[("priority", "soon")]).await, 422);
    assert_eq!(send("eject", &[("reason", "breaks the demo")]).await, 303);
    assert_eq!(code(&world, "feature").await, "ejected-by-hand");
    let says = place(&world, "feature").await["says"].to_string();
    assert!(says.contains("taken out by mia: breaks the demo"), "{says}");

    let ann = world.token(TokenKind::Publisher, "ann").await;
    for verb in ["hold", "release", "priority", "eject"] {
        let body = json!({"reason": "", "priority": 1});
        assert_eq!(world.post_as(&ann, &format!("{BRANCHES}/feature/{verb}"), &body).await.status, 403, "{verb}");
    }
}
