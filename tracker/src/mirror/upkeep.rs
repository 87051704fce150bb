//! Keeping a mirror fast: many small fetches and candidates leave many small packs and loose objects.

use super::{Mirror, MirrorError};
use crate::git::{Git, RunError, RunLimits};
use std::path::Path;
use std::time::Duration;

impl Mirror {
    /// Packs what came in since the last time. It may run beside everything else, and be killed at any point. What no
    /// ref holds is deleted after two weeks: candidates that were replaced can be made again.
    ///
    /// # Errors
    /// When git fails.
    pub async fn upkeep(&self) -> Result<(), MirrorError> {
        Ok(pack(self.git(), self.path()).await?)
    }
}

/// Packs a repository's refs and objects.
pub(crate) async fn pack(git: &Git, path: &Path) -> Result<(), RunError> {
    let hour = Duration::from_secs(60 * 60);
    let limits = RunLimits { wall: hour, cpu: hour, file_bytes: 64 << 30, ..RunLimits::default() };
    for args in [
        &["pack-refs", "--all"][..],
        &["repack", "-d", "-q", "--geometric=2", "--no-write-bitmap-index"],
        &["prune", "--expire=2.weeks.ago"],
        &["commit-graph", "write", "--reachable", "--split", "--no-progress"],
    ] {
        git.bounded().repository(path).args(args).limits(limits).output().await?;
    }
    Ok(())
}
