//! What pages show of the mirror: few views are made at once, no branch and no publisher has all the places, and the last
//! are kept, for they never change.
//!
//! What a view costs is bounded where it is made ([`tracker::read::CostLimits`]); here is bounded who waits for whom. The last
//! place is for those who show a token, so that no crowd of strangers keeps a maintainer from reading.

use crate::door::{Door, Key, Place};
use crate::store::Branch;
use gate::places::Rank;
use protocol::api::{Diff, Size};
use protocol::{BranchId, CommitId};
use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracker::mirror::{Mirror, MirrorError};
use tracker::read::{Cost, DiffLimits, Raw, Seen, View};

/// Views made at once, of which the last is for those who show a token.
const AT_ONCE: usize = 4;
const KEPT_PLACES: usize = 1;
/// Of those, for one publisher's branches, and for one branch.
const OF_PUBLISHER: usize = 2;
const OF_BRANCH: usize = 1;
/// How long a page waits for a place; then it says that there was none.
const PATIENCE: Duration = Duration::from_secs(10);

/// The places of a master: all its projects share the processors.
pub(crate) fn room() -> Door {
    Door::new(AT_ONCE, KEPT_PLACES)
}

/// Bytes of all views that are kept, and how many there are at most.
const MAX_BYTES: usize = 48 << 20;
const MAX_VIEWS: usize = 500;
/// Sizes that are kept.
const MAX_SIZES: usize = 2000;

/// For whom a view is made, and of what.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    rank: Rank,
    branch: BranchId,
    publisher: String,
}

impl Asked {
    pub(crate) fn by(rank: Rank, branch: &Branch) -> Self {
        Self { rank, branch: branch.id, publisher: branch.publisher.clone() }
    }

    /// The same for somebody of this rank.
    pub(crate) fn with(&self, rank: Rank) -> Self {
        Self { rank, ..self.clone() }
    }

    fn shares(&self) -> [(Key, usize); 2] {
        [(Key::Branch(self.branch.0), OF_BRANCH), (Key::Publisher(self.publisher.clone()), OF_PUBLISHER)]
    }
}

/// Why there is no view.
#[derive(Debug)]
pub(crate) enum NoView {
    /// As many are made as may be at once.
    Full,
    /// The mirror can't be read.
    Mirror(MirrorError),
}

impl From<MirrorError> for NoView {
    fn from(error: MirrorError) -> Self {
        Self::Mirror(error)
    }
}

/// See the module. One for each project, because a commit is asked of one mirror.
#[derive(Debug, Default)]
pub(crate) struct Views {
    kept: Mutex<Kept>,
    /// How much candidates change mainline; the last counted is at the back.
    sizes: Mutex<VecDeque<((CommitId, CommitId), Size)>>,
}

/// The last used is at the back.
#[derive(Debug, Default)]
struct Kept {
    views: VecDeque<(View, Arc<Seen>, usize)>,
    bytes: usize,
}

impl Views {
    /// A view. Who asks for the same branch meanwhile waits, and is given the same.
    pub(crate) async fn get(
        &self,
        mirror: &Mirror,
        room: &Door,
        view: &View,
        asked: &Asked,
    ) -> Result<Arc<Seen>, NoView> {
        if let Some(seen) = self.known(view) {
            return Ok(seen);
        }
        let place = wait(room, asked).await?;
        if let Some(seen) = self.known(view) {
            return Ok(seen);
        }
        // The place is held by the work, which may go on when nobody waits any more, and here until the view is kept.
        let seen = Arc::new(mirror.view(view, DiffLimits::default(), place.clone()).await?);
        self.keep(view, &seen);
        Ok(seen)
    }

    fn known(&self, view: &View) -> Option<Arc<Seen>> {
        let mut kept = lock(&self.kept);
        let at = kept.views.iter().position(|(of, ..)| of == view)?;
        let found = kept.views.remove(at)?;
        let seen = found.1.clone();
        kept.views.push_back(found);
        Some(seen)
    }

