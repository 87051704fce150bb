//! Which branches are due to be looked at.

use super::branches::TOKEN_OF_NOW;
use super::changes::Topic;
use super::events::{self, Happening};
use super::row::{Columns as _, readable};
use super::{Branch, Claim, Reader, Result, Store, Trouble, branches, now};
use protocol::api::Look;
use protocol::{ProjectId, UnixMs};

/// A branch that is due: a live one, or one that landed.
#[derive(Clone, Debug)]
pub struct DueLook {
    /// The branch.
    pub branch: Branch,
    /// Whether it is in the queue.
    pub accepted: bool,
}

/// The most that are given at once.
const MOST: i64 = 512;

impl Store {
    /// Records a look at a live branch's source, under a claim: what was wrong, if anything, and when to look next. `branch`
    /// is as it was when the look began: if another look was asked for since, that is still due.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn looked(&self, claim: Claim, branch: &Branch, trouble: Option<&Trouble>, next: UnixMs) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let before = sqlx::query(
                    "SELECT trouble_code, next_look_ms FROM branch
                        WHERE id = $1 AND state = 'live'",
                )
                .bind(branch.id.0)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(before) = before else { return Ok(()) };
                let troubled = before.text_or_none("trouble_code")?;
                let due = before.num::<UnixMs>("next_look_ms")? != branch.next_look;
                sqlx::query(
                    "UPDATE branch SET looked_ms = $2,
                look_asked = CASE WHEN next_look_ms = $7 THEN 0 ELSE look_asked END,
             next_look_ms = CASE WHEN next_look_ms = $7 THEN $3 ELSE next_look_ms END,
             look_failures = CASE WHEN $4 IS NULL THEN 0 ELSE look_failures + 1 END,
             trouble_code = $4, trouble_text = $5, trouble_hint = $6 WHERE id = $1",
                )
                .bind(branch.id.0)
                .bind(now().0)
                .bind(next.0)
                .bind(trouble.map(|t| t.code.clone()))
                .bind(trouble.map(|t| t.text.clone()))
                .bind(trouble.map(|t| t.hint.to_string()))
                .bind(branch.next_look.0)
                .execute(&mut **turn)
                .await?;
                let news = trouble.filter(|t| troubled.as_ref() != Some(&t.code));
                if let Some(trouble) = news {
                    let text = trouble.text.clone();
                    let it = Happening::of_branch(branch.project, branch.id, "source-trouble", Look::Exception, text);
                    events::record(turn, &it).await?;
                }
                turn.keep();
                // A look that found nothing is no news: nobody is woken by it.
                if due || news.is_some() || troubled.is_some() {
                    turn.changed(branch.project, Topic::Branch, branch.id);
                }
                Ok(())
            })
            .await
    }
}

impl Reader {
    /// Branches that are due now: all that are accepted, and of each publisher the first `each`, by turns of the hosts, so that
    /// no publisher and no host hides another, however many are due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_looks(&self, project: ProjectId, now: UnixMs, each: u32) -> Result<Vec<DueLook>> {
        let sql = format!(
            "WITH due AS (
                 SELECT b.*, {TOKEN_OF_NOW},
                 CASE WHEN EXISTS (SELECT 1 FROM queue_entry q WHERE q.branch_id = b.id AND q.state = 'queued') THEN 1 ELSE 0 END AS accepted,
                 CASE WHEN b.token_id IS NULL THEN b.address ELSE 'token ' || CAST(b.token_id AS TEXT) END AS who
                 FROM branch b LEFT JOIN token ON token.id = b.token_id WHERE b.project_id = $1 AND (b.state = 'live' OR (b.state = 'landed' AND b.next_look_ms < $5))
                 AND b.next_look_ms <= $2
             ), there AS (
                 SELECT due.*, ROW_NUMBER() OVER (
                     PARTITION BY who, host ORDER BY accepted DESC, look_asked DESC, next_look_ms, id) AS nth_there
                 FROM due
             ), turns AS (
                 SELECT there.*, ROW_NUMBER() OVER (
                     PARTITION BY who ORDER BY accepted DESC, nth_there, look_asked DESC, next_look_ms, id) AS nth
                 FROM there
             )
             SELECT * FROM turns WHERE accepted = 1 OR nth <= $3 ORDER BY accepted DESC, nth, next_look_ms, id LIMIT $4",
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(project.0)
            .bind(now.0)
            .bind(i64::from(each))
            .bind(MOST)
            .bind(super::NEVER.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
        readable("branch", &rows, |row| {
            Ok(DueLook { branch: branches::read(row)?, accepted: row.num::<i64>("accepted")? == 1 })
        })
    }

    /// When the next branch is due, later than `after`; none when none will be, or while mainline was never seen: checks leave
    /// out what that has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_look(&self, project: ProjectId, after: UnixMs) -> Result<Option<UnixMs>> {
        let row = sqlx::query(
            "SELECT MIN(next_look_ms) AS next FROM branch WHERE project_id = $1 AND state IN ('live', 'landed') AND next_look_ms > $2 AND next_look_ms < $3
                 AND EXISTS (SELECT 1 FROM project WHERE id = $1 AND tip IS NOT NULL)",
        )
        .bind(project.0)
        .bind(after.0)
        .bind(super::NEVER.0)
        .fetch_one(&mut *self.read().await?)
        .await?;
        row.num_or_none("next")
    }
}
