//! Looks at mainline: brings the mirror up to date, records the tip, and reads the recipe there.

use super::{Again, StepError};
use crate::recipes;
use crate::state::{Guarded, RecipeState, Shared};
use std::time::Duration;
use tracker::Explain as _;
use tracker::source::{BranchRef, RawRefName};

pub(super) async fn step(shared: &Shared, project: &Guarded) -> Result<Again, StepError> {
    let Some(claim) = project.claim() else { return Ok(Again::AtTick) };
    let pause = Duration::from_secs(shared.config.times.poll_s);
    let (url, branch) = match official(project) {
        Ok(found) => found,
        Err(trouble) => {
            shared.store.set_project_trouble(claim, Some(&trouble)).await?;
            return Ok(Again::AtTick);
        }
    };
    match project.mirror.update_mainline(&url, &branch).await {
        Ok(tip) => {
            let known = shared.store.project_by_id(project.id).await?;
            let recipe = recipes::of_mainline(shared, project, &tip).await?;
            let from = match &recipe {
                RecipeState::Fine(it) => it.from.clone(),
                RecipeState::Unknown | RecipeState::Missing | RecipeState::Broken(_) => String::new(),
            };
            project.set_recipe(recipe);
            if known.tip.as_ref() != Some(&tip) || known.trouble.is_some() || known.recipe_from != from {
                shared.store.set_tip(claim, &tip, &from).await?;
            }
        }
        Err(error) => {
            tracing::warn!(project = %project.name, %error, "mainline can't be read");
            shared.store.set_project_trouble(claim, Some(&format!("{error}; {}", error.hint()))).await?;
        }
    }
    Ok(Again::After(pause))
}

/// The official repository and its mainline branch, as the tracker takes them; else what is wrong in the settings.
pub(crate) fn official(project: &Guarded) -> Result<(tracker::mirror::OfficialUrl, BranchRef), String> {
    let url = tracker::mirror::OfficialUrl::new(&project.config.repository)
        .map_err(|e| format!("`repository` in master.toml: {e}"))?;
    let branch = BranchRef::check(&RawRefName::new(&project.config.mainline))
        .map_err(|e| format!("`mainline` in master.toml: {e}"))?;
    Ok((url, branch))
}
