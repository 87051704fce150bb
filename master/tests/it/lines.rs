//! Lines of several entries: one push lands all of them, each as its own commit, whatever comes in between.

use crate::keeping::lose;
use crate::queue::{BRANCHES, code, publish, stepped, turns, verdict, withdraw};
use crate::support::{Answer, World};
use master::auth::may_still_accept;
use master::stepping::Loop;
use master::store::{Begun, BranchState, Entry, EntryState, Landing, Member, Store, TokenKind};
use protocol::{CommitId, ProjectId};
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::os::unix::fs::PermissionsExt as _;
use testkit::git::Repo;

const HERON: ProjectId = ProjectId(1);
const NAMES: [&str; 3] = ["first", "second", "third"];

fn mirror(world: &World) -> Repo {
    Repo::at(world.basedir().join("mirrors/heron.git"))
}

/// Three branches that are accepted, in this order, and that nobody lands meanwhile.
async fn accepted(world: &World) -> Vec<Entry> {
    for name in NAMES {
        publish(world, name, &[(name, &format!("text of {name}\n"))], &json!({})).await;
        turns(world, &[Loop::Watch, Loop::Candidates]).await;
        world.accept(name).await;
    }
    world.store().queue(HERON).await.unwrap()
}

/// The line of them on mainline of now, each candidate on the one below.
async fn line(world: &World, entries: &[Entry]) -> Vec<Member> {
    let mut below = world.store().project_by_id(HERON).await.unwrap().tip.unwrap();
    let mut line = Vec::new();
    for entry in entries {
        let candidate = world.master().stacked(entry.id, &below).await.unwrap().unwrap();
        assert_eq!(candidate.mainline, below);
        let member = Member::of(entry.id, &candidate).unwrap();
        below = member.commit.clone();
        line.push(member);
    }
    line
}

async fn begin(world: &World, line: &[Member]) -> Option<Landing> {
    let from = world.store().project_by_id(HERON).await.unwrap().tip.unwrap();
    let begun = world.store().begin_landing(world.claim().await, &from, line, may_still_accept).await.unwrap();
    match begun {
        Begun::Yes(landing) => Some(landing),
        Begun::Not => None,
    }
}

/// Three branches in a line of which the push is about to begin.
async fn about_to_land() -> (World, Landing) {
    let (world, _) = stepped().await;
    world.official.git(&["config", "core.logAllRefUpdates", "always"]);
    let entries = accepted(&world).await;
    let line = line(&world, &entries).await;
    let landing = begin(&world, &line).await.unwrap();
    (world, landing)
}

fn push_by_hand(world: &World, commit: &CommitId) {
    mirror(world).git(&["push", "--quiet", world.official.url(), &format!("{commit}:refs/heads/main")]);
}

/// Where mainline was, newest first.
fn moves(world: &World) -> Vec<String> {
    world.official.git(&["reflog", "show", "--format=%H", "main"]).lines().map(ToOwned::to_owned).collect()
}

/// All of it is on mainline, by one push, each once and as its own commit.
async fn has_landed(world: &World, landing: &Landing, when: &str) {
    assert_eq!(moves(world).iter().filter(|to| **to == landing.to.as_str()).count(), 1, "{when}");
    let on_mainline = world.official.git(&["log", "--first-parent", "--reverse", "--format=%H", "main"]);
    let on_mainline: Vec<&str> = on_mainline.lines().skip(1).collect();
    let line: Vec<&str> = landing.members.iter().map(|member| member.commit.as_str()).collect();
    assert_eq!(on_mainline, line, "{when}");
    for (name, member) in NAMES.iter().zip(&landing.members) {
        let branch = world.branch(name).await;
        assert_eq!(branch["summary"]["verdict"]["code"], "landed", "{when}");
        assert_eq!(branch["queue"][0]["landed"], member.commit.as_str(), "{when}");
        let timeline = branch["timeline"].as_array().unwrap();
        assert_eq!(timeline.iter().filter(|event| event["kind"] == "landed").count(), 1, "{when}");
    }
    assert!(world.store().open_landing(HERON).await.unwrap().is_none(), "{when}");
    let now = world.store().mainline_now(HERON).await.unwrap().unwrap();
    let entries: Vec<i64> = landing.members.iter().map(|member| member.entry).collect();
    assert_eq!((now.commit, now.landing, now.entries), (landing.to.clone(), Some(landing.id), entries), "{when}");
}

