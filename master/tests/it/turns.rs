//! Turns of loops in which something of one item fails: it is left alone, and the others go on in the same turn.

use crate::keeping::lose;
use crate::queue::{by_hand, code, passed, publish, stepped, turns, verdict};
use crate::support::{PATIENCE, World};
use master::stepping::Loop;
use master::store::{Begun, BranchState, BuildRowState, Interest, Member, Store, Topic};
use protocol::ProjectId;
use serde_json::json;
use sqlx::AssertSqlSafe;
use testkit::git::Repo;
use tokio::time::timeout;

const HERON: ProjectId = ProjectId(1);

fn mirror(world: &World) -> Repo {
    Repo::at(world.basedir().join("mirrors/heron.git"))
}

/// Two branches whose builds wait, in this order.
async fn two_wait(world: &World) {
    for name in ["first", "second"] {
        publish(world, name, &[(name, "x\n")], &json!({})).await;
        turns(world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    }
}

/// The branches of builds that were given to a slave.
async fn given(world: &World) -> Vec<String> {
    let mut names = Vec::new();
    for build in world.store().open_builds().await.unwrap() {
        if build.state == BuildRowState::Running {
            names.push(world.store().branch_by_id(build.branch).await.unwrap().name.to_string());
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_can_t_be_given_out_leaves_its_place_to_others_at_once() {
    let (world, mut oak) = stepped().await;
    two_wait(&world).await;
    let candidate = mirror(&world).resolve("refs/branches/first/candidate");
    lose(mirror(&world).path(), &candidate);
    turns(&world, &[Loop::Schedule]).await;
    assert_eq!(given(&world).await, ["second"]);
    oak.passes_next().await;
    // The mirror was looked after, and the build is left alone for a while only.
    turns(&world, &[Loop::Mend]).await;
    assert!(mirror(&world).try_git(&["cat-file", "-e", &candidate]).is_ok());
    let in_time = async {
        while given(&world).await != ["first"] {
            turns(&world, &[Loop::Schedule]).await;
        }
    };
    timeout(PATIENCE, in_time).await.expect("it is tried again");
    oak.passes_next().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_changed_while_it_was_given_out_leaves_its_place_to_others_at_once() {
    let (world, mut oak) = stepped().await;
    two_wait(&world).await;
    let first = world.store().open_builds().await.unwrap().remove(0).id;
    world.stops().stop_at(&["store.write"]);
    let turn = tokio::spawn(world.master().turn(Loop::Schedule));
    let held = world.stops().held().await;
    world.stops().stop_at(&[]);
    let cancelled = world.post(&format!("/api/v1/builds/{first}/cancel"), &json!({})).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    held.go();
    turn.await.unwrap().unwrap();
    assert_eq!(given(&world).await, ["second"]);
    oak.passes_next().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mainline_goes_on_where_the_mirror_has_lost_where_it_was() {
    let (world, _oak) = stepped().await;
    let begin = world.official.head();
    let past = by_hand(&world, &[("one", "1\n")]);
    for n in ["two", "three", "four"] {
        by_hand(&world, &[(n, "x\n")]);
    }
    turns(&world, &[Loop::Mainline]).await;
    lose(mirror(&world).path(), &past);
    // Mainline is rewritten: that it did not only go on can't be seen past the hole.
    world.author.git(&["switch", "--quiet", "--detach", &begin]);
    let tip = world.author.commit(&[("other", "x\n")], "Otherwise");
    world.author.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
    turns(&world, &[Loop::Mainline, Loop::Mend, Loop::Mainline]).await;
    let row = world.store().project_by_id(ProjectId(1)).await.unwrap();
    assert_eq!(row.tip.as_ref().map(|tip| tip.as_str()), Some(tip.as_str()), "{row:?}");
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Mend, Loop::Mainline]).await;
    assert_eq!(world.branch("feature").await["candidate"]["mainline"], tip.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slave_that_goes_while_the_store_fails_wakes_the_scheduler_and_is_recorded_later() {
    let (world, oak) = stepped().await;
    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let run = async |sql: &'static str| sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    run("CREATE TRIGGER full BEFORE UPDATE OF connected ON slave BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
        .await;
    let heard = world.store().listen(Interest::all([Topic::Slave]));
    drop(oak);
    timeout(PATIENCE, heard.changed()).await.expect("whoever gives builds out is woken");
    let connected = async || world.store().slaves().await.unwrap()[0].connected;
    turns(&world, &[Loop::Schedule]).await;
    assert!(connected().await, "it could not be recorded");
    run("DROP TRIGGER full").await;
    turns(&world, &[Loop::Schedule]).await;
    assert!(!connected().await);
}

/// What is done to the rows of a project with an intent to push, and what the queue says of that entry then.
const SPOILT: [(&str, &str); 12] = [
    ("UPDATE landing SET to_commit = 'HEAD'", "landed"),
    ("UPDATE landing SET begun_ms = 'early'", "landed"),
    ("UPDATE landing_entry SET commit_id = 'HEAD'", "landed"),
    ("UPDATE candidate SET request = '{' WHERE id = 1", "landed"),
    ("UPDATE candidate SET detail = '{' WHERE id = 1", "unreadable"),
    ("UPDATE queue_entry SET terms = '{' WHERE id = 1", "unreadable"),
    ("UPDATE queue_entry SET commit_id = 'HEAD' WHERE id = 1", ""),
    ("UPDATE revision SET commit_id = 'HEAD' WHERE id = 1", "unreadable"),
    ("UPDATE branch SET bugs = 'no JSON' WHERE id = 1", "unreadable"),
    ("a blob", "missing"),
    ("a blob's bytes", "missing"),
    ("the candidate", "missing"),
];

/// An intent of another master's, or of this one's: what can't be read of it ends it, and the others land.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_landing_that_can_t_be_read_is_its_entry_s_trouble() {
    for (spoil, code_then) in SPOILT {
        let (world, mut oak) = stepped().await;
        passed(&world, &mut oak, "torn", &[("torn", "text of torn\n")]).await;
        passed(&world, &mut oak, "fine", &[("fine", "x\n")]).await;
        let store = world.store();
        store.pause_queue(HERON, "mia", "").await.unwrap();
        world.accept("torn").await;
        turns(&world, &[Loop::Queue]).await;
        let entry = store.queue(HERON).await.unwrap().remove(0);
        let candidate = store.candidate_by_id(entry.candidate.unwrap()).await.unwrap();
        store.resume_queue(HERON, "mia").await.unwrap();
        let (claim, to) = (world.claim().await, candidate.made_commit().unwrap());
        let line = [Member::of(entry.id, &candidate).unwrap()];
        let begun = store.begin_landing(claim, &candidate.mainline, &line, |_, _| true).await.unwrap();
        assert!(matches!(begun, Begun::Yes(_)), "{begun:?}");
        // By a master that is long gone.
        let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
        let run = async |sql: &'static str| sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        run("UPDATE landing SET begun_ms = 1").await;
        match spoil {
            "a blob" => lose(mirror(&world).path(), &mirror(&world).git(&["rev-parse", "refs/branches/torn/r1:torn"])),
            "a blob's bytes" => {
                let id = mirror(&world).git(&["rev-parse", "refs/branches/torn/r1:torn"]);
                lose(mirror(&world).path(), &id);
                let file = mirror(&world).path().join("objects").join(&id[..2]).join(&id[2..]);
                std::fs::write(file, "nonsense").unwrap();
            }
            "the candidate" => lose(mirror(&world).path(), to.as_str()),
            sql => {
                run(sql).await;
            }
        }
        world.accept("fine").await;
        // It is tried again now and then, ever more seldom.
        let landed = async {
            while verdict(&world, if code_then == "landed" { "torn" } else { "fine" }).await != "landed" {
                turns(&world, &[Loop::Candidates, Loop::Queue]).await;
            }
        };
        timeout(PATIENCE, landed).await.expect(spoil);
        let entry = sqlx::query("SELECT code FROM queue_entry WHERE id = 1").fetch_one(&pool).await.unwrap();
        let code: String = sqlx::Row::get(&entry, "code");
        assert_eq!(if code_then.is_empty() { "" } else { &code }, code_then, "{spoil}");
        if code_then != "landed" {
            assert!(!world.official.files("main").contains(&"torn".to_owned()));
        }
        assert!(store.open_landing(HERON).await.unwrap().is_none(), "{spoil}");
    }
}

/// Of who is first in the queue the candidate can't be made on the mainline of now: the others go by, and it is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_can_t_be_made_holds_up_nobody_behind_it() {
    let (world, mut oak) = stepped().await;
    let text = |first: &str, last: &str| format!("{first}\n2\n3\n4\n5\n6\n7\n8\n{last}\n");
    by_hand(&world, &[("long", &text("1", "9"))]);
    turns(&world, &[Loop::Mainline]).await;
    passed(&world, &mut oak, "torn", &[("long", &text("1", "nine"))]).await;
    passed(&world, &mut oak, "fine", &[("fine", "x\n")]).await;
    // A merge has to read the file.
    by_hand(&world, &[("long", &text("one", "9"))]);
    world.accept("torn").await;
    world.accept("fine").await;
    turns(&world, &[Loop::Mainline]).await;
    lose(mirror(&world).path(), &mirror(&world).git(&["rev-parse", "refs/branches/torn/r1:long"]));
    // It fails, the queue goes on to the next, whose turn it is then, and has that built.
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(verdict(&world, "fine").await, "landed");
    assert_eq!(code(&world, "torn").await, "missing");
    assert_eq!(verdict(&world, "torn").await, "commit-missing");
}

/// What was pushed and came, of which the entry's row can't be read: mainline goes on for all.
#[tokio::test(flavor = "multi_thread")]
async fn mainline_goes_on_where_what_landed_can_t_be_read() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "torn", &[("torn", "x\n")]).await;
    world.accept("torn").await;
    world.stops().stop_at(&["queue.pushed"]);
    let turn = tokio::spawn(world.master().turn(Loop::Queue));
    let held = world.stops().held().await;
    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let run = async |sql: &'static str| sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    run("UPDATE queue_entry SET commit_id = 'HEAD'").await;
    turns(&world, &[Loop::Mainline]).await;
    let row = world.store().project_by_id(HERON).await.unwrap();
    assert_eq!(row.tip.map(|tip| tip.to_string()), Some(world.official.head()));
    assert!(world.official.files("main").contains(&"torn".to_owned()));
    held.go();
    turn.await.unwrap().unwrap();
    assert_eq!(world.branch_row("torn").await.state, BranchState::Landed);
}

/// What passed and could not be pushed is tried again now and then: who is tested meanwhile keeps his builds.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_pushed_is_tried_again_without_a_word_to_those_who_are_tested() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "torn", &[("torn", "text of torn\n")]).await;
    publish(&world, "fine", &[("fine", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    let blob = mirror(&world).git(&["rev-parse", "refs/branches/torn/r1:torn"]);
    lose(mirror(&world).path(), &blob);
    world.accept("torn").await;
    world.accept("fine").await;
    turns(&world, &[Loop::Queue, Loop::Queue, Loop::Schedule]).await;
    assert_eq!(code(&world, "torn").await, "missing");
    assert_eq!(given(&world).await, ["fine"]);
    for _ in 0..2 {
        world.stops().stop_at(&["landing.ready"]);
        let tried = async {
            loop {
                let turn = tokio::spawn(world.master().turn(Loop::Queue));
                tokio::pin!(turn);
                tokio::select! {
                    held = world.stops().held() => {
                        world.stops().stop_at(&[]);
                        held.go();
                        turn.await.unwrap().unwrap();
                        return;
                    }
                    ended = &mut turn => ended.unwrap().unwrap(),
                }
            }
        };
        timeout(PATIENCE, tried).await.expect("it is tried again");
        assert_eq!(given(&world).await, ["fine"]);
        assert_eq!((code(&world, "torn").await, code(&world, "fine").await), ("missing".into(), "testing".into()));
    }
    oak.passes_next().await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(verdict(&world, "fine").await, "landed");
}

/// The clock was ahead by a year for a while, and is right again: nothing waits for that year to come.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_has_nobody_wait_until_it_is_that_late_again() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "first", &[("first", "x\n")]).await;
    passed(&world, &mut oak, "second", &[("second", "x\n")]).await;
    let store = world.store();
    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let run = async |sql: String| sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    let year_ms = 366 * 24 * 60 * 60 * 1000_i64;
    // An intent that another master left, of an entry that may not land any more: it would hold up everybody.
    store.pause_queue(HERON, "mia", "").await.unwrap();
    world.accept("first").await;
    turns(&world, &[Loop::Queue]).await;
    let entry = store.queue(HERON).await.unwrap().remove(0);
    let candidate = store.candidate_by_id(entry.candidate.unwrap()).await.unwrap();
    store.resume_queue(HERON, "mia").await.unwrap();
    let line = [Member::of(entry.id, &candidate).unwrap()];
    let claim = world.claim().await;
    let begun = store.begin_landing(claim, &candidate.mainline, &line, |_, _| true).await.unwrap();
    assert!(matches!(begun, Begun::Yes(_)), "{begun:?}");
    run(format!("UPDATE landing SET begun_ms = begun_ms + {year_ms}")).await;
    run("UPDATE queue_entry SET token_id = NULL".to_owned()).await;
    world.accept("second").await;
    turns(&world, &[Loop::Queue, Loop::Queue, Loop::Queue]).await;
    assert_eq!(code(&world, "first").await, "ejected-right-lost");
    assert_eq!(verdict(&world, "second").await, "landed");
    // Looks that were planned then.
    run(format!("UPDATE branch SET next_look_ms = next_look_ms + {year_ms}")).await;
    world.author.git(&["switch", "--quiet", "first"]);
    world.author.commit(&[("first", "more\n")], "More");
    turns(&world, &[Loop::Mainline, Loop::Mend, Loop::Watch]).await;
    let branch = world.branch_row("first").await;
    assert_eq!(store.last_revision(branch.id).await.unwrap(), 2);
}
