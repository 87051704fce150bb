//! What became of branches afterwards: found in mainline whoever put it there, taken out of it by a rewrite, moved on at
//! their source since they landed.

use super::changes::Topic;
use super::events::{self, Happening};
use super::row::{Columns as _, or_left_out, readable};
use super::{Branch, BranchState, Claim, Entry, Reader, Result, Revision, Store, entries, landings, now};
use protocol::api::Look;
use protocol::{CommitId, ProjectId, UnixMs};

/// The next look at a branch that nobody wants looked at any more.
pub const NEVER: UnixMs = UnixMs(i64::MAX / 2);

impl Store {
    /// Ends a live branch of whose newest revision mainline has all, at `tip`, under a claim: as landed, if bb landed that
    /// very revision, else as retired. What is in the queue ends there. False when it is not so any more, or when nothing of
    /// the branch was ever its own.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn found_in_mainline(
        &self,
        claim: Claim,
        branch: &Branch,
        revision: &Revision,
        tip: &CommitId,
    ) -> Result<bool> {
        self.write
            .turn_under(claim, async |turn| {
                if landings::open_of(turn, branch.id).await?.is_some() {
                    return Ok(false);
                }
                let landed = sqlx::query(
                    "SELECT landed FROM queue_entry WHERE branch_id = $1 AND commit_id = $2
                AND landed IS NOT NULL ORDER BY id DESC LIMIT 1",
                );
                let landed =
                    landed.bind(branch.id.0).bind(revision.commit.as_str()).fetch_optional(&mut **turn).await?;
                let landed = landed.map(|row| row.parsed::<CommitId>("landed")).transpose()?;
                let (state, why) = match &landed {
                    Some(commit) => (BranchState::Landed, format!("landed as {}", commit.short())),
                    None => (BranchState::Retired, "in-mainline".to_owned()),
                };
                let done = sqlx::query(
                    "UPDATE branch SET state = $2, state_text = $3, changed_ms = $4 WHERE id = $1
                AND state = 'live'
             AND looked_ms >= published_ms AND EXISTS (SELECT 1 FROM project
                 WHERE id = branch.project_id AND tip = $5)
             AND EXISTS (SELECT 1 FROM revision WHERE branch_id = $1 AND commits > 0)
             AND NOT EXISTS (SELECT 1 FROM queue_entry WHERE branch_id = $1 AND state = 'queued')
             AND head = $6",
                )
                .bind(branch.id.0)
                .bind(state.as_str())
                .bind(why)
                .bind(now().0)
                .bind(tip.as_str())
                .bind(i64::from(revision.number))
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(false);
                }
                let (kind, look, text) = match &landed {
                    Some(commit) => ("landed", Look::Landed, format!("It landed before, as {}", commit.short())),
                    None => ("retired", Look::Retired, "Mainline's history has all of it already".to_owned()),
                };
                events::record(turn, &Happening::of_branch(branch.project, branch.id, kind, look, text)).await?;
                super::builds::cancel_all_of(turn, branch.id, "the branch has ended").await?;
                turn.keep();
                turn.changed(branch.project, Topic::Branch, branch.id);
                Ok(true)
            })
            .await
    }
}

impl Reader {
    /// Live branches that had commits of their own, whose head `mainline` contains by what came of its candidate, which are not in
    /// the queue, and were looked at since they were published: before that nobody knows what they are by now. Only bb's own words are read as codes: what a stranger wrote stands in JSON with its quotes escaped.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contained(&self, project: ProjectId, mainline: &CommitId) -> Result<Vec<(Branch, Revision)>> {
        let rows = sqlx::query(
            r#"SELECT r.* FROM branch b JOIN project p ON p.id = b.project_id
             JOIN revision r ON r.branch_id = b.id AND r.number = b.head
             WHERE b.project_id = $1 AND b.state = 'live' AND r.remake = 0 AND p.followed = $2
             AND EXISTS (SELECT 1 FROM candidate c WHERE c.id = r.candidate_id AND c.outcome = 'refused'
                         AND (c.detail LIKE '%"code":"already-landed"%' OR c.detail LIKE '%"code":"equal-to-mainline"%' OR c.detail LIKE '%"code":"same-patches"%'))
             AND b.looked_ms >= b.published_ms
             AND EXISTS (SELECT 1 FROM revision own WHERE own.branch_id = b.id AND own.commits > 0)
             AND NOT EXISTS (SELECT 1 FROM queue_entry q WHERE q.branch_id = b.id
                 AND q.state = 'queued') ORDER BY r.id LIMIT 200"#,
        );
        let rows = rows.bind(project.0).bind(mainline.as_str()).fetch_all(&mut *self.read().await?).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let read = async {
                let revision = super::revisions::read(row)?;
                Ok((self.branch_by_id(revision.branch).await?, revision))
            };
            found.extend(or_left_out("revision", row, read.await)?);
        }
        Ok(found)
    }

    /// The branches that were retired because mainline had all of them, the newest of these first, with the revision that it had.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retired_in_mainline(&self, project: ProjectId) -> Result<Vec<Revision>> {
        let rows = sqlx::query(
            "SELECT r.* FROM branch b JOIN revision r ON r.branch_id = b.id AND r.number = b.head
             WHERE b.project_id = $1 AND b.state = 'retired' AND b.state_text = 'in-mainline'
             ORDER BY b.changed_ms DESC, b.id DESC LIMIT 200",
        );
        let rows = rows.bind(project.0).fetch_all(&mut *self.read().await?).await?;
        readable("revision", &rows, super::revisions::read)
    }

    /// The entries that landed, whatever became of their branches since: all, or only those that were taken out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn landed_entries(&self, project: ProjectId, only_taken_out: bool) -> Result<Vec<Entry>> {
        let rows = sqlx::query(
            "SELECT * FROM queue_entry
             WHERE project_id = $1 AND landed IS NOT NULL AND ($2 = 0 OR taken_out_ms IS NOT NULL)
             ORDER BY id DESC",
        )
        .bind(project.0)
        .bind(i64::from(only_taken_out))
        .fetch_all(&mut *self.read().await?)
        .await?;
        readable("queue_entry", &rows, entries::read)
    }
}

