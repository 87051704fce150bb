//! Everything that a plan is made from, and a few sums over it.

use super::bits::Bits;
use super::known::Group;
use super::rates::Set;
use super::seen::Seen;
use super::situation::Situation;
use super::stack::Colour;
use super::view::View;

/// A build that hardly passes, and holds more than the set that it would fail by, tells nothing more.
const HARDLY: f64 = 0.05;

/// Everything that a plan is made from.
pub(super) struct Board<'a> {
    pub(super) situation: &'a Situation,
    pub(super) view: &'a View<'a>,
    pub(super) convicted: &'a Bits,
    /// Running stacks that are cancelled, as indexes into `seen`.
    pub(super) useless: Vec<usize>,
}

impl<'a> Board<'a> {
    /// The stacks that run and go on.
    pub(super) fn running(&self) -> Vec<&'a Seen<'a>> {
        let goes_on = |(at, one): &(usize, &Seen<'_>)| one.runs && !self.useless.contains(at);
        self.view.seen.iter().enumerate().filter(goes_on).map(|(_, one)| one).collect()
    }

    /// The sum of the risks of these.
    pub(super) fn risk(&self, members: &Bits) -> f64 {
        members.places().map(|at| self.view.order.entries[at].hazard()).sum()
    }

    /// The age of an entry, in lengths of a build.
    pub(super) fn age(&self, at: usize) -> f64 {
        let waited = self.situation.now.0.saturating_sub(self.view.order.entries[at].since.0);
        // A clock that was set back makes nobody younger.
        waited.max(0) as f64 / self.situation.mean_ms.max(1) as f64
    }

    /// Whether a stack of these tells nothing: one that was convicted is in it, not alone, or all of a set that failed and
    /// others, too, so that it fails by that set in any case.
    pub(super) fn is_doomed(&self, waiting: &Bits) -> bool {
        let fresh = waiting.without(&self.view.known.good);
        let whole = |group: &&Group| group.members.within(&fresh) && group.members != fresh;
        let set = |group: &Group| Set::of(group, &self.view.order.entries);
        let hardly = |group: &Group| self.view.rates.good(&set(group), set(group).risk) < HARDLY;
        let convicted = fresh.meets(self.convicted) && waiting.count() > 1;
        convicted || self.view.known.groups.iter().filter(whole).any(hardly)
    }

    /// How likely those that are known to be good go together.
    ///
    /// Two changes that pass apart seldom fail together. But when sets that are seldom bad fail one after the other on top of
    /// the same good ones, that is what must be thought of.
    pub(super) fn together(&self) -> f64 {
        let good = &self.view.known.good;
        let count = good.count();
        let passed = |one: &Seen<'_>| one.colour == Colour::Green && good.within(&one.waiting);
        if count < 2 || self.view.seen.iter().any(passed) {
            return 1.0;
        }
        let on_top = |group: &&Group| group.stacks.iter().any(|at| good.within(&self.view.seen[*at].waiting));
        let blamed = self.view.known.groups.iter().filter(|group| !group.weak).filter(on_top);
        let odds = blamed.fold(self.view.rates.clash * count as f64, |odds, group| {
            let fails = 1.0 - self.view.rates.before(self.risk(&group.members));
            odds / fails.max(1e-3)
        });
        1.0 / (1.0 + odds)
    }
}
