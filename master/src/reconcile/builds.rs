//! Asks for builds of new revisions, by mainline's recipe: a branch can't choose how it is built before it is accepted.
//! Those that still wait when mainline or its recipe moves on go along.

use super::each::each;
use super::{Again, StepError};
use crate::project::{Guarded, RecipeState, requests};
use crate::state::Shared;
use crate::store::{Build, Candidate};
use protocol::{BranchId, RevisionId};

pub(super) async fn step(shared: &Shared, project: &Guarded) -> Result<Again, StepError> {
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
    // A builder that mainline's recipe has got since is asked too.
    let mut again = again;
    for builder in gate::builders::builders_for(recipe) {
        let lacking = store.candidates_without_build_by(project.id, &tip, &builder.name).await?;
        let ask = |candidate: Candidate| async move {
            let branch = store.branch_by_id(candidate.branch).await?;
            let requests = requests(project, &branch, &candidate, recipe, false, |name| name == builder.name);
            store.ask_for_builds(claim, &requests, None).await?;
            Ok(())
        };
        again = again.or(each(project, "builds-of-new-builder", lacking, |candidate| candidate.id.0, ask).await?);
    }
    let waiting = store.waiting_for_branches(project.id).await?;
    let mut revisions: Vec<_> = waiting.iter().map(|build| (build.revision, build.branch)).collect();
    revisions.sort_by_key(|(revision, _)| revision.0);
    revisions.dedup();
    let (waiting, tip) = (&waiting, &tip);
    let go_along = |(revision, branch): (RevisionId, BranchId)| async move {
        let of_now = store.newest_candidate(revision).await?;
        let Some(candidate) = of_now.filter(|c| c.mainline == *tip && c.made_commit().is_some()) else { return Ok(()) };
        let branch = store.branch_by_id(branch).await?;
        let requests = requests(project, &branch, &candidate, recipe, false, |_| true);
        let stale = |b: &&Build| requests.iter().all(|it| !b.is(it));
        if waiting.iter().filter(|b| b.revision == revision).any(|b| stale(&b)) {
            store.move_waiting(claim, revision, &requests).await?;
        }
        Ok(())
    };
    Ok(again.or(each(project, "builds-that-wait", revisions, |(revision, _)| revision.0, go_along).await?))
}
