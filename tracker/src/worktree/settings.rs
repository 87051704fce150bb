//! Which ChangeLogs a work tree has: what its `.bb.toml` says of them. Everything else in that file is somebody else's business.

use super::WorkTreeError;
use changelog::Place;
use recipe::{FILE_NAME, Project};
use std::path::Path;

/// The ChangeLogs of the project in `folder`, at least one. If no recipe names them, there is one, wherever it is found.
///
/// # Errors
/// [`WorkTreeError::Recipe`] if `.bb.toml` has an error; [`WorkTreeError::File`] if it can't be read.
pub(super) fn places(folder: &Path) -> Result<Vec<Place>, WorkTreeError> {
    let path = folder.join(FILE_NAME);
    let project = match std::fs::read(&path) {
        Ok(text) => Project::parse(&text, FILE_NAME)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Project::default(),
        Err(error) => return Err(WorkTreeError::file(path)(error)),
    };
    Ok(project.places(|path| folder.join(path).symlink_metadata().is_ok()).into_owned())
}
