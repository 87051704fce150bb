//! Several tested together, while something of it is lost, can't be read, is said otherwise or is mainline's own fault: nobody
//! leaves who is not at fault, and the queue never stands still without a word that says who must do what.

use crate::keeping::lose;
use crate::queue::{by_hand, code, publish, publish_again, stepped, turns};
use crate::stacks::{HERON, accepted, for_turns, stacks, until_decided};
use crate::support::World;
use crate::support::counts::Counts;
use crate::support::slave::FakeSlave;
use master::stepping::Loop;
use master::store::{Store, TokenKind};
use serde_json::json;
use sqlx::AssertSqlSafe;
use testkit::git::Repo;

fn mirror(world: &World) -> Repo {
    Repo::at(world.basedir().join("mirrors/heron.git"))
}

async fn execute(world: &World, sql: &str) {
    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut *connection).await.unwrap();
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut *connection).await.unwrap();
}

async fn says(world: &World, name: &str) -> String {
    world.branch(name).await["queue"][0]["says"].as_str().unwrap_or_default().to_owned()
}

async fn landed(world: &World, names: &[&str]) {
    for name in names {
        assert_eq!(code(world, name).await, "landed", "{name}: {}", says(world, name).await);
    }
}

/// Rows of a table.
async fn rows(world: &World, table: &str) -> i64 {
    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let sql = format!("SELECT COUNT(*) FROM {table}");
    let (many,): (i64,) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&pool).await.unwrap();
    pool.close().await;
    many
}

/// A stack of which one is accepted anew in other words is not what would land: another is made, and it lands in these words.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_anew_in_other_words_it_lands_in_these() {
    for ended_before in [false, true] {
        let (world, mut oak) = stepped().await;
        accepted(&world, &["first", "second", "third"]).await;
        turns(&world, &[Loop::Queue, Loop::Schedule]).await;
        assert_eq!(stacks(&world).await, ["first second third"]);
        if ended_before {
            oak.passes_next().await;
        }
        let answer = publish_again(&world, &world.token, "second", &json!({"title": "Said otherwise"})).await;
        assert!(answer.status < 300, "{}", answer.text);
        world.accept("second").await;
        if !ended_before {
            oak.passes_next().await;
        }
        until_decided(&world, &mut oak, "nothing").await;
        landed(&world, &["first", "second", "third"]).await;
        let log = world.official.git(&["log", "--format=%B", "main"]);
        assert!(log.contains("Said otherwise"), "{log}");
    }
}

/// Without a recipe in the tree one is guessed from it: who changes what is guessed changes how everything is built.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_changes_what_is_guessed_is_tested_alone() {
    let (world, mut oak) = stepped().await;
    world.author.git(&["fetch", "--quiet", "origin"]);
    world.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
    world.author.git(&["rm", "--quiet", ".bb.toml"]);
    world.author.commit(&[("Makefile", "check:\n\ttrue\n")], "By hand");
    world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
    turns(&world, &[Loop::Mainline]).await;
    accepted(&world, &["one", "two"]).await;
    world.author.branch("drops", "origin/main");
    world.author.git(&["rm", "--quiet", "Makefile"]);
    publish(&world, "drops", &[("drops", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.accept("drops").await;
    accepted(&world, &["four"]).await;
    for _ in 0..6 {
        turns(&world, &[Loop::Queue]).await;
    }
    assert!(rows(&world, "stack").await <= 2, "{:?}", stacks(&world).await);
    until_decided(&world, &mut oak, "nothing").await;
    landed(&world, &["one", "two", "four"]).await;
    assert_eq!(code(&world, "drops").await, "ejected-refused", "{}", says(&world, "drops").await);
}

/// What the mirror lost of a stack stops nobody: it is made again.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_of_which_the_mirror_lost_a_commit_stops_nobody() {
    for which in [0, 2] {
        let (mut world, oak) = stepped().await;
        accepted(&world, &["first", "second", "third"]).await;
        turns(&world, &[Loop::Queue]).await;
        let stack = world.store().stacks(HERON).await.unwrap().pop().unwrap();
        let lost = world.store().candidate_by_id(stack.members[which].1).await.unwrap();
        drop(oak);
        world.kill_master().await;
        lose(mirror(&world).path(), lost.made_commit().unwrap().as_str());
        world.start_master().await;
        let (mut oak, _) = FakeSlave::new(&world, "elm").await;
        for _ in 0..4 {
            turns(&world, &[Loop::Queue]).await;
        }
        assert!(rows(&world, "stack").await <= 3);
        for _ in 0..4 {
            turns(&world, &[Loop::Mend]).await;
            for_turns(&world, &mut oak, "nothing", 3).await;
        }
        landed(&world, &["first", "second", "third"]).await;
    }
}

/// A stack of which a row can't be read is not taken for one of fewer.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_is_not_whole_blames_nobody() {
    for (spoil, bad) in [("place = 2", "bad"), ("place = 1", "bad")] {
        let (world, mut oak) = stepped().await;
        accepted(&world, &["one", bad, "three"]).await;
        turns(&world, &[Loop::Queue]).await;
        execute(&world, &format!("UPDATE stack_entry SET candidate_id = 'x' WHERE {spoil}")).await;
        execute(&world, "DELETE FROM stack_entry WHERE place = 3").await;
        until_decided(&world, &mut oak, bad).await;
        landed(&world, &["one", "three"]).await;
        assert_eq!(code(&world, bad).await, "ejected-failure");
    }
}

