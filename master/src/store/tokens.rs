//! Tokens and sessions; only their hashes are stored.

use super::changes::Topic;
use super::row::{Columns as _, readable};
use super::{Reader, Result, Store, now};
use protocol::{TokenId, UnixMs};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum TokenKind {
    /// Everything: accept, steer, make tokens.
    Maintainer,
    /// Publish branches and withdraw its own.
    Publisher,
    /// Connect as one slave.
    Slave,
}

impl TokenKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maintainer => "maintainer",
            Self::Publisher => "publisher",
            Self::Slave => "slave",
        }
    }
}

impl TokenKind {
    /// Whether what such a token publishes may be built without isolation, `marked` as trusted or not.
    pub const fn is_trusted(self, marked: bool) -> bool {
        match self {
            Self::Maintainer => true,
            Self::Publisher => marked,
            Self::Slave => false,
        }
    }
}

impl std::str::FromStr for TokenKind {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Maintainer, Self::Publisher, Self::Slave]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| "a token's kind is `maintainer`, `publisher` or `slave`".to_owned())
    }
}

/// A token as stored.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its number.
    pub id: TokenId,
    /// What it is for.
    pub kind: TokenKind,
    /// Whose it is.
    pub name: String,
    /// Whether branches published with it are trusted.
    pub trusted: bool,
    /// When it was made.
    pub made: UnixMs,
    /// When it was last used, to the minute.
    pub used: Option<UnixMs>,
    /// When it was revoked.
    pub revoked: Option<UnixMs>,
}

/// What came of revoking a token.
#[derive(Clone, Debug)]
pub enum Revoked {
    /// It is.
    Now(TokenRow),
    /// It was before.
    Before(TokenRow),
    /// There is no such token.
    NotThere,
    /// It is the last by which tokens can be made.
    LastMaintainer,
}

pub(super) fn read(row: &AnyRow) -> Result<TokenRow> {
    Ok(TokenRow {
        id: row.num("id")?,
        kind: row.parsed("kind")?,
        name: row.text("name")?,
        trusted: row.flag("trusted")?,
        made: row.num("made_ms")?,
        used: row.num_or_none("used_ms")?,
        revoked: row.num_or_none("revoked_ms")?,
    })
}

/// Whether a token still counts, asked in the transaction that does what it allows.
pub(super) async fn counts(connection: &mut AnyConnection, token: TokenId) -> Result<bool> {
    let query = sqlx::query(
        "SELECT id FROM token WHERE id = $1
        AND revoked_ms IS NULL",
    )
    .bind(token.0);
    Ok(query.fetch_optional(connection).await?.is_some())
}

impl Reader {
    /// Whether a token still counts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token_counts(&self, token: TokenId) -> Result<bool> {
        let mut connection = self.read().await?;
        counts(&mut connection, token).await
    }
}

impl Store {
    /// Stores a token by its hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_token(&self, kind: TokenKind, name: &str, trusted: bool, hash: &str) -> Result<TokenRow> {
        self.write
            .turn(async |turn| {
                let query = sqlx::query(
                    "INSERT INTO token (kind, name, hash, trusted, made_ms) VALUES ($1, $2, $3,
                        $4, $5) RETURNING *",
                );
                let query = query.bind(kind.as_str()).bind(name).bind(hash).bind(i64::from(trusted)).bind(now().0);
                turn.keep();
                read(&query.fetch_one(&mut **turn).await?)
            })
            .await
    }

    /// The token with this hash, unless it was revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token_by_hash(&self, hash: &str) -> Result<Option<TokenRow>> {
        let row = sqlx::query(
            "SELECT * FROM token WHERE hash = $1
            AND revoked_ms IS NULL",
        )
        .bind(hash);
        let token = row.fetch_optional(&mut *self.read().await?).await?.as_ref().map(read).transpose()?;
        if let Some(token) = &token {
            self.note_use(token).await;
        }
        Ok(token)
    }

    /// Notes that a token was used; to the minute, so that reading costs no write. While nothing can be written, who is
    /// known is known all the same.
    async fn note_use(&self, token: &TokenRow) {
        let now = now();
        if token.used.is_none_or(|used| now.0 - used.0 > 60_000) {
            // Of many who use it at once, one notes it.
            let query = "UPDATE token SET used_ms = $2 WHERE id = $1
                AND (used_ms IS NULL OR $2 - used_ms > 60000)";
            let query = sqlx::query(query).bind(token.id.0).bind(now.0);
            self.note(query).await;
        }
    }

    /// Writes what nobody is answered for.
    async fn note(&self, query: sqlx::query::Query<'_, sqlx::Any, sqlx::any::AnyArguments>) {
        if let Err(error) = self.write.execute(query).await {
            tracing::warn!(%error, "the use of a token or session can't be noted");
        }
    }
}

