//! Projects and their overviews.

use super::{Filter, ReadError, branch_summaries, build, queue, slaves};
use crate::names;
use crate::state::{Guarded, RecipeState, Shared};
use crate::store::BuildRowState;
use protocol::api::{Landing, Overview, Project, Turns};

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
    let broken = match guarded.recipe() {
        RecipeState::Broken(trouble) => Some(format!("the recipe has an error: {}", trouble.text)),
        RecipeState::Missing => {
            Some("there is no recipe and none could be guessed: add a .bb.toml to mainline".to_owned())
        }
        RecipeState::Unknown | RecipeState::Fine(_) => None,
    };
    Ok(Project {
        name: row.name,
        url: without_secrets(&row.url),
        mainline: row.mainline,
        tip: row.tip,
        tip_seen_ms: row.tip_seen,
        trouble: row.trouble.or(broken),
        paused: row.paused,
        recipe_from: row.recipe_from,
        live,
        queued,
        page: names::project_page(&guarded.name),
    })
}

/// A URL as it may be shown: the admin's may hold a password.
fn without_secrets(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at && url[scheme..at].contains(':') => {
            format!("{}{}", &url[..scheme + 3], &url[at + 1..])
        }
        _ => url.to_owned(),
    }
}

/// A project's overview.
pub(crate) async fn overview(shared: &Shared, guarded: &Guarded) -> Result<Overview, ReadError> {
    let branches = branch_summaries(shared, guarded, &Filter::default()).await?;
    let mut turns = Turns::default();
    let mut needs_person = Vec::new();
    for branch in branches {
        match branch.verdict.next.who.as_str() {
            "bb" | "nobody" => turns.bb += 1,
            "a maintainer" | "an admin" => {
                turns.maintainer += 1;
                needs_person.push(branch);
            }
            _ => turns.author += 1,
        }
    }
    // Those that a maintainer can accept come first; then who waits longest.
    needs_person.sort_by_key(|b| (b.verdict.code != "ready", b.changed_ms));
    let mut running = Vec::new();
    for build in shared.store.open_builds().await? {
        if build.project == guarded.id && build.state == BuildRowState::Running {
            running.extend(build::summary_of(shared, &build).await?);
        }
    }
    let all = queue(shared, guarded).await?;
    let landed = all.left.iter().filter_map(|entry| {
        Some(Landing {
            branch: entry.branch.clone(),
            title: entry.title.clone(),
            commit: entry.landed.clone()?,
            landed_ms: entry.left_ms?,
            page: entry.page.clone(),
        })
    });
    let landed = landed.take(8).collect();
    Ok(Overview {
        needs_person,
        turns,
        running,
        queue: all.entries,
        landed,
        slaves: slaves(shared).await?,
        project: all.project,
    })
}
