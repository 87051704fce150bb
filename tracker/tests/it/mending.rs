//! What the mirror lost comes back, from wherever it still is.

use crate::support::http::{Server, publish};
use crate::support::{Repo, World, branch, files_below, git, name, plain_git, source};
use protocol::CommitId;
use tracker::Explain;
use tracker::candidate::CandidateOutcome;
use tracker::git::Version;
use tracker::mirror::{Admission, AdmissionError, AdmissionLimits, Mirror, Named, Passing};

/// An author's branch of two revisions, of which the second replaced the first.
async fn two_revisions(world: &World) -> (Repo, CommitId, CommitId) {
    let ann = world.author("ann");
    let first = ann.write("b.c", "hello\n").commit("Say hello");
    world.admit(&ann, "ann", 1).await;
    let second = ann.write("dir/c.c", "more\n").commit("Say more");
    world.admit(&ann, "ann", 2).await;
    (ann, first, second)
}

fn revision(n: u32, commit: &CommitId) -> Named {
    Named { reference: Mirror::revision_ref(&name("ann"), n), commit: commit.clone() }
}

/// The mirror after somebody deleted it.
async fn anew(world: &mut World) {
    std::fs::remove_dir_all(world.mirror.path()).unwrap();
    world.mirror = Mirror::open_or_create(git(), world.mirror.path()).await.unwrap();
    world.update().await;
}

/// An admission of a commit that was admitted before.
fn again(world: &World, server: &Server, n: u32, commit: &CommitId) -> Admission {
    Admission {
        source: source(&server.url("r.git"), world.poller.policy()),
        branch: branch("ann"),
        expected: Some(commit.clone()),
        name: name("ann"),
        revision: n,
        limits: AdmissionLimits::default(),
    }
}

#[tokio::test]
async fn what_is_left_of_a_damaged_mirror_is_kept_when_it_is_made_whole() {
    let mut world = World::new().await;
    let (_, first, _) = two_revisions(&world).await;
    let path = world.mirror.path().to_owned();
    for lost in ["HEAD", "config", "refs"] {
        match path.join(lost).is_dir() {
            true => std::fs::remove_dir_all(path.join(lost)).unwrap(),
            false => std::fs::remove_file(path.join(lost)).unwrap(),
        }
    }
    world.mirror = Mirror::open_or_create(git(), &path).await.unwrap();
    assert!(!path.with_extension("new").exists());
    assert_eq!(world.mirror.commit(&first).await.unwrap().subject, "Say hello");
    world.update().await;
}

#[tokio::test]
async fn a_revision_comes_back_under_its_ref_though_its_source_has_moved_on() {
    let mut world = World::new().await;
    let (ann, first, second) = two_revisions(&world).await;
    let root = world.temp.path().join("www");
    publish(&ann, &root, "r.git");
    let (smart, dumb) = (Server::smart(&root), Server::dumb(&root));
    for server in [&smart, &dumb] {
        anew(&mut world).await;
        let rows = vec![revision(1, &first), revision(2, &second)];
        assert_eq!(world.mirror.missing(rows.clone()).await.unwrap(), rows);
        for (n, commit) in [(1, &first), (2, &second)] {
            world.mirror.readmit(&world.poller, &again(&world, server, n, commit)).await.unwrap();
        }
        assert_eq!(world.mirror.missing(rows).await.unwrap(), []);
        assert_eq!(world.mirror.ref_at("refs/branches/ann/r1").await.unwrap(), Some(first.clone()));
        let made = world.made("ann", &second).await;
        assert_eq!(world.file(&made.commit, "dir/c.c").await.as_deref(), Some("more\n"));
    }
}

#[tokio::test]
async fn a_commit_that_nobody_has_is_told_so_and_one_whose_source_is_away_is_not() {
    let mut world = World::new().await;
    let (ann, _, second) = two_revisions(&world).await;
    anew(&mut world).await;
    ann.git(&["checkout", "-q", "--orphan", "new"]);
    ann.write("z", "1").commit("Other");
    ann.git(&["branch", "-D", "-q", "ann"]);
    ann.git(&["reflog", "expire", "--expire=now", "--all"]);
    ann.git(&["prune", "--expire=now"]);
    let lost = Admission { expected: Some(second.clone()), ..world.admission(&ann, "ann", 2) };
    for source_branch in ["ann", "new"] {
        let lost = Admission { branch: branch(source_branch), ..lost.clone() };
        let error = world.mirror.readmit(&world.poller, &lost).await.unwrap_err();
        assert!(matches!(&error, AdmissionError::Passing(Passing::Gone { .. })), "{error:?}");
        assert_eq!(error.code(), "commit-lost");
        assert!(error.hint().contains("again"), "{}", error.hint());
    }
    std::fs::rename(&ann.path, ann.path.with_extension("away")).unwrap();
    let error = world.mirror.readmit(&world.poller, &lost).await.unwrap_err();
    assert_ne!(error.code(), "commit-lost", "{error:?}");
}

