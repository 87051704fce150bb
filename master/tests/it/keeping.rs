//! What the mirror lost of mainline's past comes back, also where no candidate and no build would miss it.

use crate::queue::{by_hand, passed, publish, publish_again, stepped, turns, verdict};
use crate::support::World;
use master::stepping::Loop;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// Takes an object away from a mirror, as a disk does.
pub fn lose(mirror: &Path, id: &str) {
    let (packs, aside) = (mirror.join("objects/pack"), mirror.join("aside"));
    std::fs::rename(&packs, &aside).unwrap();
    std::fs::create_dir(&packs).unwrap();
    for entry in std::fs::read_dir(&aside).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|end| end == "pack") {
            let pack = std::fs::File::open(entry).unwrap();
            let mut git = Command::new("git");
            git.arg("-C").arg(mirror).args(["unpack-objects", "-q"]).stdin(pack);
            assert!(git.status().unwrap().success());
        }
    }
    std::fs::remove_dir_all(aside).unwrap();
    std::fs::remove_file(mirror.join("objects").join(&id[..2]).join(&id[2..])).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_mainline_s_past_is_noticed_by_who_falls_into_it_and_filled() {
    let (world, _oak) = stepped().await;
    let text = |first: &str, last: &str| format!("{first}\n2\n3\n4\n5\n6\n7\n8\n{last}\n");
    by_hand(&world, &[("long", &text("1", "9"))]);
    world.turn(Loop::Mainline).await;
    publish(&world, "feature", &[("long", &text("1", "nine"))], &json!({})).await;
    turns(&world, &[Loop::Watch]).await;
    by_hand(&world, &[("long", &text("one", "9"))]);
    let mirror = testkit::git::Repo::at(world.basedir().join("mirrors/heron.git"));
    let blob = mirror.git(&["rev-parse", "main:long"]);
    world.turn(Loop::Mainline).await;
    lose(mirror.path(), &blob);
    let is_there = || mirror.try_git(&["cat-file", "-e", &blob]).is_ok();
    turns(&world, &[Loop::Mend, Loop::Mainline]).await;
    assert!(!is_there(), "nobody missed it yet");
    // What both sides began with is gone, and the mirror is looked after.
    turns(&world, &[Loop::Candidates, Loop::Mend, Loop::Mainline]).await;
    assert!(is_there());
}

/// Whatever of the mirror's folder is gone while the master runs: it is a repository again, and what was accepted lands.
#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_no_repository_any_more_is_made_again_while_the_master_runs() {
    for gone in ["objects", "refs", "HEAD", ""] {
        let (world, mut oak) = stepped().await;
        passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
        let mirror = world.basedir().join("mirrors/heron.git");
        let path = mirror.join(gone);
        if path.is_file() { std::fs::remove_file(&path) } else { std::fs::remove_dir_all(&path) }.unwrap();
        let said = world.branch("feature").await.to_string();
        assert!(!said.contains(world.basedir().to_str().unwrap()), "{gone}: {said}");
        world.accept("feature").await;
        let landed = async {
            while verdict(&world, "feature").await != "landed" {
                for which in [Loop::Mainline, Loop::Mend, Loop::Watch, Loop::Candidates, Loop::Queue] {
                    // What fails is tried again.
                    drop(world.master().turn(which).await);
                }
            }
        };
        tokio::time::timeout(crate::support::PATIENCE, landed).await.expect(gone);
    }
}

