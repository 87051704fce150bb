//! Writing: every write is a transaction of its own, and a connection that is still inside one is never used again.
//!
//! SQLite rolls a transaction back by itself when the disk is full or fails. sqlx, which counts how deep it is in
//! transactions, isn't told: its next transactions would be savepoints that nobody ever commits, answered as if they
//! were durable. So each connection shows on its way back to the pool that it is outside of any transaction, or it is
//! closed and another one opened.

use super::{Result, Store, StoreError, now};
use crate::stepping::Points;
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions, AnyQueryResult, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};
use std::time::Duration;

/// What writes.
#[derive(Clone, Debug)]
pub(super) struct Writer(AnyPool, Points);

impl Writer {
    /// The one connection that writes to SQLite, which takes one writer at a time: the others wait their turn.
    pub(super) async fn sqlite(options: AnyConnectOptions) -> Result<Self> {
        let pool = sqlite_pool(1).after_release(|connection, _| Box::pin(is_outside(connection)));
        Ok(Self(pool.connect_with(options).await?, Points::default()))
    }

    /// Connections that read and write, of PostgreSQL.
    pub(super) async fn postgres(options: AnyConnectOptions) -> Result<Self> {
        let pool = AnyPoolOptions::new().max_connections(12).acquire_timeout(Duration::from_secs(10));
        // The server ends a transaction whose commit fails, and so does sqlx; what it still believes to be in one goes.
        let pool = pool.after_release(|connection, _| {
            let outside = !connection.is_in_transaction();
            Box::pin(async move { Ok(outside) })
        });
        Ok(Self(pool.connect_with(options).await?, Points::default()))
    }

    /// Has writes begin at these places.
    pub(super) fn set_points(&mut self, points: Points) {
        self.1 = points;
    }

    /// The places at which writes begin.
    pub(super) fn points(&self) -> &Points {
        &self.1
    }

    /// The connections.
    pub(super) fn pool(&self) -> &AnyPool {
        &self.0
    }

    /// Begins a transaction; nothing of it stays unless it is committed.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>> {
        // Before a connection is taken: who is stopped here holds up nobody.
        self.1.at("store.write").await;
        Ok(self.0.begin().await?)
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

/// Connections to SQLite.
pub(super) fn sqlite_pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(10)).after_connect(
        |connection, _| {
            Box::pin(async move {
                for pragma in [
                    "PRAGMA busy_timeout = 5000",
                    "PRAGMA journal_mode = WAL",
                    "PRAGMA synchronous = FULL",
                    "PRAGMA foreign_keys = ON",
                ] {
                    connection.execute(pragma).await?;
                }
                Ok(())
            })
        },
    )
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
            sqlx::query(pragma).execute(&self.write.0).await.unwrap();
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
    async fn a_connection_that_is_still_inside_of_a_transaction_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Store::sqlite_url(folder.path())).await.unwrap();
        let mut connection = store.write.0.acquire().await.unwrap();
        connection.execute("BEGIN").await.unwrap();
        drop(connection);
        store.add_token(TokenKind::Slave, "oak", false, "hash").await.unwrap();
        assert_eq!(store.tokens().await.unwrap().len(), 1, "others see it at once");
    }
}
