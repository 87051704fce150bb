//! Nothing that was admitted is lost with the mirror, with its source, or with the whole basedir once there is a backup.

use crate::world;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use testkit::world::{Plan, World};

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
    // First bb tries to fetch it again.
    let is_eves = |verdict: &protocol::api::Verdict| verdict.code == "commit-missing" && verdict.next.who == "eve";
    let verdict = world.until("lost", |branch| is_eves(&branch.summary.verdict)).summary.verdict;
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
        let all = found["findings"].as_array().unwrap().iter().filter(|it| (it["state"] == "mended") == mended);
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

/// The loose objects of a mirror, one file each: everything that was in packs.
fn unpacked(mirror: &Path) {
    let aside = mirror.join("aside");
    std::fs::rename(mirror.join("objects/pack"), &aside).unwrap();
    std::fs::create_dir(mirror.join("objects/pack")).unwrap();
    for pack in files(&aside, ".pack") {
        let pack = std::fs::File::open(pack).unwrap();
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(mirror).args(["unpack-objects", "-q"]).stdin(pack);
        assert!(git.status().unwrap().success());
    }
    std::fs::remove_dir_all(aside).unwrap();
}

/// What a check says: its exit code, and the states of what it found, each once.
fn deep_check(world: &World) -> (Option<i32>, bool, Vec<String>) {
    let said = world.run(["master", "check", world.basedir().to_str().unwrap(), "--deep", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let mut states: Vec<_> = json["findings"].as_array().unwrap().iter().map(|it| it["state"].to_string()).collect();
    states.sort();
    states.dedup();
    (said.code, json["good"] == true, states)
}

#[test]
fn what_was_only_moved_away_is_not_good_and_a_running_master_gets_it_back() {
    let world = world();
    world.slave("oak");
    publish(&world, "ann", "feature");
    // A file of mainline's past, which no candidate and no build needs.
    let (first, official) =
        (world.mainline().git(&["rev-parse", "main:greeting.txt"]), world.folder().join("official.git"));
    let clone = testkit::git::Repo::clone(official.to_str().unwrap(), world.folder().join("clone"));
    clone.commit(&[("greeting.txt", "heron says hello again\n")], "Say it again");
    clone.git(&["push", "--quiet", "origin", "main"]);
    let tip = clone.head();
    world.wait("mainline is seen", || {
        let project: serde_json::Value = world.api("/projects/heron");
        (project["project"]["tip"] == tip.as_str()).then_some(())
    });
    world.kill_master();
    let mirror = world.basedir().join("mirrors/heron.git");
    unpacked(&mirror);
    let object = mirror.join("objects").join(&first[..2]).join(&first[2..]);
    let damage = || {
        std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&object, "nonsense").unwrap();
    };
    damage();
    let away = official.with_extension("away");
    std::fs::rename(&official, &away).unwrap();
    let pending = vec!["\"pending\"".to_owned()];
    assert_eq!(deep_check(&world), (Some(3), false, pending.clone()));
    assert!(!object.exists(), "it was put aside");
    assert_eq!(deep_check(&world), (Some(3), false, pending), "as long as nobody fetched it");
    std::fs::rename(&away, &official).unwrap();
    world.start_master();
    world.wait("the master fetched it", || {
        let pack = std::process::Command::new("git").arg("-C").arg(&mirror).args(["cat-file", "-e", &first]).status();
        pack.unwrap().success().then_some(())
    });
    world.kill_master();
    assert_eq!(deep_check(&world), (Some(0), true, vec![]));

    // With the official repository at hand the check itself does all.
    unpacked(&mirror);
    damage();
    assert_eq!(deep_check(&world), (Some(0), true, vec!["\"mended\"".to_owned()]));

    // A revision that nobody has any more is lost.
    unpacked(&mirror);
    let blob = world.author("ann").repo().git(&["rev-parse", "feature:feature.txt"]);
    std::fs::remove_file(mirror.join("objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    let ann = world.author("ann").repo().path().to_owned();
    std::fs::rename(&ann, ann.with_extension("away")).unwrap();
    assert_eq!(deep_check(&world).0, Some(3), "its source may answer again");
    std::fs::rename(ann.with_extension("away"), &ann).unwrap();
    world.author("ann").writes("other", &[("x", "y\n")]);
    for gone in [
        &["branch", "-q", "-D", "feature"][..],
        &["reflog", "expire", "--expire=now", "--all"],
        &["prune", "--expire=now"],
    ] {
        world.author("ann").repo().git(gone);
    }
    let said = world.run(["master", "check", world.basedir().to_str().unwrap(), "--deep"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains("lost: heron: commit: feature r1") && said.out.contains("next: the author pushes"),
        "{said:?}"
    );
}

/// The place of the newest event in the stream.
fn newest_mark(world: &World, events: usize) -> String {
    let lines = world.client().try_lines("/api/v1/events?since=0", testkit::world::PATIENCE).unwrap();
    let ids = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("id:").map(|id| id.trim().to_owned()));
    ids.take(events).last().unwrap()
}

#[test]
fn what_was_accepted_lands_from_a_backup_and_a_dump_of_postgresql() {
    let store = testkit::postgres::fresh_database();
    let world = World::start_as(env!("CARGO_BIN_EXE_bb"), &Plan { store: Some(store.clone()), ..Plan::default() });
    world.slave("oak");
    publish(&world, "ann", "feature");
    publish(&world, "bob", "other");
    world.run(["queue", "pause"]).ok();
    world.maintainer().accepts("feature").ok();

    // As the guide says: the dump first, then the backup, and both are kept together.
    let (basedir, backup, dump) = (world.basedir(), world.folder().join("backup"), world.folder().join("backup.dump"));
    let (at, to) = (basedir.to_str().unwrap(), backup.to_str().unwrap());
    testkit::postgres::dump(&store, &dump).unwrap();
    let count = || testkit::postgres::execute(&store, "SELECT COUNT(*) FROM event").unwrap().trim().parse().unwrap();
    let before: usize = count();
    // What comes between them is in the mirror and in no row.
    world.author("bob").writes("other", &[("other.txt", "lost\n")]);
    world.author("bob").publishes("other").ok();
    world.until("other", |branch| branch.summary.revision == Some(2) && branch.summary.verdict.code == "ready");
    assert!(world.run(["master", "backup", to, at]).ok().contains("whole"));
    assert!(count() > before);
    let seen = newest_mark(&world, count());

    world.kill_master();
    std::fs::remove_dir_all(&basedir).unwrap();
    std::fs::remove_dir_all(world.author("ann").repo().path()).unwrap();
    // bob's branch is where it was in none of them.
    world.author("bob").writes("other", &[("other.txt", "otherwise\n")]);
    let restored = testkit::postgres::fresh_database();
    testkit::postgres::restore(&restored, &dump).unwrap();
    assert!(world.run(["master", "restore", to, at]).err.contains("pg_restore"));
    let settings = std::fs::read_to_string(basedir.join("master.toml")).unwrap();
    assert!(settings.contains(&store));
    std::fs::write(basedir.join("master.toml"), settings.replace(&store, &restored)).unwrap();
    assert_eq!(deep_check(&world), (Some(0), true, vec![]));

    world.start_master();
    let lines = world.client().try_lines(&format!("/api/v1/events?since={seen}"), testkit::world::PATIENCE).unwrap();
    let mut kinds =
        lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("event:").map(|kind| kind.trim().to_owned()));
    assert_eq!(kinds.next().as_deref(), Some("reset"), "{seen}");
    world.run(["queue", "resume"]).ok();
    world.until_verdict("feature", "landed");
    assert!(kinds.any(|kind| kind == "landed"), "a follower misses nothing of what comes");
    assert!(world.mainline().files("main").contains(&"feature.txt".to_owned()));
    // What was looked at between the dump and now is another revision of the same number.
    let other = world.until("other", |branch| branch.summary.revision == Some(2));
    assert_eq!(other.summary.commit.unwrap().as_str(), world.author("bob").repo().resolve("other"));
    world.until_verdict("other", "ready");
    world.maintainer().accepts("other").ok();
    world.until_verdict("other", "landed");
    assert_eq!(world.mainline().show("main", "other.txt"), "otherwise\n");
}
