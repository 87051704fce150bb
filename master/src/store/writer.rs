//! Writing: one turn after the other, also when several processes write to one database; and one commit for all whose
//! turns came while it was to be made.
//!
//! A write reads what it depends on, and then writes. Were two of them at it at once, each would write by what was true
//! before the other: at PostgreSQL's own level of isolation they could, on SQLite they can't. So on both a write begins
//! by waiting for its turn: nothing that it read changes under its hands, none fails because of another and has to be tried
//! again, and events get their numbers in the order in which they can be seen (who read number 8 will never miss a 7).
//! Readers wait for nobody. What a caller read *before* the write is another matter: a statement says what it expects of
//! the row, and looks at whether it was so.
//!
//! Waiting for the disk is what a small write costs most. So whoever has written hands the open transaction on to the next
//! that waits, as a savepoint each; the last of them commits, and only then all are answered. Who changed nothing is
//! answered then, too: what it read may be another's that is not durable yet.
//!
//! A connection that is still inside a transaction is never used again. SQLite rolls a transaction back by itself when
//! the disk is full or fails. sqlx, which counts how deep it is in transactions, isn't told: its next transactions would
//! be savepoints that nobody ever commits, answered as if they were durable. So each connection shows on its way back to
//! the pool that it is outside of any transaction, or it is closed and another one opened.

use super::changes::{Change, Changes, Topic};
use super::row::Columns as _;
use super::{Claim, Result, Store, StoreError, now, tokens};
use crate::points::Points;
use protocol::{ProjectId, TokenId};
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::time::timeout;

/// How long somebody waits for a connection: on a busy machine, to be answered late is better than not to be.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most turns that are committed together: the first of them waits for the last.
const GROUP: usize = 64;

/// Has a commit answered when it is on the disk, also by a server that was told to be quicker than that.
const DURABLE: &str =
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// What writes: one connection, so that the writes of one process wait here, in the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    line: Arc<Line>,
    points: Points,
    /// The token of whoever it writes for: revoked, it writes no more.
    by: Option<TokenId>,
    /// The master whose writes these are, while no other one has followed it.
    master: Option<Arc<str>>,
}

/// Those who wait for their turn, and the transaction that is handed on.
#[derive(Debug)]
struct Line {
    pool: AnyPool,
    /// Begins a transaction when no other one is open.
    begin: &'static str,
    group: Arc<Mutex<Group>>,
    /// How many wait for their turn.
    waiting: AtomicUsize,
    /// How many commits were made.
    commits: AtomicU64,
    changes: Changes,
}

/// Whether a turn is durable.
type Answer = Result<(), Arc<sqlx::Error>>;

/// The turns that are committed together.
#[derive(Debug, Default)]
struct Group {
    transaction: Option<Transaction<'static, Any>>,
    /// Those who are answered when it is committed.
    members: Vec<oneshot::Sender<Answer>>,
    changes: Vec<Change>,
}

impl Writer {
    /// The connection that writes to SQLite, which takes one writer at a time by itself.
    pub(super) async fn sqlite(options: AnyConnectOptions) -> Result<Self> {
        let pool = sqlite_pool(1, "PRAGMA query_only = OFF");
        let pool = pool.after_release(|connection, _| Box::pin(is_outside(connection)));
        Ok(Self::new(pool.connect_with(options).await?, "BEGIN IMMEDIATE"))
    }

    /// The connection that writes to PostgreSQL. The turn is a lock of the database's, given up with the transaction; its
    /// number is bb's own. Each statement after it sees what was committed before the turn came: at the other levels of
    /// isolation it would see what was so when the wait began.
    pub(super) async fn postgres(options: AnyConnectOptions) -> Result<Self> {
        let pool = postgres_pool(1, DURABLE);
        // The server ends a transaction whose commit fails, and so does sqlx; what it still believes to be in one goes.
        let pool = pool.after_release(|connection, _| {
            let outside = !connection.is_in_transaction();
            Box::pin(async move { Ok(outside) })
        });
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(7083001)";
        Ok(Self::new(pool.connect_with(options).await?, begin))
    }

    fn new(pool: AnyPool, begin: &'static str) -> Self {
        let (waiting, commits) = (AtomicUsize::new(0), AtomicU64::new(0));
        let line = Arc::new(Line { pool, begin, group: Arc::default(), waiting, commits, changes: Changes::default() });
        Self { line, points: Points::default(), by: None, master: None }
    }

    /// Has writes done only while this master has the store.
    pub(super) fn set_master(&mut self, owner: Arc<str>) {
        self.master = Some(owner);
    }

    /// Has writes done only while a token counts.
    pub(super) fn set_by(&mut self, token: Option<TokenId>) {
        self.by = token;
    }

