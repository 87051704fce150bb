//! Candidates: what would land, one for each revision, commit of mainline and terms (the day, the message) that it is made by.
//! The one that was made last counts for its revision, also while mainline moves on in what it does not touch.

use super::changes::Topic;
use super::events::{self, Happening};
use super::row::{Columns as _, or_left_out, to_json};
use super::{Branch, Claim, Entry, Reader, Result, Revision, Store, now, touched};
use protocol::api::{CandidateOutcome, Look, Refusal};
use protocol::{BranchId, CandidateId, CommitId, ProjectId, RevisionId, UnixMs};
use sqlx::Any;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use std::collections::HashSet;

/// How long a candidate that was made for a stack is kept though nothing has it yet: an hour.
const YOUNG_MS: i64 = 3_600_000;

/// A candidate as stored.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its number.
    pub id: CandidateId,
    /// The branch.
    pub branch: BranchId,
    /// The revision.
    pub revision: RevisionId,
    /// Mainline's commit that it stands on.
    pub mainline: CommitId,
    /// The hash of the terms that it was made by.
    pub terms_hash: String,
    /// What came of it.
    pub outcome: CandidateOutcome,
    /// The tree of its commit, if there is one.
    pub tree: Option<CommitId>,
    /// The request it was made by, as JSON: made again, it gives the same commit.
    pub request: String,
    /// Whether the recipe differs from mainline's.
    pub changes_recipe: bool,
    /// What is wrong with the recipe that it brings, if anything.
    pub recipe_trouble: Option<Refusal>,
    /// When it was made.
    pub made: UnixMs,
}

/// A candidate to be recorded.
#[derive(Clone, Debug)]
pub struct NewCandidate<'a> {
    /// Mainline's commit that it stands on.
    pub mainline: &'a CommitId,
    /// The hash of the terms that it was made by.
    pub terms_hash: &'a str,
    /// What came of it.
    pub outcome: CandidateOutcome,
    /// The tree of its commit, if there is one.
    pub tree: Option<CommitId>,
    /// The request it was made by, as JSON.
    pub request: String,
    /// Whether the recipe differs from mainline's.
    pub changes_recipe: bool,
    /// What is wrong with the recipe that it brings, if anything.
    pub recipe_trouble: Option<Refusal>,
    /// What its revision is called, as the message has it; none where that is not known.
    pub title: Option<String>,
    /// What it touches, as numbers: when any of it moves on mainline, it is made again.
    pub touched: Vec<i64>,
}

/// A candidate of a line to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct NewInLine<'a> {
    /// The branch.
    pub branch: &'a Branch,
    /// Its revision.
    pub revision: &'a Revision,
    /// What came of it.
    pub new: &'a NewCandidate<'a>,
}

/// A candidate that is to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The branch.
    pub branch: Branch,
    /// Its revision.
    pub revision: Revision,
    /// The place in the queue that wants it, if one does.
    pub entry: Option<Entry>,
}

impl Candidate {
    /// Whether there is a commit.
    pub fn is_made(&self) -> bool {
        self.made_commit().is_some()
    }

    /// The commit, if there is one.
    pub fn made_commit(&self) -> Option<&CommitId> {
        commit_of(&self.outcome)
    }
}

fn commit_of(outcome: &CandidateOutcome) -> Option<&CommitId> {
    match outcome {
        CandidateOutcome::Made { commit, .. } => Some(commit),
        CandidateOutcome::Conflict { .. } | CandidateOutcome::Refused(_) | CandidateOutcome::MainlineTrouble(_) => None,
    }
}

/// The word by which statements find it.
const fn word(outcome: &CandidateOutcome) -> &'static str {
    match outcome {
        CandidateOutcome::Made { .. } => "made",
        CandidateOutcome::Conflict { .. } => "conflict",
        CandidateOutcome::Refused(_) => "refused",
        CandidateOutcome::MainlineTrouble(_) => "mainline-trouble",
    }
}

