//! Landing: the tested commit, on the mainline that it was tested on, or not at all.

use crate::support::{NEW_ENTRY, Repo, World, branch, plain_git};
use protocol::CommitId;
use std::os::unix::fs::PermissionsExt;
use tracker::Explain;
use tracker::candidate::CandidateOutcome;
use tracker::land::{LandError, Step};
use tracker::mirror::OfficialUrl;

/// A candidate of an author's change, ready to land.
async fn step(world: &World, name: &str, path: &str) -> Step {
    let repo = world.author(name);
    repo.write(path, "hello\n").write("repo.ChangeLog", NEW_ENTRY.replace("b.c", path)).commit("Change");
    let head = world.admit(&repo, name, 1).await;
    let request = world.request(name, &head);
    let made = world.made(name, &head).await;
    Step { request, commit: made.commit }
}

async fn land(world: &World, steps: &[Step]) -> Result<CommitId, LandError> {
    let expected = &steps[0].request.mainline;
    world.mirror.land(&world.official_url(), &branch("main"), expected, steps).await.map(|landed| landed.commit)
}

#[tokio::test]
async fn what_was_tested_lands_and_a_clean_work_tree_follows() {
    let world = World::new().await;
    let step = step(&world, "ann", "b.c").await;
    assert_eq!(land(&world, std::slice::from_ref(&step)).await.unwrap(), step.commit);
    assert_eq!(world.official.head(), step.commit);
    assert_eq!(world.official.git(&["status", "--porcelain"]), "");
    assert_eq!(std::fs::read_to_string(world.official.path.join("b.c")).unwrap(), "hello\n");
    let there = world.mirror.where_is(&world.official_url(), &branch("main")).await.unwrap();
    assert_eq!(there, Some(step.commit.clone()));
    // Again, as after a crash between the push and the note of it; also when mainline has gone on since.
    assert_eq!(land(&world, std::slice::from_ref(&step)).await.unwrap(), step.commit);
    let now = world.official.write("c.c", "x\n").commit("Meanwhile");
    assert_eq!(land(&world, std::slice::from_ref(&step)).await.unwrap(), step.commit);
    assert_eq!(world.official.head(), now);
}

#[tokio::test]
async fn a_bare_official_repository_and_one_with_another_branch_checked_out_land_too() {
    let world = World::new().await;
    let step = step(&world, "ann", "b.c").await;
    let bare = world.temp.path().join("bare.git");
    assert!(
        plain_git().args(["clone", "-q", "--bare"]).arg(&world.official.path).arg(&bare).status().unwrap().success()
    );
    let url = OfficialUrl::new(format!("file://{}", bare.display())).unwrap();
    let steps = std::slice::from_ref(&step);
    world.mirror.land(&url, &branch("main"), &world.mainline, steps).await.unwrap();
    world.official.branch("elsewhere");
    land(&world, steps).await.unwrap();
    assert_eq!(world.official.git(&["rev-parse", "main"]), step.commit.as_str());
}

#[tokio::test]
async fn mainline_that_moved_is_left_alone() {
    let world = World::new().await;
    let step = step(&world, "ann", "b.c").await;
    let now = world.official.write("c.c", "x\n").commit("Meanwhile");
    let error = land(&world, &[step]).await.unwrap_err();
    assert_eq!(error.code(), "mainline-moved");
    assert!(matches!(&error, LandError::Moved { now: Some(there), .. } if *there == now), "{error}");
    assert_eq!(world.official.head(), now);
}

#[tokio::test]
async fn a_mainline_that_was_taken_back_is_not_forced_forward() {
    let mut world = World::new().await;
    let first = world.mainline.clone();
    world.official.write("c.c", "x\n").commit("Second");
    world.update().await;
    let step = step(&world, "ann", "b.c").await;
    world.official.git(&["reset", "-q", "--hard", first.as_str()]);
    assert_eq!(land(&world, &[step]).await.unwrap_err().code(), "mainline-moved");
    assert_eq!(world.official.head(), first);
}

