//! What the faces show: the values of `protocol::api`, made from the store, the mirror and the running parts.
//!
//! Pages, API and command are all given these values, so none says more or other than the others. Nothing is changed
//! here.

mod artifacts;
mod at_home;
mod branch;
mod build;
mod facts;
mod lists;
mod locks;
mod log;
mod moment;
mod overview;
mod projects;
mod queue;
mod review;
mod sizes;
mod slaves;
mod tested;

pub(crate) use branch::{branch_rows, branch_summary, revisions};
pub(crate) use build::{MOST_BUILDS, assignment_of, build_detail, build_page};
pub(crate) use lists::{Listed, MOST, branch_page};
pub(crate) use locks::{MOST_WAITERS, locks};
pub(crate) use log::{LINE, LINES, LineOf, LogPart, StepIs, Wanted, log_part};
pub(crate) use moment::Moment;
pub(crate) use overview::overview;
pub(crate) use projects::{project as project_line, projects};
pub(crate) use queue::{queue, queue_entry};
pub(crate) use review::review;
pub(crate) use slaves::{of_build as slaves_of_build, slaves};

use crate::refused::Refused;
use crate::state::Shared;
use crate::store::{StoreError, StoredEvent};
use protocol::api::Event;
use protocol::{BranchName, ProjectId, ProjectName};

/// Why something can't be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the mirror can't be read: {0}")]
    Mirror(String),
    #[error("a log can't be read: {0}")]
    Log(#[from] std::io::Error),
    #[error("the queue's entry {of} is of a {what} that is not there")]
    NotThere { what: &'static str, of: i64 },
    #[error("what an acceptance binds can't be written: {0}")]
    Terms(serde_json::Error),
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            error => {
                tracing::error!(%error, "a page can't be made");
                Self::new(500, "internal", error.to_string(), "an admin finds more in the master's log")
            }
        }
    }
}

/// Stored events as they are shown.
pub(crate) async fn events(shared: &Shared, stored: Vec<StoredEvent>) -> Result<Vec<Event>, ReadError> {
    // A branch's name is for ever, so that this need not be of one moment.
    let branches = shared.store.branches_by_id(stored.iter().filter_map(|event| event.branch)).await?;
    let name = |id: Option<ProjectId>| id.and_then(|id| shared.guarded(id)).map(|project| project.name.clone());
    let event = |stored: StoredEvent| {
        let branch = stored.branch.and_then(|id| branches.get(&id)).map(|branch| branch.name.clone());
        event_of(name(stored.project), stored, branch)
    };
    Ok(stored.into_iter().map(event).collect())
}

fn event_of(project: Option<ProjectName>, stored: StoredEvent, branch: Option<BranchName>) -> Event {
    Event {
        id: stored.id,
        at_ms: stored.at,
        project,
        branch,
        build: stored.build,
        kind: stored.kind,
        look: stored.look,
        text: stored.text,
        actor: stored.actor,
    }
}
