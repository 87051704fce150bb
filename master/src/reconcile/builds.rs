//! Asks for builds of new revisions, by mainline's recipe: a branch can't choose how it is built before it is accepted.
//! Those that still wait when mainline or its recipe moves on go along.

use super::each::each;
use super::{Again, StepError};
use crate::project::{Guarded, RecipeState, requests};
use crate::state::Shared;
use crate::store::{Build, Candidate};

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
    for builder in gate::builders::builders_for(&in_use.recipe) {
        for candidate in shared.store.candidates_without_build_by(project.id, &tip, &builder.name).await? {
            let branch = shared.store.branch_by_id(candidate.branch).await?;
            let requests = requests(project, &branch, &candidate, &in_use.recipe, false, |name| name == builder.name);
            shared.store.ask_for_builds(claim, &requests, None).await?;
        }
    }
    let waiting = shared.store.waiting_for_branches(project.id).await?;
    for (i, build) in waiting.iter().enumerate() {
        let seen = waiting[..i].iter().any(|other| other.revision == build.revision);
        let of_now = if seen { None } else { shared.store.newest_candidate(build.revision).await? };
        let Some(candidate) = of_now.filter(|c| c.mainline == tip && c.made_commit().is_some()) else { continue };
        let branch = shared.store.branch_by_id(build.branch).await?;
        let requests = requests(project, &branch, &candidate, &in_use.recipe, false, |_| true);
        let stale = |b: &&Build| requests.iter().all(|it| !b.is(it));
        if waiting.iter().filter(|b| b.revision == build.revision).any(|b| stale(&b)) {
            shared.store.move_waiting(claim, build.revision, &requests).await?;
        }
    }
    Ok(again)
}
