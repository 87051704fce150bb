//! Work in libgit2 or on files, moved off the async threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `work` on a thread where it may block. A panic in it goes on here; that the runtime stops is the only other way
/// it can't end, and then nobody waits for the answer any more.
pub(crate) async fn blocking<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

/// Whether somebody still waits for what a piece of blocking work will find.
#[derive(Clone, Debug)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What tells the work when whoever waited for it has gone.
pub(crate) struct Waiting(Wanted);

impl Waiting {
    pub(crate) fn new() -> Self {
        Self(Wanted(Arc::new(AtomicBool::new(true))))
    }

    /// What the work is given.
    pub(crate) fn wanted(&self) -> Wanted {
        self.0.clone()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}
