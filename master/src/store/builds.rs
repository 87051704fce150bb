//! Builds: asked for, given out under a fencing number, reported on, ended once.

use super::branches::{TOKEN_OF_NOW, is_trusted};
use super::events::{self, Happening};
use super::row::{Columns as _, readable, to_json};
use super::writer::Turn;
use super::{Reader, Result, Store, StoreError, now, stacked};
use protocol::api::Look;
use protocol::wire::{BuildRef, Isolation};
use protocol::{BranchId, BuildId, BuildResult, CandidateId, CommitId, Fence, ProjectId, RevisionId, SlaveId, UnixMs};
use recipe::Builder;
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

/// How often an interrupted build is run again before it ends in `exception`.
const MAX_ATTEMPTS: u32 = 3;
/// How often it may be handed back beside: it is no attempt, but a slave that hands back always must not spin for ever.
const MAX_HANDED_BACK: i64 = 20;

/// A build as stored.
#[derive(Clone, Debug)]
pub struct Build {
    /// Its number.
    pub id: BuildId,
    /// The project.
    pub project: ProjectId,
    /// The branch.
    pub branch: BranchId,
    /// The revision.
    pub revision: RevisionId,
    /// The candidate.
    pub candidate: CandidateId,
    /// The candidate's commit.
    pub commit: CommitId,
    /// The candidate's tree.
    pub tree: CommitId,
    /// The builder, whole, as it was when the build was asked for.
    pub builder: Builder,
    /// The builder's place in the recipe.
    pub position: u32,
    /// Whether landing needs it.
    pub required: bool,
    /// Whether the queue asked for it.
    pub for_queue: bool,
    /// The stack of several that it is of, whose top is this branch's: it says nothing of the branch alone.
    pub of_stack: Option<i64>,
    /// A maintainer's priority.
    pub priority: i64,
    /// The isolation it needs at least.
    pub isolation: Isolation,
    /// That of the slave it was last given to; none before that, and of builds older than this was kept.
    pub ran_in: Option<Isolation>,
    /// Which try it is, from 1.
    pub attempt: u32,
    /// Whether it ended because its slave was taken away from it on purpose, which was no attempt.
    pub handed_back: bool,
    /// The build that runs it again.
    pub retried_as: Option<BuildId>,
    /// Where it is.
    pub state: BuildRowState,
    /// One line for people: the step that runs, what failed.
    pub says: String,
    /// Why it is to be cancelled, if it is.
    pub cancel: Option<String>,
    /// The slave it was last given to.
    pub slave: Option<SlaveId>,
    /// The fencing number of that.
    pub fence: Fence,
    /// The number of the next report expected.
    pub next_report: u32,
    /// When it was asked for.
    pub requested: UnixMs,
    /// When it was given out.
    pub started: Option<UnixMs>,
    /// When its end was recorded.
    pub finished: Option<UnixMs>,
}

/// A build that waits or runs, and whose it is.
#[derive(Clone, Debug)]
pub struct OpenBuild {
    /// The build.
    pub build: Build,
    /// Who published its branch.
    pub publisher: String,
    /// Whether the publisher is trusted now.
    pub trusted: bool,
}

/// Where a build is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BuildRowState {
    /// Nobody has it.
    Waiting,
    /// A slave has it.
    Running,
    /// It ended.
    Finished(BuildResult),
}

impl Build {
    /// The reference its slave knows it by.
    pub fn reference(&self) -> BuildRef {
        BuildRef { build: self.id, fence: self.fence }
    }

    /// Its result, once it ended.
    pub fn result(&self) -> Option<BuildResult> {
        match self.state {
            BuildRowState::Finished(result) => Some(result),
            BuildRowState::Waiting | BuildRowState::Running => None,
        }
    }
}

/// A build to be asked for.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The project.
    pub project: ProjectId,
    /// The branch.
    pub branch: BranchId,
    /// The revision.
    pub revision: RevisionId,
    /// The candidate.
    pub candidate: CandidateId,
    /// The candidate's commit.
    pub commit: CommitId,
    /// The candidate's tree.
    pub tree: CommitId,
    /// The builder.
    pub builder: Builder,
    /// Its place in the recipe.
    pub position: u32,
    /// Whether the queue asks.
    pub for_queue: bool,
    /// The stack of several that it is of, so that it says nothing of the branch alone.
    pub of_stack: Option<i64>,
    /// The isolation it needs at least.
    pub isolation: Isolation,
}

/// How a build ended without its slave's word.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The result.
    pub result: BuildResult,
    /// One line for people.
    pub says: String,
}

