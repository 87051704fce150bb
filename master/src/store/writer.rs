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
//! answered then, too: what it read may be another's that is not durable yet. A transaction and those who are answered when
//! it is committed are one value ([`Group`]): wherever it ends without a commit, all of them learn that they are not.
//!
//! A transaction is begun and ended by statements of this file alone: sqlx counts how deep it is in transactions, and is not
//! told when the database ends one by itself, as SQLite does when the disk is full or fails. A connection whose transaction
//! did not end as it was told to is closed, and another one opened.

use super::changes::{Change, Changes, Topic};
use super::row::Columns as _;
use super::{Claim, Result, Store, StoreError, now};
use crate::points::Points;
use protocol::{BranchId, BuildId, ProjectId, TokenId};
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Executor as _};
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
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

/// What is done at the end of each transaction, of which these are the changes.
pub(super) type BeforeCommit =
    for<'c> fn(&'c mut AnyConnection, &'c [Change]) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'c>>;

/// Those who wait for their turn, and what is handed on to them.
#[derive(Debug)]
struct Line {
    /// Where the connection comes from.
    pool: AnyPool,
    /// Begins a transaction when no other one is open, and commits it.
    begin: &'static str,
    before_commit: BeforeCommit,
    commit: &'static str,
    /// Whoever has this writes.
    place: Arc<Mutex<Place>>,
    /// How many wait for their turn.
    waiting: AtomicUsize,
    /// How many commits were made.
    commits: AtomicU64,
    changes: Changes,
}

/// What is handed on from turn to turn.
#[derive(Debug, Default)]
struct Place {
    /// The transaction of those before, and who waits for its commit.
    group: Option<Group>,
    /// The connection, outside of any transaction.
    idle: Option<PoolConnection<Any>>,
}

/// Whether a turn is durable.
type Answer = Result<(), Arc<sqlx::Error>>;

/// The turns that are committed together. Dropped, its connection is closed, so that it is rolled back, and all who wait for
/// it learn that.
#[derive(Debug)]
struct Group {
    /// Inside a transaction.
    connection: PoolConnection<Any>,
    /// Those who are answered when it is committed.
    members: Vec<oneshot::Sender<Answer>>,
    changes: Vec<Change>,
}

impl Writer {
    /// The connection that writes to SQLite, which takes one writer at a time by itself.
    pub(super) async fn sqlite(options: AnyConnectOptions, before_commit: BeforeCommit) -> Result<Self> {
        // The turns' one, and another for a copy, which holds up nobody who writes.
        let pool = sqlite_pool(2, "PRAGMA query_only = OFF").connect_with(options).await?;
        Ok(Self::new(pool, "BEGIN IMMEDIATE", before_commit, "COMMIT"))
    }

    /// The connection that writes to PostgreSQL. The turn is a lock of the database's, given up with the transaction; its
    /// number is bb's own. Each statement after it sees what was committed before the turn came: at the other levels of
    /// isolation it would see what was so when the wait began. To commit a transaction in which a statement failed is to roll
    /// it back, and no error; to ask it anything is one.
    pub(super) async fn postgres(options: AnyConnectOptions, before_commit: BeforeCommit) -> Result<Self> {
        let pool = postgres_pool(1, DURABLE).connect_with(options).await?;
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(7083001)";
        Ok(Self::new(pool, begin, before_commit, "SELECT 1; COMMIT"))
    }

