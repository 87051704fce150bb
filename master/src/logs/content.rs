//! The bytes of one log, in whichever form they are kept.

use super::packed::{self, Packed};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

/// A log, open for reading, as long as it was when it was opened.
#[derive(Debug)]
pub(super) enum Content {
    /// As it was appended to.
    Plain { file: File, len: u64 },
    /// Of a build that ended.
    Packed(Packed),
}

impl Content {
    /// Opens the log at this path, plain or packed; none where there is neither.
    ///
    /// # Errors
    /// When it can't be read, or is damaged.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        // A log is packed before the plain one goes.
        if let Some(file) = there(File::open(path))? {
            let len = file.metadata()?.len();
            return Ok(Some(Self::Plain { file, len }));
        }
        Ok(there(Packed::open(&packed::path_of(path)))?.map(Self::Packed))
    }

    /// How many bytes it has.
    pub(super) const fn len(&self) -> u64 {
        match self {
            Self::Plain { len, .. } => *len,
            Self::Packed(packed) => packed.len(),
        }
    }

    /// Whether it is what is at this path now: a build that was begun anew has other logs.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let (path, inode) = match self {
            Self::Plain { file, .. } => (path.to_owned(), file.metadata().map(|of| of.ino())),
            Self::Packed(packed) => (packed::path_of(path), packed.inode()),
        };
        let now = std::fs::metadata(path).map(|of| of.ino());
        matches!((now, inode), (Ok(now), Ok(inode)) if now == inode)
    }

    /// At most `limit` bytes from `at` on; fewer only at its end.
    ///
    /// # Errors
    /// When it can't be read, or is damaged there.
    pub(super) fn read(&self, at: u64, limit: usize) -> io::Result<Vec<u8>> {
        let room = usize::try_from(self.len().saturating_sub(at)).unwrap_or(usize::MAX).min(limit);
        let mut bytes = vec![0; room];
        let mut have = 0;
        while have < room {
            let from = at + have as u64;
            let read = match self {
                Self::Plain { file, .. } => file.read_at(&mut bytes[have..], from)?,
                Self::Packed(packed) => packed.read_at(&mut bytes[have..], from)?,
            };
            match read {
                0 => break,
                n => have += n,
            }
        }
        bytes.truncate(have);
        Ok(bytes)
    }
}

/// What was opened, if it is there.
fn there<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