/// The row of one that left long ago stops nobody.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_left_and_can_t_be_read_stops_nobody() {
    let (world, mut oak) = stepped().await;
    accepted(&world, &["first", "second"]).await;
    until_decided(&world, &mut oak, "nothing").await;
    execute(&world, "UPDATE queue_entry SET accepted_ms = 'x'").await;
    accepted(&world, &["third", "fourth"]).await;
    until_decided(&world, &mut oak, "nothing").await;
    landed(&world, &["third", "fourth"]).await;
}

/// Somebody asked once more for what had passed, and what came of that can't be read: that it had passed counts no more.
#[tokio::test(flavor = "multi_thread")]
async fn what_passed_before_what_can_t_be_read_does_not_count() {
    let (world, mut oak) = stepped().await;
    accepted(&world, &["first", "second"]).await;
    turns(&world, &[Loop::Queue, Loop::Schedule]).await;
    oak.passes_next().await;
    let build = world.store().stacks(HERON).await.unwrap()[0].top;
    let build = world.store().builds_of_candidates([build]).await.unwrap().remove(&build).unwrap()[0].id;
    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let columns: Vec<String> = {
        use sqlx::Row as _;
        let rows = sqlx::query("PRAGMA table_info(build)").fetch_all(&pool).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("name")).filter(|name| name != "id").collect()
    };
    let all = columns.join(", ");
    let copy = format!("INSERT INTO build ({all}) SELECT {all} FROM build WHERE id = {build}");
    sqlx::query(AssertSqlSafe(copy)).execute(&pool).await.unwrap();
    let last = format!("UPDATE build SET requested_ms = 'x', result = 'failure' WHERE id > {build}");
    sqlx::query(AssertSqlSafe(last)).execute(&pool).await.unwrap();
    turns(&world, &[Loop::Queue]).await;
    assert_ne!(code(&world, "second").await, "landed");
    assert_eq!(until_decided(&world, &mut oak, "nothing").await, 1);
    landed(&world, &["first", "second"]).await;
}

/// Where mainline fails by itself nobody is sent away for it; it says so, and goes on when that is mended by hand.
#[tokio::test(flavor = "multi_thread")]
async fn where_mainline_itself_fails_nobody_leaves() {
    let (world, mut oak) = stepped().await;
    by_hand(&world, &[("broken", "x\n")]);
    turns(&world, &[Loop::Mainline]).await;
    accepted(&world, &["one", "two", "three"]).await;
    for_turns(&world, &mut oak, "broken", 40).await;
    for name in ["one", "two", "three"] {
        assert_eq!(code(&world, name).await, "mainline-trouble", "{}", says(&world, name).await);
    }
    let before = rows(&world, "build").await;
    for_turns(&world, &mut oak, "broken", 5).await;
    assert_eq!(rows(&world, "build").await, before, "it comes to rest");
    world.author.git(&["fetch", "--quiet", "origin"]);
    world.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
    world.author.git(&["rm", "--quiet", "broken"]);
    world.author.commit(&[("mended", "x\n")], "By hand");
    world.author.git(&["push", "--quiet", "origin", "HEAD:main"]);
    turns(&world, &[Loop::Mainline]).await;
    until_decided(&world, &mut oak, "broken").await;
    landed(&world, &["one", "two", "three"]).await;
}

