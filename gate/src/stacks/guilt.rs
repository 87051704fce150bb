//! Who is ejected, and by which evidence.

use super::bits::Bits;
use super::decision::Evidence;
use super::health::Fitness;
use super::known::Group;
use super::rates::Set;
use super::seen::Seen;
use super::situation::Situation;
use super::stack::{Candidate, Colour, Line};
use super::view::View;
use crate::ids::EntryId;

/// What follows of who is guilty.
#[derive(Default)]
pub(super) struct Verdicts {
    /// Who is ejected.
    pub(super) ejected: Vec<(EntryId, Evidence)>,
    /// Who is certainly bad, though the evidence does not stand yet.
    pub(super) convicted: Bits,
    /// The commit of mainline that somebody would be ejected by, and that nobody built yet.
    pub(super) unproven: Option<Line>,
}

/// Judges each set of one.
pub(super) fn judge(situation: &Situation, view: &View<'_>) -> Verdicts {
    let View { order, seen, known, rates, health } = view;
    let mut verdicts = Verdicts { convicted: Bits::none(order.len()), ..Verdicts::default() };
    for group in &known.groups {
        let Some(at) = group.members.first().filter(|_| group.members.count() == 1) else { continue };
        let doubt = 1.0 - rates.guilt(&Set::of(group, &order.entries));
        if doubt > 1.0 - situation.policy.sure {
            continue;
        }
        let entry = order.entries[at].id;
        let stands = |stack: &&usize| seen[**stack].waiting == group.members;
        let standing: Vec<&Seen<'_>> = group.stacks.iter().filter(stands).map(|stack| &seen[*stack]).collect();
        if let Some(one) = standing.iter().find(|one| health.at(one.below) == Fitness::Passes) {
            verdicts.ejected.push((entry, evidence(one, group, entry, doubt)));
            continue;
        }
        verdicts.convicted.add(at);
        if let Some(one) = standing.first() {
            let line = || Line { on: one.stack.line.on, entries: Vec::new() };
            verdicts.unproven.get_or_insert_with(line);
        }
    }
    verdicts
}

fn evidence(one: &Seen<'_>, group: &Group, entry: EntryId, doubt: f64) -> Evidence {
    let builder = match (&one.stack.candidate, one.colour) {
        (Candidate::Made(judges), Colour::Red { judge, .. }) => judges[judge].builder.clone(),
        _ => String::new(),
    };
    let with = one.stack.line.entries.iter().copied().filter(|other| *other != entry).collect();
    Evidence::Failed { stack: one.stack.id, builder, with, times: group.times, doubt, passed_before: group.weak }
}
