//! What a build is worth: what its result would tell, and what it would land.
//!
//! Worth is counted in branches that need not wait, times the length of a build. A bit of what is not known is worth what
//! it delays: with so many branches not known yet, and so many slots to find out, each bit holds all of them up a little.

use super::rates::{Rates, Set, entropy};

/// How much a bit is worth beside landings.
const BIT: f64 = 2.0;
/// An old set of suspects is looked at though others are worth more: its share of a bit, and what each build's length adds.
const AGE: (f64, f64) = (0.03, 0.005);

/// What is the same for all builds that are weighed at a moment.
pub(super) struct Scale {
    /// What a bit is worth.
    pub(super) bit: f64,
}

impl Scale {
    /// With so many branches not known to be good, and so many slots in all.
    pub(super) fn of(unsure: usize, slots: usize) -> Self {
        Self { bit: BIT * unsure as f64 / slots.max(1) as f64 }
    }

    /// What the age of a set of suspects adds, in lengths of a build.
    pub(super) fn age(&self, lengths: f64) -> f64 {
        self.bit * (AGE.0 + AGE.1 * lengths).min(1.0)
    }
}

/// A part of a set, while others of it are being built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The risk of what is below it in the same line, of the same set.
    pub(super) below: f64,
    /// The risk of what else of the set is being built.
    pub(super) beside: f64,
}

/// What a build of a part of a set would say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Says {
    /// How likely the part is good, if what is below it is.
    pub(super) good: f64,
    /// What its result tells, in bits, if what is below it is good; what the others say may have been told then.
    pub(super) bits: f64,
}

/// Weighs parts of one set: what does not depend on the part is worked out once.
pub(super) struct Weigher<'a> {
    rates: &'a Rates,
    set: Set,
    part: Part,
    /// How likely what is below is good.
    below: f64,
    /// How likely what is below and beside is good.
    both: f64,
}

impl<'a> Weigher<'a> {
    pub(super) fn new(rates: &'a Rates, set: Set, part: Part) -> Self {
        let below = rates.good(&set, part.below).max(1e-12);
        let both = if part.beside > 0.0 { rates.good(&set, part.below + part.beside) } else { below };
        Self { rates, set, part, below, both }
    }

    /// What a build of so much more would say.
    pub(super) fn says(&self, risk: f64) -> Says {
        let with = self.rates.good(&self.set, self.part.below + risk);
        let good = (with / self.below).clamp(0.0, 1.0);
        if self.part.beside <= 0.0 {
            return Says { good, bits: entropy(good) };
        }
        let all = self.rates.good(&self.set, self.part.below + self.part.beside + risk);
        let passes = (self.both / self.below).clamp(0.0, 1.0);
        let if_passes = if self.both > 1e-12 { all / self.both } else { 0.0 };
        let fails = self.below - self.both;
        let if_fails = if fails > 1e-12 { (with - all) / fails } else { 0.0 };
        Says { good, bits: passes * entropy(if_passes) + (1.0 - passes) * entropy(if_fails) }
    }
}
