//! The user's repository read and written in this process, because starting git five times takes longer than all the rest of a fold.
//!
//! Only for what libgit2 does as git does. Whatever it can't read (ids of another kind, a split or sparse index, refs kept otherwise), and whatever
//! the user's environment or attributes ask for that it does not know, is left to the user's own git: then these functions give `None`.

use super::WorkTreeError;
use super::found::{Listed, Listing};
use super::git::bytes_of;
use super::stage::Changes;
use changelog::Place;
use git2::{AttrCheckFlags, AttrValue, ErrorCode, Index, IndexEntry, IndexTime, RepositoryOpenFlags, Status};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The index' flags, by the format's description in git's documentation (index-format).
const ASSUME_UNCHANGED: u16 = 0x8000;
const STAGE: u16 = 0x3000;
const SKIP_WORKTREE: u16 = 0x4000;
const INTENT_TO_ADD: u16 = 0x2000;

/// Variables that tell git, and git alone, of another place, index or configuration; their names start so.
const FOR_GIT: [&str; 11] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX",
    "GIT_OBJECT",
    "GIT_ALTERNATE",
    "GIT_COMMON",
    "GIT_CEILING",
    "GIT_DISCOVERY",
    "GIT_NAMESPACE",
    "GIT_CONFIG",
    "GIT_ATTR",
];

/// An open repository.
#[derive(Clone)]
pub(super) struct Repository(Arc<Mutex<git2::Repository>>);

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repository")
    }
}

/// Where a work tree and its index are.
pub(super) struct Found {
    pub(super) top: PathBuf,
    pub(super) git_folder: PathBuf,
    pub(super) repository: Repository,
}

impl Repository {
    /// Opens the repository that `dir` is in, if it has a work tree.
    pub(super) fn of(dir: &Path) -> Option<Found> {
        let told = |name: &OsStr| FOR_GIT.iter().any(|start| name.as_bytes().starts_with(start.as_bytes()));
        if std::env::vars_os().any(|(name, _)| told(&name)) {
            return None;
        }
        let repository = git2::Repository::open_ext(dir, RepositoryOpenFlags::empty(), &[] as &[&OsStr]).ok()?;
        let top = repository.workdir()?.to_owned();
        let git_folder = repository.path().to_owned();
        Some(Found { top, git_folder, repository: Self(Arc::new(Mutex::new(repository))) })
    }

    fn lock(&self) -> MutexGuard<'_, git2::Repository> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ChangeLogs and whatever stands where fragments can be, as the index and the work tree have them.
    pub(super) fn list(&self, top: &Path, places: &[Place]) -> Option<Listing> {
        let repository = self.lock();
        let index = repository.index().ok()?;
        let mut listing = Listing::default();
        if index.has_conflicts() {
            let unmerged = index.iter().filter(|entry| entry.flags & STAGE != 0);
            listing.unmerged.extend(unmerged.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
        }
        let look = Look { repository: &repository, index: &index, written: written(&repository), top };
        for place in places {
            for path in place.paths() {
                look.at(&path, &mut listing)?;
            }
        }
        Some(listing)
    }

    /// Writes an index with the changes in it to `path`, where a copy of the present one is, if there is one.
    pub(super) fn stage(&self, changes: &Changes<'_>, path: &Path) -> Option<Result<(), WorkTreeError>> {
        let repository = self.lock();
        if changes.written.iter().any(|written| needs_git(&repository, &written.path)) {
            return None;
        }
        let mut index = Index::open(path).ok()?;
        let failed = |what: &str, error: &git2::Error| {
            Err(WorkTreeError::Git { what: what.to_owned(), said: error.message().to_owned() })
        };
        for written in &changes.written {
            let blob = match store(&repository, &written.path, written.bytes) {
                Ok(blob) => blob,
                Err(error) => return Some(failed("hash-object", &error)),
            };
            let none = IndexTime::new(0, 0);
            let entry = IndexEntry {
                ctime: none,
                mtime: none,
                dev: 0,
                ino: 0,
                mode: written.mode,
                uid: 0,
                gid: 0,
                file_size: 0,
                id: blob,
                flags: 0,
                flags_extended: 0,
                path: written.path.clone().into_bytes(),
            };
            if let Err(error) = index.add(&entry) {
                return Some(failed("update-index", &error));
            }
        }
        // From the end, so that what stands below each is little to move.
        for deleted in changes.deleted.iter().rev() {
            match index.remove(Path::new(&deleted.path), 0) {
                Err(error) if error.code() != ErrorCode::NotFound => return Some(failed("update-index", &error)),
                _ => {}
            }
        }
        Some(index.write().or_else(|error| failed("update-index", &error)))
    }
}

/// When the index was written: what changed later than that, or at that instant, has to be read to be known.
fn written(repository: &git2::Repository) -> (i64, i64) {
    fs::metadata(repository.path().join("index")).map_or((0, 0), |it| (it.mtime(), it.mtime_nsec()))
}

/// Stores what a file holds, as git would: with the line ends that attributes and configuration say.
fn store(repository: &git2::Repository, path: &str, bytes: &[u8]) -> Result<git2::Oid, git2::Error> {
    let path = Path::new(path);
    let is_unset = |name: &str| {
        let value = repository.get_attr_bytes(path, name, AttrCheckFlags::FILE_THEN_INDEX);
        matches!(value.map(AttrValue::from_bytes), Ok(AttrValue::Unspecified))
    };
    let autocrlf = repository.config()?.get_string("core.autocrlf");
    let as_it_is = ["text", "eol", "crlf", "ident"].into_iter().all(is_unset)
        && autocrlf.map_or_else(|error| error.code() == ErrorCode::NotFound, |value| value == "false");
    if as_it_is {
        return repository.blob(bytes);
    }
    let mut writer = repository.blob_writer(Some(path))?;
    writer.write_all(bytes).map_err(|error| git2::Error::from_str(&error.to_string()))?;
    writer.commit()
}

/// Whether what is written at a path passes a program or an encoding that only git knows.
fn needs_git(repository: &git2::Repository, path: &str) -> bool {
    ["filter", "working-tree-encoding"].iter().any(|name| {
        let value = repository.get_attr_bytes(Path::new(path), name, AttrCheckFlags::FILE_THEN_INDEX);
        !matches!(value.map(AttrValue::from_bytes), Ok(AttrValue::Unspecified | AttrValue::False))
    })
}

struct Look<'r> {
    repository: &'r git2::Repository,
    index: &'r Index,
    written: (i64, i64),
    top: &'r Path,
}