    fn keep(&self, view: &View, seen: &Arc<Seen>) {
        if let Some(made) = &view.candidate {
            self.keep_size(&view.base, made, size_of_diff(&seen.diff));
        }
        let bytes = weight(seen);
        let mut kept = lock(&self.kept);
        kept.views.push_back((view.clone(), seen.clone(), bytes));
        kept.bytes += bytes;
        while kept.views.len() > MAX_VIEWS || (kept.bytes > MAX_BYTES && kept.views.len() > 1) {
            let Some((.., bytes)) = kept.views.pop_front() else { break };
            kept.bytes -= bytes;
        }
    }

    /// How much a candidate changes mainline, if that was counted before; its commits are not counted here.
    pub(crate) fn known_size(&self, mainline: &CommitId, made: &CommitId) -> Option<Size> {
        lock(&self.sizes).iter().find(|((m, c), _)| (m, c) == (mainline, made)).map(|(_, size)| *size)
    }

    /// The same, counted now if there is a place at once, and what that cost.
    pub(crate) async fn size(
        &self,
        mirror: &Mirror,
        room: &Door,
        (mainline, made): (&CommitId, &CommitId),
        asked: &Asked,
    ) -> Result<(Size, Cost), NoView> {
        let place = room.enter(asked.rank, &asked.shares()).map_err(|_| NoView::Full)?;
        let compared = mirror.compare(mainline, made, DiffLimits::default(), place).await?;
        let size = size_of_diff(&compared.diff);
        self.keep_size(mainline, made, size);
        Ok((size, compared.cost))
    }

