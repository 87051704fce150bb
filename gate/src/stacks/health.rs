//! How mainline itself does.

use super::situation::{By, Move, Situation};
use super::stack::{Colour, Line};

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
