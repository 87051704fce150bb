//! How much branches change, for listings: counted once for each candidate, a few at a time, and kept.

use protocol::CommitId;
use protocol::api::Size;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tracker::mirror::{Mirror, MirrorError};
use tracker::read::DiffLimits;

/// Sizes kept.
const KEPT: usize = 2000;

/// What is counted of a change: without its lines' text, up to the same lengths as on its page.
const LIMITS: fn() -> DiffLimits = DiffLimits::default;

type Key = (CommitId, CommitId);

/// See the module. One for each project.
#[derive(Debug)]
pub(crate) struct Sizes {
    room: Semaphore,
    /// The last counted is at the back.
    kept: Mutex<VecDeque<(Key, Size)>>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { room: Semaphore::new(1), kept: Mutex::default() }
    }
}

impl Sizes {
    fn kept(&self) -> MutexGuard<'_, VecDeque<(Key, Size)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, key: &Key) -> Option<Size> {
        self.kept().iter().find(|(k, _)| k == key).map(|(_, size)| *size)
    }

    /// How much `candidate` changes `mainline`; its commits are told.
    pub(crate) async fn get(
        &self,
        mirror: &Mirror,
        mainline: &CommitId,
        candidate: &CommitId,
        commits: u32,
    ) -> Result<Size, MirrorError> {
        let key = (mainline.clone(), candidate.clone());
        if let Some(size) = self.known(&key) {
            return Ok(size);
        }
        let _place = self.room.acquire().await;
        if let Some(size) = self.known(&key) {
            return Ok(size);
        }
        let diff = mirror.diff(mainline, candidate, LIMITS()).await?;
        let size = Size {
            commits,
            files: diff.files.len() as u64 + diff.files_left_out,
            added: diff.added,
            removed: diff.removed,
            at_least: diff.files_left_out > 0,
        };
        let mut kept = self.kept();
        kept.push_back((key, size));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(size)
    }
}
