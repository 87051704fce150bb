//! Projects: the line of each.

use super::ReadError;
use crate::names;
use crate::project::{Guarded, RecipeState};
use crate::state::Shared;
use protocol::api::Project;
use tracker::mirror::OfficialUrl;

/// All projects guarded here.
pub(crate) async fn projects(shared: &Shared) -> Result<Vec<Project>, ReadError> {
    let mut lines = Vec::with_capacity(shared.projects.len());
    for guarded in &shared.projects {
        lines.push(project(shared, guarded).await?);
    }
    Ok(lines)
}

/// A project's line.
pub(crate) async fn project(shared: &Shared, guarded: &Guarded) -> Result<Project, ReadError> {
    let row = shared.store.project_by_id(guarded.id).await?;
    let (live, queued) = shared.store.branch_counts(guarded.id).await?;
    let warnings = match guarded.recipe() {
        RecipeState::Fine(it) => it.warnings.clone(),
        RecipeState::Unknown | RecipeState::Missing | RecipeState::Broken(_) => Vec::new(),
    };
    let broken = match guarded.recipe() {
        RecipeState::Broken(trouble) => Some(format!("the recipe has an error: {}", trouble.text)),
        RecipeState::Missing => {
            Some("there is no recipe and none could be guessed: add a .bb.toml to mainline".to_owned())
        }
        RecipeState::Unknown | RecipeState::Fine(_) => None,
    };
    Ok(Project {
        name: row.name,
        url: OfficialUrl::new(&row.url).map_or_else(|_| String::new(), |url| url.to_string()),
        mainline: row.mainline,
        tip: row.tip,
        tip_seen_ms: row.tip_seen,
        trouble: row.trouble.or(broken),
        warnings,
        paused: row.paused,
        recipe_from: row.recipe_from,
        live,
        queued,
        page: names::project_page(&guarded.name),
    })
}
