//! Steps of builds.

use super::row::{Columns as _, readable};
use super::{Reader, Result, Store};
use protocol::tested::TestReport;
use protocol::{BuildId, BuildResult, UnixMs};
use sqlx::any::AnyRow;

/// A step as stored.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its build.
    pub build: BuildId,
    /// Its number; 0 is bb's own `fetch`.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub result: Option<BuildResult>,
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// Why it ended so.
    pub reason: String,
    /// The program that the slave lacks, if it failed for that.
    pub lacks: Option<String>,
    /// The summary it published.
    pub summary: String,
    /// The links it published.
    pub links: Vec<(String, String)>,
    /// What its JUnit files say, where its recipe names some.
    pub tests: Option<TestReport>,
    /// Its log's whole length, once it ended.
    pub log_len: Option<i64>,
    /// How long it ran, in milliseconds.
    pub ran_ms: Option<i64>,
    /// When it began, by the slave's clock.
    pub started: UnixMs,
}

pub(super) fn read(row: &AnyRow) -> Result<Step> {
    Ok(Step {
        build: row.num("build_id")?,
        number: row.count("number")?,
        name: row.text("name")?,
        result: row.parsed_or_none("result")?,
        exit_code: row.num_or_none("exit_code")?,
        reason: row.text("reason")?,
        lacks: row.text_or_none("lacks")?,
        summary: row.text("summary")?,
        links: row.json("links")?,
        tests: if row.text("tests")?.is_empty() { None } else { Some(row.json("tests")?) },
        log_len: row.num_or_none("log_len")?,
        ran_ms: row.num_or_none("ran_ms")?,
        started: row.num("started_ms")?,
    })
}

impl Reader {
    /// The steps of a build that began, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn steps(&self, build: BuildId) -> Result<Vec<Step>> {
        let rows = sqlx::query("SELECT * FROM step WHERE build_id = $1 ORDER BY number")
            .bind(build.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
        readable("step", &rows, read)
    }
}

/// A step's log that is still to be packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unpacked {
    /// Its build, which ended.
    pub build: BuildId,
    /// The step's number.
    pub step: u32,
    /// How many bytes it has when all of it is here.
    pub len: u64,
}

impl Reader {
    /// Logs of ended builds that are still to be packed, at most `limit`, in order; those behind the step `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unpacked_logs(&self, after: (BuildId, u32), limit: u32) -> Result<Vec<Unpacked>> {
        let rows = sqlx::query(
            "SELECT s.build_id, s.number, s.log_len FROM step s JOIN build b ON b.id = s.build_id
             WHERE s.packed = 0 AND s.log_len >= 65536 AND (s.build_id, s.number) > ($1, $2) AND b.state = 'finished'
             ORDER BY s.build_id, s.number LIMIT $3",
        )
        .bind(after.0.0)
        .bind(i64::from(after.1))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("step", &rows, |row| {
            let len = u64::try_from(row.num::<i64>("log_len")?).unwrap_or(0);
            Ok(Unpacked { build: row.num("build_id")?, step: row.count("number")?, len })
        })
    }
}

impl Store {
    /// Records that logs are packed. Nothing that anybody is shown changes by it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn packed_logs(&self, packed: &[Unpacked]) -> Result<()> {
        self.write
            .turn(async |turn| {
                for log in packed {
                    sqlx::query("UPDATE step SET packed = 1 WHERE build_id = $1 AND number = $2")
                        .bind(log.build.0)
                        .bind(i64::from(log.step))
                        .execute(&mut **turn)
                        .await?;
                }
                turn.keep();
                Ok(())
            })
            .await
    }
}
