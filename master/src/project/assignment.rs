//! What a slave is given of a build. At home it is run by the same.

use super::Guarded;
use crate::auth::isolation_for;
use crate::names;
use crate::store::{Build, Reader, StoreError};
use protocol::BuildResult;
use protocol::wire::{Assignment, Limits};
use tracker::mirror::Mirror;

/// The assignment of a build by the rows of now; `url` is where this master is reached.
pub(crate) async fn assignment(
    store: &Reader,
    project: &Guarded,
    build: &Build,
    limits: Limits,
    url: &str,
) -> Result<Assignment, StoreError> {
    let branch = store.branch_by_id(build.branch).await?;
    let revision = store.revision_by_id(build.revision).await?;
    let stack = match build.of_stack {
        Some(id) => store.stacks_by_id([id]).await?.remove(&id),
        None => None,
    };
    // A stack's candidates stand on each other; all of them on this.
    let mainline = match stack {
        Some(stack) => stack.on,
        None => store.candidate_by_id(build.candidate).await?.mainline,
    };
    let previous = store.result_before(build).await?;
    let properties = [
        ("BB_PROJECT", project.name.to_string()),
        ("BB_BRANCH", branch.name.to_string()),
        ("BB_REVISION", format!("r{}", revision.number)),
        ("BB_HEAD", revision.commit.to_string()),
        ("BB_MAINLINE", mainline.to_string()),
        ("BB_PREVIOUS", previous.map_or("none", BuildResult::as_str).to_owned()),
        ("BB_URL", format!("{url}{}", names::build_page(&project.name, build.id))),
    ];
    Ok(Assignment {
        of: build.reference(),
        project: project.name.clone(),
        git_path: format!("/git/{}.git", project.name),
        git_ref: Mirror::kept_candidate_ref(&branch.name, revision.number, &build.commit),
        commit: build.commit.clone(),
        what: format!("{} r{}", branch.name, revision.number),
        builder: build.builder.clone(),
        isolation: build.isolation.max(isolation_for(&branch)),
        limits,
        env: properties.map(|(name, value)| (name.to_owned(), value)).into(),
    })
}
