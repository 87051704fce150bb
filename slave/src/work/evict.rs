//! Making room: work folders that no slot has any more, and mirrors that no build reads from, go when disk is short. Nothing that the
//! master does not have yet is ever among them.

use super::remove_all;
use protocol::ProjectName;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What could go.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Kept {
    path: PathBuf,
    /// The project whose mirror it is.
    project: Option<ProjectName>,
    bytes: u64,
    /// How long nothing was written there.
    age: Duration,
}

/// Which projects' mirrors are read from by builds that run; and what goes when disk is short.
#[derive(Debug)]
pub(crate) struct Room {
    mirrors: PathBuf,
    work: PathBuf,
    slots: u32,
    using: Mutex<BTreeMap<ProjectName, usize>>,
}

/// A project's mirror stays while this is there.
#[derive(Debug)]
pub(crate) struct InUse {
    room: Arc<Room>,
    project: ProjectName,
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut using = self.room.using.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = using.get_mut(&self.project) {
            *count -= 1;
            if *count == 0 {
                using.remove(&self.project);
            }
        }
    }
}

impl Room {
    /// That of a slave with this basedir, this work folder and so many slots.
    pub(crate) fn new(basedir: &Path, work: &Path, slots: u32) -> Self {
        Self { mirrors: basedir.join("mirrors"), work: work.to_owned(), slots, using: Mutex::default() }
    }

    /// A build of this project begins.
    pub(crate) fn uses(self: &Arc<Self>, project: &ProjectName) -> InUse {
        *self.using.lock().unwrap_or_else(PoisonError::into_inner).entry(project.clone()).or_default() += 1;
        InUse { room: Arc::clone(self), project: project.clone() }
    }

    /// Removes what nobody uses, the largest and oldest first, until there is enough. Gives how many bytes went.
    pub(crate) fn make(&self, enough: impl Fn() -> bool) -> u64 {
        let mut gone = 0;
        for kept in in_order(self.kept()) {
            if enough() {
                break;
            }
            match self.remove(&kept) {
                Ok(true) => {
                    tracing::info!(bytes = kept.bytes, "removed to make room: {}", kept.path.display());
                    gone += kept.bytes;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!("{} can't be removed: {error}", kept.path.display()),
            }
        }
        gone
    }

    fn remove(&self, kept: &Kept) -> std::io::Result<bool> {
        let Some(project) = &kept.project else {
            return remove_all(&kept.path).map(|()| true);
        };
        // Moved away while no build can begin to use it, and removed afterwards, which may take long.
        let away = self.mirrors.join(format!(".gone-{project}"));
        remove_all(&away)?;
        {
            let using = self.using.lock().unwrap_or_else(PoisonError::into_inner);
            if using.contains_key(project) {
                return Ok(false);
            }
            fs::rename(&kept.path, &away)?;
        }
        remove_all(&away).map(|()| true)
    }

    fn kept(&self) -> Vec<Kept> {
        let mut all = Vec::new();
        let using: Vec<ProjectName> =
            self.using.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        for entry in fs::read_dir(&self.mirrors).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let project = name.strip_suffix(".git").and_then(|name| name.parse::<ProjectName>().ok());
            // What was on its way out when the slave ended goes first of all.
            let used = project.as_ref().is_some_and(|project| using.contains(project));
            if (project.is_some() && !used) || name.starts_with(".gone-") {
                all.push(kept(entry.path(), project));
            }
        }
        for entry in fs::read_dir(&self.work).into_iter().flatten().flatten() {
            // Only what a slave with more slots left: whatever else is there is not bb's.
            let slot = entry.file_name().to_string_lossy().parse::<u32>().ok();
            if slot.is_some_and(|n| n >= self.slots && n < 64) {
                all.push(kept(entry.path(), None));
            }
        }
        all
    }
}

fn kept(path: PathBuf, project: Option<ProjectName>) -> Kept {
    let inside = fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path());
    let times =
        std::iter::once(path.clone()).chain(inside).filter_map(|it| it.symlink_metadata().ok()?.modified().ok());
    let age = times.max().and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default();
    Kept { bytes: size(&path), path, project, age }
}

/// Bytes that a folder takes on disk. What can't be read takes none.
fn size(path: &Path) -> u64 {
    let (mut bytes, mut folders) = (0u64, vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(data) = entry.metadata() else { continue };
            bytes = bytes.saturating_add(data.blocks().saturating_mul(512));
            if data.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    bytes
}

/// The largest and oldest first: by what they take, for as long as nobody wrote there.
fn in_order(mut all: Vec<Kept>) -> Vec<Kept> {
    let weight = |it: &Kept| u128::from(it.bytes) * u128::from(it.age.as_secs() + 60);
    all.sort_by(|a, b| weight(b).cmp(&weight(a)).then_with(|| a.path.cmp(&b.path)));
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_largest_and_oldest_go_first() {
        let kept = |name: &str, bytes, days: u64| Kept {
            path: name.into(),
            project: None,
            bytes,
            age: Duration::from_secs(days * 24 * 60 * 60),
        };
        let all = vec![
            kept("small old", 1 << 20, 30),
            kept("large new", 1 << 30, 1),
            kept("large old", 1 << 30, 30),
            kept("new", 1, 0),
        ];
        let names: Vec<_> = in_order(all).into_iter().map(|it| it.path.display().to_string()).collect();
        assert_eq!(names, ["large old", "large new", "small old", "new"]);
    }

    #[test]
    fn what_is_used_and_what_is_not_bb_s_stays() {
        let basedir = tempfile::tempdir().unwrap();
        let work = basedir.path().join("work");
        for (path, bytes) in [
            ("mirrors/used.git/objects/pack", 1 << 20),
            ("mirrors/idle.git/objects/pack", 1 << 16),
            ("mirrors/notes/file", 1 << 20),
            ("work/0/build/file", 1 << 20),
            ("work/7/build/file", 1 << 18),
            ("work/mine/file", 1 << 20),
            ("builds/1-1/log-1", 1 << 20),
        ] {
            let path = basedir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b'x'; bytes]).unwrap();
        }
        let room = Arc::new(Room::new(basedir.path(), &work, 2));
        let project = "used".parse().unwrap();
        let in_use = room.uses(&project);
        let there = |path: &str| basedir.path().join(path).exists();
        // One is enough.
        let gone = room.make(|| !there("work/7"));
        assert!(gone >= 1 << 18 && there("mirrors/idle.git") && !there("work/7"));
        room.make(|| false);
        assert!(!there("mirrors/idle.git") && !there("mirrors/.gone-idle"));
        for path in ["mirrors/used.git", "mirrors/notes", "work/0/build/file", "work/mine/file", "builds/1-1/log-1"] {
            assert!(there(path), "{path}");
        }
        drop(in_use);
        room.make(|| false);
        assert!(!there("mirrors/used.git"));
    }
}
