//! Changing files and the index together, so that a kill at any moment leaves the work tree as it was, or to be brought to its end.
//!
//! All that takes time is done beside, in a folder of the repository's own: the new index and the new files. Then the index' lock is taken, by a link to
//! the new index, and a *journal* of what is left to do is written: from there on the change is made, whatever happens. While it is
//! half made, the lock keeps git away. Whoever comes next and finds a journal that nobody works on does the rest; without a journal, a lock that is a link to
//! the new index is let go.

use super::{WorkTree, WorkTreeError, parts};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What is to be changed.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    /// Files to be written.
    pub(super) written: Vec<Written<'a>>,
    /// Files to be deleted.
    pub(super) deleted: Vec<Deleted>,
}

/// A file to be written.
#[derive(Debug)]
pub(super) struct Written<'a> {
    /// Its path from the top of the work tree.
    pub(super) path: String,
    /// What it holds now, if it is there.
    pub(super) before: Option<&'a [u8]>,
    /// Its new content.
    pub(super) bytes: &'a [u8],
    /// Its mode in the index.
    pub(super) mode: u32,
}

/// A file to be deleted.
#[derive(Debug)]
pub(super) struct Deleted {
    /// Its path from the top of the work tree.
    pub(super) path: String,
    /// What it holds.
    pub(super) bytes: Vec<u8>,
}

/// Which file stands at a path: git never changes its index in place, so another one is another index.
type Identity = Option<(u64, u64, u64, i64, i64)>;

fn identity(path: &Path) -> Identity {
    fs::symlink_metadata(path).ok().map(|it| (it.dev(), it.ino(), it.size(), it.mtime(), it.mtime_nsec()))
}

/// What is left to do once the change is decided.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Journal {
    written: Vec<Replacing>,
    deleted: Vec<Deleting>,
}

/// A new file that goes to its place, over what is there.
#[derive(Debug, Serialize, Deserialize)]
struct Replacing {
    from: PathBuf,
    path: String,
    /// What is there; none for nothing.
    before: Option<Mark>,
}

/// A file that goes.
#[derive(Debug, Serialize, Deserialize)]
struct Deleting {
    path: String,
    before: Mark,
}

/// What tells a file that somebody changed: its length and its CRC-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark(usize, u32);

impl Mark {
    fn of(bytes: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        Self(bytes.len(), crc.sum())
    }
}

impl Journal {
    /// The paths that it is about.
    pub(super) fn paths(&self) -> (Vec<&str>, Vec<&str>) {
        (
            self.written.iter().map(|it| it.path.as_str()).collect(),
            self.deleted.iter().map(|it| it.path.as_str()).collect(),
        )
    }
}

/// The folder in the repository's that the change is prepared in.
const FOLDER: &str = "bb-fold";

/// A change that is being made. No other is, as long as this lives.
struct Change<'w> {
    tree: &'w WorkTree,
    folder: PathBuf,
    /// Keeps the lock on the repository's folder.
    _alone: File,
}

impl WorkTree {
    /// Makes the changes, in the work tree and in the index.
    pub(super) fn apply(&self, changes: &Changes<'_>) -> Result<(), WorkTreeError> {
        let change = Change::begin(self)?;
        change.finish_old()?;
        let index = identity(&self.index);
        let journal = change.prepare(changes).inspect_err(|_| change.end())?;
        let done = change.decide(&journal, index).and_then(|()| change.carry_out(&journal, &mut |_| true));
        if let Err(error) = done {
            change.undo(changes, &journal);
            return Err(error);
        }
        Ok(())
    }

    /// Brings a change to its end that was killed, and gives what it was about.
    ///
    /// # Errors
    /// [`WorkTreeError::Busy`] when it is still being made; [`WorkTreeError::File`].
    pub(super) fn finish_killed(&self) -> Result<Option<Journal>, WorkTreeError> {
        // Most of the time there is none.
        if !self.git_folder().join(FOLDER).exists() {
            return Ok(None);
        }
        Change::begin(self)?.finish_old()
    }

    /// Whether a change was killed before its end, or is being made.
    pub(super) fn is_half_changed(&self) -> bool {
        self.git_folder().join(FOLDER).join("journal").exists()
    }

    fn git_folder(&self) -> &Path {
        self.index.parent().unwrap_or(&self.top)
    }

    fn index_lock(&self) -> PathBuf {
        let mut lock = self.index.clone().into_os_string();
        lock.push(".lock");
        PathBuf::from(lock)
    }
}

impl<'w> Change<'w> {
    fn begin(tree: &'w WorkTree) -> Result<Self, WorkTreeError> {
        let own = tree.git_folder();
        let alone = File::open(own).map_err(WorkTreeError::file(own))?;
        match alone.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(WorkTreeError::Busy),
            // A disk that knows no locks has none to take.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Ok(Self { tree, folder: own.join(FOLDER), _alone: alone })
    }

