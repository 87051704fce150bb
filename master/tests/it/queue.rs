//! The queue, one turn at a time: whatever happens between two turns or in the middle of one, what lands is what was accepted
//! by somebody who may, made of the tree that it stands on, and nobody is told anything that turns out otherwise.

use crate::support::World;
use crate::support::slave::FakeSlave;
use master::stepping::Loop;
use master::store::{BranchState, FailedBy, TokenKind};
use protocol::{BuildResult, ProjectId};
use serde_json::{Value, json};

pub const BRANCHES: &str = "/api/v1/projects/heron/branches";
const QUEUE: &str = "/api/v1/projects/heron/queue";
const RECIPE: &str = "[[builder]]\nname = \"linux\"\n\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n";
const ENTRY: &str = "2026-01-02  Ann  <ann@example.org>\n\n\t* feature: New.\n";

/// A world of steps with a slave in it.
pub async fn stepped() -> (World, FakeSlave) {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    let (oak, _) = FakeSlave::new(&world, "oak").await;
    (world, oak)
}

pub async fn turns(world: &World, which: &[Loop]) {
    for it in which {
        world.turn(*it).await;
    }
}

/// Publishes a branch of these files, and builds it.
pub async fn passed(world: &World, oak: &mut FakeSlave, name: &str, files: &[(&str, &str)]) {
    publish(world, name, files, &json!({})).await;
    turns(world, &[Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    oak.passes_next().await;
}

pub async fn publish(world: &World, name: &str, files: &[(&str, &str)], more: &Value) {
    world.author.git(&["fetch", "--quiet", "origin"]);
    if world.author.try_git(&["switch", "--quiet", name]).is_err() {
        world.author.branch(name, "origin/main");
    }
    world.author.commit(files, &format!("Work on {name}"));
    let answer = publish_again(world, &world.token, name, more).await;
    assert!(answer.status < 300, "{}", answer.text);
}

pub async fn publish_again(world: &World, token: &str, name: &str, more: &Value) -> crate::support::Answer {
    let mut body = json!({"url": world.author.url(), "branch": name, "name": name});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.post_as(token, BRANCHES, &body).await
}

/// Somebody else's push to mainline.
pub fn by_hand(world: &World, files: &[(&str, &str)]) -> String {
    world.author.git(&["fetch", "--quiet", "origin"]);
    world.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
    world.author.commit(files, "By hand");
    world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
    world.official.head()
}

pub async fn code(world: &World, name: &str) -> String {
    world.branch(name).await["queue"][0]["code"].as_str().unwrap_or_default().to_owned()
}

pub async fn verdict(world: &World, name: &str) -> String {
    world.branch(name).await["summary"]["verdict"]["code"].as_str().unwrap().to_owned()
}

pub async fn withdraw(world: &World, name: &str) -> crate::support::Answer {
    world.post(&format!("{BRANCHES}/{name}/withdraw"), &json!({})).await
}

async fn accept_as(world: &World, token: &str, name: &str) -> crate::support::Answer {
    world.post_as(token, &format!("{BRANCHES}/{name}/accept"), &world.as_read(name).await).await
}

async fn pause(world: &World, word: &str) -> Value {
    let answer = world.post(&format!("{QUEUE}/{word}"), &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

const REMAKE: [Loop; 5] = [Loop::Mainline, Loop::Candidates, Loop::Queue, Loop::Builds, Loop::Schedule];

/// The settings land, and a branch that needs them is accepted before anybody looked at mainline again; also by a master that
/// has read nothing of it yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_folded_by_the_recipe_of_the_commit_that_it_stands_on() {
    for restarted in [false, true] {
        let (mut world, mut oak) = stepped().await;
        let settings = format!("[project]\nfragments = [\"NEWS.frag\"]\n{RECIPE}");
        passed(&world, &mut oak, "settings", &[(".bb.toml", &settings)]).await;
        passed(&world, &mut oak, "feature", &[("NEWS.frag", ENTRY), ("feature", "x\n")]).await;
        world.accept("settings").await;
        turns(&world, &[Loop::Queue]).await;
        // Its own recipe differs from mainline's, so that the queue has it built by that.
        if code(&world, "settings").await != "landed" {
            turns(&world, &[Loop::Schedule]).await;
            oak.passes_next().await;
            turns(&world, &[Loop::Queue]).await;
        }
        assert_eq!(code(&world, "settings").await, "landed");
        world.accept("feature").await;
        if restarted {
            drop(oak);
            world.kill_master().await;
            world.start_master().await;
            (oak, _) = FakeSlave::new(&world, "elm").await;
        }
        turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
        oak.passes_next().await;
        turns(&world, &[Loop::Queue]).await;
        assert_eq!(code(&world, "feature").await, "landed");
        let files = world.official.files("main");
        assert!(files.contains(&"feature".to_owned()) && !files.contains(&"NEWS.frag".to_owned()), "{files:?}");
        assert!(world.official.show("main", "ChangeLog").contains("* feature: New."));
    }
}

/// At each place of a landing from which on it may be on mainline: who withdraws, accepts, publishes or pauses is told the truth.
#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_pushed_nobody_is_told_what_may_turn_out_otherwise() {
    for place in ["queue.push", "queue.pushed"] {
        let (world, mut oak) = stepped().await;
        passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
        world.accept("feature").await;
        world.stops().stop_at(&[place]);
        let turn = tokio::spawn(world.master().turn(Loop::Queue));
        let held = world.stops().held().await;
        assert_eq!(held.place, place);
        if place == "queue.pushed" {
            // It is there already: whoever asks is told so, and nothing is recorded twice.
            assert_eq!(withdraw(&world, "feature").await.problem(), "branch-ended");
            assert_eq!(verdict(&world, "feature").await, "landed");
            held.go();
            turn.await.unwrap().unwrap();
            let timeline = world.branch("feature").await["timeline"].clone();
            assert_eq!(timeline.as_array().unwrap().iter().filter(|e| e["kind"] == "landed").count(), 1);
            continue;
        }

        assert_eq!(withdraw(&world, "feature").await.problem(), "being-pushed");
        assert_eq!(
            publish_again(&world, &world.token, "feature", &json!({"title": "x"})).await.problem(),
            "being-pushed"
        );
        let branch = world.branch_row("feature").await;
        let newer = world.author.commit(&[("feature", "y\n")], "Newer");
        world.store().add_revision(world.claim().await, &branch, &crate::support::revision(2, &newer)).await.unwrap();
        let words = world.as_read("feature").await["words"].take();
        let accept = json!({"commit": newer, "words": words});
        let accept = world.post(&format!("{BRANCHES}/feature/accept"), &accept).await;
        assert_eq!(accept.problem(), "being-pushed");
        let queue = pause(&world, "pause").await;
        assert_eq!((&queue["project"]["paused"], &queue["entries"][0]["code"]), (&json!(true), &json!("landing")));

        held.go();
        turn.await.unwrap().unwrap();
        assert_eq!(world.branch_row("feature").await.state, BranchState::Landed);
        assert_eq!(world.get(QUEUE).await.json()["entries"], json!([]));
        assert_eq!(withdraw(&world, "feature").await.problem(), "branch-ended");
    }
}

/// Before a landing begins, the opposite: whatever somebody was told holds.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_a_landing_begins_holds() {
    for what in ["withdraw", "newer", "pause", "revoke", "by hand"] {
        let (world, mut oak) = stepped().await;
        let olga = world.token(TokenKind::Maintainer, "olga").await;
        passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
        assert_eq!(accept_as(&world, &olga, "feature").await.status, 200);
        let before = world.official.head();
        world.stops().stop_at(&["store.write"]);
        let turn = tokio::spawn(world.master().turn(Loop::Queue));
        // The standing, then the intent.
        world.stops().held().await.go();
        let held = world.stops().held().await;
        world.stops().stop_at(&[]);
        let mut tip = before.clone();
        match what {
            "withdraw" => assert_eq!(withdraw(&world, "feature").await.status, 200),
            "newer" => {
                publish(&world, "feature", &[("feature", "y\n")], &json!({})).await;
                turns(&world, &[Loop::Watch]).await;
                assert_eq!(accept_as(&world, &world.token, "feature").await.status, 200);
            }
            "pause" => _ = pause(&world, "pause").await,
            "revoke" => {
                let olga = world.store().token_by_hash(&master::auth::hash(&olga)).await.unwrap().unwrap();
                world.store().revoke_token(olga.id).await.unwrap();
            }
            _ => {
                tip = by_hand(&world, &[("by-hand", "x\n")]);
                turns(&world, &[Loop::Mainline]).await;
            }
        }
        held.go();
        turn.await.unwrap().unwrap();
        assert_eq!(world.official.head(), tip, "{what}: nothing landed");
        turns(&world, &[Loop::Queue]).await;
        let stands = code(&world, "feature").await;
        let expected = match what {
            "withdraw" => "withdrawn",
            "newer" => "making",
            "pause" => "paused",
            "revoke" => "ejected-right-lost",
            _ => "behind",
        };
        assert_eq!(stands, expected, "{what}");
        assert!(!world.official.files("main").contains(&"feature".to_owned()));
    }
}

/// Whoever lost the right to accept: those whom he accepted leave wherever they are, and nobody waits behind them.
#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_ends_with_the_right_to_it() {
    let (world, mut oak) = stepped().await;
    let olga = world.token(TokenKind::Maintainer, "olga").await;
    for name in ["first", "second", "third"] {
        passed(&world, &mut oak, name, &[(name, "x\n")]).await;
        let token = if name == "second" { &world.token } else { &olga };
        assert_eq!(accept_as(&world, token, name).await.status, 200);
    }
    let olga = world.store().token_by_hash(&master::auth::hash(&olga)).await.unwrap().unwrap();
    world.store().revoke_token(olga.id).await.unwrap();
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(code(&world, "first").await, "ejected-right-lost");
    assert_eq!(code(&world, "third").await, "ejected-right-lost");
    assert_eq!(code(&world, "second").await, "landed");
    assert_eq!(world.branch("first").await["queue"][0]["next"]["who"], "a maintainer");
    // Accepted by somebody else, it lands.
    world.accept("first").await;
    turns(&world, &REMAKE).await;
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(code(&world, "first").await, "landed");
}

