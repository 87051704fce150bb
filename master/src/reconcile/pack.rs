//! Packs the logs of builds that ended. What is still to be packed is said by the rows of steps, so that nothing is searched
//! for; nobody waits for it, and whoever reads a log meanwhile reads it on as it was.

use super::{Again, StepError};
use crate::state::Shared;
use crate::store::Unpacked;
use protocol::BuildId;
use std::io;

/// Logs looked at in one turn.
const AT_ONCE: u32 = 50;

/// How far the round is: one that can't be packed, because its slave has not sent all of it yet, holds up none behind it.
pub(super) type Round = (BuildId, u32);

/// Where a round begins.
pub(super) const BEGIN: Round = (BuildId(0), 0);

pub(super) async fn step(shared: &Shared, round: &mut Round) -> Result<Again, StepError> {
    let unpacked = shared.store.unpacked_logs(*round, AT_ONCE).await?;
    let (last, full) = (unpacked.last().copied(), unpacked.len() == AT_ONCE as usize);
    let mut packed = Vec::new();
    for log in unpacked {
        if pack(shared, log).await? {
            packed.push(log);
        }
    }
    if !packed.is_empty() {
        shared.store.packed_logs(&packed).await?;
    }
    match last.filter(|_| full) {
        Some(last) => {
            *round = (last.build, last.step);
            Ok(Again::Now)
        }
        None => {
            *round = BEGIN;
            Ok(Again::AtTick)
        }
    }
}

/// Packs one; false where there is nothing to be packed yet.
async fn pack(shared: &Shared, log: Unpacked) -> Result<bool, StepError> {
    let logs = shared.logs.clone();
    let done = tokio::task::spawn_blocking(move || logs.pack(log.build, log.step, log.len)).await;
    match done.map_err(io::Error::other).flatten() {
        Ok(packed) => Ok(packed),
        // One log's trouble is its own: it stays as it is, and is tried again in the next round.
        Err(error) => {
            tracing::warn!(build = %log.build, step = log.step, %error, "a log can't be packed");
            Ok(false)
        }
    }
}
