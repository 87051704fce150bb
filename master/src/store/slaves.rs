//! Slaves as they were last heard of.

use super::changes::Topic;
use super::row::{Columns as _, readable, to_json};
use super::{Reader, Result, Store, now};
use protocol::wire::{Availability, Hello, Isolation, Voice, Word};
use protocol::{SlaveId, SlaveName, TokenId, UnixMs};
use sqlx::Any;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;

/// A slave as stored.
#[derive(Clone, Debug)]
pub struct SlaveRow {
    /// Its number.
    pub id: SlaveId,
    /// Its name.
    pub name: SlaveName,
    /// What it can do.
    pub labels: Vec<String>,
    /// Builds it runs at once.
    pub slots: u32,
    /// The isolation it proved.
    pub isolation: Isolation,
    /// What its self-test found.
    pub isolation_notes: Vec<String>,
    /// The machine.
    pub machine: String,
    /// Its bb.
    pub bb: String,
    /// Its own word.
    pub said: Availability,
    /// Why.
    pub said_reason: String,
    /// The same in full.
    pub said_word: Word,
    /// The admin's word, as it was given; it may have ended: [`SlaveRow::admin_at`].
    pub admin: Availability,
    /// The same in full.
    pub admin_word: Word,
    /// Whether it is connected, as far as was recorded.
    pub connected: bool,
    /// Since when it is, or is not.
    pub since: UnixMs,
    /// When it was last given a build; 0 for never.
    pub used: UnixMs,
    /// The number of its newest connection.
    pub connection: i64,
}

impl SlaveRow {
    /// The admin's word, if it holds at that time; else that there is none.
    pub fn admin_at(&self, now: UnixMs) -> Word {
        if self.admin_word.holds(now) { self.admin_word.clone() } else { Word::nobody(now) }
    }

    /// The stricter of its own word and the admin's.
    pub fn availability(&self, now: UnixMs) -> Availability {
        gate::availability::effective(self.said, self.admin_at(now).says)
    }
}

/// A word in full; of a row that an earlier version wrote, what that knew.
fn word(row: &AnyRow, column: &str, says: Availability, voice: Voice, reason: String) -> Result<Word> {
    if row.text(column)?.is_empty() {
        return Ok(Word { says, voice, reason, ..Word::nobody(UnixMs(0)) });
    }
    Ok(Word { says, ..row.json(column)? })
}

pub(super) fn read(row: &AnyRow) -> Result<SlaveRow> {
    let (said, admin): (Availability, Availability) = (row.json("said")?, row.json("admin")?);
    let by = if admin == Availability::Eager { Voice::Nobody } else { Voice::Admin };
    let said_reason = row.text("said_reason")?;
    Ok(SlaveRow {
        id: row.num("id")?,
        name: row.parsed("name")?,
        labels: row.json("labels")?,
        slots: row.count("slots")?,
        isolation: row.json("isolation")?,
        isolation_notes: row.json("isolation_notes")?,
        machine: row.text("machine")?,
        bb: row.text("bb")?,
        said_word: word(row, "said_word", said, Voice::Nobody, said_reason.clone())?,
        admin_word: word(row, "admin_word", admin, by, String::new())?,
        said,
        said_reason,
        admin,
        connected: row.flag("connected")?,
        since: row.num("since_ms")?,
        used: row.num("used_ms")?,
        connection: row.num("connection")?,
    })
}

