//! What the writer promises.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::points::Stops;
use crate::store::{Happening, NewBranch, Published, TokenKind};
use protocol::ProjectId;

/// A branch whose title needs more room than a full disk has.
fn branch(project: ProjectId, name: &str, title: usize) -> NewBranch {
    NewBranch {
        project,
        name: Some(name.parse().unwrap()),
        url: format!("/srv/{name}.git"),
        source_ref: "feature".to_owned(),
        title: "t".repeat(title),
        bugs: Vec::new(),
        publisher: "ann".to_owned(),
        token: None,
        trusted: true,
    }
}

fn event(project: ProjectId, length: usize) -> Happening {
    Happening {
        project: Some(project),
        branch: None,
        build: None,
        kind: "paused",
        look: protocol::api::Look::Waiting,
        text: "t".repeat(length),
        actor: "mia".to_owned(),
    }
}

impl Store {
    /// Leaves the connection that writes no room for the database's file to grow, nor any in what was freed.
    async fn fill_disk(&self) {
        // One that failed is not used again.
        self.prove_writable().await.unwrap();
        let mut place = self.write.line.place.lock().await;
        place.idle.as_mut().unwrap().execute("VACUUM; PRAGMA max_page_count = 1").await.unwrap();
    }

    /// Room again.
    async fn empty_disk(&self) {
        if let Some(idle) = &mut self.write.line.place.lock().await.idle {
            idle.execute("PRAGMA max_page_count = 1073741823").await.unwrap();
        }
    }
}

const LARGE: usize = 100_000;

#[tokio::test]
async fn what_was_answered_is_there_also_after_the_disk_was_full() {
    let folder = tempfile::tempdir().unwrap();
    let url = Store::sqlite_url(folder.path());
    let store = Store::open(&url).await.unwrap();
    let project = store.ensure_project(&"heron".parse().unwrap(), "/srv/heron.git", "main").await.unwrap().id;
    for round in 0..3 {
        store.fill_disk().await;
        let error = store.publish(&branch(project, &format!("lost-{round}"), LARGE)).await.unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        // SQLite ends the whole transaction for some statements, as for this one, and only the statement for others.
        store.fill_disk().await;
        let error = store.record(&event(project, LARGE)).await.unwrap_err();
        assert!(error.is_disk_full(), "{error}");
        store.empty_disk().await;
        // A name that is taken makes the next transaction roll back, as ordinary life does.
        store.publish(&branch(project, "kept-0", 1)).await.unwrap();
        let taken = NewBranch { url: "/srv/other.git".to_owned(), ..branch(project, "kept-0", 1) };
        assert!(matches!(store.publish(&taken).await.unwrap(), Published::NameTaken(_)));
        let kept = store.publish(&branch(project, &format!("kept-{round}"), LARGE)).await;
        assert!(kept.is_ok(), "there is room again: {kept:?}");
        store.add_token(TokenKind::Slave, "oak", false, &format!("hash-{round}")).await.unwrap();
        store.prove_writable().await.unwrap();
    }
    store.close().await;

    let store = Store::open(&url).await.unwrap();
    let mut names: Vec<_> = store.branches(project, 0).await.unwrap().into_iter().map(|b| b.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["kept-0", "kept-1", "kept-2"]);
    assert_eq!(store.tokens().await.unwrap().len(), 3);
    assert_eq!(store.events_after(protocol::EventId(0), 100).await.unwrap().len(), 3, "one for each branch");
}

