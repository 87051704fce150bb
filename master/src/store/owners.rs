//! Whose a registered branch is: who has shown that a repository is theirs, has the rights over what nobody stands behind.
//!
//! The rule stands in [`FREE`], and nowhere else. Several people may push to one repository, and each of them can show it. So
//! what one of them published with a token stays theirs; what was registered without one, or by one that was revoked, has
//! nobody who could lose it.

use super::branches::by_id;
use super::changes::Topic;
use super::events::{self, Happening};
use super::publishing;
use super::registrations::{self, Origin};
use super::row::Columns as _;
use super::{Branch, BranchState, NewBranch, Reader, Result, Store, now};
use gate::registrations::TooMany;
use protocol::api::Look;
use protocol::{BranchId, TokenId};
use sqlx::AnyConnection;

/// Who has shown that a repository is theirs.
#[derive(Clone, Debug)]
pub struct Claimer {
    /// The name.
    pub name: String,
    /// The token.
    pub token: TokenId,
    /// Whether branches that they publish are trusted.
    pub trusted: bool,
}

/// What came of claiming the branches of a repository.
#[derive(Clone, Debug)]
pub enum Claimed {
    /// The named one is the claimer's, and so many are that were not before.
    Now(usize),
    /// It stays whose it is.
    Kept(Kept),
    /// The claimer would have too many.
    TooMany(TooMany),
}

/// Why a branch stays whose it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// It was published with a token that counts, by somebody whose source works or who has shown the repository, too.
    Published,
    /// It is accepted.
    Accepted,
    /// It has ended.
    Ended,
}

/// What came of taking a name.
#[derive(Clone, Debug)]
pub enum Taken {
    /// It is this branch's now.
    Now(Branch),
    /// The branch that has it has not ended.
    Live,
    /// Something was fetched under it, so it stays.
    Fetched,
    /// That source is live already, under another name.
    Published(Branch),
    /// The claimer has too many, live or in this hour.
    TooMany(TooMany),
}

/// Which branches whoever has shown their repository ($1 and $2: project and URL) gets: live ones that are not accepted, not
/// theirs ($3: the token) already, and that nobody stands behind: registered without a token, or by one that was revoked; or
/// of which nothing ever came, by somebody who did not show the repository.
const FREE: &str = "project_id = $1 AND url = $2 AND state = 'live' AND (token_id IS NULL OR token_id <> $3)
    AND NOT EXISTS (SELECT 1 FROM queue_entry WHERE branch_id = branch.id AND state = 'queued')
    AND (token_id IS NULL OR EXISTS (SELECT 1 FROM token WHERE token.id = branch.token_id AND revoked_ms IS NOT NULL)
         OR (head IS NULL AND look_failures > 0 AND NOT EXISTS (
             SELECT 1 FROM proof WHERE proof.token_id = branch.token_id AND proof.url = branch.url)))";

impl Reader {
    /// Why a branch would stay whose it is, whatever the bearer of a token shows; none when it would be theirs, or is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kept_from(&self, branch: &Branch, token: TokenId) -> Result<Option<Kept>> {
        let mut connection = self.read().await?;
        let sql = format!("SELECT id FROM branch WHERE {FREE} AND id = $4");
        let free = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(branch.project.0).bind(&branch.url).bind(token.0);
        if free.bind(branch.id.0).fetch_optional(&mut *connection).await?.is_some() {
            return Ok(None);
        }
        why_kept(&mut connection, branch.id, token).await
    }
}

