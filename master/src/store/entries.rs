//! Entries of the queue: the rows.

use super::changes::Topic;
use super::row::{Columns as _, readable};
use super::writer::Turn;
use super::{Reader, Result, Store, TokenRow, builds, now, tokens};
use gate::code::Code;
use gate::queue::{before, waits};
use protocol::api::{ByHand, Next};
use protocol::{BranchId, CandidateId, CommitId, ProjectId, RevisionId, TokenId, UnixMs};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use std::collections::{BTreeSet, HashMap};

/// A place in the queue, as stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// The project.
    pub project: ProjectId,
    /// The branch.
    pub branch: BranchId,
    /// The accepted revision.
    pub revision: RevisionId,
    /// The accepted commit: the acceptance binds to it alone.
    pub commit: CommitId,
    /// Who accepted it.
    pub accepted_by: String,
    /// With which token; none when it is not known any more.
    pub token: Option<TokenId>,
    /// What else the acceptance binds.
    pub terms: Terms,
    /// When.
    pub accepted: UnixMs,
    /// A maintainer's priority; greater goes first.
    pub priority: i64,
    /// Who holds it, so that it is neither tested nor landed.
    pub hold: Option<ByHand>,
    /// Who wants it tested alone before all others, and why.
    pub expedite: Option<ByHand>,
    /// Whether it waits until its commit passed alone.
    pub when_green: bool,
    /// Whether it is in the queue, or how it left.
    pub state: EntryState,
    /// How it stands.
    pub standing: Standing,
    /// The candidate last made for it.
    pub candidate: Option<CandidateId>,
    /// The commit that landed.
    pub landed: Option<CommitId>,
    /// When it left.
    pub left: Option<UnixMs>,
    /// Set when a push has taken out of mainline what had landed.
    pub taken_out: Option<TakenOut>,
}

/// Which candidate is shown of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// That which is.
    Kept,
    /// This one, or none.
    By(Option<CandidateId>),
}

impl Shown {
    pub(super) fn or(self, kept: Option<CandidateId>) -> Option<CandidateId> {
        match self {
            Self::Kept => kept,
            Self::By(candidate) => candidate,
        }
    }
}

/// Shows another candidate of an entry than till now. What the queue asked for of that one is of no use any more.
pub(super) async fn show(turn: &mut Turn, entry: &Entry, candidate: Option<CandidateId>) -> Result<()> {
    if entry.candidate == candidate {
        return Ok(());
    }
    if let Some(stale) = entry.candidate {
        builds::cancel_queue_of(turn, stale, "the queue makes another candidate").await?;
    }
    let show = sqlx::query("UPDATE queue_entry SET candidate_id = $2 WHERE id = $1");
    show.bind(entry.id).bind(candidate.map(|it| it.0)).execute(&mut **turn).await?;
    Ok(())
}

impl From<Option<CandidateId>> for Shown {
    fn from(candidate: Option<CandidateId>) -> Self {
        Self::By(candidate)
    }
}

/// That mainline does not hold what had landed any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TakenOut {
    /// When that was seen.
    pub at: UnixMs,
    /// Who the tip is by that mainline had then, the best that is known of whoever pushed it; empty when not known.
    pub tip_by: String,
}

/// What an acceptance binds beside the commit, as JSON, and its hash: candidates of the queue are made by it. Empty in
/// entries from before it was kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// The terms.
    pub json: String,
    /// Their hash.
    pub hash: String,
}

/// Whether an entry is in the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryState {
    /// In the queue.
    Queued,
    /// On mainline.
    Landed,
    /// Sent away.
    Ejected,
}

impl std::str::FromStr for EntryState {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "queued" => Ok(Self::Queued),
            "landed" => Ok(Self::Landed),
            "ejected" => Ok(Self::Ejected),
            _ => Err(format!("`{word}` is no state of a queue's entry")),
        }
    }
}

