//! What the faces show: the values of `protocol::api`, made from the store, the mirror and the running parts.
//!
//! Pages, API and command are all given these values, so none says more or other than the others. Nothing is changed
//! here.

mod branch;
mod build;
mod facts;
mod lists;
mod log;
mod overview;
mod projects;
mod queue;
mod slaves;

pub(crate) use branch::{branch_detail, branch_summary, revisions};
pub(crate) use build::{build_detail, build_summary};
pub(crate) use lists::{Listed, MOST, branch_page};
pub(crate) use log::{LINE, LINES, LineOf, LogPart, StepIs, Wanted, log_part};
pub(crate) use overview::overview;
pub(crate) use projects::{project as project_line, projects};
pub(crate) use queue::{queue, queue_entry};
pub(crate) use slaves::{locks, slaves};

use crate::refused::Refused;
use crate::state::Shared;
use crate::store::{StoreError, StoredEvent};
use protocol::api::Event;

/// Why something can't be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the mirror can't be read: {0}")]
    Mirror(String),
    #[error("a log can't be read: {0}")]
    Log(#[from] std::io::Error),
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

/// A stored event as it is shown.
pub(crate) async fn event(shared: &Shared, stored: StoredEvent) -> Result<Event, ReadError> {
    let branch = match stored.branch {
        Some(id) => Some(shared.store.branch_by_id(id).await?.name),
        None => None,
    };
    Ok(event_of(shared, stored, branch))
}

fn event_of(shared: &Shared, stored: StoredEvent, branch: Option<protocol::BranchName>) -> Event {
    Event {
        id: stored.id,
        at_ms: stored.at,
        project: stored.project.and_then(|id| shared.guarded(id)).map(|p| p.name.clone()),
        branch,
        build: stored.build,
        kind: stored.kind,
        look: stored.look,
        text: stored.text,
        actor: stored.actor,
    }
}
