//! Makes a slave's basedir.

use crate::config::{Config, FILE_NAME, Token};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A basedir can't be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is a slave already.
    #[error("{0} is there already; edit it, or choose another basedir")]
    Exists(PathBuf),
    /// A file or folder can't be made.
    #[error("{path} can't be written: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Writes BASEDIR/slave.toml (mode 0644) and the token's file (mode 0600). An existing slave is left as it is.
///
/// # Errors
/// When there is a slave already, or something can't be written.
pub fn create(basedir: &Path, config: &Config, token: &Token) -> Result<(), CreateError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| CreateError::Io { path, error }
    };
    let file = basedir.join(FILE_NAME);
    if file.symlink_metadata().is_ok() {
        return Err(CreateError::Exists(file));
    }
    std::fs::create_dir_all(basedir).map_err(io(basedir))?;
    let secret = basedir.join(&config.token_file);
    if let Some(folder) = secret.parent().filter(|folder| !folder.exists()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io(folder))?;
    }
    // The configuration comes last: with it the basedir is whole.
    write(&secret, 0o600, token.expose()).map_err(io(&secret))?;
    match write_new(&file, 0o644, &config.to_toml()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(CreateError::Exists(file)),
        written => written.map_err(io(&file)),
    }
}

/// Replaces a file, which nobody else can read at any time.
fn write(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_new(path, mode, &format!("{text}\n"))
}

fn write_new(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