    fn new(pool: AnyPool, begin: &'static str, before_commit: BeforeCommit, commit: &'static str) -> Self {
        let (waiting, commits) = (AtomicUsize::new(0), AtomicU64::new(0));
        let line = Arc::new(Line {
            pool,
            begin,
            before_commit,
            commit,
            place: Arc::default(),
            waiting,
            commits,
            changes: Changes::default(),
        });
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

    /// Where its connection comes from: for what is no turn, and needs one that may write files.
    pub(super) fn pool(&self) -> &AnyPool {
        &self.line.pool
    }

    /// Closes its connection, once the turn of this moment is over.
    pub(super) async fn close(&self) {
        drop(self.line.place.lock().await.idle.take());
        self.line.pool.close().await;
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
            self.may_write(turn, None).await?;
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
        self.turn_for_anybody(async |turn| {
            self.may_write(turn, Some(claim)).await?;
            work(turn).await
        })
        .await
    }

    /// The same whoever writes: only for who is about to take the store.
    pub(super) async fn turn_for_anybody<T>(&self, work: impl AsyncFnOnce(&mut Turn) -> Result<T>) -> Result<T> {
        let mut open = self.begin().await?;
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

    /// Whether this master has the store, the token counts and the claim is held, in one statement: each write begins by it.
    async fn may_write(&self, turn: &mut Turn, claim: Option<Claim>) -> Result<()> {
        if self.master.is_none() && self.by.is_none() && claim.is_none() {
            return Ok(());
        }
        let asked = sqlx::query(
            "SELECT (SELECT owner FROM master) AS owner,
                 CASE WHEN EXISTS (SELECT 1 FROM token WHERE id = $1 AND revoked_ms IS NULL) THEN 1 ELSE 0 END AS counts,
                 (SELECT fence FROM project WHERE id = $2) AS fence",
        );
        let asked = asked.bind(self.by.map_or(0, |token| token.0)).bind(claim.map_or(0, |claim| claim.project.0));
        let found = asked.fetch_one(&mut **turn).await?;
        if let Some(me) = self.master.as_deref()
            && found.text_or_none("owner")?.as_deref() != Some(me)
        {
            return Err(StoreError::Followed);
        }
        if self.by.is_some() && !found.flag("counts")? {
            return Err(StoreError::Revoked);
        }
        match claim {
            Some(claim) if found.num_or_none("fence")? != Some(claim.fence) => Err(StoreError::ClaimLost),
            _ => Ok(()),
        }
    }

    /// Waits for a turn.
    async fn begin(&self) -> Result<Open> {
        // Before a turn is taken: who is stopped here holds up nobody.
        self.points.at("store.write").await;
        let mut waits = Waits::begin(&self.line);
        let place =
            timeout(PATIENCE, self.line.place.clone().lock_owned()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        waits.is_over();
        // Whoever asked may go away while it begins: begun all the same, it is ended as one that leaves in the middle. Of a
        // beginning that is dropped on its way nobody would know, and the database would hold the turn for it.
        let (line, points) = (self.line.clone(), self.points.clone());
        let begun = tokio::spawn(async move {
            points.at_until_killed("store.turn").await;
            line.begin(place).await
        });
        begun.await.unwrap_or_else(|_| Err(gone().into()))
    }
}

/// The error of whoever was not answered.
fn gone() -> sqlx::Error {
    io::Error::other("the transaction of this write ended before it was committed").into()
}

impl Line {
    async fn begin(self: Arc<Self>, mut place: OwnedMutexGuard<Place>) -> Result<Open> {
        let handed_on = place.group.take();
        let savepoint = handed_on.is_some();
        let group = match handed_on {
            Some(mut group) => match group.connection.execute("SAVEPOINT turn").await {
                Ok(_) => group,
                Err(error) => return Err(StoreError::NotCommitted(group.fail(error))),
            },
            None => Group { connection: self.begun(&mut place).await?, members: Vec::new(), changes: Vec::new() },
        };
        Ok(Open(Some(Turn { line: self, place, group, savepoint, kept: false, changes: Vec::new() })))
    }

    /// A connection in which a transaction was begun.
    async fn begun(&self, place: &mut Place) -> sqlx::Result<PoolConnection<Any>> {
        if let Some(mut idle) = place.idle.take() {
            match idle.execute(self.begin).await {
                Ok(_) => return Ok(idle),
                Err(error) if waited_too_long(&error) => return Err(error),
                // It was lost while nobody used it, or is not what it should be.
                Err(error) => tracing::warn!(%error, "the connection that writes to the store is opened anew"),
            }
        }
        let mut connection = self.pool.acquire().await?;
        // It is kept from turn to turn, or not used again.
        connection.close_on_drop();
        connection.execute(self.begin).await?;
        Ok(connection)
    }

    /// Hands a transaction on to the next who waits, or commits it if there is none.
    async fn hand_on(&self, mut place: OwnedMutexGuard<Place>, group: Group) {
        if group.members.len() < GROUP && self.waiting.load(Ordering::SeqCst) > 0 {
            place.group = Some(group);
            return;
        }
        let Group { mut connection, members, changes } = group;
        let committed = timeout(PATIENCE, async {
            // What fails of this fails the commit: then nothing of all of them stays.
            (self.before_commit)(&mut connection, &changes).await.map_err(|error| match error {
                StoreError::Database(error) => error,
                error => io::Error::other(error.to_string()).into(),
            })?;
            connection.execute(self.commit).await
        });
        let committed = committed.await;
        let silent = || Err(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer").into());
        let committed = committed.unwrap_or_else(|_| silent()).map(drop).map_err(Arc::new);
        if committed.is_ok() {
            self.commits.fetch_add(1, Ordering::SeqCst);
            place.idle = Some(connection);
        }
        // Also if it failed: the database may have committed it, and only its answer be lost.
        self.changes.say(&changes);
        answer(members, &committed);
    }
}

impl Group {
    /// Ends it where the database has ended it by itself.
    fn fail(self, error: sqlx::Error) -> Arc<sqlx::Error> {
        let error = Arc::new(error);
        answer(self.members, &Err(error.clone()));
        error
    }
}

fn answer(members: impl IntoIterator<Item = oneshot::Sender<Answer>>, answer: &Answer) {
    for member in members {
        // Who does not wait any more is not told.
        let _ = member.send(answer.clone());
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
                let mut place = line.place.clone().lock_owned().await;
                if let Some(group) = place.group.take() {
                    line.hand_on(place, group).await;
                }
            });
        }
    }
}

/// One turn to write: a connection inside a transaction, while all others wait.
#[derive(Debug)]
pub(super) struct Turn {
    line: Arc<Line>,
    place: OwnedMutexGuard<Place>,
    group: Group,
    /// Whether others have written in the same transaction, so that this turn is a savepoint in it.
    savepoint: bool,
    kept: bool,
    changes: Vec<Change>,
}

impl Deref for Turn {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.group.connection
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.group.connection
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

