//! Stacks of the queue: lines of candidates, each on the commit of the one below, that are tested by their top.
//!
//! A stack is over when none of its entries waits any more; what its builds said counts then among what was learned. Its row stays
//! where something was built: who was in it is what its builds say it of.

use super::changes::Topic;
use super::row::{Columns as _, or_left_out, to_json};
use super::writer::Turn;
use super::{Build, Candidate, Claim, Entry, Reader, Result, Store, builds, candidates, entries, now};
use gate::stacks::Experience;
use protocol::api::CandidateOutcome;
use protocol::{CandidateId, CommitId, ProjectId, RevisionId, UnixMs};
use sqlx::any::AnyRow;
use std::collections::HashMap;

/// So many of those that left last tell how often branches are bad.
const REMEMBERED: i64 = 500;
/// So many builds tell how long one takes.
const TIMED: i64 = 20;
/// When so many runs were counted, those of before count half.
const RUNS: i64 = 20_000;

/// A stack as stored.
#[derive(Clone, Debug)]
pub struct StackRow {
    /// Its number.
    pub id: i64,
    /// Which time that mainline moved put it at the commit that the stack stands on.
    pub on: i64,
    /// Its top.
    pub top: CandidateId,
    /// What it is tested for, in words.
    pub purpose: String,
    /// When its builds were asked for last.
    pub begun: UnixMs,
    /// Its entries, first merged first, each with its own candidate; none: it is the commit of mainline itself.
    pub members: Vec<(i64, CandidateId)>,
    /// Of mainline itself, on whose behalf it is built.
    pub behalf: Option<i64>,
    /// Whether all of its entries have landed.
    pub landed: bool,
    /// Whether a push of it was refused, or bb's own check found another commit than its parts give.
    pub refused: bool,
}

/// The stacks of a project, as they can be read.
#[derive(Clone, Debug, Default)]
pub struct Stacks {
    /// Those that are whole, in the order in which they were made.
    pub whole: Vec<StackRow>,
    /// Those of which not all can be read, or that are not what their entries would land as any more: one of them was accepted
    /// anew in other words, or its candidate was discarded. Nothing that was built of them counts.
    pub torn: Vec<i64>,
}

/// The name by which a candidate stands for a commit of mainline itself: no terms give it.
const MAINLINE: &str = "discarded mainline";

/// What a stack that is over has told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// The stack.
    pub stack: i64,
    /// Builds that passed.
    pub passed: i64,
    /// Builds that failed by chance: of what landed.
    pub flaked: i64,
}

impl StackRow {
    /// One entry's own candidate as if it had been made as a stack of one. `on` as in [`StackRow`].
    pub fn alone(entry: i64, candidate: CandidateId, on: i64) -> Self {
        let (top, members) = (candidate, vec![(entry, candidate)]);
        Self {
            id: 0,
            on,
            top,
            purpose: String::new(),
            begun: UnixMs(0),
            members,
            behalf: None,
            landed: false,
            refused: false,
        }
    }
}

