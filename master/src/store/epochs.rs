//! Epochs: by which history a number was seen. A store that is restored from a backup goes back, and gives numbers out again
//! that others have seen already; each start of a master begins an epoch, so that these are told from one another.

use super::row::Columns as _;
use super::writer::Turn;
use super::{Reader, Result};
use protocol::EventId;
use protocol::api::EventMark;
use sha2::{Digest as _, Sha256};

/// Begins an epoch: all events so far are before it.
pub(super) async fn begin(turn: &mut Turn, word: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO epoch (word, after_event, fences) VALUES ($1, (SELECT COALESCE(MAX(id), 0) FROM event), $2)
         ON CONFLICT (word) DO NOTHING",
    )
    .bind(word)
    .bind(fences(word))
    .execute(&mut **turn)
    .await?;
    Ok(())
}

/// Where the fencing numbers of an epoch begin: far from those of any other, and small enough for every reader of JSON.
fn fences(word: &str) -> i64 {
    let hash = Sha256::digest(word.as_bytes());
    hash.iter().take(5).fold(0, |number, byte| (number << 8) | i64::from(*byte)) << 10
}

impl Reader {
    /// From where a follower goes on that has seen all up to a mark; none when that is not of this store's history: what it
    /// saw may be undone, and what it did not see may have a number that it has seen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(&self, mark: &EventMark) -> Result<Option<EventId>> {
        if mark.event.0 == 0 {
            return Ok(Some(mark.event));
        }
        // An epoch ends with the next one's begin: a store that was restored has none of what came after its backup.
        let row = sqlx::query(
            "SELECT COALESCE((SELECT MIN(after_event) FROM epoch later WHERE later.id > epoch.id),
                             (SELECT MAX(id) FROM event), 0) AS ended FROM epoch WHERE word = $1",
        )
        .bind(&mark.epoch)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        let ended: Option<EventId> = row.map(|row| row.num("ended")).transpose()?;
        Ok(ended.filter(|ended| mark.event <= *ended).map(|_| mark.event))
    }
}
