//! `GET /healthz`: whether the master can do what it is for, which begins with storing what it is told.

use crate::refused::Refused;
use crate::state::Shared;
use axum::extract::State;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long one answer is good for all who ask: whoever asks in a loop writes no more often.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// What the last look found.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Option<(Instant, Option<Refused>)>>);

pub(super) async fn health(
    State(shared): State<Arc<Shared>>,
    State(health): State<Arc<Health>>,
) -> Result<&'static str, Refused> {
    let mut last = health.0.lock().await;
    let found = match last.as_ref() {
        Some((at, found)) if at.elapsed() < GOOD_FOR => found.clone(),
        _ => {
            let found = shared.store.prove_writable().await.err().map(Refused::from);
            *last = Some((Instant::now(), found.clone()));
            found
        }
    };
    found.map_or(Ok("ok\n"), Err)
}