impl Store {
    /// Records a stack of entries, each with its own candidate, first merged first, under a claim. None when mainline or one of
    /// its entries is not there any more: nothing is to be built then.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn add_stack(
        &self,
        claim: Claim,
        on: i64,
        members: &[(i64, CandidateId)],
        purpose: &str,
    ) -> Result<Option<i64>> {
        self.write
            .turn_under(claim, async |turn| {
                let stands = sqlx::query("SELECT MAX(id) AS id FROM mainline_at WHERE project_id = $1");
                let stands = stands.bind(claim.project.0).fetch_one(&mut **turn).await?;
                if stands.num_or_none::<i64>("id")? != Some(on) {
                    return Ok(None);
                }
                let mut alone = None;
                for (entry, candidate) in members {
                    let waits = sqlx::query("SELECT * FROM queue_entry WHERE id = $1 AND state = 'queued'");
                    let Some(row) = waits.bind(entry).fetch_optional(&mut **turn).await? else { return Ok(None) };
                    if members.len() == 1 {
                        alone = Some((entries::read(&row)?, *candidate));
                    }
                }
                let Some((_, top)) = members.last() else { return Ok(None) };
                if let Some((entry, candidate)) = alone {
                    entries::show(turn, &entry, Some(candidate)).await?;
                }
                let stack: i64 = sqlx::query(
                    "INSERT INTO stack (project_id, on_id, candidate_id, purpose, begun_ms) VALUES ($1, $2, $3, $4, $5)
                     RETURNING id",
                )
                .bind(claim.project.0)
                .bind(on)
                .bind(top.0)
                .bind(purpose)
                .bind(now().0)
                .fetch_one(&mut **turn)
                .await?
                .num("id")?;
                for (place, (entry, candidate)) in (1i64..).zip(members) {
                    sqlx::query(
                        "INSERT INTO stack_entry (stack_id, place, entry_id, candidate_id) VALUES ($1, $2, $3, $4)",
                    )
                    .bind(stack)
                    .bind(place)
                    .bind(entry)
                    .bind(candidate.0)
                    .execute(&mut **turn)
                    .await?;
                }
                turn.keep();
                turn.changed(claim.project, Topic::Queue, 0);
                Ok(Some(stack))
            })
            .await
    }

    /// Records that a commit of mainline itself is tested, on behalf of an entry of this branch and revision, under a claim, as a
    /// stack of none: with its number a candidate that stands for it. None when the entry is not there any more.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn add_mainline_stack(
        &self,
        claim: Claim,
        on: i64,
        of: &Entry,
        (commit, tree): (&CommitId, &CommitId),
        purpose: &str,
    ) -> Result<Option<(i64, CandidateId)>> {
        self.write
            .turn_under(claim, async |turn| {
                let waits = sqlx::query("SELECT id FROM queue_entry WHERE id = $1 AND state = 'queued'");
                if waits.bind(of.id).fetch_optional(&mut **turn).await?.is_none() {
                    return Ok(None);
                }
                let outcome = CandidateOutcome::Made {
                    commit: commit.clone(),
                    changelogs: Vec::new(),
                    fragments: Vec::new(),
                    coming: Vec::new(),
                    kept: Vec::new(),
                    exempt: None,
                    notes: Vec::new(),
                };
                sqlx::query(
                    "INSERT INTO candidate (project_id, branch_id, revision_id, mainline, terms_hash, outcome, commit_id,
                         tree_id, request, detail, changes_recipe, recipe_trouble, made_ms, stacked)
                     VALUES ($1, $2, $3, $4, $5, 'made', $4, $6, '', $7, 0, 'null', $8, 1)
                     ON CONFLICT (revision_id, mainline, terms_hash) DO NOTHING",
                )
                .bind(claim.project.0)
                .bind(of.branch.0)
                .bind(of.revision.0)
                .bind(commit.as_str())
                .bind(MAINLINE)
                .bind(tree.as_str())
                .bind(to_json(&outcome)?)
                .bind(now().0)
                .execute(&mut **turn)
                .await?;
                let top = sqlx::query(
                    "SELECT id FROM candidate WHERE revision_id = $1 AND mainline = $2 AND terms_hash = $3",
                );
                let top = top.bind(of.revision.0).bind(commit.as_str()).bind(MAINLINE).fetch_one(&mut **turn).await?;
                let top: CandidateId = top.num("id")?;
                let stack = sqlx::query(
                    "INSERT INTO stack (project_id, on_id, candidate_id, purpose, begun_ms) VALUES ($1, $2, $3, $4, $5)
                     RETURNING id",
                );
                let stack = stack.bind(claim.project.0).bind(on).bind(top.0).bind(purpose).bind(now().0);
                let stack: i64 = stack.fetch_one(&mut **turn).await?.num("id")?;
                // At no place of the line: it is there as long as this entry waits.
                sqlx::query("INSERT INTO stack_entry (stack_id, place, entry_id, candidate_id) VALUES ($1, 0, $2, $3)")
                    .bind(stack)
                    .bind(of.id)
                    .bind(top.0)
                    .execute(&mut **turn)
                    .await?;
                turn.keep();
                turn.changed(claim.project, Topic::Queue, 0);
                Ok(Some((stack, top)))
            })
            .await
    }

    /// Ends stacks of which nothing counts any more, and cancels what is built of them.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn drop_stacks(&self, claim: Claim, torn: &[i64]) -> Result<()> {
        if torn.is_empty() {
            return Ok(());
        }
        self.write
            .turn_under(claim, async |turn| {
                for stack in torn {
                    let top = sqlx::query(
                        "SELECT candidate_id FROM stack s WHERE s.id = $1 AND NOT EXISTS (
                             SELECT 1 FROM stack o WHERE o.candidate_id = s.candidate_id AND o.id <> s.id
                                 AND o.over_ms IS NULL)",
                    );
                    let top = top.bind(stack).fetch_optional(&mut **turn).await?;
                    if let Some(Ok(top)) = top.map(|row| row.num::<CandidateId>("candidate_id")) {
                        builds::cancel_queue_of(turn, top, "its stack is not what would land any more").await?;
                    }
                    is_over(turn, *stack).await?;
                }
                turn.keep();
                turn.changed(claim.project, Topic::Queue, 0);
                Ok(())
            })
            .await
    }

    /// Records that two entries can't be merged into one line.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn set_apart(&self, claim: Claim, entry: i64, other: i64) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                sqlx::query("INSERT INTO apart (entry_id, other_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                    .bind(entry.min(other))
                    .bind(entry.max(other))
                    .execute(&mut **turn)
                    .await?;
                turn.keep();
                turn.changed(claim.project, Topic::Queue, 0);
                Ok(())
            })
            .await
    }

    /// Cancels the builds of a stack's top that the queue asked for.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn cancel_stack(&self, claim: Claim, top: CandidateId) -> Result<()> {
        self.write
            .turn_under(claim, async |turn| {
                builds::cancel_queue_of(turn, top, "nobody needs to know how it ends").await?;
                turn.keep();
                Ok(())
            })
            .await
    }

    /// Ends stacks of which nobody waits any more; what they told is counted. Those of which nothing was built are forgotten.
    ///
    /// # Errors
    /// When the database fails, or the claim is another's by now.
    pub async fn end_stacks(&self, claim: Claim, told: &[Told]) -> Result<()> {
        if told.is_empty() {
            return Ok(());
        }
        self.write
            .turn_under(claim, async |turn| {
                for it in told {
                    if !is_over(turn, it.stack).await? {
                        continue;
                    }
                    sqlx::query(
                        "UPDATE project SET runs_passed = runs_passed + $2, runs_flaked = runs_flaked + $3 WHERE id = $1",
                    )
                    .bind(claim.project.0)
                    .bind(it.passed)
                    .bind(it.flaked)
                    .execute(&mut **turn)
                    .await?;
                }
                sqlx::query(
                    "UPDATE project SET runs_passed = runs_passed / 2, runs_flaked = runs_flaked / 2
                     WHERE id = $1 AND runs_passed + runs_flaked > $2",
                )
                .bind(claim.project.0)
                .bind(RUNS)
                .execute(&mut **turn)
                .await?;
                sqlx::query(
                    "DELETE FROM apart WHERE EXISTS (SELECT 1 FROM queue_entry q
                         WHERE q.id IN (apart.entry_id, apart.other_id) AND q.state <> 'queued')",
                )
                .execute(&mut **turn)
                .await?;
                turn.keep();
                Ok(())
            })
            .await
    }
}

