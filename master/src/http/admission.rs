//! Before every request: whether it names this master, and whether there is a place for it.

use super::caller::Peer;
use super::doors::{Kind, Stays};
use super::face::Face;
use super::visit;
use super::who::Who;
use crate::auth::Caller;
use crate::refused::Refused;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use listener::Held;
use std::net::IpAddr;

/// Refuses what is asked of another host. What is the same for everybody and stored nowhere is answered under any name; so
/// is whoever names no host, which no browser does.
pub(super) async fn known_host(State(face): State<Face>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path == "/healthz" || path.starts_with("/static/") {
        return next.run(request).await;
    }
    let named = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let named = named.chain(request.uri().authority().map(Authority::as_str));
    let Some(foreign) = named.into_iter().find(|host| !face.hosts.has(host)) else {
        return next.run(request).await;
    };
    let shown: String = foreign.chars().filter(|c| !c.is_control()).take(100).collect();
    let refused = Refused::new(
        421,
        "unknown-host",
        format!("this master is not known as `{shown}`"),
        "if it is, an admin sets `url` in master.toml, or adds the name there: hosts = [\"NAME\"]",
    );
    if path.starts_with("/api/") || path.starts_with("/git/") {
        return refused.into_response();
    }
    let (mut parts, _) = request.into_parts();
    parts.headers.remove(header::COOKIE);
    visit::error_page(&face, &mut parts, *refused.0).await
}

/// Gives a request its places, or the answer that there are none; and everything behind knows the caller.
pub(super) async fn admitted(State(face): State<Face>, mut request: Request, next: Next) -> Response {
    let shared = &face.shared;
    let kind = Kind::of(request.method(), request.uri());
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    let caller = Caller::of(peer, request.headers(), request.uri(), &shared.config.clients);
    request.extensions_mut().insert(caller);
    if kind == Kind::Health {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let shows = |name| parts.headers.contains_key(name);
    let who = if shows(header::AUTHORIZATION) || shows(header::COOKIE) {
        // One who shows what is no good is nobody here; it is told so where it matters.
        Who::of(shared, &parts.headers).await.ok()
    } else {
        None
    };
    let mut request = Request::from_parts(parts, body);
    who.iter().for_each(|who| who.keep(&mut request));
    let token = who.and_then(|who| who.actor.token());
    match face.doors.enter(kind, caller, token, shared.config.times.request()).await {
        Ok(places) => {
            let ends = (kind == Kind::Stream && token.is_none())
                .then(|| Box::pin(tokio::time::sleep(shared.config.times.stream())));
            if kind == Kind::Stream {
                request.extensions_mut().insert(Stays);
            }
            let answer = next.run(request).await;
            answer.map(|body| Body::new(Held::until(body, ends, places)))
        }
        Err(refused) if request.uri().path().starts_with("/api/") || kind == Kind::Fetch => refused.into_response(),
        Err(refused) => {
            let (mut parts, _) = request.into_parts();
            visit::error_page(&face, &mut parts, *refused.0).await
        }
    }
}
