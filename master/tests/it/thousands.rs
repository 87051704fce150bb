//! Thousands of branches: a page asks the store as often as for a few, reads no more rows than it shows something of, and is as
//! long as one that people read.

use crate::support::World;
use crate::support::counts::Counts;
use crate::support::slave::FakeSlave;
use master::stepping::Loop;
use master::store::Store;
use sqlx::{AnyPool, AssertSqlSafe, Row as _};
use std::time::Instant;

/// The most bytes of a page, before it is compressed.
const BYTES: usize = 60_000;
/// The most rows that are read for one.
const ROWS: u64 = 800;
/// How many slaves there are.
const SLAVES: i64 = 200;

/// Makes `from..to` rows of a table that are as its row `of`, but for these columns, in which `n` is the number.
async fn copy(pool: &AnyPool, table: &str, of: i64, from: i64, to: i64, other: &[(&str, &str)]) {
    let columns = sqlx::query(AssertSqlSafe(format!("PRAGMA table_info({table})"))).fetch_all(pool).await.unwrap();
    let columns: Vec<String> = columns.iter().map(|row| row.get::<String, _>("name")).collect();
    let value = |column: &String| {
        let set = other.iter().find(|(name, _)| name == column).map(|(_, value)| (*value).to_owned());
        set.unwrap_or_else(|| format!("it.{column}"))
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let sql = format!(
        "INSERT INTO {table} ({}) WITH RECURSIVE s (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {to})
         SELECT {} FROM {table} it, s WHERE it.id = {of}",
        columns.join(", "),
        values.join(", ")
    );
    sqlx::query(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

/// Makes branches of every kind, as the first one is: `from..to`.
async fn branches(pool: &AnyPool, from: i64, to: i64) {
    let name = ("name", "'slave-' || n");
    if from == 0 {
        copy(pool, "slave", 1, 0, SLAVES, &[("id", "100 + n"), name]).await;
    }
    let id = ("id", "10000 + n");
    let state = "CASE WHEN n % 5 = 4 THEN 'withdrawn' ELSE 'live' END";
    let name = "'b' || n || '-a-name-as-people-give-them'";
    let url = "'https://ann.example/a/repository/' || n";
    let branch = [
        id,
        ("name", name),
        ("url", url),
        ("state", state),
        ("changed_ms", "it.changed_ms + n"),
        ("shape", "NULL"),
        ("title", "'A title of many words that says what this is about, number ' || n"),
        ("found_by", "''"),
        ("owners", "''"),
    ];
    copy(pool, "branch", 1, from, to, &branch).await;
    let candidate = ("candidate_id", "10000 + n");
    let refused = ("refusal_code", "CASE WHEN n % 11 = 3 THEN 'too-large' END");
    copy(pool, "revision", 1, from, to, &[id, ("branch_id", "10000 + n"), candidate, refused]).await;
    let of = [("branch_id", "10000 + n"), ("revision_id", "10000 + n")];
    let outcome = ("outcome", "CASE WHEN n % 7 = 1 THEN 'conflict' ELSE it.outcome END");
    let detail = ("detail", r#"CASE WHEN n % 7 = 1 THEN '{"outcome":"conflict","files":[]}' ELSE it.detail END"#);
    copy(pool, "candidate", 1, from, to, &[&[id, outcome, detail], &of[..]].concat()).await;
    // Of each what was built before, and what counts: passed, failed, running or waiting.
    for older in 0..6 {
        let id = format!("1000000 + n * 10 + {older}");
        copy(pool, "build", 1, from, to, &[&[("id", id.as_str()), candidate], &of[..]].concat()).await;
    }
    let state = ("state", "CASE n % 4 WHEN 2 THEN 'waiting' WHEN 3 THEN 'running' ELSE 'finished' END");
    let result = ("result", "CASE n % 4 WHEN 0 THEN 'success' WHEN 1 THEN 'failure' END");
    let id = ("id", "1000000 + n * 10 + 9");
    let slave = ("slave_id", "CASE WHEN n % 4 = 3 THEN 100 + n / 4 % 200 END");
    copy(pool, "build", 1, from, to, &[&[id, candidate, state, result, slave], &of[..]].concat()).await;
    // One in three of those that passed is accepted.
    sqlx::query(
        "INSERT INTO queue_entry (project_id, branch_id, revision_id, commit_id, accepted_by, accepted_ms, state, code, says,
             next_who, next_what)
         SELECT 1, b.id, b.id, r.commit_id, 'mia', b.id, 'queued', 'behind', 'others are before it', 'bb', 'tests it later'
         FROM branch b JOIN revision r ON r.branch_id = b.id
         WHERE b.id >= 10000 + $1 AND b.id < 10000 + $2 AND b.state = 'live' AND b.id % 12 = 4",
    )
    .bind(from)
    .bind(to)
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_no_more_of_thousands_than_it_shows() {
    let counts = Counts::begin();
    let mut world = World::stepped().await;
    world.turn(Loop::Mainline).await;
    let (mut oak, _) = FakeSlave::new(&world, "oak").await;
    world.publish("first").await;
    for which in [Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule] {
        world.turn(which).await;
    }
    oak.passes_next().await;
    let pool = AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let api = "/api/v1/projects/heron/branches";
    let pages = [
        "/p/heron".to_owned(),
        "/p/heron/branches".to_owned(),
        "/p/heron/branches?state=all".to_owned(),
        "/p/heron/branches?turn=maintainer".to_owned(),
        "/p/heron/branches?state=ready".to_owned(),
        "/p/heron/branches?q=number+1".to_owned(),
        "/p/heron/branches?state=all&q=number+1".to_owned(),
        "/p/heron/queue".to_owned(),
        "/p/heron/builds".to_owned(),
        "/p/heron/builds?state=running".to_owned(),
        "/p/heron/builds?state=exception&builder=linux".to_owned(),
        "/api/v1/projects/heron/builds".to_owned(),
        "/api/v1/projects/heron/builds?slave=slave-7&state=failure&before=1000000".to_owned(),
        "/api/v1/projects/heron".to_owned(),
        "/api/v1/projects/heron/queue".to_owned(),
        "/api/v1/projects".to_owned(),
        api.to_owned(),
        format!("{api}?state=withdrawn"),
        format!("{api}?owner=mia"),
        format!("{api}?turn=author"),
    ];
    let most: i64 = std::env::var("BRANCHES").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    let mut asked = Vec::new();
    for (from, to) in [(0, 60), (60, most)] {
        branches(&pool, from, to).await;
        // What is kept of them for lists is made at the start.
        world.kill_master().await;
        world.start_master().await;
        let mut statements = Vec::new();
        for page in &pages {
            let _ = world.get(page).await;
            counts.clear();
            let begun = Instant::now();
            let answer = world.get(page).await;
            let ms = begun.elapsed().as_millis();
            let (all, rows) = (counts.statements(), counts.rows());
            println!("{to} branches, {page}: {all} statements, {rows} rows, {} bytes, {ms} ms", answer.text.len());
            assert_eq!(answer.status, 200, "{page}: {}", answer.text);
            assert!(rows <= ROWS, "{page} of {to} branches reads {rows} rows");
            assert!(answer.text.len() <= BYTES, "{page} of {to} branches has {} bytes", answer.text.len());
            statements.push((page, world.reads(page).await));
        }
        asked.push(statements);
        let page = world.get(api).await.json();
        assert_eq!(page["live"].as_i64(), Some(1 + (0..to).filter(|n| n % 5 != 4).count() as i64));
        assert_eq!(page["ended"].as_i64(), Some((0..to).filter(|n| n % 5 == 4).count() as i64));
    }
    // Of what no shown branch has, nothing is asked.
    for ((page, few), (_, many)) in asked[0].iter().zip(&asked[1]) {
        assert!(many <= few && *few <= 32, "{page} asks {few} times of 60 branches, {many} times of {most}");
    }
}