#[tokio::test]
async fn a_write_is_what_it_is_whatever_the_server_was_told() {
    let url = testkit::postgres::fresh_database();
    let name = url.split(['?', '/']).find(|part| part.starts_with("bb_")).unwrap();
    for setting in ["default_transaction_isolation = 'serializable'", "synchronous_commit = off"] {
        testkit::postgres::execute(&url, &format!("ALTER DATABASE {name} SET {setting}")).unwrap();
    }
    let store = Store::open(&url).await.unwrap();
    let mut open = store.write.begin().await.unwrap();
    let turn = open.0.as_mut().unwrap();
    for (setting, wanted) in [("transaction_isolation", "read committed"), ("synchronous_commit", "on")] {
        let query = sqlx::query("SELECT current_setting($1) AS now").bind(setting);
        assert_eq!(query.fetch_one(&mut **turn).await.unwrap().text("now").unwrap(), wanted);
    }
    drop(open);
    store.add_token(TokenKind::Slave, "oak", false, "hash").await.unwrap();
}

#[tokio::test]
async fn whoever_goes_away_while_waiting_for_a_turn_does_not_keep_it() {
    let url = testkit::postgres::fresh_database();
    let (first, second) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
    let number = async |sql: &'static str, of: &mut Open| -> i64 {
        sqlx::query(sql).fetch_one(&mut **of.0.as_mut().unwrap()).await.unwrap().num("n").unwrap()
    };
    let pid = "SELECT pg_backend_pid()::bigint AS n";
    let waiting = "SELECT COUNT(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let before = number(pid, &mut second.write.begin().await.unwrap()).await;

    let mut held = first.write.begin().await.unwrap();
    let writer = second.write.clone();
    let gone = tokio::spawn(async move { drop(writer.begin().await) });
    while number(waiting, &mut held).await == 0 {
        tokio::task::yield_now().await;
    }
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(held);

    drop(first.write.begin().await.unwrap());
    let after = number(pid, &mut second.write.begin().await.unwrap()).await;
    assert_eq!(after, before, "the database need not end a connection that keeps the turn");
}

/// Both databases, each with a project.
async fn both() -> Vec<(tempfile::TempDir, Store, ProjectId)> {
    let mut both = Vec::new();
    for sqlite in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let url = if sqlite { Store::sqlite_url(folder.path()) } else { testkit::postgres::fresh_database() };
        let store = Store::open(&url).await.unwrap();
        let project = store.ensure_project(&"heron".parse().unwrap(), "/srv/heron.git", "main").await.unwrap().id;
        both.push((folder, store, project));
    }
    both
}

/// Waits until so many wait for their turn.
async fn waiting(store: &Store, n: usize) {
    while store.write.line.waiting.load(Ordering::SeqCst) != n {
        tokio::task::yield_now().await;
    }
}

/// A name that is published when its turn comes.
fn publishing(store: &Store, project: ProjectId, name: &str) -> tokio::task::JoinHandle<Result<Published>> {
    let (store, branch) = (store.clone(), branch(project, name, 1));
    tokio::spawn(async move { store.publish(&branch).await })
}

