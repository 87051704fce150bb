//! The files that the steps of a build keep.

use super::{Moment, ReadError};
use crate::names;
use crate::store::{Build, StepArtifacts};
use protocol::UnixMs;
use protocol::api::{self, ArtifactsState, KeptFile};
use std::collections::BTreeMap;

/// Bytes of files' names that are told of a build: each step may keep many, and a build have many steps.
const NAMES_BYTES: usize = 256 << 10;

/// What each step of a build keeps, by its number; `page` is the build's.
pub(super) async fn of_build(
    at: &Moment<'_>,
    build: &Build,
    page: &str,
) -> Result<BTreeMap<u32, api::StepArtifacts>, ReadError> {
    let kept = at.store.artifacts(build.id).await?;
    let until = build.finished.and_then(|ended| at.artifacts_until(ended));
    let mut room = NAMES_BYTES;
    kept.into_iter().map(|kept| Ok((kept.step, told(at, kept, page, until, &mut room)?))).collect()
}

fn told(
    at: &Moment<'_>,
    kept: StepArtifacts,
    page: &str,
    until: Option<UnixMs>,
    room: &mut usize,
) -> Result<api::StepArtifacts, ReadError> {
    let (count, bytes) = (kept.files.files.len(), kept.files.bytes());
    let state = match kept.gone {
        true => ArtifactsState::Gone,
        false if at.artifacts_len(kept.build, kept.step)? < bytes => ArtifactsState::Coming,
        false => ArtifactsState::Here,
    };
    let mut files = Vec::new();
    for file in kept.files.files {
        let page = names::artifact(page, kept.step, &file.path);
        let Some(rest) = room.checked_sub(file.path.len() + page.len() + 50) else {
            *room = 0;
            break;
        };
        *room = rest;
        files.push(KeptFile { path: file.path, bytes: file.bytes, page });
    }
    let archive = names::artifacts_archive(page, kept.step);
    Ok(api::StepArtifacts { files, count, bytes, archive, notes: kept.files.notes, state, until_ms: until })
}
