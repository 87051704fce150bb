//! Pages of what no event tells: a stream that says when they would read otherwise.

use super::doors::Stays;
use super::extract::Asked;
use crate::pages::LOCK_WAITERS;
use crate::read::{self, Moment, ReadError};
use crate::refused::Done;
use crate::state::Shared;
use crate::store::{Interest, Listener, Topic};
use axum::Extension;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The longest wait for a wake-up, and the shortest between two looks.
const LOOK: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// What is watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// The slaves, and who holds or waits for which lock.
    Slaves,
    /// The locks.
    Locks,
    /// All projects.
    Projects,
}

#[derive(Deserialize)]
pub(super) struct Watched {
    what: What,
    /// What the page shows, as [`seen`] named it.
    #[serde(default)]
    seen: String,
}

impl What {
    /// What a page of it reads.
    const fn interest(self) -> Interest {
        match self {
            Self::Slaves | Self::Locks => Interest::all([Topic::Slave, Topic::Build]),
            Self::Projects => Interest::all([Topic::Branch, Topic::Queue, Topic::Standing, Topic::Mainline]),
        }
    }
}

/// A short name for a value as it is now.
pub(super) fn named(value: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(&bytes).iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The name of what a page shows now.
async fn seen(shared: &Shared, what: What) -> Result<String, ReadError> {
    let at = Moment::now(shared).await?;
    Ok(match what {
        What::Slaves => named(&(read::slaves(&at).await?, read::locks(&at, LOCK_WAITERS).await?)),
        What::Locks => named(&read::locks(&at, read::MOST_WAITERS).await?),
        What::Projects => named(&read::projects(&at).await?),
    })
}

/// The path of the stream for a page that shows this.
pub(super) fn stream_of(what: What, seen: &str) -> String {
    let what = match what {
        What::Slaves => "slaves",
        What::Locks => "locks",
        What::Projects => "projects",
    };
    format!("/api/v1/watch?what={what}&seen={seen}")
}

struct Watcher {
    shared: Arc<Shared>,
    what: What,
    seen: String,
    changes: Listener,
}

/// `GET /watch?what=slaves`: an event `changed` whenever there is something else to be shown.
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<Watched>,
    Extension(Stays): Extension<Stays>,
) -> Done<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let seen = if asked.seen.is_empty() { seen(&shared, asked.what).await? } else { asked.seen };
    let watcher = Watcher { changes: shared.store.listen(asked.what.interest()), shared, what: asked.what, seen };
    let events = stream::unfold(watcher, |mut watcher| async move {
        watcher.next().await?;
        let data = watcher.seen.clone();
        Some((Ok(Event::default().event("changed").data(data)), watcher))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl Watcher {
    /// Waits until there is something else; none when the master ends or its store fails.
    async fn next(&mut self) -> Option<()> {
        loop {
            self.changes.heard();
            let now = seen(&self.shared, self.what).await.ok()?;
            if now != self.seen {
                self.seen = now;
                return Some(());
            }
            tokio::select! {
                () = self.shared.shutdown.cancelled() => return None,
                _ = timeout(LOOK, self.changes.changed()) => {}
            }
            // What changes often is looked at now and then.
            tokio::select! {
                () = self.shared.shutdown.cancelled() => return None,
                () = sleep(PAUSE) => {}
            }
        }
    }
}
