//! Landings: an intent before each push, its outcome after it.

use super::events::{self, Happening};
use super::row::Columns as _;
use super::{Branch, Claim, Entry, Result, Store, now};
use protocol::api::Look;
use protocol::{CommitId, ProjectId, UnixMs};
use sqlx::any::AnyRow;

/// A landing as stored.
#[derive(Clone, Debug)]
pub struct Landing {
    /// Its number.
    pub id: i64,
    /// The queue's entry.
    pub entry: i64,
    /// What mainline is expected to be.
    pub from: CommitId,
    /// What it is to become.
    pub to: CommitId,
    /// When it ended.
    pub ended: Option<UnixMs>,
}

fn read(row: &AnyRow) -> Result<Landing> {
    Ok(Landing {
        id: row.num("id")?,
        entry: row.num("entry_id")?,
        from: row.parsed("from_commit")?,
        to: row.parsed("to_commit")?,
        ended: row.num_or_none("ended_ms")?,
    })
}

impl Store {
    /// Records the intent to push, under a claim; none when the claim is another's by now.
    ///
    /// # Errors
    /// When the database fails, or another landing of the project is open.
    pub async fn begin_landing(
        &self,
        claim: Claim,
        entry: i64,
        from: &CommitId,
        to: &CommitId,
    ) -> Result<Option<Landing>> {
        let row = self
            .write
            .fetch_optional(
                sqlx::query(
                    "INSERT INTO landing (project_id, entry_id, from_commit, to_commit, state, begun_ms)
             SELECT id, $3, $4, $5, 'intent', $6 FROM project WHERE id = $1 AND fence = $2 RETURNING *",
                )
                .bind(claim.project.0)
                .bind(claim.fence.0)
                .bind(entry)
                .bind(from.as_str())
                .bind(to.as_str())
                .bind(now().0),
            )
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The landing whose outcome is not recorded yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_landing(&self, project: ProjectId) -> Result<Option<Landing>> {
        let row = sqlx::query("SELECT * FROM landing WHERE project_id = $1 AND state = 'intent'")
            .bind(project.0)
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Records that a landing came true: the entry and the branch have landed, mainline is there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn landed(&self, landing: &Landing, entry: &Entry, branch: &Branch) -> Result<()> {
        let mut transaction = self.write.begin().await?;
        let at = now().0;
        let done = sqlx::query("UPDATE landing SET state = 'landed', ended_ms = $2 WHERE id = $1 AND state = 'intent'")
            .bind(landing.id)
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(());
        }
        let says = format!("landed as {}", landing.to.short());
        sqlx::query(
            "UPDATE queue_entry SET state = 'landed', code = 'landed', says = $2, next_who = 'nobody', next_what = '', landed = $3, left_ms = $4
             WHERE id = $1",
        )
        .bind(entry.id)
        .bind(&says)
        .bind(landing.to.as_str())
        .bind(at)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE branch SET state = 'landed', state_text = $2, changed_ms = $3 WHERE id = $1")
            .bind(branch.id.0)
            .bind(&says)
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE project SET tip = $2, tip_seen_ms = $3 WHERE id = $1")
            .bind(branch.project.0)
            .bind(landing.to.as_str())
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        let text = format!("Landed on mainline as {}", landing.to.short());
        let it = Happening::of_branch(branch.project, branch.id, "landed", Look::Landed, text);
        events::record(&mut transaction, &it).await?;
        super::builds::cancel_all_of(&mut transaction, branch.id, "the branch has landed").await?;
        transaction.commit().await?;
        self.wake();
        Ok(())
    }

    /// Records that a landing did not come true.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn landing_failed(&self, landing: &Landing, says: &str) -> Result<()> {
        self.write
            .execute(
                sqlx::query(
                    "UPDATE landing SET state = 'failed', says = $2, ended_ms = $3 WHERE id = $1 AND state = 'intent'",
                )
                .bind(landing.id)
                .bind(says)
                .bind(now().0),
            )
            .await?;
        self.wake();
        Ok(())
    }
}
