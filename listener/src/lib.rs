//! The listener that master and slave serve HTTP with: HTTP/1 only, each connection bounded in time, all bounded in number.
//!
//! What is answered is not its business, nor how much a handler reads or works: it takes care that nobody holds a
//! connection by saying nothing, saying it slowly, or not listening to the answer.

mod connections;
mod held;
mod patient;

pub use connections::network;
pub use held::Held;

use axum::body::Body as AnyBody;
use axum::extract::Request;
use axum::response::Response;
use connections::Connections;
use gate::places::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use patient::Patient;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::TimeoutBody;

/// How long answers under way may take once the listener ends.
const GRACE: Duration = Duration::from_secs(5);

/// What connections are bounded by.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// How many there may be at once.
    pub connections: usize,
    /// How many of one address: of IPv6 a /64. This machine's own are not counted.
    pub connections_each: usize,
    /// Other addresses that are not counted, such as proxies.
    pub uncounted: Vec<IpNet>,
    /// How long the head of a request may take, and each pause within its body.
    pub request: Duration,
    /// How long a whole body may take.
    pub body: Duration,
    /// How long a reader may take for each piece of an answer.
    pub answer: Duration,
}

/// Serves until `end`: `answer` answers each request, of this address.
pub async fn serve<A, F>(listener: TcpListener, bounds: Bounds, end: CancellationToken, answer: A)
where
    A: Fn(IpAddr, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send,
{
    let all = Connections::new(&bounds);
    let answer = Arc::new(answer);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = end.cancelled() => break,
            accepted = listener.accept() => accepted,
            _ = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (socket, peer) = match accepted {
            Ok((socket, peer)) => (socket, peer.ip()),
            Err(error) => {
                // Out of file descriptors, mostly: one that only waits makes room, and else it passes.
                tracing::warn!(%error, "a connection can't be accepted");
                all.close_one();
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let connection = match all.enter(peer) {
            Ok(connection) => connection,
            Err(full) => {
                tracing::debug!(%peer, ?full, "there is no place for another connection");
                turn_away(&socket, full);
                continue;
            }
        };
        let _ = socket.set_nodelay(true);
        let (answer, end, times) = (answer.clone(), end.clone(), (bounds.request, bounds.body, bounds.answer));
        connections.spawn(async move {
            let (patience, whole, reader) = times;
            let of_requests = connection.clone();
            let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
                let busy = of_requests.busy();
                let bounded = |body| Bounded { body, end: Box::pin(tokio::time::sleep(whole)) };
                let request: Request =
                    request.map(|body| AnyBody::new(bounded(Box::pin(TimeoutBody::new(patience, body)))));
                let answer = answer.clone();
                async move {
                    let answer = answer(peer, request).await;
                    Ok::<_, Infallible>(answer.map(|body| Held::new(body, busy)))
                }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(patience);
            let socket = TokioIo::new(Patient::new(socket, reader));
            let served = builder.serve_connection(socket, service).with_upgrades();
            let mut served = std::pin::pin!(served);
            let ends = tokio::select! {
                _ = served.as_mut() => false,
                () = end.cancelled() => true,
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
