//! Deletes the files that steps keep, once they were kept for as long as master.toml says, or when all of them together are more than
//! it says. Those of the oldest builds come first, a few at a time, so that nobody feels it.

use super::{Again, StepError};
use crate::state::Shared;
use crate::store::{Aging, now};
use protocol::BuildId;
use std::io;
use std::time::Duration;

/// Steps looked at in one turn.
const AT_ONCE: u32 = 50;
/// Between two looks. What is kept for days may be kept for longer; what a crowd of builds leaves may not.
const PAUSE: Duration = Duration::from_secs(60);

pub(super) async fn step(shared: &Shared) -> Result<Again, StepError> {
    let mut too_many = shared.store.artifact_bytes().await?.saturating_sub(shared.config.keep.artifacts_bytes);
    let mut after = (BuildId(0), 0);
    loop {
        let aging = shared.store.aging_artifacts(after, AT_ONCE).await?;
        let full = aging.len() == AT_ONCE as usize;
        let (mut went, mut stayed) = (0, 0);
        for kept in aging {
            after = (kept.build, kept.step);
            if !(is_over(shared, kept) || too_many > 0) {
                // Those that follow are younger.
                return Ok(Again::After(PAUSE));
            }
            if delete(shared, kept).await? {
                too_many = too_many.saturating_sub(kept.bytes);
                went += 1;
            } else {
                stayed += 1;
            }
        }
        match (full, went, stayed) {
            (false, ..) => return Ok(Again::After(PAUSE)),
            (true, _, 0) => return Ok(Again::Now),
            // Those that can't be deleted keep no others here.
            _ => {}
        }
    }
}

fn is_over(shared: &Shared, kept: Aging) -> bool {
    shared.config.keep.artifacts_until(kept.ended.0).is_some_and(|until| until <= now().0)
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
