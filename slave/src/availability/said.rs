//! A person's word, in a file of the basedir: durable, and there whether the slave runs or not.

use protocol::UnixMs;
use protocol::wire::{Availability, MAX_WORD, Voice, Word};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The file's name.
pub(crate) const FILE: &str = "availability.json";
/// More than any such file has, in bytes.
const MOST: u64 = 64 << 10;

/// A person's word as it stands in the file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The word.
    pub word: Word,
    /// Whether running builds are to go to other slaves at once.
    #[serde(default)]
    pub now: bool,
}

/// A word can't be written down or read.
#[derive(Debug, thiserror::Error)]
pub enum SaidError {
    /// There is no slave.
    #[error("{0} is no slave's basedir: it has no slave.toml; `bb slave create` makes one")]
    NoSlave(PathBuf),
    /// The file can't be written or read.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds something else.
    #[error("{path} can't be understood ({why}); `bb slave set-availability` writes it anew")]
    Wrong {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Said {
    /// A person's word from now on.
    pub fn new(says: Availability, who: &str, reason: &str, since: UnixMs, until: Option<UnixMs>, now: bool) -> Self {
        let line = |text: &str| -> String {
            text.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(MAX_WORD)
                .collect::<String>()
                .trim()
                .to_owned()
        };
        let word = Word { says, voice: Voice::Person, who: line(who), reason: line(reason), since, until };
        Self { word, now }
    }
}

/// Writes a person's word down, or takes it back (none). When this returns it is durable, and a slave that runs hears of it.
///
/// # Errors
/// When there is no slave in the basedir, or the file can't be written.
pub fn say(basedir: &Path, said: Option<&Said>) -> Result<(), SaidError> {
    if !basedir.join(crate::config::FILE_NAME).is_file() {
        return Err(SaidError::NoSlave(basedir.to_owned()));
    }
    let path = basedir.join(FILE);
    let written = match said {
        None => match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| File::open(basedir)?.sync_all()),
        },
        Some(said) => serde_json::to_vec(said).map_err(io::Error::other).and_then(|text| {
            let mut file = tempfile::Builder::new().prefix(".availability-").tempfile_in(basedir)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            File::open(basedir)?.sync_all()
        }),
    };
    written.map_err(|error| SaidError::Io { path, error })
}

/// The person's word, if there is one.
///
/// # Errors
/// When the file can't be read or understood.
pub(crate) fn read(basedir: &Path) -> Result<Option<Said>, SaidError> {
    let path = basedir.join(FILE);
    let mut text = Vec::new();
    match File::open(&path).and_then(|file| file.take(MOST).read_to_end(&mut text)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SaidError::Io { path, error }),
        Ok(_) => match serde_json::from_slice::<Said>(&text) {
            Ok(said) => Ok(Some(said)),
            Err(error) => Err(SaidError::Wrong { path, why: error.to_string() }),
        },
    }
}