/// Nor does what mends it wait for somebody to push past bb.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_the_queue_mends_mainline() {
    let (world, mut oak) = stepped().await;
    by_hand(&world, &[("broken", "x\n")]);
    turns(&world, &[Loop::Mainline]).await;
    accepted(&world, &["one"]).await;
    world.author.git(&["fetch", "--quiet", "origin"]);
    world.author.branch("mends", "origin/main");
    world.author.git(&["rm", "--quiet", "broken"]);
    publish(&world, "mends", &[("mended", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.accept("mends").await;
    accepted(&world, &["three"]).await;
    until_decided(&world, &mut oak, "broken").await;
    landed(&world, &["one", "mends", "three"]).await;
}

/// What one fragment's name says in two branches is in ChangeLog twice, as each has written it.
#[tokio::test(flavor = "multi_thread")]
async fn two_fragments_of_one_name_go_together() {
    let (world, mut oak) = stepped().await;
    for name in ["one", "two"] {
        let entry = format!("2026-01-02  Ann  <ann@example.org>\n\n\t* {name}: New.\n");
        publish(&world, name, &[("repo.ChangeLog", &entry), (name, "x\n")], &json!({})).await;
        turns(&world, &[Loop::Watch, Loop::Candidates]).await;
        world.accept(name).await;
    }
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(stacks(&world).await, ["one two"]);
    assert_eq!(until_decided(&world, &mut oak, "nothing").await, 1);
    landed(&world, &["one", "two"]).await;
    let log = world.official.show("main", "ChangeLog");
    assert!(log.contains("* one: New.") && log.contains("* two: New."), "{log}");
    assert!(!world.official.files("main").contains(&"repo.ChangeLog".to_owned()));
}

/// Who brings what another has brought just now is in mainline then, and not at fault.
#[tokio::test(flavor = "multi_thread")]
async fn two_that_bring_the_same_are_both_in_mainline() {
    let (world, mut oak) = stepped().await;
    for name in ["one", "other"] {
        publish(&world, name, &[("same", "x\n")], &json!({})).await;
        turns(&world, &[Loop::Watch, Loop::Candidates]).await;
        world.accept(name).await;
    }
    accepted(&world, &["third"]).await;
    until_decided(&world, &mut oak, "nothing").await;
    landed(&world, &["one", "third"]).await;
    assert_eq!(code(&world, "other").await, "in-mainline", "{}", says(&world, "other").await);
}

/// Statements of a turn of the queue in which there is nothing to do, and the rows that they give.
async fn quiet_turn(world: &World, counts: &Counts) -> (u64, u64) {
    for _ in 0..4 {
        turns(world, &[Loop::Queue, Loop::Candidates]).await;
    }
    counts.clear();
    turns(world, &[Loop::Queue]).await;
    (counts.statements(), counts.rows())
}

/// However many wait, a turn asks as often; and of each it reads a few rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_asks_as_often_for_many_that_wait_as_for_two() {
    let counts = Counts::begin();
    let (world, mut oak) = stepped().await;
    let names: Vec<String> = (0..24).map(|number| format!("b{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    accepted(&world, &names[..2]).await;
    let (few, of_few) = quiet_turn(&world, &counts).await;
    accepted(&world, &names[2..]).await;
    let (many, of_many) = quiet_turn(&world, &counts).await;
    assert!(many <= few + 1, "{few} statements for 2, {many} for 24");
    assert!(of_many <= of_few + 22 * 8, "{of_few} rows for 2, {of_many} for 24");
    // Nor where something has failed: all of it is read together.
    for_turns(&world, &mut oak, "b3", 6).await;
    let (failed, _) = quiet_turn(&world, &counts).await;
    assert!(failed <= many + 3, "{many} statements before anything failed, {failed} after it");
}

/// Who accepted it may not any more, and somebody else does so at the moment when it is sent away for that.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_anew_while_it_is_sent_away_it_stays() {
    let (world, mut oak) = stepped().await;
    let olga = world.token(TokenKind::Maintainer, "olga").await;
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    let path = format!("{}/feature/accept", crate::queue::BRANCHES);
    assert_eq!(world.post_as(&olga, &path, &world.as_read("feature").await).await.status, 200);
    let olga = world.store().token_by_hash(&master::auth::hash(&olga)).await.unwrap().unwrap();
    world.store().revoke_token(olga.id).await.unwrap();
    world.stops().stop_at(&["store.write"]);
    let turn = tokio::spawn(world.master().turn(Loop::Queue));
    let held = world.stops().held().await;
    world.stops().stop_at(&[]);
    world.accept("feature").await;
    held.go();
    turn.await.unwrap().unwrap();
    until_decided(&world, &mut oak, "nothing").await;
    landed(&world, &["feature"]).await;
}
