//! Branches of one repository, looked at together: each has what it would have alone, and one's trouble is its own.

use crate::queue::{publish_again, stepped, turns, verdict};
use crate::support::World;
use master::stepping::Loop;
use serde_json::json;

const NAMES: [&str; 4] = ["one", "two", "three", "four"];

/// Publishes branches of the author's repository that are all due at once.
async fn all_published(world: &World) {
    for name in NAMES {
        world.author.branch(name, "origin/main");
        world.author.commit(&[(name, "text\n")], &format!("Add {name}"));
    }
    for name in NAMES {
        let answer = publish_again(world, &world.token, name, &json!({})).await;
        assert!(answer.status < 300, "{}", answer.text);
    }
}

/// How often the watch came to a fetch in its turn.
async fn fetches(world: &World) -> usize {
    world.stops().stop_at(&["watch.fetch"]);
    let mut turn = tokio::spawn(world.master().turn(Loop::Watch));
    let mut fetches = 0;
    loop {
        tokio::select! {
            done = &mut turn => {
                done.unwrap().unwrap();
                world.stops().stop_at(&[]);
                return fetches;
            }
            held = world.stops().held() => {
                fetches += 1;
                held.go();
            }
        }
    }
}

async fn revisions(world: &World) -> Vec<u64> {
    let mut all = Vec::new();
    for name in NAMES {
        all.push(world.branch(name).await["revisions"].as_array().map_or(0, Vec::len) as u64);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_of_one_repository_are_fetched_at_once() {
    let (world, mut oak) = stepped().await;
    all_published(&world).await;
    assert_eq!(fetches(&world).await, 1);
    assert_eq!(revisions(&world).await, [1; 4]);
    turns(&world, &[Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    for _ in NAMES {
        oak.passes_next().await;
        turns(&world, &[Loop::Schedule]).await;
    }
    for name in NAMES {
        assert_eq!(verdict(&world, name).await, "ready", "{name}");
        assert_eq!(world.branch(name).await["summary"]["author"], world.branch("one").await["summary"]["author"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_gone_and_one_that_is_refused_say_so_and_keep_nobody() {
    let (world, _oak) = stepped().await;
    all_published(&world).await;
    assert_eq!(fetches(&world).await, 1);
    for name in ["two", "three"] {
        world.author.git(&["switch", "--quiet", name]);
        world.author.commit(&[("more", "more\n")], "More");
    }
    world.author.git(&["switch", "--quiet", "four"]);
    let link = world.author.path().join(".bb.toml");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    world.author.git(&["add", "--all"]);
    world.author.git(&["commit", "--quiet", "--message", "A recipe that is a link"]);
    world.author.git(&["branch", "--quiet", "--delete", "--force", "one"]);
    for name in NAMES {
        world.store().look_now(world.branch_row(name).await.id).await.unwrap();
    }
    world.turn(Loop::Watch).await;
    assert_eq!(revisions(&world).await, [1, 2, 2, 2]);
    let one = world.branch("one").await;
    assert!(one["watch"].to_string().contains("has no branch `one`"), "{}", one["watch"]);
    assert_eq!(
        world.branch("four").await["revisions"][0]["refused"]["code"],
        "tree-refused",
        "{}",
        world.branch("four").await
    );
    // Who was well goes along with others again.
    for name in ["two", "three"] {
        world.author.git(&["switch", "--quiet", name]);
        world.author.commit(&[("more", "still more\n")], "Still more");
        world.store().look_now(world.branch_row(name).await.id).await.unwrap();
    }
    assert_eq!(fetches(&world).await, 1);
    assert_eq!(revisions(&world).await, [1, 3, 3, 2]);
}
