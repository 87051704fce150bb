//! A copy of the embedded store for a backup, and whether it is sound.

use super::row::Columns as _;
use super::{Reader, Result, Store, StoreError};
use protocol::BuildId;
use std::path::Path;

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

    /// How long the log of each step that ended is, by its row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_lengths(&self) -> Result<Vec<(BuildId, u32, u64)>> {
        let rows = sqlx::query(
            "SELECT build_id, number, log_len FROM step WHERE log_len IS NOT NULL ORDER BY build_id, number",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        let read = |row| -> Result<(BuildId, u32, u64), StoreError> {
            let row: &sqlx::any::AnyRow = row;
            Ok((row.num("build_id")?, row.count("number")?, u64::try_from(row.num::<i64>("log_len")?).unwrap_or(0)))
        };
        rows.iter().map(read).collect()
    }
}
