//! Landings: an intent before each push, its outcome after it. The rows hold every commit that an entry was ever pushed as,
//! so that what mainline contains in the end is known for ours however its push was thought to have ended.

use super::changes::Topic;
use super::entries;
use super::events::{self, Happening};
use super::row::{Columns as _, readable};
use super::{Branch, BranchState, Claim, Entry, Reader, Result, Store, TokenRow, now};
use protocol::api::Look;
use protocol::{BranchId, CommitId, ProjectId, UnixMs};
use sqlx::AnyConnection;
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
    /// When it was begun.
    pub begun: UnixMs,
    /// When it ended.
    pub ended: Option<UnixMs>,
}

/// What came of beginning a landing.
#[derive(Clone, Debug)]
pub enum Begun {
    /// The intent is durable: it may be pushed.
    Yes(Landing),
    /// Something of what it rests on is not so any more: the entry, its candidate, its branch, the acceptor's right, the
    /// queue's pause or mainline. The next decision sees it.
    Not,
}

/// How a landing ended that did not come true, as far as is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailedBy {
    /// Mainline has moved, or nothing came of it.
    Overtaken,
    /// The official repository refused it.
    Refused,
    /// bb's own check before the push.
    Check,
}

impl FailedBy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Overtaken => "failed",
            Self::Refused => "refused",
            Self::Check => "mischecked",
        }
    }
}

/// How the pushes of one entry failed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Failures {
    /// How often the official repository refused this commit.
    pub refused: u32,
    /// When it did so last.
    pub refused_at: Option<UnixMs>,
    /// What it said then.
    pub refused_said: String,
    /// How often bb's own check refused one of the entry's candidates.
    pub checks: u32,
}

pub(super) fn read(row: &AnyRow) -> Result<Landing> {
    Ok(Landing {
        id: row.num("id")?,
        entry: row.num("entry_id")?,
        from: row.parsed("from_commit")?,
        to: row.parsed("to_commit")?,
        begun: row.num("begun_ms")?,
        ended: row.num_or_none("ended_ms")?,
    })
}

/// The landing of a branch that is under way.
pub(super) async fn open_of(connection: &mut AnyConnection, branch: BranchId) -> Result<Option<Landing>> {
    let row = sqlx::query(
        "SELECT landing.* FROM landing JOIN queue_entry ON queue_entry.id = landing.entry_id
         WHERE queue_entry.branch_id = $1 AND landing.state = 'intent'",
    )
    .bind(branch.0)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read).transpose()
}

impl Store {
    /// Records the intent to push, if everything that it rests on is so at this moment: the entry in the queue with this very candidate on this very mainline, its branch live, nothing paused, no other landing under way, and
    /// whoever accepted it may do so still, as `may` says of the token and the branch.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn begin_landing(
        &self,
        claim: Claim,
        entry: i64,
        from: &CommitId,
        to: &CommitId,
        may: impl Fn(Option<&TokenRow>, &Branch) -> bool + Send,
    ) -> Result<Begun> {
        self.write
            .turn_under(claim, async |turn| {
                let found = sqlx::query(
                    "SELECT * FROM queue_entry WHERE id = $1
                        AND project_id = $2 AND state = 'queued'",
                )
                .bind(entry)
                .bind(claim.project.0)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(entry) = found.as_ref().map(entries::read).transpose()? else { return Ok(Begun::Not) };
                if !may_go_on(turn, &entry, from, to, may).await? {
                    return Ok(Begun::Not);
                }
                let row = sqlx::query(
                    "INSERT INTO landing (project_id, entry_id, from_commit, to_commit, state,
                        begun_ms)
             SELECT $1, $2, $3, $4, 'intent', $5
             WHERE NOT EXISTS (SELECT 1 FROM landing WHERE project_id = $1
                 AND state = 'intent') RETURNING *",
                )
                .bind(claim.project.0)
                .bind(entry.id)
                .bind(from.as_str())
                .bind(to.as_str())
                .bind(now().0)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(row) = row else { return Ok(Begun::Not) };
                let landing = read(&row)?;
                entries::stands(turn, entry.id, "landing", "its tested commit is being pushed", "bb", "pushes it")
                    .await?;
                turn.keep();
                turn.changed(claim.project, Topic::Queue, entry.branch);
                Ok(Begun::Yes(landing))
            })
            .await
    }
}

