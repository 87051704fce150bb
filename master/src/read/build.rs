//! Builds: the line of a listing, and the whole page.

use super::at_home::{self, command};
use super::facts::{self, Deciding};
use super::{Moment, ReadError, artifacts, tested};
use crate::names;
use crate::project::{Guarded, assignment};
use crate::store::{
    Branch, BranchState, Build, BuildRowState, ListedBuild, Reader, Revision, StackOf, Step, Which, author,
};
use gate::verdict;
use protocol::api::{self, BuildDetail, BuildPage, BuildState, BuildSummary, Look, StepDetail};
use protocol::wire::Assignment;
use protocol::{BranchId, BranchName, BuildId, BuildResult, RevisionId, SlaveId, SlaveName};
use std::collections::HashMap;

/// Builds' lines, in their order; none of one whose project is not guarded here any more.
pub(super) async fn summaries(at: &Moment<'_>, builds: &[&Build]) -> Result<Vec<Option<BuildSummary>>, ReadError> {
    let others = Others::of(&at.store, builds).await?;
    Ok(builds.iter().map(|build| summary(at, build, &others)).collect())
}

/// What lines of builds say of other rows, read together.
struct Others {
    branches: HashMap<BranchId, Branch>,
    revisions: HashMap<RevisionId, Revision>,
    slaves: HashMap<SlaveId, SlaveName>,
    deciding: Deciding,
    stacks: HashMap<i64, StackOf>,
}

impl Others {
    async fn of(store: &Reader, builds: &[&Build]) -> Result<Self, ReadError> {
        Ok(Self {
            branches: store.branches_by_id(builds.iter().map(|build| build.branch)).await?,
            revisions: store.revisions_by_id(builds.iter().map(|build| build.revision)).await?,
            slaves: store.slave_names(builds.iter().filter_map(|build| build.slave)).await?,
            deciding: Deciding::of(store, builds.iter().copied()).await?,
            stacks: store.stacks_by_id(builds.iter().filter_map(|build| build.of_stack)).await?,
        })
    }
}

