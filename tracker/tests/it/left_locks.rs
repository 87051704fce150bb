//! Locks of refs that a process left when it was killed: they stop nobody, however short ago that was.

use crate::serving::master;
use crate::support::{World, branch, git, name};
use protocol::Acts;
use std::path::Path;
use tracker::Explain as _;
use tracker::checkout::{CheckoutLimits, WorkMirror};
use tracker::mirror::{Mirror, Upkeep};

fn leave(repository: &Path, locks: &[&str]) {
    for lock in locks {
        let at = repository.join(lock);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, "").unwrap();
    }
}

/// No lock is left but those that bb's own processes hold together.
fn locks(repository: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![repository.join("refs"), repository.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() && folder != repository {
                folders.push(entry.path());
            } else if name.ends_with(".lock") && !name.starts_with("bb-") {
                found.push(name);
            }
        }
    }
    found
}

#[tokio::test]
async fn a_master_that_starts_again_finds_none() {
    let world = World::new().await;
    let path = world.mirror.path().to_owned();
    leave(&path, &["HEAD.lock", "packed-refs.lock", "refs/heads/main.lock", "refs/tags/v1.lock"]);
    leave(&path, &["refs/branches/ann/r1.lock", "refs/branches/ann/head.lock"]);
    Mirror::open_or_create(git(), &path).await.unwrap();
    assert_eq!(locks(&path), Vec::<String>::new());
}

#[tokio::test]
async fn mainline_is_had_all_the_same() {
    let world = World::new().await;
    world.official.write("a.c", "new\n").commit("New");
    leave(world.mirror.path(), &["refs/heads/main.lock"]);
    let seen = world.mirror.update_mainline(&world.official_url(), &branch("main")).await.unwrap();
    assert_eq!(seen, world.official.head());
}

#[tokio::test]
async fn a_branch_is_admitted_and_has_its_candidate_at_the_next_try() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").commit("Say hello");
    leave(world.mirror.path(), &["refs/branches/ann/r1.lock"]);
    let error = world.mirror.admit(&world.poller, &world.admission(&ann, "ann", 1)).await.unwrap_err();
    // Git's own words are a paragraph of advice to whoever sits before a terminal.
    let text = error.to_string();
    assert!(text.contains("a file is locked, by another git or by one that was killed (cannot lock ref"), "{text}");
    assert!(text.contains("…/") && !text.contains('\n') && !text.contains("Another git process"), "{text}");
    assert!(error.hint().acts() == Acts::Bb && error.hint().what().starts_with("removes a lock"), "{:?}", error.hint());
    let head = world.admit(&ann, "ann", 1).await;
    leave(world.mirror.path(), &["refs/branches/ann/candidate.lock"]);
    world.mirror.set_candidate(&name("ann"), &head).await.unwrap_err();
    world.mirror.set_candidate(&name("ann"), &head).await.unwrap();
}

#[tokio::test]
async fn upkeep_packs_refs_at_the_next_turn() {
    let world = World::new().await;
    leave(world.mirror.path(), &["packed-refs.lock"]);
    world.mirror.upkeep(Upkeep::Recent).await.unwrap();
    assert_eq!(locks(world.mirror.path()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_fetches_all_the_same() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").commit("Say hello");
    let head = world.admit(&ann, "ann", 1).await;
    let server = master(&world.mirror);
    let path = world.temp.path().join("slave/p.git");
    let open = || WorkMirror::open_or_create(git(), &path);
    open().await.unwrap();
    leave(&path, &["packed-refs.lock", "refs/branches/ann/r1.lock", "refs/remotes/origin/main.lock"]);
    let slave = open().await.unwrap();
    assert_eq!(locks(&path), Vec::<String>::new());
    // One of a git that is killed while the slave lives.
    leave(&path, &["refs/remotes/origin/main.lock"]);
    let limits = CheckoutLimits::default();
    slave.fetch(&server.url("git/p.git"), "refs/branches/ann/r1", &head, limits).await.unwrap();
    slave.fetch(&server.url("git/p.git"), "refs/heads/main", &world.mainline, limits).await.unwrap();
    assert_eq!(locks(&path), Vec::<String>::new());
}
