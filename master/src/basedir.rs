//! A master's basedir: its settings, secrets, store, mirrors and logs; owned by one master at a time.

use crate::config;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A basedir.
#[derive(Clone, Debug)]
pub struct Basedir {
    root: PathBuf,
}

/// What can be wrong with a basedir.
#[derive(Debug, thiserror::Error)]
pub enum BasedirError {
    /// There is a master already.
    #[error("{} is a master's basedir already", .0.display())]
    Exists(PathBuf),
    /// There is none.
    #[error("{} is no master's basedir: it has no {}", .0.display(), config::FILE_NAME)]
    Missing(PathBuf),
    /// Another master runs on it.
    #[error("another master runs on {}", .0.display())]
    Locked(PathBuf),
    /// A file or folder can't be made, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A path that leads through no other folder and no link, as far as it is there yet: who makes `heron/../state` makes `heron`, too, when
/// that was moved away.
fn real_path(path: &Path) -> PathBuf {
    let of_parent = || Some(real_path(path.parent()?).join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(of_parent).unwrap_or_else(|| path.to_owned())
}

/// Held as long as a master runs on its basedir; the system lets it go when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// The name of the master that ran here before; none of one that ran where this was copied from.
    ///
    /// # Errors
    /// When the lock's file can't be read.
    pub fn signed(&self) -> Result<Option<String>, BasedirError> {
        let mut text = vec![0; 1024];
        let read = self.file.read_at(&mut text, 0).map_err(io_error(&self.path))?;
        let text = String::from_utf8_lossy(&text[..read]).into_owned();
        let here = self.here()?;
        Ok(text
            .lines()
            .next()
            .and_then(|line| line.split_once(' '))
            .filter(|(_, at)| *at == here)
            .map(|(name, _)| name.to_owned()))
    }

    /// Notes the name of the master that runs here now.
    ///
    /// # Errors
    /// When the lock's file can't be written.
    pub fn sign(&self, name: &str) -> Result<(), BasedirError> {
        let text = format!("{name} {}\n", self.here()?);
        let write = || {
            self.file.set_len(0)?;
            self.file.write_all_at(text.as_bytes(), 0)?;
            self.file.sync_data()
        };
        write().map_err(io_error(&self.path))
    }

    /// Which file this lock is.
    fn here(&self) -> Result<String, BasedirError> {
        let file = self.file.metadata().map_err(io_error(&self.path))?;
        Ok(format!("{}:{}", file.dev(), file.ino()))
    }
}

impl Basedir {
    /// The basedir at a path; nothing is looked at yet. A relative path is from where this process is now: git and others
    /// are run elsewhere, so whole paths are made here, for everybody.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self { root: real_path(&std::path::absolute(&root).unwrap_or(root)) }
    }

    /// Its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The settings.
    pub fn config(&self) -> PathBuf {
        self.root.join(config::FILE_NAME)
    }

    /// The first maintainer's token.
    pub fn maintainer_token(&self) -> PathBuf {
        self.root.join("secrets/maintainer.token")
    }

    /// Where the address stands that the running master answers at.
    pub fn address(&self) -> PathBuf {
        self.root.join("run/address")
    }

    /// Where mirrors are.
    pub fn mirrors(&self) -> PathBuf {
        self.root.join("mirrors")
    }

    /// Where logs are.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Makes the folders of a new basedir.
    ///
    /// # Errors
    /// When there is a master already, or a folder can't be made.
    pub fn create(&self) -> Result<(), BasedirError> {
        if self.config().exists() {
            return Err(BasedirError::Exists(self.root.clone()));
        }
        for (folder, mode) in [("", 0o755), ("run", 0o755), ("secrets", 0o700), ("mirrors", 0o755), ("logs", 0o755)] {
            let path = self.root.join(folder);
            fs::DirBuilder::new().recursive(true).mode(mode).create(&path).map_err(io_error(&path))?;
        }
        Ok(())
    }

    /// Takes the basedir for this process.
    ///
    /// # Errors
    /// When it is no master's, or another master runs on it.
    pub fn lock(&self) -> Result<Lock, BasedirError> {
        if !self.config().exists() {
            return Err(BasedirError::Missing(self.root.clone()));
        }
        let run = self.root.join("run");
        fs::create_dir_all(&run).map_err(io_error(&run))?;
        let path = run.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io_error(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { file, path }),
            Err(fs::TryLockError::WouldBlock) => Err(BasedirError::Locked(self.root.clone())),
            Err(fs::TryLockError::Error(source)) => Err(BasedirError::Io { path, source }),
        }
    }

    /// Writes a secret, readable by its owner only, whole or not at all.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_secret(&self, path: &Path, text: &str) -> Result<(), BasedirError> {
        write_whole(path, text, 0o600)
    }

    /// Writes the settings; for their owner alone when a URL there may hold a password.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn write_config(&self, settings: &str) -> Result<(), BasedirError> {
        let secret = settings.lines().any(|line| line.split_once("://").is_some_and(|(_, rest)| rest.contains('@')));
        write_whole(&self.config(), settings, if secret { 0o600 } else { 0o644 })
    }

    /// Writes where the running master answers.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write_address(&self, url: &str) -> Result<(), BasedirError> {
        write_whole(&self.address(), &format!("{url}\n"), 0o644)
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BasedirError {
    let path = path.to_owned();
    move |source| BasedirError::Io { path, source }
}

fn write_whole(path: &Path, text: &str, mode: u32) -> Result<(), BasedirError> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(io_error(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_relative_path_is_made_whole_once() {
        let basedir = Basedir::new("m");
        assert_eq!(basedir.root(), std::env::current_dir().unwrap().join("m"));
        assert!(basedir.mirrors().is_absolute() && basedir.config().is_absolute());
    }

    #[test]
    fn what_it_is_reached_through_may_go_away_and_is_not_made_again() {
        let temp = tempfile::tempdir().unwrap();
        let real = temp.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("heron")).unwrap();
        let basedir = Basedir::new(temp.path().join("heron/../state"));
        assert_eq!(basedir.root(), real.join("state"));
        std::fs::rename(real.join("heron"), real.join("away")).unwrap();
        basedir.create().unwrap();
        assert!(real.join("state/mirrors").is_dir() && !real.join("heron").exists());
    }

    #[test]
    fn settings_that_may_hold_a_password_are_their_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let basedir = Basedir::new(folder.path());
        let mode = |settings: &str| {
            basedir.write_config(settings).unwrap();
            fs::metadata(basedir.config()).unwrap().permissions().mode() & 0o777
        };
        assert_eq!(mode("store = \"postgres://bb:secret@localhost/bb\"\n"), 0o600);
        assert_eq!(mode("repository = \"/srv/heron.git\"\n"), 0o644);
    }
}
