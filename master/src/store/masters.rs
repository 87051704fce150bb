//! The one master that works on a store.
//!
//! It is named by a random word of each start and its host, so that two that look alike are two. Nothing is written for a
//! master that another one has followed: every write begins by looking at who is named.

use super::epochs;
use super::row::Columns as _;
use super::{Reader, Result, Store, now};
use sqlx::any::AnyRow;
use std::sync::Arc;

/// Who works on a store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Master {
    /// Its name: random for each start.
    pub owner: String,
    /// Which file the store was when it said so: a copy is another store, on which nobody works yet.
    pub place: String,
    /// For people: where it runs.
    pub says: String,
    /// Grows each time that it says that it is alive.
    pub beat: i64,
    /// Until when it need not say so again, in milliseconds since 1970.
    pub until_ms: i64,
}

impl Master {
    /// The word of the epoch that begins with its start.
    pub fn epoch(&self) -> &str {
        self.owner.split('@').next().unwrap_or_default()
    }
}

fn read(row: &AnyRow) -> Result<Master> {
    Ok(Master {
        owner: row.text("owner")?,
        place: row.text("place")?,
        says: row.text("says")?,
        beat: row.num("beat")?,
        until_ms: row.num("until_ms")?,
    })
}

impl Reader {
    /// Who works on the store, or did and was killed; none when it was ended in good order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn master(&self) -> Result<Option<Master>> {
        let row =
            sqlx::query("SELECT * FROM master WHERE owner <> ''").fetch_optional(&mut *self.read().await?).await?;
        row.as_ref().map(read).transpose()
    }
}

impl Store {
    /// Takes the store for a master, or says that it is still alive. Gives the one that has it already, unless `dead` says
    /// of that one that it can't be at work.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take(&self, me: &Master, for_ms: i64, dead: impl Fn(&Master) -> bool) -> Result<Option<Master>> {
        self.write
            .turn_for_anybody(async |turn| {
                let row = sqlx::query("SELECT * FROM master").fetch_one(&mut **turn).await?;
                let holder = read(&row)?;
                let renews = holder.owner == me.owner;
                if !renews && !holder.owner.is_empty() && !dead(&holder) {
                    return Ok(Some(holder));
                }
                sqlx::query("UPDATE master SET owner = $1, place = $2, says = $3, beat = beat + 1, until_ms = $4")
                    .bind(&me.owner)
                    .bind(&me.place)
                    .bind(&me.says)
                    .bind(now().0 + for_ms)
                    .execute(&mut **turn)
                    .await?;
                if !renews {
                    epochs::begin(turn, me.epoch()).await?;
                    // Nothing that an earlier one still writes under its claims counts any more.
                    sqlx::query("UPDATE project SET fence = fence + 1, owner = NULL, owned_until_ms = 0")
                        .execute(&mut **turn)
                        .await?;
                }
                turn.keep();
                Ok(None)
            })
            .await
    }

    /// Gives the store up, so that the next master need not wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_back(&self, owner: &str) -> Result<()> {
        let query = sqlx::query("UPDATE master SET owner = '', until_ms = 0 WHERE owner = $1").bind(owner);
        self.write.execute(query).await.map(drop)
    }

    /// The same store, for a master that took it: what it writes once another one has it is refused.
    pub(crate) fn for_master(mut self, owner: Arc<str>) -> Self {
        self.write.set_master(owner);
        self
    }
}
