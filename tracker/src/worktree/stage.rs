//! Writing files and the index so that a kill leaves the work tree as it was or as it should be: all that takes time is done beside, and
//! then three renames follow each other.

use super::{WorkTree, WorkTreeError};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What is to be changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Files to be written.
    pub(super) written: Vec<Written>,
    /// Paths to be deleted, with what stands there.
    pub(super) deleted: Vec<(String, Vec<u8>)>,
}

/// A file to be written.
#[derive(Debug)]
pub(super) struct Written {
    /// Its path from the top of the work tree.
    pub(super) path: String,
    /// Its new content.
    pub(super) bytes: Vec<u8>,
    /// Its mode in the index.
    pub(super) mode: String,
}

impl WorkTree {
    /// Makes the changes, in the work tree and in the index.
    pub(super) fn apply(&self, changes: &Changes) -> Result<(), WorkTreeError> {
        let index = self.index_with(changes)?;
        let mut files = Vec::with_capacity(changes.written.len());
        for written in &changes.written {
            let path = self.top.join(&written.path);
            files.push((replacement(&path, &written.bytes)?, fs::read(&path).ok(), path));
        }
        let lock = self.lock(index.path())?;
        let mut done = Undo { lock: Some(lock), files: Vec::new() };
        for (file, before, path) in files {
            file.persist(&path).map_err(|e| WorkTreeError::File { path: path.clone(), source: e.error })?;
            done.files.push((path, before));
        }
        for (path, before) in &changes.deleted {
            let path = self.top.join(path);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(WorkTreeError::file(path)(error));
                }
                _ => done.files.push((path, Some(before.clone()))),
            }
        }
        if let Some(lock) = &done.lock {
            fs::rename(lock, &self.index).map_err(WorkTreeError::file(&self.index))?;
        }
        done.keep();
        let folders: BTreeSet<_> = changes.deleted.iter().filter_map(|(p, _)| Path::new(p).parent()).collect();
        for folder in folders.into_iter().filter(|p| !p.as_os_str().is_empty()) {
            // Git knows no empty folder; one that has something left is not removed.
            let _ = fs::remove_dir(self.top.join(folder));
        }
        Ok(())
    }

    /// A copy of the index with the changes in it.
    fn index_with(&self, changes: &Changes) -> Result<NamedTempFile, WorkTreeError> {
        let folder = self.index.parent().unwrap_or(&self.top);
        let file =
            tempfile::Builder::new().prefix("bb-index-").tempfile_in(folder).map_err(WorkTreeError::file(folder))?;
        match fs::copy(&self.index, file.path()) {
            Ok(_) => {}
            // No index yet: git wants none at all rather than an empty one.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.git.with_index(file.path()).run(&["read-tree", "--empty"])?;
            }
            Err(error) => return Err(WorkTreeError::file(&self.index)(error)),
        }
        let git = self.git.with_index(file.path());
        let mut lines = Vec::new();
        let mut width = 40;
        for Written { path, bytes, mode } in &changes.written {
            let blob = self.git.run_with(&["hash-object", "-w", &format!("--path={path}"), "--stdin"], bytes)?;
            let blob = String::from_utf8_lossy(&blob).trim().to_owned();
            width = blob.len();
            lines.extend_from_slice(format!("{mode} {blob}\t{path}\0").as_bytes());
        }
        for (path, _) in &changes.deleted {
            lines.extend_from_slice(format!("0 {}\t{path}\0", "0".repeat(width)).as_bytes());
        }
        git.run_with(&["update-index", "-z", "--index-info"], &lines)?;
        Ok(file)
    }

    /// Takes the index' lock, with the new index as its content.
    fn lock(&self, content: &Path) -> Result<PathBuf, WorkTreeError> {
        let mut lock = self.index.clone().into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        match fs::hard_link(content, &lock) {
            Ok(()) => Ok(lock),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(WorkTreeError::Locked(lock)),
            Err(error) => Err(WorkTreeError::file(lock)(error)),
        }
    }
}

/// A file beside `path` with the new content and the old one's permissions.
pub(super) fn replacement(path: &Path, bytes: &[u8]) -> Result<NamedTempFile, WorkTreeError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> std::io::Result<NamedTempFile> {
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
fn set_new_file_mode(file: &NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))
}

/// Puts back what was there when something fails halfway.
struct Undo {
    files: Vec<(PathBuf, Option<Vec<u8>>)>,
    lock: Option<PathBuf>,
}

impl Undo {
    fn keep(&mut self) {
        self.files.clear();
        self.lock = None;
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for (path, before) in self.files.drain(..) {
            let _ = match before {
                Some(bytes) => replacement(&path, &bytes).map(|file| file.persist(&path).is_ok()).is_ok(),
                None => fs::remove_file(&path).is_ok(),
            };
        }
        if let Some(lock) = self.lock.take() {
            let _ = fs::remove_file(lock);
        }
    }
}
