//! Locks that a process left when it was killed in the middle of writing a ref. Without care for them that ref could
//! never be written again.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// Refs are locked for milliseconds; only packing a great many takes a second or two. Whoever held one this long is dead.
const STALE: Duration = Duration::from_secs(60);

/// Removes stale locks of the refs below `folder`, and of the mirror's packed refs.
pub(super) fn remove_stale(mirror: &Path, folder: &Path) {
    for name in ["packed-refs.lock", "HEAD.lock"] {
        remove_if_stale(&mirror.join(name));
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "lock") {
                remove_if_stale(&path);
            }
        }
    }
}

fn remove_if_stale(lock: &Path) {
    let Ok(written) = std::fs::metadata(lock).and_then(|meta| meta.modified()) else { return };
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    if age > STALE && std::fs::remove_file(lock).is_ok() {
        tracing::warn!(path = %lock.display(), "removed the lock of a process that was killed");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn old_locks_go_and_new_ones_and_refs_stay() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::create_dir_all(at("refs/branches/ann")).unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        for (name, old) in [
            ("packed-refs.lock", true),
            ("refs/branches/ann/r1.lock", true),
            ("refs/branches/ann/r2.lock", false),
            ("refs/branches/ann/r1", true),
        ] {
            let file = std::fs::File::create(at(name)).unwrap();
            if old {
                file.set_modified(hour_ago).unwrap();
            }
        }
        remove_stale(temp.path(), &at("refs"));
        assert!(!at("packed-refs.lock").exists() && !at("refs/branches/ann/r1.lock").exists());
        assert!(at("refs/branches/ann/r2.lock").exists() && at("refs/branches/ann/r1").exists());
    }
}