/// Where a build is, by its columns.
pub(super) fn state(row: &AnyRow) -> Result<BuildRowState> {
    match (row.text("state")?.as_str(), row.parsed_or_none("result")?) {
        ("waiting", _) => Ok(BuildRowState::Waiting),
        ("running", _) => Ok(BuildRowState::Running),
        ("finished", result) => Ok(BuildRowState::Finished(result.unwrap_or(BuildResult::Exception))),
        (other, _) => Err(StoreError::Corrupt { column: "state".to_owned(), what: format!("`{other}`") }),
    }
}

pub(super) fn read(row: &AnyRow) -> Result<Build> {
    Ok(Build {
        id: row.num("id")?,
        project: row.num("project_id")?,
        branch: row.num("branch_id")?,
        revision: row.num("revision_id")?,
        candidate: row.num("candidate_id")?,
        commit: row.parsed("commit_id")?,
        tree: row.parsed("tree_id")?,
        builder: row.json("spec")?,
        position: row.count("position")?,
        required: row.flag("required")?,
        for_queue: row.flag("for_queue")?,
        of_stack: Some(row.num("of_stack")?).filter(|stack| *stack != 0),
        priority: row.num("priority")?,
        isolation: row.json("isolation")?,
        ran_in: row.json_or_none("ran_in")?,
        attempt: row.count("attempt")?,
        handed_back: row.num::<i64>("handed_back")? != 0,
        retried_as: row.num_or_none("retried_as")?,
        state: state(row)?,
        says: row.text("says")?,
        cancel: row.text_or_none("cancel")?,
        slave: row.num_or_none("slave_id")?,
        fence: row.num("fence")?,
        next_report: row.count("next_report")?,
        requested: row.num("requested_ms")?,
        started: row.num_or_none("started_ms")?,
        finished: row.num_or_none("finished_ms")?,
    })
}

/// What a build that waits needs of a slave, as [`gate::schedule::needed`] says it; `trusted` is whether its publisher is now.
pub(crate) fn needs_of(builder: &Builder, isolation: Isolation, trusted: bool) -> String {
    let isolation = isolation.max(gate::schedule::isolation_of(trusted));
    gate::schedule::needed(&builder.slaves, &builder.locks, isolation)
}

