//! The queue and its entries.

use super::{ReadError, project_line};
use crate::names;
use crate::project::Guarded;
use crate::reconcile::mainline_of;
use crate::state::Shared;
use crate::store::{BuildRowState, Entry, EntryState, Standing};
use crate::terms::Terms;
use gate::verdict;
use protocol::api::{Look, Mark, Queue, QueueEntry};

/// A project's queue.
pub(crate) async fn queue(shared: &Shared, project: &Guarded) -> Result<Queue, ReadError> {
    let mut entries = Vec::new();
    for (place, entry) in (1..).zip(shared.store.queue(project.id).await?) {
        entries.push(queue_entry(shared, project, &entry, Some(place)).await?);
    }
    let mut left = Vec::new();
    for entry in shared.store.left_queue(project.id, 50).await? {
        left.push(queue_entry(shared, project, &entry, None).await?);
    }
    Ok(Queue { project: project_line(shared, project).await?, entries, left })
}

/// One entry; its place is looked up when it is not known and the entry is in the queue.
pub(crate) async fn queue_entry(
    shared: &Shared,
    project: &Guarded,
    entry: &Entry,
    place: Option<u32>,
) -> Result<QueueEntry, ReadError> {
    let branch = shared.store.branch_by_id(entry.branch).await?;
    let revision = shared.store.revision_by_id(entry.revision).await?;
    let place = match (entry.state, place) {
        (EntryState::Queued, None) => {
            let queue = shared.store.queue(project.id).await?;
            (1..).zip(queue).find(|(_, e)| e.id == entry.id).map(|(place, _)| place)
        }
        (EntryState::Queued, place) => place,
        _ => None,
    };
    let mut marks: Vec<(u32, Mark)> = Vec::new();
    if let Some(candidate) = entry.candidate {
        for build in shared.store.builds_of_candidate(candidate).await?.latest_of_each() {
            let (look, word) = match build.state {
                BuildRowState::Waiting => (Look::Waiting, "waiting"),
                BuildRowState::Running => (Look::Running, "running"),
                BuildRowState::Finished(result) => verdict::result_mark(result),
            };
            let mark = Mark {
                builder: build.builder.name.clone(),
                required: build.required,
                look,
                word: word.to_owned(),
                build: Some(build.id),
            };
            marks.push((build.position, mark));
        }
    }
    marks.sort_by_key(|(position, _)| *position);
    let standing = match entry.state {
        EntryState::Queued => stands_now(shared, project, entry).await?,
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
    let title = if title.is_empty() { revision.subject } else { title };
    Ok(QueueEntry {
        title,
        revision: revision.number,
        commit: entry.commit.clone(),
        accepted_by: entry.accepted_by.clone(),
        accepted_ms: entry.accepted,
        place,
        code: standing.code,
        look,
        says: match &entry.taken_out {
            Some(_) => format!("{}, and taken out of mainline since", standing.says),
            None => standing.says,
        },
        next: standing.next,
        changes_recipe: shared.store.candidate_of(entry.revision).await?.is_some_and(|c| c.changes_recipe),
        marks: marks.into_iter().map(|(_, mark)| mark).collect(),
        landed: entry.landed.clone(),
        left_ms: entry.left,
        page: names::branch_page(&project.name, &branch.name),
        branch: branch.name,
    })
}

/// How an entry in the queue stands, by what is known of mainline at this moment.
async fn stands_now(shared: &Shared, project: &Guarded, entry: &Entry) -> Result<Standing, ReadError> {
    let official = mainline_of(&shared.store.project_by_id(project.id).await?);
    Ok(match official.instead(&entry.standing.next) {
        Some(stop) => Standing { code: stop.queue.as_str().to_owned(), says: stop.says, next: stop.next },
        None => entry.standing.clone(),
    })
}