/// Of the line only the first has landed; the others are in the queue, and nothing is said against them.
async fn only_the_first_has_landed(world: &World, landing: &Landing, when: &str) {
    assert_eq!(verdict(world, "first").await, "landed", "{when}");
    for (place, (name, member)) in NAMES.iter().zip(&landing.members).enumerate() {
        let entry = world.store().entry(member.entry).await.unwrap();
        let landed = (place == 0).then_some(member.commit.clone());
        let state = if place == 0 { EntryState::Landed } else { EntryState::Queued };
        assert_eq!((entry.landed, entry.state), (landed, state), "{when}: {name}");
    }
    assert!(world.store().open_landing(HERON).await.unwrap().is_none(), "{when}");
    let told = world.branch("second").await["timeline"].to_string();
    assert!(!told.contains("Left the queue"), "{when}: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_three_lands_by_one_push() {
    let (world, landing) = about_to_land().await;
    turns(&world, &[Loop::Queue]).await;
    has_landed(&world, &landing, "at once").await;
    let told = world.branch("second").await["timeline"].to_string();
    assert!(told.contains("with first and third"), "{told}");
    for name in NAMES {
        assert!(world.official.files("main").contains(&name.to_owned()));
    }
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Queue, Loop::Mend]).await;
    has_landed(&world, &landing, "also later").await;
}

/// Wherever the master is killed, the next one finds out how it ended, or goes on.
#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_line_lands_whole_and_once() {
    let places = [("landing.ready", 0), ("landing.ready", 2), ("queue.push", 0), ("queue.pushed", 0)];
    for (place, past) in places.into_iter().chain([0, 1].map(|past| ("store.write", past))) {
        let (mut world, landing) = about_to_land().await;
        world.stops().stop_at(&[place]);
        let turn = tokio::spawn(world.master().turn(Loop::Queue));
        for _ in 0..past {
            world.stops().held().await.go();
        }
        let held = world.stops().held().await;
        assert_eq!(held.place, place);
        let when = format!("killed at {place}, the {past}th");
        world.kill_master().await;
        turn.abort();
        world.start_master().await;
        turns(&world, &[Loop::Queue, Loop::Mainline, Loop::Queue]).await;
        has_landed(&world, &landing, &when).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pushes_the_lowest_of_a_line_has_landed_that_one() {
    for killed in [false, true] {
        let (mut world, landing) = about_to_land().await;
        let when = if killed { "killed before the push" } else { "during the push" };
        world.stops().stop_at(&["queue.push"]);
        let turn = tokio::spawn(world.master().turn(Loop::Queue));
        let held = world.stops().held().await;
        push_by_hand(&world, &landing.members[0].commit);
        if killed {
            world.kill_master().await;
            turn.abort();
            world.start_master().await;
            turns(&world, &[Loop::Queue]).await;
        } else {
            world.stops().stop_at(&[]);
            held.go();
            turn.await.unwrap().unwrap();
        }
        assert_eq!(world.official.head(), landing.members[0].commit.as_str(), "{when}");
        only_the_first_has_landed(&world, &landing, when).await;
        turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Queue]).await;
        only_the_first_has_landed(&world, &landing, when).await;
        // What stood on it stands on mainline by now: it is what the queue tests next.
        let stacks = world.store().stacks(HERON).await.unwrap();
        let rest =
            landing.members[1..].iter().map(|member| (member.entry, member.candidate.unwrap())).collect::<Vec<_>>();
        assert_eq!(stacks.last().unwrap().members, rest, "{when}");
        // And somebody pushes all of it after all.
        push_by_hand(&world, &landing.to);
        turns(&world, &[Loop::Mainline]).await;
        for name in NAMES {
            assert_eq!(verdict(&world, name).await, "landed", "{when}");
        }
    }
}