/// The hash by which two builders are the same: of everything that makes a difference to what is run.
pub(super) fn spec_hash(builder: &Builder) -> Result<String> {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(to_json(builder)?.as_bytes());
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What was cancelled because a branch had ended is wanted again: it is live again.
pub(super) async fn wanted_again(turn: &mut Turn, branch: BranchId) -> Result<()> {
    sqlx::query(
        "UPDATE revision SET builds_asked = 0
         WHERE branch_id = $1 AND number = (SELECT head FROM branch WHERE id = $1)
         AND EXISTS (SELECT 1 FROM build WHERE revision_id = revision.id AND of_stack = 0
             AND (result = 'cancelled' OR cancel IS NOT NULL))",
    )
    .bind(branch.0)
    .execute(&mut **turn)
    .await?;
    Ok(())
}

/// Cancels a branch's open builds: those that wait have ended, those that run are to be stopped.
pub(super) async fn cancel_all_of(turn: &mut Turn, branch: BranchId, why: &str) -> Result<()> {
    cancel_where(turn, "branch_id = $1", branch.0, why).await.map(drop)
}

/// The same, for builds that the queue did not ask for.
pub(super) async fn cancel_branch_only(turn: &mut Turn, branch: BranchId, why: &str) -> Result<()> {
    cancel_where(turn, "branch_id = $1 AND for_queue = 0", branch.0, why).await.map(drop)
}

/// The same, for the builds of all revisions of a branch but one.
pub(super) async fn cancel_other_revisions(turn: &mut Turn, kept: RevisionId, why: &str) -> Result<()> {
    let others = "branch_id = (SELECT branch_id FROM revision WHERE id = $1)
        AND revision_id <> $1 AND for_queue = 0";
    cancel_where(turn, others, kept.0, why).await.map(drop)
}

/// The same, for the builds of one candidate that the queue asked for.
pub(super) async fn cancel_queue_of(turn: &mut Turn, candidate: CandidateId, why: &str) -> Result<()> {
    cancel_where(turn, "candidate_id = $1 AND for_queue = 1", candidate.0, why).await.map(drop)
}

/// Says how many builds it changed: those that have ended or are cancelled already stay as they are.
pub(super) async fn cancel_where(turn: &mut Turn, condition: &'static str, id: i64, why: &str) -> Result<u64> {
    let waiting = format!(
        "UPDATE build SET state = 'finished', result = 'cancelled', says = $2, finished_ms = $3
         WHERE state <> 'finished' AND state = 'waiting' AND {condition} RETURNING id, project_id, branch_id"
    );
    let waiting = sqlx::query(sqlx::AssertSqlSafe(waiting)).bind(id).bind(why).bind(now().0);
    let running = format!(
        "UPDATE build SET cancel = $2 WHERE state <> 'finished' AND state = 'running'
            AND cancel IS NULL AND {condition}
         RETURNING id, project_id, branch_id"
    );
    let running = sqlx::query(sqlx::AssertSqlSafe(running)).bind(id).bind(why);
    let mut changed = waiting.fetch_all(&mut **turn).await?;
    changed.extend(running.fetch_all(&mut **turn).await?);
    for row in &changed {
        turn.changed_build(row.num("project_id")?, row.num("branch_id")?, row.num("id")?);
    }
    Ok(changed.len() as u64)
}

impl Reader {
    /// Builds that wait or run, oldest first. By a sum, which no index is in the order of: else all builds there ever were
    /// would be looked through for those few.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_builds(&self) -> Result<Vec<Build>> {
        let rows = sqlx::query("SELECT * FROM build WHERE state <> 'finished' ORDER BY id + 0")
            .fetch_all(&mut *self.read().await?)
            .await?;
        readable("build", &rows, read)
    }

    /// Builds that slaves have, oldest first: of a project and at most `limit`; and how many it has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn running_of(&self, project: ProjectId, limit: u32) -> Result<(Vec<Build>, u32)> {
        let running = "FROM build WHERE state <> 'finished' AND state = 'running' AND project_id = $1";
        let count = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) AS n {running}"))).bind(project.0);
        let count = count.fetch_one(&mut *self.read().await?).await?.count("n")?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * {running} ORDER BY id + 0 LIMIT $2")));
        let rows = rows.bind(project.0).bind(i64::from(limit)).fetch_all(&mut *self.read().await?).await?;
        Ok((readable("build", &rows, read)?, count))
    }

    /// Builds that slaves have, oldest first: of all, or of these.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn running_on(&self, slaves: Option<&[SlaveId]>) -> Result<Vec<Build>> {
        let of = slaves.map_or_else(String::new, |slaves| {
            let ids: Vec<String> = slaves.iter().map(SlaveId::to_string).collect();
            format!("AND slave_id IN ({})", if ids.is_empty() { "-1".to_owned() } else { ids.join(",") })
        });
        let sql = format!("SELECT * FROM build WHERE state <> 'finished' AND state = 'running' {of} ORDER BY id + 0");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *self.read().await?).await?;
        readable("build", &rows, read)
    }

    /// Builds that wait or run, oldest first, with who published them, and whether that one is trusted now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_builds_with_publishers(&self) -> Result<Vec<OpenBuild>> {
        self.open_builds_where("").await
    }

    /// Those of these builds that wait or run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_builds_among(&self, ids: &[BuildId]) -> Result<Vec<OpenBuild>> {
        let mut open = Vec::new();
        for ids in ids.chunks(500) {
            let ids: Vec<String> = ids.iter().map(BuildId::to_string).collect();
            open.extend(self.open_builds_where(&format!("AND build.id IN ({})", ids.join(","))).await?);
        }
        Ok(open)
    }

    async fn open_builds_where(&self, more: &str) -> Result<Vec<OpenBuild>> {
        let sql = format!(
            "SELECT build.*, branch.publisher AS publisher, branch.trusted AS trusted,
                {TOKEN_OF_NOW}
             FROM build JOIN branch ON branch.id = build.branch_id LEFT JOIN token ON token.id = branch.token_id
             WHERE build.state <> 'finished' {more} ORDER BY build.id + 0"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *self.read().await?).await?;
        let open = |row| {
            let row: &AnyRow = row;
            Ok(OpenBuild { build: read(row)?, publisher: row.text("publisher")?, trusted: is_trusted(row)? })
        };
        readable("build", &rows, open)
    }

    /// When a build of each publisher was last given to a slave, by the newest thousand builds: who is fair to whom is
    /// decided by the recent past.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn served(&self) -> Result<BTreeMap<String, UnixMs>> {
        let rows = sqlx::query(
            "SELECT branch.publisher AS publisher, MAX(build.started_ms) AS served_ms
             FROM build JOIN branch ON branch.id = build.branch_id
             WHERE build.id > (SELECT COALESCE(MAX(id), 0) - 1000 FROM build)
                 AND build.started_ms IS NOT NULL
             GROUP BY branch.publisher",
        );
        let rows = rows.fetch_all(&mut *self.read().await?).await?;
        rows.iter().map(|row| Ok((row.text("publisher")?, row.num("served_ms")?))).collect()
    }

    /// A build by number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn build(&self, id: BuildId) -> Result<Option<Build>> {
        let row = sqlx::query(
            "SELECT * FROM build
            WHERE id = $1",
        )
        .bind(id.0)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.as_ref().map(read).transpose()
    }
}

