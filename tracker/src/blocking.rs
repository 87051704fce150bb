//! Work in libgit2 or on files, moved off the async threads.

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
