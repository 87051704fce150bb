//! A door: how many may be inside at once, and how many of them of each who comes; with waiting for a place.

use gate::places::{Full, Places, Rank};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Seconds after which one who found no place may well find one.
pub(crate) const AGAIN_S: u64 = 10;

/// Whom places are counted for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Key {
    Address(IpAddr),
    Token(i64),
    Branch(i64),
    Publisher(String),
}

/// Places of one sort. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Door(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    places: Mutex<Places<Key>>,
    freed: Notify,
}

/// A place that is held; free again when this goes.
#[derive(Debug)]
pub(crate) struct Place {
    door: Door,
    keys: Vec<Key>,
}

impl Door {
    pub(crate) fn new(all: usize, kept: usize) -> Self {
        Self(Arc::new(Inside { places: Mutex::new(Places::new(all, kept)), freed: Notify::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Places<Key>> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, shares: &[(Key, usize)]) -> Place {
        Place { door: self.clone(), keys: shares.iter().map(|(key, _)| key.clone()).collect() }
    }

    /// A place, if there is one now.
    pub(crate) fn enter(&self, rank: Rank, shares: &[(Key, usize)]) -> Result<Place, Full> {
        self.lock().take(rank, shares)?;
        Ok(self.place(shares))
    }

    /// A place as soon as there is one; why there was none until then.
    pub(crate) async fn wait(&self, rank: Rank, shares: &[(Key, usize)], until: Instant) -> Result<Place, Full> {
        loop {
            // Asked for before the look, so that no place becomes free unnoticed in between.
            let mut freed = std::pin::pin!(self.0.freed.notified());
            freed.as_mut().enable();
            match self.enter(rank, shares) {
                Err(full) if timeout_at(until, freed).await.is_err() => return Err(full),
                Err(_) => {}
                Ok(place) => return Ok(place),
            }
        }
    }

    /// How many are inside, and of how many shares.
    #[cfg(test)]
    pub(crate) fn inside(&self) -> (usize, usize) {
        let places = self.lock();
        (places.held(), places.shares())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.lock().give_back(&self.keys);
        self.door.0.freed.notify_waiters();
    }
}
