//! What an acceptance binds: the words that were shown, on whatever face, and no others.

use crate::queue::{BRANCHES, passed, publish, publish_again, stepped, turns};
use crate::strangers::Sends as _;
use crate::support::{Answer, World};
use master::stepping::Loop;
use master::store::{Store, TokenKind};
use protocol::{EventId, ProjectId};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

async fn accept(world: &World, body: &Value) -> Answer {
    world.post(&format!("{BRANCHES}/feature/accept"), body).await
}

/// A maintainer who is signed in: the cookie, and what forms of the session send.
pub(crate) async fn signed_in(world: &World) -> (String, String) {
    let signed = world.answer(world.request(Method::POST, "/login").sends(&[("token", &world.token)])).await;
    let cookie = signed.header("set-cookie").split(';').next().unwrap().to_owned();
    let page = world.answer(world.request(Method::GET, "/p/heron").header("cookie", &cookie)).await;
    let csrf = field(&page.text, "csrf").unwrap();
    (cookie, csrf)
}

/// The value of a form's hidden field.
fn field(html: &str, name: &str) -> Option<String> {
    let rest = html.split(&format!("name=\"{name}\" value=\"")).nth(1)?;
    Some(rest.split('"').next()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_publisher_says_between_reading_and_accepting_is_not_accepted() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    let told = json!({"title": "Say hello", "bugs": ["7"]});
    assert_eq!(publish_again(&world, &world.token, "feature", &told).await.status, 200);
    let read = world.branch("feature").await;
    let (commit, words) = (&read["summary"]["commit"], &read["summary"]["words"]);
    let message = read["candidate"]["message"].as_str().unwrap();
    assert!(message.contains("Say hello") && message.contains("Bug: 7"), "as it would land: {message}");
    let (cookie, csrf) = signed_in(&world).await;
    let page = async |path: &str| world.answer(world.request(Method::GET, path).header("cookie", &cookie)).await.text;
    for path in ["/p/heron", "/p/heron/branches/feature"] {
        assert_eq!(field(&page(path).await, "words").as_ref(), words.as_str().map(str::to_owned).as_ref(), "{path}");
    }

    // The maintainer has read it; now it is called otherwise.
    assert_eq!(publish_again(&world, &world.token, "feature", &json!({"title": "Drop all tests"})).await.status, 200);
    let refused = accept(&world, &json!({"commit": commit, "words": words})).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "words-changed"));
    let problem = refused.json();
    let (detail, hint) = (problem["detail"].as_str().unwrap(), problem["hint"].as_str().unwrap());
    assert!(detail.contains("its title is now `Drop all tests`") && !detail.contains("bug"), "{detail}");
    assert!(hint.contains("read it again"), "{hint}");
    let form = async |fields: &[(&str, &str)]| {
        let request = world.request(Method::POST, "/p/heron/branches/feature/accept").header("cookie", &cookie);
        world.answer(request.sends(fields)).await
    };
    let (commit_text, words_text) = (commit.as_str().unwrap(), words.as_str().unwrap());
    let sent = form(&[("csrf", &csrf), ("commit", commit_text), ("words", words_text)]).await;
    assert!(sent.status == 409 && sent.text.contains("words-changed") && sent.text.contains("Drop all tests"));
    assert_eq!(
        form(&[("csrf", &csrf), ("commit", commit_text)]).await.status,
        422,
        "a form always says what it showed"
    );
    assert!(world.branch("feature").await["queue"].as_array().unwrap().is_empty());
    let events = world.store().events_after(EventId(0), 200).await.unwrap();
    let described: Vec<_> = events.iter().filter(|e| e.kind == "described").map(|e| e.text.as_str()).collect();
    assert_eq!(described.len(), 2, "{described:?}");
    assert!(
        described[1].contains("`Drop all tests`") && events.iter().any(|e| e.kind == "described" && e.actor == "mia")
    );

    // What was read is accepted, once, whatever is said afterwards; and lands so.
    assert_eq!(publish_again(&world, &world.token, "feature", &told).await.status, 200);
    let sent = form(&[("csrf", &csrf), ("commit", commit_text), ("words", words_text)]).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert_eq!(publish_again(&world, &world.token, "feature", &json!({"title": "Drop all tests"})).await.status, 200);
    let again = accept(&world, &json!({"commit": commit, "words": words})).await;
    assert_eq!(again.status, 200, "the same acceptance: {}", again.text);
    assert_eq!(world.branch("feature").await["queue"].as_array().unwrap().len(), 1);
    let message = world.branch("feature").await["candidate"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Say hello"), "as it was accepted: {message}");
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    let landed = world.official.git(&["log", "-1", "--format=%B", "main"]);
    assert!(landed.contains("Say hello") && landed.contains("Bug: 7"), "{landed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_accepts_words_that_he_does_not_name() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    let commit = world.as_read("feature").await["commit"].take();
    for none in
        [json!({"commit": commit}), json!({"commit": commit, "words": null}), json!({"commit": commit, "words": ""})]
    {
        let refused = accept(&world, &none).await;
        assert_eq!((refused.status, refused.problem().as_str()), (422, "words-missing"), "{none}");
        // Where they are to be found, as the hint says it.
        let hint = refused.json()["hint"].as_str().unwrap().to_owned();
        let path = hint.split("GET ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let words = world.get(path).await.json()["summary"]["words"].take();
        assert!(hint.contains("`summary.words`") && words.is_string(), "{hint}");
    }
    let nonsense = accept(&world, &json!({"commit": commit, "words": "x"})).await;
    assert_eq!(nonsense.problem(), "words-changed");
    assert!(world.store().queue(ProjectId(1)).await.unwrap().is_empty());
    world.accept("feature").await;
}

/// A text's hash, as the store keeps terms under it.
fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Midnight is between the two: what the first bound stays, and so does what was made of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_commit_in_the_same_words_on_another_day_is_the_same_acceptance() {
    let (world, _oak) = stepped().await;
    publish(&world, "feature", &[("feature", "x\n")], &json!({"title": "Say hello"})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.accept("feature").await;
    let entry = async || world.store().queue(ProjectId(1)).await.unwrap().remove(0);
    let json = entry().await.terms.json;
    let day = serde_json::from_str::<Value>(&json).unwrap()["day"].as_str().unwrap().to_owned();
    let terms = json.replace(&day, "2026-01-02");
    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let earlier = sqlx::query("UPDATE queue_entry SET terms = $1, terms_hash = $2");
    assert_eq!(earlier.bind(&terms).bind(hash(&terms)).execute(&pool).await.unwrap().rows_affected(), 1);
    turns(&world, &[Loop::Candidates, Loop::Queue]).await;
    let open = async || {
        let all = world.store().open_builds().await.unwrap();
        all.into_iter().map(|build| (build.id, build.for_queue, build.cancel)).collect::<Vec<_>>()
    };
    let (before, builds) = (entry().await, open().await);
    assert!(before.candidate.is_some() && builds.iter().any(|(_, for_queue, _)| *for_queue), "{before:?}, {builds:?}");

    world.accept("feature").await;
    turns(&world, &[Loop::Candidates, Loop::Queue]).await;
    let after = entry().await;
    assert_eq!((after.id, &after.terms, after.candidate), (before.id, &before.terms, before.candidate));
    assert_eq!(open().await, builds);

    // Whoever takes it over from somebody who may not any more binds the same.
    let olga = world.token(TokenKind::Maintainer, "olga").await;
    let mia = before.token.unwrap();
    world.store().revoke_token(mia).await.unwrap();
    let answer = world.post_as(&olga, &format!("{BRANCHES}/feature/accept"), &world.as_read("feature").await).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let after = entry().await;
    assert_eq!((after.accepted_by.as_str(), &after.terms, after.candidate), ("olga", &before.terms, before.candidate));
    // In other words it is another acceptance, of this day.
    let other = publish_again(&world, &olga, "feature", &json!({"title": "Say more"})).await;
    assert_eq!(other.status, 200, "{}", other.text);
    let answer = world.post_as(&olga, &format!("{BRANCHES}/feature/accept"), &world.as_read("feature").await).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(!entry().await.terms.json.contains("2026-01-02"));
}