/// A publisher who loses trust after his build was asked for, but before it is given out, gets the isolation of strangers.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_given_out_by_the_trust_of_the_moment() {
    for revoked in [false, true] {
        let (world, mut oak) = stepped().await;
        let body = json!({"kind": "publisher", "name": "ann", "trusted": true});
        let made = world.post("/api/v1/tokens", &body).await.json();
        let ann = made["secret"].as_str().unwrap().to_owned();
        world.author.branch("feature", "origin/main");
        world.author.commit(&[("feature", "x\n")], "Work");
        assert_eq!(publish_again(&world, &ann, "feature", &json!({})).await.status, 201);
        turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
        if revoked {
            let id = world.store().token_by_hash(&master::auth::hash(&ann)).await.unwrap().unwrap().id;
            world.store().revoke_token(id).await.unwrap();
        }
        turns(&world, &[Loop::Schedule]).await;
        let given = oak.given().await;
        let isolation = if revoked { protocol::wire::Isolation::Bubblewrap } else { protocol::wire::Isolation::None };
        assert_eq!(given.isolation, isolation);
        assert_eq!(world.branch("feature").await["summary"]["trusted"], json!(!revoked));
    }
}

/// The words of mainline's commit are those that were accepted.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_publisher_says_after_the_acceptance_does_not_land() {
    let (world, mut oak) = stepped().await;
    publish(&world, "feature", &[("feature", "x\n")], &json!({"title": "Add a feature", "bugs": ["#12"]})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    oak.passes_next().await;
    world.accept("feature").await;
    let said = json!({"title": "Signed-off-by everybody", "bugs": ["#666"]});
    assert_eq!(publish_again(&world, &world.token, "feature", &said).await.status, 200);
    // Also when it is made anew.
    by_hand(&world, &[("by-hand", "x\n")]);
    turns(&world, &REMAKE).await;
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(code(&world, "feature").await, "landed");
    let message = world.official.git(&["log", "-1", "--format=%B", "main"]);
    assert!(message.starts_with("Merge feature: Add a feature\n") && message.contains("Bug: #12\n"), "{message}");
    assert!(!message.contains("everybody") && !message.contains("666"), "{message}");
    // Accepted anew, the new words count.
    turns(&world, &[Loop::Mainline]).await;
    passed(&world, &mut oak, "other", &[("other", "x\n")]).await;
    world.accept("other").await;
    publish_again(&world, &world.token, "other", &json!({"title": "In better words"})).await;
    world.accept("other").await;
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    assert!(world.official.log("main")[0].starts_with("Merge other: In better words"));
}

