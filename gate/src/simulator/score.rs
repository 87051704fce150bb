//! How well a queue did.

/// What became of a branch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decided {
    /// The branch, as a number of the world's.
    pub branch: usize,
    /// How long it was in the queue, in lengths of a build.
    pub waited: f64,
    /// When it left.
    pub at: f64,
    /// Whether it landed; else it was ejected, or taken back.
    pub landed: bool,
    /// Whether it was ejected though it is good, and goes together with all that landed.
    pub wronged: bool,
}

/// How well a queue did in a world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Builds that were started, those that were cancelled or lost too.
    pub tests: u64,
    /// What became of each branch, in the order in which they left.
    pub decided: Vec<Decided>,
}

impl Score {
    /// Builds for each branch.
    pub fn tests_each(&self) -> f64 {
        self.tests as f64 / self.decided.len().max(1) as f64
    }

    /// How long a branch was in the queue, as a mean.
    pub fn mean(&self) -> f64 {
        self.decided.iter().map(|one| one.waited).sum::<f64>() / self.decided.len().max(1) as f64
    }

    /// When the last one left.
    pub fn last(&self) -> f64 {
        self.decided.iter().map(|one| one.at).fold(0.0, f64::max)
    }

    /// So many were ejected though they are good.
    pub fn wronged(&self) -> usize {
        self.decided.iter().filter(|one| one.wronged).count()
    }
}
