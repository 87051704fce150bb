//! What a process left when it was killed in the middle of writing: locks, without care for which a ref or an index could
//! never be written again, and pieces of packs, which would fill the disk.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// Refs are locked for milliseconds; only packing a great many takes a second or two. Whoever held one this long is dead.
const STALE: Duration = Duration::from_secs(60);

/// Indexes of packs and commits are written by upkeep alone, and in seconds; by a large one in minutes.
const STALE_INDEX: Duration = Duration::from_secs(15 * 60);

/// A pack that grows for longer than any run may take belongs to nobody any more.
const STALE_PACK: Duration = Duration::from_secs(2 * 60 * 60);

/// Removes what killed processes left among the objects: stale locks of indexes, and pieces of packs and objects.
pub(super) fn remove_stale_objects(mirror: &Path) {
    let objects = mirror.join("objects");
    let is_lock = |name: &str| name.ends_with(".lock");
    for folder in ["pack", "info", "info/commit-graphs"] {
        remove_in(&objects.join(folder), STALE_INDEX, &is_lock);
    }
    remove_in(mirror, STALE_INDEX, &|name| ["config.lock", "shallow.lock", "gc.pid"].contains(&name));
    // `tmp_pack_…`, `tmp_idx_…`, `tmp_rev_…` and `.tmp-…-pack-…` of git, `pack_git2_…` of libgit2.
    let is_piece = |name: &str| ["tmp_", ".tmp-", "pack_git2_"].iter().any(|start| name.starts_with(start));
    remove_in(&objects.join("pack"), STALE_PACK, &is_piece);
    // A received pack in quarantine is a folder.
    remove_in(&objects, STALE_PACK, &|name| name.starts_with("tmp_objdir-") || name.starts_with("incoming-"));
    for entry in std::fs::read_dir(&objects).into_iter().flatten().flatten() {
        if entry.file_name().len() == 2 {
            remove_in(&entry.path(), STALE_PACK, &|name| name.starts_with("tmp_obj"));
        }
    }
}

fn remove_in(folder: &Path, older_than: Duration, is_one: &dyn Fn(&str) -> bool) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_one(&entry.file_name().to_string_lossy()) {
            remove_if_older(&entry.path(), older_than);
        }
    }
}

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
    remove_if_older(lock, STALE);
}

fn remove_if_older(path: &Path, than: Duration) {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return };
    let Ok(written) = meta.modified() else { return };
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    let removed =
        age > than && if meta.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.is_ok();
    if removed {
        tracing::warn!(path = %path.display(), "removed what a process left that was killed");
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

    #[test]
    fn pieces_of_packs_go_when_nobody_can_be_writing_them_and_whole_ones_stay() {
        let temp = tempfile::tempdir().unwrap();
        let day_ago = SystemTime::now() - Duration::from_secs(24 * 3600);
        let goes = [
            "objects/pack/tmp_pack_x1",
            "objects/pack/.tmp-77-pack-aa.idx",
            "objects/pack/pack_git2_x1",
            "objects/pack/multi-pack-index.lock",
            "objects/info/commit-graphs/commit-graph-chain.lock",
            "objects/tmp_objdir-incoming-x1/pack/tmp_pack_y",
            "objects/ab/tmp_obj_x1",
        ];
        let stays =
            ["objects/pack/pack-aa.pack", "objects/pack/pack-aa.idx", "objects/ab/cd", "objects/pack/tmp_pack_new"];
        for name in goes.iter().chain(&stays) {
            let path = temp.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = std::fs::File::create(&path).unwrap();
            if !name.ends_with("_new") {
                file.set_modified(day_ago).unwrap();
            }
        }
        let quarantine = std::fs::File::open(temp.path().join("objects/tmp_objdir-incoming-x1")).unwrap();
        quarantine.set_modified(day_ago).unwrap();
        remove_stale_objects(temp.path());
        for name in goes {
            assert!(!temp.path().join(name).exists(), "{name}");
        }
        for name in stays {
            assert!(temp.path().join(name).exists(), "{name}");
        }
    }
}
