//! The files that steps keep: what they are, and which of them are still there. Their bytes are in `logs`.

use super::row::{Columns as _, readable, to_json};
use super::writer::Turn;
use super::{Reader, Result, Store};
use protocol::artifacts::Artifacts;
use protocol::{BuildId, UnixMs};
use sqlx::any::AnyRow;

/// The files that a step keeps, as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StepArtifacts {
    /// Its build.
    pub build: BuildId,
    /// The step's number.
    pub step: u32,
    /// The files.
    pub files: Artifacts,
    /// Whether they were deleted since.
    pub gone: bool,
}

pub(super) fn read(row: &AnyRow) -> Result<StepArtifacts> {
    Ok(StepArtifacts {
        build: row.num("build_id")?,
        step: row.count("number")?,
        files: row.json("files")?,
        gone: row.num::<i64>("gone")? != 0,
    })
}

/// A step whose files are still there, and when its build ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Aging {
    /// Its build.
    pub build: BuildId,
    /// The step's number.
    pub step: u32,
    /// When its build ended.
    pub ended: UnixMs,
    /// Bytes of its files.
    pub bytes: u64,
}

/// How much a step was said to keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ArtifactLength {
    /// The step's number.
    pub step: u32,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whether they were deleted since.
    pub gone: bool,
}

impl Reader {
    /// How much the steps of a build were said to keep.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn artifact_lengths(&self, build: BuildId) -> Result<Vec<ArtifactLength>> {
        let rows = sqlx::query("SELECT number, bytes, gone FROM artifacts WHERE build_id = $1")
            .bind(build.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
        let read = |row: &AnyRow| {
            let bytes = u64::try_from(row.num::<i64>("bytes")?).unwrap_or(0);
            Ok(ArtifactLength { step: row.count("number")?, bytes, gone: row.num::<i64>("gone")? != 0 })
        };
        // One that can't be read counts for nothing, and nothing is taken of its files.
        readable("artifacts", &rows, read)
    }

    /// What the steps of a build keep, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn artifacts(&self, build: BuildId) -> Result<Vec<StepArtifacts>> {
        let rows = sqlx::query("SELECT * FROM artifacts WHERE build_id = $1 ORDER BY number")
            .bind(build.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
        readable("artifacts", &rows, read)
    }

    /// The steps of builds that ended whose files are still there, of the oldest builds first, after `after`, at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn aging_artifacts(&self, after: (BuildId, u32), limit: u32) -> Result<Vec<Aging>> {
        let rows = sqlx::query(
            "SELECT a.build_id, a.number, a.bytes, b.finished_ms FROM artifacts a JOIN build b ON b.id = a.build_id
             WHERE a.gone = 0 AND b.finished_ms IS NOT NULL
                 AND (a.build_id > $1 OR a.build_id = $1 AND a.number > $2)
             ORDER BY a.build_id, a.number LIMIT $3",
        )
        .bind(after.0.0)
        .bind(i64::from(after.1))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.read().await?)
        .await?;
        let read = |row: &AnyRow| {
            let ended = UnixMs(row.num("finished_ms")?);
            let bytes = u64::try_from(row.num::<i64>("bytes")?).unwrap_or(0);
            Ok(Aging { build: row.num("build_id")?, step: row.count("number")?, ended, bytes })
        };
        readable("artifacts", &rows, read)
    }

    /// Bytes of all files that are still there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn artifact_bytes(&self) -> Result<u64> {
        // What PostgreSQL adds up is no integer of its kind.
        let sql = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM artifacts WHERE gone = 0";
        let row = sqlx::query(sql).fetch_one(&mut *self.read().await?).await?;
        Ok(u64::try_from(row.num::<i64>("bytes")?).unwrap_or(0))
    }
}

impl Store {
    /// Records that a step's files are kept no longer, before they are deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn let_artifacts_go(&self, build: BuildId, step: u32) -> Result<()> {
        self.write
            .turn(async |turn| {
                let sql = "UPDATE artifacts SET gone = 1 WHERE build_id = $1 AND number = $2";
                sqlx::query(sql).bind(build.0).bind(i64::from(step)).execute(&mut **turn).await?;
                turn.keep();
                Ok(())
            })
            .await
    }
}

/// Writes what a step keeps; of a build that was run anew, what it keeps now. What was said to be more before counts as that: so
/// much may be here of it.
pub(super) async fn keep(turn: &mut Turn, build: BuildId, step: u32, files: &Artifacts) -> Result<()> {
    let sql = "INSERT INTO artifacts (build_id, number, files, bytes) VALUES ($1, $2, $3, $4)
               ON CONFLICT (build_id, number) DO UPDATE SET files = excluded.files, gone = 0,
                   bytes = CASE WHEN excluded.bytes > artifacts.bytes THEN excluded.bytes ELSE artifacts.bytes END";
    let query = sqlx::query(sql).bind(build.0).bind(i64::from(step)).bind(to_json(files)?);
    let query = query.bind(i64::try_from(files.bytes()).unwrap_or(i64::MAX));
    query.execute(&mut **turn).await.map(drop).map_err(Into::into)
}