/// Whatever a disk has made of an object's file, or of all packs: it is noticed by who falls into it, and what comes next is
/// admitted. An object that is only missing is the smallest part of it: git writes none that seems to be there.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_damaged_is_noticed_by_who_falls_into_it_and_comes_back() {
    for (what, how) in [
        ("main:long", "lost"),
        ("main:long", "empty"),
        ("main:long", "another"),
        ("main", "empty"),
        ("refs/branches/first/r1:first", "empty"),
        ("refs/branches/first/r1", "another"),
        ("main:long", "packs"),
    ] {
        let (world, _oak) = stepped().await;
        let text = |first: &str, last: &str| format!("{first}\n2\n3\n4\n5\n6\n7\n8\n{last}\n");
        by_hand(&world, &[("long", &text("1", "9"))]);
        publish(&world, "first", &[("first", "text of first\n")], &json!({})).await;
        turns(&world, &[Loop::Mainline, Loop::Watch, Loop::Candidates]).await;
        let mirror = testkit::git::Repo::at(world.basedir().join("mirrors/heron.git"));
        let (id, other) = (mirror.git(&["rev-parse", what]), mirror.git(&["rev-parse", "main:README"]));
        if how == "packs" {
            spoil_packs(mirror.path());
        } else {
            lose(mirror.path(), &id);
        }
        let file = |id: &str| mirror.path().join("objects").join(&id[..2]).join(&id[2..]);
        match how {
            "empty" => std::fs::write(file(&id), "").unwrap(),
            "another" => std::fs::copy(file(&other), file(&id)).map(drop).unwrap(),
            _ => {}
        }
        // One that goes on from it, and one that has nothing to do with it but for mainline.
        publish(&world, "first", &[("first", "text of more\n")], &json!({})).await;
        let files = [("long", &*text("1", "nine")), ("second", "text of second\n")];
        publish(&world, "second", &files, &json!({})).await;
        let done = async {
            while !(has_candidate(&world, "first", 2).await && has_candidate(&world, "second", 1).await) {
                // What fails is tried again, and the mirror is mended when somebody missed something.
                let mended: &[Loop] =
                    if world.master().mirror_is_wanted() { &[Loop::Mend, Loop::Mainline] } else { &[] };
                for which in [Loop::Watch, Loop::Candidates].iter().chain(mended) {
                    drop(world.master().turn(*which).await);
                }
                for name in ["first", "second"] {
                    publish_again(&world, &world.token, name, &json!({})).await;
                }
            }
        };
        let in_time = tokio::time::timeout(crate::support::PATIENCE, done).await;
        assert!(in_time.is_ok(), "{what} {how}: {}", world.branch("second").await["summary"]["verdict"]);
    }
}

/// A line of the packed refs that makes no sense keeps git from reading any of them: whoever falls over it has it mended, and what
/// it named is there again.
#[tokio::test(flavor = "multi_thread")]
async fn garbled_packed_refs_are_noticed_by_who_falls_over_them_and_no_ref_is_lost() {
    for (from, to) in [("refs/branches/first/r1", "refs/branches/..first/r1"), (" ", "\0"), ("\n", "")] {
        let (world, _oak) = stepped().await;
        publish(&world, "first", &[("first", "text of first\n")], &json!({})).await;
        turns(&world, &[Loop::Mainline, Loop::Watch, Loop::Candidates, Loop::Mend]).await;
        let mirror = testkit::git::Repo::at(world.basedir().join("mirrors/heron.git"));
        let refs = || mirror.git(&["for-each-ref", "--format=%(objectname) %(refname)"]);
        let before = refs();
        mirror.git(&["pack-refs", "--all", "--prune"]);
        let packed = mirror.path().join("packed-refs");
        let text = std::fs::read_to_string(&packed).unwrap();
        std::fs::write(&packed, text.replace(from, to)).unwrap();
        publish(&world, "second", &[("second", "text of second\n")], &json!({})).await;
        let done = async {
            while !has_candidate(&world, "second", 1).await {
                // What fails is tried again, and the mirror is mended when somebody missed something.
                let mended: &[Loop] =
                    if world.master().mirror_is_wanted() { &[Loop::Mend, Loop::Mainline] } else { &[] };
                for which in [Loop::Watch, Loop::Candidates].iter().chain(mended) {
                    drop(world.master().turn(*which).await);
                }
                publish_again(&world, &world.token, "second", &json!({})).await;
            }
        };
        let in_time = tokio::time::timeout(crate::support::PATIENCE, done).await;
        assert!(in_time.is_ok(), "{from:?}: {}", world.branch("second").await["summary"]["verdict"]);
        turns(&world, &[Loop::Mend]).await;
        let after = refs();
        assert!(before.lines().all(|line| after.contains(line)), "{from:?}: {before} {after}");
    }
}

/// Changes a byte in the middle of each pack.
fn spoil_packs(mirror: &Path) {
    for pack in std::fs::read_dir(mirror.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path()) {
        if pack.extension().is_some_and(|end| end == "pack") {
            let mut bytes = std::fs::read(&pack).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            std::fs::remove_file(&pack).unwrap();
            std::fs::write(&pack, bytes).unwrap();
        }
    }
}

/// Whether a branch has so many revisions, and of the newest a candidate.
async fn has_candidate(world: &World, name: &str, revisions: u32) -> bool {
    let branch = world.branch_row(name).await;
    let newest = world.store().newest_revision(branch.id).await.unwrap();
    let Some(newest) = newest.filter(|it| it.number == revisions) else { return false };
    let candidate = world.store().candidate_of(newest.id).await.unwrap();
    candidate.is_some_and(|it| it.made_commit().is_some())
}
