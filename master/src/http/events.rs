//! The event stream: what happens, as it happens, by server-sent events.

use super::doors::Stays;
use super::extract::Asked;
use crate::read;
use crate::refused::Done;
use crate::state::Shared;
use crate::store::{Interest, Listener, Topic, now};
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, stream};
use protocol::EventId;
use protocol::api::{EventMark, Look};
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
    /// Events after this place; from now on when not given.
    since: Option<EventMark>,
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

/// `GET /events`: events after `since` (or the `Last-Event-ID` header), then each as it happens. Whoever was at a place that is
/// not of this store's history is told so first, as the event `reset`, and goes on from now.
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Asked(only): Asked<Since>,
    Extension(Stays): Extension<Stays>,
    headers: HeaderMap,
) -> Done<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    // A place that can't be read was none that this master gave: so it is not of this history.
    let resumed = headers.get("last-event-id").map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    let mark = match (resumed, &only.since) {
        (Some(mark), _) => Some(mark.unwrap_or(EventMark { event: EventId(i64::MAX), epoch: String::new() })),
        (None, since) => since.clone(),
    };
    let changes = shared.store.listen(interest(&shared, &only));
    let newest = shared.store.newest_event().await?;
    let (last, ready) = match mark {
        None => (newest, VecDeque::new()),
        Some(mark) => match shared.store.resume(&mark).await? {
            Some(last) => (last, VecDeque::new()),
            None => (newest, VecDeque::from([reset(newest)])),
        },
    };
    let follower = Follower { shared, only, last, ready, changes };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        let data = serde_json::to_string(&event).ok()?;
        let id = EventMark { event: event.id, epoch: follower.shared.me.epoch().to_owned() };
        Some((Ok(Event::default().id(id.to_string()).event(event.kind).data(data)), follower))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// What is said first to whoever was at a place of another history.
fn reset(newest: EventId) -> protocol::api::Event {
    let text = "What was seen before is not this store's history any more, as after a backup was restored: read everything anew";
    protocol::api::Event {
        id: newest,
        at_ms: now(),
        project: None,
        branch: None,
        build: None,
        kind: "reset".to_owned(),
        look: Look::Exception,
        text: text.to_owned(),
        actor: "bb".to_owned(),
    }
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
            for event in read::events(&self.shared, stored).await.ok()? {
                self.last = event.id;
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