    /// The same of a build; what is kept of its branch changes with it.
    pub(super) fn changed_build(&mut self, project: ProjectId, branch: BranchId, build: BuildId) {
        self.changed(project, Topic::Build, build);
        self.changed(project, Topic::Kept, branch);
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
        let Self { line, mut place, mut group, savepoint, changes, .. } = self;
        let undo = "ROLLBACK TO SAVEPOINT turn; RELEASE SAVEPOINT turn";
        let settled = match (savepoint, keep) {
            (true, true) => group.connection.execute("RELEASE SAVEPOINT turn").await.map(drop),
            (true, false) => group.connection.execute(undo).await.map(drop),
            (false, true) => Ok(()),
            (false, false) => {
                // Nobody else has written in it.
                if group.connection.execute("ROLLBACK").await.is_ok() {
                    place.idle = Some(group.connection);
                }
                answer(sender, &Ok(()));
                return;
            }
        };
        group.members.extend(sender);
        if keep {
            group.changes.extend(changes);
        }
        match settled {
            Ok(()) => line.hand_on(place, group).await,
            Err(error) => drop(group.fail(error)),
        }
    }
}

/// A turn. Dropped before it has ended, whoever took it went away, and nothing of it stays.
#[derive(Debug)]
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

/// Whether a turn did not come because others had it: SQLite's SQLITE_BUSY, PostgreSQL's lock_not_available.
fn waited_too_long(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "5" || code == "55P03")
}

fn sqlite_pool(connections: u32, what: &'static str) -> AnyPoolOptions {
    let settings = [
        "PRAGMA busy_timeout = 5000",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        what,
    ];
    // It is in this process: nobody ends its sessions.
    pool(connections, settings).test_before_acquire(false)
}

/// A process that hangs in the middle of its turn loses it, as a master its claims. The server may end any session at any moment,
/// so each is asked whether it is there before it is used.
fn postgres_pool(connections: u32, what: &'static str) -> AnyPoolOptions {
    let settings = ["SET lock_timeout = '10s'", "SET idle_in_transaction_session_timeout = '30s'", what];
    pool(connections, settings).test_before_acquire(true)
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
#[path = "writer_tests.rs"]
mod tests;
