//! Makes stacks: each entry's candidate on the commit of the one before, so that every commit of the line is what would land if
//! only the lower part did; then asks for the builds of the top. One that does not go together with others is told apart from
//! one that does not merge with mainline.

use super::StepError;
use super::candidates;
use super::each::{is_everybodys, look_after, unready};
use crate::project::{Guarded, RecipeState, recipes, requests};
use crate::state::Shared;
use crate::store::{Claim, Entry};
use gate::stacks::Purpose;
use protocol::{CandidateId, CommitId};
use tracker::mirror::{Mirror, MirrorError};

/// What entries are remembered under of which nothing could be made.
pub(super) const NAME: &str = "stacks";

/// A stack's rows.
pub(super) struct Stacked {
    /// Its number; 0 of one entry's own candidate.
    pub(super) id: i64,
    pub(super) top: CandidateId,
    /// Its entries, first merged first, each with its own candidate.
    pub(super) members: Vec<(i64, CandidateId)>,
}

/// What a stack is made on and of.
pub(super) struct Making<'a> {
    pub(super) claim: Claim,
    /// Which time that mainline moved put it where it is.
    pub(super) on: i64,
    pub(super) tip: &'a CommitId,
    pub(super) purpose: Purpose,
}

/// A commit of the line.
struct Layer {
    commit: CommitId,
    candidate: CandidateId,
}

/// Makes the stack and asks for its builds. Nothing comes of it when mainline moved or an entry left meanwhile, or when not all of
/// them go together, which is recorded.
pub(super) async fn make(
    shared: &Shared,
    project: &Guarded,
    making: &Making<'_>,
    entries: &[&Entry],
) -> Result<(), StepError> {
    let mut layers: Vec<Layer> = Vec::with_capacity(entries.len());
    for (at, &entry) in entries.iter().enumerate() {
        let below = layers.last().map_or(making.tip, |layer| &layer.commit).clone();
        match layer(shared, project, making, entry, &below).await {
            Ok(Some(layer)) => layers.push(layer),
            Ok(None) => return tell_apart(shared, project, making, &entries[..=at], &layers).await,
            Err(error) if is_everybodys(&error) => return Err(error),
            Err(error) => {
                // The others are tested without it.
                tracing::warn!(project = %project.name, entry = entry.id, %error, "it can't be put on a stack");
                look_after(project, &error);
                project.unready.failed((NAME, entry.id), unready(&error));
                return Ok(());
            }
        }
    }
    let members: Vec<(i64, CandidateId)> =
        entries.iter().zip(&layers).map(|(entry, layer)| (entry.id, layer.candidate)).collect();
    let made = shared.store.add_stack(making.claim, making.on, &members, &making.purpose.words()).await?;
    let (Some(stack), Some(top)) = (made, layers.last()) else { return Ok(()) };
    tracing::info!(project = %project.name, stack, top = top.commit.short(), of = members.len(), "a stack was made");
    let stacked = Stacked { id: stack, top: top.candidate, members };
    ask(shared, project, making.claim, &stacked, None).await
}

/// Has a commit of mainline itself built, on behalf of an entry. `on` is which time that mainline moved put it there.
pub(super) async fn make_mainline(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    (on, commit): (i64, &CommitId),
    entry: &Entry,
) -> Result<(), StepError> {
    let tree = project.mirror.tree_id(commit).await?;
    let (branch, revision) =
        (shared.store.branch_by_id(entry.branch).await?, shared.store.revision_by_id(entry.revision).await?);
    // Slaves fetch it by this.
    let reference = Mirror::kept_candidate_ref(&branch.name, revision.number, commit);
    project.mirror.keep(commit, vec![reference]).await?;
    let purpose = Purpose::Mainline.words();
    let Some((id, top)) = shared.store.add_mainline_stack(claim, on, entry, (commit, &tree), &purpose).await? else {
        return Ok(());
    };
    tracing::info!(project = %project.name, commit = commit.short(), "mainline itself is built");
    ask(shared, project, claim, &Stacked { id, top, members: Vec::new() }, None).await
}

