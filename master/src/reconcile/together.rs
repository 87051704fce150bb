//! What the queue knows when several are tested at once: read from rows, as `gate::queue::decide_together` takes it.

use super::StepError;
use super::each::{is_everybodys, look_after};
use super::seen::{builds_as_seen, failed};
use super::stacking::{self, Stacked};
use crate::project::{Guarded, RecipeState, recipes};
use crate::state::Shared;
use crate::store::{
    Branch, Build, BuildRowState, Candidate, Claim, Entry, Revision, StackRow, Stacks, Step, Told, now,
};
use gate::queue::{BuilderOf, EntryId, Member, StackId, Tested, Together, runs};
use gate::stacks::{By, Mainline, MainlineId, Move, Policy, Run};
use protocol::wire::Availability;
use protocol::{BranchId, BuildId, BuildResult, CandidateId, CommitId, RevisionId};
use std::collections::{HashMap, HashSet};

/// Of one that passed alone, of one that failed alone, and of all others: how likely they fail beside an ordinary one.
const RISKS: (f64, f64, f64) = (0.3, 5.0, 1.0);
/// How long a build takes while none has ended, in milliseconds.
const GUESSED_MS: u64 = 300_000;

/// What is known, and what of it the actions need.
pub(super) struct Known {
    pub(super) together: Together,
    pub(super) tested: HashMap<StackId, Stacked>,
    /// Which time that mainline moved put it where it is.
    pub(super) on: i64,
    /// Where mainline was and is, by those times.
    pub(super) places: HashMap<i64, CommitId>,
    /// Of each entry that has one: its own candidate, as it would land alone on mainline as it is.
    pub(super) own: HashMap<i64, CandidateId>,
}

/// The rows of those that wait.
pub(super) struct Waiting<'a> {
    /// Those that nothing takes out, in any order.
    pub(super) entries: Vec<&'a Entry>,
    pub(super) branches: &'a HashMap<BranchId, Branch>,
    pub(super) revisions: &'a HashMap<RevisionId, Revision>,
}

/// The name of a stack that has a row. Those of the serial queue are greater than nothing.
fn of_row(id: i64) -> StackId {
    StackId(-(id * 2))
}

/// The name of one entry's own candidate, which was built before or beside.
fn of_candidate(id: CandidateId) -> StackId {
    StackId(-(id.0 * 2 + 1))
}

