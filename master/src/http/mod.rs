//! The one listener: pages, API, event streams, slaves' connections and git, read only.

mod api;
mod events;
mod git;
mod health;
mod logs;
mod pages;
mod who;

pub(crate) use health::Health;

use crate::actions::Refused;
use crate::auth::{Action, Actor, can};
use crate::slaves;
use crate::state::Shared;
use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use protocol::wire::{MAX_CHUNK, MAX_TEXT};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutBody;

/// The largest body of a request, in bytes.
const BODY: usize = 64 << 10;
/// Connections served at once.
const CONNECTIONS: usize = 4096;
/// How long answers under way may take once the master ends.
const GRACE: Duration = Duration::from_secs(5);

/// What pages may load: nothing but what this master serves.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                   form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn router(shared: Arc<Shared>) -> Router {
    let header =
        |name: HeaderName, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .nest("/api/v1", api::router().layer(middleware::from_fn_with_state(shared.clone(), who::known)))
        .nest("/git", git::router())
        .route("/healthz", get(health::health).fallback(api::wrong_method))
        .merge(pages::router(&shared))
        .fallback(pages::nothing)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(header(header::CONTENT_SECURITY_POLICY, CSP))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Nothing is said to others; our own pages must be, because forms are known by their Origin.
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(header(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .layer(header(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .layer(header(header::CACHE_CONTROL, "no-store"))
        .with_state(shared)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Refused::new(500, "internal", "the master failed at this", "an admin finds more in its log").into_response()
}

/// `GET /api/v1/slave`: a slave's connection.
async fn slave(
    State(shared): State<Arc<Shared>>,
    headers: axum::http::HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let token = who::bearer(&shared, &headers).await?;
    let allowed = token.clone().map(Actor::from).is_some_and(|actor| can(&actor, Action::BeSlave));
    let Some(token) = token.filter(|_| allowed) else {
        return Err(Refused::new(
            401,
            "token-needed",
            "a slave's token is needed here",
            "a maintainer makes one with `bb token new slave NAME`",
        ));
    };
    let upgrade = upgrade.map_err(|e| {
        Refused::new(
            e.status().as_u16(),
            "no-websocket",
            e.body_text(),
            "slaves speak here, by WebSocket: see `bb slave`",
        )
    })?;
    let parts = shared.slave_parts();
    let upgrade =
        upgrade.max_message_size(MAX_TEXT.max(MAX_CHUNK + 1024)).max_frame_size(MAX_TEXT.max(MAX_CHUNK + 1024));
    Ok(upgrade.on_upgrade(move |socket| slaves::serve(socket, token, parts)))
}

/// Serves until the master ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = router(shared.clone());
    let patience = shared.config.times.request();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
            _ = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (socket, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: it passes.
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = room.clone().try_acquire_owned() else { continue };
        let _ = socket.set_nodelay(true);
        let (router, shutdown) = (router.clone(), shared.shutdown.clone());
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let request: Request = request.map(|body| axum::body::Body::new(TimeoutBody::new(patience, body)));
                router.clone().oneshot(request)
            });
            let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new()).http1_only();
            builder.http1().timer(TokioTimer::new()).header_read_timeout(patience);
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(socket), service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(GRACE, connection).await;
                }
            }
            drop(permit);
        });
    }
    while connections.join_next().await.is_some() {}
}
