//! git over HTTP, read only: mainline, revisions and candidates, for slaves and for anybody's plain git.

use super::extract::{Asked, Part, wrong_method};
use super::face::Face;
use crate::project::Guarded;
use crate::refused::{Done, Refused};
use crate::state::Shared;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use protocol::ProjectName;
use serde::Deserialize;
use std::sync::Arc;
use tracker::Explain as _;
use tracker::mirror::Mirror;
use tracker::serve::{ADVERTISEMENT, GitStream, Packing, RESULT, ServeError};

pub(super) fn router() -> Router<Face> {
    Router::new()
        .route("/{repository}/info/refs", get(refs))
        .route("/{repository}/git-upload-pack", post(upload_pack))
        .route("/{repository}/git-receive-pack", post(receive_pack))
        .method_not_allowed_fallback(wrong_method)
        // git bounds and streams what it is asked.
        .layer(DefaultBodyLimit::disable())
}

fn project(shared: &Shared, repository: &str) -> Done<Arc<Guarded>> {
    let name = repository.strip_suffix(".git").unwrap_or(repository).parse::<ProjectName>().ok();
    name.and_then(|name| shared.guarded_by_name(&name).cloned()).ok_or_else(|| {
        Refused::new(404, "no-such-project", "there is no such repository here", "it is /git/PROJECT.git")
    })
}

fn refused(error: &ServeError) -> Refused {
    let status = match error {
        ServeError::Service { .. } => 403,
        ServeError::Git(_) => 503,
    };
    Refused::new(status, error.code(), error.to_string(), error.hint())
}

fn protocol(headers: &HeaderMap) -> Option<&str> {
    headers.get("git-protocol").and_then(|v| v.to_str().ok())
}

/// What git says, until that has ended or its reader has gone.
fn answer(kind: &'static str, stream: GitStream) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], Body::from_stream(stream)).into_response()
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    service: String,
}

async fn refs(
    State(shared): State<Arc<Shared>>,
    Part(repository): Part<String>,
    Asked(query): Asked<Service>,
    headers: HeaderMap,
) -> Done<Response> {
    let project = project(&shared, &repository)?;
    Mirror::check_service(&query.service).map_err(|e| refused(&e))?;
    let stream = project.mirror.advertise(protocol(&headers)).map_err(|e| refused(&e))?;
    Ok(answer(ADVERTISEMENT, stream))
}

async fn upload_pack(
    State(shared): State<Arc<Shared>>,
    Part(repository): Part<String>,
    headers: HeaderMap,
    body: Body,
) -> Done<Response> {
    let project = project(&shared, &repository)?;
    let packing = match headers.get(header::CONTENT_ENCODING).map(|v| v.as_bytes()) {
        None | Some(b"identity") => Packing::Plain,
        Some(b"gzip" | b"x-gzip") => Packing::Gzip,
        Some(_) => return Err(Refused::new(415, "encoding", "only gzip is understood", "")),
    };
    let stream =
        project.mirror.upload_pack(protocol(&headers), packing, body.into_data_stream()).map_err(|e| refused(&e))?;
    Ok(answer(RESULT, stream))
}

async fn receive_pack() -> Refused {
    match Mirror::check_service("git-receive-pack") {
        Err(error) => refused(&error),
        Ok(()) => Refused::new(403, "git-read-only", "this repository can only be fetched from", ""),
    }
}
