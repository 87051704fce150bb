//! What became of branches, however long ago it was: compared without an end, one row's trouble being that row's.

use crate::queue::{BRANCHES, by_hand, code, passed, publish, stepped, turns, verdict, withdraw};
use crate::support::World;
use master::stepping::Loop;
use master::store::{Acceptance, Accepted, Begun, Counts, FailedBy, Landing, Member, Terms};
use protocol::ProjectId;
use serde_json::json;

const HERON: ProjectId = ProjectId(1);

/// A push of a branch's candidate that never came to anything, as far as anybody knew.
async fn lost_push(world: &World, name: &str) -> Landing {
    let branch = world.branch_row(name).await;
    let entry = world.store().entries_of(branch.id).await.unwrap().remove(0);
    let candidate = world.store().candidate_by_id(entry.candidate.unwrap()).await.unwrap();
    let (claim, line) = (world.claim().await, [Member::of(entry.id, &candidate).unwrap()]);
    let begun = world.store().begin_landing(claim, &candidate.mainline, &line, |_, _| true).await.unwrap();
    let Begun::Yes(landing) = begun else { panic!("it can't be pushed") };
    world.store().landing_failed(claim, &landing, FailedBy::Overtaken, "it seemed").await.unwrap();
    landing
}

/// Accepted, with a candidate, and not landed: another build of it is being waited for.
async fn waits(world: &World, name: &str) {
    publish(world, name, &[(name, "x\n")], &json!({})).await;
    turns(world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    world.accept(name).await;
    turns(world, &[Loop::Queue]).await;
}

fn mirror(world: &World) -> testkit::git::Repo {
    testkit::git::Repo::at(world.basedir().join("mirrors/heron.git"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_long_ago_is_found_in_mainline_however_many_came_after_it() {
    let (world, _oak) = stepped().await;
    waits(&world, "first").await;
    let first = lost_push(&world, "first").await;
    assert_eq!(withdraw(&world, "first").await.status, 200);
    waits(&world, "other").await;
    for _ in 0..120 {
        lost_push(&world, "other").await;
    }
    mirror(&world).git(&["push", "--quiet", world.official.url(), &format!("{}:refs/heads/main", first.to)]);
    turns(&world, &[Loop::Mainline]).await;
    assert_eq!(verdict(&world, "first").await, "landed");
    assert_ne!(verdict(&world, "other").await, "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_along_with_a_landing_is_found_too() {
    let (world, mut oak) = stepped().await;
    waits(&world, "first").await;
    let first = lost_push(&world, "first").await;
    assert_eq!(withdraw(&world, "first").await.status, 200);
    // Its author's colleague goes on from the candidate.
    world.author.git(&["fetch", "--quiet", mirror(&world).url(), "refs/branches/first/candidate"]);
    world.author.branch("second", "FETCH_HEAD");
    turns(&world, &[Loop::Schedule]).await;
    passed(&world, &mut oak, "second", &[("second", "x\n")]).await;
    world.accept("second").await;
    turns(&world, &[Loop::Queue, Loop::Mainline]).await;
    assert_eq!(verdict(&world, "second").await, "landed");
    assert!(world.official.try_git(&["merge-base", "--is-ancestor", first.to.as_str(), "main"]).is_ok());
    assert_eq!(verdict(&world, "first").await, "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_took_out_what_had_landed_is_told_to_its_author_and_to_the_maintainers_until_somebody_decides() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    world.accept("feature").await;
    turns(&world, &[Loop::Queue]).await;
    let needs = async || {
        let overview = world.get("/api/v1/projects/heron").await.json();
        let all = overview["needs_person"].as_array().unwrap().clone();
        all.into_iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(needs().await, Vec::<String>::new());
    assert_eq!(withdraw(&world, "feature").await.problem(), "branch-ended", "it has landed");

    world.author.git(&["fetch", "--quiet", "origin"]);
    world.author.git(&["switch", "--quiet", "--detach", "origin/main~1"]);
    world.author.git(&["-c", "user.name=Mateo", "commit", "--quiet", "--allow-empty", "-m", "Otherwise"]);
    let tip_by = world.author.git(&["log", "-1", "--format=%cn"]);
    world.author.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
    turns(&world, &[Loop::Mainline]).await;
    let said = world.branch("feature").await;
    let because = said["summary"]["verdict"]["because"].as_str().unwrap();
    assert!(because.contains("taken out by a push of 2"), "{because}");
    assert!(because.ends_with(&format!("whose tip is by {tip_by}")), "{because}");
    assert!(said["timeline"].to_string().contains(&format!("A push whose tip is by {tip_by} took ")));
    assert_eq!(said["summary"]["verdict"]["next"]["who"], "A U Thor");
    assert_eq!(needs().await, ["feature"]);
    let page = world.get("/p/heron").await.text;
    assert!(page.contains("n-feature") && page.contains("taken out by a push"), "{page}");
    assert!(page.contains("1 taken out of mainline"), "it is no live one, as the counts above have them: {page}");
    assert_eq!(withdraw(&world, "feature").await.status, 200);
    assert_eq!((verdict(&world, "feature").await.as_str(), needs().await.len()), ("withdrawn", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_squashed_by_hand_is_in_mainline_also_when_it_was_changed_further() {
    let (world, _oak) = stepped().await;
    for name in ["squashed", "further"] {
        publish(&world, name, &[(name, "x\n")], &json!({})).await;
        publish(&world, name, &[(name, "x\ny\n"), (&format!("{name}.more"), "x\n")], &json!({})).await;
    }
    publish(&world, "other", &[("other", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
    for name in ["squashed", "further"] {
        world.author.git(&["merge", "--quiet", "--squash", name]);
        world.author.git(&["commit", "--quiet", "-m", name]);
    }
    world.author.commit(&[("further", "z\n")], "Further");
    world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
    turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
    for name in ["squashed", "further"] {
        assert_eq!(verdict(&world, name).await, "retired-in-mainline", "{name}");
    }
    // A conflict is no squash.
    by_hand(&world, &[("other", "y\n")]);
    turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
    assert_eq!(verdict(&world, "other").await, "conflict");
}

/// What a row of the queue holds can't be read: the others land, and this one says so.
#[tokio::test(flavor = "multi_thread")]
async fn one_entry_s_trouble_is_that_entry_s_trouble() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "torn", &[("torn", "x\n")]).await;
    let branch = world.branch_row("torn").await;
    let revision = world.store().newest_revision(branch.id).await.unwrap().unwrap();
    let terms = Terms { json: "{".to_owned(), hash: "torn".to_owned() };
    let it = Acceptance {
        branch: &branch,
        revision: &revision,
        actor: "mia",
        token: None,
        terms,
        needs: None,
        counts: Counts::AtOnce,
    };
    let Accepted::Entry(_) = world.store().accept(&it, |_, _| true, |_| false).await.unwrap() else { panic!() };
    passed(&world, &mut oak, "fine", &[("fine", "x\n")]).await;
    world.accept("fine").await;
    turns(&world, &[Loop::Candidates, Loop::Queue]).await;
    assert_eq!(verdict(&world, "fine").await, "landed");
    assert_eq!(code(&world, "torn").await, "unreadable");
    let said = world.branch("torn").await;
    assert_eq!(said["summary"]["verdict"]["code"], "queue-held", "{}", said["summary"]["verdict"]);
    assert_eq!(said["summary"]["verdict"]["next"]["who"], "an admin");
    assert_eq!(world.get(BRANCHES).await.status, 200);
    assert_eq!(world.store().queue(HERON).await.unwrap().len(), 1);
}

/// A branch that landed and goes on with something newer has a record of what landed, and that stays true.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_is_told_of_a_branch_that_went_on_too() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    let begin = world.official.head();
    world.accept("feature").await;
    turns(&world, &[Loop::Queue]).await;
    let landed = world.official.head();
    publish(&world, "feature", &[("feature", "more\n")], &json!({})).await;
    turns(&world, &[Loop::Watch]).await;
    assert_ne!(verdict(&world, "feature").await, "landed");
    let told = async || {
        let said = world.branch("feature").await;
        let told = said["timeline"].to_string();
        (told.matches("out of mainline").count(), told.matches("Mainline holds").count())
    };
    for (to, counts) in [(&begin, (1, 0)), (&landed, (1, 1)), (&begin, (2, 1))] {
        world.author.git(&["fetch", "--quiet", "origin"]);
        world.author.git(&["push", "--quiet", "--force", "origin", &format!("{to}:main")]);
        turns(&world, &[Loop::Mainline]).await;
        assert_eq!(told().await, counts);
        assert_ne!(verdict(&world, "feature").await, "landed-taken-out", "it is still to land");
    }
    // Withdrawn, too.
    assert_eq!(withdraw(&world, "feature").await.status, 200);
    world.author.git(&["push", "--quiet", "--force", "origin", &format!("{landed}:main")]);
    turns(&world, &[Loop::Mainline]).await;
    assert_eq!(told().await, (2, 2));
}
