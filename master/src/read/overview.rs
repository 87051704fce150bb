//! A project's overview.

use super::lists::{is_maintainer, live, taken_out, turns};
use super::sizes::{Change, Sizes};
use super::{Moment, ReadError, build, queue, slaves};
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{Build, BuildRowState};
use gate::places::Rank;
use protocol::api::{BranchSummary, Landing, Look, Overview, Waiting};

/// How many of those that wait for a person are counted how much they change.
const SIZED: usize = 30;

/// A project's overview.
pub(crate) async fn overview(shared: &Shared, project: &Guarded, rank: Rank) -> Result<Overview, ReadError> {
    let (mut overview, changes) = at_a_moment(&Moment::now(shared).await?, project).await?;
    // What is read for these may take a while, and holds up nobody who reads rows.
    let mut sizes = Sizes::of(shared, project, rank);
    for (waiting, change) in overview.needs_person.iter_mut().zip(changes).take(SIZED) {
        if let Some(change) = change {
            waiting.size = sizes.of_change(&change).await?;
        }
    }
    Ok(overview)
}

/// The overview without what its branches change, and what is to be counted for each that waits for a person.
async fn at_a_moment(at: &Moment<'_>, project: &Guarded) -> Result<(Overview, Vec<Option<Change>>), ReadError> {
    let lines = live(at, project).await?;
    let turns = turns(lines.iter().map(|line| &line.summary));
    let mut waiting: Vec<(BranchSummary, Option<Change>)> = lines
        .into_iter()
        .filter(|line| is_maintainer(&line.summary.verdict.next.who))
        .map(|line| (line.summary, line.change))
        .collect();
    // Its author publishes it again, if it was not meant so; whether it was, a maintainer knows.
    waiting.extend(taken_out(at, project).await?.into_iter().map(|line| (line.summary, line.change)));
    // Those that a maintainer can accept come first; then who waits longest.
    waiting.sort_by_key(|(branch, _)| (branch.verdict.code != "ready", branch.changed_ms));
    let (needs_person, changes) =
        waiting.into_iter().map(|(branch, change)| (Waiting { branch, size: None }, change)).unzip();
    let open = at.store.open_builds().await?;
    let running: Vec<&Build> =
        open.iter().filter(|b| b.project == project.id && b.state == BuildRowState::Running).collect();
    let running = build::summaries(at, &running).await?.into_iter().flatten().collect();
    let all = queue(at, project).await?;
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
    let overview = Overview {
        needs_person,
        turns,
        running,
        queue: all.entries,
        landed,
        slaves: slaves::of_builds(at, &open).await?,
        project: all.project,
    };
    Ok((overview, changes))
}