pub(super) fn read(row: &AnyRow) -> Result<Candidate> {
    Ok(Candidate {
        id: row.num("id")?,
        branch: row.num("branch_id")?,
        revision: row.num("revision_id")?,
        mainline: row.parsed("mainline")?,
        terms_hash: row.text("terms_hash")?,
        outcome: row.json("detail")?,
        tree: row.parsed_or_none("tree_id")?,
        request: row.text("request")?,
        changes_recipe: row.flag("changes_recipe")?,
        recipe_trouble: row.json("recipe_trouble")?,
        made: row.num("made_ms")?,
    })
}

impl Reader {
    /// Revisions of a project that want a candidate on this mainline commit: the first in the queue that does not wait for
    /// mainline to be mended or for what it lacks, and the one that the queue says it wants, by the terms that they were
    /// accepted by; then the heads of live branches that have none, or of whose candidate something moved. Whoever is behind
    /// in the queue gets one when its turn comes: on another mainline, if the first lands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revisions_without_candidate(
        &self,
        project: ProjectId,
        mainline: &CommitId,
        by_queue: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Wanted>> {
        let queued = sqlx::query(
            "SELECT r.*, q.id AS entry_id FROM queue_entry q JOIN revision r ON r.id = q.revision_id
                 JOIN branch b ON b.id = q.branch_id
             WHERE (q.id = $3 OR q.id = (
                 SELECT q.id FROM queue_entry q JOIN revision r ON r.id = q.revision_id JOIN branch b ON b.id = q.branch_id
                 WHERE q.project_id = $1 AND q.state = 'queued' AND q.hold IS NULL AND q.when_green = 0 AND q.terms <> '' AND b.state = 'live'
                     AND r.refusal_code IS NULL AND r.lost_code IS NULL
                     AND NOT EXISTS (SELECT 1 FROM candidate c WHERE c.revision_id = r.id AND c.mainline = $2
                         AND c.terms_hash = q.terms_hash AND c.outcome = 'mainline-trouble')
                 ORDER BY q.expedited DESC, q.priority DESC, q.accepted_ms, q.id LIMIT 1))
             AND q.state = 'queued' AND q.terms <> '' AND b.state = 'live' AND r.refusal_code IS NULL
             AND NOT EXISTS (SELECT 1 FROM candidate c WHERE c.revision_id = r.id AND c.mainline = $2
                 AND c.terms_hash = q.terms_hash)
             ORDER BY q.expedited DESC, q.priority DESC, q.accepted_ms, q.id",
        );
        let rows = queued
            .bind(project.0)
            .bind(mainline.as_str())
            .bind(by_queue.unwrap_or(0))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let mut wanted = Vec::with_capacity(rows.len());
        for row in &rows {
            wanted.extend(self.wanted(row).await?);
        }
        let to_be_made = sqlx::query(
            "SELECT r.*, q.id AS entry_id FROM revision r JOIN branch b ON b.id = r.branch_id
             LEFT JOIN queue_entry q ON q.branch_id = b.id AND q.revision_id = r.id AND q.state = 'queued' AND q.terms <> ''
             WHERE r.remake = 1 AND r.refusal_code IS NULL AND b.project_id = $1 AND b.state = 'live' AND r.number = b.head
             ORDER BY r.id LIMIT $2",
        );
        // Some of these may be in the queue, too.
        let rows = to_be_made.bind(project.0).bind(i64::from(limit)).fetch_all(&mut *self.read().await?).await?;
        for row in &rows {
            let id: RevisionId = row.num("id")?;
            if wanted.len() < limit as usize && wanted.iter().all(|it| it.revision.id != id) {
                wanted.extend(self.wanted(row).await?);
            }
        }
        Ok(wanted)
    }
}

