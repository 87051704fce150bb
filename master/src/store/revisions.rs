//! Revisions: the heads that a branch was seen at.

use super::changes::Topic;
use super::events::{self, Happening};
use super::row::{Columns as _, readable};
use super::{Branch, Claim, Reader, Result, Store, Trouble, now};
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
    /// What the branch is called by it, if nothing was said: the first line of its first own commit that is no merge.
    pub title: String,
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
    /// Whether a candidate is to be made of it, for the first time or again.
    pub to_be_made: bool,
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
    /// What the branch is called by it: the first line of its first own commit that is no merge.
    pub title: String,
    /// Who wrote it.
    pub author: String,
    /// How many commits mainline lacks.
    pub commits: u32,
    /// Why it was refused, if it was.
    pub refusal: Option<protocol::api::Refusal>,
}

pub(super) fn read(row: &AnyRow) -> Result<Revision> {
    read_with(row, "")
}

/// The columns of a revision `r`, by names that no other table's have.
pub(super) const PREFIXED: &str = "r.id AS r_id, r.branch_id AS r_branch_id, r.number AS r_number, r.commit_id AS r_commit_id,
    r.subject AS r_subject, r.title AS r_title, r.author AS r_author, r.commits AS r_commits, r.refusal_code AS r_refusal_code,
    r.refusal_text AS r_refusal_text, r.refusal_hint AS r_refusal_hint, r.lost_code AS r_lost_code, r.lost_text AS r_lost_text,
    r.lost_hint AS r_lost_hint, r.builds_asked AS r_builds_asked, r.remake AS r_remake, r.seen_ms AS r_seen_ms";

/// A revision by those names.
pub(super) fn read_prefixed(row: &AnyRow) -> Result<Revision> {
    read_with(row, "r_")
}

/// What a revision is called; what was seen before that was kept, by the first line of its commit.
pub(super) fn title_of(row: &AnyRow, prefix: &str) -> Result<String> {
    match row.text_or_none(&format!("{prefix}title"))? {
        Some(title) => Ok(title),
        None => row.text(&format!("{prefix}subject")),
    }
}

fn read_with(row: &AnyRow, prefix: &str) -> Result<Revision> {
    let name = |column: &str| format!("{prefix}{column}");
    let text = |column: &str| row.text_or_none(&name(column)).map(Option::unwrap_or_default);
    let refusal = match row.text_or_none(&name("refusal_code"))? {
        None => None,
        Some(code) => {
            Some(protocol::api::Refusal { code, text: text("refusal_text")?, hint: text("refusal_hint")?.into() })
        }
    };
    let lost = match row.text_or_none(&name("lost_code"))? {
        None => None,
        Some(code) => Some(Trouble { code, text: text("lost_text")?, hint: text("lost_hint")?.into() }),
    };
    Ok(Revision {
        lost,
        id: row.num(&name("id"))?,
        branch: row.num(&name("branch_id"))?,
        number: row.count(&name("number"))?,
        commit: row.parsed(&name("commit_id"))?,
        subject: row.text(&name("subject"))?,
        title: title_of(row, prefix)?,
        author: row.text(&name("author"))?,
        commits: row.count(&name("commits"))?,
        refusal,
        builds_asked: row.flag(&name("builds_asked"))?,
        to_be_made: row.num::<i64>(&name("remake"))? == 1,
        seen: row.num(&name("seen_ms"))?,
    })
}

