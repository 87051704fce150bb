//! A copy of the embedded store for a backup, and whether a store is sound.

use super::row::Columns as _;
use super::{Reader, Result, Store, StoreError};
use super::{
    artifacts, branches, builds, candidates, entries, events, landings, mainlines, projects, revisions, slaves, steps,
    tokens,
};
use protocol::BuildId;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;
use std::path::Path;

/// Numbers of rows that are looked through in one statement.
const WINDOW: i64 = 1000;

/// A row whose values can't be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreadable {
    /// The table.
    pub table: &'static str,
    /// The row's number; of a step, its build's; of a landing's entry, the landing's.
    pub id: i64,
    /// What is wrong with it.
    pub why: String,
}

/// How long logs are, by their rows.
#[derive(Clone, Debug)]
pub struct LogLengths {
    /// The last of the builds whose logs these are.
    pub last: BuildId,
    /// The build, the step's number, and the log's bytes.
    pub logs: Vec<(BuildId, u32, u64)>,
}

impl Store {
    /// Writes a copy of the embedded store into a new file, all of it as of one moment, while others write on. The file is
    /// its owner's alone.
    ///
    /// # Errors
    /// When the file is there already or can't be written, or the store is no embedded one.
    pub async fn copy_to(&self, file: &Path) -> Result<()> {
        super::private(file).map_err(sqlx::Error::Io)?;
        // It only reads the store; but those that read are held from writing any file.
        let query = sqlx::query("VACUUM INTO $1").bind(file.to_string_lossy().into_owned());
        query.execute(self.write.pool()).await?;
        Ok(())
    }
}

impl Reader {
    /// What is wrong with the embedded store's own pages and indexes, in SQLite's words; nothing when it is sound.
    ///
    /// # Errors
    /// When it can't be read at all.
    pub async fn unsound(&self) -> Result<Vec<String>> {
        let rows = sqlx::query("PRAGMA integrity_check").fetch_all(&mut *self.read().await?).await?;
        let words: Result<Vec<String>> = rows.iter().map(|row| row.text("integrity_check")).collect();
        Ok(words?.into_iter().filter(|word| word != "ok").collect())
    }

    /// The rows that can't be read, of all tables that pages and loops read whole rows of.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unreadable(&self) -> Result<Vec<Unreadable>> {
        let mut found = Vec::new();
        self.unreadable_in("project", "SELECT * FROM project", "id", projects::read, &mut found).await?;
        self.unreadable_in("branch", &branches::whole_sql(""), "branch.id", branches::read, &mut found).await?;
        self.unreadable_in("revision", "SELECT * FROM revision", "id", revisions::read, &mut found).await?;
        self.unreadable_in("candidate", "SELECT * FROM candidate", "id", candidates::read, &mut found).await?;
        self.unreadable_in("build", "SELECT * FROM build", "id", builds::read, &mut found).await?;
        self.unreadable_in("step", "SELECT * FROM step", "build_id", steps::read, &mut found).await?;
        self.unreadable_in("artifacts", "SELECT * FROM artifacts", "build_id", artifacts::read, &mut found).await?;
        self.unreadable_in("queue_entry", "SELECT * FROM queue_entry", "id", entries::read, &mut found).await?;
        self.unreadable_in("landing", "SELECT * FROM landing", "id", landings::read, &mut found).await?;
        let members = "SELECT * FROM landing_entry";
        self.unreadable_in("landing_entry", members, "landing_id", landings::read_member, &mut found).await?;
        self.unreadable_in("mainline_at", "SELECT * FROM mainline_at", "id", mainlines::read, &mut found).await?;
        self.unreadable_in("slave", "SELECT * FROM slave", "id", slaves::read, &mut found).await?;
        self.unreadable_in("token", "SELECT * FROM token", "id", tokens::read, &mut found).await?;
        self.unreadable_in("event", "SELECT * FROM event", "id", events::read, &mut found).await?;
        Ok(found)
    }

    async fn unreadable_in<T>(
        &self,
        table: &'static str,
        select: &str,
        id: &'static str,
        read: impl Fn(&AnyRow) -> Result<T>,
        found: &mut Vec<Unreadable>,
    ) -> Result<()> {
        let last = sqlx::query(AssertSqlSafe(format!("SELECT COALESCE(MAX({id}), 0) AS last FROM {table}")));
        let last: i64 = last.fetch_one(&mut *self.read().await?).await?.num("last")?;
        let sql = format!("{select} WHERE {id} > $1 AND {id} <= $2 ORDER BY {id}");
        for from in (0..last).step_by(usize::try_from(WINDOW).unwrap_or(1)) {
            let query = sqlx::query(AssertSqlSafe(sql.as_str())).bind(from).bind(from + WINDOW);
            for row in query.fetch_all(&mut *self.read().await?).await? {
                match read(&row) {
                    Ok(_) => {}
                    Err(error @ StoreError::Corrupt { .. }) => {
                        let column = id.rsplit('.').next().unwrap_or(id);
                        found.push(Unreadable {
                            table,
                            id: row.num(column).unwrap_or_default(),
                            why: error.to_string(),
                        });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// How long the log of each step that ended is, by its row: of some builds, those above a number. None when there are no
    /// more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_lengths(&self, above: BuildId) -> Result<Option<LogLengths>> {
        let sql = "SELECT MAX(id) AS last FROM (SELECT id FROM build WHERE id > $1 ORDER BY id LIMIT $2) AS them";
        let last = sqlx::query(sql).bind(above.0).bind(WINDOW).fetch_one(&mut *self.read().await?).await?;
        let Some(last) = last.num_or_none::<BuildId>("last")? else { return Ok(None) };
        let rows = sqlx::query(
            "SELECT build_id, number, log_len FROM step WHERE build_id > $1 AND build_id <= $2
                AND log_len IS NOT NULL ORDER BY build_id, number",
        )
        .bind(above.0)
        .bind(last.0)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let read = |row| -> Result<(BuildId, u32, u64), StoreError> {
            let row: &sqlx::any::AnyRow = row;
            Ok((row.num("build_id")?, row.count("number")?, u64::try_from(row.num::<i64>("log_len")?).unwrap_or(0)))
        };
        Ok(Some(LogLengths { last, logs: rows.iter().map(read).collect::<Result<_>>()? }))
    }
}