    /// Has writes begin at these places.
    pub(super) fn set_points(&mut self, points: Points) {
        self.points = points;
    }

    /// The places at which writes begin.
    pub(super) fn points(&self) -> &Points {
        &self.points
    }

    /// The connection.
    pub(super) fn pool(&self) -> &AnyPool {
        &self.line.pool
    }

    /// How many commits were made since the store was opened.
    pub(super) fn commits(&self) -> u64 {
        self.line.commits.load(Ordering::SeqCst)
    }

    /// Whoever is woken by what is written.
    pub(super) fn changes(&self) -> &Changes {
        &self.line.changes
    }

    /// Writes: does `work` in a transaction when its turn has come. What it wrote stays if it said so ([`Turn::keep`],
    /// [`Turn::changed`]) and did not fail, and it is durable when this returns; else nothing of it stays.
    ///
    /// # Errors
    /// Those of `work`; or the database fails, another master has followed this one, or the token of whoever it is for was
    /// revoked.
    pub(super) async fn turn<T>(&self, work: impl AsyncFnOnce(&mut Turn) -> Result<T>) -> Result<T> {
        self.turn_for_anybody(async |turn| {
            self.may_write(turn).await?;
            work(turn).await
        })
        .await
    }

    /// The same under a claim: whoever writes what a claim guards does it so. Nobody can take the claim over before the
    /// turn ends.
    ///
    /// # Errors
    /// The same, or the claim is another's by now.
    pub(super) async fn turn_under<T>(
        &self,
        claim: Claim,
        work: impl AsyncFnOnce(&mut Turn) -> Result<T>,
    ) -> Result<T> {
        self.turn(async |turn| {
            let fence = sqlx::query("SELECT fence FROM project WHERE id = $1").bind(claim.project.0);
            let fence = fence.fetch_optional(&mut **turn).await?.map(|row| row.num("fence")).transpose()?;
            if fence != Some(claim.fence) {
                return Err(StoreError::ClaimLost);
            }
            work(turn).await
        })
        .await
    }

    /// The same whoever writes: only for who is about to take the store.
    pub(super) async fn turn_for_anybody<T>(&self, work: impl AsyncFnOnce(&mut Turn) -> Result<T>) -> Result<T> {
        let mut open = Open(Some(self.begin().await?));
        let done = match &mut open.0 {
            Some(turn) => work(turn).await,
            None => Err(gone().into()),
        };
        match open.0.take() {
            Some(turn) => turn.end(done).await,
            None => done,
        }
    }

    /// One statement that nobody is woken by; how many rows it changed.
    pub(super) async fn execute(&self, query: Query<'_, Any, AnyArguments>) -> Result<u64> {
        self.turn(async |turn| {
            turn.keep();
            Ok(query.execute(&mut **turn).await?.rows_affected())
        })
        .await
    }

    async fn may_write(&self, turn: &mut Turn) -> Result<()> {
        if let Some(me) = &self.master {
            let owner = sqlx::query("SELECT owner FROM master").fetch_one(&mut **turn).await?.text("owner")?;
            if *owner != **me {
                return Err(StoreError::Followed);
            }
        }
        match self.by {
            Some(token) if !tokens::counts(turn, token).await? => Err(StoreError::Revoked),
            _ => Ok(()),
        }
    }

    /// Waits for a turn.
    async fn begin(&self) -> Result<Turn> {
        // Before a turn is taken: who is stopped here holds up nobody.
        self.points.at("store.write").await;
        let mut waits = Waits::begin(&self.line);
        let mut group =
            timeout(PATIENCE, self.line.group.clone().lock_owned()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        waits.is_over();
        let transaction = match group.transaction.take() {
            Some(transaction) => transaction,
            None => self.line.begin().await?,
        };
        let savepoint = !group.members.is_empty();
        let mut turn =
            Turn { line: self.line.clone(), group, transaction, savepoint, kept: false, changes: Vec::new() };
        if savepoint {
            turn.execute("SAVEPOINT turn").await?;
        }
        Ok(turn)
    }
}

/// The error of whoever was not answered.
fn gone() -> sqlx::Error {
    sqlx::Error::WorkerCrashed
}

impl Line {
    async fn begin(&self) -> Result<Transaction<'static, Any>> {
        // Whoever asked may go away while it waits: begun all the same, it is rolled back. Of a beginning that is dropped
        // on its way nobody would know, and the database would hold the turn for it.
        let (pool, begin) = (self.pool.clone(), self.begin);
        let begun = tokio::spawn(async move { pool.begin_with(begin).await }).await;
        Ok(begun.unwrap_or_else(|_| Err(gone()))?)
    }
}