impl Store {
    /// Gives a waiting build to a slave; none when it does not wait any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_out(&self, id: BuildId, slave: SlaveId) -> Result<Option<Build>> {
        self.write
            .turn(async |turn| {
                let row = sqlx::query(
                    "UPDATE build SET state = 'running', slave_id = $2, fence = fence + 1,
                next_report = 0, started_ms = $3, says = '',
                ran_in = (SELECT isolation FROM slave WHERE slave.id = $2)
             WHERE id = $1 AND state = 'waiting' RETURNING *",
                )
                .bind(id.0)
                .bind(slave.0)
                .bind(now().0)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(row) = row else { return Ok(None) };
                sqlx::query("UPDATE slave SET used_ms = $2 WHERE id = $1")
                    .bind(slave.0)
                    .bind(now().0)
                    .execute(&mut **turn)
                    .await?;
                let build = read(&row)?;
                turn.keep();
                turn.changed_build(build.project, build.branch, build.id);
                Ok(Some(build))
            })
            .await
    }

    /// Takes back a build that its slave never began: it waits again, or has ended if it was cancelled meanwhile. False
    /// when it is not the slave's any more or was begun.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_back(&self, of: BuildRef) -> Result<bool> {
        self.write
            .turn(async |turn| {
                let row = sqlx::query(
                    "UPDATE build SET state = 'waiting', slave_id = NULL, started_ms = NULL, ran_in = NULL
             WHERE id = $1 AND fence = $2 AND state = 'running' AND next_report = 0 RETURNING *",
                )
                .bind(of.build.0)
                .bind(of.fence.0)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(build) = row.as_ref().map(read).transpose()? else { return Ok(false) };
                if let Some(why) = &build.cancel {
                    finish(turn, &build, End { result: BuildResult::Cancelled, says: why, handed_back: false }).await?;
                }
                turn.keep();
                turn.changed_build(build.project, build.branch, build.id);
                Ok(true)
            })
            .await
    }

    /// Ends a running build without its slave's word; what the slave still says of it is refused. False when it does not
    /// run any more, or under another fencing number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_up(&self, of: BuildRef, end: &Finished) -> Result<bool> {
        self.write
            .turn(async |turn| {
                let row = sqlx::query(
                    "UPDATE build SET fence = fence + 1 WHERE id = $1 AND fence = $2
                        AND state = 'running' RETURNING *",
                )
                .bind(of.build.0)
                .bind(of.fence.0)
                .fetch_optional(&mut **turn)
                .await?;
                let Some(build) = row.as_ref().map(read).transpose()? else { return Ok(false) };
                finish(turn, &build, End { result: end.result, says: &end.says, handed_back: false }).await?;
                turn.keep();
                Ok(true)
            })
            .await
    }

    /// Cancels one build for a person's sake; false when it has ended. One that is cancelled already stays so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel_build(&self, build: &Build, actor: &str) -> Result<bool> {
        self.write
            .turn(async |turn| {
                let why = format!("cancelled by {actor}");
                if cancel_where(turn, "id = $1", build.id.0, &why).await? == 0 {
                    let open = sqlx::query(
                        "SELECT id FROM build WHERE id = $1
                            AND state <> 'finished'",
                    )
                    .bind(build.id.0);
                    return Ok(open.fetch_optional(&mut **turn).await?.is_some());
                }
                let together = stacked::together(turn, build.of_stack).await?;
                let text = format!("{actor} cancelled {}{together}", build.builder.name);
                let it = Happening::of_branch(build.project, build.branch, "build-cancelled", Look::Cancelled, text);
                events::record(turn, &it.by(actor).build(build.id)).await?;
                turn.keep();
                Ok(true)
            })
            .await
    }
}

/// What asks for a build of the same once more.
pub(crate) fn request_of(build: &Build) -> BuildRequest {
    BuildRequest {
        project: build.project,
        branch: build.branch,
        revision: build.revision,
        candidate: build.candidate,
        commit: build.commit.clone(),
        tree: build.tree.clone(),
        builder: build.builder.clone(),
        position: build.position,
        for_queue: build.for_queue,
        of_stack: build.of_stack,
        isolation: build.isolation,
    }
}

