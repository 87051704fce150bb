//! Work folders: one for each slot, clean for each build, reachable by the slot's user and by no other build.
//!
//! A slot's folder holds `build` (the candidate's files), `objects` (those of git that its history is read from; a build can
//! write nothing there), `notes` (where `$BB_LINKS` and `$BB_SUMMARY` are), `tmp`, and
//! `etc` (the few files of `/etc` that bb writes itself for bubblewrap).

mod evict;
mod remove;

use crate::user::BuildUser;
pub(crate) use evict::Room;
pub(crate) use remove::remove_all;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Where work folders and the users taken are, when the slave runs as root and its basedir can't be reached by others.
pub(crate) const MACHINE_FOLDER: &str = "/var/lib/bb";

/// The place of one build at a time.
#[derive(Debug)]
pub(crate) struct Slot {
    folder: PathBuf,
    mark: String,
    user: Option<BuildUser>,
    /// Held by what changes the folder, which goes on when nobody waits for it any more.
    changing: Arc<Mutex<()>>,
}

/// All slots of a slave.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Mutex<Vec<Arc<Slot>>>,
    permits: Arc<Semaphore>,
}

/// A slot in use; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct TakenSlot {
    slot: Arc<Slot>,
    slots: Arc<Slots>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// Slots below `folder`, one for each user (none: the slave's own). Processes in them are marked with `mark` and more.
    pub(crate) fn create(folder: &Path, users: &[Option<BuildUser>], mark: &str) -> io::Result<Self> {
        make_folder(folder, 0o711)?;
        let mut free = Vec::new();
        for (n, &user) in users.iter().enumerate().rev() {
            let folder = folder.join(n.to_string());
            make_folder(&folder, 0o711)?;
            free.push(Arc::new(Slot { folder, mark: format!("{mark}{n}."), user, changing: Arc::default() }));
        }
        let permits = Arc::new(Semaphore::new(free.len()));
        Ok(Self { free: Mutex::new(free), permits })
    }

    /// Takes a slot, waiting for one if need be.
    pub(crate) async fn take(self: &Arc<Self>) -> io::Result<TakenSlot> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let slot = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let slot = slot.ok_or_else(|| io::Error::other("there are fewer slots than permits"))?;
        Ok(TakenSlot { slot, slots: Arc::clone(self), _permit: permit })
    }
}

impl std::ops::Deref for TakenSlot {
    type Target = Slot;
    fn deref(&self) -> &Slot {
        &self.slot
    }
}

impl Drop for TakenSlot {
    fn drop(&mut self) {
        self.slots.free.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&self.slot));
    }
}

impl Slot {
    /// The files of `/etc` that [`Slot::etc`] has.
    pub(crate) const ETC: [&str; 3] = ["passwd", "group", "hosts"];

    /// What marks its processes.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// The user of its builds; none is the slave's own.
    pub(crate) fn user(&self) -> Option<BuildUser> {
        self.user
    }

    /// The work folder.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// Where links and summaries are written.
    pub(crate) fn notes(&self) -> PathBuf {
        self.folder.join("notes")
    }

    /// Temporary files of builds that are not in bubblewrap.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    /// The way to the objects of the candidate's history: never the build's own.
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    /// A file of bb's own `/etc`.
    pub(crate) fn etc(&self, file: &str) -> PathBuf {
        self.folder.join("etc").join(file)
    }

    /// Removes whatever the last build left and makes empty folders, which are the slave's own.
    pub(crate) async fn clean(&self) -> io::Result<()> {
        let folder = self.folder.clone();
        self.change(move || {
            for entry in fs::read_dir(&folder)? {
                remove_all(&entry?.path())?;
            }
            for name in ["build", "objects", "notes", "tmp", "etc"] {
                make_folder(&folder.join(name), 0o700)?;
            }
            fs::set_permissions(folder.join("etc"), Permissions::from_mode(0o755))?;
            let passwd = "root:x:0:0:root:/:/bin/sh\nbuild:x:1000:1000:a build:/build:/bin/sh\n";
            let files = [passwd, "root:x:0:\nbuild:x:1000:\n", "127.0.0.1 localhost bb\n::1 localhost bb\n"];
            for (name, text) in Self::ETC.into_iter().zip(files) {
                let path = folder.join("etc").join(name);
                fs::write(&path, text)?;
                fs::set_permissions(&path, Permissions::from_mode(0o644))?;
            }
            Ok(())
        })
        .await
    }

    /// Gives the folders, with all that is in them, to the slot's user, and lets it into that of the objects.
    pub(crate) async fn hand_over(&self) -> io::Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        let folders = [self.work(), self.notes(), self.tmp()];
        let objects = self.objects();
        self.change(move || {
            folders.iter().try_for_each(|folder| give(folder, user))?;
            chown(&objects, None, Some(user.id()))?;
            fs::set_permissions(&objects, Permissions::from_mode(0o750))
        })
        .await
    }
}

impl Slot {
    /// Does something to the folder, after whatever is being done to it.
    async fn change(&self, work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let changing = Arc::clone(&self.changing);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = changing.lock().unwrap_or_else(PoisonError::into_inner);
            work()
        });
        done.await.map_err(io::Error::other)?
    }
}

/// Gives a file or folder, with all that is in it, to a user. Links are given themselves, not what they point to.
fn give(path: &Path, user: BuildUser) -> io::Result<()> {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                lchown(entry.path(), Some(user.id()), Some(user.id()))?;
            }
        }
        lchown(&folder, Some(user.id()), Some(user.id()))?;
    }
    Ok(())
}

/// Makes a folder, with those above it, and sets its permission bits.
pub(crate) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Where a slave's work folders are: as configured; else in its basedir; or, when builds run as users that can't reach
/// that, in a folder of the machine's that is always the same for the same basedir.
pub(crate) fn work_folder(basedir: &Path, configured: Option<&Path>, own_users: bool) -> PathBuf {
    if let Some(folder) = configured {
        return basedir.join(folder);
    }
    if own_users && !reachable(basedir) {
        let folder = Path::new(MACHINE_FOLDER).join("work").join(format!("{:016x}", seed(basedir)));
        tracing::info!(
            "builds can't reach {} under users of their own; they work in {}",
            basedir.display(),
            folder.display()
        );
        return folder;
    }
    basedir.join("work")
}

/// Whether every user can pass through a folder and all above it.
fn reachable(folder: &Path) -> bool {
    folder.ancestors().all(|above| fs::metadata(above).is_ok_and(|data| data.mode() & 0o001 != 0))
}

/// A number that stands for a basedir, always the same.
pub(crate) fn seed(basedir: &Path) -> u64 {
    // FNV-1a: short, and nothing depends on it being hard to collide.
    basedir
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests;