async fn names(store: &Store, project: ProjectId) -> Vec<String> {
    let mut names: Vec<_> = store.branches(project, 0).await.unwrap().into_iter().map(|b| b.name.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn those_who_wait_are_committed_together_and_one_that_fails_is_undone_alone() {
    for (_folder, store, project) in both().await {
        let first = store.write.begin().await.unwrap();
        let before = store.commits();
        let mut published = Vec::new();
        for i in 0..20 {
            published.push(publishing(&store, project, &format!("b{i:02}")));
            waiting(&store, i + 1).await;
        }
        let writer = store.write.clone();
        let fails = tokio::spawn(async move {
            let fails = writer.turn(async |turn| {
                turn.keep();
                sqlx::query("UPDATE branch SET title = 'undone'").execute(&mut **turn).await?;
                sqlx::query("SELECT nonsense FROM branch").execute(&mut **turn).await.map(drop)?;
                Ok(())
            });
            fails.await
        });
        waiting(&store, 21).await;
        published.push(publishing(&store, project, "last"));
        waiting(&store, 22).await;
        drop(first);
        for published in published {
            assert!(matches!(published.await.unwrap().unwrap(), Published::New(_)));
        }
        assert!(fails.await.unwrap().is_err());
        assert_eq!(store.commits(), before + 1);
        assert_eq!(names(&store, project).await.len(), 21);
        assert!(store.branches(project, 0).await.unwrap().iter().all(|b| b.title == "t"));
    }
}

#[tokio::test]
async fn whoever_goes_away_leaves_the_others_what_they_wrote() {
    for (_folder, store, project) in both().await {
        let first = store.write.begin().await.unwrap();
        let kept = publishing(&store, project, "kept");
        waiting(&store, 1).await;
        // This one goes away in the middle of its turn, with all before it waiting for the commit.
        let (writer, (begun, is_begun)) = (store.write.clone(), oneshot::channel());
        let leaves = tokio::spawn(async move {
            let leaves = writer.turn(async |turn| {
                turn.keep();
                sqlx::query("UPDATE branch SET title = 'undone'").execute(&mut **turn).await?;
                let _ = begun.send(());
                std::future::pending::<Result<()>>().await
            });
            leaves.await
        });
        waiting(&store, 2).await;
        drop(first);
        is_begun.await.unwrap();
        leaves.abort();
        assert!(matches!(kept.await.unwrap().unwrap(), Published::New(_)));

        // This one goes away when the transaction was handed on to it.
        let first = store.write.begin().await.unwrap();
        let also = publishing(&store, project, "also");
        waiting(&store, 1).await;
        let never = publishing(&store, project, "never");
        waiting(&store, 2).await;
        never.abort();
        assert!(never.await.unwrap_err().is_cancelled());
        drop(first);
        assert!(matches!(also.await.unwrap().unwrap(), Published::New(_)));
        assert_eq!(names(&store, project).await, ["also", "kept"]);
        assert!(store.branches(project, 0).await.unwrap().iter().all(|b| b.title == "t"));
    }
}

#[tokio::test]
async fn nobody_is_answered_by_what_is_not_durable() {
    let (_folder, store, project) = both().await.swap_remove(0);
    let first = store.write.begin().await.unwrap();
    let published = publishing(&store, project, "lost");
    waiting(&store, 1).await;
    // It writes nothing: it only reads what the one before it wrote.
    let reader = store.write.clone();
    let reads = tokio::spawn(async move {
        let count = "SELECT COUNT(*) AS n FROM branch";
        reader.turn(async |turn| turn.fetch_one(count).await?.num::<i64>("n")).await
    });
    waiting(&store, 2).await;
    let writer = store.write.clone();
    let breaks = tokio::spawn(async move {
        let breaks = writer.turn(async |turn| {
            turn.keep();
            turn.execute("PRAGMA defer_foreign_keys = ON").await?;
            let sql = "INSERT INTO session (hash, token_id, made_ms, used_ms) VALUES ('h', 999, 0, 0)";
            turn.execute(sql).await?;
            Ok(())
        });
        breaks.await
    });
    waiting(&store, 3).await;
    drop(first);
    let (published, read) = (published.await.unwrap(), reads.await.unwrap());
    assert!(matches!(published, Err(StoreError::NotCommitted(_))), "{published:?}");
    assert!(matches!(read, Err(StoreError::NotCommitted(_))), "{read:?}");
    assert!(breaks.await.unwrap().is_err());
    assert!(names(&store, project).await.is_empty());
    assert!(matches!(store.publish(&branch(project, "lost", 1)).await.unwrap(), Published::New(_)));
}

#[tokio::test]
async fn a_connection_that_is_still_inside_of_a_transaction_is_not_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Store::sqlite_url(folder.path())).await.unwrap();
    store.prove_writable().await.unwrap();
    store.write.line.place.lock().await.idle.as_mut().unwrap().execute("BEGIN").await.unwrap();
    store.add_token(TokenKind::Slave, "oak", false, "hash").await.unwrap();
    assert_eq!(store.tokens().await.unwrap().len(), 1, "others see it at once");
}

/// A store whose turns can be stopped when they have come and before anything is asked of the database.
fn stopping(store: &Store) -> (Store, Arc<Stops>) {
    let stops = Arc::new(Stops::default());
    let store = store.clone().with_points(stops.points());
    stops.stop_at(&["store.turn"]);
    (store, stops)
}

