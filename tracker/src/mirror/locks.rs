//! What a process left among the objects when it was killed in the middle of writing: locks of indexes, without care for which these
//! could never be written again, and pieces of packs, which would fill the disk. Those of refs are `git::RefWriters`'.

use crate::git::remove_if_older;
use std::path::Path;
use std::time::Duration;

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::SystemTime;

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
