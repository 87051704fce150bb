//! Removing what a build left, however it looks: without permissions, deeper than any path, with links to elsewhere.

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Folders below this depth are first moved up, so that neither open files nor a path's length are a limit.
const DEPTH: usize = 64;

/// Removes a file, a link or a folder with everything in it. Links are removed, never followed. Nothing may be writing
/// there any more. What is not there is fine.
pub(crate) fn remove_all(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the root can't be removed"));
    };
    let parent = match openat(CWD, parent, FOLDER, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        parent => parent?,
    };
    let name = CString::new(name.as_bytes())?;
    match statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
            return Ok(unlinkat(&parent, &name, AtFlags::empty())?);
        }
        Ok(_) => {}
    }
    Ok(Removal { parent: open_folder(&parent, &name)?, moved: 0 }.remove(&parent, &name)?)
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

struct Removal {
    /// The folder that is removed; what is too deep is moved here.
    parent: OwnedFd,
    moved: u64,
}

impl Removal {
    fn remove(mut self, above: &OwnedFd, name: &CString) -> Result<(), Errno> {
        loop {
            let moved = self.moved;
            let top = self.parent.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?;
            self.empty(&top, 0)?;
            if self.moved == moved {
                return unlinkat(above, name, AtFlags::REMOVEDIR);
            }
        }
    }

    fn empty(&mut self, folder: &OwnedFd, depth: usize) -> Result<(), Errno> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let is_folder = match entry.file_type() {
                FileType::Unknown => {
                    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
                }
                kind => kind == FileType::Directory,
            };
            if !is_folder {
                unlinkat(folder, name, AtFlags::empty())?;
            } else if depth >= DEPTH {
                self.move_up(folder, name)?;
            } else {
                self.remove_folder(folder, name, depth + 1)?;
            }
        }
        Ok(())
    }

    fn remove_folder(&mut self, above: &OwnedFd, name: &CStr, depth: usize) -> Result<(), Errno> {
        let folder = open_folder(above, name)?;
        // Some file systems leave entries out of a listing while others are removed.
        for _ in 0..8 {
            self.empty(&folder, depth)?;
            match unlinkat(above, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY) => {}
                done => return done,
            }
        }
        Err(Errno::NOTEMPTY)
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        // A folder's `..` changes with this, which needs the right to write it.
        open_folder(folder, name)?;
        loop {
            self.moved += 1;
            let to = format!("bb-removes-{}", self.moved);
            match statat(&self.parent, OsStr::new(&to), AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => return renameat(folder, name, &self.parent, OsStr::new(&to)),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }
}

/// Opens a folder with all rights to it. Links are not followed.
fn open_folder(parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    // It was seen to be a folder, and nothing else runs here that could replace it by a link.
    chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
    openat(parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
}
