//! Keeping a mirror fast: many small fetches and candidates leave many small packs and loose objects.

use super::{Mirror, MirrorError};
use crate::git::{Git, RunError, RunLimits, Version};
use std::path::Path;
use std::time::Duration;

/// How much upkeep is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upkeep {
    /// What came in since the last time is packed; takes about as long as that took to come in. Often.
    Recent,
    /// Everything is packed anew, and what no ref has held for two weeks is deleted. Once in a while.
    Whole,
}

/// From this version on what no ref holds is kept in a pack of its own, and not as one file for each object.
const CRUFT: Version = Version { major: 2, minor: 37 };

impl Mirror {
    /// Packs refs and objects. It may run beside everything else, and be killed at any point. Candidates that were
    /// replaced are deleted in the end; they can be made again.
    ///
    /// # Errors
    /// When git fails.
    pub async fn upkeep(&self, upkeep: Upkeep) -> Result<(), MirrorError> {
        Ok(pack(self.git(), self.path(), upkeep).await?)
    }
}

pub(crate) async fn pack(git: &Git, path: &Path, upkeep: Upkeep) -> Result<(), RunError> {
    let hours = Duration::from_secs(6 * 60 * 60);
    let limits =
        RunLimits { wall: hours, cpu: hours, file_bytes: 64 << 30, memory_bytes: 16 << 30, ..RunLimits::default() };
    let objects = match upkeep {
        Upkeep::Recent => &["repack", "-d", "-q"][..],
        Upkeep::Whole if git.version() >= CRUFT => {
            &["repack", "-a", "-d", "-q", "--cruft", "--cruft-expiration=2.weeks.ago"]
        }
        Upkeep::Whole => &["repack", "-A", "-d", "-q", "--unpack-unreachable=2.weeks.ago"],
    };
    for args in [
        &["pack-refs", "--all"][..],
        objects,
        &["prune", "--expire=2.weeks.ago"],
        &["multi-pack-index", "write", "--no-progress"],
        &["commit-graph", "write", "--reachable", "--split", "--no-progress"],
    ] {
        git.bounded().repository(path).args(args).limits(limits).output().await?;
    }
    Ok(())
}
