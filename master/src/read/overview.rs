//! A project's overview.

use super::lists::{is_maintainer, live, taken_out, turns};
use super::{ReadError, build, queue, slaves};
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::BuildRowState;
use protocol::api::{BranchSummary, Landing, Look, Overview, Size, Waiting};

/// How many of those that wait for a person are counted how much they change.
const SIZED: usize = 30;

/// How much a branch changes, if it has a candidate.
async fn size(shared: &Shared, guarded: &Guarded, branch: &BranchSummary) -> Result<Option<Size>, ReadError> {
    let Some(row) = shared.store.branch(guarded.id, &branch.name).await? else { return Ok(None) };
    let Some(revision) = shared.store.newest_revision(row.id).await? else { return Ok(None) };
    let Some(candidate) = shared.store.candidate_of(revision.id).await? else { return Ok(None) };
    match candidate.made_commit() {
        Some(made) => {
            let size = guarded.sizes.get(&guarded.mirror, &candidate.mainline, made, revision.commits).await;
            size.map(Some).map_err(|e| ReadError::Mirror(e.to_string()))
        }
        None => Ok(None),
    }
}

/// A project's overview.
pub(crate) async fn overview(shared: &Shared, guarded: &Guarded) -> Result<Overview, ReadError> {
    let branches: Vec<BranchSummary> = live(shared, guarded).await?.into_iter().map(|line| line.summary).collect();
    let turns = turns(branches.iter());
    let mut waiting: Vec<BranchSummary> = branches.into_iter().filter(|b| is_maintainer(&b.verdict.next.who)).collect();
    // Its author publishes it again, if it was not meant so; whether it was, a maintainer knows.
    waiting.extend(taken_out(shared, guarded).await?);
    // Those that a maintainer can accept come first; then who waits longest.
    waiting.sort_by_key(|b| (b.verdict.code != "ready", b.changed_ms));
    let mut needs_person = Vec::with_capacity(waiting.len());
    for branch in waiting {
        let size = if needs_person.len() < SIZED { size(shared, guarded, &branch).await? } else { None };
        needs_person.push(Waiting { branch, size });
    }
    let mut running = Vec::new();
    for build in shared.store.open_builds().await? {
        if build.project == guarded.id && build.state == BuildRowState::Running {
            running.extend(build::summary_of(shared, &build).await?);
        }
    }
    let all = queue(shared, guarded).await?;
    let landed = all.left.iter().filter(|entry| entry.look == Look::Landed).filter_map(|entry| {
        Some(Landing {
            branch: entry.branch.clone(),
            title: entry.title.clone(),
            commit: entry.landed.clone()?,
            landed_ms: entry.left_ms?,
            page: entry.page.clone(),
        })
    });
    let landed = landed.take(8).collect();
    Ok(Overview {
        needs_person,
        turns,
        running,
        queue: all.entries,
        landed,
        slaves: slaves(shared).await?,
        project: all.project,
    })
}
