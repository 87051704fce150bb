//! What mainline's history holds, and that nothing is said of it where an object is missing.

use crate::support::{Repo, World, git, plain_git};
use protocol::CommitId;
use std::collections::HashSet;
use std::path::Path;
use tracker::mirror::{Mirror, MirrorError, Moved, Relation};

/// Takes an object away from a mirror, as a disk does.
fn lose(mirror: &Path, id: &str) {
    let packs: Vec<_> = std::fs::read_dir(mirror.join("objects/pack")).unwrap().map(|e| e.unwrap().path()).collect();
    for pack in packs.iter().filter(|path| path.extension().is_some_and(|end| end == "pack")) {
        let aside = mirror.join("aside.pack");
        std::fs::rename(pack, &aside).unwrap();
        let pack = std::fs::File::open(&aside).unwrap();
        let done = plain_git().arg("-C").arg(mirror).args(["unpack-objects", "-q"]).stdin(pack).status().unwrap();
        assert!(done.success());
    }
    for file in packs {
        let _ = std::fs::remove_file(file);
    }
    std::fs::remove_file(mirror.join("objects").join(&id[..2]).join(&id[2..])).unwrap();
}

fn set(all: &[&CommitId]) -> HashSet<CommitId> {
    all.iter().map(|id| (*id).clone()).collect()
}

fn commits(repo: &Repo, names: &[&str]) -> Vec<CommitId> {
    names.iter().map(|name| repo.write(name, "text\n").commit(name)).collect()
}

#[tokio::test]
async fn a_missing_object_says_nothing_of_history() {
    let mut world = World::new().await;
    let line = commits(&world.official, &["one", "two", "three"]);
    world.update().await;
    let ann = world.author("ann");
    ann.git(&["reset", "-q", "--hard", line[0].as_str()]);
    let head = ann.write("b.c", "text\n").commit("Work");
    world.admit(&ann, "ann", 1).await;
    let tip = world.mainline.clone();
    assert!(matches!(world.mirror.relation(&tip, &head).await, Ok(Relation::Ahead { commits: 1, .. })));

    // By a process that has not read it yet.
    world.mirror = Mirror::open_or_create(git(), world.mirror.path()).await.unwrap();
    lose(world.mirror.path(), line[1].as_str());
    let said = world.mirror.relation(&tip, &head).await;
    assert!(matches!(said, Err(MirrorError::Missing { .. })), "{said:?}");
    assert!(world.mirror.holds(&tip, &line[0]).await.is_err());
    assert!(world.mirror.moved(Some(&line[0]), &tip, set(&[&head])).await.is_err());
    assert!(world.mirror.candidate(&world.request("ann", &head)).await.is_err(), "it is not refused for that");

    // Neither does a commit that is there and can't be read.
    let file = world.mirror.path().join("objects").join(&line[0].as_str()[..2]).join(&line[0].as_str()[2..]);
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "nonsense").unwrap();
    world.mirror = Mirror::open_or_create(git(), world.mirror.path()).await.unwrap();
    let said = world.mirror.holds(&tip, &line[0]).await;
    assert!(matches!(said, Err(MirrorError::Objects { .. })), "{said:?}");
}

#[tokio::test]
async fn histories_without_a_commit_in_common_are_told_from_those_with_a_missing_one() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.git(&["checkout", "-q", "--orphan", "other"]);
    ann.write("b.c", "text\n").commit("Begin anew");
    ann.git(&["branch", "-f", "ann"]);
    let head = world.admit(&ann, "ann", 1).await;
    assert_eq!(world.mirror.relation(&world.mainline, &head).await.unwrap(), Relation::Unrelated);
}

#[tokio::test]
async fn a_move_of_mainline_is_one_walk_however_many_commits_are_asked_for() {
    let mut world = World::new().await;
    let start = world.mainline.clone();
    let old = commits(&world.official, &["one", "two"]);
    world.update().await;
    let moved = |came: &[&CommitId], went: &[&CommitId]| Moved { came: set(came), went: set(went) };
    let elsewhere: Vec<CommitId> = (0..5000).map(|n| format!("{n:040x}").parse().unwrap()).collect();
    let wanted: HashSet<_> = elsewhere.iter().chain([&start, &old[0], &old[1]]).cloned().collect();
    let ask = async |before: Option<&CommitId>, tip: &CommitId| {
        world.mirror.moved(before, tip, wanted.clone()).await.unwrap()
    };
    assert_eq!(ask(Some(&start), &old[1]).await, moved(&[&old[0], &old[1]], &[]));
    assert_eq!(ask(Some(&old[1]), &old[1]).await, moved(&[], &[]));
    assert_eq!(ask(Some(&old[1]), &start).await, moved(&[], &[&old[0], &old[1]]));
    // Where it was before is not known: all is said.
    let all = ask(None, &old[0]).await;
    assert_eq!((all.came, all.went.len()), (set(&[&start, &old[0]]), 5001));
    let unknown = elsewhere.first();
    assert_eq!(ask(unknown, &old[1]).await.came, set(&[&start, &old[0], &old[1]]));
    // Rewritten from the first commit on.
    world.official.git(&["reset", "-q", "--hard", start.as_str()]);
    let new = commits(&world.official, &["three"]);
    world.update().await;
    let wanted = set(&[&start, &old[0], &new[0]]);
    let moved = world.mirror.moved(Some(&old[1]), &new[0], wanted).await.unwrap();
    assert_eq!(moved, Moved { came: set(&[&new[0]]), went: set(&[&old[0]]) });
}

#[tokio::test]
async fn a_change_is_found_in_mainline_commit_by_commit_and_as_one() {
    let mut world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").commit("Say hello");
    ann.write("b.c", "hello\nagain\n").write("c.c", "more\n").commit("Say more");
    let head = world.admit(&ann, "ann", 1).await;
    assert!(!world.mirror.has_patches(&world.mainline, &head).await.unwrap());

    let start = world.mainline.clone();
    let official = world.official.clone();
    official.git(&["fetch", "-q", ann.path.to_str().unwrap(), "ann"]);
    for how in ["squash", "pick", "half"] {
        official.git(&["reset", "-q", "--hard", start.as_str()]);
        official.write("other", "x\n").commit("Other");
        match how {
            "squash" => drop(official.git(&["merge", "-q", "--squash", "FETCH_HEAD"])),
            "pick" => drop(official.git(&["cherry-pick", "FETCH_HEAD~1", "FETCH_HEAD"])),
            _ => drop(official.git(&["cherry-pick", "FETCH_HEAD~1"])),
        }
        official.commit("By hand");
        official.write("other", "y\n").commit("After it");
        world.update().await;
        assert_eq!(world.mirror.has_patches(&world.mainline, &head).await.unwrap(), how != "half", "{how}");
    }
}
