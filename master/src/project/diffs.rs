//! Diffs for pages: few are computed at once, and the last are kept, for they never change.

use protocol::CommitId;
use protocol::api::Diff;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, Semaphore};
use tracker::mirror::{Mirror, MirrorError};
use tracker::read::DiffLimits;

/// Diffs computed at once: each keeps one processor busy.
const AT_ONCE: usize = 2;
/// Diffs kept; with the usual limits, each has some megabytes at most.
const KEPT: usize = 16;

type Key = (CommitId, CommitId);
type Cell = Arc<OnceCell<Arc<Diff>>>;

/// See the module. One for each project, because a commit is asked of one mirror.
#[derive(Debug)]
pub(crate) struct Diffs {
    room: Semaphore,
    /// The last used is at the back.
    kept: Mutex<VecDeque<(Key, Cell)>>,
}

impl Default for Diffs {
    fn default() -> Self {
        Self { room: Semaphore::new(AT_ONCE), kept: Mutex::default() }
    }
}

impl Diffs {
    /// What changes from `old` to `new`, by the usual limits. Whoever asks for the same meanwhile waits for the one answer.
    pub(crate) async fn get(&self, mirror: &Mirror, old: &CommitId, new: &CommitId) -> Result<Arc<Diff>, MirrorError> {
        let cell = self.cell((old.clone(), new.clone()));
        let diff = cell.get_or_try_init(|| async {
            let _place = self.room.acquire().await;
            mirror.diff(old, new, DiffLimits::default()).await.map(Arc::new)
        });
        diff.await.cloned()
    }

    fn cell(&self, key: Key) -> Cell {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = match kept.iter().position(|(k, _)| *k == key).and_then(|at| kept.remove(at)) {
            Some((_, cell)) => cell,
            None => Cell::default(),
        };
        kept.push_back((key, cell.clone()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        cell
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use testkit::git::Repo;
    use tracker::git::Git;

    fn commit(n: usize) -> CommitId {
        format!("{n:040x}").parse().unwrap()
    }

    #[test]
    fn the_last_used_are_kept() {
        let diffs = Diffs::default();
        let first = diffs.cell((commit(0), commit(1)));
        for n in 1..KEPT {
            diffs.cell((commit(n), commit(0)));
        }
        assert!(Arc::ptr_eq(&first, &diffs.cell((commit(0), commit(1)))), "it was there");
        diffs.cell((commit(KEPT), commit(0)));
        assert!(Arc::ptr_eq(&first, &diffs.cell((commit(0), commit(1)))), "another one went, longer not used");
        for n in 0..2 * KEPT {
            diffs.cell((commit(n), commit(7777)));
        }
        assert!(!Arc::ptr_eq(&first, &diffs.cell((commit(0), commit(1)))));
        assert_eq!(diffs.kept.lock().unwrap().len(), KEPT);
    }

    #[tokio::test]
    async fn those_who_ask_for_the_same_at_once_get_one_answer() {
        let folder = testkit::folder();
        let bare = Repo::init_bare(folder.path().join("mirror.git"));
        let work = Repo::init(folder.path().join("work"));
        let old: CommitId = work.commit(&[("a", "1\n")], "One").parse().unwrap();
        let new: CommitId = work.commit(&[("a", "2\n")], "Two").parse().unwrap();
        work.git(&["push", "--quiet", bare.url(), "main"]);
        let mirror = Mirror::open_or_create(Git::find(None).unwrap(), bare.path()).await.unwrap();
        let diffs = Diffs::default();
        // With all places taken, nothing is computed.
        let places = diffs.room.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
        let mut asked: Vec<_> = (0..8).map(|_| Box::pin(diffs.get(&mirror, &old, &new))).collect();
        for ask in &mut asked {
            assert!(futures_util::poll!(ask.as_mut()).is_pending());
        }
        drop(places);
        let answers = futures_util::future::try_join_all(asked).await.unwrap();
        assert_eq!(answers[0].files.len(), 1);
        assert!(answers.iter().all(|it| Arc::ptr_eq(it, &answers[0])));
        assert!(diffs.get(&mirror, &old, &commit(9)).await.is_err());
        assert!(diffs.get(&mirror, &old, &commit(9)).await.is_err(), "what failed is tried again");
    }
}
