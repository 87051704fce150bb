//! How often branches are bad, and how often builds fail by chance, as far as is known: a distribution, not a number.
//!
//! Nothing is assumed of the rate of bad branches but its range: it is one of [`GRID`] values, spread evenly by their
//! logarithm, each as likely at first; what left the queue and what is known of those that wait weighs them (the mixture
//! costs two or three bits in the first hundred branches; a single estimate costs more, and must be tuned for some rate).

use super::experience::Experience;
use super::known::{Group, Known};
use super::situation::{Accepted, Policy};

/// So many values.
const GRID: usize = 32;
/// The least and the greatest.
const RANGE: (f64, f64) = (0.004, 0.4);
/// How often a branch that passed does not go together with others that did, before anything is learned: 1 of 2,000.
const CLASHES: (f64, f64) = (0.5, 1000.0);
/// How often builds fail by chance, before anything is learned: 1 of 100, as if 50 had been seen.
const FLAKES: (f64, f64) = (0.5, 50.0);
/// How likely mainline itself fails after others pushed to it.
const BROKEN: f64 = 0.02;

/// What is known of the rates.
#[derive(Clone, Debug)]
pub(super) struct Rates {
    /// The logarithm of the chance that an ordinary branch is good, by value.
    ln_good: [f64; GRID],
    /// How likely each value is.
    weight: [f64; GRID],
    /// How often a build of good content fails by chance, as a mean.
    pub(super) flake: f64,
    chance: Chance,
    /// How often one that passed does not go together with others.
    pub(super) clash: f64,
}

/// Of what kind a set is: what its builds said so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Set {
    /// The sum of its members' risks: 1 for each ordinary one.
    pub(super) risk: f64,
    /// How often it failed; 0 when nothing is known of it.
    pub(super) times: u32,
    /// Whether all passed apart before.
    pub(super) weak: bool,
}

impl Rates {
    /// From what was learned, and from what waits.
    pub(super) fn of(experience: &Experience, policy: &Policy, known: &Known, entries: &[&Accepted]) -> Self {
        let flaked = experience.flaked + f64::from(known.flaked);
        let seen = Chance::Seen { failed: flaked + FLAKES.0, all: experience.passed + flaked + FLAKES.1 };
        let chance = policy.chance.map_or(seen, |known| Chance::Known(known.clamp(0.0, 0.5)));
        let flake = chance.so_often(1);
        let decided = experience.good + experience.bad + experience.clashed;
        let clash = (experience.clashed + CLASHES.0) / (decided + CLASHES.1);
        let good = experience.good + known.good.places().map(|at| entries[at].hazard()).sum::<f64>();
        let sets: Vec<Set> = known.groups.iter().filter(|group| !group.weak).map(|g| Set::of(g, entries)).collect();
        let (mut ln_good, mut weight) = ([0.0; GRID], [0.0; GRID]);
        for at in 0..GRID {
            let part = at as f64 / (GRID - 1) as f64;
            let bad = RANGE.0 * (RANGE.1 / RANGE.0).powf(part);
            ln_good[at] = (-bad).ln_1p();
            let sets = sets.iter().map(|set| (1.0 - none_of(ln_good[at], set, &chance)).max(1e-12).ln());
            weight[at] = experience.bad * bad.ln() + good * ln_good[at] + sets.sum::<f64>();
        }
        let greatest = weight.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        weight.iter_mut().for_each(|one| *one = (*one - greatest).exp());
        let sum: f64 = weight.iter().sum();
        weight.iter_mut().for_each(|one| *one /= sum);
        Self { ln_good, weight, flake, chance, clash }
    }

