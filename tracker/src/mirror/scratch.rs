//! The throw-away repository that a stranger's data stays in until it is found good.

use super::{MirrorError, init_bare};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A scratch repository; the folder goes when this is dropped, and what a killed process left goes at the next opening.
pub(super) struct Scratch {
    path: PathBuf,
    // Held for as long as the folder is in use; the system lets go of it when the process dies.
    _lock: File,
}

fn folder(mirror: &Path) -> PathBuf {
    mirror.join("scratch")
}

impl Scratch {
    /// Makes an empty one for `name`, waiting for another of the same name. Blocks.
    pub(super) fn make(mirror: &Path, name: &str) -> Result<Self, MirrorError> {
        let folder = folder(mirror);
        let path = folder.join(name);
        let io = |source| MirrorError::Io { what: format!("making the scratch repository {}", path.display()), source };
        std::fs::create_dir_all(&folder).map_err(io)?;
        let lock = File::create(folder.join(format!("{name}.lock"))).map_err(io)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| io(error.into()))?;
        remove(&path).map_err(io)?;
        init_bare(&path)
            .map_err(|source| MirrorError::Objects { what: format!("making {}", path.display()), source })?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a pack in it has at least so many bytes.
    pub(super) async fn has_file_of(&self, bytes: u64) -> bool {
        let packs = self.path.join("objects/pack");
        crate::blocking::blocking(move || {
            let entries = std::fs::read_dir(packs).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.metadata().ok()).any(|meta| meta.len() >= bytes)
        })
        .await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now is removed at the next opening.
        let _ = remove(&self.path);
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes every scratch repository that nobody is using.
pub(super) fn remove_leftovers(mirror: &Path) {
    for entry in std::fs::read_dir(folder(mirror)).into_iter().flatten().flatten() {
        let path = entry.path();
        let lock_path = folder(mirror).join(format!("{}.lock", entry.file_name().to_string_lossy()));
        if !path.is_dir() {
            continue;
        }
        let free =
            File::create(&lock_path).ok().filter(|lock| flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok());
        if free.is_some()
            && let Err(error) = remove(&path)
        {
            tracing::warn!(path = %path.display(), %error, "a scratch repository could not be removed");
        }
    }
}
