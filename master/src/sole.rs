//! One master at a time works on a store. A second one is refused with words; one that follows a master which was killed
//! waits no longer than until it is sure of that.

use crate::auth;
use crate::basedir::Lock;
use crate::error::StartError;
use crate::store::{Master, Store, StoreError, now};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long a master's word that it is alive holds, in milliseconds.
pub(crate) const HOLDS_MS: i64 = 30_000;
/// How often it says so.
pub(crate) const RENEW: Duration = Duration::from_secs(10);
/// In this time one that is alive has said so, whatever the clocks of two machines are.
const WATCH: Duration = Duration::from_secs(15);
/// Clocks differ by no more than this, in milliseconds: an hour.
const SKEW_MS: i64 = 60 * 60 * 1000;
/// Between two looks at another master.
const LOOK: Duration = Duration::from_millis(500);

/// A master as it names itself on a store.
pub(crate) fn me(basedir: &Path, store: &str) -> Result<Master, StartError> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let word = auth::random_secret().map_err(|e| StartError::Other(e.to_string()))?;
    Ok(Master {
        owner: format!("{}@{host}", word.get(..16).unwrap_or(&word)),
        place: place(store),
        says: format!("{} on {host}, process {}", basedir.display(), std::process::id()),
        beat: 0,
        until_ms: 0,
    })
}

/// Which file a store is; nothing for a database's server.
fn place(store: &str) -> String {
    let file = store.strip_prefix("sqlite:").and_then(|path| std::fs::metadata(path).ok());
    file.map_or_else(String::new, |file| format!("{}:{}", file.dev(), file.ino()))
}

/// Takes the store for this master.
///
/// # Errors
/// When another master works on it, or the database fails.
pub(crate) async fn take(
    store: &Store,
    me: &Master,
    lock: &Lock,
    shutdown: &CancellationToken,
) -> Result<(), StartError> {
    // The one that ran on this basedir before is dead: this one has its lock.
    let before = lock.signed().map_err(StartError::Basedir)?;
    let surely_dead = |it: &Master| {
        before.as_deref() == Some(&it.owner) || it.place != me.place || it.until_ms.saturating_add(SKEW_MS) < now().0
    };
    let mut first: Option<(Master, Instant, Duration)> = None;
    loop {
        let silent = |it: &Master| {
            let same = |(seen, since, wait): &(Master, Instant, Duration)| *seen == *it && since.elapsed() >= *wait;
            first.as_ref().is_some_and(same)
        };
        let Some(holder) = store.take(me, HOLDS_MS, |it| surely_dead(it) || silent(it)).await? else { break };
        let (seen, ..) = first.get_or_insert_with(|| {
            let rest = Duration::from_millis(u64::try_from(holder.until_ms - now().0).unwrap_or(0));
            let wait = rest.clamp(WATCH, Duration::from_millis(HOLDS_MS.unsigned_abs()));
            tracing::warn!(
                "another master worked on this store and did not end in good order: {}; this one waits for {} s to be sure that it is gone",
                holder.says,
                wait.as_secs()
            );
            (holder.clone(), Instant::now(), wait)
        });
        if *seen != holder {
            return Err(StartError::SecondMaster(holder.says));
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = shutdown.cancelled() => return Err(StartError::Other("it was ended while it waited".to_owned())),
        }
    }
    Ok(lock.sign(&me.owner)?)
}

/// Whether a master may be at work on a store.
pub(crate) async fn at_work(store: &Store, url: &str) -> Result<Option<Master>, StoreError> {
    let alive = |it: &Master| it.place == place(url) && it.until_ms > now().0;
    Ok(store.master().await?.filter(alive))
}
