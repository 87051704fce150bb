//! How branches come, and how they end: published, described anew, withdrawn, retired.

use super::branches::{by_id, by_name, read, whole};
use super::changes::Topic;
use super::events::{self, Happening};
use super::registrations::{self, Origin};
use super::row::{Columns as _, to_json};
use super::{Branch, BranchState, Landing, NewBranch, Result, Store, landings, now};
use gate::registrations::TooMany;
use protocol::api::Look;
use protocol::{BranchName, ProjectId};
use sqlx::AnyConnection;

/// What came of publishing.
#[derive(Clone, Debug)]
pub enum Published {
    /// It is new.
    New(Branch),
    /// It was published before and is live.
    Already(Branch),
    /// It had ended and is live again.
    Again(Branch),
    /// Another branch has the name.
    NameTaken(Branch),
    /// There are too many registrations, or live branches, of whom it counts for.
    TooMany(TooMany),
    /// A commit of it is being pushed to mainline: whether it lands is not known yet.
    BeingPushed(Branch),
}

/// What came of ending a branch.
#[derive(Clone, Debug)]
pub enum BranchEnd {
    /// It has ended.
    Now,
    /// It had ended before.
    Before,
    /// A commit of it is being pushed to mainline: whether it lands is not known yet.
    BeingPushed(Landing),
}

/// The least time between two looks that nobody's token asked for.
const STRANGERS_LOOK_MS: i64 = 30_000;

impl Store {
    /// Publishes a branch. The same source twice is one branch; one that had ended comes back under its name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publish(&self, new: &NewBranch) -> Result<Published> {
        self.register(new, &Origin::default()).await
    }

    /// The same for whoever has limits. What is live already is no registration.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn register(&self, new: &NewBranch, origin: &Origin) -> Result<Published> {
        self.write
            .turn(async |turn| {
                let before = whole(
                    "WHERE branch.project_id = $1 AND branch.url = $2
                AND branch.source_ref = $3
                ORDER BY CASE WHEN branch.state = 'live' THEN 0 ELSE 1 END, branch.id DESC LIMIT 1",
                )
                .bind(new.project.0)
                .bind(&new.url)
                .bind(&new.source_ref)
                .fetch_optional(&mut **turn)
                .await?;
                let before = before.as_ref().map(read).transpose()?;
                if let Some(live) = before.as_ref().filter(|b| b.state == BranchState::Live) {
                    if landings::open_of(turn, live.id).await?.is_some() {
                        return Ok(Published::BeingPushed(live.clone()));
                    }
                    // Publishing again is also a way to say "look now". It always is another time than before: by that, a look
                    // under way sees at its end that another one was asked for. A stranger's word does not have a host asked on and on.
                    sqlx::query(
                        "UPDATE branch SET look_asked = 1,
                    next_look_ms = CASE WHEN next_look_ms > $2 THEN $2 ELSE next_look_ms - 1 END
                 WHERE id = $1 AND ($3 = 1 OR looked_ms IS NULL OR looked_ms < $4)",
                    )
                    .bind(live.id.0)
                    .bind(now().0)
                    .bind(i64::from(new.token.is_some()))
                    .bind(now().0 - STRANGERS_LOOK_MS)
                    .execute(&mut **turn)
                    .await?;
                    turn.keep();
                    turn.changed(live.project, Topic::Branch, live.id);
                    return Ok(Published::Already(live.clone()));
                }
                let again = before.filter(|b| new.name.as_ref().is_none_or(|name| *name == b.name));
                let (sql, name, revived) = match again {
                    Some(old) => (REVIVE, old.name, true),
                    None => {
                        let name = match &new.name {
                            Some(name) => {
                                if let Some(other) = by_name(turn, new.project, name).await? {
                                    return Ok(Published::NameTaken(other));
                                }
                                name.clone()
                            }
                            None => free_name(turn, new.project, &new.source_ref).await?,
                        };
                        (INSERT, name, false)
                    }
                };
                if let Err(too_many) = registrations::allowed(turn, new, origin).await? {
                    return Ok(Published::TooMany(too_many));
                }
                registrations::count(turn, new, origin).await?;
                let branch = write(turn, sql, new, &name, &origin.address).await?;
                if revived {
                    super::builds::wanted_again(turn, branch.id).await?;
                    super::touched::head_is_set(turn, branch.id).await?;
                }
                let text = format!("Published by {}", new.publisher);
                let it =
                    Happening::of_branch(new.project, branch.id, "published", Look::Waiting, text).by(&new.publisher);
                events::record(turn, &it).await?;
                turn.keep();
                turn.changed(branch.project, Topic::Branch, branch.id);
                Ok(if revived { Published::Again(branch) } else { Published::New(branch) })
            })
            .await
    }

    /// Gives a live branch another title and other references to bugs; what is empty stays as it was. What was accepted
    /// lands by the words that it was accepted by. None when it is not live any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn describe_branch(
        &self,
        branch: &Branch,
        title: &str,
        bugs: &[String],
        actor: &str,
    ) -> Result<Option<Branch>> {
        self.write
            .turn(async |turn| {
                let before = by_id(turn, branch.id).await?;
                let done = sqlx::query(
                    "UPDATE branch SET title = CASE WHEN $2 = '' THEN title ELSE $2 END,
                bugs = CASE WHEN $3 = '[]' THEN bugs ELSE $3 END,
             changed_ms = $4 WHERE id = $1 AND state = 'live'",
                )
                .bind(branch.id.0)
                .bind(title)
                .bind(to_json(&bugs)?)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(None);
                }
                let branch = by_id(turn, branch.id).await?;
                if (&before.title, &before.bugs) == (&branch.title, &branch.bugs) {
                    return Ok(Some(before));
                }
                let bugs = if branch.bugs.is_empty() { "none".to_owned() } else { branch.bugs.join(", ") };
                let text = format!("Described anew by {actor}: `{}`, bugs: {bugs}", branch.title);
                let it = Happening::of_branch(branch.project, branch.id, "described", Look::Waiting, text).by(actor);
                events::record(turn, &it).await?;
                turn.keep();
                turn.changed(branch.project, Topic::Branch, branch.id);
                Ok(Some(branch))
            })
            .await
    }

    /// Ends a live branch, or one that landed and was taken out of mainline; it leaves the queue too, and its builds are to
    /// be cancelled.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_branch(&self, branch: &Branch, state: BranchState, why: &str, actor: &str) -> Result<BranchEnd> {
        self.write
            .turn(async |turn| {
                if let Some(landing) = landings::open_of(turn, branch.id).await? {
                    return Ok(BranchEnd::BeingPushed(landing));
                }
                let done = sqlx::query(
                    "UPDATE branch SET state = $2, state_text = $3, changed_ms = $4 WHERE id = $1
                AND (state = 'live'
             OR state = 'landed' AND EXISTS (SELECT 1 FROM queue_entry
                 WHERE taken_out_ms IS NOT NULL
                 AND id = (SELECT MAX(id) FROM queue_entry WHERE branch_id = $1
                     AND landed IS NOT NULL)))",
                )
                .bind(branch.id.0)
                .bind(state.as_str())
                .bind(why)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(BranchEnd::Before);
                }
                sqlx::query(
                    "UPDATE queue_entry SET state = 'ejected', code = $2, says = $3,
                next_who = 'nobody', next_what = '', left_ms = $4
             WHERE branch_id = $1 AND state = 'queued'",
                )
                .bind(branch.id.0)
                .bind(state.as_str())
                .bind(why)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                let it = Happening::of_branch(branch.project, branch.id, state.as_str(), Look::Retired, why.to_owned())
                    .by(actor);
                events::record(turn, &it).await?;
                super::builds::cancel_all_of(turn, branch.id, "the branch has ended").await?;
                turn.keep();
                turn.changed(branch.project, Topic::Branch, branch.id);
                turn.changed(branch.project, Topic::Queue, branch.id);
                Ok(BranchEnd::Now)
            })
            .await
    }
}

