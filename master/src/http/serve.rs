//! The listener and its connections: HTTP/1 only, each bounded in time, all bounded in number.

use super::caller::Peer;
use super::connections::Connections;
use super::face::Face;
use super::held::Held;
use super::patient::Patient;
use super::router::router;
use crate::pages::Pages;
use crate::state::Shared;
use axum::extract::Request;
use gate::places::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tower::ServiceExt as _;
use tower_http::timeout::TimeoutBody;

/// How long answers under way may take once the master ends.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until the master ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, pages: Pages) {
    let router = router(&Face::new(shared.clone(), pages));
    let times = shared.config.times;
    let (patience, whole) = (times.request(), times.body());
    let all = Connections::new(&shared.config.clients);
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
                // Out of file descriptors, mostly: one that only waits makes room, and else it passes.
                tracing::warn!(%error, "a connection can't be accepted");
                all.close_one();
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let connection = match all.enter(peer.ip()) {
            Ok(connection) => connection,
            Err(full) => {
                tracing::debug!(%peer, ?full, "there is no place for another connection");
                turn_away(&socket, full);
                continue;
            }
        };
        let _ = socket.set_nodelay(true);
        let (router, shared, shutdown) = (router.clone(), shared.clone(), shared.shutdown.clone());
        connections.spawn(async move {
            let of_requests = connection.clone();
            let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
                let busy = of_requests.busy();
                request.extensions_mut().insert(Peer(peer.ip()));
                let bounded = |body| Bounded { body, end: Box::pin(tokio::time::sleep(whole)) };
                let request: Request =
                    request.map(|body| axum::body::Body::new(bounded(Box::pin(TimeoutBody::new(patience, body)))));
                let (router, shared) = (router.clone(), shared.clone());
                async move {
                    let answer = router.oneshot(request).await;
                    shared.points().at("http.answer").await;
                    answer.map(|answer| answer.map(|body| Held::new(body, busy)))
                }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(patience);
            let socket = TokioIo::new(Patient::new(socket, times.answer()));
            let served = builder.serve_connection(socket, service).with_upgrades();
            let mut served = std::pin::pin!(served);
            let ends = tokio::select! {
                _ = served.as_mut() => false,
                () = shutdown.cancelled() => true,
                // A request that came just now is answered all the same.
                () = connection.closed() => connection.is_busy(),
            };
            if ends {
                served.as_mut().graceful_shutdown();
                let _ = tokio::time::timeout(GRACE, served).await;
            }
            drop(connection);
        });
    }
    while connections.join_next().await.is_some() {}
}

/// Says that there is no place, as far as that can be said to one who is not listened to.
fn turn_away(socket: &TcpStream, full: Full) {
    let (status, title, of_whom) = match full {
        Full::All => (503, "Service Unavailable", "all together"),
        Full::Share(_) => (429, "Too Many Requests", "of your address"),
    };
    let problem = format!(
        "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},\"code\":\"too-many-connections\",\
         \"detail\":\"as many connections, {of_whom}, are open as may be at once\",\"retry_after_s\":10}}\n"
    );
    let answer = format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\nretry-after: 10\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{problem}",
        problem.len()
    );
    let _ = socket.try_write(answer.as_bytes());
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
