//! Makes stacks: each entry's candidate on the commit of the one before, so that every commit of the line is what would land if
//! only the lower part did; then asks for the builds of the top. One that does not go together with others is told apart from
//! one that does not merge with mainline.

use super::StepError;
use super::candidates::{self, InLine};
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

/// Makes the stack and asks for its builds. Nothing comes of it when mainline moved or an entry left meanwhile, or when not all of
/// them go together, which is recorded.
pub(super) async fn make(
    shared: &Shared,
    project: &Guarded,
    making: &Making<'_>,
    entries: &[&Entry],
) -> Result<(), StepError> {
    let mut line: Vec<InLine> = Vec::with_capacity(entries.len());
    let mut commits: Vec<CommitId> = Vec::with_capacity(entries.len());
    for (at, &entry) in entries.iter().enumerate() {
        let below = commits.last().unwrap_or(making.tip).clone();
        match layer(shared, project, entry, &below).await {
            Ok(Some(Layer { made, commit: Some(commit) })) => {
                line.push(made);
                commits.push(commit);
            }
            Ok(other) => {
                // What was found out is not asked again.
                line.extend(other.map(|layer| layer.made));
                candidates::keep_line(shared, project, making.claim, line).await?;
                return tell_apart(shared, project, making, &entries[..=at], &commits).await;
            }
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
    let line = candidates::keep_line(shared, project, making.claim, line).await?;
    if line.iter().zip(&commits).any(|(candidate, commit)| candidate.made_commit() != Some(commit)) {
        // Another was made of one of them meanwhile; the next turn finds it.
        return Ok(());
    }
    let members: Vec<(i64, CandidateId)> =
        entries.iter().zip(&line).map(|(entry, candidate)| (entry.id, candidate.id)).collect();
    let made = shared.store.add_stack(making.claim, making.on, &members, &making.purpose.words()).await?;
    let (Some(stack), Some(top)) = (made, line.last()) else { return Ok(()) };
    let commit = commits.last().map(|it| it.short().to_owned()).unwrap_or_default();
    tracing::info!(project = %project.name, stack, top = commit, of = members.len(), "a stack was made");
    let stacked = Stacked { id: stack, top: top.id, members };
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

/// Asks for the builds of a stack's top by those of its required builders that are named, or by all of them. Of one entry alone
/// optional builders say something, too, though landing does not wait for them.
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
    let is_alone = stacked.members.len() == 1;
    let asked = |name: &str| recipe.recipe.builders.iter().any(|b| b.name == name && (b.required || is_alone));
    let wanted = |name: &str| by.map_or_else(|| asked(name), |by| by.iter().any(|it| it == name));
    let mut builds = requests(project, &branch, &candidate, &recipe.recipe, true, wanted);
    // What is built is the work of all of them: it is kept apart as the least trusted of them is.
    for build in &mut builds {
        build.of_stack = (!is_alone).then_some(stacked.id);
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

/// A place of the line.
struct Layer {
    made: InLine,
    /// None when it can't be made there, or changes how everything is built.
    commit: Option<CommitId>,
}

/// An entry's candidate on a commit; none for one that binds nothing yet.
async fn layer(
    shared: &Shared,
    project: &Guarded,
    entry: &Entry,
    below: &CommitId,
) -> Result<Option<Layer>, StepError> {
    let Some(made) = candidates::in_line(shared, project, entry, below).await? else { return Ok(None) };
    let commit = match made.commit() {
        // Where a recipe is guessed the tree says it, and no file of it alone.
        Some(commit) if builds_alike(project, commit, below).await? => Some(commit.clone()),
        _ => None,
    };
    Ok(Some(Layer { made, commit }))
}

/// Whether an entry goes onto a commit, which is recorded.
async fn goes(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    entry: &Entry,
    below: &CommitId,
) -> Result<bool, StepError> {
    let Some(Layer { made, commit }) = layer(shared, project, entry, below).await? else { return Ok(false) };
    candidates::keep_line(shared, project, claim, vec![made]).await?;
    Ok(commit.is_some())
}

/// Finds what the last of these does not go together with: mainline, or the first of those before it that makes the difference.
/// `commits` are those of the line that they make, without the last.
async fn tell_apart(
    shared: &Shared,
    project: &Guarded,
    making: &Making<'_>,
    entries: &[&Entry],
    commits: &[CommitId],
) -> Result<(), StepError> {
    let Some((last, before)) = entries.split_last() else { return Ok(()) };
    if !goes(shared, project, making.claim, last, making.tip).await? {
        // Its own candidate says so, on mainline as it is, and it goes with nobody.
        return Ok(());
    }
    // It merges onto so many of them, and not onto so many.
    let (mut fits, mut fails) = (0, before.len());
    while fails - fits > 1 {
        let half = fits.midpoint(fails);
        let Some(below) = commits.get(half - 1) else { break };
        if goes(shared, project, making.claim, last, below).await? {
            fits = half;
        } else {
            fails = half;
        }
    }
    let Some(with) = before.get(fails.saturating_sub(1)) else { return Ok(()) };
    tracing::info!(project = %project.name, entry = last.id, with = with.id, "two in the queue do not merge with each other");
    Ok(shared.store.set_apart(making.claim, last.id, with.id).await?)
}
