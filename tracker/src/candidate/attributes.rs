//! Mainline's attributes for a merge without a work tree.
//!
//! From 2.41 on git is told by `--attr-source` whose attributes count. An older one takes them from a work tree; it
//! is given one that holds nothing but mainline's `.gitattributes` files, as plain files whatever they are there.

use crate::git::{ATTR_SOURCE, Git, Run};
use crate::mirror::{MirrorError, tree_of};
use git2::{ObjectType, Repository};
use protocol::CommitId;
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use tempfile::TempDir;

const FILE_NAME: &str = ".gitattributes";
/// The longest list of attributes that git reads, in bytes.
const MAX_FILE: usize = 100 << 20;
/// Bytes of all lists together.
const MAX_BYTES: usize = 256 << 20;

/// How a run comes to mainline's attributes.
pub(super) enum Attributes {
    Source(CommitId),
    WorkTree(TempDir),
}

impl Attributes {
    /// Those of `mainline`, for this git.
    pub(super) fn of(git: &Git, repository: &Repository, mainline: &CommitId) -> Result<Self, MirrorError> {
        if git.version() >= ATTR_SOURCE {
            return Ok(Self::Source(mainline.clone()));
        }
        Self::written(repository, mainline).map(Self::WorkTree)
    }

    fn written(repository: &Repository, mainline: &CommitId) -> Result<TempDir, MirrorError> {
        let io = |source| MirrorError::Io { what: "writing mainline's attributes for git".to_owned(), source };
        let folder = tempfile::Builder::new().prefix("bb-attributes-").tempdir().map_err(io)?;
        let root = rustix::fs::open(folder.path(), OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let root = root.map_err(|error| io(error.into()))?;
        Tree { repository, root, names: Vec::new(), left: MAX_BYTES }.write(&tree_of(repository, mainline)?)?;
        Ok(folder)
    }

    /// Gives a run in the bare repository `mirror` these attributes.
    pub(super) fn give(&self, run: Run, mirror: &Path) -> Run {
        match self {
            Self::Source(mainline) => run.repository(mirror).arg(format!("--attr-source={mainline}")),
            Self::WorkTree(folder) => run.repository_with_work_tree(mirror, folder.path()).config("core.bare=false"),
        }
    }
}

/// A walk through a tree: the path is a stack of names, and folders are made only where there is a file to write.
struct Tree<'r> {
    repository: &'r Repository,
    root: OwnedFd,
    names: Vec<Vec<u8>>,
    left: usize,
}

impl Tree<'_> {
    fn write(&mut self, tree: &git2::Tree<'_>) -> Result<(), MirrorError> {
        let failed = |source| MirrorError::Objects { what: "reading mainline's attributes".to_owned(), source };
        for entry in tree {
            match entry.kind() {
                Some(ObjectType::Tree) if is_name(entry.name_bytes()) => {
                    self.names.push(entry.name_bytes().to_vec());
                    self.write(&self.repository.find_tree(entry.id()).map_err(failed)?)?;
                    self.names.pop();
                }
                Some(ObjectType::Blob) if entry.name_bytes() == FILE_NAME.as_bytes() => {
                    let blob = self.repository.find_blob(entry.id()).map_err(failed)?;
                    // git ignores a longer one too.
                    if blob.size() < MAX_FILE {
                        self.file(blob.content())?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, bytes: &[u8]) -> Result<(), MirrorError> {
        let io =
            |source: io::Error| MirrorError::Io { what: "writing mainline's attributes for git".to_owned(), source };
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| io(io::ErrorKind::FileTooLarge.into()))?;
        // Step by step, so that no path is too long, and nothing can lead elsewhere.
        let mut at = self.root.try_clone().map_err(io)?;
        for name in &self.names {
            match mkdirat(at.as_fd(), name.as_slice(), Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(io(error.into())),
            }
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            at = openat(at.as_fd(), name.as_slice(), flags, Mode::empty()).map_err(|error| io(error.into()))?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(at.as_fd(), FILE_NAME, flags, Mode::RUSR | Mode::WUSR).map_err(|error| io(error.into()))?;
        File::from(file).write_all(bytes).map_err(io)
    }
}

/// Whether a folder may have this name, and whether git reads attributes in it.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
        && name.len() <= 255
        && !name.contains(&b'/')
        && !name.contains(&0)
        && !name.eq_ignore_ascii_case(b".git")
}