impl Reader {
    /// The candidate that a row's revision wants; none when a row of it can't be read.
    async fn wanted(&self, row: &AnyRow) -> Result<Option<Wanted>> {
        let read = async {
            let revision = super::revisions::read(row)?;
            let entry = match row.num_or_none::<i64>("entry_id")? {
                Some(id) => Some(self.entry(id).await?),
                None => None,
            };
            Ok(Wanted { branch: self.branch_by_id(revision.branch).await?, revision, entry })
        };
        or_left_out("revision", row, read.await)
    }
}

impl Store {
    /// Records what came of making a candidate, under a claim, and has it count; nothing when the claim is another's. It stands
    /// until something that it touches moves: made on another mainline than that up to which candidates were told what moved,
    /// it is to be made again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_candidate(
        &self,
        claim: Claim,
        branch: &Branch,
        revision: &Revision,
        new: &NewCandidate<'_>,
    ) -> Result<()> {
        let outcome = &new.outcome;
        self.write
            .turn(async |turn| {
                let before = sqlx::query(
                    "SELECT outcome FROM candidate WHERE revision_id = $1 AND stacked = 0
            ORDER BY id DESC LIMIT 1",
                )
                .bind(revision.id.0)
                .fetch_optional(&mut **turn)
                .await?;
                let done = sqlx::query(
                    "INSERT INTO candidate (project_id, branch_id, revision_id, mainline, terms_hash,
                outcome, commit_id, tree_id, request, detail, changes_recipe, recipe_trouble,
                    made_ms)
             SELECT id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 FROM project
                 WHERE id = $1 AND fence = $2
             -- What it stood on in a line is mainline by now.
             ON CONFLICT (revision_id, mainline, terms_hash) DO UPDATE SET stacked = 0 WHERE candidate.stacked = 1",
                );
                let done = bind_new(done, claim, branch, revision, new)?.execute(&mut **turn).await?;
                let counts = sqlx::query(
                    "UPDATE revision SET candidate_id = c.id,
                         remake = CASE WHEN p.followed = c.mainline THEN 0 ELSE 1 END,
                         title = COALESCE($6, title)
                     FROM candidate c JOIN project p ON p.id = c.project_id
                     WHERE revision.id = $3 AND c.revision_id = $3 AND c.mainline = $4
                         AND c.terms_hash = $5 AND p.id = $1 AND p.fence = $2 RETURNING remake",
                )
                .bind(claim.project.0)
                .bind(claim.fence.0)
                .bind(revision.id.0)
                .bind(new.mainline.as_str())
                .bind(new.terms_hash)
                .bind(new.title.as_deref())
                .fetch_optional(&mut **turn)
                .await?;
                let Some(counts) = counts else { return Ok(()) };
                if counts.num::<i64>("remake")? == 0 {
                    touched::keep(turn, claim.project, revision.id, &new.touched).await?;
                }
                turn.keep();
                turn.changed(branch.project, Topic::Candidate, branch.id);
                if done.rows_affected() == 0 {
                    return Ok(());
                }
                // A candidate remade with the same outcome is no news on the timeline.
                let news = match before {
                    None => true,
                    Some(row) => row.text("outcome")? != word(outcome),
                };
                if news {
                    let (look, text) = match outcome {
                        CandidateOutcome::Made { commit, .. } => {
                            (Look::Passed, format!("Candidate of r{} made: {}", revision.number, commit.short()))
                        }
                        CandidateOutcome::Conflict { .. } => {
                            (Look::Conflict, format!("r{} conflicts with mainline", revision.number))
                        }
                        CandidateOutcome::MainlineTrouble(_) => (
                            Look::Exception,
                            format!("No candidate of r{}: mainline itself is at fault", revision.number),
                        ),
                        CandidateOutcome::Refused(_) => {
                            (Look::Failed, format!("r{} can't be made a candidate", revision.number))
                        }
                    };
                    let it = Happening::of_branch(branch.project, branch.id, "candidate", look, text);
                    events::record(turn, &it).await?;
                }
                Ok(())
            })
            .await
    }
}