impl Reader {
    /// The candidates of these revisions on a commit of mainline.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn candidates_on(
        &self,
        mainline: &CommitId,
        revisions: impl IntoIterator<Item = RevisionId>,
    ) -> Result<Vec<Candidate>> {
        // A commit's id is hexadecimal digits and nothing else.
        let sql = |ids: &str| {
            format!("SELECT * FROM candidate WHERE revision_id IN ({ids}) AND mainline = '{}'", mainline.as_str())
        };
        self.rows_of(revisions, sql, "candidate", candidates::read).await
    }

    /// The stacks of a project that are whole and not over, in the order in which they were made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stacks(&self, project: ProjectId) -> Result<Vec<StackRow>> {
        Ok(self.all_stacks(project).await?.whole)
    }

    /// The stacks of a project.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_stacks(&self, project: ProjectId) -> Result<Stacks> {
        let rows = sqlx::query(
            "SELECT s.*, m.place, m.entry_id, m.candidate_id AS member_id, q.state AS entry_state,
                 CASE WHEN c.terms_hash = q.terms_hash OR q.state <> 'queued' OR m.place = 0 THEN 1 ELSE 0 END AS by_terms,
                 CASE WHEN c.revision_id = q.revision_id THEN 1 ELSE 0 END AS of_entry,
                 c.mainline AS stands_on, c.commit_id AS member_commit,
                 CASE WHEN EXISTS (SELECT 1 FROM candidate c JOIN landing l ON l.to_commit = c.commit_id
                     WHERE c.id = s.candidate_id AND l.project_id = s.project_id
                     AND l.state IN ('refused', 'mischecked')) THEN 1 ELSE 0 END AS refused
             FROM stack s LEFT JOIN stack_entry m ON m.stack_id = s.id LEFT JOIN queue_entry q ON q.id = m.entry_id
             LEFT JOIN candidate c ON c.id = m.candidate_id
             WHERE s.project_id = $1 AND s.over_ms IS NULL ORDER BY s.id, m.place",
        );
        let rows = rows.bind(project.0).fetch_all(&mut *self.read().await?).await?;
        let mut stacks = Stacks::default();
        for of_one in rows.chunk_by(|one, next| one.num::<i64>("id").ok() == next.num::<i64>("id").ok()) {
            let Some(first) = of_one.first() else { continue };
            match or_left_out("stack", first, whole(of_one))?.flatten() {
                Some(stack) => stacks.whole.push(stack),
                None => stacks.torn.extend(first.num::<i64>("id").ok()),
            }
        }
        Ok(stacks)
    }

    /// Pairs of waiting entries of a project that can't be merged into one line.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn apart(&self, project: ProjectId) -> Result<Vec<(i64, i64)>> {
        let rows = sqlx::query(
            "SELECT a.* FROM apart a JOIN queue_entry q ON q.id = a.entry_id JOIN queue_entry o ON o.id = a.other_id
             WHERE q.project_id = $1 AND q.state = 'queued' AND o.state = 'queued'",
        );
        let rows = rows.bind(project.0).fetch_all(&mut *self.read().await?).await?;
        rows.iter().map(|row| Ok((row.num("entry_id")?, row.num("other_id")?))).collect()
    }

    /// What a project's queue learned from those that left it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn experience(&self, project: ProjectId) -> Result<Experience> {
        let rows = sqlx::query(
            "SELECT state, code, COUNT(*) AS many FROM (SELECT state, code FROM queue_entry
                 WHERE project_id = $1 AND state <> 'queued' ORDER BY left_ms DESC, id DESC LIMIT $2) AS last
             GROUP BY state, code",
        );
        let rows = rows.bind(project.0).bind(REMEMBERED).fetch_all(&mut *self.read().await?).await?;
        let mut experience = Experience::default();
        for row in &rows {
            let many = f64::from(row.count("many")?);
            match (row.text("state")?.as_str(), row.text("code")?.as_str()) {
                ("landed", _) => experience.good += many,
                ("ejected", "ejected-failure") => experience.bad += many,
                _ => {}
            }
        }
        let runs = sqlx::query("SELECT runs_passed, runs_flaked FROM project WHERE id = $1");
        let runs = runs.bind(project.0).fetch_one(&mut *self.read().await?).await?;
        experience.passed = f64::from(runs.count("runs_passed")?);
        experience.flaked = f64::from(runs.count("runs_flaked")?);
        Ok(experience)
    }

    /// How long builds of a project took of late, as a mean in milliseconds; none when none has ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mean_build_ms(&self, project: ProjectId) -> Result<Option<u64>> {
        let rows = sqlx::query(
            "SELECT started_ms, finished_ms FROM build WHERE project_id = $1 AND result = 'success'
             ORDER BY id DESC LIMIT $2",
        );
        let rows = rows.bind(project.0).bind(TIMED).fetch_all(&mut *self.read().await?).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            if let (Some(from), Some(to)) =
                (row.num_or_none::<i64>("started_ms")?, row.num_or_none::<i64>("finished_ms")?)
            {
                all.push(u64::try_from(to - from).unwrap_or(0));
            }
        }
        Ok((!all.is_empty()).then(|| all.iter().sum::<u64>() / all.len() as u64))
    }

    /// Candidates by number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn candidates_by_id(
        &self,
        ids: impl IntoIterator<Item = CandidateId>,
    ) -> Result<HashMap<CandidateId, Candidate>> {
        let sql = |ids: &str| format!("SELECT * FROM candidate WHERE id IN ({ids})");
        let rows = self.rows_of(ids, sql, "candidate", candidates::read).await?;
        Ok(rows.into_iter().map(|candidate| (candidate.id, candidate)).collect())
    }

    /// All builds of these candidates, oldest first. One that can't be read says nothing, nor does what was built before it: somebody
    /// asked again, and what came of that is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn builds_of_candidates(
        &self,
        ids: impl IntoIterator<Item = CandidateId>,
    ) -> Result<HashMap<CandidateId, Vec<Build>>> {
        let sql = |ids: &str| format!("SELECT * FROM build WHERE candidate_id IN ({ids}) ORDER BY id");
        let read = |row: &AnyRow| {
            let build = or_left_out("build", row, builds::read(row))?;
            Ok((row.num::<CandidateId>("candidate_id")?, build))
        };
        let mut all: HashMap<CandidateId, Vec<Build>> = HashMap::new();
        for (candidate, build) in self.rows_of(ids, sql, "build", read).await? {
            let own = all.entry(candidate).or_default();
            match build {
                Some(build) => own.push(build),
                None => own.clear(),
            }
        }
        Ok(all)
    }
}

