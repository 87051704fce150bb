//! Maintainers steer the queue: paused with a name and a reason, and one branch held, moved or taken out.

use crate::queue::{BRANCHES, code, publish, stepped, turns, verdict};
use crate::support::World;
use master::stepping::Loop;
use master::store::TokenKind;
use serde_json::{Value, json};

const QUEUE: &str = "/api/v1/projects/heron/queue";

async fn accepted(world: &World, names: &[&str]) {
    for name in names {
        publish(world, name, &[(name, "x\n")], &json!({})).await;
        turns(world, &[Loop::Watch, Loop::Candidates]).await;
        world.accept(name).await;
    }
}

async fn queue(world: &World) -> Value {
    world.get(QUEUE).await.json()
}

async fn says(world: &World, name: &str) -> String {
    world.branch(name).await["queue"][0]["says"].as_str().unwrap().to_owned()
}

async fn tell(world: &World, name: &str, verb: &str, body: &Value) -> (u16, String) {
    let answer = world.post(&format!("{BRANCHES}/{name}/{verb}"), body).await;
    let code = if answer.status < 300 { String::new() } else { answer.problem() };
    (answer.status, code)
}

async fn order(world: &World) -> Vec<String> {
    let entries = queue(world).await["entries"].as_array().unwrap().clone();
    entries.iter().map(|entry| entry["branch"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pauses_says_why_and_everybody_reads_it() {
    let (world, mut oak) = stepped().await;
    accepted(&world, &["first"]).await;
    let paused = world.post(&format!("{QUEUE}/pause"), &json!({"reason": "the release\nis cut"})).await.json();
    assert_eq!(paused["project"]["pause"]["reason"], "the release is cut");
    assert_eq!(paused["project"]["pause"]["by"], "mia");
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(code(&world, "first").await, "paused");
    assert_eq!(says(&world, "first").await, "the queue is paused by mia: the release is cut");
    let page = world.get("/p/heron/queue").await.text;
    assert!(page.contains("Paused by mia, nothing lands until a maintainer resumes it: the release is cut"), "{page}");
    // Said again without a reason, the first one stays; with another, that one counts.
    for (reason, shown) in [("", "the release is cut"), ("it is Friday", "it is Friday")] {
        let again = world.post(&format!("{QUEUE}/pause"), &json!({"reason": reason})).await.json();
        assert_eq!(again["project"]["pause"]["reason"], shown);
    }
    let resumed = world.post(&format!("{QUEUE}/resume"), &json!({})).await.json();
    assert_eq!((&resumed["project"]["paused"], &resumed["project"]["pause"]), (&json!(false), &Value::Null));
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(code(&world, "first").await, "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_held_is_neither_tested_nor_landed_and_others_go_by() {
    let (world, mut oak) = stepped().await;
    accepted(&world, &["first", "second", "third"]).await;
    turns(&world, &[Loop::Queue, Loop::Schedule]).await;
    // It is in the stack that is built, which does not land for that.
    let build = oak.given().await;
    assert_eq!(tell(&world, "second", "hold", &json!({"reason": "ask Tom"})).await.0, 200);
    assert_eq!(
        (code(&world, "second").await, says(&world, "second").await),
        ("on-hold".into(), "held by mia: ask Tom".into())
    );
    assert_eq!(verdict(&world, "second").await, "queue-paused");
    oak.ends(build.of, 0, protocol::BuildResult::Success).await;
    for _ in 0..3 {
        turns(&world, &[Loop::Queue, Loop::Schedule]).await;
        let asked = world.store().open_builds().await.unwrap().iter().any(|build| build.for_queue);
        if !asked {
            break;
        }
        oak.passes_next().await;
    }
    turns(&world, &[Loop::Queue]).await;
    assert_eq!((code(&world, "first").await, code(&world, "third").await), ("landed".into(), "landed".into()));
    assert!(!world.official.files("main").contains(&"second".to_owned()));
    assert_eq!(code(&world, "second").await, "on-hold");
    // What everybody is told also when the queue has looked at it.
    assert_eq!(queue(&world).await["entries"][0]["hold"]["reason"], "ask Tom");
    assert_eq!(tell(&world, "second", "release", &json!({})).await.0, 200);
    assert_eq!(code(&world, "second").await, "accepted");
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(code(&world, "second").await, "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_moved_and_one_is_taken_out() {
    let (world, _oak) = stepped().await;
    accepted(&world, &["first", "second", "third"]).await;
    assert_eq!(tell(&world, "third", "priority", &json!({"priority": 5})).await.0, 200);
    assert_eq!(tell(&world, "first", "priority", &json!({"priority": -5})).await.0, 200);
    assert_eq!(order(&world).await, ["third", "second", "first"]);
    assert_eq!(tell(&world, "second", "eject", &json!({"reason": "breaks the demo"})).await.0, 200);
    assert_eq!(order(&world).await, ["third", "first"]);
    assert_eq!(code(&world, "second").await, "ejected-by-hand");
    assert_eq!(says(&world, "second").await, "taken out by mia: breaks the demo");
    let told = world.branch("second").await["timeline"].to_string();
    assert!(told.contains("Left the queue: taken out by mia"), "{told}");
    // It may come again.
    world.accept("second").await;
    assert_eq!(order(&world).await, ["third", "second", "first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_maintainers_steer_and_only_what_is_in_the_queue() {
    let (world, _oak) = stepped().await;
    accepted(&world, &["first"]).await;
    let ann = world.token(TokenKind::Publisher, "Ann").await;
    for (verb, body) in
        [("hold", json!({})), ("release", json!({})), ("priority", json!({"priority": 1})), ("eject", json!({}))]
    {
        let answer = world.post_as(&ann, &format!("{BRANCHES}/first/{verb}"), &body).await;
        assert_eq!(answer.status, 403, "{verb}: {}", answer.text);
    }
    publish(&world, "other", &[("other", "x\n")], &json!({})).await;
    assert_eq!(tell(&world, "other", "hold", &json!({})).await, (409, "not-queued".to_owned()));
    assert_eq!(tell(&world, "nobody", "eject", &json!({})).await.0, 404);
    assert_eq!(tell(&world, "first", "priority", &json!({"priority": 99_999_999_999i64})).await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_pushed_is_not_steered() {
    let (world, mut oak) = stepped().await;
    accepted(&world, &["first"]).await;
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    oak.passes_next().await;
    world.stops().stop_at(&["queue.push"]);
    let turn = tokio::spawn(world.master().turn(Loop::Queue));
    let held = world.stops().held().await;
    for (verb, body) in [("hold", json!({})), ("priority", json!({"priority": 1})), ("eject", json!({}))] {
        assert_eq!(tell(&world, "first", verb, &body).await, (409, "being-pushed".to_owned()), "{verb}");
    }
    held.go();
    turn.await.unwrap().unwrap();
    assert_eq!(code(&world, "first").await, "landed");
}

async fn depending(world: &World, name: &str, on: &[&str]) -> crate::support::Answer {
    let mut read = world.as_read(name).await;
    read["depends_on"] = json!(on);
    world.post(&format!("{BRANCHES}/{name}/accept"), &read).await
}

/// It is accepted first, and lands after what it needs, or by the same push.
#[tokio::test(flavor = "multi_thread")]
async fn what_needs_another_lands_after_it_and_waits_with_a_word_until_that_is_accepted() {
    let (world, mut oak) = stepped().await;
    for name in ["needed", "other", "needs"] {
        publish(&world, name, &[(name, "x\n")], &json!({})).await;
        turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    }
    assert_eq!(depending(&world, "needs", &["needed"]).await.status, 200);
    world.accept("other").await;
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    assert_eq!(says(&world, "needs").await, "it needs needed, which is not in the queue");
    let next = world.branch("needs").await["queue"][0]["next"].clone();
    assert_eq!(next["who"], "a maintainer");
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(code(&world, "other").await, "landed");
    world.accept("needed").await;
    for _ in 0..3 {
        turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
        if world.store().open_builds().await.unwrap().iter().any(|build| build.for_queue) {
            oak.passes_next().await;
        }
    }
    turns(&world, &[Loop::Queue]).await;
    assert_eq!((code(&world, "needed").await, code(&world, "needs").await), ("landed".into(), "landed".into()));
    let first_parents = world.official.git(&["log", "--first-parent", "--format=%s", "main"]);
    let at = |name: &str| first_parents.lines().position(|line| line.contains(&format!("Merge {name}"))).unwrap();
    assert!(at("needs") < at("needed"), "newest first: {first_parents}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_needed_and_leaves_holds_who_needs_it() {
    let (world, mut oak) = stepped().await;
    for name in ["needed", "needs"] {
        publish(&world, name, &[(name, "x\n")], &json!({})).await;
        turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    }
    world.accept("needed").await;
    assert_eq!(depending(&world, "needs", &["needed"]).await.status, 200);
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    let build = oak.given().await;
    assert_eq!(tell(&world, "needed", "eject", &json!({})).await.0, 200);
    oak.ends(build.of, 0, protocol::BuildResult::Success).await;
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Queue]).await;
    assert_eq!(code(&world, "needs").await, "needs");
    assert_eq!(says(&world, "needs").await, "it needs needed, which is not in the queue");
    assert!(!world.official.files("main").contains(&"needs".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_is_refused_with_its_members_and_nobody_is_needed_who_is_not_there() {
    let (world, _oak) = stepped().await;
    for name in ["one", "two", "three"] {
        publish(&world, name, &[(name, "x\n")], &json!({})).await;
        turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    }
    assert_eq!(depending(&world, "one", &["two"]).await.status, 200);
    assert_eq!(depending(&world, "two", &["three"]).await.status, 200);
    let circle = depending(&world, "three", &["one"]).await;
    assert_eq!((circle.status, circle.problem()), (409, "depends-circle".to_owned()));
    assert!(
        circle.text.contains("three would wait for itself: it needs one, which needs two, which needs three"),
        "{}",
        circle.text
    );
    assert_eq!(order(&world).await, ["one", "two"], "nothing of it was recorded");
    let itself = depending(&world, "three", &["three"]).await;
    assert_eq!((itself.status, itself.problem()), (409, "depends-circle".to_owned()));
    let nobody = depending(&world, "three", &["four"]).await;
    assert_eq!((nobody.status, nobody.problem()), (409, "depends-on-nobody".to_owned()));
    let many: Vec<String> = (0..40).map(|n| format!("b{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(depending(&world, "three", &many).await.problem(), "depends-on-many");
    assert_eq!(depending(&world, "three", &[]).await.status, 200);
}

/// A commit says it, in whatever case, and what it says must be a branch's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_may_say_what_it_depends_on() {
    let (world, _oak) = stepped().await;
    for (name, trailer) in [("base", ""), ("top", "\n\nDepends-On: base\n"), ("odd", "\n\nDepends-on: ../../etc\n")] {
        world.author.branch(name, "origin/main");
        world.author.commit(&[(name, "x\n")], &format!("Work on {name}{trailer}"));
        let answer = crate::queue::publish_again(&world, &world.token, name, &json!({})).await;
        assert!(answer.status < 300, "{}", answer.text);
        turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    }
    world.accept("top").await;
    turns(&world, &[Loop::Candidates, Loop::Queue]).await;
    assert_eq!(says(&world, "top").await, "it needs base, which is not in the queue");
    let odd = depending(&world, "odd", &[]).await;
    assert_eq!((odd.status, odd.problem()), (409, "depends-on-nobody".to_owned()));
}
