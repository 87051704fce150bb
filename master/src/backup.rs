//! Backups: a copy of a basedir that is consistent though the master goes on, and a basedir made of one.
//!
//! The order makes it consistent. Rows first: all that they name was durable before them. Then what they name: refs and
//! objects, of which nothing is deleted meanwhile because upkeep is kept away, and logs, which only grow.

use crate::basedir::{Basedir, BasedirError};
use crate::config::{Config, ConfigError};
use crate::store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tracker::git::{Git, GitNotUsable};
use tracker::mirror::{Mirror, MirrorError};

/// Says that a backup is whole, and what it is of. Written last.
const MANIFEST: &str = "backup.json";
/// There as long as a backup or a restored basedir is not whole.
const INCOMPLETE: &str = "INCOMPLETE";
/// The embedded store's file.
const SQLITE: &str = "bb.sqlite";

/// What a backup is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The bb that made it.
    pub bb: String,
    /// When it was begun; what was acknowledged before is in it.
    pub begun: String,
    /// Whether the store is in it; else it is a PostgreSQL, which its own tools dump.
    pub holds_store: bool,
    /// The projects.
    pub projects: Vec<String>,
    /// Refs of all mirrors.
    pub refs: u64,
    /// Bytes of all mirrors.
    pub bytes: u64,
}

/// Why a backup was not made, or no basedir of it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself")]
pub enum BackupError {
    #[error(transparent)]
    Basedir(#[from] BasedirError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Git(#[from] GitNotUsable),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} is inside of the basedir that it would be a copy of", .0.display())]
    Inside(PathBuf),
    #[error("{} is no backup: it has no {MANIFEST}", .0.display())]
    NoBackup(PathBuf),
    #[error("{} is a backup that was not finished", .0.display())]
    Partial(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Manifest { path: PathBuf, source: serde_json::Error },
}

impl BackupError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NotEmpty(_) => "name a folder that is empty or not there yet",
            Self::Inside(_) => "name a folder elsewhere, best on another disk",
            Self::NoBackup(_) => "name the folder that `bb master backup` wrote",
            Self::Partial(_) => "delete it, and take an older one; it was broken off while it was written",
            Self::Basedir(BasedirError::Missing(_)) => "name the basedir of a master",
            Self::Mirror(_) => "`bb master check BASEDIR --deep` says what is wrong with the mirror, and mends it",
            Self::Git(error) => return tracker::Explain::hint(error).into(),
            _ => "",
        }
        .to_owned()
    }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}

/// Makes a backup of the basedir `root` in the folder `to`, which is empty or not there. A master may run meanwhile.
///
/// # Errors
/// When something can't be read or written. What is there then says that it is not whole.
pub async fn backup(root: &Path, to: &Path) -> Result<Manifest, BackupError> {
    let basedir = Basedir::new(root);
    if !basedir.config().exists() {
        return Err(BasedirError::Missing(basedir.root().to_owned()).into());
    }
    let config = Config::read(basedir.root())?;
    let git = Git::find(config.git.as_deref())?;
    let to = std::path::absolute(to).map_err(io_at(to))?;
    begin(&to)?;
    let real = |path: &Path| fs::canonicalize(path).map_err(io_at(path));
    if real(&to)?.starts_with(real(basedir.root())?) {
        let _ = fs::remove_file(to.join(INCOMPLETE));
        let _ = fs::remove_dir(&to);
        return Err(BackupError::Inside(to));
    }
    let mut manifest = Manifest {
        bb: env!("CARGO_PKG_VERSION").to_owned(),
        begun: jiff::Timestamp::now().to_string(),
        holds_store: config.store.as_deref().is_none_or(|url| url.starts_with("sqlite:")),
        projects: config.projects.iter().map(|project| project.name.to_string()).collect(),
        refs: 0,
        bytes: 0,
    };
    let mut mirrors = Vec::new();
    for path in folders(&basedir.mirrors())? {
        let mirror = Mirror::open_or_create(git.clone(), &path).await?;
        let held = mirror.hold_still().await?;
        mirrors.push((mirror, held));
    }
    if manifest.holds_store {
        let store = Store::open(&Store::url(config.store.as_deref(), basedir.root())).await?;
        let copied = store.copy_to(&to.join(SQLITE)).await;
        store.close().await;
        copied?;
    }
    for (mirror, _held) in &mirrors {
        let name = mirror.path().file_name().unwrap_or_default();
        let copied = mirror.copy_to(&to.join("mirrors").join(name)).await?;
        manifest.refs += copied.refs;
        manifest.bytes += copied.bytes;
    }
    let (from, folder) = (basedir.root().to_owned(), to.clone());
    blocking(move || copy_rest(&from, &folder)).await?;
    finish(&to, &manifest)?;
    Ok(manifest)
}

/// Makes a basedir of a backup. It must not be there, or be empty; its settings are written last, so that it is no basedir
/// before it is whole.
///
/// # Errors
/// When the backup is not whole, or something can't be read or written.
pub async fn restore(from: &Path, root: &Path) -> Result<Manifest, BackupError> {
    let (from, root) = (from.to_owned(), Basedir::new(root).root().to_owned());
    blocking(move || {
        let manifest = read_manifest(&from)?;
        begin(&root)?;
        let not = |name: &OsStr| [MANIFEST, crate::config::FILE_NAME].iter().any(|not| name == *not);
        copy_folder(&from, &root, &not)?;
        for (folder, mode) in [("run", 0o755), ("mirrors", 0o755), ("logs", 0o755), ("secrets", 0o700)] {
            make_folder(&root.join(folder), mode)?;
        }
        sync(&root)?;
        let settings = root.join(crate::config::FILE_NAME);
        copy_file(&from.join(crate::config::FILE_NAME), &settings)?;
        fs::remove_file(root.join(INCOMPLETE)).map_err(io_at(&root))?;
        sync(&root)?;
        Ok(manifest)
    })
    .await
}

