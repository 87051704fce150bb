//! Who is ejected, and by which evidence.

use super::bits::Bits;
use super::decision::Evidence;
use super::known::Group;
use super::rates::Set;
use super::seen::Seen;
use super::situation::{By, Candidate, Colour, Line, Move, Situation};
use super::view::View;
use crate::queue::EntryId;

/// How mainline itself does, by how many moves led there.
pub(super) struct Health(Vec<Fitness>);

/// How a commit of mainline does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fitness {
    /// Nobody built it.
    Unknown,
    /// It passed.
    Passes,
    /// It failed, so often that it is certain enough.
    Fails,
    /// It failed, perhaps by chance.
    Doubted,
}

impl Health {
    /// What is known of each commit of mainline: one that was landed passed, others by builds of mainline itself.
    pub(super) fn of(situation: &Situation, moves: &[Move], rates: impl Fn(u32) -> f64) -> Self {
        let mut all = vec![Fitness::Unknown; moves.len() + 1];
        if situation.mainline.began_by_queue {
            all[0] = Fitness::Passes;
        }
        for (at, one) in moves.iter().enumerate() {
            if matches!(one.by, By::Landing(_)) {
                all[at + 1] = Fitness::Passes;
            }
        }
        let height = |line: &Line| moves.iter().position(|one| one.from == line.on);
        let now = |line: &Line| (line.on == situation.mainline.at).then_some(situation.mainline.moves.len());
        for stack in situation.stacks.iter().filter(|stack| stack.line.entries.is_empty()) {
            let Some(at) = now(&stack.line).or_else(|| height(&stack.line)) else { continue };
            all[at] = match stack.colour() {
                Colour::Green => Fitness::Passes,
                Colour::Red { times, .. } if rates(times) >= situation.policy.sure => Fitness::Fails,
                Colour::Red { .. } => Fitness::Doubted,
                Colour::Open => all[at],
            };
        }
        Self(all)
    }

    pub(super) fn at(&self, height: usize) -> Fitness {
        self.0.get(height).copied().unwrap_or(Fitness::Unknown)
    }
}

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
