//! Tells candidates what moved on mainline: those that touch any of it are made again, and all others stand as they are.

use super::StepError;
use crate::project::{Guarded, RecipeState, recipes};
use crate::state::Shared;
use crate::store::{self, Claim};
use crate::terms::today;
use protocol::CommitId;
use tracker::candidate::Moved;
use tracker::mirror::MirrorError;

/// Has candidates know of all that mainline did until `tip`.
pub(super) async fn follow(
    shared: &Shared,
    project: &Guarded,
    claim: Claim,
    row: &store::Project,
    tip: &CommitId,
) -> Result<(), StepError> {
    let before = row.followed.as_ref();
    if before == Some(tip) {
        return Ok(());
    }
    let moved = match before {
        Some(before) => between(project, before, tip).await,
        // Nothing was made yet, or before anybody kept what is touched.
        None => Moved::everything(),
    };
    let numbers: Vec<i64> = moved.numbers().collect();
    let met = shared.store.follow_mainline(claim, before, tip, &numbers).await?;
    let all = moved.is_everything();
    tracing::debug!(project = %project.name, tip = tip.short(), met, all, "candidates are told what moved");
    Ok(())
}

async fn between(project: &Guarded, before: &CommitId, tip: &CommitId) -> Moved {
    match compare(project, before, tip).await {
        Ok(moved) => moved,
        // What can't be read may have been anything.
        Err(error) => {
            tracing::warn!(project = %project.name, %error, "what moved on mainline can't be read: all is looked at again");
            project.look_after_mirror();
            Moved::everything()
        }
    }
}

async fn compare(project: &Guarded, before: &CommitId, tip: &CommitId) -> Result<Moved, MirrorError> {
    // By what branches are built is asked of the tree that their candidates stand on.
    let same_recipe = match (recipes::at(project, before).await?, recipes::at(project, tip).await?) {
        (RecipeState::Fine(before), RecipeState::Fine(now)) => before.recipe == now.recipe,
        (before, now) => before == now,
    };
    let (old, new) = (recipes::otherwise(project, before).await?, recipes::otherwise(project, tip).await?);
    match (old, new) {
        (Ok(old), Ok(new)) if same_recipe => project.mirror.what_moved((before, tip), [old, new], today()).await,
        _ => Ok(Moved::everything()),
    }
}
