//! The listener and its connections: HTTP/1 only, each bounded in time, all bounded in number.

use super::router;
use crate::config::Clients;
use crate::state::Shared;
use axum::extract::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tower::ServiceExt as _;
use tower_http::timeout::TimeoutBody;

/// How long answers under way may take once the master ends.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until the master ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = router(shared.clone());
    let (patience, whole) = (shared.config.times.request(), shared.config.times.body());
    let room = Arc::new(Semaphore::new(shared.config.clients.connections));
    let peers = Peers::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
            _ = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: it passes.
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = peers.place(peer.ip(), &shared.config.clients) else {
            tracing::debug!(%peer, "this address has too many connections: another one is closed");
            continue;
        };
        let Ok(permit) = room.clone().try_acquire_owned() else { continue };
        let _ = socket.set_nodelay(true);
        let (router, shared, shutdown) = (router.clone(), shared.clone(), shared.shutdown.clone());
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
                let bounded = |body| Bounded { body, end: Box::pin(tokio::time::sleep(whole)) };
                let request: Request =
                    request.map(|body| axum::body::Body::new(bounded(Box::pin(TimeoutBody::new(patience, body)))));
                let (router, shared) = (router.clone(), shared.clone());
                async move {
                    let answer = router.oneshot(request).await;
                    shared.points().at("http.answer").await;
                    answer
                }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(patience);
            let connection = builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(GRACE, connection).await;
                }
            }
            drop((permit, place));
        });
    }
    while connections.join_next().await.is_some() {}
}

/// How many connections each address has. A network of IPv6 that one subscriber gets, a /64, counts as one address.
#[derive(Clone, Debug, Default)]
struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place among those of its address; it is free again when this goes.
#[derive(Debug)]
struct Place(Option<(Peers, IpAddr)>);

impl Peers {
    /// A place for one more connection; none when the address has as many as it may. This machine's own and trusted
    /// proxies', who speak for many, are not counted.
    fn place(&self, peer: IpAddr, clients: &Clients) -> Option<Place> {
        let peer = peer.to_canonical();
        if peer.is_loopback() || clients.trusted_proxies.iter().any(|net| net.contains(&peer)) {
            return Some(Place(None));
        }
        let counted = match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(counted).or_default();
        if *count >= clients.connections_each {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.clone(), counted))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((peers, counted)) = self.0.take() else { return };
        let mut all = peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&counted) {
            *count -= 1;
            if *count == 0 {
                all.remove(&counted);
            }
        }
    }
}

/// A request's body that must have come whole by a time, however steadily it drips.
struct Bounded<B> {
    body: B,
    end: Pin<Box<Sleep>>,
}

impl<B> Body for Bounded<B>
where
    B: Body<Error = Box<dyn std::error::Error + Send + Sync>> + Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err("the request's body took too long".into())));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn place(peers: &Peers, peer: &str) -> Option<Place> {
        let clients = Clients {
            connections_each: 2,
            trusted_proxies: vec!["192.0.2.128/25".parse().unwrap()],
            ..Clients::default()
        };
        peers.place(peer.parse().unwrap(), &clients)
    }

    #[test]
    fn an_address_has_so_many_connections_at_once() {
        let peers = Peers::default();
        let first = place(&peers, "192.0.2.1").unwrap();
        let mapped = place(&peers, "::ffff:192.0.2.1").unwrap();
        assert!(place(&peers, "192.0.2.1").is_none());
        let other = place(&peers, "192.0.2.2").unwrap();
        drop(first);
        let again = place(&peers, "192.0.2.1").unwrap();
        drop((mapped, other, again));
        assert!(peers.0.lock().unwrap().is_empty(), "nothing is kept of those who went");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let peers = Peers::default();
        let _held = (place(&peers, "2001:db8::1").unwrap(), place(&peers, "2001:db8::2").unwrap());
        assert!(place(&peers, "2001:db8::3").is_none());
        assert!(place(&peers, "2001:db8:0:1::3").is_some());
    }

    #[test]
    fn this_machine_and_trusted_proxies_are_not_counted() {
        let peers = Peers::default();
        for peer in ["127.0.0.1", "::1", "192.0.2.200"] {
            let held: Vec<_> = (0..5).map(|_| place(&peers, peer).unwrap()).collect();
            drop(held);
        }
    }
}
