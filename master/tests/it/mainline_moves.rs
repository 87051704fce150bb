//! Mainline moves under many live branches: whom it concerns is looked at again, and nobody's verdict is blanked.

use crate::support::World;
use crate::support::slave::FakeSlave;
use master::stepping::Loop;
use protocol::CandidateId;
use serde_json::Value;
use std::collections::BTreeMap;

const BRANCHES: usize = 12;

fn name(n: usize) -> String {
    format!("b{n:02}")
}

/// Takes these turns, one after the other, enough of them for all branches.
async fn turns(world: &World, loops: &[Loop]) {
    for which in loops {
        for _ in 0..3 {
            world.turn(*which).await;
        }
    }
}

/// So many live branches, all of which passed.
async fn ready() -> (World, FakeSlave) {
    let world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    for n in 0..BRANCHES {
        world.publish(&name(n)).await;
    }
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    for _ in 0..BRANCHES {
        world.turn(Loop::Schedule).await;
        oak.passes_next().await;
    }
    (world, oak)
}

/// Each branch's verdict, whole.
async fn verdicts(world: &World) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for n in 0..BRANCHES {
        all.insert(name(n), world.branch(&name(n)).await["summary"]["verdict"].take());
    }
    all
}

/// Each branch's candidate that counts. Numbers are given one after the other: the highest says how many were ever made.
async fn candidates(world: &World) -> BTreeMap<String, CandidateId> {
    let mut all = BTreeMap::new();
    for n in 0..BRANCHES {
        let branch = world.branch_row(&name(n)).await;
        let head = world.store().newest_revision(branch.id).await.unwrap().unwrap();
        all.insert(name(n), world.store().candidate_of(head.id).await.unwrap().unwrap().id);
    }
    all
}

fn made(candidates: &BTreeMap<String, CandidateId>) -> i64 {
    candidates.values().map(|id| id.0).max().unwrap_or(0)
}

/// Somebody's push to mainline.
fn push(world: &World, files: &[(&str, &str)]) -> String {
    let author = &world.author;
    author.git(&["fetch", "--quiet", "origin"]);
    author.git(&["checkout", "--quiet", "--detach", "origin/main"]);
    let commit = author.commit(files, "Mainline moves");
    author.git(&["push", "--quiet", "origin", "HEAD:main"]);
    commit
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whom_it_concerns_is_looked_at_again_and_no_verdict_is_blanked() {
    let (world, mut oak) = ready().await;
    let (before, first) = (verdicts(&world).await, candidates(&world).await);
    assert!(before.values().all(|verdict| verdict["code"] == "ready"), "{before:#?}");
    assert_eq!(made(&first), i64::try_from(BRANCHES).unwrap());

    // The file of one of them comes on mainline, with another text, and one that is nobody's.
    let tip = push(&world, &[("b03", "other\n"), ("nobody", "x\n")]);
    world.turn(Loop::Mainline).await;
    assert_eq!(verdicts(&world).await, before, "as of the mainline that they were made on");
    let told = world.branch("b04").await;
    assert_eq!(told["candidate"]["mainline_now"], tip.as_str());
    turns(&world, &[Loop::Queue, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    let (mut after, second) = (verdicts(&world).await, candidates(&world).await);
    let conflict = after.insert("b03".to_owned(), before["b03"].clone()).unwrap();
    assert_eq!(conflict["code"], "conflict");
    assert!(conflict["because"].as_str().unwrap().contains("b03"), "{conflict}");
    assert_eq!(after, before);
    assert_eq!(made(&second), made(&first) + 1, "one was made");
    for n in (0..BRANCHES).filter(|n| *n != 3) {
        assert_eq!(second[&name(n)], first[&name(n)], "{}", name(n));
    }
    let told = world.branch("b04").await["candidate"].take();
    assert_eq!((&told["mainline_now"], &told["again"]), (&Value::from(tip.as_str()), &Value::from(false)));
    let told = world.branch("b03").await["candidate"].take();
    assert_eq!((&told["mainline"], &told["mainline_now"]), (&Value::from(tip.as_str()), &Value::Null));

    // What lands is made on the mainline of now, as that very commit; for nobody else anything is made.
    world.accept("b05").await;
    turns(&world, &[Loop::Candidates, Loop::Queue]).await;
    world.turn(Loop::Schedule).await;
    oak.passes_next().await;
    world.turn(Loop::Queue).await;
    let mut landed = verdicts(&world).await;
    assert_eq!(landed["b05"]["code"], "landed", "{landed:#?}");
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Queue, Loop::Builds, Loop::Schedule]).await;
    assert_eq!(verdicts(&world).await, landed);
    assert_eq!(landed.remove("b03"), Some(conflict));
    for (name, verdict) in &landed {
        let wanted = if name == "b05" { "landed" } else { "ready" };
        assert_eq!(verdict["code"], wanted, "{name}");
    }
    let third = candidates(&world).await;
    assert_eq!(made(&third), made(&second) + 1, "only what landed");
    assert!(world.store().open_builds().await.unwrap().is_empty(), "remade is not rebuilt");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_mainline_has_moved_is_looked_at_again() {
    let (world, _oak) = ready().await;
    for branch in ["b03", "b04"] {
        let path = format!("/api/v1/projects/heron/branches/{branch}/withdraw");
        assert_eq!(world.post(&path, &serde_json::json!({})).await.status, 200);
    }
    let first = candidates(&world).await;
    let tip = push(&world, &[("b03", "other\n")]);
    turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
    assert_eq!(candidates(&world).await, first, "nobody wants those that ended");
    for branch in ["b03", "b04"] {
        let body = serde_json::json!({"url": world.author.url(), "branch": branch, "name": branch});
        let answer = world.post("/api/v1/projects/heron/branches", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    let second = candidates(&world).await;
    assert_eq!((made(&second), second["b04"]), (made(&first) + 1, first["b04"]));
    let told = world.branch("b03").await;
    assert_eq!(told["summary"]["verdict"]["code"], "conflict");
    assert_eq!(told["candidate"]["mainline"], tip.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_recipe_concerns_everybody_and_a_rewrite_too() {
    let (world, _oak) = ready().await;
    let (before, first) = (verdicts(&world).await, candidates(&world).await);
    let recipe = world.author.show("origin/main", ".bb.toml");
    let old = world.author.resolve("origin/main");
    push(&world, &[(".bb.toml", &format!("{recipe}\n# Another line.\n"))]);
    turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
    let second = candidates(&world).await;
    assert_eq!(second, first, "it says the same as before");
    push(&world, &[(".gitattributes", "*.x -diff\n")]);
    turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
    let third = candidates(&world).await;
    let all = i64::try_from(BRANCHES).unwrap();
    assert_eq!(made(&third), made(&first) + all);
    assert_eq!(verdicts(&world).await, before);

    // Where mainline was before, what was made there counts again.
    world.author.git(&["push", "--quiet", "--force", "origin", &format!("{old}:main")]);
    turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
    assert_eq!(candidates(&world).await, first);
    assert_eq!(verdicts(&world).await, before);
}
