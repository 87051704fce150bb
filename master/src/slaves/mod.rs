//! Slaves' connections: who is connected, and how to reach them.
//!
//! What matters stands in the store; here are only the open sockets and what follows from them.

mod assigned;
mod connection;

pub(crate) use assigned::Assigned;
pub(crate) use connection::{Parts, admins_word, serve};

use crate::store::{SlaveRow, Store};
use protocol::wire::{Assignment, BuildRef, ToSlave};
use protocol::{ProjectId, SlaveId, TokenId};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Messages to one slave that may wait before it counts as stuck.
const OUTGOING: usize = 256;
/// So often a slave may say of one build what its assignment does not allow, before the build is taken from it.
const STRIKES: u32 = 8;

/// The slaves that are connected to this master. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    inner: Arc<Mutex<Inner>>,
    started: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    open: HashMap<SlaveId, Session>,
    lost: HashMap<SlaveId, Instant>,
    /// Slaves whose connection ended and whose rows may not say so yet.
    gone: HashMap<SlaveId, SlaveRow>,
    warm: HashMap<SlaveId, HashSet<ProjectId>>,
    /// How often something was said of a build, over all connections, that its assignment does not allow.
    strikes: HashMap<BuildRef, u32>,
    next: u64,
}

#[derive(Debug)]
struct Session {
    number: u64,
    token: TokenId,
    /// Whether master and slave agree on the slave's builds: before that it is given none.
    ready: bool,
    to: mpsc::Sender<ToSlave>,
    ended: CancellationToken,
    /// Builds that this connection may report on: those that the slave said it has and those it was given since.
    owned: HashMap<BuildRef, Arc<Assigned>>,
    /// Builds of which the slave was told that they are cancelled.
    cancelled: HashSet<BuildRef>,
}