/// How an entry stands: a stable word, words for people, and whose turn it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The stable word.
    pub code: String,
    /// For people.
    pub says: String,
    /// Whose turn it is.
    pub next: Next,
}

impl Standing {
    /// As it is kept: of one that waits for others to go first, without how many, which changes with each of them.
    #[must_use]
    pub fn kept(self) -> Self {
        if self.code == Code::Behind.as_str() { Self { says: waits(&self.says).to_owned(), ..self } } else { self }
    }

    /// What it says of an entry at this place of the queue, from 1.
    pub fn says_at(&self, place: u32) -> String {
        if self.code == Code::Behind.as_str() { before(place, &self.says) } else { self.says.clone() }
    }
}

pub(super) fn read(row: &AnyRow) -> Result<Entry> {
    Ok(Entry {
        id: row.num("id")?,
        project: row.num("project_id")?,
        branch: row.num("branch_id")?,
        revision: row.num("revision_id")?,
        commit: row.parsed("commit_id")?,
        accepted_by: row.text("accepted_by")?,
        token: row.num_or_none("token_id")?,
        terms: Terms { json: row.text("terms")?, hash: row.text("terms_hash")? },
        accepted: row.num("accepted_ms")?,
        priority: row.num("priority")?,
        hold: row.json_or_none("hold")?,
        expedite: row.json_or_none("expedite")?,
        when_green: row.flag("when_green")?,
        state: row.parsed("state")?,
        standing: Standing {
            code: row.text("code")?,
            says: row.text("says")?,
            next: Next { who: row.text("next_who")?, what: row.text("next_what")? },
        },
        candidate: row.num_or_none("candidate_id")?,
        landed: row.parsed_or_none("landed")?,
        left: row.num_or_none("left_ms")?,
        taken_out: match row.num_or_none("taken_out_ms")? {
            Some(at) => Some(TakenOut { at, tip_by: row.text("taken_out_by")? }),
            None => None,
        },
    })
}

impl Store {
    /// Binds an entry from before terms were kept to those of now; nothing when it has some.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bind_terms(&self, entry: i64, terms: &Terms) -> Result<()> {
        self.write
            .turn(async |turn| {
                let query = sqlx::query(
                    "UPDATE queue_entry SET terms = $2, terms_hash = $3 WHERE id = $1
                        AND terms = '' RETURNING project_id, branch_id",
                );
                let row = query.bind(entry).bind(&terms.json).bind(&terms.hash).fetch_optional(&mut **turn).await?;
                if let Some(row) = row {
                    turn.keep();
                    turn.changed(row.num("project_id")?, Topic::Queue, row.num::<i64>("branch_id")?);
                }
                Ok(())
            })
            .await
    }
}