    fn keep_size(&self, mainline: &CommitId, made: &CommitId, size: Size) {
        let mut sizes = lock(&self.sizes);
        sizes.push_back(((mainline.clone(), made.clone()), size));
        if sizes.len() > MAX_SIZES {
            sizes.pop_front();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn wait(room: &Door, asked: &Asked) -> Result<Arc<Place>, NoView> {
    let until = Instant::now() + PATIENCE;
    room.wait(asked.rank, &asked.shares(), until).await.map(Arc::new).map_err(|_| NoView::Full)
}

/// The bytes of a file as they are, if there are no more than `limit`: read at the places of views.
pub(crate) async fn raw(
    mirror: &Mirror,
    room: &Door,
    (commit, path): (&CommitId, &[u8]),
    limit: u64,
    asked: &Asked,
) -> Result<Raw, NoView> {
    let place = wait(room, asked).await?;
    Ok(mirror.raw(commit, path, limit, place).await?)
}

fn size_of_diff(diff: &Diff) -> Size {
    Size {
        commits: 0,
        files: diff.files.len() as u64 + diff.files_left_out,
        added: diff.added,
        removed: diff.removed,
        at_least: diff.files_left_out > 0 || diff.has_more || diff.files.iter().any(|file| file.not_compared),
    }
}

/// Bytes that a view has in memory, nearly.
fn weight(seen: &Seen) -> usize {
    let texts = |texts: &[&String]| texts.iter().map(|text| text.len()).sum::<usize>();
    let files = seen.diff.files.iter().chain(&seen.recipe).map(|file| {
        let lines = file.lines.iter().map(|line| size_of_val(line) + line.text.len()).sum::<usize>();
        let addresses = file.old_at.iter().chain(&file.new_at).map(String::len).sum::<usize>();
        size_of_val(file) + lines + file.path.len() + addresses + file.notes.iter().map(String::len).sum::<usize>()
    });
    let commits = seen
        .commits
        .iter()
        .map(|commit| size_of_val(commit) + texts(&[&commit.subject, &commit.body, &commit.author, &commit.email]));
    let message = seen.message.as_ref().map_or(0, String::len);
    size_of::<(View, Seen)>() + message + files.sum::<usize>() + commits.sum::<usize>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use protocol::api::{DiffFile, DiffKind, DiffLine};
    use testkit::git::Repo;
    use tracker::git::Git;

    fn commit(n: usize) -> CommitId {
        format!("{n:040x}").parse().unwrap()
    }

    fn view(base: CommitId, revision: CommitId) -> View {
        View { base, revision, commits: 1, candidate: None, request: None, recipe: None }
    }

    fn of(n: usize) -> View {
        view(commit(n), commit(n))
    }

    fn asked(rank: Rank, branch: i64, publisher: &str) -> Asked {
        Asked { rank, branch: BranchId(branch), publisher: publisher.to_owned() }
    }

    fn large(bytes: usize) -> Arc<Seen> {
        let line = DiffLine { kind: DiffKind::Add, old: None, new: None, text: "x".repeat(bytes) };
        let file = DiffFile { lines: vec![line], ..DiffFile::default() };
        Arc::new(Seen { diff: Diff { files: vec![file], ..Diff::default() }, ..Seen::default() })
    }

    #[test]
    fn the_last_used_are_kept_by_what_they_weigh() {
        let views = Views::default();
        for n in 0..20 {
            views.keep(&of(n), &large(1 << 10));
        }
        assert!((0..20).all(|n| views.known(&of(n)).is_some()), "many small ones");
        views.keep(&of(100), &large(30 << 20));
        assert!(views.known(&of(0)).is_some());
        views.keep(&of(101), &large(30 << 20));
        assert!(views.known(&of(1)).is_none() && views.known(&of(100)).is_none());
        assert!(views.known(&of(0)).is_some() && views.known(&of(101)).is_some(), "the last used");
        assert!(lock(&views.kept).bytes <= MAX_BYTES);
        // One alone is kept however large it is; it is bounded where it is made.
        views.keep(&of(102), &large(60 << 20));
        assert!(views.known(&of(102)).is_some() && views.known(&of(101)).is_none());
        for n in 0..2 * MAX_VIEWS {
            views.keep(&of(1000 + n), &large(1));
        }
        assert_eq!(lock(&views.kept).views.len(), MAX_VIEWS);
    }

    #[test]
    fn nobody_has_all_places_and_the_last_is_for_those_who_show_a_token() {
        let room = room();
        let enter = |rank, branch, publisher| room.enter(rank, &asked(rank, branch, publisher).shares());
        let first = enter(Rank::Ordinary, 1, "eve").unwrap();
        assert!(enter(Rank::Preferred, 1, "eve").is_err(), "a branch has one");
        let second = enter(Rank::Ordinary, 2, "eve").unwrap();
        assert!(enter(Rank::Preferred, 3, "eve").is_err(), "a publisher has two");
        let third = enter(Rank::Ordinary, 4, "ann").unwrap();
        assert!(enter(Rank::Ordinary, 5, "ben").is_err());
        let fourth = enter(Rank::Preferred, 5, "ben").unwrap();
        assert!(enter(Rank::Preferred, 6, "mia").is_err(), "there are four");
        drop((first, second, third, fourth));
        assert_eq!(room.inside(), (0, 0));
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
        let (views, room) = (Views::default(), room());
        let (seen, by) = (view(old.clone(), new.clone()), asked(Rank::Ordinary, 1, "ann"));
        // While somebody is at the branch's place, nothing is made.
        let place = room.enter(Rank::Ordinary, &by.shares()).unwrap();
        let mut asks: Vec<_> = (0..8).map(|_| Box::pin(views.get(&mirror, &room, &seen, &by))).collect();
        for ask in &mut asks {
            assert!(futures_util::poll!(ask.as_mut()).is_pending());
        }
        drop(place);
        let answers = futures_util::future::try_join_all(asks).await.unwrap();
        assert_eq!((answers[0].diff.files.len(), answers[0].commits.len()), (1, 1));
        assert!(answers.iter().all(|it| Arc::ptr_eq(it, &answers[0])));
        let missing = view(old.clone(), commit(9));
        for _ in 0..2 {
            let failed = views.get(&mirror, &room, &missing, &by).await;
            assert!(matches!(failed, Err(NoView::Mirror(_))), "what failed is tried again");
        }
        // A size is counted when there is a place at once, and known from then on.
        let (size, cost) = views.size(&mirror, &room, (&old, &new), &by).await.unwrap();
        assert_eq!((size.files, size.added, size.removed, cost.blobs), (1, 1, 1, 2));
        assert_eq!(views.known_size(&old, &new), Some(size));
        let _place = room.enter(Rank::Ordinary, &by.shares()).unwrap();
        assert!(matches!(views.size(&mirror, &room, (&old, &new), &by).await, Err(NoView::Full)));
    }
}