impl Store {
    /// Gives the live branches of a branch's repository that nobody stands behind, and itself, to who has shown that this is
    /// theirs, as far as `origin` lets them have so many. What is accepted stays as it was accepted, and only the branch that
    /// was named is trusted by its new publisher's word: others may push to the repository too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_repository(&self, branch: &Branch, claimer: &Claimer, origin: &Origin) -> Result<Claimed> {
        self.write
            .turn(async |turn| {
                let sql = format!(
                    "UPDATE branch SET publisher = $4, token_id = $3,
                        trusted = CASE WHEN id = $6 THEN $5 ELSE 0 END, address = ''
                     WHERE {FREE} RETURNING id"
                );
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(branch.project.0)
                    .bind(&branch.url)
                    .bind(claimer.token.0)
                    .bind(&claimer.name)
                    .bind(i64::from(claimer.trusted))
                    .bind(branch.id.0)
                    .fetch_all(&mut **turn)
                    .await?;
                let ids = rows.iter().map(|row| row.num("id")).collect::<Result<Vec<BranchId>>>()?;
                if !ids.is_empty()
                    && let Err(too_many) = registrations::has_room(turn, claimer.token, origin).await?
                {
                    return Ok(Claimed::TooMany(too_many));
                }
                prove(turn, claimer.token, &branch.url).await?;
                for id in &ids {
                    let text = format!("Claimed by {}, who has shown that the repository is theirs", claimer.name);
                    let it =
                        Happening::of_branch(branch.project, *id, "claimed", Look::Waiting, text).by(&claimer.name);
                    events::record(turn, &it).await?;
                    turn.changed(branch.project, Topic::Branch, *id);
                }
                if !ids.is_empty() {
                    turn.changed_for_all(Topic::Token, claimer.token);
                }
                turn.keep();
                let kept = why_kept(turn, branch.id, claimer.token).await?;
                Ok(kept.map_or(Claimed::Now(ids.len()), Claimed::Kept))
            })
            .await
    }

    /// Gives the name of a branch that ended, and under which nothing was ever fetched, to another branch, which is published so
    /// by who has shown its repository; the one that had it goes on under another name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_name(&self, from: &Branch, new: &NewBranch, origin: &Origin) -> Result<Taken> {
        self.write
            .turn(async |turn| {
                let live = sqlx::query(
                    "SELECT id FROM branch WHERE project_id = $1 AND url = $2
                        AND source_ref = $3 AND state = 'live'",
                )
                .bind(new.project.0)
                .bind(&new.url)
                .bind(&new.source_ref)
                .fetch_optional(&mut **turn)
                .await?;
                if let Some(live) = &live {
                    return Ok(Taken::Published(by_id(turn, live.num("id")?).await?));
                }
                let holder = by_id(turn, from.id).await?;
                if holder.name != from.name || holder.state == BranchState::Live {
                    return Ok(Taken::Live);
                }
                let other = publishing::free_name(turn, from.project, from.name.as_str()).await?;
                let done = sqlx::query(
                    "UPDATE branch SET name = $2 WHERE id = $1 AND state <> 'live' AND head IS NULL
                        AND NOT EXISTS (SELECT 1 FROM revision WHERE branch_id = branch.id)",
                )
                .bind(from.id.0)
                .bind(other.as_str())
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(Taken::Fetched);
                }
                if let Err(too_many) = registrations::allowed(turn, new, origin).await? {
                    return Ok(Taken::TooMany(too_many));
                }
                registrations::count(turn, new, origin).await?;
                if let Some(token) = new.token {
                    prove(turn, token, &new.url).await?;
                }
                let text = format!(
                    "The name {} was claimed by {}; nothing was ever fetched under it, and this is {other} now",
                    from.name, new.publisher
                );
                let it = Happening::of_branch(from.project, from.id, "renamed", Look::Retired, text).by(&new.publisher);
                events::record(turn, &it).await?;
                let branch = publishing::insert(turn, new, &from.name, &origin.address).await?;
                let text = format!("Published by {}, who claimed the name", new.publisher);
                let it =
                    Happening::of_branch(new.project, branch.id, "published", Look::Waiting, text).by(&new.publisher);
                events::record(turn, &it).await?;
                turn.keep();
                turn.changed(from.project, Topic::Branch, from.id);
                turn.changed(new.project, Topic::Branch, branch.id);
                Ok(Taken::Now(branch))
            })
            .await
    }
}

/// Remembers that the bearer of a token has shown a repository.
async fn prove(connection: &mut AnyConnection, token: TokenId, url: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO proof (token_id, url, proved_ms) VALUES ($1, $2, $3) ON CONFLICT (token_id, url) DO NOTHING",
    )
    .bind(token.0)
    .bind(url)
    .bind(now().0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Why a branch that is not free is not the bearer's of a token; none when it is.
async fn why_kept(connection: &mut AnyConnection, id: BranchId, token: TokenId) -> Result<Option<Kept>> {
    let branch = by_id(connection, id).await?;
    if branch.state != BranchState::Live {
        return Ok(Some(Kept::Ended));
    }
    if branch.token == Some(token) {
        return Ok(None);
    }
    let queued = sqlx::query("SELECT id FROM queue_entry WHERE branch_id = $1 AND state = 'queued'").bind(id.0);
    let is_queued = queued.fetch_optional(connection).await?.is_some();
    Ok(Some(if is_queued { Kept::Accepted } else { Kept::Published }))
}
