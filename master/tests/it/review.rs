//! What people say of a branch: who may, what counts, and what can't be said.

use crate::queue::{BRANCHES, publish, turns};
use crate::support::World;
use master::stepping::Loop;
use master::store::TokenKind;
use serde_json::{Value, json};

async fn reviewed() -> (World, String, Value) {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    publish(&world, "feature", &[("a.txt", "one\ntwo\nthree\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    let path = format!("{BRANCHES}/feature/review");
    let commit = world.get(&path).await.json()["commit"].clone();
    (world, path, commit)
}

#[tokio::test(flavor = "multi_thread")]
async fn others_votes_count_while_they_may_vote_and_on_the_newest_revision() {
    let (world, path, commit) = reviewed().await;
    let bob = world.token(TokenKind::Publisher, "bob").await;
    let vote = |value: i32| json!({"commit": commit, "vote": value});
    // The publisher's own is shown as that.
    let own = world.post(&path, &vote(1)).await.json();
    assert_eq!((&own["tally"]["up"], &own["votes"][0]["standing"]), (&json!(0), &json!("own")));
    let counted = world.post_as(&bob, &path, &vote(1)).await.json();
    assert_eq!((&counted["tally"]["up"], &counted["tally"]["down"]), (&json!(1), &json!(0)));
    let other = world.post_as(&bob, &path, &vote(-1)).await.json();
    assert_eq!((&other["tally"]["up"], &other["tally"]["down"]), (&json!(0), &json!(1)));
    assert_eq!(other["votes"].as_array().unwrap().len(), 2, "one of each name: {other}");
    assert_eq!(world.branch("feature").await["review"]["down"], 1);
    let said = world.branch("feature").await["timeline"].to_string();
    assert!(said.contains("Voted +1 on r1") && said.contains("Voted -1 on r1"), "{said}");

    let nobody = world.request(reqwest::Method::POST, &path).json(&vote(1));
    assert_eq!(world.answer(nobody).await.status, 401);
    let slave = world.token(TokenKind::Slave, "elm").await;
    assert_eq!(world.post_as(&slave, &path, &vote(1)).await.status, 403);

    // Taken from him meanwhile.
    let tokens = world.request(reqwest::Method::GET, "/api/v1/tokens").bearer_auth(&world.token);
    let tokens = world.answer(tokens).await.json();
    let row = tokens.as_array().unwrap().iter().find(|it| it["name"] == "bob").unwrap().clone();
    let revoke = world.request(reqwest::Method::DELETE, &format!("/api/v1/tokens/{}", row["id"]));
    assert_eq!(world.answer(revoke.bearer_auth(&world.token)).await.status, 200);
    let now = world.get(&path).await.json();
    assert_eq!((&now["tally"]["down"], &now["votes"][0]["standing"]), (&json!(0), &json!("revoked")));
    assert_eq!(world.post_as(&bob, &path, &vote(1)).await.status, 401);

    // A newer revision has no votes yet; older ones stay visible.
    let eve = world.token(TokenKind::Maintainer, "eve").await;
    world.post_as(&eve, &path, &vote(1)).await.json();
    publish(&world, "feature", &[("a.txt", "four\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    let now = world.get(&path).await.json();
    assert_eq!((&now["revision"], &now["tally"]["up"]), (&json!(2), &json!(0)));
    let eves = now["votes"].as_array().unwrap().iter().find(|it| it["by"] == "eve").unwrap().clone();
    assert_eq!(eves["standing"], "older");
    assert_eq!(world.post_as(&eve, &path, &vote(1)).await.problem(), "revision-outdated");
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_stand_at_their_lines_and_threads_are_answered_and_resolved() {
    let (world, path, commit) = reviewed().await;
    let bob = world.token(TokenKind::Publisher, "bob").await;
    let eve = world.token(TokenKind::Publisher, "eve").await;
    let on = json!({"path": "a.txt", "from": 2, "to": 3});
    let evil = "Why <b>two</b>?\r\n\u{202e}evil\u{1b}[31m & more";
    let said = world.post_as(&bob, &path, &json!({"commit": commit, "comment": evil, "on": on})).await.json();
    let thread = &said["threads"][0];
    assert_eq!((&thread["revision"], &thread["on"]["line"]), (&json!(1), &json!("two")));
    assert_eq!(thread["comments"][0]["text"], "Why <b>two</b>?\n\u{202e}evil\u{fffd}[31m & more");
    let id = thread["id"].as_i64().unwrap();
    let page = world.get("/p/heron/branches/feature/review").await.text;
    assert!(page.contains("Why &lt;b&gt;two&lt;/b&gt;?") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("r1, a.txt, lines 2 to 3"), "{page}");
    assert!(!page.contains("<textarea"), "who has no token is given no form");
    let branch = world.get("/p/heron/branches/feature").await.text;
    assert!(branch.contains("no votes that count; 1 thread open of 1"), "{branch}");

    // Somebody else's thread is not resolved by who has nothing to do with it; with the branch's publisher it is.
    let not_his = world.post_as(&eve, &path, &json!({"resolve": id})).await;
    assert_eq!((not_his.status, not_his.problem()), (403, "not-allowed".into()));
    let answered = world.post(&path, &json!({"reply": id, "comment": "Done.", "resolve": id})).await.json();
    assert_eq!((&answered["tally"]["open"], &answered["threads"][0]["resolved_by"]), (&json!(0), &json!("mia")));
    assert_eq!(answered["threads"][0]["comments"][1]["text"], "Done.");
    let again = world.post_as(&bob, &path, &json!({"reopen": id})).await.json();
    assert_eq!(again["tally"]["open"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_said_is_refused_by_name() {
    let (world, path, commit) = reviewed().await;
    let on = |path: &str, side: &str, from: u32, to: u32| {
        let on = json!({"path": path, "side": side, "from": from, "to": to});
        json!({"commit": commit, "comment": "x", "on": on})
    };
    let long = "x".repeat(8001);
    for (said, status, code) in [
        (json!({"commit": commit}), 422, "nothing-said"),
        (json!({"commit": commit, "comment": " \n "}), 422, "nothing-said"),
        (json!({"commit": commit, "vote": 2}), 422, "bad-vote"),
        (json!({"vote": 1}), 422, "commit-missing"),
        (json!({"commit": "00".repeat(20), "vote": 1}), 409, "revision-outdated"),
        (json!({"commit": commit, "comment": long}), 422, "comment-too-long"),
        (json!({"reply": 99, "comment": "x"}), 404, "no-such-thread"),
        (json!({"resolve": 99}), 404, "no-such-thread"),
        (json!({"resolve": 1, "reopen": 1}), 422, "resolve-and-reopen"),
        (on("a.txt", "new", 3, 2), 422, "no-range"),
        (on("a.txt", "new", 0, 1), 422, "no-range"),
        (on("a.txt", "new", 3, 4), 422, "line-not-in-diff"),
        (on("a.txt", "old", 1, 1), 422, "line-not-in-diff"),
        (on("a.txt", "new", 1, u32::MAX), 422, "range-too-long"),
        (on("b.txt", "new", 1, 1), 422, "not-in-diff"),
    ] {
        let answer = world.post(&path, &said).await;
        assert_eq!((answer.status, answer.problem()), (status, code.to_owned()), "{said}");
    }
    let megabyte = json!({"commit": commit, "comment": "x".repeat(1 << 20)});
    assert_eq!(world.post(&path, &megabyte).await.status, 413);
    let none = world.get(&path).await.json();
    assert_eq!((&none["threads"], &none["votes"]), (&json!([]), &json!([])));

    // A page has so many; the others are had by its end.
    for n in 0..27 {
        assert_eq!(world.post(&path, &json!({"commit": commit, "comment": format!("{n}")})).await.status, 200);
    }
    let first = world.get(&path).await.json();
    let rest = world.get(&format!("{path}?before={}", first["next"])).await.json();
    let many = |page: &Value| page["threads"].as_array().unwrap().len();
    assert_eq!((many(&first), many(&rest), &rest["next"]), (25, 2, &Value::Null));
}