#[tokio::test]
async fn whoever_goes_away_when_the_turn_comes_takes_nobody_with_it() {
    for (_folder, store, project) in both().await {
        let first = store.write.begin().await.unwrap();
        let kept = publishing(&store, project, "kept");
        waiting(&store, 1).await;
        let (stopped, stops) = stopping(&store);
        let never = publishing(&stopped, project, "never");
        waiting(&store, 2).await;
        drop(first);
        let held = stops.held().await;
        never.abort();
        assert!(never.await.unwrap_err().is_cancelled());
        let also = publishing(&store, project, "also");
        waiting(&store, 1).await;
        held.go();
        assert!(matches!(kept.await.unwrap().unwrap(), Published::New(_)));
        assert!(matches!(also.await.unwrap().unwrap(), Published::New(_)));
        assert_eq!(names(&store, project).await, ["also", "kept"]);
    }
}

#[tokio::test]
async fn what_was_answered_is_there_whoever_goes_away_and_whenever() {
    for (_folder, store, project) in both().await {
        for round in 0..6_usize {
            let first = store.write.begin().await.unwrap();
            let mut writes = Vec::new();
            for i in 0..24 {
                writes.push(publishing(&store, project, &format!("r{round}-{i:02}")));
                waiting(&store, i + 1).await;
            }
            drop(first);
            // Each third one leaves some steps after its turn has come: wherever that finds it.
            for (i, write) in writes.iter().enumerate().skip(round % 3).step_by(3) {
                while store.write.line.waiting.load(Ordering::SeqCst) > 23 - i {
                    tokio::task::yield_now().await;
                }
                for _ in 0..(i * 5 + round) % 11 {
                    tokio::task::yield_now().await;
                }
                write.abort();
            }
            let mut answered = Vec::new();
            for (i, write) in writes.into_iter().enumerate() {
                match write.await {
                    Ok(done) => {
                        assert!(matches!(done.unwrap(), Published::New(_)));
                        answered.push(format!("r{round}-{i:02}"));
                    }
                    Err(error) => assert!(error.is_cancelled()),
                }
            }
            assert!(answered.len() >= 16, "only who left has no answer: {answered:?}");
            let there = names(&store, project).await;
            answered.retain(|name| !there.contains(name));
            assert!(answered.is_empty(), "answered and lost: {answered:?}");
        }
    }
}

/// A store on PostgreSQL, and the server's number of the connection that writes.
async fn on_postgres() -> (String, Store, ProjectId, i64) {
    let url = testkit::postgres::fresh_database();
    let store = Store::open(&url).await.unwrap();
    let project = store.ensure_project(&"heron".parse().unwrap(), "/srv/heron.git", "main").await.unwrap().id;
    let pid = "SELECT pg_backend_pid()::bigint AS n";
    let mut place = store.write.line.place.lock().await;
    let pid = sqlx::query(pid).fetch_one(&mut **place.idle.as_mut().unwrap()).await.unwrap().num("n").unwrap();
    drop(place);
    (url, store, project, pid)
}

#[tokio::test]
async fn nobody_who_reads_is_told_that_the_database_ended_sessions_of_which_none_was_in_use() {
    let (url, store, project, _) = on_postgres().await;
    // As many connections as are kept.
    let readers = || futures_util::future::join_all((0..12).map(|_| store.projects()));
    let mut kept = Vec::new();
    for _ in 0..12 {
        let moment = store.snapshot().await.unwrap();
        moment.project_by_id(project).await.unwrap();
        kept.push(moment);
    }
    drop(kept);
    let all = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    testkit::postgres::execute(&url, all).unwrap();
    for read in readers().await {
        assert_eq!(read.unwrap().len(), 1);
    }
    assert!(matches!(publishing(&store, project, "after").await.unwrap().unwrap(), Published::New(_)));
}

