//! Deletes the files that steps keep, once they were kept for as long as master.toml says, or when all of them together are more than
//! it says. Those of the oldest builds come first, a few at a time, so that nobody feels it.

use super::{Again, StepError};
use crate::state::Shared;
use crate::store::{Aging, now};
use std::io;
use std::time::Duration;

/// Steps looked at in one turn.
const AT_ONCE: u32 = 50;
/// Between two looks. What is kept for days may be kept for longer; what a crowd of builds leaves may not.
const PAUSE: Duration = Duration::from_secs(60);

pub(super) async fn step(shared: &Shared) -> Result<Again, StepError> {
    let aging = shared.store.aging_artifacts(AT_ONCE).await?;
    let full = aging.len() == AT_ONCE as usize;
    let mut too_many = shared.store.artifact_bytes().await?.saturating_sub(shared.config.keep.artifacts_bytes);
    let mut all_went = true;
    for kept in aging {
        let goes = is_over(shared, kept) || too_many > 0 && kept.ended.is_some();
        let went = goes && delete(shared, kept).await?;
        if went {
            too_many = too_many.saturating_sub(kept.bytes);
        }
        all_went &= went;
    }
    Ok(if full && all_went { Again::Now } else { Again::After(PAUSE) })
}

fn is_over(shared: &Shared, kept: Aging) -> bool {
    let until = kept.ended.and_then(|ended| shared.config.keep.artifacts_until(ended.0));
    until.is_some_and(|until| until <= now().0)
}

/// Deletes the file, then says so: a kill in between leaves one that is deleted again.
async fn delete(shared: &Shared, kept: Aging) -> Result<bool, StepError> {
    let logs = shared.logs.clone();
    let deleted = tokio::task::spawn_blocking(move || logs.delete_artifacts(kept.build, kept.step)).await;
    if let Err(error) = deleted.map_err(io::Error::other).flatten() {
        tracing::warn!(build = %kept.build, step = kept.step, %error, "what a step kept can't be deleted");
        return Ok(false);
    }
    shared.store.let_artifacts_go(kept.build, kept.step).await?;
    Ok(true)
}