/// Somebody who waits for a turn, and may go away before it comes.
struct Waits<'a> {
    line: &'a Arc<Line>,
    over: bool,
}

impl<'a> Waits<'a> {
    fn begin(line: &'a Arc<Line>) -> Self {
        line.waiting.fetch_add(1, Ordering::SeqCst);
        Self { line, over: false }
    }

    fn is_over(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.line.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.is_over();
        // The transaction may have been handed on to this one, and nobody else be there who commits it.
        if let Ok(runtime) = Handle::try_current() {
            let line = self.line.clone();
            runtime.spawn(async move {
                let mut group = line.group.clone().lock_owned().await;
                if let Some(transaction) = group.transaction.take() {
                    hand_on(&line, group, transaction).await;
                }
            });
        }
    }
}

/// One turn to write: a connection inside a transaction, while all others wait.
#[derive(Debug)]
pub(super) struct Turn {
    line: Arc<Line>,
    group: OwnedMutexGuard<Group>,
    transaction: Transaction<'static, Any>,
    /// Whether others have written in the same transaction, so that this turn is a savepoint in it.
    savepoint: bool,
    kept: bool,
    changes: Vec<Change>,
}

impl Deref for Turn {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

impl Turn {
    /// What was written is to stay, and nobody waits for it.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// What was written is to stay, and whoever waits for this is woken.
    pub(super) fn changed(&mut self, project: ProjectId, topic: Topic, id: impl Into<i64>) {
        self.kept = true;
        self.changes.push(Change::of(project, topic, id.into()));
    }

    /// The same for what concerns all projects.
    pub(super) fn changed_for_all(&mut self, topic: Topic, id: impl Into<i64>) {
        self.kept = true;
        self.changes.push(Change::of_all(topic, id.into()));
    }

    /// Ends it, and waits until what it wrote, and what it read, is durable.
    async fn end<T>(self, done: Result<T>) -> Result<T> {
        let keep = done.is_ok() && self.kept;
        let (sender, answer) = oneshot::channel();
        // Whoever asked may go away meanwhile; the others are answered all the same.
        tokio::spawn(self.settle(keep, Some(sender)));
        match (done, answer.await) {
            (Err(error), _) => Err(error),
            (Ok(done), Ok(Ok(()))) => Ok(done),
            (Ok(_), Ok(Err(error))) => Err(StoreError::NotCommitted(error)),
            (Ok(_), Err(_)) => Err(gone().into()),
        }
    }