/// Whether two commits are built in the same way.
pub(super) async fn builds_alike(project: &Guarded, one: &CommitId, other: &CommitId) -> Result<bool, MirrorError> {
    Ok(match (recipes::at(project, one).await?, recipes::at(project, other).await?) {
        (RecipeState::Fine(one), RecipeState::Fine(other)) => one.recipe.builders == other.recipe.builders,
        _ => false,
    })
}

/// Asks for the builds of a stack's top by those of its required builders that are named, or by all of them.
pub(super) async fn ask(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    stacked: &Stacked,
    by: Option<&[String]>,
) -> Result<(), StepError> {
    let candidate = shared.store.candidate_by_id(stacked.top).await?;
    let Some(commit) = candidate.made_commit() else { return Ok(()) };
    let RecipeState::Fine(recipe) = recipes::at(project, commit).await? else { return Ok(()) };
    let branch = shared.store.branch_by_id(candidate.branch).await?;
    let required = |name: &str| recipe.recipe.builders.iter().any(|b| b.name == name && b.required);
    let wanted = |name: &str| by.map_or_else(|| required(name), |by| by.iter().any(|it| it == name));
    let mut builds = requests(project, &branch, &candidate, &recipe.recipe, true, wanted);
    // What is built is the work of all of them: it is kept apart as the least trusted of them is.
    for build in &mut builds {
        build.of_stack = (stacked.members.len() != 1).then_some(stacked.id);
    }
    for (entry, _) in &stacked.members {
        let entry = shared.store.entry(*entry).await?;
        let isolation = crate::auth::isolation_for(&shared.store.branch_by_id(entry.branch).await?);
        for build in &mut builds {
            build.isolation = build.isolation.max(isolation);
        }
    }
    shared.store.ask_for_builds(claim, &builds, None).await?;
    Ok(())
}

/// An entry's candidate on a commit, with its ref; none when it can't be made there, or changes how everything is built.
async fn layer(
    shared: &Shared,
    project: &Guarded,
    making: &Making<'_>,
    entry: &Entry,
    below: &CommitId,
) -> Result<Option<Layer>, StepError> {
    let Some(candidate) = candidates::stacked(shared, project, making.claim, entry, below).await? else {
        return Ok(None);
    };
    let Some(commit) = candidate.made_commit().filter(|_| !candidate.changes_recipe) else { return Ok(None) };
    // Where a recipe is guessed the tree says it, and no file of it alone.
    let alike = builds_alike(project, commit, below).await?;
    Ok(alike.then(|| Layer { commit: commit.clone(), candidate: candidate.id }))
}

/// Finds what the last of these does not go together with: mainline, or the first of those before it that makes the difference.
async fn tell_apart(
    shared: &Shared,
    project: &Guarded,
    making: &Making<'_>,
    entries: &[&Entry],
    layers: &[Layer],
) -> Result<(), StepError> {
    let Some((last, before)) = entries.split_last() else { return Ok(()) };
    if layer(shared, project, making, last, making.tip).await?.is_none() {
        // Its own candidate says so, on mainline as it is, and it goes with nobody.
        return Ok(());
    }
    // It merges onto so many of them, and not onto so many.
    let (mut fits, mut fails) = (0, before.len());
    while fails - fits > 1 {
        let half = fits.midpoint(fails);
        let Some(below) = layers.get(half - 1) else { break };
        match layer(shared, project, making, last, &below.commit).await? {
            Some(_) => fits = half,
            None => fails = half,
        }
    }
    let Some(with) = before.get(fails.saturating_sub(1)) else { return Ok(()) };
    tracing::info!(project = %project.name, entry = last.id, with = with.id, "two in the queue do not merge with each other");
    Ok(shared.store.set_apart(making.claim, last.id, with.id).await?)
}