/// Each way in which mainline itself can be at fault: nobody is ejected, it is said whose turn it is, and mended all three land
/// without another acceptance.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_mainline_holds_the_queue_and_ejects_nobody() {
    type Breaks = (&'static str, fn(&World));
    let broken: [Breaks; 6] = [
        ("no TOML", |w| _ = by_hand(w, &[(".bb.toml", "this is no TOML\n")])),
        ("an error", |w| _ = by_hand(w, &[(".bb.toml", &RECIPE.replace("run", "runn"))])),
        ("nothing required", |w| {
            let text = RECIPE.replace("name = \"linux\"", "name = \"linux\"\nrequired = false");
            by_hand(w, &[(".bb.toml", &text)]);
        }),
        ("no recipe", |w| {
            w.author.git(&["fetch", "--quiet", "origin"]);
            w.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
            w.author.git(&["rm", "--quiet", ".bb.toml"]);
            by_hand_staged(w);
        }),
        ("a link", |w| {
            w.author.git(&["fetch", "--quiet", "origin"]);
            w.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
            let at = w.author.path().join("ChangeLog");
            let _ = std::fs::remove_file(&at);
            std::os::unix::fs::symlink("README", &at).unwrap();
            w.author.git(&["add", "ChangeLog"]);
            by_hand_staged(w);
        }),
        ("a recipe that is a link", |w| {
            w.author.git(&["fetch", "--quiet", "origin"]);
            w.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
            let at = w.author.path().join(".bb.toml");
            std::fs::remove_file(&at).unwrap();
            std::os::unix::fs::symlink("README", &at).unwrap();
            w.author.git(&["add", ".bb.toml"]);
            by_hand_staged(w);
        }),
    ];
    for (what, break_it) in broken {
        let (world, mut oak) = stepped().await;
        pause(&world, "pause").await;
        let names = ["first", "second", "third"];
        for name in names {
            let fragment = format!("changelog-fragments/{name}.ChangeLog");
            passed(&world, &mut oak, name, &[(name, "x\n"), (&fragment, ENTRY)]).await;
            world.accept(name).await;
        }
        let good = world.official.head();
        break_it(&world);
        let tip = world.official.head();
        assert_ne!(good, tip);
        pause(&world, "resume").await;
        turns(&world, &REMAKE).await;
        turns(&world, &[Loop::Candidates, Loop::Queue]).await;
        for name in names {
            let branch = world.branch(name).await;
            assert_eq!(branch["queue"][0]["code"], "mainline-trouble", "{what}: {}", branch["queue"][0]);
            assert_eq!(branch["queue"][0]["next"]["who"], "a maintainer", "{what}");
            assert_eq!(branch["summary"]["verdict"]["code"], "mainline-broken", "{what}");
        }
        assert_eq!(world.official.head(), tip, "{what}");
        // Mended.
        world.author.git(&["fetch", "--quiet", "origin"]);
        world.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
        world.author.git(&["revert", "--no-edit", "HEAD"]);
        world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
        // All three are tested together.
        turns(&world, &REMAKE).await;
        crate::stacks::until_decided(&world, &mut oak, "nothing").await;
        for name in names {
            assert_eq!(code(&world, name).await, "landed", "{what}");
        }
    }
}

