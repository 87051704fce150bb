//! Nothing that was admitted is lost with the mirror, with its source, or with the whole basedir once there is a backup.

use crate::world;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use testkit::world::World;

fn publish(world: &World, author: &str, branch: &str) -> String {
    let author = world.author(author);
    let commit = author.writes_with_fragment(branch, &[(&format!("{branch}.txt"), "text\n")]);
    author.publishes(branch).ok();
    world.until_verdict(branch, "ready");
    commit
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_mirror_that_was_deleted_comes_back_and_what_nobody_has_any_more_is_said() {
    let world = world();
    world.slave("oak");
    for (author, branch) in [("ann", "feature"), ("bob", "queued"), ("eve", "lost")] {
        publish(&world, author, branch);
    }
    world.run(["queue", "pause"]).ok();
    for branch in ["lost", "queued"] {
        world.maintainer().accepts(branch).ok();
    }
    world.kill_master();
    std::fs::remove_dir_all(world.basedir().join("mirrors")).unwrap();
    std::fs::remove_dir_all(world.author("eve").repo().path()).unwrap();
    // Meanwhile bob goes on: what was accepted is not his branch's head any more.
    world.author("bob").writes("queued", &[("more.txt", "more\n")]);

    world.start_master();
    let lost = world.until_verdict("lost", "commit-missing");
    let verdict = lost.summary.verdict;
    assert_eq!(verdict.next.who, "eve");
    assert!(!verdict.next.what.is_empty() && !verdict.because.is_empty(), "{verdict:?}");
    for branch in ["feature", "queued", "lost"] {
        let page = world.branch(branch).summary.page;
        assert_eq!(world.client().get(&page).status, 200, "{page}");
    }
    world.run(["queue", "resume"]).ok();
    // The first in the queue waits for its author, and stops nobody.
    let waits = world.until("lost", |branch| branch.queue.iter().any(|entry| entry.code == "missing"));
    assert_eq!(waits.queue[0].next.who, "eve");
    world.until("queued", |branch| branch.queue.iter().any(|entry| entry.code == "landed"));
    assert!(world.mainline().files("main").contains(&"queued.txt".to_owned()));
    assert!(!world.mainline().files("main").contains(&"more.txt".to_owned()), "what was accepted landed");

    // Mainline moved: one branch that can't be merged any more keeps no other from being.
    world.until_verdict("feature", "ready");
    publish(&world, "ann", "fresh");
    world.maintainer().accepts("feature").ok();
    world.until_verdict("feature", "landed");

    // Its author is there again.
    let eve = world.author("eve");
    eve.writes("lost", &[("again.txt", "text\n")]);
    eve.publishes("lost").ok();
    world.until("lost", |branch| branch.summary.revision == Some(2));
    world.maintainer().accepts("lost").ok();
    world.until_verdict("lost", "landed");
}

#[test]
fn what_was_accepted_lands_from_a_backup_though_its_source_is_gone() {
    let world = world();
    world.slave("oak");
    publish(&world, "ann", "feature");
    publish(&world, "bob", "other");
    world.run(["queue", "pause"]).ok();
    world.maintainer().accepts("feature").ok();
    std::fs::remove_dir_all(world.author("ann").repo().path()).unwrap();
    let log = world.run(["log", "1", "--step", "test"]).ok();

    let (basedir, backup) = (world.basedir(), world.folder().join("backup"));
    let (from, to) = (basedir.to_str().unwrap(), backup.to_str().unwrap());
    world.run(["master", "backup", to, from]).ok();
    assert!(world.run(["master", "backup", to, from]).fails().contains("not empty"));
    assert!(world.run(["master", "restore", to, from]).fails().contains("not empty"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;

    world.kill_master();
    std::fs::remove_dir_all(&basedir).unwrap();
    world.run(["master", "restore", to, from]).ok();
    assert_eq!(mode(&basedir.join("bb.sqlite")), 0o600);
    assert_eq!(mode(&basedir.join("secrets")), 0o700);
    assert_eq!(mode(&basedir.join("secrets/maintainer.token")), 0o600);
    let checked = world.run(["master", "check", from, "--deep", "--json"]).json();
    assert_eq!(checked["good"], true, "{checked}");
    assert!(checked["commits"].as_u64().unwrap() >= 5, "{checked}");

    world.start_master();
    assert_eq!(world.run(["log", "1", "--step", "test"]).ok(), log);
    world.run(["queue", "resume"]).ok();
    world.until_verdict("feature", "landed");
    assert!(world.mainline().files("main").contains(&"feature.txt".to_owned()));
    world.until_verdict("other", "ready");
}

#[test]
fn a_deep_check_says_what_is_wrong_and_mends_what_can_be() {
    let world = world();
    world.slave("oak");
    publish(&world, "ann", "feature");
    publish(&world, "bob", "other");
    let basedir = world.basedir();
    let at = basedir.to_str().unwrap();
    assert!(world.run(["master", "check", at, "--deep"]).ok().contains("good"));
    world.kill_master();

    let mirror = basedir.join("mirrors/heron.git");
    std::fs::remove_dir_all(mirror.join("refs/branches/other")).unwrap();
    let packs = files(&mirror.join("objects/pack"), ".pack");
    for pack in &packs {
        std::fs::set_permissions(pack, std::fs::Permissions::from_mode(0o600)).unwrap();
        let length = std::fs::metadata(pack).unwrap().len();
        std::fs::File::options().write(true).open(pack).unwrap().set_len(length / 2).unwrap();
    }
    let log = files(&basedir.join("logs"), ".log").pop().unwrap();
    std::fs::File::options().write(true).open(&log).unwrap().set_len(1).unwrap();

    let looked = world.run(["master", "check", at, "--deep", "--dry-run", "--json"]);
    assert_eq!(looked.code, Some(1), "{looked:?}");
    let looked: serde_json::Value = serde_json::from_str(&looked.out).unwrap();
    let kinds = |found: &serde_json::Value, mended: bool| -> Vec<String> {
        let all = found["findings"].as_array().unwrap().iter().filter(|it| it["mended"] == mended);
        let mut kinds: Vec<String> = all.map(|it| it["kind"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(&looked, true), Vec::<String>::new());
    assert!(
        ["commit", "log", "object"].iter().all(|kind| kinds(&looked, false).contains(&(*kind).to_owned())),
        "{looked}"
    );

    // All but the log, of which nobody has another copy.
    let mended = world.run(["master", "check", at, "--deep", "--json"]);
    assert_eq!(mended.code, Some(1), "{mended:?}");
    let mended: serde_json::Value = serde_json::from_str(&mended.out).unwrap();
    assert_eq!(kinds(&mended, false), ["log"], "{mended}");
    std::fs::remove_file(&log).unwrap();
    let said = world.run(["master", "check", at, "--deep"]);
    assert!(said.code == Some(1) && said.out.contains("log of build"), "{said:?}");

    world.start_master();
    for branch in ["feature", "other"] {
        world.maintainer().accepts(branch).ok();
        world.until_verdict(branch, "landed");
    }
}
