//! Asks for builds of new revisions, by mainline's recipe: a branch can't choose how it is built before it is accepted.
//! Those that still wait when mainline or its recipe moves on go along.

use super::each::each;
use super::{Again, StepError};
use crate::project::{Guarded, RecipeInUse, RecipeState, requests};
use crate::state::Shared;
use crate::store::{Build, Candidate, Change, Claim, Heard, Topic};
use protocol::{BranchId, RevisionId};
use std::collections::BTreeMap;

/// `heard` is what changed since the last turn: whose builds that wait may have to go along.
pub(super) async fn step(shared: &Shared, project: &Guarded, heard: &Heard) -> Result<Again, StepError> {
    let Some(claim) = project.claim() else { return Ok(Again::AtTick) };
    let (Some(tip), RecipeState::Fine(in_use)) = (shared.store.project_by_id(project.id).await?.tip, project.recipe())
    else {
        return Ok(Again::AtTick);
    };
    // While mainline moves on, its recipe is read before the tip is recorded.
    if in_use.commit != tip {
        return Ok(Again::AtTick);
    }
    let (store, recipe) = (&shared.store, &in_use.recipe);
    let new = store.candidates_without_builds(project.id, &tip).await?;
    let ask = |candidate: Candidate| async move {
        let branch = store.branch_by_id(candidate.branch).await?;
        let requests = requests(project, &branch, &candidate, recipe, false, |_| true);
        store.ask_for_builds(claim, &requests, Some(candidate.revision)).await?;
        Ok(())
    };
    let again = each(project, "builds", new, |candidate| candidate.id.0, ask).await?;
    Ok(match heard {
        Heard::Rows(rows) if project.asked_by().as_ref() == Some(recipe) => {
            let of_branch = |it: &&Change| matches!(it.topic, Topic::Candidate | Topic::Revision | Topic::Branch);
            let branches: Vec<BranchId> = rows.iter().filter(of_branch).map(|it| BranchId(it.id)).collect();
            if branches.is_empty() {
                return Ok(again);
            }
            again.or(go_along(shared, project, claim, &in_use, Some(&branches)).await?)
        }
        Heard::Rows(_) | Heard::Nothing | Heard::All => {
            let again = again.or(ask_new_builders(shared, project, claim, &in_use).await?);
            let again = again.or(go_along(shared, project, claim, &in_use, None).await?);
            project.set_asked_by(recipe);
            again
        }
    })
}

/// A builder that mainline's recipe has got since is asked too.
async fn ask_new_builders(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    in_use: &RecipeInUse,
) -> Result<Again, StepError> {
    let (store, recipe) = (&shared.store, &in_use.recipe);
    let mut again = Again::AtTick;
    for builder in gate::builders::builders_for(recipe) {
        let lacking = store.candidates_without_build_by(project.id, &in_use.commit, &builder.name).await?;
        let ask = |candidate: Candidate| async move {
            let branch = store.branch_by_id(candidate.branch).await?;
            let requests = requests(project, &branch, &candidate, recipe, false, |name| name == builder.name);
            store.ask_for_builds(claim, &requests, None).await?;
            Ok(())
        };
        again = again.or(each(project, "builds-of-new-builder", lacking, |candidate| candidate.id.0, ask).await?);
    }
    Ok(again)
}

/// Builds that wait are of the candidate and the recipe of now: those of these branches, or all.
async fn go_along(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    in_use: &RecipeInUse,
    branches: Option<&[BranchId]>,
) -> Result<Again, StepError> {
    let store = &shared.store;
    let mut of_revision: BTreeMap<RevisionId, Vec<Build>> = BTreeMap::new();
    for build in store.waiting_for_branches(project.id, branches).await? {
        of_revision.entry(build.revision).or_default().push(build);
    }
    let go_along = |(revision, waiting): (RevisionId, Vec<Build>)| async move {
        let of_now = store.newest_candidate(revision).await?;
        let of_now = of_now.filter(|c| c.mainline == in_use.commit && c.made_commit().is_some());
        let Some(candidate) = of_now else { return Ok(()) };
        let branch = store.branch_by_id(candidate.branch).await?;
        let requests = requests(project, &branch, &candidate, &in_use.recipe, false, |_| true);
        if waiting.iter().any(|build| requests.iter().all(|request| !build.is_as_asked(request))) {
            store.move_waiting(claim, revision, &requests).await?;
        }
        Ok(())
    };
    let of_revision: Vec<_> = of_revision.into_iter().collect();
    each(project, "builds-that-wait", of_revision, |(revision, _)| revision.0, go_along).await
}