/// Has a stack be over; one of which nothing was built is forgotten. False when it was over before.
async fn is_over(turn: &mut Turn, stack: i64) -> Result<bool> {
    let ended = sqlx::query("UPDATE stack SET over_ms = $2 WHERE id = $1 AND over_ms IS NULL");
    if ended.bind(stack).bind(now().0).execute(&mut **turn).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let built = sqlx::query(
        "SELECT 1 AS built FROM stack s JOIN build b ON b.candidate_id = s.candidate_id WHERE s.id = $1 LIMIT 1",
    );
    if built.bind(stack).fetch_optional(&mut **turn).await?.is_none() {
        for sql in ["DELETE FROM stack_entry WHERE stack_id = $1", "DELETE FROM stack WHERE id = $1"] {
            sqlx::query(sql).bind(stack).execute(&mut **turn).await?;
        }
    }
    Ok(true)
}

/// A stack of its rows, if it is whole, and each member that waits is as it would land: made by its terms on the one below.
fn whole(rows: &[AnyRow]) -> Result<Option<StackRow>> {
    let Some(first) = rows.first() else { return Ok(None) };
    let mut stack = StackRow {
        id: first.num("id")?,
        on: first.num("on_id")?,
        top: first.num("candidate_id")?,
        purpose: first.text("purpose")?,
        begun: first.num("begun_ms")?,
        members: Vec::new(),
        behalf: None,
        landed: true,
        refused: first.flag("refused")?,
    };
    let mut below = None;
    for row in rows {
        let Some(place) = row.num_or_none::<i64>("place")? else { return Ok(None) };
        let (entry, candidate): (i64, CandidateId) = (row.num("entry_id")?, row.num("member_id")?);
        let commit = row.parsed_or_none::<CommitId>("member_commit")?;
        if !row.flag("by_terms")? || !row.flag("of_entry")? || commit.is_none() {
            return Ok(None);
        }
        if place == 0 {
            stack.behalf = Some(entry);
            stack.landed = false;
            continue;
        }
        let stands_on = row.parsed_or_none::<CommitId>("stands_on")?;
        if usize::try_from(place) != Ok(stack.members.len() + 1) || (below.is_some() && below != stands_on) {
            return Ok(None);
        }
        stack.members.push((entry, candidate));
        stack.landed &= row.text("entry_state")? == "landed";
        below = commit;
    }
    let top = stack.members.last().map_or(stack.behalf.map(|_| stack.top), |(_, candidate)| Some(*candidate));
    Ok((top == Some(stack.top)).then_some(stack))
}