impl Reader {
    /// Whether an open landing would be begun now: what a master does that finds one which another had begun.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_land_on(
        &self,
        landing: &Landing,
        may: impl Fn(Option<&TokenRow>, &Branch) -> bool + Send,
    ) -> Result<bool> {
        let entry = self.entry(landing.entry).await?;
        let mut connection = self.read().await?;
        may_go_on(&mut connection, &entry, &landing.from, &landing.to, may).await
    }

    /// The landing whose outcome is not recorded yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_landing(&self, project: ProjectId) -> Result<Option<Landing>> {
        let row = sqlx::query("SELECT * FROM landing WHERE project_id = $1 AND state = 'intent'")
            .bind(project.0)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// All pushes of a project's entries that are not recorded as landed, newest first: mainline may contain them all the
    /// same.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unlanded(&self, project: ProjectId) -> Result<Vec<Landing>> {
        let rows = sqlx::query(
            "SELECT landing.* FROM landing JOIN queue_entry ON queue_entry.id = landing.entry_id
             WHERE landing.project_id = $1 AND landing.state <> 'landed'
                 AND queue_entry.state <> 'landed'
             ORDER BY landing.id DESC",
        )
        .bind(project.0)
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("landing", &rows, read)
    }

    /// Whether anything of a branch was ever pushed that is not recorded as landed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unlanded_of(&self, branch: BranchId) -> Result<bool> {
        let row = sqlx::query(
            "SELECT 1 AS holds FROM landing JOIN queue_entry ON queue_entry.id = landing.entry_id
             WHERE queue_entry.branch_id = $1 AND landing.state <> 'landed'
                 AND queue_entry.state <> 'landed' LIMIT 1",
        )
        .bind(branch.0)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        Ok(row.is_some())
    }

    /// How the pushes of an entry failed, and those of this commit of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn failures(&self, entry: i64, commit: &CommitId) -> Result<Failures> {
        let rows = sqlx::query(
            "SELECT * FROM landing WHERE entry_id = $1 AND state IN ('refused',
                'mischecked') ORDER BY id",
        )
        .bind(entry)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let mut failures = Failures::default();
        for row in &rows {
            let landing = read(row)?;
            if row.text("state")? == FailedBy::Check.as_str() {
                failures.checks += 1;
            } else if landing.to == *commit {
                failures.refused += 1;
                failures.refused_at = landing.ended;
                failures.refused_said = row.text("says")?;
            }
        }
        Ok(failures)
    }
}