impl Reader {
    /// The token that an entry was accepted with, as it is now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn acceptor(&self, entry: &Entry) -> Result<Option<TokenRow>> {
        acceptor(&mut *self.read().await?, entry).await
    }

    /// The entries in a project's queue, first accepted first among those of one priority.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue(&self, project: ProjectId) -> Result<Vec<Entry>> {
        self.first_queued(project, u32::MAX).await
    }

    /// The first of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_queued(&self, project: ProjectId, limit: u32) -> Result<Vec<Entry>> {
        let rows = sqlx::query(
            "SELECT * FROM queue_entry WHERE project_id = $1 AND state = 'queued'
                ORDER BY expedited DESC, priority DESC, accepted_ms, id LIMIT $2",
        )
        .bind(project.0)
        .bind(i64::from(limit))
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("queue_entry", &rows, read)
    }

    /// The places of these entries in a project's queue, from 1; none of one that is not in it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn places_in_queue(
        &self,
        project: ProjectId,
        entries: impl IntoIterator<Item = i64>,
    ) -> Result<HashMap<i64, u32>> {
        let ids: BTreeSet<String> = entries.into_iter().map(|id| id.to_string()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = ids.into_iter().collect::<Vec<_>>().join(",");
        let sql = format!(
            "SELECT id, place FROM (
                 SELECT id, ROW_NUMBER() OVER (ORDER BY expedited DESC, priority DESC, accepted_ms, id) AS place
                 FROM queue_entry WHERE project_id = $1 AND state = 'queued') AS queue
             WHERE id IN ({ids})"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).bind(project.0);
        let rows = query.fetch_all(&mut *self.read().await?).await?;
        rows.iter().map(|row| Ok((row.num("id")?, row.count("place")?))).collect()
    }

    /// Entries that left a project's queue, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn left_queue(&self, project: ProjectId, limit: u32) -> Result<Vec<Entry>> {
        let rows = sqlx::query(
            "SELECT * FROM queue_entry WHERE project_id = $1 AND state <> 'queued'
                ORDER BY left_ms DESC, id DESC LIMIT $2",
        )
        .bind(project.0)
        .bind(i64::from(limit))
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("queue_entry", &rows, read)
    }

    /// A branch's places, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn entries_of(&self, branch: BranchId) -> Result<Vec<Entry>> {
        let rows = sqlx::query(
            "SELECT * FROM queue_entry WHERE branch_id = $1
            ORDER BY id DESC LIMIT 50",
        )
        .bind(branch.0)
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("queue_entry", &rows, read)
    }

    /// An entry by number.
    ///
    /// # Errors
    /// When the database fails, or there is no such entry.
    pub async fn entry(&self, id: i64) -> Result<Entry> {
        read(
            &sqlx::query(
                "SELECT * FROM queue_entry
            WHERE id = $1",
            )
            .bind(id)
            .fetch_one(&mut *self.read().await?)
            .await?,
        )
    }
}

/// The token that an entry was accepted with.
pub(super) async fn acceptor(connection: &mut AnyConnection, entry: &Entry) -> Result<Option<TokenRow>> {
    let row = sqlx::query(
        "SELECT * FROM token
        WHERE id = $1",
    )
    .bind(entry.token.map(|token| token.0));
    row.fetch_optional(connection).await?.as_ref().map(tokens::read).transpose()
}

/// How an entry in the queue stands.
pub(super) async fn stands(
    connection: &mut AnyConnection,
    entry: i64,
    code: &str,
    says: &str,
    who: &str,
    what: &str,
) -> Result<()> {
    sqlx::query(
        "UPDATE queue_entry SET code = $2, says = $3, next_who = $4, next_what = $5
            WHERE id = $1 AND state = 'queued'",
    )
    .bind(entry)
    .bind(code)
    .bind(says)
    .bind(who)
    .bind(what)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) fn nobody() -> Next {
    Next { who: "nobody".to_owned(), what: String::new() }
}

/// Ends a branch's places in the queue but this one.
pub(super) async fn end_others(connection: &mut AnyConnection, branch: BranchId, but: i64, says: &str) -> Result<()> {
    // What else of them can't be read does not unmake what ends them.
    let rows = sqlx::query(
        "SELECT id FROM queue_entry WHERE branch_id = $1
        AND state = 'queued' AND id <> $2",
    );
    for row in &rows.bind(branch.0).bind(but).fetch_all(&mut *connection).await? {
        end(&mut *connection, row.num("id")?, "replaced", says, &nobody()).await?;
    }
    Ok(())
}

/// Takes an entry out of the queue; false when it was not in it.
pub(super) async fn end(
    connection: &mut AnyConnection,
    entry: i64,
    code: &str,
    says: &str,
    next: &Next,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE queue_entry SET state = 'ejected', code = $2, says = $3, next_who = $4,
            next_what = $5, left_ms = $6
         WHERE id = $1 AND state = 'queued'",
    )
    .bind(entry)
    .bind(code)
    .bind(says)
    .bind(&next.who)
    .bind(&next.what)
    .bind(now().0)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}