impl Store {
    /// Records, under a claim, what came of making candidates that stand on one another in a line, and gives them in their order;
    /// if there is one of the revision there by these terms, that. They do not count for their revisions, and are no news on the
    /// timeline.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn add_stacked_candidates(&self, claim: Claim, line: &[NewInLine<'_>]) -> Result<Vec<Candidate>> {
        if line.is_empty() {
            return Ok(Vec::new());
        }
        self.write
            .turn_under(claim, async |turn| {
                let mut added = Vec::with_capacity(line.len());
                for NewInLine { branch, revision, new } in line {
                    let add = sqlx::query(
                        "INSERT INTO candidate (project_id, branch_id, revision_id, mainline, terms_hash, outcome,
                             commit_id, tree_id, request, detail, changes_recipe, recipe_trouble, made_ms, stacked)
                         SELECT id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 1 FROM project
                             WHERE id = $1 AND fence = $2
                         ON CONFLICT (revision_id, mainline, terms_hash) DO NOTHING",
                    );
                    bind_new(add, claim, branch, revision, new)?.execute(&mut **turn).await?;
                    let row = sqlx::query(
                        "SELECT * FROM candidate WHERE revision_id = $1 AND mainline = $2 AND terms_hash = $3",
                    );
                    let row = row.bind(revision.id.0).bind(new.mainline.as_str()).bind(new.terms_hash);
                    added.push(read(&row.fetch_one(&mut **turn).await?)?);
                    turn.changed(branch.project, Topic::Queue, branch.id);
                }
                turn.keep();
                Ok(added)
            })
            .await
    }
}

/// The values of a new row, after those of the claim.
fn bind_new<'q>(
    query: Query<'q, Any, AnyArguments>,
    claim: Claim,
    branch: &Branch,
    revision: &Revision,
    new: &NewCandidate<'_>,
) -> Result<Query<'q, Any, AnyArguments>> {
    Ok(query
        .bind(claim.project.0)
        .bind(claim.fence.0)
        .bind(branch.id.0)
        .bind(revision.id.0)
        .bind(new.mainline.as_str().to_owned())
        .bind(new.terms_hash.to_owned())
        .bind(word(&new.outcome))
        .bind(commit_of(&new.outcome).map(|it| it.as_str().to_owned()))
        .bind(new.tree.as_ref().map(|it| it.as_str().to_owned()))
        .bind(new.request.clone())
        .bind(to_json(&new.outcome)?)
        .bind(i64::from(new.changes_recipe))
        .bind(to_json(&new.recipe_trouble)?)
        .bind(now().0))
}

impl Reader {
    /// The candidate of a revision for a commit that it stands on, by these terms: one of mainline, or in a line of several one
    /// below it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn candidate(
        &self,
        revision: RevisionId,
        mainline: &CommitId,
        terms_hash: &str,
    ) -> Result<Option<Candidate>> {
        let row = sqlx::query(
            "SELECT * FROM candidate WHERE revision_id = $1
            AND mainline = $2 AND terms_hash = $3",
        )
        .bind(revision.0)
        .bind(mainline.as_str())
        .bind(terms_hash)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.as_ref().map(read).transpose()
    }
}

impl Store {
    /// Has a candidate made anew, under a claim: this one is kept for the record of its builds, and is not what its terms
    /// give any more. What of it is open is cancelled, no place in the queue has it, and the next one is built.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn discard_candidate(&self, claim: Claim, id: CandidateId) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                let row = sqlx::query(
                    "UPDATE candidate SET terms_hash = $2 WHERE id = $1
                        AND terms_hash NOT LIKE 'discarded %'
                     RETURNING branch_id, revision_id",
                )
                .bind(id.0)
                .bind(format!("discarded {id}"))
                .fetch_optional(&mut **turn)
                .await?;
                let Some(row) = row else { return Ok(()) };
                super::builds::cancel_where(turn, "candidate_id = $1", id.0, "its candidate is made anew").await?;
                sqlx::query(
                    "UPDATE queue_entry SET candidate_id = NULL
                    WHERE candidate_id = $1 AND state = 'queued'",
                )
                .bind(id.0)
                .execute(&mut **turn)
                .await?;
                touched::candidate_is_gone(turn, id).await?;
                sqlx::query("UPDATE revision SET builds_asked = 0 WHERE id = $1")
                    .bind(row.num::<i64>("revision_id")?)
                    .execute(&mut **turn)
                    .await?;
                turn.keep();
                let branch = row.num::<i64>("branch_id")?;
                turn.changed(claim.project, Topic::Revision, branch);
                turn.changed(claim.project, Topic::Queue, branch);
                Ok(())
            })
            .await
    }
}

