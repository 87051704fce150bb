//! Who is good, and which sets hold a bad one: what follows from the colours of all stacks.

use super::bits::Bits;
use super::seen::Seen;
use super::stack::Colour;

/// What is known of the entries.
pub(super) struct Known {
    /// Those that passed in some stack, and may be taken along.
    pub(super) good: Bits,
    /// Disjoint sets with a bad one in each, unless all their failures were by chance. The smallest first.
    pub(super) groups: Vec<Group>,
    /// Of whom nothing is known.
    pub(super) unknown: Bits,
    /// Failures of what passed elsewhere as a part of more, or again: by chance.
    pub(super) flaked: u32,
}

/// A set that failed.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The members.
    pub(super) members: Bits,
    /// How often a stack failed that only they can be the reason of.
    pub(super) times: u32,
    /// Whether all of them passed before, apart: they do not go together, with each other or with what landed.
    pub(super) weak: bool,
    /// The stacks that failed, as indexes into the list of all.
    pub(super) stacks: Vec<usize>,
}

/// A failure that is not explained yet.
struct Failure {
    stack: usize,
    times: u32,
}

impl Known {
    /// Nothing.
    pub(super) fn nothing(size: usize) -> Self {
        Self { good: Bits::none(size), groups: Vec::new(), unknown: Bits::all(size), flaked: 0 }
    }

    /// What the stacks say of so many entries. Of those that stand on a mainline that itself fails no failure counts.
    pub(super) fn of(seen: &[Seen<'_>], size: usize, fails: impl Fn(usize) -> bool) -> Self {
        let greens: Vec<&Seen<'_>> = seen.iter().filter(|one| one.colour == Colour::Green).collect();
        let mut passed = Bits::none(size);
        greens.iter().for_each(|one| passed.join(&one.waiting));
        let mut flaked = 0;
        let mut failures = Vec::new();
        for (stack, one) in seen.iter().enumerate() {
            let Colour::Red { times, .. } = one.colour else { continue };
            if !one.whole || one.waiting.is_empty() || fails(one.below) {
                continue;
            }
            if greens.iter().any(|green| green.below >= one.reaches && one.waiting.within(&green.waiting)) {
                flaked += times;
            } else {
                failures.push(Failure { stack, times });
            }
        }
        let (groups, loose) = groups(seen, &failures, &passed);
        let mut unknown = Bits::all(size);
        unknown.take_out(&passed);
        // Those of sets that are left aside for smaller ones passed apart, but ride along with nobody: they are tested anew.
        let mut good = passed.without(&loose);
        unknown.join(&loose);
        for group in &groups {
            unknown.take_out(&group.members);
            good.take_out(&group.members);
        }
        Self { good, groups, unknown, flaked }
    }

    /// The group that an entry is in.
    pub(super) fn group_of(&self, at: usize) -> Option<&Group> {
        self.groups.iter().find(|group| group.members.has(at))
    }
}

/// The smallest sets first, and of those that overlap the smaller. One all of whose members passed elsewhere is weak; and of
/// weak sets that are left aside the members.
fn groups(seen: &[Seen<'_>], failures: &[Failure], passed: &Bits) -> (Vec<Group>, Bits) {
    let mut sets: Vec<(usize, Group)> = Vec::new();
    for Failure { stack, times } in failures {
        let waiting = &seen[*stack].waiting;
        let suspects = waiting.without(passed);
        let weak = suspects.is_empty();
        let members = if weak { waiting.clone() } else { suspects };
        match sets.iter_mut().find(|(_, set)| set.weak == weak && set.members == members) {
            Some((_, set)) => {
                set.times += times;
                set.stacks.push(*stack);
            }
            None => {
                let group = Group { weak, times: *times, stacks: vec![*stack], members };
                sets.push((group.members.count(), group));
            }
        }
    }
    // What is sorted stably stays in the order of the stacks where it is equal. Sets of those that never passed go first.
    sets.sort_by_key(|(count, set)| (set.weak, *count));
    let mut kept: Vec<Group> = Vec::new();
    let mut loose = Bits::like(passed);
    for (_, set) in sets {
        if !kept.iter().any(|one| one.members.meets(&set.members)) {
            kept.push(set);
        } else if set.weak {
            loose.join(&set.members);
        }
    }
    (kept, loose)
}
