//! A file's bytes as they are in a commit that a branch's page shows: for whoever wants to see what the page can't show.

use super::extract::Asked;
use super::face::Face;
use super::who::Who;
use crate::actions;
use crate::project::{self, Guarded, NoView};
use crate::read::{self, Moment};
use crate::refused::{Done, Refused};
use crate::state::Shared;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use gate::places::Rank;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use protocol::{BranchName, CommitId, ProjectName};
use serde::Deserialize;
use std::sync::Arc;
use tracker::read::{Raw, hex};

/// The largest file that is given.
const MAX_FILE: u64 = 16 << 20;
/// Bytes of one hex look.
const HEX: usize = 64 << 10;

#[derive(Deserialize)]
pub(super) struct Look {
    /// As a hex look, from this byte on.
    hex: Option<usize>,
}

/// What an address names: its path may hold bytes that are no text.
struct Named {
    project: Arc<Guarded>,
    branch: BranchName,
    commit: CommitId,
    path: Vec<u8>,
}

impl Named {
    /// `/p/PROJECT/branches/BRANCH/raw/COMMIT/PATH`
    fn of(shared: &Shared, uri: &Uri) -> Option<Self> {
        let mut parts = uri.path().splitn(8, '/').skip(2);
        let project: ProjectName = parts.next()?.parse().ok()?;
        let branch = parts.nth(1)?.parse().ok()?;
        let commit = CommitId::try_from(parts.nth(1)?.to_owned()).ok()?;
        let path = percent_decode_str(parts.next()?).collect();
        Some(Self { project: shared.guarded_by_name(&project)?.clone(), branch, commit, path })
    }
}

/// `GET …/raw/COMMIT/PATH`: the bytes, to be kept as a file; with `?hex=0` a hex look at a part of them.
pub(super) async fn raw(State(face): State<Face>, uri: Uri, Asked(look): Asked<Look>, who: Who) -> Done<Response> {
    let shared = &face.shared;
    let Some(named) = Named::of(shared, &uri) else { return Err(nothing("there is nothing at this path")) };
    let asked = shown(shared, &named, who.actor.rank()).await?;
    let of = (&named.commit, named.path.as_slice());
    match project::raw(&named.project.mirror, &shared.reading, of, MAX_FILE, &asked).await {
        Ok(Raw::Bytes(bytes)) => Ok(match look.hex {
            Some(from) => text(None, hex_look(&bytes, from).into()),
            None => text(Some(&named.path), bytes.into()),
        }),
        Ok(Raw::TooLarge(bytes)) => {
            let text = String::from_utf8_lossy(&named.path).into_owned();
            let detail = format!("the file has {bytes} bytes, and at most {MAX_FILE} are given here");
            let hint = format!("fetch the branch with plain git, and `git show {}:{text}`", named.commit);
            Err(Refused::new(413, "file-too-large", detail, hint))
        }
        Ok(Raw::NotThere) => Err(nothing("the commit has no file there")),
        Err(NoView::Full) => {
            let detail = "as many files and diffs are read as may be at once";
            Err(Refused::new(503, "too-many-views", detail, "try again in a moment").retry_after(crate::door::AGAIN_S))
        }
        Err(NoView::Mirror(error)) => Err(read::ReadError::Mirror(error.to_string()).into()),
    }
}

fn nothing(detail: &str) -> Refused {
    Refused::new(404, "no-such-file", detail, "open the branch's page and follow its links")
}

/// Whose branch's page shows the commit: nothing else of the mirror is given here.
async fn shown(shared: &Shared, named: &Named, rank: Rank) -> Done<project::Asked> {
    let Named { project, branch, commit, .. } = named;
    let rows = {
        let at = Moment::now(shared).await?;
        let row = actions::branch(&at.store, project, branch).await?;
        if at.store.is_shown(row.id, commit).await? {
            return Ok(project::Asked::by(rank, &row));
        }
        read::branch_rows(&at, project, row).await?
    };
    // The commit that the branch and mainline have in common is in no row.
    let asked = rows.asked(rank);
    let detail = rows.seen(shared, project, rank).await;
    if detail.diff.old.as_ref() == Some(commit) {
        return Ok(asked);
    }
    Err(nothing("the branch's page does not show this commit"))
}

/// Bytes as text that is nothing else to any browser; to be kept under the last name of `path`, if there is one.
fn text(path: Option<&[u8]>, bytes: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut answer = (headers, bytes).into_response();
    if let Some(path) = path {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, attachment(path));
    }
    answer
}

/// Says that an answer is to be kept as a file, under the last name of `path`.
pub(super) fn attachment(path: &[u8]) -> HeaderValue {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let named = format!("attachment; filename*=UTF-8''{}", percent_encode(name, NON_ALPHANUMERIC));
    HeaderValue::try_from(named).unwrap_or(HeaderValue::from_static("attachment"))
}

/// A part of the bytes, and where the next one is.
fn hex_look(bytes: &[u8], from: usize) -> String {
    let from = from.min(bytes.len()) / 16 * 16;
    let end = bytes.len().min(from + HEX);
    let mut look = hex(&bytes[from..end], from as u64);
    if end < bytes.len() {
        look.push_str(&format!("\n{} of {} bytes; the next are at ?hex={end}\n", end - from, bytes.len()));
    }
    look
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hex_look_goes_on_where_the_last_one_ended() {
        let bytes: Vec<u8> = (0..=255).cycle().take(HEX + 20).collect();
        let first = hex_look(&bytes, 0);
        assert!(
            first.ends_with("\n\n65536 of 65556 bytes; the next are at ?hex=65536\n"),
            "{}",
            &first[first.len() - 200..]
        );
        let next = hex_look(&bytes, 65_536 + 3);
        assert!(next.starts_with("00010000  00 01 02") && next.lines().count() == 2, "{next}");
        assert_eq!(hex_look(&bytes, usize::MAX).lines().count(), 1);
        assert_eq!(hex_look(b"", 0), "");
    }
}
