//! The connections: each address has a share of them, and when all are taken, those that wait for a request make room.
//!
//! Only a connection whose request is being answered does anything; how many of those there are, and whose, is bounded
//! by whoever answers them. One that only waits is closed, the one that has waited longest first, when another needs its place. So
//! nobody closes the door by connecting and saying nothing.

use crate::Bounds;
use gate::places::{Full, Places, Rank};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// All connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Connections(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    places: Places<IpAddr>,
    each: usize,
    uncounted: Vec<ipnet::IpNet>,
    /// Those that wait for a request, the one that waits for longest first.
    waiting: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// One connection's place; it is free again when this goes.
#[derive(Debug)]
pub(crate) struct Connection {
    all: Connections,
    address: Option<IpAddr>,
    /// Its turn among those that wait; none while a request is being answered.
    turn: Mutex<Option<u64>>,
    closed: CancellationToken,
}

/// A request that is being answered; its connection waits again when this goes.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Connection>);

impl Connections {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            places: Places::new(bounds.connections, 0),
            each: bounds.connections_each,
            uncounted: bounds.uncounted.clone(),
            waiting: BTreeMap::new(),
            next: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection; why there is none.
    pub(crate) fn enter(&self, peer: IpAddr) -> Result<Arc<Connection>, Full> {
        let peer = network(peer);
        let mut inner = self.lock();
        // This machine's own and trusted proxies' speak for many: whose requests they bring is counted, not they.
        let counted = !peer.is_loopback() && !inner.uncounted.iter().any(|net| net.contains(&peer));
        let address = counted.then_some(peer);
        let shares: Vec<(IpAddr, usize)> = address.into_iter().map(|address| (address, inner.each)).collect();
        match inner.places.take(Rank::Ordinary, &shares) {
            Ok(()) => {}
            Err(Full::All) if inner.close_one() => inner.places.hold(address.iter()),
            Err(full) => return Err(full),
        }
        let closed = CancellationToken::new();
        let turn = inner.wait(closed.clone());
        drop(inner);
        Ok(Arc::new(Connection { all: self.clone(), address, turn: Mutex::new(Some(turn)), closed }))
    }

    /// Closes the connection that has waited longest for a request; false when none waits.
    pub(crate) fn close_one(&self) -> bool {
        self.lock().close_one()
    }
}

impl Inner {
    fn close_one(&mut self) -> bool {
        let Some((_, closed)) = self.waiting.pop_first() else { return false };
        closed.cancel();
        true
    }

    fn wait(&mut self, closed: CancellationToken) -> u64 {
        let turn = self.next;
        self.next += 1;
        self.waiting.insert(turn, closed);
        turn
    }
}

impl Connection {
    fn turn(&self) -> MutexGuard<'_, Option<u64>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came: from now on nobody else needs the place more.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        if let Some(turn) = self.turn().take() {
            self.all.lock().waiting.remove(&turn);
        }
        Busy(self.clone())
    }

    /// Whether a request is being answered.
    pub(crate) fn is_busy(&self) -> bool {
        self.turn().is_none()
    }

    /// Waits until another connection needs the place.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut turn = self.0.turn();
        *turn = Some(self.0.all.lock().wait(self.0.closed.clone()));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let turn = self.turn().take();
        let mut inner = self.all.lock();
        if let Some(turn) = turn {
            inner.waiting.remove(&turn);
        }
        inner.places.give_back(self.address.iter());
    }
}

/// What counts as one address: of IPv6 a /64.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    fn connections(all: usize, each: usize) -> Connections {
        Connections::new(&Bounds {
            connections: all,
            connections_each: each,
            uncounted: vec!["192.0.2.128/25".parse().unwrap()],
            request: Duration::from_secs(1),
            body: Duration::from_secs(1),
            answer: Duration::from_secs(1),
        })
    }

    fn enter(all: &Connections, peer: &str) -> Result<Arc<Connection>, Full> {
        all.enter(peer.parse().unwrap())
    }

    #[test]
    fn an_address_has_so_many_connections_at_once() {
        let all = connections(100, 2);
        let first = enter(&all, "192.0.2.1").unwrap();
        let mapped = enter(&all, "::ffff:192.0.2.1").unwrap();
        assert_eq!(enter(&all, "192.0.2.1").unwrap_err(), Full::Share(0));
        let other = enter(&all, "192.0.2.2").unwrap();
        drop(first);
        let again = enter(&all, "192.0.2.1").unwrap();
        drop((mapped, other, again));
        let inner = all.lock();
        let left = (inner.places.held(), inner.places.shares(), inner.waiting.len());
        assert_eq!(left, (0, 0, 0), "nothing is kept of those who went");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let all = connections(100, 2);
        let _held = (enter(&all, "2001:db8::1").unwrap(), enter(&all, "2001:db8::2").unwrap());
        assert!(enter(&all, "2001:db8::3").is_err());
        assert!(enter(&all, "2001:db8:0:1::3").is_ok());
    }

    #[test]
    fn this_machine_and_trusted_proxies_are_not_counted() {
        let all = connections(100, 2);
        for peer in ["127.0.0.1", "::1", "192.0.2.200"] {
            let held: Vec<_> = (0..5).map(|_| enter(&all, peer).unwrap()).collect();
            drop(held);
        }
    }

    #[test]
    fn who_waits_longest_makes_room_and_who_is_answered_never_does() {
        let all = connections(3, 3);
        let mut held: Vec<_> = (0..3).map(|_| enter(&all, "127.0.0.1").unwrap()).collect();
        let busy = held[0].busy();
        let fourth = enter(&all, "127.0.0.1").unwrap();
        let closed = |held: &[Arc<Connection>]| held.iter().map(|it| it.closed.is_cancelled()).collect::<Vec<_>>();
        assert_eq!(closed(&held), [false, true, false], "the first is answered, the second waited longest");
        held.remove(1);
        drop(busy);
        let last: Vec<_> = held.iter().chain([&fourth]).map(Connection::busy).collect();
        assert_eq!(enter(&all, "127.0.0.1").unwrap_err(), Full::All, "all are being answered");
        drop(last);
        assert!(enter(&all, "127.0.0.1").is_ok());
    }
}