/// A new row of a branch.
const INSERT: &str = "INSERT INTO branch (project_id, name, url, source_ref, title, bugs, publisher, token_id, trusted,
    state, next_look_ms, published_ms, changed_ms, host, address)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'live', $10, $10, $10, $11, $12) RETURNING id";
/// The row of one that had ended.
const REVIVE: &str =
    "UPDATE branch SET state = 'live', state_text = '', title = $5, bugs = $6, publisher = $7, token_id = $8,
    trusted = $9, next_look_ms = $10, published_ms = $10, changed_ms = $10, host = $11, address = $12,
    look_failures = 0, newer_head = '', trouble_code = NULL
    WHERE project_id = $1 AND name = $2 AND url = $3 AND source_ref = $4 RETURNING id";

/// Writes a new branch under a name that nobody has.
pub(super) async fn insert(
    connection: &mut AnyConnection,
    new: &NewBranch,
    name: &BranchName,
    address: &str,
) -> Result<Branch> {
    write(connection, INSERT, new, name, address).await
}

async fn write(
    connection: &mut AnyConnection,
    sql: &'static str,
    new: &NewBranch,
    name: &BranchName,
    address: &str,
) -> Result<Branch> {
    let row = sqlx::query(sql)
        .bind(new.project.0)
        .bind(name.as_str())
        .bind(&new.url)
        .bind(&new.source_ref)
        .bind(&new.title)
        .bind(to_json(&new.bugs)?)
        .bind(&new.publisher)
        .bind(new.token.map(|t| t.0))
        .bind(i64::from(new.trusted))
        .bind(now().0)
        .bind(registrations::host(&new.url))
        .bind(address)
        .fetch_one(&mut *connection)
        .await?;
    by_id(connection, row.num("id")?).await
}

/// A name that no branch has, after its source's: the next one, found in few steps however many have been given out.
pub(super) async fn free_name(connection: &mut AnyConnection, project: ProjectId, from: &str) -> Result<BranchName> {
    let (mut taken, mut free) = (0, 1);
    while by_name(connection, project, &BranchName::suggest(from, free)).await?.is_some() {
        (taken, free) = (free, free.saturating_mul(2));
    }
    while free - taken > 1 {
        let between = taken + (free - taken) / 2;
        if by_name(connection, project, &BranchName::suggest(from, between)).await?.is_some() {
            taken = between;
        } else {
            free = between;
        }
    }
    Ok(BranchName::suggest(from, free))
}