impl Reader {
    /// The hash by which a token is stored, unless it was revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn token_hash(&self, id: TokenId) -> Result<Option<String>> {
        let row = sqlx::query(
            "SELECT hash FROM token WHERE id = $1
            AND revoked_ms IS NULL",
        )
        .bind(id.0);
        row.fetch_optional(&mut *self.read().await?).await?.map(|row| row.text("hash")).transpose()
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>> {
        let rows = sqlx::query("SELECT * FROM token ORDER BY id DESC").fetch_all(&mut *self.read().await?).await?;
        readable("token", &rows, read)
    }
}

impl Store {
    /// Revokes a token and ends its sessions. The last maintainer's stays: nobody could make another one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_token(&self, id: TokenId) -> Result<Revoked> {
        self.write
            .turn(async |turn| {
                let row = sqlx::query(
                    "SELECT * FROM token
                        WHERE id = $1",
                )
                .bind(id.0)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(token) = row.as_ref().map(read).transpose()? else { return Ok(Revoked::NotThere) };
                if token.revoked.is_some() {
                    return Ok(Revoked::Before(token));
                }
                if token.kind == TokenKind::Maintainer {
                    let others = "SELECT id FROM token WHERE kind = 'maintainer'
                            AND revoked_ms IS NULL AND id <> $1 LIMIT 1";
                    if sqlx::query(others).bind(id.0).fetch_optional(&mut **turn).await?.is_none() {
                        return Ok(Revoked::LastMaintainer);
                    }
                }
                let row = sqlx::query(
                    "UPDATE token SET revoked_ms = $2 WHERE id = $1
                        AND revoked_ms IS NULL RETURNING *",
                )
                .bind(id.0)
                .bind(now().0)
                .fetch_one(&mut **turn)
                .await?;
                sqlx::query(
                    "DELETE FROM session
                    WHERE token_id = $1",
                )
                .bind(id.0)
                .execute(&mut **turn)
                .await?;
                turn.keep();
                // What was accepted, and who is trusted, is asked again.
                turn.changed_for_all(Topic::Token, id);
                read(&row).map(Revoked::Now)
            })
            .await
    }

    /// Begins a session of a browser that showed a token; false when that was revoked meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_session(&self, hash: &str, token: TokenId) -> Result<bool> {
        let query = sqlx::query(
            "INSERT INTO session (hash, token_id, made_ms, used_ms)
             SELECT $1, id, $3, $3 FROM token WHERE id = $2 AND revoked_ms IS NULL",
        )
        .bind(hash)
        .bind(token.0)
        .bind(now().0);
        Ok(self.write.execute(query).await? > 0)
    }

    /// The token of a session that is neither older than `oldest` nor unused since `idle`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session(&self, hash: &str, oldest: UnixMs, idle: UnixMs) -> Result<Option<TokenRow>> {
        let row = sqlx::query(
            "SELECT token.*, session.used_ms AS session_used_ms
                FROM session JOIN token ON token.id = session.token_id
             WHERE session.hash = $1 AND session.made_ms >= $2 AND session.used_ms >= $3
                 AND token.revoked_ms IS NULL",
        )
        .bind(hash)
        .bind(oldest.0)
        .bind(idle.0)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let used: UnixMs = row.num("session_used_ms")?;
        if now().0 - used.0 > 60_000 {
            let query = "UPDATE session SET used_ms = $2 WHERE hash = $1 AND $2 - used_ms > 60000";
            let query = sqlx::query(query).bind(hash).bind(now().0);
            self.note(query).await;
        }
        read(&row).map(Some)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_session(&self, hash: &str) -> Result<()> {
        self.write.execute(sqlx::query("DELETE FROM session WHERE hash = $1").bind(hash)).await?;
        Ok(())
    }
}
