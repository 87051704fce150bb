//! The queue: accepted branches on their way to mainline, and what became of them.

use super::events::{self, Happening};
use super::row::Columns as _;
use super::{Branch, Result, Revision, Store, now};
use protocol::api::{Look, Next};
use protocol::{BranchId, CandidateId, CommitId, ProjectId, RevisionId, UnixMs};
use sqlx::any::AnyRow;

/// A place in the queue, as stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// The branch.
    pub branch: BranchId,
    /// The accepted revision.
    pub revision: RevisionId,
    /// The accepted commit: the acceptance binds to it alone.
    pub commit: CommitId,
    /// Who accepted it.
    pub accepted_by: String,
    /// When.
    pub accepted: UnixMs,
    /// A maintainer's priority; greater goes first.
    pub priority: i64,
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

pub(super) fn read(row: &AnyRow) -> Result<Entry> {
    Ok(Entry {
        id: row.num("id")?,
        branch: row.num("branch_id")?,
        revision: row.num("revision_id")?,
        commit: row.parsed("commit_id")?,
        accepted_by: row.text("accepted_by")?,
        accepted: row.num("accepted_ms")?,
        priority: row.num("priority")?,
        state: row.parsed("state")?,
        standing: Standing {
            code: row.text("code")?,
            says: row.text("says")?,
            next: Next { who: row.text("next_who")?, what: row.text("next_what")? },
        },
        candidate: row.num_or_none("candidate_id")?,
        landed: row.parsed_or_none("landed")?,
        left: row.num_or_none("left_ms")?,
    })
}

impl Store {
    /// Accepts a revision: gives its branch a place in the queue. Accepting the same commit twice is one acceptance; a
    /// place held by an older revision is given up for the new one. None when the branch is not live any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accept(&self, branch: &Branch, revision: &Revision, actor: &str) -> Result<Option<Entry>> {
        let mut transaction = self.write.begin().await?;
        let held = sqlx::query("SELECT * FROM queue_entry WHERE branch_id = $1 AND state = 'queued'")
            .bind(branch.id.0)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(held) = held.as_ref().map(read).transpose()? {
            if held.revision == revision.id {
                return Ok(Some(held));
            }
            let says = format!("r{} was accepted in its place", revision.number);
            eject(&mut transaction, held.id, "superseded", &says, &Next { who: "bb".into(), what: String::new() })
                .await?;
        }
        let row = sqlx::query(
            "INSERT INTO queue_entry (project_id, branch_id, revision_id, commit_id, accepted_by, accepted_ms, state, code, says, next_who, next_what)
             SELECT project_id, id, $2, $3, $4, $5, 'queued', 'accepted', 'accepted', 'bb', 'tests it as it would land'
             FROM branch WHERE id = $1 AND state = 'live' RETURNING *",
        )
        .bind(branch.id.0)
        .bind(revision.id.0)
        .bind(revision.commit.as_str())
        .bind(actor)
        .bind(now().0)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        sqlx::query("UPDATE branch SET changed_ms = $2 WHERE id = $1")
            .bind(branch.id.0)
            .bind(now().0)
            .execute(&mut *transaction)
            .await?;
        let text = format!("{actor} accepted r{}, {}", revision.number, revision.commit.short());
        let it = Happening::of_branch(branch.project, branch.id, "accepted", Look::Accepted, text).by(actor);
        events::record(&mut transaction, &it).await?;
        transaction.commit().await?;
        self.wake();
        read(&row).map(Some)
    }

    /// The entries in a project's queue, first accepted first among those of one priority.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue(&self, project: ProjectId) -> Result<Vec<Entry>> {
        let rows = sqlx::query(
            "SELECT * FROM queue_entry WHERE project_id = $1 AND state = 'queued' ORDER BY priority DESC, accepted_ms, id",
        )
        .bind(project.0)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Entries that left a project's queue, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn left_queue(&self, project: ProjectId, limit: u32) -> Result<Vec<Entry>> {
        let rows = sqlx::query(
            "SELECT * FROM queue_entry WHERE project_id = $1 AND state <> 'queued' ORDER BY left_ms DESC, id DESC LIMIT $2",
        )
        .bind(project.0)
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(read).collect()
    }

    /// A branch's places, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn entries_of(&self, branch: BranchId) -> Result<Vec<Entry>> {
        let rows = sqlx::query("SELECT * FROM queue_entry WHERE branch_id = $1 ORDER BY id DESC LIMIT 50")
            .bind(branch.0)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(read).collect()
    }

    /// An entry by number.
    ///
    /// # Errors
    /// When the database fails, or there is no such entry.
    pub async fn entry(&self, id: i64) -> Result<Entry> {
        read(&sqlx::query("SELECT * FROM queue_entry WHERE id = $1").bind(id).fetch_one(&self.read).await?)
    }

    /// Records how an entry in the queue stands; nobody is woken when it stood so before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_standing(&self, entry: &Entry, candidate: Option<CandidateId>, standing: &Standing) -> Result<()> {
        if entry.standing == *standing && entry.candidate == candidate {
            return Ok(());
        }
        let mut transaction = self.write.begin().await?;
        if let Some(stale) = entry.candidate.filter(|old| Some(*old) != candidate) {
            super::builds::cancel_queue_of(&mut transaction, stale, "the queue makes another candidate").await?;
        }
        sqlx::query(
            "UPDATE queue_entry SET code = $2, says = $3, next_who = $4, next_what = $5, candidate_id = $6
             WHERE id = $1 AND state = 'queued'",
        )
        .bind(entry.id)
        .bind(&standing.code)
        .bind(&standing.says)
        .bind(&standing.next.who)
        .bind(&standing.next.what)
        .bind(candidate.map(|c| c.0))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.wake();
        Ok(())
    }

    /// Sends an entry away, with the reason; it stays readable.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn eject(&self, entry: &Entry, branch: &Branch, standing: &Standing, actor: &str) -> Result<()> {
        let mut transaction = self.write.begin().await?;
        eject(&mut transaction, entry.id, &standing.code, &standing.says, &standing.next).await?;
        if let Some(candidate) = entry.candidate {
            super::builds::cancel_queue_of(&mut transaction, candidate, "the branch has left the queue").await?;
        }
        sqlx::query("UPDATE branch SET changed_ms = $2 WHERE id = $1")
            .bind(branch.id.0)
            .bind(now().0)
            .execute(&mut *transaction)
            .await?;
        let text = format!("Left the queue: {}", standing.says);
        let it = Happening::of_branch(branch.project, branch.id, "ejected", Look::Failed, text).by(actor);
        events::record(&mut transaction, &it).await?;
        transaction.commit().await?;
        self.wake();
        Ok(())
    }
}

async fn eject(connection: &mut sqlx::AnyConnection, entry: i64, code: &str, says: &str, next: &Next) -> Result<()> {
    sqlx::query(
        "UPDATE queue_entry SET state = 'ejected', code = $2, says = $3, next_who = $4, next_what = $5, left_ms = $6
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
    Ok(())
}
