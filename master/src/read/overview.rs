//! A project's overview.

use super::branch::summary;
use super::facts::know_all;
use super::lists::Standings;
use super::queue::first_of_queue;
use super::sizes::{Change, Sizes};
use super::{Moment, ReadError, build, slaves};
use crate::project::Guarded;
use crate::state::Shared;
use gate::code::Code;
use gate::places::Rank;
use gate::verdict::Whose;
use protocol::api::{BranchSummary, Landing, Look, Overview, Waiting};

/// How many of those that wait for a person are shown, with how much they change.
const WAITING: usize = 20;
/// How many builds that run are shown.
const RUNNING: u32 = 10;
/// How many slaves are shown.
const SLAVES: usize = 8;
/// How many of the queue are shown.
const QUEUED: u32 = 12;
/// How many that left the queue are looked through for those that landed, and how many of these are shown.
const LEFT: u32 = 50;
const LANDED: usize = 8;

/// A project's overview.
pub(crate) async fn overview(shared: &Shared, project: &Guarded, rank: Rank) -> Result<Overview, ReadError> {
    let (mut overview, changes) = at_a_moment(&Moment::now(shared).await?, project).await?;
    // What is read for these may take a while, and holds up nobody who reads rows.
    let mut sizes = Sizes::of(shared, project, rank);
    for (waiting, change) in overview.needs_person.iter_mut().zip(changes) {
        if let Some(change) = change {
            waiting.size = sizes.of_change(&change).await?;
        }
    }
    Ok(overview)
}

/// The overview without what its branches change, and what is to be counted for each that waits for a person.
async fn at_a_moment(at: &Moment<'_>, project: &Guarded) -> Result<(Overview, Vec<Option<Change>>), ReadError> {
    let standings = Standings::of(at, project).await?;
    let turns = standings.turns();
    // Those that a maintainer can accept come first; then who waits longest.
    let is_ready = |code: &str| code == Code::Ready.as_str();
    let ready = standings.that(|brief| brief.whose == Whose::Maintainer && is_ready(&brief.code));
    let others = standings.that(|brief| brief.whose == Whose::Maintainer && !is_ready(&brief.code));
    let mut rows = at.store.waiting_longest(project.id, &ready, WAITING).await?;
    rows.extend(at.store.waiting_longest(project.id, &others, WAITING - rows.len()).await?);
    // Its author publishes it again, if it was not meant so; whether it was, a maintainer knows.
    let (out, taken_out) = at.store.taken_out(project.id, WAITING).await?;
    rows.extend(out);
    let known = know_all(at, project, rows).await?;
    let mut waiting: Vec<(BranchSummary, Option<Change>)> =
        known.iter().map(|known| (summary(project, known), Change::of(known))).collect();
    waiting.sort_by_key(|(branch, _)| (!is_ready(&branch.verdict.code), branch.changed_ms));
    waiting.truncate(WAITING);
    let (needs_person, changes) =
        waiting.into_iter().map(|(branch, change)| (Waiting { branch, size: None }, change)).unzip();
    let (running, running_count) = at.store.running_of(project.id, RUNNING).await?;
    let running = build::summaries(at, &running.iter().collect::<Vec<_>>()).await?.into_iter().flatten().collect();
    let all = first_of_queue(at, project, QUEUED, LEFT).await?;
    let landed = all.left.iter().filter(|entry| entry.look == Look::Landed).filter_map(|entry| {
        Some(Landing {
            branch: entry.branch.clone(),
            title: entry.title.clone(),
            commit: entry.landed.clone()?,
            landed_ms: entry.left_ms?,
            page: entry.page.clone(),
        })
    });
    let landed = landed.take(LANDED).collect();
    let slaves = slaves::some(at, SLAVES).await?;
    let overview = Overview {
        needs_person,
        needs_count: turns.maintainer.saturating_add(u32::try_from(taken_out).unwrap_or(u32::MAX)),
        turns,
        running,
        running_count,
        queue: all.entries,
        landed,
        slaves: slaves.lines,
        slaves_count: slaves.count,
        slaves_able: slaves.able,
        project: all.project,
    };
    Ok((overview, changes))
}