fn by_hand_staged(world: &World) {
    world.author.git(&["commit", "--quiet", "-m", "By hand"]);
    world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
}

/// A conflict with a mainline that has gone on refuses no acceptance and ejects nobody.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_look_at_mainline_refuses_and_ejects_nobody() {
    for queued in [false, true] {
        let (world, mut oak) = stepped().await;
        passed(&world, &mut oak, "feature", &[("README", "heron, and more\n")]).await;
        by_hand(&world, &[("README", "heron, by hand\n")]);
        if queued {
            pause(&world, "pause").await;
            world.accept("feature").await;
            pause(&world, "resume").await;
        }
        turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
        if !queued {
            assert_eq!(accept_as(&world, &world.token, "feature").await.problem(), "conflict", "it does conflict");
        }
        // Taken back on mainline, and nobody has looked since.
        by_hand(&world, &[("README", "heron\n")]);
        if !queued {
            world.accept("feature").await;
        }
        turns(&world, &[Loop::Queue]).await;
        assert_ne!(code(&world, "feature").await, "ejected-conflict");
        turns(&world, &REMAKE).await;
        oak.passes_next().await;
        turns(&world, &[Loop::Queue]).await;
        assert_eq!(code(&world, "feature").await, "landed");
    }
}

/// A failure on a mainline that has gone on is no verdict on what would land now.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_on_an_old_mainline_ejects_nobody() {
    let (world, mut oak) = stepped().await;
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    world.accept("feature").await;
    let it = oak.given().await;
    by_hand(&world, &[("by-hand", "x\n")]);
    oak.ends(it.of, 0, BuildResult::Failure).await;
    turns(&world, &[Loop::Queue]).await;
    assert_ne!(code(&world, "feature").await, "ejected-failure");
    turns(&world, &REMAKE).await;
    let it = oak.given().await;
    oak.ends(it.of, 0, BuildResult::Failure).await;
    // Somebody pushed to mainline, so that nobody knows whether that passes; and it may have failed by chance.
    let mut built = Vec::new();
    while built.len() < 4 && code(&world, "feature").await != "ejected-failure" {
        turns(&world, &[Loop::Queue, Loop::Schedule]).await;
        if code(&world, "feature").await == "testing" {
            let it = oak.given().await;
            let is_mainline = it.commit.to_string() == world.official.head();
            built.push(is_mainline);
            oak.ends(it.of, 0, if is_mainline { BuildResult::Success } else { BuildResult::Failure }).await;
        }
    }
    assert_eq!(built.iter().filter(|is_mainline| **is_mainline).count(), 1, "{built:?}");
    assert_eq!(code(&world, "feature").await, "ejected-failure", "on the mainline of now it is one");
}

