//! Slaves' connections: who is connected, and how to reach them.
//!
//! What matters stands in the store; here are only the open sockets and what follows from them.

mod connection;

pub(crate) use connection::{Parts, serve};

use protocol::wire::{BuildRef, ToSlave};
use protocol::{ProjectId, SlaveId, TokenId};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Messages to one slave that may wait before it counts as stuck.
const OUTGOING: usize = 256;

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
    warm: HashMap<SlaveId, HashSet<ProjectId>>,
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
    /// Builds that this connection may report on.
    owned: HashSet<BuildRef>,
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
        let (owned, cancelled) = (HashSet::new(), HashSet::new());
        let session = Session { number, token, ready: false, to, ended: ended.clone(), owned, cancelled };
        if let Some(older) = inner.open.insert(slave, session) {
            older.ended.cancel();
        }
        inner.lost.remove(&slave);
        (number, from, ended)
    }

    /// A connected slave has these builds in its hands, and may be given others; false when a newer connection of it is open.
    fn ready(&self, slave: SlaveId, number: u64, owned: HashSet<BuildRef>) -> bool {
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

    /// A connection ended; true when it was the slave's current one.
    fn close(&self, slave: SlaveId, number: u64) -> bool {
        let mut inner = self.lock();
        let current = inner.open.get(&slave).is_some_and(|s| s.number == number);
        if current {
            inner.open.remove(&slave);
            inner.lost.insert(slave, Instant::now());
        }
        current
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
    pub(crate) fn start(&self, slave: SlaveId, of: BuildRef, project: ProjectId, message: ToSlave) -> bool {
        let mut inner = self.lock();
        let Some(session) = inner.open.get_mut(&slave).filter(|s| s.ready) else { return false };
        if session.to.try_send(message).is_err() {
            return false;
        }
        session.owned.insert(of);
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

    fn owns(&self, slave: SlaveId, of: BuildRef) -> bool {
        self.lock().open.get(&slave).is_some_and(|s| s.owned.contains(&of))
    }

    fn disown(&self, slave: SlaveId, of: BuildRef) {
        if let Some(session) = self.lock().open.get_mut(&slave) {
            session.owned.remove(&of);
            session.cancelled.remove(&of);
        }
    }
}
