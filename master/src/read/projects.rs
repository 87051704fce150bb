//! Projects: the line of each.

use super::{Moment, ReadError};
use crate::names;
use crate::project::{Guarded, RecipeState, recipes};
use crate::store::now;
use gate::queue::{freezes_now, last_to_end};
use protocol::api::{Frozen, Project};
use recipe::Freeze;
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
    let calendar = recipes::calendar(guarded, row.tip.as_ref()).await;
    let mut warnings = match guarded.recipe() {
        RecipeState::Fine(it) => it.warnings.clone(),
        RecipeState::Unknown | RecipeState::Missing | RecipeState::Broken(_) => Vec::new(),
    };
    warnings.extend(gate::queue::troubles(&calendar, now()));
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
        frozen: frozen(&calendar),
        recipe_from: row.recipe_from,
        live,
        queued,
        page: names::project_page(&guarded.name),
    })
}

/// The freeze that keeps an ordinary branch from landing now.
fn frozen(calendar: &[Freeze]) -> Option<Frozen> {
    let on = freezes_now(calendar, now());
    let it = last_to_end(&on, 0)?;
    Some(Frozen { until_ms: it.until, except: it.except, reason: it.reason.clone(), says: it.says() })
}
