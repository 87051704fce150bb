//! Revisions: the heads that a branch was seen at.

use super::events::{self, Happening};
use super::row::Columns as _;
use super::{Branch, Claim, Result, Store, Trouble, now};
use protocol::api::Look;
use protocol::{BranchId, CommitId, RevisionId, UnixMs};
use sqlx::any::AnyRow;

/// A revision as stored.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Its number in the store.
    pub id: RevisionId,
    /// Its branch.
    pub branch: BranchId,
    /// Its number in the branch: 4 for r4.
    pub number: u32,
    /// Its commit.
    pub commit: CommitId,
    /// The first line of that commit.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// How many commits mainline lacked when it was admitted.
    pub commits: u32,
    /// Why it was refused, if it was.
    pub refusal: Option<protocol::api::Refusal>,
    /// What is wrong, if it was admitted and its commit is not in the mirror any more.
    pub lost: Option<Trouble>,
    /// Whether builds were asked for because it is new.
    pub builds_asked: bool,
    /// When it was seen.
    pub seen: UnixMs,
}

/// A revision to be recorded.
#[derive(Clone, Debug)]
pub struct NewRevision {
    /// Its number in the branch.
    pub number: u32,
    /// Its commit.
    pub commit: CommitId,
    /// The first line of that commit.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// How many commits mainline lacks.
    pub commits: u32,
    /// Why it was refused, if it was.
    pub refusal: Option<protocol::api::Refusal>,
}

pub(super) fn read(row: &AnyRow) -> Result<Revision> {
    let refusal = match row.text_or_none("refusal_code")? {
        None => None,
        Some(code) => Some(protocol::api::Refusal {
            code,
            text: row.text_or_none("refusal_text")?.unwrap_or_default(),
            hint: row.text_or_none("refusal_hint")?.unwrap_or_default(),
        }),
    };
    let lost = match row.text_or_none("lost_code")? {
        None => None,
        Some(code) => Some(Trouble {
            code,
            text: row.text_or_none("lost_text")?.unwrap_or_default(),
            hint: row.text_or_none("lost_hint")?.unwrap_or_default(),
        }),
    };
    Ok(Revision {
        lost,
        id: row.num("id")?,
        branch: row.num("branch_id")?,
        number: row.count("number")?,
        commit: row.parsed("commit_id")?,
        subject: row.text("subject")?,
        author: row.text("author")?,
        commits: row.count("commits")?,
        refusal,
        builds_asked: row.flag("builds_asked")?,
        seen: row.num("seen_ms")?,
    })
}

impl Store {
    /// Records a revision under a claim, the next of its branch; builds of the older ones that only the branch wanted are
    /// cancelled. None when the branch is not live any more, or has a revision of this number.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn add_revision(&self, claim: Claim, branch: &Branch, new: &NewRevision) -> Result<Option<Revision>> {
        let mut transaction = self.write.begin_under(claim).await?;
        let refusal = new.refusal.as_ref();
        let row = sqlx::query(
            "INSERT INTO revision (branch_id, number, commit_id, subject, author, commits, refusal_code, refusal_text, refusal_hint, seen_ms)
             SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM branch
             WHERE id = $1 AND state = 'live' AND NOT EXISTS (SELECT 1 FROM revision WHERE branch_id = $1 AND number >= $2)
             RETURNING *",
        )
        .bind(branch.id.0)
        .bind(i64::from(new.number))
        .bind(new.commit.as_str())
        .bind(&new.subject)
        .bind(&new.author)
        .bind(i64::from(new.commits))
        .bind(refusal.map(|r| r.code.clone()))
        .bind(refusal.map(|r| r.text.clone()))
        .bind(refusal.map(|r| r.hint.clone()))
        .bind(now().0)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        sqlx::query("UPDATE branch SET changed_ms = $2 WHERE id = $1")
            .bind(branch.id.0)
            .bind(now().0)
            .execute(&mut *transaction)
            .await?;
        let why = format!("r{} has come", new.number);
        super::builds::cancel_branch_only(&mut transaction, branch.id, &why).await?;
        let (look, text) = match refusal {
            None => (Look::Running, format!("r{} seen and admitted: {}", new.number, new.subject)),
            Some(refusal) => (Look::Failed, format!("r{} refused: {}", new.number, refusal.text)),
        };
        let it = Happening::of_branch(branch.project, branch.id, "revision", look, text);
        events::record(&mut transaction, &it).await?;
        transaction.commit().await?;
        self.wake();
        read(&row).map(Some)
    }

    /// All revisions of a branch, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revisions(&self, branch: BranchId) -> Result<Vec<Revision>> {
        let rows = sqlx::query("SELECT * FROM revision WHERE branch_id = $1 ORDER BY number DESC")
            .bind(branch.0)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(read).collect()
    }

    /// The newest revision of a branch.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_revision(&self, branch: BranchId) -> Result<Option<Revision>> {
        let row = sqlx::query("SELECT * FROM revision WHERE branch_id = $1 ORDER BY number DESC LIMIT 1")
            .bind(branch.0)
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// A revision by its number in the store.
    ///
    /// # Errors
    /// When the database fails, or there is no such revision.
    pub async fn revision_by_id(&self, id: RevisionId) -> Result<Revision> {
        read(&sqlx::query("SELECT * FROM revision WHERE id = $1").bind(id.0).fetch_one(&self.read).await?)
    }
}