/// A new build that waits.
pub(super) async fn insert(turn: &mut Turn, request: &BuildRequest, attempt: u32) -> Result<Build> {
    let row = sqlx::query(
        "INSERT INTO build (project_id, branch_id, revision_id, candidate_id, commit_id,
            tree_id, builder, position, required, spec, spec_hash,
         for_queue, priority, isolation, attempt, state, requested_ms, of_stack, fence)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13, $14, 'waiting',
             $15, $16, COALESCE((SELECT fences FROM epoch ORDER BY id DESC LIMIT 1), 0)) RETURNING *",
    )
    .bind(request.project.0)
    .bind(request.branch.0)
    .bind(request.revision.0)
    .bind(request.candidate.0)
    .bind(request.commit.as_str())
    .bind(request.tree.as_str())
    .bind(&request.builder.name)
    .bind(i64::from(request.position))
    .bind(i64::from(request.builder.required))
    .bind(to_json(&request.builder)?)
    .bind(spec_hash(&request.builder)?)
    .bind(i64::from(request.for_queue))
    .bind(to_json(&request.isolation)?)
    .bind(i64::from(attempt))
    .bind(now().0)
    .bind(request.of_stack.unwrap_or(0))
    .fetch_one(&mut **turn)
    .await?;
    let build = read(&row)?;
    turn.changed_build(build.project, build.branch, build.id);
    Ok(build)
}

/// How a build ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) result: BuildResult,
    /// One line for people.
    pub(super) says: &'a str,
    /// Whether its slave was taken away from it on purpose.
    pub(super) handed_back: bool,
}

/// Whether one that is handed back is to be run again as if it had never been given out.
async fn may_be_handed_back(turn: &mut Turn, build: &Build) -> Result<bool> {
    let row =
        sqlx::query("SELECT COUNT(*) AS n FROM build WHERE candidate_id = $1 AND builder = $2 AND handed_back = 1")
            .bind(build.candidate.0)
            .bind(&build.builder.name)
            .fetch_one(&mut **turn)
            .await?;
    Ok(row.num::<i64>("n")? < MAX_HANDED_BACK)
}

/// Ends a build; one that was interrupted is asked for again in the same transaction, a limited number of times.
pub(super) async fn finish(turn: &mut Turn, build: &Build, end: End<'_>) -> Result<()> {
    let End { result, says, handed_back } = end;
    let wanted = build.cancel.is_none();
    let handed_back = handed_back && result == BuildResult::Retry && wanted && may_be_handed_back(turn, build).await?;
    let exhausted = result == BuildResult::Retry && !handed_back && build.attempt >= MAX_ATTEMPTS;
    let (result, says) = match result {
        BuildResult::Retry if !wanted => (BuildResult::Cancelled, build.cancel.clone().unwrap_or_default()),
        BuildResult::Retry if exhausted => {
            (BuildResult::Exception, format!("{says}; it was tried {MAX_ATTEMPTS} times"))
        }
        result => (result, says.to_owned()),
    };
    let done = sqlx::query(
        "UPDATE build SET state = 'finished', result = $2, says = $3, finished_ms = $4, handed_back = $5
            WHERE id = $1 AND state <> 'finished'",
    )
    .bind(build.id.0)
    .bind(result.as_str())
    .bind(&says)
    .bind(now().0)
    .bind(i64::from(handed_back))
    .execute(&mut **turn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    turn.changed_build(build.project, build.branch, build.id);
    if result == BuildResult::Retry {
        let again = insert(turn, &request_of(build), build.attempt + u32::from(!handed_back)).await?;
        let query = sqlx::query(
            "UPDATE build SET retried_as = $2
            WHERE id = $1",
        )
        .bind(build.id.0)
        .bind(again.id.0);
        query.execute(&mut **turn).await?;
    }
    sqlx::query("UPDATE branch SET changed_ms = $2 WHERE id = $1")
        .bind(build.branch.0)
        .bind(now().0)
        .execute(&mut **turn)
        .await?;
    let (look, word) = gate::verdict::result_mark(result);
    let together = stacked::together(turn, build.of_stack).await?;
    let text = if says.is_empty() || result.passed() {
        format!("{} {word}{together}", build.builder.name)
    } else {
        format!("{} {word}{together}: {says}", build.builder.name)
    };
    let it = Happening::of_branch(build.project, build.branch, "build-finished", look, text).build(build.id);
    events::record(turn, &it).await
}