    /// The mean of what is worked out for each value.
    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        self.weight.iter().zip(&self.ln_good).filter(|(weight, _)| **weight > 1e-9).map(|(w, ln)| w * of(*ln)).sum()
    }

    /// How likely an ordinary branch is bad.
    pub(super) fn bad(&self) -> f64 {
        1.0 - self.mean(f64::exp)
    }

    /// How likely this much of a set is good, by what is known of the set.
    pub(super) fn good(&self, set: &Set, risk: f64) -> f64 {
        if risk <= 0.0 {
            return 1.0;
        }
        if set.weak {
            return self.together(set, risk);
        }
        if set.times == 0 {
            return self.mean(|ln| (ln * risk).exp());
        }
        let share = |ln: f64| {
            let none = none_of(ln, set, &self.chance);
            ((ln * risk).exp() - none) / (1.0 - none).max(1e-12)
        };
        self.mean(share).clamp(0.0, 1.0)
    }

    /// How likely so much is good, when nothing is known of it.
    pub(super) fn before(&self, risk: f64) -> f64 {
        self.mean(|ln| (ln * risk).exp())
    }

    /// The same for a set whose members all passed apart: two of them do not go together, or one with what landed since.
    fn together(&self, set: &Set, risk: f64) -> f64 {
        let chance = self.chance.so_often(set.times);
        let none = (1.0 - self.clash) * chance / ((1.0 - self.clash) * chance + self.clash);
        let part = (risk / set.risk).min(1.0);
        none + (1.0 - none) * (1.0 - part * part)
    }

    /// How likely a set of one that failed so often is bad, and not only unlucky.
    pub(super) fn guilt(&self, set: &Set) -> f64 {
        1.0 - self.good(set, set.risk)
    }

    /// How likely mainline itself is broken after it failed so often.
    pub(super) fn broken(&self, times: u32) -> f64 {
        let chance = (1.0 - BROKEN) * self.chance.so_often(times);
        BROKEN / (BROKEN + chance)
    }

    /// How much is not known of a set, in bits.
    pub(super) fn bits(&self, set: &Set, members: usize) -> f64 {
        let all = self.good(set, set.risk);
        if set.times == 0 {
            return members as f64 * entropy(self.bad());
        }
        if set.weak {
            return entropy(all) + (1.0 - all) * (members as f64).log2();
        }
        let red = |ln: f64| {
            let one = ln.exp();
            let none = (ln * set.risk).exp();
            ((set.risk * entropy(one) - entropy(none)) / (1.0 - none).max(1e-12)).max(0.0)
        };
        entropy(all) + (1.0 - all) * self.mean(red)
    }
}

/// The chance that none is bad and a set failed nevertheless, taken off: what is left of "all good" after failures.
fn none_of(ln_good: f64, set: &Set, chance: &Chance) -> f64 {
    (1.0 - chance.so_often(set.times)) * (ln_good * set.risk).exp()
}

/// How often builds of good content fail by chance.
#[derive(Clone, Copy, Debug)]
enum Chance {
    /// The project knows.
    Known(f64),
    /// Of so many it were so many.
    Seen { failed: f64, all: f64 },
}

impl Chance {
    /// How likely so many fail by chance, one after the other. Where the rate is not known well, that is more than the power
    /// of its mean: the moments of a beta distribution.
    fn so_often(&self, times: u32) -> f64 {
        match *self {
            Self::Known(chance) => chance.powi(i32::try_from(times).unwrap_or(i32::MAX)),
            Self::Seen { failed, all } => {
                (0..times.min(64)).map(|at| (failed + f64::from(at)) / (all + f64::from(at))).product()
            }
        }
    }
}

impl Set {
    /// A group as a set.
    pub(super) fn of(group: &Group, entries: &[&Accepted]) -> Self {
        let risk = group.members.places().map(|at| entries[at].hazard()).sum();
        Self { risk, times: group.times, weak: group.weak }
    }
}

/// What an answer tells that is yes so often, in bits.
pub(super) fn entropy(yes: f64) -> f64 {
    if yes <= 0.0 || yes >= 1.0 {
        return 0.0;
    }
    -(yes * yes.log2() + (1.0 - yes) * (1.0 - yes).log2())
}
