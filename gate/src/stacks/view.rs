//! The situation as it is seen with some out of the queue, and mainline moved so.

use super::health::{Fitness, Health};
use super::known::Known;
use super::order::Order;
use super::rates::Rates;
use super::seen::{self, Seen};
use super::situation::{Move, Situation};
use super::stack::Colour;
use crate::ids::{EntryId, StackId};
use std::collections::HashSet;

/// Who waits where, what each stack says, and what follows.
pub(super) struct View<'a> {
    pub(super) order: Order<'a>,
    pub(super) seen: Vec<Seen<'a>>,
    pub(super) known: Known,
    pub(super) rates: Rates,
    pub(super) health: Health,
}

impl<'a> View<'a> {
    /// The situation without these, when mainline came where it is by these moves.
    pub(super) fn of(situation: &'a Situation, moves: &[Move], out: &HashSet<EntryId>) -> Self {
        let order = Order::of(situation, moves, out);
        let seen = seen::all(situation, moves, &order);
        let of = |known: &Known| Rates::of(&situation.experience, &situation.policy, known, &order.entries);
        // Whether mainline is broken does not hang on who else is bad.
        let broken = of(&Known::nothing(order.len()));
        let health = Health::of(situation, moves, |times| broken.broken(times));
        // Failures on a mainline that itself fails are no failures.
        let known = Known::of(&seen, order.len(), |height| health.at(height) == Fitness::Fails);
        let rates = of(&known);
        Self { order, seen, known, rates, health }
    }

    /// Of the stacks that passed and stand on mainline the longest, of equals the first; and what it lands.
    pub(super) fn tallest(&self) -> Option<(StackId, Vec<EntryId>)> {
        let green = self.seen.iter().filter(|one| one.colour == Colour::Green && one.whole);
        let lands = green.filter_map(|one| one.lands.as_deref().map(|places| (one.stack.id, places)));
        let tallest = lands.filter(|(_, places)| !places.is_empty()).rev().max_by_key(|(_, places)| places.len());
        tallest.map(|(stack, places)| (stack, self.order.ids(places)))
    }
}
