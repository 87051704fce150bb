//! Named places at which a test can stop whoever comes by. In a master that was started by [`crate::start`] nobody is ever
//! stopped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// The places of a master; passing one costs nothing where nobody can be stopped.
#[derive(Clone, Debug, Default)]
pub struct Points(Option<Arc<Stops>>);

impl Points {
    /// A place: whoever comes here waits if a test wants that.
    pub async fn at(&self, place: &'static str) {
        if !self.at_until_killed(place).await {
            std::future::pending::<()>().await;
        }
    }

    /// A place of something that goes on by itself after its master was killed, as a database does. False when it was.
    pub async fn at_until_killed(&self, place: &'static str) -> bool {
        match &self.0 {
            Some(stops) => stops.arrive(place).await,
            None => true,
        }
    }
}

/// Who is to wait where, and who waits.
#[derive(Debug, Default)]
pub struct Stops {
    inner: Mutex<Inner>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    at: Vec<&'static str>,
    dead: bool,
    held: VecDeque<Held>,
}

/// Somebody who waits at a place. Dropped, they wait there for ever, as those who were killed.
#[derive(Debug)]
pub struct Held {
    /// The place.
    pub place: &'static str,
    go: oneshot::Sender<()>,
}

impl Held {
    /// Lets them go on.
    pub fn go(self) {
        let _ = self.go.send(());
    }
}

impl Stops {
    /// A master's places at which these stops count.
    pub fn points(self: &Arc<Self>) -> Points {
        Points(Some(self.clone()))
    }

    /// Who comes to one of these places from now on waits there; who comes to any other one goes on.
    pub fn stop_at(&self, places: &[&'static str]) {
        self.lock().at = places.to_vec();
    }

    /// The next one who waits, in the order in which they came.
    pub async fn held(&self) -> Held {
        loop {
            // Asked for before the look, so that nobody comes unnoticed in between.
            let arrived = self.arrived.notified();
            if let Some(held) = self.lock().held.pop_front() {
                return held;
            }
            arrived.await;
        }
    }

    /// Nobody stops any more, and those who wait go on.
    pub fn open(&self) {
        let mut inner = self.lock();
        inner.at.clear();
        for held in inner.held.drain(..) {
            held.go();
        }
    }

    /// The master is killed: from now on nobody gets past any place.
    pub fn kill(&self) {
        let mut inner = self.lock();
        inner.dead = true;
        inner.held.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits where that is wanted; false when the master was killed meanwhile or before.
    async fn arrive(&self, place: &'static str) -> bool {
        let waits = {
            let mut inner = self.lock();
            if inner.dead {
                None
            } else if inner.at.contains(&place) {
                let (go, waits) = oneshot::channel();
                inner.held.push_back(Held { place, go });
                Some(waits)
            } else {
                return true;
            }
        };
        self.arrived.notify_one();
        match waits {
            Some(waits) => waits.await.is_ok(),
            None => false,
        }
    }
}
