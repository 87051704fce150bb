//! What the store is asked, whoever asks: no statement looks through rows that only become more with the years.

use crate::support::World;
use crate::support::slave::FakeSlave;
use master::store::{BranchState, Store};
use protocol::BuildResult;
use serde_json::json;
use sqlx::{AssertSqlSafe, Row as _};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Tables whose rows are kept for years.
const GROWING: [&str; 11] = [
    "stack",
    "stack_entry",
    "build",
    "step",
    "candidate",
    "revision",
    "branch",
    "event",
    "queue_entry",
    "landing",
    "landing_entry",
];

/// Indexes that hold none but a few of their table's rows.
const OF_OPEN_ROWS: [&str; 6] = [
    "USING INDEX stack_open",
    "USING INDEX queue_entry_branch",
    "USING INDEX landing_open",
    "USING INDEX build_open",
    "USING INDEX revision_remake",
    "USING INDEX branch_shapeless",
];

/// The texts of all statements that were sent.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<BTreeSet<String>>>);

#[derive(Default)]
struct Text {
    summary: String,
    whole: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.trim().clone_into(&mut self.whole),
            _ => {}
        }
    }
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut text = Text::default();
            event.record(&mut text);
            let text = if text.whole.is_empty() { text.summary } else { text.whole };
            self.0.lock().unwrap().insert(text);
        }
    }
}

/// A project's life: branches that land, fail, are built again, cancelled, withdrawn and published again; a pause, a slave that
/// comes and goes; and all that can be read of it.
async fn life(world: &World) {
    let (mut oak, _) = FakeSlave::new(world, "oak").await;
    for name in ["good", "bad", "gone"] {
        world.publish(name).await;
        let it = oak.given().await;
        oak.ends(it.of, 0, if name == "bad" { BuildResult::Failure } else { BuildResult::Success }).await;
    }
    let branches = "/api/v1/projects/heron/branches";
    assert_eq!(world.post(&format!("{branches}/bad/rebuild"), &json!({})).await.status, 200);
    let again = oak.given().await;
    let cancel = format!("/api/v1/builds/{}/cancel", again.of.build);
    assert_eq!(world.post(&cancel, &json!({})).await.status, 200);
    oak.ends(again.of, 0, BuildResult::Cancelled).await;
    world.verdict("good", "ready").await;
    assert_eq!(world.post("/api/v1/projects/heron/queue/pause", &json!({})).await.status, 200);
    world.accept("good").await;
    assert_eq!(world.post("/api/v1/projects/heron/queue/resume", &json!({})).await.status, 200);
    world.verdict("good", "landed").await;
    assert_eq!(world.post(&format!("{branches}/gone/withdraw"), &json!({})).await.status, 200);
    let again = json!({"url": world.author.url(), "branch": "gone", "name": "gone"});
    assert!(world.post(branches, &again).await.status < 300);
    let gone = world.branch_row("gone").await;
    world.store().end_branch(&gone, BranchState::Retired, "gone", "bb").await.unwrap();
    for path in [
        "/",
        "/p/heron",
        "/p/heron/branches",
        "/p/heron/branches?state=all&q=goo",
        "/p/heron/branches/good",
        "/p/heron/branches/bad",
        "/p/heron/branches/good/revisions",
        "/p/heron/builds/1",
        "/p/heron/queue",
        "/p/heron/builds",
        "/p/heron/builds?builder=linux&state=failure",
        "/p/heron/builds?slave=oak&builder=linux",
        "/p/heron/builds?branch=good",
        "/p/heron/builds?state=waiting",
        "/slaves",
        "/api/v1/projects",
        "/api/v1/projects/heron",
        "/api/v1/projects/heron/branches?state=all",
        "/api/v1/projects/heron/branches/good",
        "/api/v1/projects/heron/queue",
        "/api/v1/builds/1",
        "/api/v1/builds/1/log",
        "/api/v1/slaves",
        "/api/v1/locks",
        "/healthz",
    ] {
        assert!(world.get(path).await.status < 400, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_looks_through_what_grows_with_the_years() {
    let statements = Statements::default();
    let subscriber = tracing_subscriber::registry().with(statements.clone());
    tracing::subscriber::set_global_default(subscriber).expect("each test is a process of its own");
    let world = World::start().await;
    life(&world).await;

    let pool = sqlx::AnyPool::connect(&Store::sqlite_url(&world.basedir())).await.unwrap();
    let (mut explained, mut scans) = (0, Vec::new());
    let texts = statements.0.lock().unwrap().clone();
    for text in texts.iter().filter(|text| !text.starts_with("PRAGMA")) {
        let explain = format!("EXPLAIN QUERY PLAN {text}");
        let Ok(rows) = sqlx::query(AssertSqlSafe(explain)).fetch_all(&pool).await else { continue };
        explained += usize::from(!rows.is_empty());
        for row in &rows {
            let step: String = row.get("detail");
            if is_scan_of_growing(text, &step) {
                scans.push(format!("{step}\n{text}\n"));
            }
        }
    }
    assert!(explained > 80, "{explained} statements were explained of {}", texts.len());
    assert!(scans.is_empty(), "{} scans:\n{}", scans.len(), scans.join("\n"));
}

/// Whether a step of a plan looks through a growing table. One that goes along an index of open rows alone does not; nor does
/// the check of a foreign key, of whose table the statement doesn't speak, and which is made only when one is broken.
fn is_scan_of_growing(text: &str, step: &str) -> bool {
    let mut words = step.strip_prefix("SCAN ").unwrap_or_default().split(' ');
    let Some(name) = words.next() else { return false };
    if OF_OPEN_ROWS.iter().any(|index| step.contains(index)) {
        return false;
    }
    let said: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect();
    GROWING.iter().any(|table| {
        let is_it = |pair: &[&str]| ["FROM", "JOIN", "UPDATE"].contains(&pair[0]) && pair[1] == *table;
        let is_alias = |three: &[&str]| is_it(three) && three[2] == name;
        said.windows(3).any(is_alias) || (*table == name && said.windows(2).any(is_it))
    })
}