/// What a backup says of itself.
fn read_manifest(from: &Path) -> Result<Manifest, BackupError> {
    if from.join(INCOMPLETE).exists() {
        return Err(BackupError::Partial(from.to_owned()));
    }
    let path = from.join(MANIFEST);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BackupError::NoBackup(from.to_owned())),
        Err(source) => return Err(BackupError::Io { path, source }),
    };
    serde_json::from_slice(&text).map_err(|source| BackupError::Manifest { path, source })
}

/// Makes the folder, or takes it when it is empty, and marks it as not whole yet.
fn begin(folder: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_at(folder))?;
    if fs::read_dir(folder).map_err(io_at(folder))?.next().is_some() {
        return Err(BackupError::NotEmpty(folder.to_owned()));
    }
    let mark = folder.join(INCOMPLETE);
    fs::write(&mark, "This folder is not whole: it is being written, or that was broken off.\n")
        .map_err(io_at(&mark))?;
    sync(folder)
}

fn finish(folder: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let path = folder.join(MANIFEST);
    let text = serde_json::to_string_pretty(manifest)
        .map_err(|source| BackupError::Manifest { path: path.clone(), source })?;
    sync(folder)?;
    fs::write(&path, text + "\n").map_err(io_at(&path))?;
    sync(folder)?;
    fs::remove_file(folder.join(INCOMPLETE)).map_err(io_at(folder))?;
    sync(folder)
}

/// Everything of a file system on the disk: for thousands of files, sooner done than each alone.
fn sync(folder: &Path) -> Result<(), BackupError> {
    let file = File::open(folder).map_err(io_at(folder))?;
    rustix::fs::syncfs(&file).map_err(|error| BackupError::Io { path: folder.to_owned(), source: error.into() })
}

/// All of a basedir but what is copied in its own way, and what belongs to the running master.
fn copy_rest(from: &Path, to: &Path) -> Result<(), BackupError> {
    let not = |name: &OsStr| {
        let name = name.to_string_lossy();
        ["mirrors", "run"].contains(&&*name) || name.starts_with(SQLITE) || name.ends_with(".new")
    };
    copy_folder(from, to, &not)
}

/// Copies a folder with its permissions; links as links.
fn copy_folder(from: &Path, to: &Path, not: &dyn Fn(&OsStr) -> bool) -> Result<(), BackupError> {
    for entry in fs::read_dir(from).map_err(io_at(from))? {
        let entry = entry.map_err(io_at(from))?;
        let (name, path) = (entry.file_name(), entry.path());
        if not(&name) || name == INCOMPLETE {
            continue;
        }
        let there = to.join(&name);
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_at(&path)(error)),
        };
        if kind.is_dir() {
            let mode = fs::metadata(&path).map_err(io_at(&path))?.permissions().mode() & 0o7777;
            make_folder(&there, mode)?;
            // What is being packed is copied as it was.
            copy_folder(&path, &there, &|name| name.to_string_lossy().ends_with(".zst.new"))?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(io_at(&path))?;
            std::os::unix::fs::symlink(target, &there).map_err(io_at(&there))?;
        } else if kind.is_file() {
            copy_file(&path, &there)?;
        }
    }
    Ok(())
}

fn make_folder(path: &Path, mode: u32) -> Result<(), BackupError> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(io_at(path))
}

/// A log that was deleted meanwhile, because its build begins anew, is none; one that was packed meanwhile is copied so. What a
/// step kept goes when its time has come.
fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    let is = |end: &str| from.extension().is_some_and(|it| it == end);
    match fs::copy(from, to) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is("artifacts") => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is("log") => {
            let packed = crate::logs::packed_path(from);
            match fs::copy(&packed, crate::logs::packed_path(to)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_at(&packed)(error)),
                _ => Ok(()),
            }
        }
        Err(error) => Err(io_at(from)(error)),
    }
}

/// The folders in a folder; none when it is not there.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_at(folder)(error)),
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "git") && path.join("HEAD").exists());
    found.sort();
    Ok(found)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(BackupError::Io { path: PathBuf::new(), source: io::Error::other(error) }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_goes_while_it_is_copied_is_left_out_if_it_may_go() {
        let folder = tempfile::tempdir().unwrap();
        let copied = |name: &str| copy_file(&folder.path().join(name), &folder.path().join("to"));
        assert!(copied("1.log").is_ok() && copied("1.artifacts").is_ok());
        assert!(copied("master.toml").is_err());
    }

    #[tokio::test]
    async fn a_backup_that_was_broken_off_and_a_folder_that_is_none_are_refused_and_so_is_a_full_one() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(&from).unwrap();
        assert!(matches!(restore(&from, &to).await, Err(BackupError::NoBackup(_))));
        begin(&from.join("part")).unwrap();
        assert!(matches!(restore(&from.join("part"), &to).await, Err(BackupError::Partial(_))));
        assert!(!to.exists(), "nothing was begun");
        assert!(matches!(begin(&from), Err(BackupError::NotEmpty(_))));
        assert!(matches!(backup(&from, &to).await, Err(BackupError::Basedir(BasedirError::Missing(_)))));
    }
}