/// Reads all of it; none while nothing can be tested together: where mainline or its recipe are not known, or nobody waits.
pub(super) async fn read(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    tip: &CommitId,
    waiting: &Waiting<'_>,
) -> Result<Option<Known>, StepError> {
    let stacks = with_waiting(shared, claim, shared.store.all_stacks(project.id).await?, waiting).await?;
    if waiting.entries.is_empty() {
        return Ok(None);
    }
    let recipe = match recipes::at(project, tip).await {
        Ok(RecipeState::Fine(recipe)) => recipe,
        Ok(RecipeState::Broken(_) | RecipeState::Missing | RecipeState::Unknown) => return Ok(None),
        // Each says by itself what it lacks.
        Err(error) => {
            look_after(project, &error.into());
            return Ok(None);
        }
    };
    let judges = recipe.recipe.builders.iter().filter(|builder| builder.required).count();
    let Some(at) = shared.store.mainline_now(project.id).await?.filter(|at| at.commit == *tip && judges > 0) else {
        return Ok(None);
    };
    let oldest = stacks.iter().map(|it| it.on).min().unwrap_or(at.id).min(at.id);
    let places = shared.store.mainline_moves(project.id, oldest - 1).await?;
    let known: HashSet<i64> = places.iter().map(|it| it.id).collect();
    let moves = places.windows(2).map(|pair| Move {
        from: MainlineId(pair[0].id),
        by: match &pair[1].entries {
            entries if entries.is_empty() => By::Others,
            entries => By::Landing(entries.iter().map(|id| EntryId(*id)).collect()),
        },
    });
    let began_by_queue = places.first().is_some_and(|first| !first.entries.is_empty());
    let mainline = Mainline { at: MainlineId(at.id), moves: moves.collect(), began_by_queue };

    let own = own_candidates(shared, tip, waiting).await?;
    let as_it_lands = |entry: &&&Entry| {
        let candidate = own.get(&entry.id).filter(|it| it.mainline == *tip && it.terms_hash == entry.terms.hash)?;
        Some((entry.id, candidate.id))
    };
    let lands_alone = waiting.entries.iter().filter_map(|entry| as_it_lands(&entry)).collect();
    let tops: Vec<CandidateId> = stacks.iter().map(|it| it.top).collect();
    let candidates = shared.store.candidates_by_id(tops.iter().copied()).await?;
    let all = tops.iter().copied().chain(own.values().map(|it| it.id));
    let mut builds = shared.store.builds_of_candidates(all).await?;
    let decided_by = shared.store.deciding_steps(failed(builds.values().flatten())).await?;
    let (mut tested, mut rows) = (Vec::new(), HashMap::new());
    for row in stacks.into_iter().filter(|row| known.contains(&row.on)) {
        let Some(top) = candidates.get(&row.top) else { continue };
        let own = builds.get(&row.top).map_or(&[][..], |all| &all[..]);
        match one_s_trouble(project, seen(shared, project, (of_row(row.id), &row), top, own, &decided_by).await)? {
            Some(Some(it)) => {
                rows.insert(it.id, Stacked { id: row.id, top: row.top, members: row.members });
                tested.push(it);
            }
            Some(None) => {}
            // It is made again, if it is wanted.
            None => shared.store.drop_stacks(claim, &[row.id]).await?,
        }
    }
    let refused = shared.store.refused_pushes(project.id).await?;
    let is_guessed = recipes::is_guessed(&recipe);
    let mut members = Vec::new();
    for entry in &waiting.entries {
        let (Some(branch), Some(candidate)) = (waiting.branches.get(&entry.branch), own.get(&entry.id)) else {
            continue;
        };
        if !goes_along(project, waiting, entry, candidate) {
            continue;
        }
        // Where a recipe is guessed the tree says it, and no file of it alone.
        if let (true, Some(commit)) = (is_guessed, candidate.made_commit()) {
            let alike = stacking::builds_alike(project, commit, &candidate.mainline).await.map_err(StepError::from);
            if one_s_trouble(project, alike)? == Some(false) {
                continue;
            }
        }
        let mut risk = RISKS.2;
        let place = places.iter().rfind(|it| it.commit == candidate.mainline);
        let is_refused = candidate.made_commit().is_some_and(|commit| refused.contains(commit));
        let alone = StackRow::alone(entry.id, candidate.id, place.map_or(0, |it| it.id));
        let alone = StackRow { refused: is_refused, ..alone };
        let own = builds.remove(&candidate.id).unwrap_or_default();
        let it = seen(shared, project, (of_candidate(candidate.id), &alone), candidate, &own, &decided_by).await;
        if let Some(it) = one_s_trouble(project, it)?.flatten() {
            let says = it.builders.iter().filter(|b| b.required).map(|b| runs(&it, b)).collect::<Vec<_>>();
            if says.iter().any(|runs| runs.contains(&Run::Failed)) {
                risk = RISKS.1;
            } else if says.iter().all(|runs| runs.contains(&Run::Passed)) {
                risk = RISKS.0;
            }
            // What it said counts where it was made as it would land, and was not asked for as a stack of one.
            let ended = says.iter().all(|runs| {
                runs.contains(&Run::Passed) || runs.contains(&Run::Failed) && !runs.contains(&Run::Running)
            });
            let is_row = rows.values().any(|row| row.top == candidate.id && row.members.len() == 1);
            if ended && !is_row && place.is_some() && candidate.terms_hash == entry.terms.hash {
                rows.insert(it.id, Stacked { id: 0, top: candidate.id, members: alone.members });
                tested.push(it);
            }
        }
        members.push(Member { entry: EntryId(entry.id), name: branch.name.to_string(), risk });
    }
    let conflicts = shared.store.apart(project.id).await?;
    let together = Together {
        mainline,
        members,
        tested,
        conflicts: conflicts.into_iter().map(|(one, other)| (EntryId(one), EntryId(other))).collect(),
        capacity: (slots(shared).await? / u32::try_from(judges).unwrap_or(1).max(1)).max(1),
        mean_ms: shared.store.mean_build_ms(project.id).await?.unwrap_or(GUESSED_MS),
        experience: shared.store.experience(project.id).await?,
        policy: Policy { most: if recipe.recipe.queue.every_commit { 1 } else { MOST }, ..Policy::default() },
    };
    let places = places.into_iter().map(|it| (it.id, it.commit)).collect();
    Ok(Some(Known { together, tested: rows, on: at.id, places, own: lands_alone }))
}

/// What could be read of one stack or candidate. What of it can't be read stops no other; the mirror is looked after.
fn one_s_trouble<T>(project: &Guarded, read: Result<T, StepError>) -> Result<Option<T>, StepError> {
    match read {
        Ok(it) => Ok(Some(it)),
        Err(error) if is_everybodys(&error) => Err(error),
        Err(error) => {
            tracing::warn!(project = %project.name, %error, "what is tested together can't be read");
            look_after(project, &error);
            Ok(None)
        }
    }
}

/// The most entries of one stack.
const MOST: u32 = 100;