fn summary(at: &Moment<'_>, build: &Build, others: &Others) -> Option<BuildSummary> {
    let project = at.guarded(build.project)?;
    let (branch, revision) = (others.branches.get(&build.branch)?, others.revisions.get(&build.revision)?);
    let state = facts::state(at, build, branch.trusted, &others.deciding);
    let (look, word) = state.mark();
    let slave = build.slave.and_then(|id| others.slaves.get(&id)).cloned();
    let says = match &state {
        verdict::Build::Running { .. } if at.is_kept(build.id) => {
            let name = slave.as_ref().map_or("?", |name| name.as_str());
            format!("slave {name} is away, and no other could run it: it goes on when {name} is back")
        }
        verdict::Build::Waiting(Some(wait)) => wait.text(),
        verdict::Build::Waiting(None) => "to be given to a slave".to_owned(),
        _ => build.says.clone(),
    };
    Some(BuildSummary {
        id: build.id,
        builder: build.builder.name.clone(),
        project: project.name.clone(),
        branch: branch.name.clone(),
        with: below(build.of_stack, &others.stacks),
        stack: build.of_stack.filter(|id| others.stacks.contains_key(id)),
        revision: revision.number,
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

/// The branches below the top of a stack.
fn below(stack: Option<i64>, stacks: &HashMap<i64, StackOf>) -> Vec<BranchName> {
    let members = stack.and_then(|id| stacks.get(&id)).map_or(&[][..], |stack| &stack.members);
    members.iter().rev().skip(1).rev().map(|member| member.branch.clone()).collect()
}

/// The most builds of a page, and how many it has when nobody says.
pub(crate) const MOST_BUILDS: usize = 200;
const USUAL: usize = 50;

/// A page of a project's builds, newest first.
pub(crate) async fn build_page(
    at: &Moment<'_>,
    project: &Guarded,
    which: &Which,
    limit: Option<usize>,
) -> Result<BuildPage, ReadError> {
    let limit = limit.unwrap_or(USUAL).clamp(1, MOST_BUILDS);
    let listed = at.store.listed_builds(project.id, which, limit).await?;
    // Of those that are open there is more to say, and they are few.
    let open = listed.builds.iter().filter(|it| !matches!(it.state, BuildRowState::Finished(_))).map(|it| it.id);
    let open = at.store.builds_by_id(open).await?;
    let open = summaries(at, &open.iter().collect::<Vec<_>>()).await?;
    let stacks = at.store.stacks_by_id(listed.builds.iter().filter_map(|it| it.of_stack)).await?;
    let mut open: HashMap<BuildId, BuildSummary> = open.into_iter().flatten().map(|it| (it.id, it)).collect();
    let line = |it: ListedBuild| match it.state {
        BuildRowState::Finished(result) => Some(ended(project, it, result, &stacks)),
        BuildRowState::Waiting | BuildRowState::Running => open.remove(&it.id),
    };
    Ok(BuildPage { builds: listed.builds.into_iter().filter_map(line).collect(), next: listed.next })
}

/// The line of a build that has ended.
fn ended(project: &Guarded, it: ListedBuild, result: BuildResult, stacks: &HashMap<i64, StackOf>) -> BuildSummary {
    let (look, word) = verdict::result_mark(result);
    BuildSummary {
        id: it.id,
        builder: it.builder,
        project: project.name.clone(),
        branch: it.branch,
        with: below(it.of_stack, stacks),
        stack: it.of_stack.filter(|id| stacks.contains_key(id)),
        revision: it.revision,
        for_queue: it.for_queue,
        commit: it.commit,
        state: BuildState::Finished(result),
        look,
        word: word.to_owned(),
        says: it.says,
        slave: it.slave,
        requested_ms: it.requested,
        started_ms: it.started,
        finished_ms: it.finished,
        page: names::build_page(&project.name, it.id),
    }
}

/// A build's whole page; none when there is no such build, or its project is not guarded here any more.
pub(crate) async fn build_detail(at: &Moment<'_>, id: BuildId) -> Result<Option<BuildDetail>, ReadError> {
    let Some(build) = &at.store.build(id).await? else { return Ok(None) };
    let before = at.store.builds_before(build, 5).await?;
    let builds: Vec<&Build> = std::iter::once(build).chain(&before).collect();
    let mut lines = summaries(at, &builds).await?.into_iter();
    let Some(summary) = lines.next().flatten() else { return Ok(None) };
    let stack = match build.of_stack {
        Some(id) => at.store.stacks_by_id([id]).await?.remove(&id),
        None => None,
    };
    let reproduce = match assignment_of(at, build).await? {
        Some(assignment) => at_home::lines(at.url(), &assignment),
        None => Vec::new(),
    };
    Ok(Some(BuildDetail {
        line: stack.as_ref().map(tested::line_of),
        attempt: build.attempt,
        isolation: build.isolation,
        ran_in: build.ran_in,
        steps: steps(at, build, &summary.page).await?,
        reproduce,
        lately: lines.flatten().collect(),
        retried_as: build.retried_as,
        next: turn(at, build, stack.as_ref()).await?,
        summary,
    }))
}

/// What a slave is given of a build, or was; none if its project is not guarded here any more.
pub(crate) async fn assignment_of(at: &Moment<'_>, build: &Build) -> Result<Option<Assignment>, ReadError> {
    let Some(project) = at.guarded(build.project) else { return Ok(None) };
    Ok(Some(assignment(&at.store, project, build, at.limits(), at.url()).await?))
}

/// Whose turn a build is: while it is open, and while its end is what holds up its branch.
async fn turn(at: &Moment<'_>, build: &Build, stack: Option<&StackOf>) -> Result<Option<api::Next>, ReadError> {
    let branch = at.store.branch_by_id(build.branch).await?;
    let newest = at.store.newest_revision(build.branch).await?;
    if let Some(result) = build.result().filter(|_| build.of_stack.is_some()) {
        // It says nothing of its top alone, and is nobody's turn but the queue's.
        let waits = stack.is_some_and(|stack| !stack.over) && build.required && !result.passed();
        let what = "finds which of them fails, and lands the others".to_owned();
        return Ok(waits.then(|| api::Next { who: "bb".to_owned(), what }));
    }
    if build.result().is_some() {
        let is_newest = newest.as_ref().is_some_and(|revision| revision.id == build.revision);
        if !build.required || branch.state != BranchState::Live || !is_newest {
            return Ok(None);
        }
        let latest = at.store.latest_builds([build.revision]).await?;
        let latest = latest.get(&build.revision).and_then(|builds| builds.latest_of(&build.builder.name));
        if latest.is_some_and(|latest| latest.id != build.id) {
            return Ok(None);
        }
    }
    let author = author(&branch, newest.as_ref());
    let author = if author.is_empty() { "the author" } else { &author };
    let deciding = Deciding::of(&at.store, std::iter::once(build)).await?;
    Ok(verdict::turn(&build.builder.name, &facts::state(at, build, branch.trusted, &deciding), author))
}

async fn steps(at: &Moment<'_>, build: &Build, page: &str) -> Result<Vec<StepDetail>, ReadError> {
    let mut kept = artifacts::of_build(at, build, page).await?;
    let begun = at.store.steps(build.id).await?;
    let mut steps = Vec::with_capacity(build.builder.steps.len() + 1);
    for step in &begun {
        let plan =
            usize::try_from(step.number).ok().and_then(|n| n.checked_sub(1)).and_then(|n| build.builder.steps.get(n));
        let log_len = at.log_len(build.id, step.number)?;
        let command = plan.map(|p| command(&p.run)).unwrap_or_default();
        steps.push(StepDetail { artifacts: kept.remove(&step.number), ..begun_step(build, step, command, log_len) });
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
            tests: None,
            artifacts: None,
        });
    }
    bound_tests(&mut steps);
    Ok(steps)
}

/// Bytes of failing tests that are told of a build: each step may have many, and a build many steps.
const TESTS_BYTES: usize = 256 << 10;

/// Leaves out failing tests beyond that; how many there are is said by their number.
fn bound_tests(steps: &mut [StepDetail]) {
    let mut left = TESTS_BYTES;
    for tests in steps.iter_mut().filter_map(|step| step.tests.as_mut()) {
        tests.failing.retain(|test| {
            let rest = left.checked_sub(test.name.len() + test.text.len() + 100);
            left = rest.unwrap_or(0);
            rest.is_some()
        });
    }
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
        tests: step.tests.clone(),
        artifacts: None,
    }
}