impl Reader {
    /// The candidate of a revision that counts: the one that was made last. It may stand on an older commit of mainline than
    /// that of now, if nothing has moved since that it touches, or while it is being made again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn candidate_of(&self, revision: RevisionId) -> Result<Option<Candidate>> {
        let row = sqlx::query("SELECT c.* FROM revision r JOIN candidate c ON c.id = r.candidate_id WHERE r.id = $1")
            .bind(revision.0)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The same, if it is what would be made on the mainline of now: nothing has moved that it touches.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn standing_candidate(&self, revision: RevisionId) -> Result<Option<Candidate>> {
        let row = sqlx::query(
            "SELECT c.* FROM revision r JOIN candidate c ON c.id = r.candidate_id JOIN project p ON p.id = c.project_id
             WHERE r.id = $1 AND r.remake = 0 AND (p.followed = p.tip OR c.mainline = p.tip)",
        )
        .bind(revision.0)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// The commits of branches' candidates that are of no use any more: not those that were built, which people may
    /// want to reproduce, nor those of the queue or of a line that is being pushed, on the mainline of now, or that count for
    /// their revision. One that is being made, and has no row yet, is not among them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outdated_candidates(
        &self,
        branches: impl IntoIterator<Item = BranchId>,
    ) -> Result<HashSet<(BranchId, CommitId)>> {
        // One that was made for a stack may not be in it yet.
        let young = now().0 - YOUNG_MS;
        let sql = |ids: &str| {
            format!(
                "SELECT c.id, c.branch_id, c.commit_id FROM candidate c WHERE c.branch_id IN ({ids})
                AND c.outcome = 'made' AND NOT EXISTS (
                 SELECT 1 FROM candidate k WHERE k.branch_id = c.branch_id
                     AND k.commit_id = c.commit_id
                 AND (EXISTS (SELECT 1 FROM build WHERE candidate_id = k.id)
                      OR EXISTS (SELECT 1 FROM queue_entry WHERE candidate_id = k.id)
                      OR EXISTS (SELECT 1 FROM stack_entry m JOIN stack s ON s.id = m.stack_id
                                 WHERE m.candidate_id = k.id AND s.over_ms IS NULL)
                      OR k.stacked = 1 AND k.made_ms > {young}
                      OR k.id IN (SELECT e.candidate_id FROM landing l JOIN landing_entry e ON e.landing_id = l.id
                                  WHERE l.project_id = k.project_id AND l.state = 'intent')
                      OR k.terms_hash NOT LIKE 'discarded %'
                         AND (EXISTS (SELECT 1 FROM project WHERE id = k.project_id
                             AND tip = k.mainline)
                              OR EXISTS (SELECT 1 FROM revision WHERE id = k.revision_id
                                         AND candidate_id = k.id))))"
            )
        };
        let read = |row: &AnyRow| Ok((row.num("branch_id")?, row.parsed("commit_id")?));
        Ok(self.rows_of(branches, sql, "candidate", read).await?.into_iter().collect())
    }

    /// A candidate by number.
    ///
    /// # Errors
    /// When the database fails, or there is no such candidate.
    pub async fn candidate_by_id(&self, id: CandidateId) -> Result<Candidate> {
        read(
            &sqlx::query(
                "SELECT * FROM candidate
            WHERE id = $1",
            )
            .bind(id.0)
            .fetch_one(&mut *self.read().await?)
            .await?,
        )
    }
}
