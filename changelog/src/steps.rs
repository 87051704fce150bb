//! For tests of what things cost: how often a line or a heading was looked at. Steps are the same on every machine, and seconds
//! are not. Counted in builds with debug assertions alone.

#[cfg(debug_assertions)]
thread_local! {
    static TAKEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts so many.
#[inline]
pub(crate) fn count(steps: usize) {
    #[cfg(debug_assertions)]
    TAKEN.with(|taken| taken.set(taken.get().wrapping_add(steps as u64)));
    #[cfg(not(debug_assertions))]
    let _ = steps;
}

/// How many this thread has taken so far.
#[cfg(debug_assertions)]
pub fn taken() -> u64 {
    TAKEN.with(std::cell::Cell::get)
}
