//! The files that steps keep: one by one, or all of a step as a tar archive. They are a stranger's: given only to be kept as files,
//! never to be shown in a browser.

use super::extract::Part;
use super::logs::StepPart;
use super::range::{Ranged, nowhere, within};
use super::raw::attachment;
use crate::actions;
use crate::logs::Logs;
use crate::refused::{Done, Refused};
use crate::state::Shared;
use crate::store::StepArtifacts;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};
use headers::{ContentLength, HeaderMapExt as _, Range as Asked};
use protocol::BuildId;
use protocol::artifacts::Artifact;
use protocol::wire::StepFile;
use serde::Deserialize;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read at once.
const PIECE: u64 = 256 << 10;
/// What follows the last file of a tar archive, and what each part of one is a multiple of (POSIX.1-2017, pax).
const END: [u8; 1024] = [0; 1024];
const BLOCK: u64 = 512;

#[derive(Deserialize)]
pub(super) struct FilePart {
    id: BuildId,
    step: u32,
    path: String,
}

/// `GET …/builds/N/steps/M/artifacts/PATH`: one file.
pub(super) async fn file(
    State(shared): State<Arc<Shared>>,
    Part(part): Part<FilePart>,
    headers: HeaderMap,
) -> Done<Response> {
    let kept = kept(&shared, part.id, part.step).await?;
    let Some(place) = kept.files.range_of(&part.path) else {
        return Err(Refused::new(404, "no-such-file", "the step keeps no file of this path", LISTED));
    };
    let ranged = match headers.typed_get::<Asked>() {
        Some(asked) => within(&asked, place.end - place.start),
        None => Ranged::Whole,
    };
    let wanted = match &ranged {
        Ranged::Whole => place,
        Ranged::Part { bytes, .. } => place.start + bytes.start..place.start + bytes.end,
        Ranged::Nowhere { len } => return Ok(nowhere("file", *len)),
    };
    let len = wanted.end - wanted.start;
    let pieces = bytes(shared.logs.clone(), part.id, part.step, wanted);
    let mut answer = download(&part.path, "application/octet-stream", Body::from_stream(pieces));
    answer.headers_mut().typed_insert(ContentLength(len));
    Ok(ranged.said_in(answer))
}

/// `GET …/builds/N/steps/M/artifacts.tar`: all files of a step.
pub(super) async fn archive(State(shared): State<Arc<Shared>>, Part(part): Part<StepPart>) -> Done<Response> {
    let kept = kept(&shared, part.id, part.step).await?;
    let ended = actions::build(&shared.store, part.id).await?.finished;
    let seconds = ended.map_or(0, |ended| u64::try_from(ended.0 / 1000).unwrap_or(0));
    let mut parts = Vec::with_capacity(kept.files.files.len());
    let mut begin = 0;
    for file in &kept.files.files {
        let header = tar_header(file, seconds).map_err(|error| broken(&error))?;
        parts.push((header, begin..begin + file.bytes));
        begin += file.bytes;
    }
    let pieces = stream::iter(parts).flat_map(move |(header, place)| {
        let rest = (place.end - place.start).next_multiple_of(BLOCK) - (place.end - place.start);
        let padding = Bytes::from_static(&END).slice(..usize::try_from(rest).unwrap_or(0));
        let before = stream::iter([Ok(Bytes::from(header))]);
        before.chain(bytes(shared.logs.clone(), part.id, part.step, place)).chain(stream::iter([Ok(padding)]))
    });
    let pieces = pieces.chain(stream::iter([Ok::<_, io::Error>(Bytes::from_static(&END))]));
    let name = format!("build-{}-step-{}.tar", part.id, part.step);
    Ok(download(&name, "application/x-tar", Body::from_stream(pieces)))
}

const LISTED: &str = "the build's page lists what its steps keep";

/// What a step keeps, all of which is here.
async fn kept(shared: &Shared, build: BuildId, step: u32) -> Done<StepArtifacts> {
    actions::build(&shared.store, build).await?;
    let found = shared.store.artifacts(build).await?.into_iter().find(|kept| kept.step == step);
    let Some(kept) = found else {
        let detail = format!("step {step} of build #{build} keeps no files");
        return Err(Refused::new(404, "no-such-file", detail, LISTED));
    };
    if kept.gone {
        let detail = "they were kept for as long as files are, and were deleted";
        return Err(Refused::new(410, "artifacts-gone", detail, "build it again, or reproduce it at home"));
    }
    let there = shared.logs.len(build, StepFile::Artifacts(step)).map_err(|error| broken(&error))?;
    if there < kept.files.bytes() {
        let detail = "they are on their way from the slave";
        return Err(Refused::new(503, "artifacts-coming", detail, "try again in a moment").retry_after(2));
    }
    Ok(kept)
}

fn broken(error: &io::Error) -> Refused {
    Refused::new(500, "artifacts", format!("the files can't be read: {error}"), "")
}

/// A part of what a step keeps, piece by piece.
fn bytes(logs: Logs, build: BuildId, step: u32, place: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((logs, place), move |(logs, place)| async move {
        if place.is_empty() {
            return Ok(None);
        }
        let limit = usize::try_from((place.end - place.start).min(PIECE)).unwrap_or(0);
        let (of, from) = (logs.clone(), place.start);
        let read = tokio::task::spawn_blocking(move || of.read(build, StepFile::Artifacts(step), from, limit)).await;
        let piece = read.map_err(io::Error::other)??;
        if piece.is_empty() {
            // Deleted meanwhile: a download that ends too early must not look whole.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let next = from + piece.len() as u64;
        Ok(Some((Bytes::from(piece), (logs, next..place.end))))
    })
}

/// What stands before a file in a tar archive.
fn tar_header(file: &Artifact, seconds: u64) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(file.bytes);
    header.set_mode(0o644);
    header.set_mtime(seconds);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, &file.path, io::empty())?;
    Ok(archive.get_ref().clone())
}

/// Bytes that no browser shows: to be kept under the last name of `path`.
fn download(path: &str, kind: &'static str, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut answer = (headers, body).into_response();
    answer.headers_mut().insert(header::CONTENT_DISPOSITION, attachment(path.as_bytes()));
    answer
}
