//! What the mirror has to hold because rows name it, and what became of it when it was lost.

use super::changes::Topic;
use super::events::{self, Happening};
use super::row::{Columns as _, readable};
use super::{Branch, Candidate, Claim, NewRevision, Reader, Result, Revision, Store, Trouble, candidates, now};
use protocol::api::Look;
use protocol::{BranchId, ProjectId, UnixMs};

impl Reader {
    /// The admitted revisions of branches; the newest of each first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn admitted_of(&self, branches: Vec<Branch>) -> Result<Vec<(Branch, Vec<Revision>)>> {
        let mut admitted = self.revisions_of(branches.iter().map(|branch| branch.id).collect::<Vec<_>>()).await?;
        let with = |branch: Branch| {
            let mut all = admitted.remove(&branch.id)?;
            all.retain(|revision| revision.refusal.is_none());
            (!all.is_empty()).then_some((branch, all))
        };
        Ok(branches.into_iter().filter_map(with).collect())
    }

    /// The candidates of a project that are built or may land: the newest of each live branch's newest revision, that of
    /// each entry in the queue and of each stack that is not over, those of a line that is being pushed, and those with an open build; each with its branch and
    /// revision.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wanted_candidates(&self, project: ProjectId) -> Result<Vec<(Branch, Revision, Candidate)>> {
        let rows = sqlx::query(
            "SELECT c.* FROM candidate c JOIN branch b ON b.id = c.branch_id
             WHERE b.project_id = $1 AND b.state = 'live' AND c.outcome = 'made'
                 AND c.terms_hash NOT LIKE 'discarded %'
             AND (EXISTS (SELECT 1 FROM revision r WHERE r.id = c.revision_id
                          AND r.number = b.head AND r.candidate_id = c.id)
                  OR EXISTS (SELECT 1 FROM queue_entry WHERE candidate_id = c.id
                      AND state = 'queued')
                  -- Whoever is behind others has none of its own yet, and is given what stands on mainline when its turn comes.
                  OR EXISTS (SELECT 1 FROM queue_entry q JOIN project p ON p.id = q.project_id
                             WHERE q.revision_id = c.revision_id AND q.state = 'queued'
                                 AND c.mainline = p.tip)
                  OR c.id IN (SELECT m.candidate_id FROM stack s JOIN stack_entry m ON m.stack_id = s.id
                              WHERE s.project_id = $1 AND s.over_ms IS NULL)
                  OR c.id IN (SELECT e.candidate_id FROM landing l JOIN landing_entry e ON e.landing_id = l.id
                              WHERE l.project_id = $1 AND l.state = 'intent')
                  OR EXISTS (SELECT 1 FROM build WHERE candidate_id = c.id AND state <> 'finished'))
             ORDER BY c.id DESC",
        )
        .bind(project.0)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let candidates = readable("candidate", &rows, candidates::read)?;
        let branches = self.branches_by_id(candidates.iter().map(|it| it.branch).collect::<Vec<_>>()).await?;
        let revisions = self.revisions_by_id(candidates.iter().map(|it| it.revision).collect::<Vec<_>>()).await?;
        let with = |it: Candidate| Some((branches.get(&it.branch)?.clone(), revisions.get(&it.revision)?.clone(), it));
        Ok(candidates.into_iter().filter_map(with).collect())
    }
}

impl Store {
    /// Records under a claim that a revision's commit is lost, or that it is back.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn set_lost(
        &self,
        claim: Claim,
        branch: &Branch,
        revision: &Revision,
        lost: Option<&Trouble>,
    ) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let before = sqlx::query(
                    "UPDATE revision SET lost_code = $2, lost_text = $3, lost_hint = $4
             WHERE id = $1 AND COALESCE(lost_text, '') <> COALESCE($3, '') RETURNING id",
                )
                .bind(revision.id.0)
                .bind(lost.map(|t| t.code.clone()))
                .bind(lost.map(|t| t.text.clone()))
                .bind(lost.map(|t| t.hint.to_string()))
                .fetch_optional(&mut **turn)
                .await?;
                if before.is_none() {
                    return Ok(());
                }
                let news = match (&revision.lost, lost) {
                    (None, Some(trouble)) => {
                        Some((Look::Exception, format!("r{} is missing: {}", revision.number, trouble.text)))
                    }
                    (Some(_), None) => Some((Look::Passed, format!("r{} is there again", revision.number))),
                    _ => None,
                };
                if let Some((look, text)) = news {
                    let it = Happening::of_branch(branch.project, branch.id, "missing", look, text);
                    events::record(turn, &it).await?;
                }
                turn.keep();
                turn.changed(branch.project, Topic::Revision, branch.id);
                Ok(())
            })
            .await
    }

    /// Records that a refused revision was looked at again: it is admitted now, or refused with these words.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn readmitted(&self, claim: Claim, branch: &Branch, before: &Revision, new: &NewRevision) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let refusal = new.refusal.as_ref();
                let done = sqlx::query(
                    "UPDATE revision SET subject = $2, author = $3, commits = $4, refusal_code = $5,
                refusal_text = $6, refusal_hint = $7, title = $8
             WHERE id = $1 AND refusal_code IS NOT NULL",
                )
                .bind(before.id.0)
                .bind(&new.subject)
                .bind(&new.author)
                .bind(i64::from(new.commits))
                .bind(refusal.map(|r| r.code.clone()))
                .bind(refusal.map(|r| r.text.clone()))
                .bind(refusal.map(|r| r.hint.to_string()))
                .bind(&new.title)
                .execute(&mut **turn)
                .await?;
                if done.rows_affected() > 0 && refusal.is_none() {
                    let text = format!("r{} looked at again and admitted: {}", before.number, new.subject);
                    let it = Happening::of_branch(branch.project, branch.id, "revision", Look::Running, text);
                    events::record(turn, &it).await?;
                }
                turn.keep();
                turn.changed(branch.project, Topic::Revision, branch.id);
                Ok(())
            })
            .await
    }

    /// Has branches looked at now whose look would come later than it was ever planned for, under a claim: the clock was set
    /// back since.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn look_not_later_than(&self, claim: Claim, latest: UnixMs) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let query = sqlx::query(
                    "UPDATE branch SET next_look_ms = $2 WHERE project_id = $1 AND next_look_ms > $3
                        AND next_look_ms < $4 AND state IN ('live', 'landed') RETURNING id",
                );
                let query = query.bind(claim.project.0).bind(now().0).bind(latest.0).bind(super::NEVER.0);
                for row in query.fetch_all(&mut **turn).await? {
                    turn.keep();
                    turn.changed(claim.project, Topic::Branch, row.num::<i64>("id")?);
                }
                Ok(())
            })
            .await
    }

    /// Has a live branch looked at now, unless that is due already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn look_now(&self, branch: BranchId) -> Result<()> {
        self.write
            .turn(async |turn| {
                let query = sqlx::query(
                    "UPDATE branch SET next_look_ms = $2 WHERE id = $1 AND state = 'live'
                        AND next_look_ms > $2 RETURNING project_id",
                );
                if let Some(row) = query.bind(branch.0).bind(now().0).fetch_optional(&mut **turn).await? {
                    turn.keep();
                    turn.changed(row.num("project_id")?, Topic::Branch, branch);
                }
                Ok(())
            })
            .await
    }
}
