//! The event stream: what happens, as it happens, by server-sent events.

use super::extract::Asked;
use crate::read;
use crate::refused::Done;
use crate::state::Shared;
use crate::store::{Interest, Listener, Topic};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, stream};
use protocol::EventId;
use serde::Deserialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Events read at once, and the longest wait for a wake-up.
const BATCH: u32 = 200;
const LOOK: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
pub(super) struct Since {
    /// Events after this number; from now on when not given.
    since: Option<EventId>,
    /// Only those of this branch, build or project; none means all.
    branch: Option<String>,
    build: Option<i64>,
    project: Option<String>,
}

struct Follower {
    shared: Arc<Shared>,
    only: Since,
    last: EventId,
    ready: VecDeque<protocol::api::Event>,
    changes: Listener,
}

/// `GET /events`: events after `since` (or the `Last-Event-ID` header), then each as it happens.
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Asked(only): Asked<Since>,
    headers: HeaderMap,
) -> Done<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let resumed = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let last = match resumed.or(only.since) {
        Some(last) => last,
        None => shared.store.newest_event().await?,
    };
    let changes = shared.store.listen(interest(&shared, &only));
    let follower = Follower { shared, only, last, ready: VecDeque::new(), changes };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        let data = serde_json::to_string(&event).ok()?;
        let id = event.id.to_string();
        Some((Ok(Event::default().id(id).event(event.kind).data(data)), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// The events that may be wanted.
fn interest(shared: &Shared, only: &Since) -> Interest {
    let project = only.project.as_ref().and_then(|name| name.parse().ok());
    let project = project.and_then(|name| shared.guarded_by_name(&name)).map(|project| project.id);
    Interest { project, ..Interest::all([Topic::Event]) }
}

impl Follower {
    /// The next event; none when the master ends or its store fails.
    async fn next(&mut self) -> Option<protocol::api::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            self.changes.heard();
            let stored = self.shared.store.events_after(self.last, BATCH).await.ok()?;
            if stored.is_empty() {
                tokio::select! {
                    () = self.shared.shutdown.cancelled() => return None,
                    _ = timeout(LOOK, self.changes.changed()) => {}
                }
                continue;
            }
            for stored in stored {
                self.last = stored.id;
                let event = read::event(&self.shared, stored).await.ok()?;
                if self.wanted(&event) {
                    self.ready.push_back(event);
                }
            }
        }
    }

    fn wanted(&self, event: &protocol::api::Event) -> bool {
        let Since { branch, build, project, .. } = &self.only;
        branch.as_deref().is_none_or(|b| event.branch.as_ref().is_some_and(|e| e.as_str() == b))
            && build.is_none_or(|b| event.build.is_some_and(|e| e.0 == b))
            && project.as_deref().is_none_or(|p| event.project.as_ref().is_some_and(|e| e.as_str() == p))
    }
}