    fn new_index(&self) -> PathBuf {
        self.folder.join("index")
    }

    fn journal(&self) -> PathBuf {
        self.folder.join("journal")
    }

    /// Writes everything that takes time, where it hurts nobody.
    fn prepare(&self, changes: &Changes<'_>) -> Result<Journal, WorkTreeError> {
        fs::create_dir_all(&self.folder).map_err(WorkTreeError::file(&self.folder))?;
        let index = self.new_index();
        match fs::copy(&self.tree.index, &index) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(WorkTreeError::file(&self.tree.index)(error)),
        }
        self.tree.stage(changes, &index)?;
        let mut journal = Journal::default();
        for (n, written) in changes.written.iter().enumerate() {
            let path = self.tree.top.join(&written.path);
            let from = self.write_new(&path, n, written.bytes)?;
            let before = written.before.map(Mark::of);
            journal.written.push(Replacing { from, path: written.path.clone(), before });
        }
        for deleted in &changes.deleted {
            journal.deleted.push(Deleting { path: deleted.path.clone(), before: Mark::of(&deleted.bytes) });
        }
        Ok(journal)
    }

    /// The new file, with the old one's permissions, on the same disk as its place.
    fn write_new(&self, path: &Path, n: usize, bytes: &[u8]) -> Result<PathBuf, WorkTreeError> {
        let place = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let write = || -> io::Result<PathBuf> {
            fs::create_dir_all(place)?;
            let here = fs::metadata(place)?.dev() == fs::metadata(&self.folder)?.dev();
            let from = if here { self.folder.join(n.to_string()) } else { place.join(format!(".{FOLDER}-{n}")) };
            let mut file = File::create(&from)?;
            file.write_all(bytes)?;
            if let Ok(before) = fs::metadata(path) {
                file.set_permissions(before.permissions())?;
            }
            Ok(from)
        };
        write().map_err(WorkTreeError::file(path))
    }

    /// Takes the index' lock, and writes down what is left to do.
    ///
    /// # Errors
    /// [`WorkTreeError::Locked`] when git has the lock; [`WorkTreeError::IndexChanged`] when it had it since the index was copied.
    fn decide(&self, journal: &Journal, copied: Identity) -> Result<(), WorkTreeError> {
        let (lock, index) = (self.tree.index_lock(), self.new_index());
        match fs::hard_link(&index, &lock) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(WorkTreeError::Locked(lock)),
            Err(error) => return Err(WorkTreeError::file(lock)(error)),
        }
        if identity(&self.tree.index) != copied {
            return Err(WorkTreeError::IndexChanged);
        }
        let path = self.journal();
        let text = serde_json::to_vec(journal).map_err(|error| WorkTreeError::file(&path)(error.into()))?;
        let write = || {
            let mut file = NamedTempFile::new_in(&self.folder)?;
            file.write_all(&text)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(WorkTreeError::file(&path))
    }

    /// Does what a journal says, or what is left of it. `goes_on` is asked before each step; a test ends the work there, as a kill would.
    fn carry_out(&self, journal: &Journal, goes_on: &mut dyn FnMut(&str) -> bool) -> Result<(), WorkTreeError> {
        for replacing in &journal.written {
            let path = self.tree.top.join(&replacing.path);
            if !goes_on(&replacing.path) {
                return Ok(());
            }
            match fs::rename(&replacing.from, &path) {
                // It was done before the kill.
                Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => {}
                done => done.map_err(WorkTreeError::file(path))?,
            }
        }
        let size = parts::size(journal.deleted.len());
        let left = journal.deleted.iter().position(|deleting| !goes_on(&deleting.path));
        let deleted = &journal.deleted[..left.unwrap_or(journal.deleted.len())];
        parts::all(deleted.chunks(size), |part| {
            for deleting in part {
                let path = self.tree.top.join(&deleting.path);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(WorkTreeError::file(path)(error));
                    }
                    _ => {}
                }
            }
            Ok(())
        })?;
        if left.is_some() {
            return Ok(());
        }
        if !goes_on("index") {
            return Ok(());
        }
        let lock = self.tree.index_lock();
        fs::rename(&lock, &self.tree.index).map_err(WorkTreeError::file(&self.tree.index))?;
        if goes_on("end") {
            self.end();
            self.remove_empty_folders(journal);
        }
        Ok(())
    }

    /// Nothing is left to do: the journal goes first.
    fn end(&self) {
        let _ = fs::remove_file(self.journal());
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Git knows no empty folder; one that has something left is not removed.
    fn remove_empty_folders(&self, journal: &Journal) {
        let folders: std::collections::BTreeSet<_> =
            journal.deleted.iter().filter_map(|it| Path::new(&it.path).parent()).collect();
        for folder in folders.into_iter().filter(|path| !path.as_os_str().is_empty()) {
            let _ = fs::remove_dir(self.tree.top.join(folder));
        }
    }

    /// Brings to its end what somebody began who was killed.
    fn finish_old(&self) -> Result<Option<Journal>, WorkTreeError> {
        if !self.folder.exists() {
            return Ok(None);
        }
        let found = fs::read(self.journal()).ok().and_then(|text| serde_json::from_slice::<Journal>(&text).ok());
        let is_ours = self.holds_lock();
        let mark = |path: &str| fs::read(self.tree.top.join(path)).ok().map(|bytes| Mark::of(&bytes));
        match found {
            // The index was written, and only the end is missing.
            Some(journal) if self.is_new_index(&self.tree.index) => {
                self.end();
                self.remove_empty_folders(&journal);
                Ok(Some(journal))
            }
            Some(mut journal)
                if is_ours && journal.written.iter().all(|it| !it.from.exists() || mark(&it.path) == it.before) =>
            {
                // What somebody wrote anew since then is not ours to delete.
                journal.deleted.retain(|it| mark(&it.path).is_none_or(|now| now == it.before));
                self.carry_out(&journal, &mut |_| true)?;
                Ok(Some(journal))
            }
            // Nothing was decided yet, or somebody went on by hand.
            found => {
                if is_ours {
                    let _ = fs::remove_file(self.tree.index_lock());
                }
                let leftovers = found.iter().flat_map(|journal| &journal.written).map(|it| &it.from);
                leftovers.for_each(|path| _ = fs::remove_file(path));
                self.end();
                Ok(None)
            }
        }
    }

    /// Whether the index' lock is a link to the new index.
    fn holds_lock(&self) -> bool {
        self.is_new_index(&self.tree.index_lock())
    }

    fn is_new_index(&self, path: &Path) -> bool {
        let inode = |path: &Path| fs::symlink_metadata(path).ok().map(|it| (it.dev(), it.ino()));
        inode(&self.new_index()).is_some_and(|own| inode(path) == Some(own))
    }

    /// Puts back what was there when something failed halfway.
    fn undo(&self, changes: &Changes<'_>, journal: &Journal) {
        for (written, replacing) in changes.written.iter().zip(&journal.written) {
            let path = self.tree.top.join(&written.path);
            if replacing.from.exists() {
                let _ = fs::remove_file(&replacing.from);
                continue;
            }
            let _ = match written.before {
                Some(bytes) => replacement(&path, bytes).map(|file| file.persist(&path).is_ok()).is_ok(),
                None => fs::remove_file(&path).is_ok(),
            };
        }
        for deleted in &changes.deleted {
            let path = self.tree.top.join(&deleted.path);
            if !path.exists() {
                let _ = replacement(&path, &deleted.bytes).map(|file| file.persist(&path).is_ok());
            }
        }
        if self.holds_lock() {
            let _ = fs::remove_file(self.tree.index_lock());
        }
        self.end();
    }
}