impl Sessions {
    /// No slave is connected.
    pub(crate) fn new() -> Self {
        Self { inner: Arc::default(), started: Instant::now() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slave connected; an older connection of the same slave is ended.
    fn open(&self, slave: SlaveId, token: TokenId) -> (u64, mpsc::Receiver<ToSlave>, CancellationToken) {
        let (to, from) = mpsc::channel(OUTGOING);
        let ended = CancellationToken::new();
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        let (owned, cancelled) = (HashMap::new(), HashSet::new());
        let session = Session { number, token, ready: false, to, ended: ended.clone(), owned, cancelled };
        if let Some(older) = inner.open.insert(slave, session) {
            older.ended.cancel();
        }
        inner.lost.remove(&slave);
        (number, from, ended)
    }

    /// A connected slave has these builds in its hands, and may be given others; false when a newer connection of it is open.
    fn ready(&self, slave: SlaveId, number: u64, owned: HashMap<BuildRef, Arc<Assigned>>) -> bool {
        let mut inner = self.lock();
        let Some(session) = inner.open.get_mut(&slave).filter(|s| s.number == number) else { return false };
        session.owned = owned;
        session.ready = true;
        true
    }

    /// Ends the connection that was opened with a token, if there is one.
    pub(crate) fn revoke(&self, token: TokenId) {
        for session in self.lock().open.values().filter(|s| s.token == token) {
            session.ended.cancel();
        }
    }

    /// A connection ended; true when it was the slave's current one. Its row is to say so: [`Sessions::record_gone`].
    fn close(&self, slave: &SlaveRow, number: u64) -> bool {
        let mut inner = self.lock();
        let current = inner.open.get(&slave.id).is_some_and(|s| s.number == number);
        if current {
            inner.open.remove(&slave.id);
            inner.lost.insert(slave.id, Instant::now());
            inner.gone.insert(slave.id, slave.clone());
        }
        current
    }

    /// Records whose connections ended, as far as that was not done yet; a row that can't be written now is tried again in the
    /// scheduler's next turn.
    pub(crate) async fn record_gone(&self, store: &Store) {
        let gone: Vec<SlaveRow> = self.lock().gone.values().cloned().collect();
        for slave in gone {
            if let Err(error) = store.slave_gone(&slave).await {
                tracing::warn!(slave = %slave.name, %error, "that a slave is gone can't be recorded; it is tried again");
                continue;
            }
            let mut inner = self.lock();
            if inner.gone.get(&slave.id).is_some_and(|it| it.connection == slave.connection) {
                inner.gone.remove(&slave.id);
            }
        }
    }

    /// Whether a slave is connected and can be given builds.
    pub(crate) fn connected(&self, slave: SlaveId) -> bool {
        self.lock().open.get(&slave).is_some_and(|s| s.ready)
    }

    /// How long a slave has been away, by a clock that never jumps; since this master's start for one not seen yet.
    pub(crate) fn away(&self, slave: SlaveId) -> Option<Duration> {
        let inner = self.lock();
        (!inner.open.contains_key(&slave)).then(|| inner.lost.get(&slave).copied().unwrap_or(self.started).elapsed())
    }

    /// Projects of which a slave has a work folder, as far as this master knows.
    pub(crate) fn warm(&self, slave: SlaveId) -> Vec<ProjectId> {
        self.lock().warm.get(&slave).map(|set| set.iter().copied().collect()).unwrap_or_default()
    }

    /// Sends a build to a slave; false when it is not connected or does not read.
    pub(crate) fn start(&self, slave: SlaveId, project: ProjectId, assignment: Assignment) -> bool {
        let (of, assigned) = (assignment.of, Assigned::of(&assignment.builder));
        let message = ToSlave::Start(Box::new(assignment));
        let mut inner = self.lock();
        let Some(session) = inner.open.get_mut(&slave).filter(|s| s.ready) else { return false };
        if session.to.try_send(message).is_err() {
            return false;
        }
        session.owned.insert(of, Arc::new(assigned));
        inner.warm.entry(slave).or_default().insert(project);
        true
    }

    /// Tells a slave, once, that a build is cancelled.
    pub(crate) fn cancel(&self, slave: SlaveId, of: BuildRef, reason: &str) {
        let mut inner = self.lock();
        let Some(session) = inner.open.get_mut(&slave) else { return };
        if session.cancelled.insert(of)
            && session.to.try_send(ToSlave::Cancel { of, reason: reason.to_owned() }).is_err()
        {
            session.cancelled.remove(&of);
        }
    }

    /// Sends a slave anything else, if it is connected.
    pub(crate) fn tell(&self, slave: SlaveId, message: ToSlave) {
        if let Some(session) = self.lock().open.get(&slave) {
            let _ = session.to.try_send(message);
        }
    }

    /// Whether a slave that is connected, and agreed on its builds, has this one in its hands; none when it is not.
    pub(crate) fn holds(&self, slave: SlaveId, of: BuildRef) -> Option<bool> {
        self.lock().open.get(&slave).filter(|s| s.ready).map(|s| s.owned.contains_key(&of))
    }

    /// The builds that connected slaves have in their hands.
    pub(crate) fn held(&self) -> Vec<(SlaveId, BuildRef)> {
        let inner = self.lock();
        inner.open.iter().flat_map(|(slave, session)| session.owned.keys().map(|of| (*slave, *of))).collect()
    }

    /// Has a slave forget a build that nobody waits for; one that does not read now hears it at the next tick.
    pub(crate) fn forget(&self, slave: SlaveId, of: BuildRef) {
        let mut inner = self.lock();
        let Some(session) = inner.open.get_mut(&slave) else { return };
        if session.to.try_send(ToSlave::Forget { of }).is_ok() {
            session.owned.remove(&of);
            session.cancelled.remove(&of);
        }
    }

    /// What a slave may say of a build; none when the build is not its.
    fn assigned(&self, slave: SlaveId, of: BuildRef) -> Option<Arc<Assigned>> {
        self.lock().open.get(&slave)?.owned.get(&of).cloned()
    }

    /// Counts that something was said of a build that its assignment does not allow; true when that was too often.
    fn strike(&self, of: BuildRef) -> bool {
        let mut inner = self.lock();
        let strikes = inner.strikes.entry(of).or_default();
        *strikes += 1;
        let enough = *strikes > STRIKES;
        if enough {
            inner.strikes.remove(&of);
        }
        enough
    }

    fn disown(&self, slave: SlaveId, of: BuildRef) {
        let mut inner = self.lock();
        inner.strikes.remove(&of);
        if let Some(session) = inner.open.get_mut(&slave) {
            session.owned.remove(&of);
            session.cancelled.remove(&of);
        }
    }
}