#[tokio::test]
async fn when_the_database_ends_the_session_all_who_wait_for_the_commit_learn_it() {
    for in_the_first in [true, false] {
        let (url, store, project, pid) = on_postgres().await;
        let end = format!("SELECT pg_terminate_backend({pid}, 10000)");
        let (writer, (begun, is_begun), (go, may_go)) = (store.write.clone(), oneshot::channel(), oneshot::channel());
        let first = tokio::spawn(async move {
            let first = writer.turn(async |turn| {
                turn.keep();
                sqlx::query("UPDATE project SET mainline = 'first'").execute(&mut **turn).await?;
                let _ = begun.send(());
                may_go.await.map_err(|_| gone().into())
            });
            first.await
        });
        is_begun.await.unwrap();
        let (stopped, stops) = stopping(&store);
        let second = publishing(&stopped, project, "second");
        waiting(&store, 1).await;
        let third = publishing(&store, project, "third");
        waiting(&store, 2).await;
        if in_the_first {
            testkit::postgres::execute(&url, &end).unwrap();
        }
        go.send(()).unwrap();
        let held = stops.held().await;
        if !in_the_first {
            testkit::postgres::execute(&url, &end).unwrap();
        }
        held.go();
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert!(matches!(first, Err(StoreError::NotCommitted(_))), "{first:?}");
        assert!(matches!(second, Err(StoreError::NotCommitted(_))), "{second:?}");
        assert!(matches!(third.await.unwrap().unwrap(), Published::New(_)));
        assert_eq!(names(&store, project).await, ["third"]);
        assert_eq!(store.projects().await.unwrap()[0].mainline.as_str(), "main");
    }
}

#[tokio::test]
async fn who_waited_too_long_for_the_turn_leaves_a_connection_that_writes() {
    let (url, store, project, _) = on_postgres().await;
    let other = Store::open(&url).await.unwrap();
    // With less patience than in life.
    store.write.line.place.lock().await.idle.as_mut().unwrap().execute("SET lock_timeout = '20ms'").await.unwrap();
    let held = other.write.begin().await.unwrap();
    let error = store.publish(&branch(project, "late", 1)).await.unwrap_err();
    assert!(error.to_string().contains("lock timeout"), "{error}");
    drop(held);
    for name in ["one", "two"] {
        assert!(matches!(store.publish(&branch(project, name, 1)).await.unwrap(), Published::New(_)));
    }
}

#[tokio::test]
async fn what_failed_and_was_said_to_stay_is_not_answered_as_if_it_did() {
    for (_folder, store, project) in both().await {
        let swallows = store.write.turn(async |turn| {
            turn.keep();
            sqlx::query("UPDATE branch SET title = 'half'").execute(&mut **turn).await?;
            let _ = sqlx::query("SELECT nonsense FROM branch").execute(&mut **turn).await;
            Ok(())
        });
        store.publish(&branch(project, "feature", 1)).await.unwrap();
        let said = swallows.await;
        let half = store.branches(project, 0).await.unwrap()[0].title == "half";
        assert_eq!(said.is_ok(), half, "PostgreSQL rolls it back, SQLite keeps the rest: {said:?}");
        assert!(matches!(store.publish(&branch(project, "later", 1)).await.unwrap(), Published::New(_)));
    }
}

#[tokio::test]
async fn the_connection_is_kept_from_turn_to_turn_and_a_store_that_is_closed_waits_for_none() {
    let (_, store, project, pid) = on_postgres().await;
    for name in ["one", "two", "three"] {
        store.publish(&branch(project, name, 1)).await.unwrap();
    }
    let mut place = store.write.line.place.lock().await;
    let now = sqlx::query("SELECT pg_backend_pid()::bigint AS n");
    let now: i64 = now.fetch_one(&mut **place.idle.as_mut().unwrap()).await.unwrap().num("n").unwrap();
    assert_eq!(now, pid);
    drop(place);
    store.close().await;
}
