//! Keeps mirrors small and fast: lets go of candidates that were never built, and has git pack what came in.

use super::each::{each, look_after};
use super::{StepError, mend};
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Branch, Round};
use protocol::BranchId;
use std::time::Duration;
use tokio::time::Instant;
use tracker::mirror::{Named, Upkeep};

/// How long after a master's start, and after the last time.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// Branches that ended whose candidates are let go of in one turn, beside those of all live ones.
const ENDED: u32 = 500;
/// Every so often everything is packed anew.
const WHOLE_EVERY: u32 = 24;

/// Runs until the master ends, an hour at a time, and joins packs whenever there are many. It is no turn of a loop that the
/// store wakes: nothing waits for it.
pub(super) async fn run(shared: &Shared, project: &Guarded) {
    let (mut times, mut next) = (0, Instant::now() + PAUSE);
    loop {
        let crowded = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = tokio::time::sleep_until(next) => false,
            () = project.mirror_crowded() => true,
        };
        let done = if crowded {
            join(project).await
        } else {
            times += 1;
            next = Instant::now() + PAUSE;
            once(shared, project, if times % WHOLE_EVERY == 0 { Upkeep::Whole } else { Upkeep::Recent }).await
        };
        if let Err(error) = done {
            tracing::warn!(project = %project.name, %error, "the mirror's upkeep failed; it is tried again in an hour");
            // What is packed anew is read to its end: so it may be the first to miss something.
            look_after(project, &error);
        }
    }
}

/// Joins packs, unless somebody needs the mirror as it is.
async fn join(project: &Guarded) -> Result<(), StepError> {
    let Some(_held) = project.mirror.begin_upkeep().await? else { return Ok(()) };
    Ok(project.mirror.upkeep(Upkeep::Joined).await?)
}

pub(super) async fn once(shared: &Shared, project: &Guarded, how: Upkeep) -> Result<(), StepError> {
    let Some(claim) = project.claim() else { return Ok(()) };
    // A backup copies what is here.
    let Some(still) = project.mirror.begin_upkeep().await? else { return Ok(()) };
    // What no ref holds is deleted in the end: so the refs come first.
    if mend::compare(shared, project).await?.is_none() {
        return Ok(());
    }
    let mut branches = shared.store.branches(project.id, 0).await?;
    let ended = shared.store.next_ended(claim, Round::Upkeep, ENDED).await?;
    branches.extend(ended.iter().cloned());
    // Only those that a row says are outdated: a candidate that is being made has its ref before its row. Refs are read first:
    // what comes to one meanwhile is left alone.
    let mut held = project.mirror.candidates().await?;
    branches.retain(|branch| held.contains_key(&branch.name));
    let ids: Vec<BranchId> = branches.iter().map(|branch| branch.id).collect();
    let outdated = shared.store.outdated_candidates(ids).await?;
    let outdated_refs = |branch: Branch| {
        let mut refs = held.remove(&branch.name)?;
        refs.retain(|named| outdated.contains(&(branch.id, named.commit.clone())));
        (!refs.is_empty()).then_some((branch.id.0, refs))
    };
    let outdated: Vec<(i64, Vec<Named>)> = branches.into_iter().filter_map(outdated_refs).collect();
    each(
        project,
        "upkeep",
        outdated,
        |(branch, _)| *branch,
        |(_, refs)| async move { Ok(project.mirror.forget(refs).await?) },
    )
    .await?;
    shared.store.went_round(claim, Round::Upkeep, &ended, ENDED).await?;
    let packed = project.mirror.upkeep(how).await;
    drop(still);
    project.mirror_is_free();
    Ok(packed?)
}
