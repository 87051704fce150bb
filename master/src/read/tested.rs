//! What decides about an entry of the queue: the commit that is built for it now, that it landed by, or that it failed in; with
//! the stack that this is of, and what its builds say.

use super::facts::Deciding;
use super::{Moment, ReadError};
use crate::names;
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Build, BuildRowState, Builds, Entry, EntryState, StackOf, StackRow};
use gate::code::Code;
use gate::verdict;
use protocol::api::{FailedStep, Look, Mark, QueueEntry, StackLine, Tested, TestedBuild};
use protocol::{BranchName, BuildResult, CandidateId};
use std::collections::HashMap;

/// A stack as data has it.
pub(super) fn line_of(stack: &StackOf) -> StackLine {
    StackLine {
        id: stack.id,
        purpose: stack.purpose.clone(),
        on: stack.on.clone(),
        branches: stack.members.iter().map(|member| member.branch.clone()).collect(),
        commits: stack.members.iter().map(|member| member.commit.clone()).collect(),
    }
}

/// The builders' words on an entry's candidate, in the recipe's order.
pub(super) fn marks(builds: &Builds) -> Vec<Mark> {
    let mut builds: Vec<&Build> = builds.latest_of_each().collect();
    builds.sort_by_key(|build| build.position);
    let mark = |build: &Build| {
        let (look, word) = look_of(build);
        Mark {
            builder: build.builder.name.clone(),
            required: build.required,
            look,
            word: word.to_owned(),
            build: Some(build.id),
        }
    };
    builds.into_iter().map(mark).collect()
}

/// The same of a stack that an entry is tested in: the queue asks for no builds of it but those that landing needs.
pub(super) fn marks_of(tested: &Tested) -> Vec<Mark> {
    let mark = |build: &TestedBuild| Mark {
        builder: build.builder.clone(),
        required: true,
        look: build.look,
        word: build.word.clone(),
        build: Some(build.build),
    };
    tested.builds.iter().map(mark).collect()
}

fn look_of(build: &Build) -> (Look, &'static str) {
    match build.state {
        BuildRowState::Waiting => (Look::Waiting, "waiting"),
        BuildRowState::Running => (Look::Running, "running"),
        BuildRowState::Finished(result) => verdict::result_mark(result),
    }
}

/// What decides about one entry.
struct By {
    candidate: CandidateId,
    stack: Option<i64>,
    /// Those that landed with it, where it landed.
    landed_with: Option<Vec<BranchName>>,
}

/// What is read of all of them at once.
#[derive(Default)]
struct Found {
    by: HashMap<i64, By>,
    stacks: HashMap<i64, StackOf>,
    builds: HashMap<CandidateId, Builds>,
}

/// Of these entries of a project, what decides about each; none of one for which nothing was built.
pub(super) async fn of_entries(
    at: &Moment<'_>,
    project: &Guarded,
    entries: &[&Entry],
) -> Result<HashMap<i64, Tested>, ReadError> {
    let found = find(at, project, entries).await?;
    let counting = |entry: &&&Entry| Some((entry.id, counting(entry, &found)?));
    let counting: HashMap<i64, Vec<&Build>> = entries.iter().filter_map(|entry| counting(&entry)).collect();
    let deciding = Deciding::of(&at.store, counting.values().flatten().copied()).await?;
    let tested = |entry: &&Entry| {
        let builds = counting.get(&entry.id)?;
        let by = found.by.get(&entry.id)?;
        let stack = by.stack.and_then(|id| found.stacks.get(&id)).filter(|stack| stack.members.len() > 1);
        let others = stack.map(|stack| {
            let others = stack.members.iter().filter(|member| member.entry != entry.id);
            others.map(|member| member.branch.clone()).collect()
        });
        let tested = Tested {
            stack: stack.map(|stack| stack.id),
            purpose: stack.map(|stack| stack.purpose.clone()).unwrap_or_default(),
            commit: builds.first()?.commit.clone(),
            with: by.landed_with.clone().or(others).unwrap_or_default(),
            builds: builds.iter().map(|build| tested_build(project, build, &deciding)).collect(),
        };
        Some((entry.id, tested))
    };
    Ok(entries.iter().filter_map(tested).collect())
}