impl Store {
    /// Records a revision under a claim, the next of its branch; builds of the older ones that only the branch wanted are
    /// cancelled. None when the branch is not live any more, or has a revision of this number. `branch` says until when its
    /// moves count, this one with them.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn add_revision(&self, claim: Claim, branch: &Branch, new: &NewRevision) -> Result<Option<Revision>> {
        self.write
            .turn_under(claim, async |turn| {
                let refusal = new.refusal.as_ref();
                let row = sqlx::query(
                    "INSERT INTO revision (branch_id, number, commit_id, subject, author, commits,
                refusal_code, refusal_text, refusal_hint, seen_ms, title)
             SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM branch
             WHERE id = $1 AND state = 'live' AND NOT EXISTS (SELECT 1 FROM revision
                 WHERE branch_id = $1 AND number >= $2)
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
                .bind(refusal.map(|r| r.hint.to_string()))
                .bind(now().0)
                .bind(&new.title)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(row) = row else { return Ok(None) };
                sqlx::query(
                    "UPDATE branch SET changed_ms = $2, head = $3, moves_until_ms = $4
            WHERE id = $1",
                )
                .bind(branch.id.0)
                .bind(now().0)
                .bind(i64::from(new.number))
                .bind(branch.moves_until.0)
                .execute(&mut **turn)
                .await?;
                super::touched::head_is_set(turn, branch.id).await?;
                let why = format!("r{} has come", new.number);
                super::builds::cancel_branch_only(turn, branch.id, &why).await?;
                let (look, text) = match refusal {
                    None => (Look::Running, format!("r{} seen and admitted: {}", new.number, new.subject)),
                    Some(refusal) => (Look::Failed, format!("r{} refused: {}", new.number, refusal.text)),
                };
                let it = Happening::of_branch(branch.project, branch.id, "revision", look, text);
                events::record(turn, &it).await?;
                turn.keep();
                turn.changed(branch.project, Topic::Revision, branch.id);
                read(&row).map(Some)
            })
            .await
    }

    /// Records under a claim that a branch's head is again at a revision that it was at before: that is the same revision, with
    /// its results. Builds of the others that only the branch wanted are cancelled; its own that were cancelled are wanted
    /// again. False when the branch is not live any more. `branch` says until when its moves count, this one with them.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn head_again(&self, claim: Claim, branch: &Branch, revision: &Revision) -> Result<bool> {
        self.write
            .turn_under(claim, async |turn| {
                let done = sqlx::query(
                    "UPDATE branch SET changed_ms = $2, head = $3, moves_until_ms = $4
                WHERE id = $1 AND state = 'live' AND head <> $3",
                )
                .bind(branch.id.0)
                .bind(now().0)
                .bind(i64::from(revision.number))
                .bind(branch.moves_until.0)
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(false);
                }
                super::touched::head_is_set(turn, branch.id).await?;
                let why = format!("the branch is at r{} again", revision.number);
                super::builds::cancel_other_revisions(turn, revision.id, &why).await?;
                sqlx::query(
                    "UPDATE revision SET builds_asked = 0 WHERE id = $1
             AND EXISTS (SELECT 1 FROM build WHERE revision_id = $1
                 AND (result = 'cancelled' OR cancel IS NOT NULL))",
                )
                .bind(revision.id.0)
                .execute(&mut **turn)
                .await?;
                let text = format!("The branch is at r{} again: {}", revision.number, revision.subject);
                let it = Happening::of_branch(branch.project, branch.id, "revision", Look::Running, text);
                events::record(turn, &it).await?;
                turn.keep();
                turn.changed(branch.project, Topic::Revision, branch.id);
                Ok(true)
            })
            .await
    }
}

impl Reader {
    /// All revisions of a branch, newest first, but the one that its head is at before the others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revisions(&self, branch: BranchId) -> Result<Vec<Revision>> {
        self.revision_page(branch, None, u32::MAX).await
    }

    /// The revisions of a branch below a number, or all, newest first, but the one that its head is at before the others;
    /// no more than `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision_page(&self, branch: BranchId, before: Option<u32>, limit: u32) -> Result<Vec<Revision>> {
        let rows = sqlx::query(
            "SELECT r.* FROM revision r JOIN branch b ON b.id = r.branch_id WHERE b.id = $1
                AND r.number < $2
             ORDER BY CASE WHEN $3 = 0 AND r.number = b.head THEN 0 ELSE 1 END, r.number DESC LIMIT $4",
        )
        .bind(branch.0)
        .bind(before.map_or(i64::MAX, i64::from))
        .bind(i64::from(before.is_some()))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("revision", &rows, read)
    }

    /// The revision that a branch's head is at: its newest, or one that it went back to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_revision(&self, branch: BranchId) -> Result<Option<Revision>> {
        let row = sqlx::query(
            "SELECT r.* FROM revision r JOIN branch b ON b.id = r.branch_id
                AND r.number = b.head WHERE b.id = $1",
        )
        .bind(branch.0)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// The revision of a branch that is at a commit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision_at(&self, branch: BranchId, commit: &CommitId) -> Result<Option<Revision>> {
        let row = sqlx::query(
            "SELECT * FROM revision WHERE branch_id = $1
                AND commit_id = $2 ORDER BY number DESC LIMIT 1",
        )
        .bind(branch.0)
        .bind(commit.as_str())
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// How many revisions a branch has: the highest number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_revision(&self, branch: BranchId) -> Result<u32> {
        let row = sqlx::query(
            "SELECT COALESCE(MAX(number), 0) AS last FROM revision
            WHERE branch_id = $1",
        )
        .bind(branch.0)
        .fetch_one(&mut *self.read().await?)
        .await?;
        row.count("last")
    }

    /// A revision by its number in the store.
    ///
    /// # Errors
    /// When the database fails, or there is no such revision.
    pub async fn revision_by_id(&self, id: RevisionId) -> Result<Revision> {
        read(
            &sqlx::query(
                "SELECT * FROM revision
            WHERE id = $1",
            )
            .bind(id.0)
            .fetch_one(&mut *self.read().await?)
            .await?,
        )
    }
}
