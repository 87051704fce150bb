//! The files that the steps of a build keep, on its page.

use super::words::{When, count, size, thousands};
use protocol::UnixMs;
use protocol::api::{ArtifactsState, StepDetail};
use serde::Serialize;

/// Files that are listed of a step; the archive has them all.
const LISTED: usize = 100;

/// What a step keeps.
#[derive(Serialize)]
pub(super) struct ArtifactsLine {
    number: u32,
    step: String,
    says: String,
    /// Where all of them are had at once, while they can be.
    archive: Option<String>,
    until: Option<When>,
    files: Vec<File>,
    /// How many there are beside those.
    more: Option<String>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct File {
    path: String,
    /// Where it is had, while it can be.
    href: Option<String>,
    size: String,
}

/// The files of a step that keeps some.
pub(super) fn artifacts_of(step: &StepDetail, now: UnixMs) -> Option<ArtifactsLine> {
    let kept = step.artifacts.as_ref()?;
    let here = kept.state == ArtifactsState::Here;
    let counted = match kept.count {
        0 => "no files".to_owned(),
        n => format!("{}, {}", count(n, "file", "files"), size(kept.bytes)),
    };
    let files: Vec<File> = kept
        .files
        .iter()
        .take(LISTED)
        .map(|file| File { path: file.path.clone(), href: here.then(|| file.page.clone()), size: size(file.bytes) })
        .collect();
    let more = kept.count - files.len();
    Some(ArtifactsLine {
        number: step.number,
        step: step.name.clone(),
        says: match kept.state {
            ArtifactsState::Here => counted,
            ArtifactsState::Coming => format!("{counted}, on their way from the slave"),
            ArtifactsState::Gone => format!("{counted}, deleted as they were kept for long enough"),
        },
        archive: (here && kept.count > 0).then(|| kept.archive.clone()),
        until: kept.until_ms.filter(|_| here && kept.count > 0).map(|until| When::new(until, now)),
        more: (more > 0).then(|| match here {
            true => format!("{} more are in the archive.", thousands(more as u64)),
            false => format!("{} more.", thousands(more as u64)),
        }),
        files,
        notes: kept.notes.clone(),
    })
}
