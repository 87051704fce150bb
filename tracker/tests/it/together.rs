//! Branches of one repository, admitted together: as each would be alone, by as many processes as one, and all or none.

use crate::support::{Repo, World, branch, name, plain_git};
use protocol::CommitId;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tracker::git::Git;
use tracker::mirror::{Admission, AdmissionError, AdmissionLimits, Mirror};
use tracker::watch::{Head, PollLimits, Poller};

/// Branches of a repository, `one` to `five`, each of a commit of its own.
fn five(world: &World) -> (Repo, Vec<(String, CommitId)>) {
    let ann = world.author("ann");
    let base = ann.head();
    let heads = ["one", "two", "three", "four", "five"].map(|of| {
        ann.git(&["checkout", "-q", "-B", of, base.as_str()]);
        (of.to_owned(), ann.write(&format!("{of}.c"), format!("{of}\n")).commit(of))
    });
    (ann, heads.to_vec())
}

fn admissions(world: &World, ann: &Repo, heads: &[(String, CommitId)]) -> Vec<Admission> {
    let one = |(of, commit): &(String, CommitId)| Admission {
        branch: branch(of),
        expected: Some(commit.clone()),
        ..world.admission(ann, of, 1)
    };
    heads.iter().map(one).collect()
}

fn of(error: &AdmissionError) -> String {
    error.to_string()
}

#[tokio::test]
async fn branches_of_one_repository_are_asked_for_and_admitted_together() {
    let world = World::new().await;
    let (ann, heads) = five(&world);
    let names: Vec<_> = ["one", "gone", "five", "two"].map(branch).into();
    let found = world.poller.heads(&world.source(&ann), &names).await.unwrap();
    let at = |n: usize| Head::At(heads[n].1.clone());
    assert_eq!(found, [at(0), Head::Absent, at(4), at(1)]);
    let commits: Vec<CommitId> = heads.iter().map(|(_, commit)| commit.clone()).collect();
    let admissions = admissions(&world, &ann, &heads);
    // Again, as after a crash: the same.
    for _ in 0..2 {
        assert_eq!(world.mirror.admit_together(&world.poller, &admissions).await.unwrap(), commits);
    }
    for (of, commit) in &heads {
        let (revision, head) = (Mirror::revision_ref(&name(of), 1), Mirror::head_ref(&name(of)));
        assert_eq!(world.mirror.ref_at(&revision).await.unwrap().as_ref(), Some(commit));
        assert_eq!(world.mirror.ref_at(&head).await.unwrap().as_ref(), Some(commit));
    }
    assert_eq!(world.mirror.admit_together(&world.poller, &[]).await.unwrap(), []);
}

#[tokio::test]
async fn one_that_is_refused_keeps_all_of_them_out_and_each_is_told_alone() {
    let mut world = World::new().await;
    let (ann, mut heads) = five(&world);
    ann.git(&["checkout", "-q", "three"]);
    heads[2].1 = ann.write("large", vec![b'x'; 3000]).write("b.c", "b\n").commit("Too large");
    let limits = AdmissionLimits { blob_bytes: 2000, ..AdmissionLimits::default() };
    let all: Vec<Admission> =
        admissions(&world, &ann, &heads).into_iter().map(|it| Admission { limits: limits.clone(), ..it }).collect();
    let before = world.refs();
    world.mirror.admit_together(&world.poller, &all).await.unwrap_err();
    assert_eq!(world.refs(), before, "nothing of any of them stays");
    for (at, admission) in all.iter().enumerate() {
        let alone = world.mirror.admit(&world.poller, admission).await;
        assert_eq!(alone.is_ok(), at != 2, "{:?}", alone.as_ref().map_err(of));
    }
    // A limit of each holds for each: the trees are counted by themselves, and a merge of too many is found in whichever.
    world.update().await;
    let limits = AdmissionLimits { parents: 1, ..AdmissionLimits::default() };
    ann.git(&["checkout", "-q", "four"]);
    ann.git(&["merge", "-q", "--no-edit", "five"]);
    heads[3].1 = ann.head();
    heads.remove(2);
    let merged: Vec<Admission> = admissions(&world, &ann, &heads)
        .into_iter()
        .map(|it| Admission { revision: 2, limits: limits.clone(), ..it })
        .collect();
    let error = world.mirror.admit_together(&world.poller, &merged).await.unwrap_err();
    assert!(of(&error).contains("parents"), "{error}");
}

#[tokio::test]
async fn one_that_moved_meanwhile_is_not_taken_for_what_was_seen() {
    let world = World::new().await;
    let (ann, heads) = five(&world);
    let all = admissions(&world, &ann, &heads);
    ann.git(&["checkout", "-q", "two"]);
    ann.write("more.c", "more\n").commit("More");
    let before = world.refs();
    let error = world.mirror.admit_together(&world.poller, &all).await.unwrap_err();
    assert!(of(&error).contains("two"), "{error}");
    assert_eq!(world.refs(), before);
    ann.git(&["checkout", "-q", "one"]);
    ann.git(&["branch", "-q", "-D", "two"]);
    world.mirror.admit_together(&world.poller, &all).await.unwrap_err();
    assert_eq!(world.refs(), before);
}

/// A git that writes a line for each time that it is started from outside of itself.
fn counting(folder: &Path) -> (Git, impl Fn() -> usize) {
    let (program, log) = (folder.join("git"), folder.join("started"));
    let real = plain_git().get_program().to_owned();
    let script = format!("#!/bin/sh\necho >>'{}'\nexec '{}' \"$@\"\n", log.display(), real.to_string_lossy());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let git = Git::find(Some(&program)).unwrap();
    (git, move || std::fs::read(&log).map_or(0, |text| text.len()))
}

#[tokio::test]
async fn many_cost_as_many_processes_as_one() {
    let world = World::new().await;
    let (ann, heads) = five(&world);
    let count = async |heads: &[(String, CommitId)]| {
        let folder = tempfile::tempdir().unwrap();
        let (git, started) = counting(folder.path());
        let mirror = Mirror::open_or_create(git.clone(), world.mirror.path()).await.unwrap();
        let poller = Poller::new(git, world.poller.policy().clone(), PollLimits::default()).unwrap();
        let before = started();
        let names: Vec<_> = heads.iter().map(|(of, _)| branch(of)).collect();
        poller.heads(&world.source(&ann), &names).await.unwrap();
        mirror.admit_together(&poller, &admissions(&world, &ann, heads)).await.unwrap();
        started() - before
    };
    let one = count(&heads[..1]).await;
    let four = count(&heads[1..]).await;
    assert!(one > 4, "{one} were counted");
    assert_eq!(four, one);
}