/// Those stacks of which somebody waits; the others are over, and so are those of which nothing counts.
async fn with_waiting(
    shared: &Shared,
    claim: Claim,
    Stacks { whole, torn }: Stacks,
    waiting: &Waiting<'_>,
) -> Result<Vec<StackRow>, StepError> {
    shared.store.drop_stacks(claim, &torn).await?;
    let waits: HashSet<i64> = waiting.entries.iter().map(|entry| entry.id).collect();
    let stays =
        |it: &StackRow| it.members.iter().map(|(entry, _)| entry).chain(&it.behalf).any(|it| waits.contains(it));
    let (stay, gone): (Vec<StackRow>, Vec<StackRow>) = whole.into_iter().partition(stays);
    if gone.is_empty() {
        return Ok(stay);
    }
    let builds = shared.store.builds_of_candidates(gone.iter().map(|it| it.top)).await?;
    let mut told = Vec::with_capacity(gone.len());
    for it in &gone {
        let ended = builds.get(&it.top).into_iter().flatten().filter(|build| build.builder.required);
        let count = |results: &[BuildResult]| {
            let many = ended.clone().filter(|build| build.result().is_some_and(|it| results.contains(&it))).count();
            i64::try_from(many).unwrap_or(i64::MAX)
        };
        let passed = count(&[BuildResult::Success, BuildResult::Warnings]);
        let flaked = if it.landed { count(&[BuildResult::Failure]) } else { 0 };
        told.push(Told { stack: it.id, passed, flaked });
    }
    shared.store.end_stacks(claim, &told).await?;
    Ok(stay)
}

/// Each entry's own candidate: on mainline as it is, as it would land, else the one that counts for its revision.
async fn own_candidates(
    shared: &Shared,
    tip: &CommitId,
    waiting: &Waiting<'_>,
) -> Result<HashMap<i64, Candidate>, StepError> {
    let revisions = || waiting.entries.iter().map(|entry| entry.revision);
    let counting = shared.store.candidates_of(revisions()).await?;
    let now = shared.store.candidates_on(tip, revisions()).await?;
    let own = |entry: &&Entry| {
        let as_landed = |it: &&Candidate| it.revision == entry.revision && it.terms_hash == entry.terms.hash;
        let candidate = now.iter().find(as_landed).or_else(|| counting.get(&entry.revision))?;
        Some((entry.id, candidate.clone()))
    };
    Ok(waiting.entries.iter().filter_map(own).collect())
}

/// Whether an entry may be tested together with others: it could be made when that was tried last, and does not change how
/// everything is built.
fn goes_along(project: &Guarded, waiting: &Waiting<'_>, entry: &Entry, own: &Candidate) -> bool {
    let is_whole = waiting.revisions.get(&entry.revision).is_some_and(|it| it.lost.is_none() && it.refusal.is_none());
    let failed = [stacking::NAME, super::candidates::NAME];
    let failed = failed.into_iter().any(|name| project.unready.rest((name, entry.id)).is_some());
    // What could not be pushed is the serial queue's, which reads all of it before it has its turn again.
    let failed = failed || project.unready.last((super::landing::NAME, entry.id)).is_some();
    is_whole && !failed && !entry.terms.json.is_empty() && own.is_made() && !own.changes_recipe
}

/// A stack as the decision takes it; none when its recipe can't be used.
async fn seen(
    shared: &Shared,
    project: &Guarded,
    (id, row): (StackId, &StackRow),
    top: &Candidate,
    builds: &[Build],
    decided_by: &HashMap<BuildId, Step>,
) -> Result<Option<Tested>, StepError> {
    let Some(commit) = top.made_commit() else { return Ok(None) };
    let RecipeState::Fine(recipe) = recipes::at(project, commit).await? else { return Ok(None) };
    let recipe = &recipe.recipe;
    let of = |b: &recipe::Builder| BuilderOf { name: b.name.clone(), required: b.required, of_mainline: true };
    let is_over = |b: &Build| b.handed_back || b.cancel.is_some() && b.state == BuildRowState::Running;
    let counts = |b: &&Build| b.commit == *commit && recipe.builders.contains(&b.builder) && !is_over(b);
    let own: Vec<&Build> = builds.iter().filter(counts).collect();
    Ok(Some(Tested {
        id,
        on: MainlineId(row.on),
        entries: row.members.iter().map(|(entry, _)| EntryId(*entry)).collect(),
        commit: commit.clone(),
        builders: gate::builders::builders_for(recipe).into_iter().map(of).collect(),
        builds: builds_as_seen(shared, &own, decided_by),
        begun: row.begun,
        refused: row.refused,
    }))
}

/// Slots of all slaves that take builds now.
async fn slots(shared: &Shared) -> Result<u32, StepError> {
    let slaves = shared.store.slaves().await?;
    let takes = slaves
        .iter()
        .filter(|slave| shared.sessions.connected(slave.id) && slave.availability(now()) != Availability::Unavailable);
    Ok(takes.map(|slave| slave.slots).sum())
}
