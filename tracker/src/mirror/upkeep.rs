//! Keeping a mirror fast: many small fetches and candidates leave many small packs and loose objects.

use super::{Mirror, MirrorError, locks};
use crate::blocking::blocking;
use crate::git::{Git, RefWriters, RunError, RunLimits, Version};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// How much upkeep is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upkeep {
    /// Small packs are joined and refs are put into one file: what looks at all of them is quick again. When there are many.
    Joined,
    /// What came in since the last time is packed; takes about as long as that took to come in. Often.
    Recent,
    /// Everything is packed anew, and what no ref has held for two weeks is deleted. Once in a while.
    Whole,
}

/// From this version on what no ref holds is kept in a pack of its own, and not as one file for each object.
const CRUFT: Version = Version { major: 2, minor: 37 };

/// From this version on packs are joined when there are many of one size.
const GEOMETRIC: Version = Version { major: 2, minor: 32 };

/// Packs from which on they are joined: each candidate and each fetch brings one, and whatever opens the mirror looks at all.
const MANY_PACKS: usize = 48;

/// Held while nothing of a mirror may be deleted, or while upkeep deletes; the system lets it go with its process.
#[derive(Debug)]
pub struct Still {
    _lock: File,
}

impl Mirror {
    /// Keeps upkeep away, also another process's, and waits for one that is at work: what is here stays as long as this is
    /// held, and more may come.
    ///
    /// # Errors
    /// When the lock can't be made.
    pub async fn hold_still(&self) -> Result<Still, MirrorError> {
        let held = self.upkeep_lock(FlockOperation::LockShared).await?;
        held.ok_or_else(|| MirrorError::Io {
            what: "waiting for upkeep".to_owned(),
            source: ErrorKind::WouldBlock.into(),
        })
    }

    /// The other side of [`Mirror::hold_still`]; none when somebody holds the mirror still.
    ///
    /// # Errors
    /// When the lock can't be made.
    pub async fn begin_upkeep(&self) -> Result<Option<Still>, MirrorError> {
        self.upkeep_lock(FlockOperation::NonBlockingLockExclusive).await
    }

    async fn upkeep_lock(&self, how: FlockOperation) -> Result<Option<Still>, MirrorError> {
        let path = self.path().join("upkeep.held");
        blocking(move || {
            let io = |source| MirrorError::Io { what: "locking the mirror for upkeep".to_owned(), source };
            let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
            match flock(&lock, how) {
                Ok(()) => Ok(Some(Still { _lock: lock })),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
                Err(error) => Err(io(error.into())),
            }
        })
        .await
    }

    /// Whether there are so many small packs that [`Upkeep::Joined`] is worth its while.
    pub async fn is_crowded(&self) -> bool {
        let folder = self.path().join("objects/pack");
        blocking(move || count_packs(&folder) >= MANY_PACKS).await
    }

    /// Packs refs and objects. It may run beside everything else, and be killed at any point. Candidates that were
    /// replaced are deleted in the end; they can be made again.
    ///
    /// # Errors
    /// When git fails.
    pub async fn upkeep(&self, upkeep: Upkeep) -> Result<(), MirrorError> {
        let (writers, path) = (self.ref_writers(), self.path().to_owned());
        blocking(move || {
            writers.remove_left();
            locks::remove_stale_objects(&path);
        })
        .await;
        let packed = pack(self.git(), self.path(), upkeep).await;
        self.opened.close();
        Ok(packed?)
    }
}

/// The packs in a folder of them; none where it can't be read.
pub(crate) fn count_packs(folder: &Path) -> usize {
    let is_pack = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|it| it == "pack");
    std::fs::read_dir(folder).map_or(0, |all| all.flatten().filter(is_pack).count())
}

pub(crate) async fn pack(git: &Git, path: &Path, upkeep: Upkeep) -> Result<(), RunError> {
    let hours = Duration::from_secs(6 * 60 * 60);
    let limits =
        RunLimits { wall: hours, cpu: hours, file_bytes: 64 << 30, memory_bytes: 16 << 30, ..RunLimits::default() };
    let objects = match upkeep {
        // Also joins packs of which there are many of about one size: each candidate comes in one of its own.
        Upkeep::Joined | Upkeep::Recent if git.version() >= GEOMETRIC => &["repack", "-d", "-q", "--geometric=2"][..],
        Upkeep::Joined | Upkeep::Recent => &["repack", "-d", "-q"],
        Upkeep::Whole if git.version() >= CRUFT => {
            &["repack", "-a", "-d", "-q", "--cruft", "--cruft-expiration=2.weeks.ago"]
        }
        Upkeep::Whole => &["repack", "-A", "-d", "-q", "--unpack-unreachable=2.weeks.ago"],
    };
    let steps = [
        &["pack-refs", "--all"][..],
        objects,
        &["prune", "--expire=2.weeks.ago"],
        &["multi-pack-index", "write", "--no-progress"],
        &["commit-graph", "write", "--reachable", "--split", "--no-progress"],
    ];
    let steps = if upkeep == Upkeep::Joined { &steps[..2] } else { &steps[..] };
    for args in steps {
        let run = git.bounded().repository(path).args(*args).limits(limits);
        // The others, which take much longer, write no ref.
        let run = if args.contains(&"pack-refs") { run.writing_refs(&RefWriters::of(git, path)) } else { run };
        run.output().await?;
    }
    Ok(())
}
