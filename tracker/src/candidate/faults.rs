//! What keeps a ChangeLog from being folded, whoever's it is: its path, its kind, its size.

use super::refusal;
use crate::text::shown;
use changelog::Place;
use protocol::api::Refusal;

/// The largest ChangeLog, in bytes.
pub(super) const MAX_CHANGELOG: u64 = 128 << 20;

/// Said of a ChangeLog; `whose` is empty, or `mainline's `.
pub(super) fn not_a_file(path: &str, whose: &str) -> Refusal {
    let hint = "make it a file, or name another in `changelog` of .bb.toml";
    refusal("changelog-not-a-file", format!("{whose}{path} is not a plain file"), hint)
}

/// The same.
pub(super) fn too_large(path: &str, whose: &str, allowed: u64) -> Refusal {
    let text = format!("{whose}{path} has more than {allowed} bytes");
    refusal("changelog-too-large", text, "move old entries to another file")
}

/// Whether git would take this for the path of a file: nothing absolute, nothing that leads out, nothing of its own.
fn is_path_in_tree(path: &str) -> bool {
    !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"))
}

/// A path of the settings that no file of a repository can have.
pub(super) fn path_fault(place: &Place) -> Option<Refusal> {
    let path = place.paths().find(|path| !is_path_in_tree(path))?;
    let text = format!("the recipe names `{}`, which can't be a path of the repository", shown(path.as_bytes()));
    Some(refusal("changelog-path", text, "name files and folders as `git ls-files` does, in `changelog` of .bb.toml"))
}
