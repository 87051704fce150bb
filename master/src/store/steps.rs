//! Steps of builds.

use super::row::{Columns as _, readable};
use super::{Reader, Result};
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