/// What is merged by hand, or landed though bb thought otherwise, is nobody's fault.
#[tokio::test(flavor = "multi_thread")]
async fn what_mainline_has_is_landed_or_retired_and_nobody_s_fault() {
    // Merged by somebody else.
    let (world, mut oak) = stepped().await;
    pause(&world, "pause").await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    world.accept("feature").await;
    world.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
    world.author.git(&["merge", "--quiet", "--no-ff", "-m", "By hand", "feature"]);
    world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
    pause(&world, "resume").await;
    turns(&world, &REMAKE).await;
    assert_eq!(code(&world, "feature").await, "in-mainline");
    assert_eq!(verdict(&world, "feature").await, "retired-in-mainline");
    assert_eq!(world.branch("feature").await["summary"]["verdict"]["next"]["who"], "nobody");

    // Pushed by bb, recorded as failed, and there all the same, whatever was done with the branch since.
    for then in ["nothing", "withdrawn", "ejected", "newer"] {
        let (world, mut oak) = stepped().await;
        passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
        world.accept("feature").await;
        world.stops().stop_at(&["queue.push"]);
        let turn = tokio::spawn(world.master().turn(Loop::Queue));
        let _held = world.stops().held().await;
        turn.abort();
        world.stops().stop_at(&[]);
        let landing = world.store().open_landing(ProjectId(1)).await.unwrap().unwrap();
        let claim = world.claim().await;
        world.store().landing_failed(claim, &landing, FailedBy::Overtaken, "it seemed").await.unwrap();
        pause(&world, "pause").await;
        match then {
            "withdrawn" => assert_eq!(withdraw(&world, "feature").await.status, 200),
            "ejected" => {
                let entry = world.store().entry(landing.top().unwrap()).await.unwrap();
                let standing = entry.standing.clone();
                assert!(world.store().eject(claim, &entry, None, &standing).await.unwrap());
            }
            "newer" => {
                publish(&world, "feature", &[("feature", "y\n")], &json!({})).await;
                turns(&world, &[Loop::Watch]).await;
                world.accept("feature").await;
            }
            _ => {}
        }
        let mirror = testkit::git::Repo::at(world.basedir().join("mirrors/heron.git"));
        mirror.git(&["push", "--quiet", world.official.url(), &format!("{}:refs/heads/main", landing.to)]);
        if then == "nothing" {
            // Asked to be taken back, it is looked first.
            assert_eq!(withdraw(&world, "feature").await.problem(), "branch-ended");
        }
        turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Queue]).await;
        assert_eq!(verdict(&world, "feature").await, "landed", "{then}");
        assert_eq!(world.get(QUEUE).await.json()["entries"], json!([]), "{then}");
        let timeline = world.branch("feature").await["timeline"].clone();
        assert_eq!(timeline.as_array().unwrap().iter().filter(|e| e["kind"] == "landed").count(), 1);
    }
}

