//! Projects: the line of each.

use super::{Moment, ReadError};
use crate::names;
use crate::project::{Guarded, RecipeState};
use protocol::api::Project;
use tracker::mirror::OfficialUrl;

/// All projects guarded here.
pub(crate) async fn projects(at: &Moment<'_>) -> Result<Vec<Project>, ReadError> {
    let mut lines = Vec::with_capacity(at.projects().len());
    for guarded in at.projects() {
        lines.push(project(at, guarded).await?);
    }
    Ok(lines)
}

/// A project's line.
pub(crate) async fn project(at: &Moment<'_>, guarded: &Guarded) -> Result<Project, ReadError> {
    let row = (*at.project(guarded.id).await?).clone();
    let (live, queued) = at.store.branch_counts(guarded.id).await?;
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
        pause: row.pause.clone(),
        recipe_from: row.recipe_from,
        live,
        queued,
        page: names::project_page(&guarded.name),
    })
}
