//! Many worlds at once, and their sums.

use gate::simulator::{Score, World};
use std::sync::atomic::{AtomicU64, Ordering};

/// Does this for each of so many seeds, on all processors. The answers come in no order; sums of them are made of numbers
/// that are whole or few, so that they hardly depend on it.
pub(crate) fn each<T: Send>(seeds: std::ops::Range<u64>, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let one = || {
        let mut done: Vec<(u64, T)> = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return done;
            }
            done.push((seed, work(seed)));
        }
    };
    let mut all: Vec<(u64, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    all.sort_by_key(|(seed, _)| *seed);
    all.into_iter().map(|(_, answer)| answer).collect()
}

/// Means over many worlds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Means {
    pub(crate) tests: f64,
    pub(crate) mean: f64,
    pub(crate) last: f64,
    /// Good branches that were ejected.
    pub(crate) wronged: f64,
    /// Good branches.
    pub(crate) good: f64,
}

/// What is kept of one world.
pub(crate) fn kept(score: &Score, world: &World) -> Means {
    let good = world.bad.iter().filter(|bad| !**bad).count() as f64;
    let wronged = score.wronged() as f64;
    Means { tests: score.tests_each(), mean: score.mean(), last: score.last(), wronged, good }
}

/// The means of these; of branches the sums.
pub(crate) fn means(all: &[Means]) -> Means {
    let count = all.len().max(1) as f64;
    let sum = |of: fn(&Means) -> f64| all.iter().map(of).sum::<f64>();
    Means {
        tests: sum(|one| one.tests) / count,
        mean: sum(|one| one.mean) / count,
        last: sum(|one| one.last) / count,
        wronged: sum(|one| one.wronged),
        good: sum(|one| one.good),
    }
}
