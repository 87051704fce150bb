//! What changed: each write that is committed says which rows of which project others may wait for, and whoever listens is
//! woken by what he listens for alone.
//!
//! A wake is a hint: it is said after the write is durable and never kept. Whoever must not miss anything looks by himself
//! now and then.

use protocol::ProjectId;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What kind of row changed; of which one says the number beside it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
#[repr(u16)]
pub enum Topic {
    /// A branch, by its number: published, described, ended, another look due, trouble with its source.
    Branch = 1,
    /// What a branch's candidate is made of, by the branch's number: its head, a revision's admission or loss.
    Revision = 1 << 1,
    /// A candidate was made, by its branch's number.
    Candidate = 1 << 2,
    /// A build, by its number: asked for, moved, given out, cancelled, ended; or why builds wait.
    Build = 1 << 3,
    /// How far a running build is, by its number.
    Step = 1 << 4,
    /// The queue, by the branch's number: places, landings, the pause.
    Queue = 1 << 5,
    /// Where mainline is, its recipe, what is wrong with it.
    Mainline = 1 << 6,
    /// A slave, by its number: its connection and availability.
    Slave = 1 << 7,
    /// A token, by its number: what was allowed by it is asked again.
    Token = 1 << 8,
    /// An event was recorded.
    Event = 1 << 9,
    /// How an entry in the queue stands, by the branch's number; the queue's own word, which it need not be told.
    Standing = 1 << 10,
    /// What is kept of a branch for lists, by its number: said beside the change of a build. Nobody waits for it.
    Kept = 1 << 11,
}

/// A set of topics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Topics(u16);

impl Topics {
    /// These.
    pub const fn of<const N: usize>(topics: [Topic; N]) -> Self {
        let (mut set, mut i) = (0, 0);
        while i < N {
            set |= topics[i] as u16;
            i += 1;
        }
        Self(set)
    }

    /// All there are.
    pub const ALL: Self = Self(u16::MAX);

    const fn has(self, topic: Topic) -> bool {
        self.0 & topic as u16 != 0
    }
}

/// A row that changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Change {
    /// Its project; none for what concerns all.
    pub project: Option<ProjectId>,
    /// What it is.
    pub topic: Topic,
    /// Its number, as the topic says; 0 for more than one.
    pub id: i64,
}

impl Change {
    /// A row of a project.
    pub const fn of(project: ProjectId, topic: Topic, id: i64) -> Self {
        Self { project: Some(project), topic, id }
    }

    /// A row of all projects.
    pub const fn of_all(topic: Topic, id: i64) -> Self {
        Self { project: None, topic, id }
    }
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Interest {
    /// Of this project, and of none; of all when none is named.
    pub project: Option<ProjectId>,
    /// Of these topics.
    pub topics: Topics,
    /// The row of this number alone.
    pub id: Option<i64>,
}

impl Interest {
    /// These topics of all projects.
    pub const fn all<const N: usize>(topics: [Topic; N]) -> Self {
        Self { project: None, topics: Topics::of(topics), id: None }
    }

    /// These topics of one project.
    pub const fn of<const N: usize>(project: ProjectId, topics: [Topic; N]) -> Self {
        Self { project: Some(project), topics: Topics::of(topics), id: None }
    }

    /// One row of them.
    pub const fn only(mut self, id: i64) -> Self {
        self.id = Some(id);
        self
    }

    fn wants(&self, change: &Change) -> bool {
        let same_project = match (self.project, change.project) {
            (Some(mine), Some(its)) => mine == its,
            _ => true,
        };
        let same_row = self.id.is_none_or(|id| change.id == 0 || change.id == id);
        self.topics.has(change.topic) && same_project && same_row
    }
}

/// The most rows that are named to somebody who does not come to ask; then it is all of them.
const NAMED: usize = 4096;

/// What somebody heard since he last asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Heard {
    /// Nothing.
    #[default]
    Nothing,
    /// These rows.
    Rows(BTreeSet<Change>),
    /// More than can be named.
    All,
}

impl Heard {
    fn add(&mut self, change: Change) {
        match self {
            Self::All => {}
            Self::Nothing => *self = Self::Rows(BTreeSet::from([change])),
            Self::Rows(rows) if rows.len() < NAMED => drop(rows.insert(change)),
            Self::Rows(_) => *self = Self::All,
        }
    }
}

#[derive(Debug)]
struct Ear {
    interest: Interest,
    heard: Mutex<Heard>,
    wake: Notify,
}

/// Everybody who listens. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(Arc<Mutex<Vec<Arc<Ear>>>>);

/// Somebody who listens, until it is dropped.
#[derive(Debug)]
pub struct Listener {
    ear: Arc<Ear>,
    all: Changes,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Changes {
    pub(super) fn listen(&self, interest: Interest) -> Listener {
        let ear = Arc::new(Ear { interest, heard: Mutex::default(), wake: Notify::new() });
        lock(&self.0).push(ear.clone());
        Listener { ear, all: self.clone() }
    }

    /// Wakes those who wait for any of these.
    pub(super) fn say(&self, changes: &[Change]) {
        for ear in lock(&self.0).iter() {
            let mut wanted = changes.iter().filter(|change| ear.interest.wants(change)).peekable();
            if wanted.peek().is_some() {
                let mut heard = lock(&ear.heard);
                wanted.for_each(|change| heard.add(*change));
                drop(heard);
                ear.wake.notify_one();
            }
        }
    }
}

impl Listener {
    /// What was heard since this was last asked.
    pub fn heard(&self) -> Heard {
        std::mem::take(&mut lock(&self.ear.heard))
    }

    /// Waits until there is something to hear; at once when there is already.
    pub async fn changed(&self) {
        while *lock(&self.ear.heard) == Heard::Nothing {
            self.ear.wake.notified().await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.all.0).retain(|ear| !Arc::ptr_eq(ear, &self.ear));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    const CRANE: ProjectId = ProjectId(1);
    const HERON: ProjectId = ProjectId(2);

    #[tokio::test]
    async fn each_hears_what_it_listens_for_alone() {
        let changes = Changes::default();
        let queue = changes.listen(Interest::of(CRANE, [Topic::Queue, Topic::Token]));
        let log = changes.listen(Interest::all([Topic::Step]).only(7));
        changes.say(&[
            Change::of(HERON, Topic::Queue, 1),
            Change::of(CRANE, Topic::Step, 8),
            Change::of(CRANE, Topic::Build, 7),
        ]);
        assert_eq!((queue.changed().now_or_never(), log.changed().now_or_never()), (None, None));

        let (revoked, paused, step) =
            (Change::of_all(Topic::Token, 3), Change::of(CRANE, Topic::Queue, 0), Change::of(HERON, Topic::Step, 7));
        changes.say(&[revoked, paused, step]);
        queue.changed().await;
        assert_eq!(queue.heard(), Heard::Rows(BTreeSet::from([revoked, paused])));
        assert_eq!(queue.changed().now_or_never(), None, "it was heard");
        log.changed().await;
        assert_eq!(log.heard(), Heard::Rows(BTreeSet::from([step])));
    }

    #[test]
    fn who_does_not_ask_holds_a_bounded_number_of_rows() {
        let changes = Changes::default();
        let all = changes.listen(Interest { project: None, topics: Topics::ALL, id: None });
        for id in 0..=i64::try_from(NAMED).unwrap_or(0) {
            changes.say(&[Change::of(CRANE, Topic::Build, id)]);
        }
        assert_eq!(all.heard(), Heard::All);
        assert_eq!(all.heard(), Heard::Nothing);
        drop(all);
        assert!(lock(&changes.0).is_empty());
    }
}