#[tokio::test]
async fn a_dirty_work_tree_and_a_hook_refuse_in_words() {
    let world = World::new().await;
    let step = step(&world, "ann", "b.c").await;
    world.official.write("a.c", "half done\n");
    let error = land(&world, std::slice::from_ref(&step)).await.unwrap_err();
    assert_eq!(error.code(), "push-refused");
    assert!(error.to_string().contains("unstaged changes"), "{error}");
    assert_eq!(std::fs::read_to_string(world.official.path.join("a.c")).unwrap(), "half done\n");
    world.official.git(&["checkout", "-q", "a.c"]);

    let hook = world.official.path.join(".git/hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho 'no pushes on Friday'\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = land(&world, std::slice::from_ref(&step)).await.unwrap_err();
    assert_eq!(error.code(), "push-refused");
    let words = error.to_string();
    assert!(words.contains("pre-receive hook declined") && words.contains("no pushes on Friday"), "{words}");
    assert_eq!(world.official.head(), world.mainline);
    std::fs::remove_file(hook).unwrap();
    land(&world, &[step]).await.unwrap();
}

#[tokio::test]
async fn an_official_repository_that_is_away_is_told_from_one_that_refuses() {
    let world = World::new().await;
    let step = step(&world, "ann", "b.c").await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = OfficialUrl::new(format!("http://ann:s3cret@{closed}/r.git")).unwrap();
    let error = world.mirror.land(&url, &branch("main"), &world.mainline, &[step]).await.unwrap_err();
    assert_eq!(error.code(), "unreachable", "{error}");
    let error = world.mirror.update_mainline(&url, &branch("main")).await.unwrap_err();
    assert_eq!(error.code(), "unreachable", "{error}");
    assert!(!format!("{error} {error:?} {url} {url:?}").contains("s3cret"), "{error:?}");
    let error = world.mirror.update_mainline(&world.official_url(), &branch("trunk")).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("has no branch `trunk`")), ("official-no-branch", true));
}

#[tokio::test]
async fn only_what_its_request_gives_is_pushed() {
    let world = World::new().await;
    let good = step(&world, "ann", "b.c").await;
    let other = step(&world, "bob", "c.c").await;
    let swapped = Step { commit: other.commit.clone(), ..good.clone() };
    let error = land(&world, &[swapped]).await.unwrap_err();
    assert_eq!(error.code(), "landing-check");
    assert!(error.to_string().contains("made anew it is another commit"), "{error}");
    let error = land(&world, &[good.clone(), other]).await.unwrap_err();
    assert!(error.to_string().contains("does not stand on what lands before it"), "{error}");
    let mut redated = good;
    redated.request.when += 1;
    assert_eq!(land(&world, &[redated]).await.unwrap_err().code(), "landing-check");
    assert_eq!(world.official.head(), world.mainline);
}

#[tokio::test]
async fn a_stack_lands_as_it_was_tested() {
    let world = World::new().await;
    let first = step(&world, "ann", "b.c").await;
    let bob = world.author("bob");
    bob.write("c.c", "x\n").write("repo.ChangeLog", NEW_ENTRY.replace("b.c", "c.c")).commit("Change");
    let head = world.admit(&bob, "bob", 1).await;
    let mut request = world.request("bob", &head);
    request.mainline = first.commit.clone();
    let CandidateOutcome::Made(made) = world.mirror.candidate(&request).await.unwrap() else { panic!() };
    let second = Step { request, commit: made.commit.clone() };
    assert_eq!(land(&world, &[first, second]).await.unwrap(), made.commit);
    let log = std::fs::read_to_string(world.official.path.join("ChangeLog")).unwrap();
    assert!(log.contains("b.c") && log.contains("c.c"), "{log}");
}

#[tokio::test]
async fn the_landed_merge_is_what_plain_git_gives_in_a_fresh_clone() {
    let mut world = World::new().await;
    let ann = world.author("ann");
    ann.git(&["mv", "a.c", "renamed.c"]);
    ann.commit("Rename");
    let head = world.admit(&ann, "ann", 1).await;
    world.official.write("a.c", "1\n2\n3\n4\n5\n6\n7\n8\nnine\n").write("new.c", "n\n").commit("Meanwhile");
    world.update().await;
    let made = world.made("ann", &head).await;
    let by_hand = Repo::clone_of(&world.official, world.temp.path().join("by-hand"));
    by_hand.git(&["pull", "-q", "--no-rebase", "--no-edit", ann.path.to_str().unwrap(), "ann"]);
    land(&world, &[Step { request: world.request("ann", &head), commit: made.commit }]).await.unwrap();
    assert_eq!(world.official.git(&["rev-parse", "HEAD^{tree}"]), by_hand.git(&["rev-parse", "HEAD^{tree}"]));
}

/// Also when nobody waits for it any more, as after the kill of a master.
#[tokio::test]
async fn a_push_is_known_to_be_under_way_until_the_last_of_its_processes_has_ended() {
    let world = World::new().await;
    let step = step(&world, "ann", "b.c").await;
    assert!(!world.mirror.is_pushing().await);
    let fifo = |name: &str| {
        let path = world.temp.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    };
    let (began, goes_on) = (fifo("began"), fifo("goes-on"));
    let hook = world.official.path.join(".git/hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = format!("#!/bin/sh\necho > {}\nread x < {}\n", began.display(), goes_on.display());
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let steps = [step.clone()];
    let (landed, ()) = tokio::join!(land(&world, &steps), async {
        tokio::fs::read(&began).await.unwrap();
        assert!(world.mirror.is_pushing().await);
        tokio::fs::write(&goes_on, "\n").await.unwrap();
    });
    assert_eq!(landed.unwrap(), step.commit);
    assert!(!world.mirror.is_pushing().await);
}