async fn find(at: &Moment<'_>, project: &Guarded, entries: &[&Entry]) -> Result<Found, ReadError> {
    let store = &at.store;
    let ids = |state: EntryState| entries.iter().filter(move |entry| entry.state == state).map(|entry| entry.id);
    let mut found = Found::default();
    for (entry, by) in store.landed_by(ids(EntryState::Landed)).await? {
        if let Some(candidate) = by.candidate {
            found.by.insert(entry, By { candidate, stack: None, landed_with: Some(by.with) });
        }
    }
    let left_by = store.stacks_left_by(ids(EntryState::Ejected)).await?;
    let live = if ids(EntryState::Queued).next().is_some() { store.stacks(project.id).await? } else { Vec::new() };
    let own = entries.iter().filter_map(|entry| entry.candidate);
    let tops = live.iter().map(|stack| stack.top).chain(found.by.values().map(|by| by.candidate));
    found.builds = store.latest_builds_on(own.chain(tops)).await?;
    for entry in entries {
        let stack = match entry.state {
            EntryState::Landed => continue,
            EntryState::Ejected => left_by.get(&entry.id).copied(),
            EntryState::Queued => {
                if let Some(stack) = tested_in(entry.id, &live, &found.builds) {
                    let by = By { candidate: stack.top, stack: Some(stack.id), landed_with: None };
                    found.by.insert(entry.id, by);
                    continue;
                }
                let alone = [Code::Testing, Code::TestingStuck, Code::Landing, Code::Paused, Code::PushRefused];
                if alone.iter().all(|code| code.as_str() != entry.standing.code) {
                    continue;
                }
                None
            }
        };
        if let Some(candidate) = entry.candidate {
            found.by.insert(entry.id, By { candidate, stack, landed_with: None });
        }
    }
    found.stacks = store.stacks_by_id(found.by.values().filter_map(|by| by.stack)).await?;
    Ok(found)
}

/// The stack that an entry is tested in: the newest that is being built, else the newest that was.
fn tested_in<'s>(entry: i64, live: &'s [StackRow], builds: &HashMap<CandidateId, Builds>) -> Option<&'s StackRow> {
    let has_it = |stack: &&StackRow| stack.members.iter().any(|(member, _)| *member == entry);
    let of = |stack: &StackRow| builds.get(&stack.top).into_iter().flat_map(Builds::iter);
    let its = || live.iter().rev().filter(has_it);
    its().find(|stack| of(stack).any(is_open)).or_else(|| its().find(|stack| of(stack).next().is_some()))
}

fn is_open(build: &Build) -> bool {
    build.result().is_none() && build.cancel.is_none()
}

/// Those of its builds that say why it stands where it stands, in the recipe's order; none where there are none.
fn counting<'f>(entry: &Entry, found: &'f Found) -> Option<Vec<&'f Build>> {
    let mut builds: Vec<&Build> = found.builds.get(&found.by.get(&entry.id)?.candidate)?.latest_of_each().collect();
    builds.sort_by_key(|build| build.position);
    let some = |counts: &dyn Fn(&Build) -> bool| -> Vec<&'f Build> {
        builds.iter().filter(|build| counts(build)).copied().collect()
    };
    let passed = |build: &Build| build.result().is_some_and(BuildResult::passed);
    let telling = match entry.state {
        EntryState::Queued => return Some(builds).filter(|builds| !builds.is_empty()),
        EntryState::Landed => some(&|build| build.required && passed(build)),
        EntryState::Ejected => some(&|build| build.required && !passed(build)),
    };
    Some(if telling.is_empty() { builds } else { telling }).filter(|builds| !builds.is_empty())
}

fn tested_build(project: &Guarded, build: &Build, deciding: &Deciding) -> TestedBuild {
    let (look, word) = look_of(build);
    TestedBuild {
        build: build.id,
        builder: build.builder.name.clone(),
        look,
        word: word.to_owned(),
        step: deciding.step_of(build.id).map(|step| FailedStep {
            number: step.number,
            name: step.name.clone(),
            line: None,
        }),
        page: names::build_page(&project.name, build.id),
    }
}

/// Places in the queue of a branch whose builds' logs are looked at.
const LOOKED: usize = 3;

/// Finds the lines of logs that tell why builds failed in which a branch left the queue, and has their links lead there.
pub(super) async fn find_lines(shared: &Shared, entries: &mut [QueueEntry]) {
    let failed = |build: &&mut TestedBuild| matches!(build.look, Look::Failed | Look::Exception);
    let tested = entries.iter_mut().take(LOOKED).filter_map(|entry| entry.tested.as_mut());
    for build in tested.flat_map(|tested| tested.builds.iter_mut()).filter(failed) {
        let Some(step) = build.step.as_mut() else { continue };
        let (logs, id, number) = (shared.logs.clone(), build.build, step.number);
        let find = move || logs.first_error(id, number, &logs.lines(id, number)?);
        // A log that can't be read takes nothing from the page but its line.
        let found = tokio::task::spawn_blocking(find).await.map_err(std::io::Error::other).flatten();
        if let Ok(Some(line)) = found {
            step.line = Some(line);
            build.page = format!("{}?at={number}-{line}#L{number}-{line}", build.page);
        }
    }
}