impl Look<'_> {
    /// Lists the file at `path`, or all files below.
    fn at(&self, path: &str, listing: &mut Listing) -> Option<()> {
        let first = match self.index.find_prefix(path) {
            Ok(first) => first,
            Err(error) if error.code() == ErrorCode::NotFound => self.index.len(),
            Err(_) => return None,
        };
        for entry in (first..self.index.len()).map_while(|n| self.index.get(n)) {
            let Some(rest) = entry.path.strip_prefix(path.as_bytes()) else { break };
            if rest.first().is_none_or(|&b| b == b'/') {
                self.tracked(&entry, listing);
            }
        }
        self.untracked(Path::new(path), listing)
    }

    fn tracked(&self, entry: &IndexEntry, listing: &mut Listing) {
        let mut listed = Listed { mode: Some(entry.mode), ..Listed::default() };
        let path = Path::new(OsStr::from_bytes(&entry.path));
        let file = self.top.join(path).symlink_metadata().ok();
        listed.is_plain = file.as_ref().is_some_and(Metadata::is_file);
        if entry.flags_extended & SKIP_WORKTREE != 0 {
            listed.is_left_out = true;
        } else if entry.flags & ASSUME_UNCHANGED == 0 {
            listed.is_unstaged = !file.is_some_and(|file| self.is_unchanged(entry, path, &file));
        }
        listing.add_id(&entry.path, entry.id.to_string());
        listing.add(&entry.path, listed);
    }

    /// Whether the file is as the index has it: its times and size say so, else its content.
    fn is_unchanged(&self, entry: &IndexEntry, path: &Path, file: &Metadata) -> bool {
        if entry.flags_extended & INTENT_TO_ADD != 0 || entry.flags & STAGE != 0 {
            return false;
        }
        let of = |time: &IndexTime| (i64::from(time.seconds()), i64::from(time.nanoseconds()));
        let time = of(&entry.mtime);
        let size = u32::try_from(file.size() & u64::from(u32::MAX)).unwrap_or_default();
        let is_executable = |mode: u32| mode & 0o100 != 0;
        let same = time == (file.mtime(), file.mtime_nsec())
            && time < self.written
            && of(&entry.ctime) == (file.ctime(), file.ctime_nsec())
            && entry.file_size == size
            && file.is_file()
            && is_executable(entry.mode) == is_executable(file.mode());
        let changed = Status::WT_MODIFIED | Status::WT_TYPECHANGE | Status::WT_DELETED;
        same || self.repository.status_file(path).is_ok_and(|status| !status.intersects(changed))
    }

    /// Files that the index does not have, and that are not ignored. A repository within is git's own matter.
    fn untracked(&self, path: &Path, listing: &mut Listing) -> Option<()> {
        let full = self.top.join(path);
        let Ok(found) = full.symlink_metadata() else { return Some(()) };
        if !found.is_dir() {
            self.untracked_file(path, listing);
            return Some(());
        }
        if full.join(".git").symlink_metadata().is_ok() {
            return None;
        }
        for entry in fs::read_dir(&full).ok()? {
            let entry = entry.ok()?;
            let path = path.join(entry.file_name());
            if entry.file_type().ok()?.is_dir() {
                self.untracked(&path, listing)?;
            } else {
                self.untracked_file(&path, listing);
            }
        }
        Some(())
    }

    fn untracked_file(&self, path: &Path, listing: &mut Listing) {
        let bytes = bytes_of(path);
        if !listing.has(bytes) && !self.repository.is_path_ignored(path).unwrap_or(false) {
            listing.add(bytes, Listed { is_unstaged: true, ..Listed::default() });
        }
    }
}
