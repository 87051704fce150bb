//! Which ChangeLogs a work tree has: what its `.bb.toml` says of them, or its settings of towncrier. Everything else in that file is somebody else's business.

use super::WorkTreeError;
use changelog::Place;
use recipe::Project;
use std::cell::RefCell;
use std::io::ErrorKind;
use std::path::Path;

/// The ChangeLogs of the project in `folder`, at least one. If no recipe names them, there is one, wherever it is found.
///
/// # Errors
/// [`WorkTreeError::Recipe`] if `.bb.toml` has an error; [`WorkTreeError::File`] if it can't be read.
pub(super) fn places(folder: &Path) -> Result<Vec<Place>, WorkTreeError> {
    let failed = RefCell::new(None);
    let read = |name: &str| match std::fs::read(folder.join(name)) {
        Ok(text) => Some(text),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        Err(error) => {
            failed.borrow_mut().get_or_insert((folder.join(name), error));
            None
        }
    };
    let project = Project::read(read);
    // What can't be read may say anything.
    if let Some((path, error)) = failed.into_inner() {
        return Err(WorkTreeError::file(path)(error));
    }
    let project = project?;
    Ok(project.places(|path| folder.join(path).symlink_metadata().is_ok()).into_owned())
}