impl WorkTree {
    /// Brings the changes into the index at `path`, a copy of the present one.
    fn stage(&self, changes: &Changes<'_>, path: &Path) -> Result<(), WorkTreeError> {
        if let Some(done) = self.repository.as_ref().and_then(|repository| repository.stage(changes, path)) {
            return done;
        }
        let git = self.git.with_index(path);
        if !path.exists() {
            git.run(&["read-tree", "--empty"])?;
        }
        let mut lines = Vec::new();
        let mut width = 40;
        for Written { path, bytes, mode, .. } in &changes.written {
            let blob = self.git.run_with(&["hash-object", "-w", &format!("--path={path}"), "--stdin"], bytes)?;
            let blob = String::from_utf8_lossy(&blob).trim().to_owned();
            width = blob.len();
            lines.extend_from_slice(format!("{mode:o} {blob}\t{path}\0").as_bytes());
        }
        for Deleted { path, .. } in &changes.deleted {
            lines.extend_from_slice(format!("0 {}\t{path}\0", "0".repeat(width)).as_bytes());
        }
        git.run_with(&["update-index", "-z", "--index-info"], &lines)?;
        Ok(())
    }
}

/// A file beside `path` with the new content and the old one's permissions.
pub(super) fn replacement(path: &Path, bytes: &[u8]) -> Result<NamedTempFile, WorkTreeError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<NamedTempFile> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".bb-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        match fs::metadata(path) {
            Ok(before) => file.as_file().set_permissions(before.permissions())?,
            Err(_) => set_new_file_mode(&file)?,
        }
        Ok(file)
    };
    write().map_err(WorkTreeError::file(path))
}

/// A temporary file is for its owner only; a new ChangeLog is as readable as its folder.
fn set_new_file_mode(file: &NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests;
