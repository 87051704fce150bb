//! Writing: one transaction after the other, also when several processes write to one database.
//!
//! A write reads what it depends on, and then writes. Were two of them at it at once, each would write by what was true
//! before the other: at PostgreSQL's own level of isolation they could, on SQLite they can't. So on both a write begins
//! by waiting for its turn, which lasts until it is committed: nothing that it read changes under its hands, none fails
//! because of another and has to be tried again, and events get their numbers in the order in which they can be seen
//! (who read number 8 will never miss a 7). Readers wait for nobody. What a caller read *before* the write is another
//! matter: a statement says what it expects of the row, and looks at whether it was so.
//!
//! A connection that is still inside a transaction is never used again. SQLite rolls a transaction back by itself when
//! the disk is full or fails. sqlx, which counts how deep it is in transactions, isn't told: its next transactions would
//! be savepoints that nobody ever commits, answered as if they were durable. So each connection shows on its way back to
//! the pool that it is outside of any transaction, or it is closed and another one opened.

use super::row::Columns as _;
use super::{Claim, Result, Store, StoreError, now, tokens};
use crate::points::Points;
use protocol::TokenId;
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions, AnyQueryResult, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};
use std::sync::Arc;
use std::time::Duration;

/// How long somebody waits for a connection: on a busy machine, to be answered late is better than not to be.
const PATIENCE: Duration = Duration::from_secs(20);

/// Has a commit answered when it is on the disk, also by a server that was told to be quicker than that.
const DURABLE: &str =
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// What writes: one connection, so that the writes of one process wait here, in the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pool: AnyPool,
    /// Begins a transaction when no other one is open.
    begin: &'static str,
    points: Points,
    /// The token of whoever it writes for: revoked, it writes no more.
    by: Option<TokenId>,
    /// The master whose writes these are, while no other one has followed it.
    master: Option<Arc<str>>,
}

impl Writer {
    /// The connection that writes to SQLite, which takes one writer at a time by itself.
    pub(super) async fn sqlite(options: AnyConnectOptions) -> Result<Self> {
        let pool = sqlite_pool(1, "PRAGMA query_only = OFF");
        let pool = pool.after_release(|connection, _| Box::pin(is_outside(connection)));
        Ok(Self {
            pool: pool.connect_with(options).await?,
            begin: "BEGIN IMMEDIATE",
            points: Points::default(),
            by: None,
            master: None,
        })
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
        Ok(Self { pool: pool.connect_with(options).await?, begin, points: Points::default(), by: None, master: None })
    }

    /// Has writes begin only while this master has the store.
    pub(super) fn set_master(&mut self, owner: Arc<str>) {
        self.master = Some(owner);
    }

    /// Has writes begin only while a token counts.
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
        &self.pool
    }

    /// Begins a transaction; nothing of it stays unless it is committed.
    ///
    /// # Errors
    /// When the database fails, another master has followed this one, or the token of whoever it is for was revoked.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>> {
        let mut transaction = self.begin_for_anybody().await?;
        if let Some(me) = &self.master {
            let owner = sqlx::query("SELECT owner FROM master").fetch_one(&mut *transaction).await?.text("owner")?;
            if *owner != **me {
                return Err(StoreError::Followed);
            }
        }
        if let Some(token) = self.by
            && !tokens::counts(&mut transaction, token).await?
        {
            return Err(StoreError::Revoked);
        }
        Ok(transaction)
    }

    /// The same whoever writes: only for who is about to take the store.
    pub(super) async fn begin_for_anybody(&self) -> Result<Transaction<'static, Any>> {
        // Before a connection is taken: who is stopped here holds up nobody.
        self.points.at("store.write").await;
        // Whoever asked may go away while it waits: begun all the same, it is rolled back. Of a beginning that is dropped
        // on its way nobody would know, and the database would hold the turn for it.
        let (pool, begin) = (self.pool.clone(), self.begin);
        let begun = tokio::spawn(async move { pool.begin_with(begin).await }).await;
        Ok(begun.unwrap_or(Err(sqlx::Error::WorkerCrashed))?)
    }

    /// The same under a claim: whoever writes what a claim guards begins here. Nobody can take the claim over before the
    /// transaction ends.
    ///
    /// # Errors
    /// When the claim is another's by now.
    pub(super) async fn begin_under(&self, claim: Claim) -> Result<Transaction<'static, Any>> {
        let mut transaction = self.begin().await?;
        let fence = sqlx::query("SELECT fence FROM project WHERE id = $1").bind(claim.project.0);
        let fence = fence.fetch_optional(&mut *transaction).await?.map(|row| row.num("fence")).transpose()?;
        if fence != Some(claim.fence) {
            return Err(StoreError::ClaimLost);
        }
        Ok(transaction)
    }

    /// One statement as one transaction.
    pub(super) async fn execute(&self, query: Query<'_, Any, AnyArguments>) -> Result<AnyQueryResult> {
        let mut transaction = self.begin().await?;
        let done = query.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done)
    }

    /// The same for a statement that gives a row. Outside of a transaction its row would be there before it is durable,
    /// and also when it never will be.
    pub(super) async fn fetch_optional(&self, query: Query<'_, Any, AnyArguments>) -> Result<Option<AnyRow>> {
        let mut transaction = self.begin().await?;
        let row = query.fetch_optional(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// The same for one that always gives a row.
    pub(super) async fn fetch_one(&self, query: Query<'_, Any, AnyArguments>) -> Result<AnyRow> {
        Ok(self.fetch_optional(query).await?.ok_or(sqlx::Error::RowNotFound)?)
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
        let query = sqlx::query("UPDATE health SET proved_ms = $1").bind(now().0);
        self.write.execute(query).await.map(drop)
    }
}

impl StoreError {
    /// Whether the disk below the database is full, as far as the database says so.
    pub fn is_disk_full(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
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
            sqlx::query(pragma).execute(&self.write.pool).await.unwrap();
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
        let mut transaction = store.write.begin().await.unwrap();
        for (setting, wanted) in [("transaction_isolation", "read committed"), ("synchronous_commit", "on")] {
            let query = sqlx::query("SELECT current_setting($1) AS now").bind(setting);
            assert_eq!(query.fetch_one(&mut *transaction).await.unwrap().text("now").unwrap(), wanted);
        }
        drop(transaction);
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

    #[tokio::test]
    async fn a_connection_that_is_still_inside_of_a_transaction_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Store::sqlite_url(folder.path())).await.unwrap();
        let mut connection = store.write.pool.acquire().await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        drop(connection);
        store.add_token(TokenKind::Slave, "oak", false, "hash").await.unwrap();
        assert_eq!(store.tokens().await.unwrap().len(), 1, "others see it at once");
    }
}
