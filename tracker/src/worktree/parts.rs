//! Work on many files, shared out among the processors. Knows nothing of the files.

use super::WorkTreeError;

/// From so many files on it is worth a thread.
const MANY: usize = 256;

/// How many of `count` files one part has.
pub(super) fn size(count: usize) -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if count < MANY { count.max(1) } else { count.div_ceil(threads) }
}

/// Works on all parts at once, and ends when all have ended; the first that failed says why.
pub(super) fn all<P: Send>(
    parts: impl Iterator<Item = P>,
    work: impl Fn(P) -> Result<(), WorkTreeError> + Sync,
) -> Result<(), WorkTreeError> {
    let parts: Vec<P> = parts.collect();
    if parts.len() < 2 {
        return parts.into_iter().try_for_each(work);
    }
    let work = &work;
    std::thread::scope(|scope| {
        let all: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        let ended: Vec<_> = all.into_iter().map(|one| one.join()).collect();
        ended.into_iter().try_for_each(|one| match one {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}