impl Store {
    /// Records that a slave connected, and what it said of itself; none when its token was revoked meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn slave_connected(&self, token: TokenId, hello: &Hello) -> Result<Option<SlaveRow>> {
        let of_old = || Word { says: hello.availability, ..Word::nobody(now()) };
        let word = hello.word.clone().unwrap_or_else(of_old);
        let query = sqlx::query(
            "INSERT INTO slave (name, token_id, labels, slots, isolation, isolation_notes,
                machine, bb, said, said_reason, said_word, admin, connected, since_ms, connection)
             SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $12, $13, $10, 1, $11, 1 FROM token
                 WHERE id = $2 AND revoked_ms IS NULL
             ON CONFLICT (name) DO UPDATE SET token_id = excluded.token_id,
                 labels = excluded.labels, slots = excluded.slots,
             isolation = excluded.isolation, isolation_notes = excluded.isolation_notes, machine = excluded.machine,
             bb = excluded.bb, said = excluded.said, said_reason = excluded.said_reason, said_word = excluded.said_word,
             connected = 1, since_ms = excluded.since_ms,
             connection = slave.connection + 1 RETURNING *",
        )
        .bind(hello.name.as_str())
        .bind(token.0)
        .bind(to_json(&hello.labels)?)
        .bind(i64::from(hello.slots))
        .bind(to_json(&hello.isolation)?)
        .bind(to_json(&hello.isolation_notes)?)
        .bind(&hello.machine)
        .bind(&hello.bb)
        .bind(to_json(&hello.availability)?)
        .bind(to_json(&Availability::Eager)?)
        .bind(now().0)
        .bind(&word.reason)
        .bind(to_json(&word)?);
        self.write_slave(query).await
    }

    /// Writes a slave's row and wakes who waits for it; none when there was nothing to write.
    async fn write_slave(&self, query: Query<'_, Any, AnyArguments>) -> Result<Option<SlaveRow>> {
        self.write
            .turn(async |turn| {
                let row = query.fetch_optional(&mut **turn).await?;
                let slave = row.as_ref().map(read).transpose()?;
                if let Some(slave) = &slave {
                    turn.keep();
                    turn.changed_for_all(Topic::Slave, slave.id);
                }
                Ok(slave)
            })
            .await
    }

    /// Records that a connection of a slave ended; nothing if it has a newer one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn slave_gone(&self, slave: &SlaveRow) -> Result<()> {
        let query = "UPDATE slave SET connected = 0, since_ms = $3 WHERE id = $1
            AND connection = $2 AND connected = 1
                     RETURNING *";
        let query = sqlx::query(query).bind(slave.id.0).bind(slave.connection).bind(now().0);
        self.write_slave(query).await.map(drop)
    }

    /// Records at a master's start that none of its slaves is connected yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn no_slave_connected(&self) -> Result<()> {
        self.write
            .execute(
                sqlx::query(
                    "UPDATE slave SET connected = 0, since_ms = $1
                WHERE connected = 1",
                )
                .bind(now().0),
            )
            .await?;
        Ok(())
    }

    /// Records a slave's own word on its availability, said by its newest connection.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn slave_said(&self, slave: &SlaveRow, word: &Word) -> Result<()> {
        let query = sqlx::query(
            "UPDATE slave SET said = $3, said_reason = $4, said_word = $5 WHERE id = $1 AND connection = $2
                AND (said <> $3 OR said_reason <> $4 OR said_word <> $5)
             RETURNING *",
        )
        .bind(slave.id.0)
        .bind(slave.connection)
        .bind(to_json(&word.says)?)
        .bind(&word.reason)
        .bind(to_json(word)?);
        self.write_slave(query).await.map(drop)
    }

    /// Records the admin's word on a slave's availability; none when there is no such slave.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn slave_admin(&self, name: &SlaveName, word: &Word) -> Result<Option<SlaveRow>> {
        let query = sqlx::query("UPDATE slave SET admin = $2, admin_word = $3 WHERE name = $1 RETURNING *")
            .bind(name.as_str())
            .bind(to_json(&word.says)?)
            .bind(to_json(word)?);
        self.write_slave(query).await
    }
}

impl Reader {
    /// All slaves, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn slaves(&self) -> Result<Vec<SlaveRow>> {
        let rows = sqlx::query("SELECT * FROM slave ORDER BY name").fetch_all(&mut *self.read().await?).await?;
        readable("slave", &rows, read)
    }
}
