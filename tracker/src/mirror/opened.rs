//! Repositories that stay open between two pieces of work: to open one, libgit2 reads its configuration and looks at every
//! pack. One is used again only while the packs are those that it has seen, and never for work that looks for damage: what is
//! open remembers what it has read.

use super::{Mirror, MirrorError, durable};
use crate::blocking::blocking;
use git2::Repository;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Kept open of each kind, when nothing uses them.
const IDLE: usize = 2;
/// Pieces of work after which one is closed: what it remembers has an end.
const USES: u32 = 128;

/// How what is written there gets to the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Writes {
    /// When the system likes.
    Soon,
    /// Before a pack or ref is there.
    Durable,
}

/// Those that are open and that nothing uses.
#[derive(Default)]
pub(super) struct Opened(Mutex<Vec<Idle>>);

struct Idle {
    repository: Repository,
    writes: Writes,
    uses: u32,
    packs: Option<Packs>,
}

/// How the folder of packs was: which one it is, and when a pack came or went. In seconds and nanoseconds of the system's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Packs {
    inode: u64,
    changed: (i64, i64),
}

impl Packs {
    fn of(mirror: &Path) -> Option<Self> {
        let folder = std::fs::metadata(mirror.join("objects/pack")).ok()?;
        Some(Self { inode: folder.ino(), changed: (folder.mtime(), folder.mtime_nsec()) })
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl Opened {
    fn take(&self, writes: Writes, packs: Option<Packs>) -> Option<Idle> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|it| packs.is_some() && it.packs == packs);
        let at = idle.iter().rposition(|it| it.writes == writes)?;
        Some(idle.swap_remove(at))
    }

    fn put(&self, used: Idle) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.uses < USES && idle.iter().filter(|it| it.writes == used.writes).count() < IDLE {
            idle.push(used);
        }
    }

    /// Closes all that nothing uses: what is on the disk is other than it was.
    pub(super) fn close(&self) {
        let closed = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(closed);
    }
}

impl Mirror {
    /// Does something with the repository on a thread where it may block.
    pub(crate) async fn with_repository<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<MirrorError> + Send + 'static,
        F: FnOnce(&Repository) -> Result<T, E> + Send + 'static,
    {
        self.with_opened(Writes::Soon, work).await
    }

    /// As [`Mirror::with_repository`], but each pack and ref that is written is on the disk when it is there.
    pub(super) async fn with_durable_repository<T, F>(&self, work: F) -> Result<T, MirrorError>
    where
        T: Send + 'static,
        F: FnOnce(&Repository) -> Result<T, MirrorError> + Send + 'static,
    {
        self.with_opened(Writes::Durable, work).await
    }

    /// As [`Mirror::with_durable_repository`], by one that has read nothing yet, so that it sees what is on the disk now.
    pub(super) async fn with_fresh_repository<T, F>(&self, work: F) -> Result<T, MirrorError>
    where
        T: Send + 'static,
        F: FnOnce(&Repository) -> Result<T, MirrorError> + Send + 'static,
    {
        let mirror = self.clone();
        blocking(move || {
            let repository = mirror.open_for(Writes::Durable)?;
            mirror.among_writers(Writes::Durable, || work(&repository))
        })
        .await
    }

    async fn with_opened<T, E, F>(&self, writes: Writes, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<MirrorError> + Send + 'static,
        F: FnOnce(&Repository) -> Result<T, E> + Send + 'static,
    {
        let mirror = self.clone();
        blocking(move || {
            // Looked at first: what comes while it is opened is found out at its next use.
            let packs = Packs::of(&mirror.path);
            let mut taken = match mirror.opened.take(writes, packs) {
                Some(idle) => idle,
                None => Idle { repository: mirror.open_for(writes)?, writes, uses: 0, packs },
            };
            let done = mirror.among_writers(writes, || work(&taken.repository));
            taken.uses += 1;
            // After an error it may not be as it should: packs that git replaced, files that are gone.
            if done.is_ok() {
                mirror.opened.put(taken);
            }
            done
        })
        .await
    }

    /// What is written durably may be a ref.
    fn among_writers<T, E: From<MirrorError>>(
        &self,
        writes: Writes,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if writes == Writes::Soon {
            return work();
        }
        let writers = self.ref_writers();
        let locking = |source| MirrorError::Io { what: "locking the mirror's refs".to_owned(), source };
        let share = writers.share().map_err(locking)?;
        let done = work();
        drop(share);
        if done.is_err() {
            writers.remove_left();
        }
        done
    }

    fn open_for(&self, writes: Writes) -> Result<Repository, MirrorError> {
        let repository = self.open()?;
        if writes == Writes::Durable {
            durable::wait_for_disk(&repository)?;
        }
        Ok(repository)
    }
}