impl Store {
    /// Records that mainline does not hold what landed any more since its tip is by `out`, or that it does again, under a
    /// claim; nothing when that was known.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn set_taken_out(&self, claim: Claim, entry: &Entry, out: Option<&str>) -> Result<()> {
        let Some(landed) = &entry.landed else { return Ok(()) };
        self.write
            .turn_under(claim, async |turn| {
                let done = sqlx::query(
                    "UPDATE queue_entry SET taken_out_ms = CASE WHEN $2 = 1 THEN $3 ELSE NULL END, taken_out_by = $4
                     WHERE id = $1 AND (CASE WHEN taken_out_ms IS NULL THEN 0 ELSE 1 END) <> $2",
                )
                .bind(entry.id)
                .bind(i64::from(out.is_some()))
                .bind(now().0)
                .bind(out.unwrap_or_default())
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() == 0 {
                    return Ok(());
                }
                sqlx::query("UPDATE branch SET changed_ms = $2 WHERE id = $1")
                    .bind(entry.branch.0)
                    .bind(now().0)
                    .execute(&mut **turn)
                    .await?;
                let (kind, look, text) = match out {
                    Some(by) => {
                        let whose = if by.is_empty() { String::new() } else { format!(" whose tip is by {by}") };
                        let landed = landed.short();
                        let text = format!("A push{whose} took {landed} out of mainline, as which it had landed");
                        ("taken-out", Look::Exception, text)
                    }
                    None => {
                        let text = format!("Mainline holds {} again, as which it had landed", landed.short());
                        ("landed", Look::Landed, text)
                    }
                };
                events::record(turn, &Happening::of_branch(entry.project, entry.branch, kind, look, text)).await?;
                turn.keep();
                turn.changed(entry.project, Topic::Queue, entry.branch);
                Ok(())
            })
            .await
    }

    /// Has a branch that was retired because mainline had all of it be live again, under a claim, since mainline, whose tip is by
    /// `by`, does not have it any more: nobody took it back, and it is still to land. Its candidate is made anew. Where its source
    /// is live under another name by now, that is what is still to land.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn gone_from_mainline(&self, claim: Claim, revision: &Revision, by: &str) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let done = sqlx::query(
                    "UPDATE branch SET state = 'live', state_text = '', changed_ms = $3, next_look_ms = $3
                     WHERE id = $1 AND head = $2 AND state = 'retired' AND state_text = 'in-mainline'
                         AND NOT EXISTS (SELECT 1 FROM branch other WHERE other.project_id = branch.project_id
                             AND other.url = branch.url AND other.source_ref = branch.source_ref AND other.state = 'live')",
                );
                let done = done.bind(revision.branch.0).bind(i64::from(revision.number)).bind(now().0);
                if done.execute(&mut **turn).await?.rows_affected() == 0 {
                    return Ok(());
                }
                super::builds::wanted_again(turn, revision.branch).await?;
                super::touched::head_is_new(turn, revision.id).await?;
                let whose = if by.is_empty() { String::new() } else { format!(" whose tip is by {by}") };
                let text =
                    format!("A push{whose} took out of mainline what it had of r{}: it is live again", revision.number);
                let it = Happening::of_branch(claim.project, revision.branch, "taken-out", Look::Exception, text);
                events::record(turn, &it).await?;
                turn.keep();
                turn.changed(claim.project, Topic::Branch, revision.branch);
                Ok(())
            })
            .await
    }

    /// Records where the source of a landed branch is since, if that is not in mainline, under a claim, and when to look next.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn looked_at_landed(
        &self,
        claim: Claim,
        branch: &Branch,
        newer: Option<&CommitId>,
        next: UnixMs,
    ) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let newer = newer.map_or("", CommitId::as_str);
                let done = sqlx::query(
                    "UPDATE branch SET newer_head = $2, changed_ms = $3 WHERE id = $1
                AND state = 'landed' AND newer_head <> $2",
                );
                let done = done.bind(branch.id.0).bind(newer).bind(now().0).execute(&mut **turn).await?;
                sqlx::query(
                    "UPDATE branch SET looked_ms = $2, next_look_ms = $3 WHERE id = $1
            AND state = 'landed'",
                )
                .bind(branch.id.0)
                .bind(now().0)
                .bind(next.0)
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() > 0 && !newer.is_empty() {
                    let text = "Its source has moved on since it landed: publish it again to land that";
                    let it =
                        Happening::of_branch(branch.project, branch.id, "moved-on", Look::Warnings, text.to_owned());
                    events::record(turn, &it).await?;
                }
                turn.keep();
                if done.rows_affected() > 0 {
                    turn.changed(branch.project, Topic::Branch, branch.id);
                }
                Ok(())
            })
            .await
    }
}
