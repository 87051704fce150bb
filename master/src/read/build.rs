//! Builds: the line of a listing, and the whole page.

use super::ReadError;
use super::facts::{self, author, state};
use crate::names;
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{BranchState, Build, BuildRowState, Step};
use gate::verdict;
use protocol::BranchName;
use protocol::api::{self, BuildDetail, BuildState, BuildSummary, Look, StepDetail};
use recipe::Run;
use tracker::mirror::Mirror;

/// A build's line.
pub(crate) async fn build_summary(
    shared: &Shared,
    project: &Guarded,
    build: &Build,
    branch: &BranchName,
    revision: u32,
) -> Result<BuildSummary, ReadError> {
    let state = facts::state(shared, build).await?;
    let (look, word) = state.mark();
    let slave = match build.slave {
        Some(id) => shared.store.slaves().await?.into_iter().find(|s| s.id == id).map(|s| s.name),
        None => None,
    };
    let says = match &state {
        verdict::Build::Running { .. } if shared.is_kept(build.id) => {
            let name = slave.as_ref().map_or("?", |name| name.as_str());
            format!("slave {name} is away, and no other could run it: it goes on when {name} is back")
        }
        verdict::Build::Waiting(Some(wait)) => wait.text(),
        verdict::Build::Waiting(None) => "to be given to a slave".to_owned(),
        _ => build.says.clone(),
    };
    Ok(BuildSummary {
        id: build.id,
        builder: build.builder.name.clone(),
        project: project.name.clone(),
        branch: branch.clone(),
        revision,
        for_queue: build.for_queue,
        commit: build.commit.clone(),
        state: match build.state {
            BuildRowState::Waiting => BuildState::Waiting,
            BuildRowState::Running => BuildState::Running,
            BuildRowState::Finished(result) => BuildState::Finished(result),
        },
        look,
        word: word.to_owned(),
        says,
        slave,
        requested_ms: build.requested,
        started_ms: build.started,
        finished_ms: build.finished,
        page: names::build_page(&project.name, build.id),
    })
}

/// The same for a build whose branch is not at hand.
pub(super) async fn summary_of(shared: &Shared, build: &Build) -> Result<Option<BuildSummary>, ReadError> {
    let Some(project) = shared.guarded(build.project) else { return Ok(None) };
    let branch = shared.store.branch_by_id(build.branch).await?;
    let revision = shared.store.revision_by_id(build.revision).await?;
    build_summary(shared, project, build, &branch.name, revision.number).await.map(Some)
}

/// A build's whole page; none when its project is not guarded here any more.
pub(crate) async fn build_detail(shared: &Shared, build: &Build) -> Result<Option<BuildDetail>, ReadError> {
    let Some(summary) = summary_of(shared, build).await? else { return Ok(None) };
    let mut lately = Vec::new();
    for other in shared.store.builds_before(build, 5).await? {
        lately.extend(summary_of(shared, &other).await?);
    }
    Ok(Some(BuildDetail {
        attempt: build.attempt,
        isolation: build.isolation,
        ran_in: build.ran_in,
        steps: steps(shared, build).await?,
        reproduce: reproduce(shared, build, &summary),
        lately,
        retried_as: build.retried_as,
        next: turn(shared, build).await?,
        summary,
    }))
}

/// Whose turn a build is: while it is open, and while its end is what holds up its branch.
async fn turn(shared: &Shared, build: &Build) -> Result<Option<api::Next>, ReadError> {
    let branch = shared.store.branch_by_id(build.branch).await?;
    let newest = shared.store.newest_revision(build.branch).await?;
    if build.result().is_some() {
        let is_newest = newest.as_ref().is_some_and(|revision| revision.id == build.revision);
        if !build.required || branch.state != BranchState::Live || !is_newest {
            return Ok(None);
        }
        let others = shared.store.builds_of_revision(build.revision).await?;
        if others.iter().find(|it| it.builder.name == build.builder.name).is_some_and(|it| it.id != build.id) {
            return Ok(None);
        }
    }
    let author = author(&branch, newest.as_ref());
    let author = if author.is_empty() { "the author" } else { &author };
    Ok(verdict::turn(&build.builder.name, &state(shared, build).await?, author))
}

async fn steps(shared: &Shared, build: &Build) -> Result<Vec<StepDetail>, ReadError> {
    let begun = shared.store.steps(build.id).await?;
    let mut steps = Vec::with_capacity(build.builder.steps.len() + 1);
    for step in &begun {
        let plan =
            usize::try_from(step.number).ok().and_then(|n| n.checked_sub(1)).and_then(|n| build.builder.steps.get(n));
        let log_len = shared.logs.len(build.id, step.number)?;
        steps.push(begun_step(build, step, plan.map(|p| command(&p.run)).unwrap_or_default(), log_len));
    }
    let ended = build.result().is_some();
    for (i, plan) in build.builder.steps.iter().enumerate() {
        let number = u32::try_from(i).unwrap_or(u32::MAX).saturating_add(1);
        if begun.iter().any(|s| s.number == number) {
            continue;
        }
        steps.push(StepDetail {
            number,
            name: plan.name.clone(),
            command: command(&plan.run),
            look: if ended { Look::Skipped } else { Look::Waiting },
            word: if ended { "skipped" } else { "waiting" }.to_owned(),
            result: None,
            exit_code: None,
            says: String::new(),
            ran_ms: None,
            log_len: 0,
            links: Vec::new(),
        });
    }
    Ok(steps)
}

fn begun_step(build: &Build, step: &Step, command: String, log_len: u64) -> StepDetail {
    let (look, word) = match (step.result, build.result()) {
        (Some(result), _) => verdict::result_mark(result),
        (None, None) => (Look::Running, "running"),
        (None, Some(_)) => (Look::Cancelled, "interrupted"),
    };
    StepDetail {
        number: step.number,
        name: step.name.clone(),
        command,
        look,
        word: word.to_owned(),
        result: step.result,
        exit_code: step.exit_code.and_then(|code| i32::try_from(code).ok()),
        says: if step.reason.is_empty() { step.summary.clone() } else { step.reason.clone() },
        ran_ms: step.ran_ms,
        log_len,
        links: step.links.clone(),
    }
}

fn command(run: &Run) -> String {
    match run {
        Run::Shell(text) => text.clone(),
        Run::Argv(words) => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn reproduce(shared: &Shared, build: &Build, summary: &BuildSummary) -> Vec<String> {
    let git = format!("{}/git/{}.git", shared.url, summary.project);
    let reference = Mirror::kept_candidate_ref(&summary.branch, summary.revision, &build.commit);
    let mut lines = vec![format!("git fetch {git} {reference} && git switch --detach FETCH_HEAD")];
    lines.extend(build.builder.steps.iter().map(|step| command(&step.run)));
    lines
}