/// What was made to stand on another in a line is the branch's own where that other one is mainline: row and ref say the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_stood_in_a_line_is_made_again_as_the_commit_that_it_is() {
    let (world, landing) = about_to_land().await;
    let second = &landing.members[1];
    push_by_hand(&world, &landing.members[0].commit);
    turns(&world, &[Loop::Mainline]).await;
    let made = mirror(&world).git(&["log", "-1", "--format=%ct", second.commit.as_str()]);
    while master::store::now().0 / 1000 <= made.parse().unwrap() {
        // A commit that is made anew is another one in another second.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    sqlx::query("UPDATE revision SET remake = 1 WHERE subject = 'Work on second'").execute(&pool).await.unwrap();
    turns(&world, &[Loop::Candidates]).await;
    let entry = world.store().entry(second.entry).await.unwrap();
    let own = world.store().candidate_of(entry.revision).await.unwrap().unwrap();
    assert_eq!((Some(own.id), own.made_commit()), (second.candidate, Some(&second.commit)));
    assert_eq!(mirror(&world).resolve("refs/branches/second/candidate"), second.commit.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_line_sends_nobody_away() {
    let (world, landing) = about_to_land().await;
    let hook = world.official.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho no pushes on Friday >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    turns(&world, &[Loop::Queue]).await;
    assert!(world.store().open_landing(HERON).await.unwrap().is_none());
    for member in &landing.members {
        assert_eq!(world.store().entry(member.entry).await.unwrap().state, EntryState::Queued);
        let failures = world.store().failures(member.entry, &landing.to).await.unwrap();
        assert_eq!(failures.refused, 1);
        assert!(failures.refused_said.contains("no pushes on Friday"), "{failures:?}");
    }
    std::fs::remove_file(&hook).unwrap();
    let again = begin(&world, &landing.members).await.unwrap();
    turns(&world, &[Loop::Queue]).await;
    has_landed(&world, &again, "when it is mended").await;
}

/// bb's own check finds another commit than was tested, in a line: nobody's candidate is thrown away for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_which_a_commit_is_not_what_it_is_made_of_is_not_pushed() {
    let (world, _) = stepped().await;
    let entries = accepted(&world).await;
    let mut line = line(&world, &entries).await;
    let (below, top) = (line[1].commit.clone(), line[2].commit.clone());
    let revision = entries[2].commit.as_str();
    let forged = mirror(&world).git(&[
        "commit-tree",
        &format!("{below}^{{tree}}"),
        "-p",
        below.as_str(),
        "-p",
        revision,
        "-m",
        "x",
    ]);
    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let sql = format!(
        "UPDATE candidate SET commit_id = '{forged}', detail = REPLACE(detail, '{top}', '{forged}') WHERE commit_id = '{top}'"
    );
    sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    line[2].commit = forged.parse().unwrap();
    let before = world.official.head();
    let landing = begin(&world, &line).await.unwrap();
    turns(&world, &[Loop::Queue]).await;
    assert!(world.store().open_landing(HERON).await.unwrap().is_none());
    assert_eq!(world.official.head(), before);
    for (member, entry) in landing.members.iter().zip(&entries) {
        assert_eq!(world.store().failures(member.entry, &landing.to).await.unwrap(), Default::default());
        let candidate = world.store().candidate_by_id(member.candidate.unwrap()).await.unwrap();
        assert_eq!(candidate.terms_hash, entry.terms.hash);
        assert_eq!(world.store().entry(member.entry).await.unwrap().state, EntryState::Queued);
    }
}

/// Who withdraws or publishes again any of a line is told the truth.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_line_is_pushed_nobody_of_it_is_told_what_may_turn_out_otherwise() {
    let (world, landing) = about_to_land().await;
    world.stops().stop_at(&["queue.push"]);
    let turn = tokio::spawn(world.master().turn(Loop::Queue));
    let held = world.stops().held().await;
    let again = async |name: &str| -> Answer {
        let body = json!({"url": world.author.url(), "branch": name, "name": name, "title": "x"});
        world.post(BRANCHES, &body).await
    };
    for name in NAMES {
        assert_eq!(code(&world, name).await, "landing");
        assert_eq!(withdraw(&world, name).await.problem(), "being-pushed", "{name}");
        assert_eq!(again(name).await.problem(), "being-pushed", "{name}");
    }
    world.stops().stop_at(&[]);
    held.go();
    turn.await.unwrap().unwrap();
    has_landed(&world, &landing, "whoever asked").await;
    for name in NAMES {
        assert_eq!(world.branch_row(name).await.state, BranchState::Landed);
        assert_eq!(withdraw(&world, name).await.problem(), "branch-ended", "{name}");
    }
}

