//! The queue and its entries.

use super::tested::{self, line_of, marks};
use super::{Moment, ReadError, project_line};
use crate::names;
use crate::project::Guarded;
use crate::reconcile::mainline_of;
use crate::store::{Branch, Build, BuildRowState, Builds, Candidate, Entry, EntryState, Revision, Standing};
use crate::terms::Terms;
use gate::mainline::Mainline;
use protocol::api::{Look, Queue, QueueEntry, QueueStack, Tested};
use protocol::{BranchId, CandidateId, RevisionId};
use std::collections::HashMap;

/// The most entries in the queue, and of those that left it, that its page shows.
const QUEUED: u32 = 40;
const LEFT: u32 = 20;

/// A project's queue.
pub(crate) async fn queue(at: &Moment<'_>, project: &Guarded) -> Result<Queue, ReadError> {
    first_of_queue(at, project, QUEUED, LEFT).await
}

/// The first so many in it, and the last so many that left it.
pub(super) async fn first_of_queue(
    at: &Moment<'_>,
    project: &Guarded,
    queued: u32,
    left: u32,
) -> Result<Queue, ReadError> {
    let queued = at.store.first_queued(project.id, queued).await?;
    let left = at.store.left_queue(project.id, left).await?;
    let mut entries = entries(at, project, queued.iter().chain(&left)).await?;
    let left = entries.split_off(queued.len());
    let stacks = if queued.is_empty() { Vec::new() } else { stacks(at, project).await? };
    Ok(Queue { project: project_line(at, project).await?, entries, left, stacks })
}

/// The stacks of which something is being built.
async fn stacks(at: &Moment<'_>, project: &Guarded) -> Result<Vec<QueueStack>, ReadError> {
    let rows = at.store.stacks(project.id).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let builds = at.store.latest_builds_on(rows.iter().map(|row| row.top)).await?;
    let is_open = |build: &Build| !matches!(build.state, BuildRowState::Finished(_)) && build.cancel.is_none();
    let mut lines = at.store.stacks_by_id(rows.iter().map(|row| row.id)).await?;
    let shown = rows.iter().filter_map(|row| {
        let builds = builds.get(&row.top).filter(|builds| builds.iter().any(is_open))?;
        Some(QueueStack {
            line: line_of(&lines.remove(&row.id)?),
            commit: builds.iter().next()?.commit.clone(),
            marks: marks(builds),
            since_ms: row.begun,
        })
    });
    Ok(shown.collect())
}

/// One entry.
pub(crate) async fn queue_entry(at: &Moment<'_>, project: &Guarded, entry: &Entry) -> Result<QueueEntry, ReadError> {
    let others = Others::of(at, project, &[entry]).await?;
    line(project, entry, &others)
}

/// Entries of a project, in their order.
pub(super) async fn entries<'e>(
    at: &Moment<'_>,
    project: &Guarded,
    entries: impl Iterator<Item = &'e Entry>,
) -> Result<Vec<QueueEntry>, ReadError> {
    let entries: Vec<&Entry> = entries.collect();
    let others = Others::of(at, project, &entries).await?;
    entries.into_iter().map(|entry| line(project, entry, &others)).collect()
}

/// What entries say of other rows, read together.
struct Others {
    official: Mainline,
    /// The places of those in the queue, from 1.
    places: HashMap<i64, u32>,
    branches: HashMap<BranchId, Branch>,
    revisions: HashMap<RevisionId, Revision>,
    /// The newest candidate of each revision.
    newest: HashMap<RevisionId, Candidate>,
    builds: HashMap<CandidateId, Builds>,
    tested: HashMap<i64, Tested>,
}

impl Others {
    async fn of(at: &Moment<'_>, project: &Guarded, entries: &[&Entry]) -> Result<Self, ReadError> {
        let store = &at.store;
        let queued = entries.iter().filter(|entry| entry.state == EntryState::Queued).map(|entry| entry.id);
        Ok(Self {
            official: mainline_of(&*at.project(project.id).await?),
            places: store.places_in_queue(project.id, queued).await?,
            branches: store.branches_by_id(entries.iter().map(|entry| entry.branch)).await?,
            revisions: store.revisions_by_id(entries.iter().map(|entry| entry.revision)).await?,
            newest: store.candidates_of(entries.iter().map(|entry| entry.revision)).await?,
            builds: store.latest_builds_on(entries.iter().filter_map(|entry| entry.candidate)).await?,
            tested: tested::of_entries(at, project, entries).await?,
        })
    }
}

fn line(project: &Guarded, entry: &Entry, others: &Others) -> Result<QueueEntry, ReadError> {
    let not_there = |what| ReadError::NotThere { what, of: entry.id };
    let branch = others.branches.get(&entry.branch).ok_or_else(|| not_there("branch"))?;
    let revision = others.revisions.get(&entry.revision).ok_or_else(|| not_there("revision"))?;
    let place = others.places.get(&entry.id).copied();
    let standing = match entry.state {
        EntryState::Queued => stands_now(&others.official, entry, place.unwrap_or_default()),
        EntryState::Landed | EntryState::Ejected => entry.standing.clone(),
    };
    let look = match entry.state {
        EntryState::Queued => Look::Accepted,
        EntryState::Landed if entry.taken_out.is_some() => Look::Exception,
        EntryState::Landed => Look::Landed,
        EntryState::Ejected => Look::Failed,
    };
    // As it was accepted, whatever its publisher calls it since.
    let bound = Terms::of_entry(entry).ok().flatten().map(|terms| terms.message.title);
    let title = bound.unwrap_or_else(|| branch.title.clone());
    let title = if title.is_empty() { revision.title.clone() } else { title };
    Ok(QueueEntry {
        title,
        revision: revision.number,
        commit: entry.commit.clone(),
        accepted_by: entry.accepted_by.clone(),
        accepted_ms: entry.accepted,
        place,
        priority: entry.priority,
        hold: entry.hold.clone().filter(|_| entry.state == EntryState::Queued),
        expedite: entry.expedite.clone().filter(|_| entry.state == EntryState::Queued),
        when_green: entry.when_green && entry.state == EntryState::Queued,
        code: standing.code,
        look,
        says: match &entry.taken_out {
            Some(_) => format!("{}, and taken out of mainline since", standing.says),
            None => standing.says,
        },
        next: standing.next,
        changes_recipe: others.newest.get(&entry.revision).is_some_and(|candidate| candidate.changes_recipe),
        marks: match others.tested.get(&entry.id).filter(|it| it.stack.is_some() && entry.state == EntryState::Queued) {
            Some(tested) => tested::marks_of(tested),
            None => entry.candidate.and_then(|id| others.builds.get(&id)).map(marks).unwrap_or_default(),
        },
        tested: others.tested.get(&entry.id).cloned(),
        landed: entry.landed.clone(),
        left_ms: entry.left,
        page: names::branch_page(&project.name, &branch.name),
        branch: branch.name.clone(),
    })
}

/// How an entry in the queue stands, by what is known of mainline at this moment.
fn stands_now(official: &Mainline, entry: &Entry, place: u32) -> Standing {
    match official.instead(&entry.standing.next) {
        Some(stop) => Standing { code: stop.queue.as_str().to_owned(), says: stop.says, next: stop.next },
        None => Standing { says: entry.standing.says_at(place), ..entry.standing.clone() },
    }
}
