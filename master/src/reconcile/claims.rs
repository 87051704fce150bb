//! Claims: with one master at work they cost one write now and then; with several each project has one owner.

use super::{Again, StepError};
use crate::state::Shared;
use std::time::Duration;

/// How long a claim holds without being renewed, in milliseconds.
const HOLDS_MS: i64 = 30_000;
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(10);

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
    claim_all(shared).await?;
    Ok(Again::After(RENEW))
}
