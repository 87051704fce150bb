//! The slave's own small page on loopback: what holds and why, what runs, and one button for each word.
//!
//! It is guarded against pages of other sites: it answers to its own names alone (DNS rebinding), takes no form that another
//! site sent, and each form carries a word that only this page shows. It is not guarded against users of this machine: whoever can
//! open a connection to it may say what the slave does.

mod html;

use crate::availability::{Keeper, Said, deadline, say};
use axum::extract::{DefaultBodyLimit, Form, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use listener::Bounds;
use protocol::UnixMs;
use protocol::wire::Availability;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Connections to the page at once; one that only waits makes room for another.
const CONNECTIONS: usize = 64;
/// How long the page waits for a piece of a request, for all of one, or for a reader to take a piece of it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where the page is served: an address of this machine that no other machine can reach.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageAddress(SocketAddr);

/// An address at which the page can't be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the page is for this machine alone: give it an address such as 127.0.0.1:8020, not `{0}`")]
pub struct BadPageAddress(pub String);

impl std::str::FromStr for PageAddress {
    type Err = BadPageAddress;
    fn from_str(text: &str) -> Result<Self, BadPageAddress> {
        let address: Option<SocketAddr> = text.parse().ok();
        address
            .filter(|it| it.ip().is_loopback())
            .map(Self)
            .ok_or_else(|| BadPageAddress(text.chars().take(60).collect()))
    }
}

/// What the page shows and does.
struct Face {
    name: String,
    basedir: PathBuf,
    keeper: Arc<Keeper>,
    /// What each of its forms carries.
    csrf: String,
    port: u16,
}

/// The page, ready to be served.
pub(crate) struct Page {
    listener: TcpListener,
    router: Router,
}

impl Page {
    /// Begins to listen.
    pub(crate) async fn open(
        at: PageAddress,
        name: &str,
        basedir: &Path,
        keeper: Arc<Keeper>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at.0).await?;
        let address = listener.local_addr()?;
        tracing::info!("this slave's page is at http://{address}");
        keeper.has_page(format!("http://{address}"));
        let mut word = [0u8; 16];
        getrandom::fill(&mut word).map_err(std::io::Error::other)?;
        let csrf = word.iter().map(|byte| format!("{byte:02x}")).collect();
        let (name, basedir, port) = (name.to_owned(), basedir.to_owned(), address.port());
        Ok(Self { listener, router: router(Arc::new(Face { name, basedir, keeper, csrf, port })) })
    }

    /// Serves for ever.
    pub(crate) async fn serve(self) {
        let bounds = Bounds {
            connections: CONNECTIONS,
            connections_each: CONNECTIONS,
            uncounted: Vec::new(),
            request: PATIENCE,
            body: PATIENCE,
            answer: PATIENCE,
        };
        let router = self.router;
        let answer = move |_, request: Request| {
            let router = router.clone();
            async move { router.oneshot(request).await.into_response() }
        };
        listener::serve(self.listener, bounds, CancellationToken::new(), answer).await;
    }
}

fn router(face: Arc<Face>) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/word", post(speak))
        .route("/bb.css", get(style))
        .layer(DefaultBodyLimit::max(16 << 10))
        .layer(middleware::from_fn_with_state(Arc::clone(&face), guard))
        .with_state(face)
}

/// Whether a Host is this page's: a stranger can give a name of his own this machine's address, and no other.
fn is_own(host: &str, port: u16) -> bool {
    let own = |name: &str| {
        host.strip_prefix(name).is_some_and(|rest| rest == format!(":{port}") || (port == 80 && rest.is_empty()))
    };
    ["localhost", "127.0.0.1", "[::1]"].into_iter().any(own)
}

async fn guard(State(face): State<Arc<Face>>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or("").to_ascii_lowercase();
    let refused = |what: &'static str| (StatusCode::FORBIDDEN, what).into_response();
    let mut response = if !is_own(&host, face.port) {
        refused("This page answers to the names localhost and 127.0.0.1 only.\n")
    } else if request.method() != axum::http::Method::GET && !sent_by_itself(headers, &host) {
        refused("Another site sent this; nothing was done.\n")
    } else {
        request.extensions_mut().insert(Sender);
        next.run(request).await
    };
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Shows that a request came by [`guard`].
#[derive(Clone, Copy)]
struct Sender;

/// Whether a browser says that this page itself sent a form, or it was no browser.
fn sent_by_itself(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    text("origin").is_none_or(|origin| origin == format!("http://{host}"))
        && text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../../templates/static/bb.css"))
}

async fn show(State(face): State<Arc<Face>>) -> Response {
    match face.keeper.status() {
        Some(status) => {
            let history = face.keeper.history();
            Html(html::page(&face.name, &status, &history, &face.csrf, now())).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn now() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

#[derive(Deserialize)]
struct Word {
    #[serde(default)]
    csrf: String,
    word: String,
    #[serde(default)]
    length: String,
    #[serde(default)]
    reason: String,
}

async fn speak(State(face): State<Arc<Face>>, Extension(Sender): Extension<Sender>, Form(it): Form<Word>) -> Response {
    if it.csrf != face.csrf {
        let what = "This form is older than the slave, or from another site; nothing was done. Load the page again.\n";
        return (StatusCode::FORBIDDEN, what).into_response();
    }
    let bad = |why: String| (StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n")).into_response();
    let until = match it.length.as_str() {
        "" => None,
        length => match deadline(length, now()) {
            Ok(until) => Some(until),
            Err(error) => return bad(error.to_string()),
        },
    };
    let said = |says, at_once| Some(Said::new(says, "the slave's page", &it.reason, now(), until, at_once));
    let said = match it.word.as_str() {
        "eager" => said(Availability::Eager, false),
        "reluctant" => said(Availability::Reluctant, false),
        "unavailable" => said(Availability::Unavailable, false),
        "now" => said(Availability::Unavailable, true),
        "auto" => None,
        _ => return bad("the words are eager, reluctant, unavailable, now and auto".to_owned()),
    };
    let (keeper, basedir) = (Arc::clone(&face.keeper), face.basedir.clone());
    let done = tokio::task::spawn_blocking(move || {
        say(&basedir, said.as_ref())?;
        // So that the page that follows shows it.
        keeper.look_again();
        Ok::<_, crate::availability::SaidError>(())
    });
    match done.await {
        Ok(Ok(())) => Redirect::to("/").into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_with_the_page_s_port_are_its_own() {
        for host in ["127.0.0.1:8020", "localhost:8020", "[::1]:8020"] {
            assert!(is_own(host, 8020), "{host}");
        }
        for host in [
            "",
            "localhost",
            "127.0.0.1:80200",
            "localhost.evil.example:8020",
            "evil.example:8020",
            "192.0.2.1:8020",
            "localhost:8020.evil",
        ] {
            assert!(!is_own(host, 8020), "{host}");
        }
        assert!(is_own("localhost", 80));
    }

    #[test]
    fn the_page_is_on_no_address_that_others_reach() {
        for text in ["0.0.0.0:8020", "192.0.2.1:8020", "[::]:8020", "localhost", "8020"] {
            assert!(text.parse::<PageAddress>().is_err(), "{text}");
        }
        assert!("127.0.0.1:8020".parse::<PageAddress>().is_ok() && "[::1]:0".parse::<PageAddress>().is_ok());
    }
}
