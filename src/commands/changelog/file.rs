//! A file that is named: which ChangeLog it is, or whose fragment. The settings of its repository say it; where they say nothing, its name
//! and its content do.

use crate::commands::merge_changelog::worktree_error;
use crate::error::CliError;
use changelog::{Format, FormatError, FragmentKind, PathKind, Place, detect, taker_of};
use std::path::{Path, PathBuf};
use tracker::worktree::{WorkTree, WorkTreeError};

/// A file, and what it is.
pub(super) struct ChangelogFile {
    /// What stands in it.
    pub(super) bytes: Vec<u8>,
    /// Whether it is a ChangeLog or a fragment.
    pub(super) role: Role,
    /// The ChangeLog that it is, or that its entries go to.
    pub(super) place: Place,
}

/// What a file is.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// A ChangeLog.
    ChangeLog,
    /// A fragment.
    Fragment(FragmentKind),
}

impl ChangelogFile {
    /// Reads a file.
    pub(super) fn read(file: &Path) -> Result<Self, CliError> {
        let bytes = std::fs::read(file).map_err(|e| {
            CliError::new(format!("{}: {e}", file.display())).hint("name a ChangeLog or fragment that can be read")
        })?;
        let (path, places) = match in_repository(file)? {
            Some((path, places)) => (path, places),
            None => (file.to_string_lossy().into_owned(), Vec::new()),
        };
        if let Some(place) = places.iter().find(|place| place.path == path) {
            return Ok(Self { bytes, role: Role::ChangeLog, place: place.clone() });
        }
        let taker = taker_of(&places, path.as_bytes());
        if let Some((place, PathKind::Fragment(kind))) = taker.map(|place| (place, place.classify(path.as_bytes()))) {
            return Ok(Self { bytes, role: Role::Fragment(kind), place: place.clone() });
        }
        let role = role_of_unknown(&path, &bytes);
        Ok(Self { bytes, role, place: Place::new(&path) })
    }

    /// The format that it has, or that its entries have.
    pub(super) fn format(&self) -> Result<Format, FormatError> {
        match (self.place.format, &self.role) {
            (_, Role::Fragment(_)) => Ok(Format::Gnu),
            (Some(format), _) => Ok(format),
            (None, Role::ChangeLog) => detect(self.place.path.as_bytes(), &self.bytes),
        }
    }
}

/// A file that no settings speak of. `NAME.ChangeLog` is a fragment wherever it stands, and so is what has the marks of no format.
fn role_of_unknown(path: &str, bytes: &[u8]) -> Role {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_named_so = name.strip_suffix(".ChangeLog").is_some_and(|stem| !stem.is_empty());
    match detect(path.as_bytes(), bytes) {
        Err(FormatError::None { .. }) => Role::Fragment(FragmentKind::Gnu),
        _ if is_named_so => Role::Fragment(FragmentKind::Gnu),
        Ok(_) | Err(FormatError::Two { .. }) => Role::ChangeLog,
    }
}

/// The file's path within its repository and that repository's ChangeLogs, if it stands in one.
fn in_repository(file: &Path) -> Result<Option<(String, Vec<Place>)>, CliError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(folder), Some(name)) = (folder.canonicalize(), file.file_name()) else { return Ok(None) };
    let tree = match WorkTree::open(&folder) {
        Ok(tree) => tree,
        Err(WorkTreeError::NoWorkTree { .. } | WorkTreeError::NoGit { .. }) => return Ok(None),
        Err(error) => return Err(worktree_error(error)),
    };
    let top = tree.top().canonicalize().unwrap_or_else(|_| tree.top().to_owned());
    let path: PathBuf = folder.join(name);
    let Some(path) = path.strip_prefix(&top).ok().and_then(Path::to_str) else { return Ok(None) };
    let places = tree.places().map_err(worktree_error)?;
    Ok(Some((path.to_owned(), places)))
}
