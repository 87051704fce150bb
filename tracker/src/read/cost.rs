//! What reading costs, and how much of it one page may have.
//!
//! A stranger decides how much there is to be read; whoever reads it for a page counts what it takes from the mirror, and
//! stops where the budget ends. What is counted is the same on every machine; the processor's time is the last resort, for
//! what is slow to read or to compare though it is small.

use crate::blocking::Wanted;
use crate::mirror::{Kept, MirrorError};
use git2::{Blob, Oid, Repository, Tree};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// How much reading may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CostLimits {
    /// Trees read.
    pub trees: u64,
    /// Bytes of all of them.
    pub tree_bytes: u64,
    /// Entries of trees looked at.
    pub entries: u64,
    /// Files read.
    pub blobs: u64,
    /// Bytes of all of them.
    pub blob_bytes: u64,
    /// Time of one processor: half of it for trees, and what is left for files.
    pub processor: Duration,
}

impl Default for CostLimits {
    fn default() -> Self {
        Self {
            trees: 50_000,
            tree_bytes: 64 << 20,
            entries: 1_000_000,
            blobs: 2000,
            blob_bytes: 64 << 20,
            processor: Duration::from_secs(2),
        }
    }
}

/// What reading has cost.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// Trees read.
    pub trees: u64,
    /// Bytes of all of them.
    pub tree_bytes: u64,
    /// Entries of trees looked at.
    pub entries: u64,
    /// Files read.
    pub blobs: u64,
    /// Bytes of all of them.
    pub blob_bytes: u64,
}

/// Counts what is read, and reads nothing beyond the budget.
pub(super) struct Meter<'r> {
    repository: &'r Repository,
    limits: CostLimits,
    cost: Cost,
    /// This thread's time when it began, and when what it may have now is spent.
    begun: Duration,
    until: Duration,
    wanted: Wanted,
    is_spent: bool,
}

/// Entries after which the clock is looked at.
const CLOCK: u64 = 512;

impl<'r> Meter<'r> {
    pub(super) fn new(repository: &'r Repository, limits: CostLimits, wanted: Wanted) -> Self {
        let begun = processor();
        let until = begun.saturating_add(limits.processor / 2);
        Self { repository, limits, cost: Cost::default(), begun, until, wanted, is_spent: false }
    }

    /// From here on files are read: what trees have spent is not theirs.
    pub(super) fn begin_files(&mut self) {
        self.until = self.begun.saturating_add(self.limits.processor);
        self.is_spent = false;
    }

    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    pub(super) fn repository(&self) -> &'r Repository {
        self.repository
    }

    /// Whether there is time for more, and somebody who waits for it.
    pub(super) fn may_go_on(&mut self) -> bool {
        self.is_spent |= !self.wanted.is_wanted() || processor() >= self.until;
        !self.is_spent
    }

    /// Counts an entry of a tree; false where no more may be looked at.
    pub(super) fn entry(&mut self) -> bool {
        self.cost.entries += 1;
        self.is_spent |= self.cost.entries > self.limits.entries;
        !self.is_spent && (!self.cost.entries.is_multiple_of(CLOCK) || self.may_go_on())
    }

    /// A tree; none where the budget has ended.
    pub(super) fn tree(&mut self, id: Oid) -> Result<Option<Tree<'r>>, git2::Error> {
        let bytes = self.cost.tree_bytes.saturating_add(size(self.repository, id)?);
        self.is_spent |= self.cost.trees >= self.limits.trees || bytes > self.limits.tree_bytes;
        if !self.may_go_on() {
            return Ok(None);
        }
        (self.cost.trees, self.cost.tree_bytes) = (self.cost.trees + 1, bytes);
        self.repository.find_tree(id).map(Some)
    }

    /// A file's content, or a link's target; none where the budget has ended.
    pub(super) fn blob(&mut self, kept: Kept) -> Result<Option<Blob<'r>>, MirrorError> {
        let failed = |source| MirrorError::of_objects(format!("reading the object {}", kept.id), source);
        let bytes = self.cost.blob_bytes.saturating_add(kept.size(self.repository)?);
        self.is_spent |= self.cost.blobs >= self.limits.blobs || bytes > self.limits.blob_bytes;
        if !self.may_go_on() {
            return Ok(None);
        }
        (self.cost.blobs, self.cost.blob_bytes) = (self.cost.blobs + 1, bytes);
        self.repository.find_blob(kept.id).map(Some).map_err(failed)
    }
}

fn size(repository: &Repository, id: Oid) -> Result<u64, git2::Error> {
    Ok(repository.odb()?.read_header(id)?.0 as u64)
}

/// The processor's time that this thread has had.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0));
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::blocking::Waiting;

    #[test]
    fn what_nobody_waits_for_any_more_goes_on_no_further() {
        let folder = testkit::folder();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let tree = repository.treebuilder(None).unwrap().write().unwrap();
        let waiting = Waiting::new();
        let mut meter = Meter::new(&repository, CostLimits::default(), waiting.wanted());
        assert!(meter.may_go_on() && meter.tree(tree).unwrap().is_some());
        drop(waiting);
        assert!(!meter.may_go_on() && meter.tree(tree).unwrap().is_none());
        meter.begin_files();
        assert!(!meter.may_go_on());
        assert_eq!(meter.cost().trees, 1);
    }

    #[test]
    fn trees_have_half_of_the_time_and_files_what_is_left() {
        let folder = testkit::folder();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let waiting = Waiting::new();
        let none = CostLimits { processor: Duration::ZERO, ..CostLimits::default() };
        let mut meter = Meter::new(&repository, none, waiting.wanted());
        assert!(!meter.may_go_on());
        let mut meter = Meter::new(&repository, CostLimits::default(), waiting.wanted());
        (meter.until, meter.is_spent) = (Duration::ZERO, false);
        assert!(!meter.may_go_on());
        meter.begin_files();
        assert!(meter.may_go_on());
    }
}
