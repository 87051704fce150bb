//! What each stack says today: its members as places in the queue of now.

use super::bits::Bits;
use super::order::{Order, Where};
use super::situation::{By, Move, Situation};
use super::stack::{Colour, MainlineId, Stack};
use std::collections::HashMap;

/// A stack as it is seen now.
pub(super) struct Seen<'a> {
    /// The stack.
    pub(super) stack: &'a Stack,
    /// What its builds say.
    pub(super) colour: Colour,
    /// Whether some of them run.
    pub(super) runs: bool,
    /// Its members that wait.
    pub(super) waiting: Bits,
    /// Whether each of its members waits or landed.
    pub(super) whole: bool,
    /// How many moves of mainline are below it: those before the commit that it stands on, and those that landed its own lower part.
    pub(super) below: usize,
    /// How many moves must be below another stack, so that all of this one's members that landed are below that.
    pub(super) reaches: usize,
    /// What it would land now, as places, if it stands on mainline as it is.
    pub(super) lands: Option<Vec<usize>>,
}

/// All stacks that still say something.
pub(super) fn all<'a>(situation: &'a Situation, moves: &[Move], order: &Order<'_>) -> Vec<Seen<'a>> {
    let mut heights: HashMap<MainlineId, usize> = moves.iter().map(|one| one.from).zip(0..).collect();
    heights.insert(situation.mainline.at, situation.mainline.moves.len());
    situation.stacks.iter().filter_map(|stack| seen(stack, moves, &heights, order)).collect()
}

fn seen<'a>(
    stack: &'a Stack,
    moves: &[Move],
    heights: &HashMap<MainlineId, usize>,
    order: &Order<'_>,
) -> Option<Seen<'a>> {
    let stands = *heights.get(&stack.line.on)?;
    let mut waiting = Bits::none(order.len());
    let (mut whole, mut reaches) = (true, stands);
    for entry in &stack.line.entries {
        match order.find(*entry) {
            // One that stands in it twice makes it no line.
            Where::At(at) if waiting.has(at) => return None,
            Where::At(at) => waiting.add(at),
            Where::Landed(by) => reaches = reaches.max(by + 1),
            Where::Gone => whole = false,
        }
    }
    let (mut below, mut rest) = (stands, &stack.line.entries[..]);
    while let Some(By::Landing(landed)) = moves.get(below).map(|one| &one.by)
        && let Some(above) = rest.strip_prefix(&landed[..])
    {
        (below, rest) = (below + 1, above);
    }
    let place = |entry| match order.find(entry) {
        Where::At(at) => Some(at),
        Where::Landed(_) | Where::Gone => None,
    };
    let lands = (below == moves.len()).then(|| rest.iter().map(|entry| place(*entry)).collect()).flatten();
    let (colour, runs) = (stack.colour(), stack.runs());
    Some(Seen { stack, colour, runs, waiting, whole, below, reaches, lands })
}
