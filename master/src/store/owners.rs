//! Whose a registered branch is: who has shown that a repository is theirs, has the rights over its branches.

use super::branches::{by_id, by_name};
use super::changes::Topic;
use super::events::{self, Happening};
use super::registrations::host;
use super::row::{Columns as _, to_json};
use super::{Branch, BranchState, NewBranch, Result, Store, now};
use protocol::api::Look;
use protocol::{BranchId, BranchName, TokenId};

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

/// What came of taking a name.
#[derive(Clone, Debug)]
pub enum Taken {
    /// It is this branch's now.
    Now(Branch),
    /// Something was fetched under it, so it stays.
    Fetched,
    /// That source is live already, under another name.
    Published(Branch),
}

impl Store {
    /// Gives all live branches of a branch's repository, and itself, to who has shown that this is theirs; how many were not
    /// theirs before. What is accepted stays as it was accepted, and only the branch that was named is trusted by its new
    /// publisher's word: others may push to the repository too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_repository(&self, branch: &Branch, claimer: &Claimer) -> Result<usize> {
        self.write
            .turn(async |turn| {
                let rows = sqlx::query(
                    "UPDATE branch SET publisher = $3, token_id = $4,
                trusted = CASE WHEN id = $6 THEN $5 ELSE 0 END, address = ''
             WHERE project_id = $1 AND url = $2 AND (state = 'live' OR id = $6)
                 AND (token_id IS NULL OR token_id <> $4)
             AND NOT EXISTS (SELECT 1 FROM queue_entry WHERE branch_id = branch.id
                 AND state = 'queued')
             RETURNING id",
                )
                .bind(branch.project.0)
                .bind(&branch.url)
                .bind(&claimer.name)
                .bind(claimer.token.0)
                .bind(i64::from(claimer.trusted))
                .bind(branch.id.0)
                .fetch_all(&mut **turn)
                .await?;
                for row in &rows {
                    let id: BranchId = row.num("id")?;
                    let text = format!("Claimed by {}, who has shown that the repository is theirs", claimer.name);
                    let it = Happening::of_branch(branch.project, id, "claimed", Look::Waiting, text).by(&claimer.name);
                    events::record(turn, &it).await?;
                    turn.changed(branch.project, Topic::Branch, id);
                }
                turn.changed_for_all(Topic::Token, claimer.token);
                turn.keep();
                Ok(rows.len())
            })
            .await
    }

    /// Gives a name under which nothing was ever fetched, though it was looked at, to another branch, which is published so; the one that had it ends,
    /// under another name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_name(&self, from: &Branch, new: &NewBranch) -> Result<Taken> {
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
                let mut n = 2;
                let other = loop {
                    let other = BranchName::suggest(from.name.as_str(), n);
                    if by_name(turn, from.project, &other).await?.is_none() {
                        break other;
                    }
                    n += 1;
                };
                let done = sqlx::query(
                    "UPDATE branch SET name = $2, state = $3, state_text = $4, changed_ms = $5
             WHERE id = $1 AND head IS NULL AND look_failures > 0",
                )
                .bind(from.id.0)
                .bind(other.as_str())
                .bind(BranchState::Retired.as_str())
                .bind("name-claimed")
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(Taken::Fetched);
                }
                let text = format!(
                    "The name {} was claimed by {}; nothing was ever fetched under it",
                    from.name, new.publisher
                );
                let it = Happening::of_branch(from.project, from.id, "retired", Look::Retired, text).by(&new.publisher);
                events::record(turn, &it).await?;
                let row = sqlx::query(
                    "INSERT INTO branch (project_id, name, url, source_ref, title, bugs, publisher,
                token_id, trusted, state,
             next_look_ms, published_ms, changed_ms, host)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'live', $10, $10, $10, $11) RETURNING id",
                )
                .bind(new.project.0)
                .bind(from.name.as_str())
                .bind(&new.url)
                .bind(&new.source_ref)
                .bind(&new.title)
                .bind(to_json(&new.bugs)?)
                .bind(&new.publisher)
                .bind(new.token.map(|token| token.0))
                .bind(i64::from(new.trusted))
                .bind(now().0)
                .bind(host(&new.url))
                .fetch_one(&mut **turn)
                .await?;
                let branch = by_id(turn, row.num("id")?).await?;
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
