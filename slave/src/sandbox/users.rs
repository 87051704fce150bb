//! The users that builds run under when the slave runs as root.

use crate::config::SlotCount;
use crate::user::{BadBuildUser, BuildUser};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the numbers are taken from, first choice first. The second range is unused by systemd and fits into the
/// 65,536 users of a container.
const RANGES: [(u32, u32); 2] = [(2_000_000_000, 2_147_000_000), (60_800, 61_184)];

/// No users for builds can be had.
#[derive(Debug, thiserror::Error)]
pub enum NoUsers {
    /// The machine or container maps too few users.
    #[error(
        "no user is free for builds in this container, which knows only these: {mapped}; run the slave as a plain user, or map more users"
    )]
    Unmapped {
        /// The ranges that there are.
        mapped: String,
    },
    /// Every number tried is another slave's.
    #[error(
        "all users for builds are taken by other slaves of this machine (files in {0}); give `build_user` in slave.toml"
    )]
    Taken(PathBuf),
    /// The configured number is in use by another slave.
    #[error("`build_user = {id}` in slave.toml: user {taken} is in use by another slave of this machine")]
    ConfiguredTaken {
        /// The first, as configured.
        id: u32,
        /// The one in use.
        taken: u32,
    },
    /// A number in the range is no build's user.
    #[error(transparent)]
    Bad(#[from] BadBuildUser),
    /// The files that say which are taken can't be used.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The users of a slave's slots, held for as long as this lives: no other slave on this machine has them.
#[derive(Debug)]
pub(crate) struct Users {
    /// One for each slot.
    pub(crate) each: Vec<BuildUser>,
    held: Vec<Held>,
}

/// The file that says that a user is taken, for as long as it is locked.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    _file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Still locked: who waits for it finds that the file is another's, and looks again.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Held {
    /// Takes it, unless another slave has it.
    fn take(path: PathBuf) -> io::Result<Option<Self>> {
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            let (ours, there) = (file.metadata()?, std::fs::metadata(&path));
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                return Ok(Some(Self { path, _file: file }));
            }
        }
    }
}

impl Users {
    /// Takes one for each slot; always the same ones for the same `seed`, if they are free.
    pub(crate) fn take(folder: &Path, slots: SlotCount, configured: Option<u32>, seed: u64) -> Result<Self, NoUsers> {
        std::fs::create_dir_all(folder).map_err(|error| NoUsers::Io { path: folder.to_owned(), error })?;
        let count = slots.get();
        if let Some(first) = configured {
            return match hold(folder, first, count)? {
                Ok(users) => Ok(users),
                Err(taken) => Err(NoUsers::ConfiguredTaken { id: first, taken }),
            };
        }
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let Some((low, high)) = RANGES.into_iter().find(|&(low, high)| mapped(&map, low, high)) else {
            return Err(NoUsers::Unmapped { mapped: map.split_whitespace().collect::<Vec<_>>().join(" ") });
        };
        let groups = u64::from((high - low) / count).max(1);
        for attempt in 0..groups.min(64) {
            let group = u32::try_from((seed.wrapping_add(attempt)) % groups).unwrap_or(0);
            if let Ok(users) = hold(folder, low + group * count, count)? {
                return Ok(users);
            }
        }
        Err(NoUsers::Taken(folder.to_owned()))
    }
}

/// Holds `count` users from `first` on, or says which of them is taken.
fn hold(folder: &Path, first: u32, count: u32) -> Result<Result<Users, u32>, NoUsers> {
    let mut users = Users { each: Vec::new(), held: Vec::new() };
    for id in (0..count).map(|n| first.saturating_add(n)) {
        users.each.push(BuildUser::try_from(id)?);
        let path = folder.join(id.to_string());
        match Held::take(path.clone()).map_err(|error| NoUsers::Io { path, error })? {
            Some(held) => users.held.push(held),
            None => return Ok(Err(id)),
        }
    }
    Ok(Ok(users))
}

/// Whether a user map (as in `/proc/self/uid_map`) knows all of `low..high`.
fn mapped(map: &str, low: u32, high: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|n| n.parse::<u64>().ok());
        let (Some(inside), Some(_), Some(length)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return false;
        };
        inside <= u64::from(low) && u64::from(high) <= inside + length
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn small_containers_get_the_small_range() {
        let whole = "         0          0 4294967295\n";
        let small = "0 100000 65536\n";
        assert!(mapped(whole, RANGES[0].0, RANGES[0].1));
        assert!(!mapped(small, RANGES[0].0, RANGES[0].1));
        assert!(mapped(small, RANGES[1].0, RANGES[1].1));
        assert!(!mapped("0 1000 1\n", RANGES[1].0, RANGES[1].1));
    }

    #[test]
    fn two_slaves_never_share_a_user() {
        let folder = tempfile::tempdir().unwrap();
        let slots = SlotCount::try_from(2).unwrap();
        let one = Users::take(folder.path(), slots, Some(2_000_000_000), 7).unwrap();
        let taken = Users::take(folder.path(), slots, Some(2_000_000_001), 7).unwrap_err();
        assert!(matches!(taken, NoUsers::ConfiguredTaken { taken: 2_000_000_001, .. }), "{taken}");
        drop(one);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of it");
        assert!(Users::take(folder.path(), slots, Some(2_000_000_001), 7).is_ok());
    }
}
