//! The throw-away repository that a stranger's data stays in until it is found good.

use super::{MirrorError, init_bare};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The repository's name in its folder.
const REPOSITORY: &str = "scratch.git";

/// A scratch repository; the folder goes when this is dropped, and what a killed process left goes at the next opening.
pub(super) struct Scratch {
    folder: TempDir,
    // Held for as long as the folder is in use; the system lets go of it when the process dies.
    _lock: File,
}

fn all(mirror: &Path) -> PathBuf {
    mirror.join("scratch")
}

impl Scratch {
    /// Makes an empty one for `name`, waiting for another of the same name. Blocks.
    ///
    /// It is a new folder each time: a git that outlived a killed master may still be writing into the old one.
    pub(super) fn make(mirror: &Path, name: &str) -> Result<Self, MirrorError> {
        let of_name = all(mirror).join(name);
        let what = || "making a scratch repository beside the mirror".to_owned();
        let io = |source| MirrorError::Io { what: what(), source };
        std::fs::create_dir_all(&of_name).map_err(io)?;
        let lock = File::create(all(mirror).join(format!("{name}.lock"))).map_err(io)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| io(error.into()))?;
        remove_below(&of_name);
        let folder = tempfile::Builder::new().prefix("try-").tempdir_in(&of_name).map_err(io)?;
        init_bare(&folder.path().join(REPOSITORY)).map_err(|source| MirrorError::Objects { what: what(), source })?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join(REPOSITORY)
    }

    /// How many bytes were brought into it.
    pub(super) async fn bytes(&self) -> u64 {
        let objects = self.path().join("objects");
        crate::blocking::blocking(move || crate::git::bytes_below(&objects, u64::MAX)).await
    }

    /// Whether a pack in it has at least so many bytes.
    pub(super) async fn has_file_of(&self, bytes: u64) -> bool {
        let packs = self.path().join("objects/pack");
        crate::blocking::blocking(move || {
            let entries = std::fs::read_dir(packs).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.metadata().ok()).any(|meta| meta.len() >= bytes)
        })
        .await
    }
}

/// Removes every scratch repository that nobody is using.
pub(super) fn remove_leftovers(mirror: &Path) {
    for entry in std::fs::read_dir(all(mirror)).into_iter().flatten().flatten() {
        let of_name = entry.path();
        if !of_name.is_dir() {
            continue;
        }
        let lock_path = all(mirror).join(format!("{}.lock", entry.file_name().to_string_lossy()));
        let lock = File::create(lock_path).ok();
        if lock.is_some_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()) {
            remove_below(&of_name);
        }
    }
}

/// What can't be removed now is removed another time.
fn remove_below(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Err(error) = std::fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "a scratch repository could not be removed");
        }
    }
}