impl Store {
    /// Records that a landing came true, whatever was thought of it before: the entry and the branch have landed, other
    /// entries of the branch are over, and mainline is there unless it is seen further on already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn landed(&self, landing: &Landing) -> Result<()> {
        self.write
            .turn(async |turn| {
                let at = now().0;
                // No more of its row than is needed: what else can't be read does not unmake what mainline has.
                let row = sqlx::query("SELECT project_id, branch_id FROM queue_entry WHERE id = $1")
                    .bind(landing.entry)
                    .fetch_one(&mut **turn)
                    .await?;
                let (id, project) = (landing.entry, row.num::<ProjectId>("project_id")?);
                let branch: BranchId = row.num("branch_id")?;
                let says = format!("landed as {}", landing.to.short());
                let done = sqlx::query(
                    "UPDATE queue_entry SET state = 'landed', code = 'landed', says = $2,
                next_who = 'nobody', next_what = '', landed = $3, left_ms = $4
             WHERE id = $1 AND state <> 'landed'",
                )
                .bind(id)
                .bind(&says)
                .bind(landing.to.as_str())
                .bind(at)
                .execute(&mut **turn)
                .await?;
                sqlx::query(
                    "UPDATE landing SET state = 'landed', ended_ms = $2 WHERE id = $1
            AND state <> 'landed'",
                )
                .bind(landing.id)
                .bind(at)
                .execute(&mut **turn)
                .await?;
                sqlx::query("UPDATE project SET tip = $2, tip_seen_ms = $3 WHERE id = $1 AND tip = $4")
                    .bind(project.0)
                    .bind(landing.to.as_str())
                    .bind(at)
                    .bind(landing.from.as_str())
                    .execute(&mut **turn)
                    .await?;
                if done.rows_affected() > 0 {
                    let other = "another place of its branch landed";
                    entries::end_others(turn, branch, id, other).await?;
                    sqlx::query(
                        "UPDATE branch SET state = $2, state_text = $3, changed_ms = $4
                WHERE id = $1",
                    )
                    .bind(branch.0)
                    .bind(BranchState::Landed.as_str())
                    .bind(&says)
                    .bind(at)
                    .execute(&mut **turn)
                    .await?;
                    let text = format!("Landed on mainline as {}", landing.to.short());
                    let it = Happening::of_branch(project, branch, "landed", Look::Landed, text);
                    events::record(turn, &it).await?;
                    super::builds::cancel_all_of(turn, branch, "the branch has landed").await?;
                }
                turn.keep();
                turn.changed(project, Topic::Queue, branch);
                turn.changed(project, Topic::Branch, branch);
                turn.changed(project, Topic::Mainline, 0);
                Ok(())
            })
            .await
    }

    /// Records that a landing did not come true, as far as is known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn landing_failed(&self, claim: Claim, landing: &Landing, by: FailedBy, says: &str) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                sqlx::query(
                    "UPDATE landing SET state = $2, says = $3, ended_ms = $4 WHERE id = $1
                        AND state = 'intent'",
                )
                .bind(landing.id)
                .bind(by.as_str())
                .bind(says)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                turn.keep();
                turn.changed(claim.project, Topic::Queue, 0);
                Ok(())
            })
            .await
    }

    /// Ends an open intent of which not even the row can be read, under a claim. What was to be pushed is not known; if it came,
    /// mainline has all of the branch, which is seen when it is looked at.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn unreadable_landing_failed(&self, claim: Claim, says: &str) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                sqlx::query(
                    "UPDATE landing SET state = 'failed', says = $2, ended_ms = $3
                     WHERE project_id = $1 AND state = 'intent'",
                )
                .bind(claim.project.0)
                .bind(says)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                turn.keep();
                turn.changed(claim.project, Topic::Queue, 0);
                Ok(())
            })
            .await
    }
}

/// Whether all that a landing rests on is so, but for the claim.
async fn may_go_on(
    connection: &mut AnyConnection,
    entry: &Entry,
    from: &CommitId,
    to: &CommitId,
    may: impl Fn(Option<&TokenRow>, &Branch) -> bool + Send,
) -> Result<bool> {
    let all = sqlx::query(
        "SELECT 1 AS holds FROM queue_entry q JOIN project p ON p.id = q.project_id
         JOIN candidate c ON c.id = q.candidate_id AND c.revision_id = q.revision_id
         WHERE q.id = $1 AND q.state = 'queued' AND p.paused = 0 AND p.tip = $2
         AND c.mainline = $2 AND c.commit_id = $3 AND c.terms_hash = q.terms_hash",
    )
    .bind(entry.id)
    .bind(from.as_str())
    .bind(to.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    if all.is_none() {
        return Ok(false);
    }
    let branch = super::branches::by_id(&mut *connection, entry.branch).await?;
    let token = entries::acceptor(connection, entry).await?;
    Ok(branch.state == BranchState::Live && may(token.as_ref(), &branch))
}