    async fn settle(self, keep: bool, sender: Option<oneshot::Sender<Answer>>) {
        let Self { line, mut group, mut transaction, savepoint, changes, .. } = self;
        let undo = "ROLLBACK TO SAVEPOINT turn; RELEASE SAVEPOINT turn";
        let settled = match (savepoint, keep) {
            (true, true) => transaction.execute("RELEASE SAVEPOINT turn").await.map(drop),
            (true, false) => transaction.execute(undo).await.map(drop),
            (false, true) => Ok(()),
            (false, false) => {
                // Nobody else has written in it.
                let _ = transaction.rollback().await;
                group.answer(sender, &Ok(()));
                return;
            }
        };
        group.members.extend(sender);
        if keep {
            group.changes.extend(changes);
        }
        match settled {
            Ok(()) => hand_on(&line, group, transaction).await,
            // The database has rolled back all of it by itself.
            Err(error) => {
                drop(transaction);
                group.answer(None, &Err(Arc::new(error)));
            }
        }
    }
}

/// Hands a transaction on to the next who waits, or commits it if there is none.
async fn hand_on(line: &Line, mut group: OwnedMutexGuard<Group>, transaction: Transaction<'static, Any>) {
    if group.members.len() < GROUP && line.waiting.load(Ordering::SeqCst) > 0 {
        group.transaction = Some(transaction);
        return;
    }
    let committed = transaction.commit().await.map_err(Arc::new);
    if committed.is_ok() {
        line.commits.fetch_add(1, Ordering::SeqCst);
        line.changes.say(&std::mem::take(&mut group.changes));
    }
    group.answer(None, &committed);
}

impl Group {
    /// Answers all, and one more; what comes next is another group.
    fn answer(&mut self, more: Option<oneshot::Sender<Answer>>, answer: &Answer) {
        self.changes.clear();
        for member in self.members.drain(..).chain(more) {
            // Who does not wait any more is not told.
            let _ = member.send(answer.clone());
        }
    }
}

/// A turn that was not ended: whoever took it went away, and nothing of it stays.
struct Open(Option<Turn>);

impl Drop for Open {
    fn drop(&mut self) {
        if let (Some(turn), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(turn.settle(false, None));
        }
    }
}

/// Connections that read SQLite and can't write.
pub(super) fn sqlite_readers(options: AnyConnectOptions) -> AnyPool {
    sqlite_pool(4, "PRAGMA query_only = ON").connect_lazy_with(options)
}

/// Connections that read PostgreSQL and can't write.
pub(super) fn postgres_readers(options: AnyConnectOptions) -> AnyPool {
    postgres_pool(12, "SET default_transaction_read_only = on").connect_lazy_with(options)
}

/// Whether a connection to SQLite is outside of any transaction, by SQLite's word (there is none within another) and by
/// sqlx's. It costs no access to the disk.
async fn is_outside(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    let outside = connection.execute("BEGIN").await.is_ok() && connection.execute("ROLLBACK").await.is_ok();
    let outside = outside && !connection.is_in_transaction();
    if !outside {
        tracing::warn!("a write to the store was interrupted: its connection is closed and another one opened");
    }
    Ok(outside)
}

fn sqlite_pool(connections: u32, what: &'static str) -> AnyPoolOptions {
    let settings = [
        "PRAGMA busy_timeout = 5000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        what,
    ];
    pool(connections, settings)
}

/// A process that hangs in the middle of its turn loses it, as a master its claims.
fn postgres_pool(connections: u32, what: &'static str) -> AnyPoolOptions {
    let settings = ["SET lock_timeout = '10s'", "SET idle_in_transaction_session_timeout = '30s'", what];
    pool(connections, settings)
}

fn pool<const N: usize>(connections: u32, settings: [&'static str; N]) -> AnyPoolOptions {
    let pool = AnyPoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE);
    pool.after_connect(move |connection, _| {
        Box::pin(async move {
            for setting in settings {
                connection.execute(setting).await?;
            }
            Ok(())
        })
    })
}

impl Store {
    /// Proves that a write can be committed, by one.
    ///
    /// # Errors
    /// When it can't.
    pub async fn prove_writable(&self) -> Result<()> {
        self.write.execute(sqlx::query("UPDATE health SET proved_ms = $1").bind(now().0)).await.map(drop)
    }
}

impl StoreError {
    /// Whether the disk below the database is full, as far as the database says so.
    pub fn is_disk_full(&self) -> bool {
        let error = match self {
            Self::Database(error) => error,
            Self::NotCommitted(error) => error.as_ref(),
            _ => return false,
        };
        let sqlx::Error::Database(error) = error else { return false };
        // SQLITE_FULL; PostgreSQL's disk_full.
        error.code().is_some_and(|code| code == "13" || code == "53100")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
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
        /// Leaves no room for the database's file to grow, or room again.
        async fn fill_disk(&self, full: bool) {
            let pages = if full { 1 } else { 1 << 30 };
            let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
            sqlx::query(pragma).execute(self.write.pool()).await.unwrap();
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
            store.fill_disk(true).await;
            let error = store.publish(&branch(project, &format!("lost-{round}"), LARGE)).await.unwrap_err();
            assert!(error.is_disk_full(), "{error}");
            // SQLite ends the whole transaction for some statements, as for this one, and only the statement for others.
            let error = store.record(&event(project, LARGE)).await.unwrap_err();
            assert!(error.is_disk_full(), "{error}");
            store.fill_disk(false).await;
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
        let mut names: Vec<_> =
            store.branches(project, 0).await.unwrap().into_iter().map(|b| b.name.to_string()).collect();
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
        let mut turn = store.write.begin().await.unwrap();
        for (setting, wanted) in [("transaction_isolation", "read committed"), ("synchronous_commit", "on")] {
            let query = sqlx::query("SELECT current_setting($1) AS now").bind(setting);
            assert_eq!(query.fetch_one(&mut *turn).await.unwrap().text("now").unwrap(), wanted);
        }
        drop(turn);
        store.add_token(TokenKind::Slave, "oak", false, "hash").await.unwrap();
    }

    #[tokio::test]
    async fn whoever_goes_away_while_waiting_for_a_turn_does_not_keep_it() {
        let url = testkit::postgres::fresh_database();
        let (first, second) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
        let number = async |sql: &'static str, of: &mut AnyConnection| -> i64 {
            sqlx::query(sql).fetch_one(of).await.unwrap().num("n").unwrap()
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
        let mut names: Vec<_> =
            store.branches(project, 0).await.unwrap().into_iter().map(|b| b.name.to_string()).collect();
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
        let mut connection = store.write.pool().acquire().await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        drop(connection);
        store.add_token(TokenKind::Slave, "oak", false, "hash").await.unwrap();
        assert_eq!(store.tokens().await.unwrap().len(), 1, "others see it at once");
    }
}