#[tokio::test]
async fn refs_that_were_lost_are_set_again_without_a_fetch() {
    let world = World::new().await;
    let (ann, first, second) = two_revisions(&world).await;
    std::fs::remove_dir_all(&ann.path).unwrap();
    std::fs::remove_dir_all(world.mirror.path().join("refs/branches")).unwrap();
    let rows = vec![revision(1, &first), revision(2, &second)];
    assert_eq!(world.mirror.missing(rows).await.unwrap(), []);
    assert!(world.refs().contains("refs/branches/ann/r1") && world.refs().contains("refs/branches/ann/r2"));
}

/// Cuts every loose object short, as a power failure does to what was not synced.
fn empty_loose_objects(mirror: &Mirror) -> usize {
    let loose = files_below(&mirror.path().join("objects"));
    let loose: Vec<_> =
        loose.into_iter().filter(|path| path.parent().unwrap().file_name().unwrap().len() == 2).collect();
    for file in &loose {
        std::fs::remove_file(file).unwrap();
        std::fs::write(file, "").unwrap();
    }
    loose.len()
}

#[tokio::test]
async fn a_candidate_that_is_kept_is_in_a_pack_and_survives_that_its_loose_objects_are_empty() {
    let world = World::new().await;
    let (_, _, second) = two_revisions(&world).await;
    let made = world.made("ann", &second).await;
    world.mirror.keep_candidate(&name("ann"), 2, &made.commit).await.unwrap();
    assert!(empty_loose_objects(&world.mirror) > 0);
    assert_eq!(world.mirror.lacks(&made.commit).await.unwrap(), None);
    let said =
        plain_git().arg("-C").arg(world.mirror.path()).args(["rev-list", "--objects", "--all"]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
}

#[tokio::test]
async fn a_damaged_candidate_is_noticed_and_made_again_as_the_same_commit() {
    let world = World::new().await;
    let (_, _, second) = two_revisions(&world).await;
    let made = world.made("ann", &second).await;
    assert!(empty_loose_objects(&world.mirror) > 0);
    let named = Named { reference: Mirror::candidate_ref(&name("ann")), commit: made.commit.clone() };
    let lost = vec![named.clone()];
    assert_eq!(world.mirror.missing(lost.clone()).await.unwrap(), lost);
    let CandidateOutcome::Made(again) = world.candidate("ann", &second).await else { panic!("it was made before") };
    assert_eq!(again.commit, made.commit);
    assert_eq!(world.mirror.missing(vec![named]).await.unwrap(), []);
}

#[tokio::test]
async fn mainline_that_can_t_be_read_is_fetched_whole() {
    let mut world = World::new().await;
    for file in files_below(&world.mirror.path().join("objects")) {
        std::fs::remove_file(file).unwrap();
    }
    world.update().await;
    assert_eq!(world.file(&world.mainline.clone(), ".bb.toml").await.as_deref(), Some(""));
    // A ref that says nonsense is as good as none.
    std::fs::write(world.mirror.path().join("refs/heads/main"), "").unwrap();
    world.update().await;
}

#[tokio::test]
async fn upkeep_waits_for_whoever_holds_the_mirror_still() {
    let world = World::new().await;
    let held = world.mirror.hold_still().await.unwrap();
    let other = world.mirror.hold_still().await.unwrap();
    assert!(world.mirror.begin_upkeep().await.unwrap().is_none());
    drop((held, other));
    assert!(world.mirror.begin_upkeep().await.unwrap().is_some());
}

#[tokio::test]
async fn one_branch_s_lost_commits_and_damaged_refs_keep_nothing_else_from_going_on() {
    let mut world = World::new().await;
    let (_, first, second) = two_revisions(&world).await;
    let bob = world.author("bob");
    let other = bob.write("d.c", "x\n").commit("Other");
    world.admit(&bob, "bob", 1).await;
    let rows = vec![revision(1, &first), revision(2, &second)];
    let kept = Named { reference: Mirror::revision_ref(&name("bob"), 1), commit: other.clone() };
    // A pack is gone with the commits of one branch, and its refs say nonsense.
    for commit in [&first, &second] {
        for index in
            files_below(&world.mirror.path().join("objects/pack")).iter().filter(|p| p.extension().unwrap() == "idx")
        {
            let said = plain_git().arg("show-index").stdin(std::fs::File::open(index).unwrap()).output().unwrap();
            if String::from_utf8_lossy(&said.stdout).contains(commit.as_str()) {
                std::fs::remove_file(index.with_extension("pack")).unwrap();
                std::fs::remove_file(index).unwrap();
            }
        }
    }
    std::fs::write(world.mirror.path().join("refs/branches/ann/head"), "\n").unwrap();
    std::fs::write(world.mirror.path().join("packed-refs"), "# pack-refs with: peeled\nnonsense").unwrap();
    world.official.write("n", "1").commit("Meanwhile");
    world.update().await;
    let mut all = rows.clone();
    all.push(kept);
    assert_eq!(world.mirror.missing(all).await.unwrap(), rows);
    world.made("bob", &other).await;
}

/// Whatever a disk made of a line of the packed refs, the others are there again, and what that line named follows from the rows.
#[tokio::test]
async fn a_garbled_line_of_packed_refs_costs_no_other_ref() {
    let world = World::new().await;
    let (_, first, second) = two_revisions(&world).await;
    let path = world.mirror.path().to_owned();
    let all = || {
        let said = plain_git().args(["for-each-ref", "--format=%(objectname) %(refname)"]).current_dir(&path).output();
        said.ok().filter(|said| said.status.success()).map(|said| String::from_utf8(said.stdout).unwrap())
    };
    let packed = path.join("packed-refs");
    let whole = all().unwrap();
    for n in 0..8 {
        assert!(plain_git().args(["pack-refs", "--all", "--prune"]).current_dir(&path).status().unwrap().success());
        let text = std::fs::read_to_string(&packed).unwrap();
        let line = format!("{first} refs/branches/ann/r1\n");
        assert!(text.contains(&line), "{text}");
        let bad = match n {
            0 => text.replace(&line, &format!("{first}\n")),
            1 => text.replace(&line, &line.replace(' ', "\0")),
            2 => text.replace(&line, &format!("{first} refs/branches/../r1\n")),
            3 => text.replace(&line, &format!("{first}0 refs/branches/ann/r1\n")),
            4 => text.replace(&line, &format!("{} refs/branches/ann/r1\n", "0".repeat(40))),
            5 => text.replace("# pack-refs", "#\u{1}pack-refs"),
            6 => text[..text.len() - 1].to_owned(),
            _ => "\0".repeat(text.len()),
        };
        std::fs::write(&packed, bad).unwrap();
        world.mirror.mend_packed_refs().await.unwrap();
        world.mirror.forget_dead_refs().await.unwrap();
        assert!(all().is_some(), "{n}: git reads it again");
        if n < 5 {
            let others: Vec<&str> = whole.lines().filter(|line| !line.ends_with("ann/r1")).collect();
            assert!(others.iter().all(|line| all().unwrap().contains(line)), "{n}: {:?}", all());
        }
        assert_eq!(world.mirror.missing(vec![revision(1, &first), revision(2, &second)]).await.unwrap(), []);
        assert!(all().unwrap().contains(line.trim()), "{n}: {:?}", all());
        assert!(!world.mirror.mend_packed_refs().await.unwrap());
        let main = all().unwrap().contains(&format!("{} refs/heads/main", world.mainline));
        if !main {
            assert_eq!(n, 7, "only a file of which nothing is left");
        }
    }
}

/// Whatever a disk made of one branch's refs, others are admitted and mainline goes on before anybody has mended that.
#[tokio::test]
async fn a_broken_ref_keeps_no_other_branch_from_being_admitted() {
    let mut world = World::new().await;
    two_revisions(&world).await;
    let bob = world.author("bob");
    let nothing = "1".repeat(40);
    let torn = world.mirror.path().join("refs/branches/ann/r1");
    let tag = world.mirror.path().join("refs/tags/v1");
    for (n, text) in [(1, ""), (2, "nonsense\n"), (3, &nothing), (4, "ref: refs/branches/ann/r1\n"), (5, "\0\0")] {
        std::fs::write(&torn, text).unwrap();
        std::fs::write(&tag, text).unwrap();
        bob.write("d.c", format!("{n}\n")).commit("More");
        world.admit(&bob, "bob", n).await;
        world.official.write("n", n.to_string()).commit("Meanwhile");
        world.update().await;
        if git().version() >= (Version { major: 2, minor: 40 }) {
            assert_eq!(
                std::fs::read_to_string(&torn).unwrap(),
                text,
                "nothing was mended, nor all of mainline fetched"
            );
        }
    }
}