/// A line rests on each acceptance: when it is begun, and when another master takes its push up.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_not_pushed_for_whom_the_right_was_taken_of_one_of_it() {
    for when in ["before", "after"] {
        let (world, _) = stepped().await;
        let olga = world.token(TokenKind::Maintainer, "olga").await;
        let entries = accepted(&world).await;
        let olga = world.store().token_by_hash(&master::auth::hash(&olga)).await.unwrap().unwrap();
        let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
        let run = async |sql: String| sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        run(format!(
            "UPDATE queue_entry SET token_id = {}, accepted_by = 'olga' WHERE id = {}",
            olga.id, entries[1].id
        ))
        .await;
        let line = line(&world, &entries).await;
        let before = world.official.head();
        if when == "before" {
            world.store().revoke_token(olga.id).await.unwrap();
            assert!(begin(&world, &line).await.is_none());
            assert!(begin(&world, &line[..1]).await.is_none(), "the queue has not its candidate yet");
            continue;
        }
        begin(&world, &line).await.unwrap();
        world.store().revoke_token(olga.id).await.unwrap();
        // By a master that is long gone.
        run("UPDATE landing SET begun_ms = 1".to_owned()).await;
        turns(&world, &[Loop::Queue]).await;
        assert!(world.store().open_landing(HERON).await.unwrap().is_none());
        assert_eq!(world.official.head(), before);
        turns(&world, &[Loop::Queue]).await;
        assert_eq!(code(&world, "second").await, "ejected-right-lost");
        for name in ["first", "third"] {
            assert!(!code(&world, name).await.starts_with("ejected"), "{name}");
        }
    }
    // Nor is it begun while the queue is paused.
    let (world, _) = stepped().await;
    let entries = accepted(&world).await;
    let line = line(&world, &entries).await;
    world.store().pause_queue(HERON, "mia", "").await.unwrap();
    assert!(begin(&world, &line).await.is_none());
    world.store().resume_queue(HERON, "mia").await.unwrap();
    assert!(begin(&world, &line).await.is_some());
}

/// What the mirror lost of one of a line is that one's trouble.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_pushed_of_a_line_is_the_trouble_of_whose_it_is() {
    for spoil in ["a blob", "a row"] {
        let (world, landing) = about_to_land().await;
        let before = world.official.head();
        if spoil == "a blob" {
            lose(mirror(&world).path(), &mirror(&world).git(&["rev-parse", "refs/branches/second/r1:second"]));
        } else {
            let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
            let second = landing.members[1].candidate.unwrap();
            let sql = format!("UPDATE candidate SET detail = '{{' WHERE id = {second}");
            sqlx::query(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
            sqlx::query("UPDATE landing SET begun_ms = 1").execute(&pool).await.unwrap();
        }
        turns(&world, &[Loop::Queue]).await;
        assert!(world.store().open_landing(HERON).await.unwrap().is_none(), "{spoil}");
        assert_eq!(world.official.head(), before, "{spoil}");
        // Whoever was in front takes back, so that it is their turn.
        assert_eq!(withdraw(&world, "first").await.status, 200);
        turns(&world, &[Loop::Queue]).await;
        let told = code(&world, "second").await;
        assert_eq!(told, if spoil == "a blob" { "missing" } else { "unreadable" });
        assert_eq!(withdraw(&world, "second").await.status, 200);
        turns(&world, &[Loop::Queue]).await;
        assert!(!["missing", "unreadable"].contains(&code(&world, "third").await.as_str()), "{spoil}");
    }
}
