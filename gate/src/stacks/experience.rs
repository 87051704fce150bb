//! What a project's queue learned from those that left it: how often branches are bad, and builds fail by chance.

use super::stack::{Candidate, Run, Stack};
use crate::ids::EntryId;

/// Failure rates drift: when so many were decided, what was learned counts half.
const MEMORY: f64 = 500.0;
/// The same for builds that tell of chance, which are rare.
const RUNS_MEMORY: f64 = 20_000.0;

/// Counts from which the rates are worked out. Plain sums over what happened, in order: [`Self::landed`], [`Self::ejected`]
/// and [`Self::forgot`] are called once for each that left, and give the same again after a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Experience {
    /// Entries that landed.
    pub good: f64,
    /// Entries that were ejected because a build failed.
    pub bad: f64,
    /// Of those that were ejected, those that had passed before: they did not go together with others.
    pub clashed: f64,
    /// Builds that passed.
    pub passed: f64,
    /// Builds that failed of content that was good: by chance.
    pub flaked: f64,
}

/// What became of a member of a stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It waits.
    Waits,
    /// It landed.
    Landed,
    /// It left without landing.
    Gone,
}

impl Experience {
    /// So many landed.
    pub fn landed(&mut self, entries: usize) {
        self.good += entries as f64;
        self.fade();
    }

    /// One was ejected because a build failed.
    pub fn ejected(&mut self, passed_before: bool) {
        if passed_before {
            self.clashed += 1.0;
        } else {
            self.bad += 1.0;
        }
        self.fade();
    }

    /// A stack of which no member waits any more is forgotten. When all of it landed, what failed of it failed by chance.
    pub fn forgot(&mut self, stack: &Stack, fate: impl Fn(EntryId) -> Fate) {
        let Candidate::Made(judges) = &stack.candidate else { return };
        let landed = stack.line.entries.iter().all(|entry| fate(*entry) == Fate::Landed);
        for run in judges.iter().flat_map(|judge| &judge.runs) {
            match run {
                Run::Passed => self.passed += 1.0,
                Run::Failed if landed => self.flaked += 1.0,
                Run::Failed | Run::Nothing | Run::Running => {}
            }
        }
        if self.passed + self.flaked > RUNS_MEMORY {
            self.passed /= 2.0;
            self.flaked /= 2.0;
        }
    }

    fn fade(&mut self) {
        if self.good + self.bad + self.clashed > MEMORY {
            self.good /= 2.0;
            self.bad /= 2.0;
            self.clashed /= 2.0;
        }
    }
}