/// The day is that of the acceptance: at midnight nothing in the queue is made anew, and of the others nothing either until
/// there is another reason.
#[tokio::test(flavor = "multi_thread")]
async fn another_day_cancels_nothing() {
    let (world, mut oak) = stepped().await;
    publish(&world, "queued", &[("queued", "x\n")], &json!({})).await;
    publish(&world, "other", &[("other", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.accept("queued").await;
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    let running = oak.given().await;
    // It was all yesterday.
    let pool = sqlx_pool(&world).await;
    for statement in [
        "UPDATE queue_entry SET terms_hash = 'yesterday', terms = replace(terms, substr(terms, instr(terms, '\"day\":\"') + 7, 10), '2020-01-01')",
        "UPDATE candidate SET terms_hash = 'yesterday'",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    let count = async || {
        let row = sqlx::query("SELECT COUNT(*) AS n FROM candidate").fetch_one(&pool).await.unwrap();
        sqlx::Row::get::<i64, _>(&row, "n")
    };
    let before = count().await;
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Builds, Loop::Candidates]).await;
    assert_eq!(count().await, before, "nothing is made anew");
    let build = world.store().build(running.of.build).await.unwrap().unwrap();
    assert!(build.cancel.is_none(), "{build:?}");
    // Accepted today, the other is dated today.
    world.accept("other").await;
    turns(&world, &[Loop::Candidates]).await;
    assert_eq!(count().await, before, "it is made when its turn comes");
    oak.ends(running.of, 0, BuildResult::Success).await;
    turns(&world, &[Loop::Queue, Loop::Candidates]).await;
    assert_eq!(code(&world, "queued").await, "landed");
    assert_eq!(count().await, before + 1);
}

async fn sqlx_pool(world: &World) -> sqlx::AnyPool {
    sqlx::AnyPool::connect(&master::store::Store::sqlite_url(&world.basedir())).await.unwrap()
}
