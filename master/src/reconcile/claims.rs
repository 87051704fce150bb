//! Says that this master is alive, and renews its claims: two writes now and then. One that another has followed ends.

use super::{Again, StepError};
use crate::sole::{HOLDS_MS, RENEW};
use crate::state::Shared;

/// Claims every project, or renews its claim.
pub(crate) async fn claim_all(shared: &Shared) -> Result<(), StepError> {
    // A basedir has one master at a time, so its path on its host names the owner over restarts.
    let owner = shared.basedir.root().display().to_string();
    for project in &shared.projects {
        let claim = shared.store.claim_project(project.id, &owner, HOLDS_MS).await?;
        if claim.is_none() && project.claim().is_some() {
            tracing::warn!(project = %project.name, "another master looks after the project now");
        }
        project.set_claim(claim);
    }
    Ok(())
}

pub(super) async fn step(shared: &Shared) -> Result<Again, StepError> {
    if let Some(other) = shared.store.take(&shared.me, HOLDS_MS, |_| false).await? {
        tracing::error!(other = other.says, "another master works on this store now: this one ends");
        shared.shutdown.cancel();
        return Ok(Again::AtTick);
    }
    claim_all(shared).await?;
    Ok(Again::After(RENEW))
}
