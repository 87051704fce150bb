//! What is served at the one listener, and what it is bounded by.

use super::caller::Peer;
use super::face::Face;
use super::router::router;
use crate::pages::Pages;
use crate::state::Shared;
use axum::extract::Request;
use axum::response::IntoResponse as _;
use listener::Bounds;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

/// Serves until the master ends.
pub(crate) async fn serve(at: TcpListener, shared: Arc<Shared>, pages: Pages) {
    let router = router(&Face::new(shared.clone(), pages));
    let (times, clients) = (shared.config.times, &shared.config.clients);
    let bounds = Bounds {
        connections: clients.connections,
        connections_each: clients.connections_each,
        uncounted: clients.trusted_proxies.clone(),
        request: times.request(),
        body: times.body(),
        answer: times.answer(),
    };
    let end = shared.shutdown.clone();
    let answer = move |peer: IpAddr, mut request: Request| {
        request.extensions_mut().insert(Peer(peer));
        let (router, shared) = (router.clone(), shared.clone());
        async move {
            let answer = router.oneshot(request).await;
            shared.points().at("http.answer").await;
            answer.into_response()
        }
    };
    listener::serve(at, bounds, end, answer).await;
}
