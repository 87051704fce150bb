//! Looks at mainline: brings the mirror up to date, records what of ours is in it and the tip, and reads the recipe there.

use super::afterwards::{self, Went};
use super::each::look_after;
use super::{Again, StepError};
use crate::project::{Guarded, RecipeState, recipes};
use crate::state::Shared;
use crate::store::{self, Change, Claim, Topic};
use gate::mainline::Mainline;
use gate::verdict::Trouble;
use protocol::{CommitId, Hint};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracker::Explain as _;
use tracker::mirror::OfficialError;

/// The longest pause between two looks at a mainline that can't be read, if the admin wants no longer one at any rate.
const LONGEST_PAUSE_S: u64 = 300;
/// The tracker's word for an official repository that has no branch of mainline's name.
const NO_BRANCH: &str = "official-no-branch";

pub(super) async fn step(shared: &Shared, project: &Guarded) -> Result<Again, StepError> {
    let Some(claim) = project.claim() else { return Ok(Again::AtTick) };
    remember(shared, project).await?;
    match look(shared, project, claim).await {
        Ok(_) => {}
        Err(StepError::Settings(_)) => return Ok(Again::AtTick),
        Err(error @ StepError::Official(_)) => {
            tracing::warn!(project = %project.name, %error, "mainline can't be read");
            look_after(project, &error);
        }
        Err(error) => return Err(error),
    }
    Ok(Again::After(pause(shared.config.times.poll_s, project.failed_looks.load(Ordering::Relaxed))))
}

/// What mainline was at last is in the mirror: what it says of builds counts until the official repository is read again, which may
/// be away.
async fn remember(shared: &Shared, project: &Guarded) -> Result<(), StepError> {
    if !matches!(project.recipe(), RecipeState::Unknown) {
        return Ok(());
    }
    let Some(tip) = shared.store.project_by_id(project.id).await?.tip else { return Ok(()) };
    match recipes::at(project, &tip).await {
        Ok(recipe) => {
            if project.set_recipe(recipe) {
                shared.store.say(Change::of(project.id, Topic::Mainline, 0));
            }
        }
        // It is read when mainline is looked at.
        Err(error) => tracing::warn!(project = %project.name, %error, "mainline's recipe can't be read"),
    }
    Ok(())
}

/// Until the next look at mainline, after so many that failed: ever longer, and never for long.
pub(super) fn pause(poll_s: u64, failures: u32) -> Duration {
    Duration::from_secs(poll_s.saturating_mul(1 << failures.min(16)).min(poll_s.max(LONGEST_PAUSE_S)))
}

/// What the last look at mainline said, as the verdicts and the queue take it.
pub(crate) fn mainline_of(row: &store::Project) -> Mainline {
    let Some(text) = &row.trouble else { return Mainline::Fine };
    let trouble = Trouble { code: row.trouble_code.clone(), text: text.clone(), hint: Hint::default() };
    if row.trouble_code == NO_BRANCH { Mainline::Gone(trouble) } else { Mainline::Away(trouble) }
}

/// Looks at mainline now: the mirror and the row follow it, and whatever of it was ever pushed from here is recorded as
/// landed.
/// Whoever refuses or sends away for what mainline is like has looked before.
pub(crate) async fn look(shared: &Shared, project: &Guarded, claim: Claim) -> Result<CommitId, StepError> {
    let (url, branch) = match project.official() {
        Ok(found) => found,
        Err(trouble) => {
            shared.store.set_project_trouble(claim, Some(("settings", &trouble))).await?;
            return Err(StepError::Settings(trouble));
        }
    };
    let known = shared.store.project_by_id(project.id).await?;
    // Nobody else's fetch gets in its way; writes are made without it.
    let fetched = {
        let _turn = project.turn_to_look().await;
        project.mirror.update_mainline(&url, &branch).await
    };
    let tip = match fetched {
        Ok(tip) => tip,
        Err(OfficialError::Mirror(error)) => return Err(error.into()),
        Err(error) => {
            project.failed_looks.fetch_add(1, Ordering::Relaxed);
            let text = format!("{error}; {}", error.hint());
            shared.store.set_project_trouble(claim, Some((error.code(), &text))).await?;
            return Err(error.into());
        }
    };
    project.failed_looks.store(0, Ordering::Relaxed);
    came_to(shared, project, claim, &known, &tip).await?;
    Ok(tip)
}

/// Mainline came to the commit that was pushed from here just now: everything follows it, and nothing is fetched.
pub(super) async fn pushed(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    from: &CommitId,
    to: &CommitId,
) -> Result<(), StepError> {
    let (_, branch) = project.official().map_err(StepError::Settings)?;
    let moved = {
        let _turn = project.turn_to_look().await;
        project.mirror.mainline_came_to(&branch, from, to).await?
    };
    let followed = if moved {
        let known = shared.store.project_by_id(project.id).await?;
        came_to(shared, project, claim, &known, to).await
    } else {
        Ok(())
    };
    if !moved || followed.is_err() {
        project.look_at_mainline();
    }
    followed
}

/// Has the rows follow mainline, which the mirror has at `tip`.
async fn came_to(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    known: &store::Project,
    tip: &CommitId,
) -> Result<(), StepError> {
    let went = afterwards::compare(shared, project, claim, known, tip).await?;
    let recipe = recipes::at(project, tip).await?;
    let from = match &recipe {
        RecipeState::Fine(it) => it.from.clone(),
        RecipeState::Unknown | RecipeState::Missing | RecipeState::Broken(_) => String::new(),
    };
    let is_news = project.set_recipe(recipe);
    if known.tip.as_ref() != Some(tip) || known.trouble.is_some() || known.recipe_from != from {
        shared.store.set_tip(claim, known.tip.as_ref(), tip, &from).await?;
    }
    if went == Went::Elsewhere {
        afterwards::bring_back(shared, project, claim, tip).await?;
    }
    if known.compared.as_ref() != Some(tip) {
        shared.store.set_compared(claim, tip).await?;
    }
    if is_news {
        shared.store.say(Change::of(project.id, Topic::Mainline, 0));
    }
    Ok(())
}
