//! From the question to the answer.

use super::board::Board;
use super::decision::{Action, Decision, Evidence, Purpose};
use super::guilt::{self, Fitness, Health, Verdicts};
use super::known::Known;
use super::order::{Order, Where};
use super::rates::Rates;
use super::seen::{self, Seen};
use super::situation::{By, Candidate, Colour, Line, Move, Situation};
use super::{plan, standing, useless};
use crate::queue::{EntryId, StackId};
use std::collections::HashSet;

/// Everything that is to be done now, and how everybody stands.
pub fn decide(situation: &Situation) -> Decision {
    let mut decision = Decision::default();
    let mut moves = situation.mainline.moves.clone();
    let mut out: HashSet<EntryId> = HashSet::new();
    let landing = landing(situation, &moves, &mut decision);
    eject(situation, &moves, &landing, &mut out, &mut decision);
    // What is landed now, and what passed on top of it, is taken to be in mainline by everything that comes after; if it
    // fails, the lines are of no use.
    let landing = with_next(situation, &mut moves, landing);
    let order = Order::of(situation, &moves, &out);
    let seen = seen::all(situation, &moves, &order);
    let (known, rates, health) = know(situation, &moves, &order, &seen);
    let mut verdicts = guilt::judge(situation, &seen, &order, &known, &rates, &health);
    // Who would be ejected only by what is not landed yet waits for that.
    for (entry, _) in &verdicts.ejected {
        if let Where::At(at) = order.find(*entry) {
            verdicts.convicted.add(at);
        }
    }
    let mut board = Board {
        situation,
        order: &order,
        seen: &seen,
        known: &known,
        rates: &rates,
        convicted: &verdicts.convicted,
        useless: Vec::new(),
    };
    board.useless = useless::find(&board);
    decision.actions.extend(board.useless.iter().map(|at| Action::Cancel { stack: seen[*at].stack.id }));
    let now = health.at(moves.len());
    if now != Fitness::Fails {
        start(&board, &verdicts, now, &landing, &mut decision);
    }
    decision.standings = standing::all(&board, &landing, now);
    decision
}

/// What lands now: of the stacks that passed and stand on mainline the longest.
fn landing(situation: &Situation, moves: &[Move], decision: &mut Decision) -> Vec<EntryId> {
    let order = Order::of(situation, moves, &HashSet::new());
    let seen = seen::all(situation, moves, &order);
    if let Some(begun) = situation.landing {
        let begun = seen.iter().find(|one| one.stack.id == begun);
        return begun.and_then(|one| one.lands.as_deref()).map(|places| order.ids(places)).unwrap_or_default();
    }
    let Some((stack, places)) = tallest(&seen) else { return Vec::new() };
    let entries = order.ids(places);
    decision.actions.push(Action::Land { stack, entries: entries.clone() });
    entries
}

/// Of the stacks that passed and stand on mainline the longest; of equals the first.
fn tallest<'s>(seen: &'s [Seen<'_>]) -> Option<(StackId, &'s [usize])> {
    let green = seen.iter().filter(|one| one.colour == Colour::Green && one.whole);
    let lands = green.filter_map(|one| one.lands.as_deref().map(|places| (one.stack.id, places)));
    lands.filter(|(_, places)| !places.is_empty()).rev().max_by_key(|(_, places)| places.len())
}

/// What is landed now, and what follows by stacks that passed on top of it; both as one move of mainline.
fn with_next(situation: &Situation, moves: &mut Vec<Move>, mut landing: Vec<EntryId>) -> Vec<EntryId> {
    if landing.is_empty() {
        return landing;
    }
    loop {
        moves.push(Move { from: situation.mainline.at, by: By::Landing(landing.clone()) });
        let order = Order::of(situation, moves, &HashSet::new());
        let seen = seen::all(situation, moves, &order);
        let Some((_, places)) = tallest(&seen) else { return landing };
        landing.extend(order.ids(places));
        moves.pop();
    }
}

/// Ejects everybody whose evidence stands, until nobody is left: who is gone changes what is known of others.
fn eject(
    situation: &Situation,
    moves: &[Move],
    landing: &[EntryId],
    out: &mut HashSet<EntryId>,
    decision: &mut Decision,
) {
    for entry in situation.entries.iter().filter(|entry| entry.conflicts && !landing.contains(&entry.id)) {
        out.insert(entry.id);
        decision.actions.push(Action::Eject { entry: entry.id, evidence: Evidence::Conflict });
    }
    loop {
        let order = Order::of(situation, moves, out);
        let seen = seen::all(situation, moves, &order);
        let (known, rates, health) = know(situation, moves, &order, &seen);
        if health.at(moves.len()) == Fitness::Fails {
            return;
        }
        let verdicts = guilt::judge(situation, &seen, &order, &known, &rates, &health);
        let ejected = verdicts.ejected.into_iter().filter(|(entry, _)| !landing.contains(entry));
        let before = out.len();
        for (entry, evidence) in ejected {
            out.insert(entry);
            decision.actions.push(Action::Eject { entry, evidence });
        }
        if out.len() == before {
            return;
        }
    }
}

/// What is known. Failures on a mainline that itself fails are no failures.
fn know(situation: &Situation, moves: &[Move], order: &Order<'_>, seen: &[Seen<'_>]) -> (Known, Rates, Health) {
    let entries = &order.entries;
    let nothing = Known::nothing(order.len());
    let first = Rates::of(&situation.experience, &situation.policy, &nothing, entries);
    let health = Health::of(situation, moves, |times| first.broken(times));
    let known = Known::of(seen, order.len(), |height| health.at(height) == Fitness::Fails);
    let rates = Rates::of(&situation.experience, &situation.policy, &known, entries);
    (known, rates, health)
}

/// Starts what is worth it; first of all mainline itself, if somebody would be ejected that only it can absolve.
fn start(board: &Board<'_>, verdicts: &Verdicts, now: Fitness, landing: &[EntryId], decision: &mut Decision) {
    let situation = board.situation;
    let own = Line { on: situation.mainline.at, entries: Vec::new() };
    let doubted = (now == Fitness::Doubted).then_some(&own);
    let mut free = situation.free;
    if let Some(line) = verdicts.unproven.as_ref().or(doubted).filter(|_| free > 0) {
        let runs = situation.stacks.iter().find(|stack| stack.line == *line);
        let purpose = Purpose::Mainline;
        match runs {
            Some(stack) if stack.runs() || stack.candidate == Candidate::Unmade => {}
            Some(stack) => {
                decision.actions.push(Action::Again { stack: stack.id, purpose });
                free -= 1;
            }
            None => {
                decision.actions.push(Action::Start { line: line.clone(), purpose });
                free -= 1;
            }
        }
    }
    let (starts, steps) = plan::plan(board, free, !landing.is_empty());
    decision.steps += steps;
    for plan::Start { line, purpose } in starts {
        // The same content was built before: it failed, perhaps by chance, or ended without a result.
        if let Some(one) = board.seen.iter().find(|one| one.lands.as_ref() == Some(&line)) {
            decision.actions.push(Action::Again { stack: one.stack.id, purpose });
            continue;
        }
        let own = line.iter().map(|at| board.order.entries[*at].id);
        let entries = landing.iter().copied().chain(own).collect();
        decision.actions.push(Action::Start { line: Line { on: situation.mainline.at, entries }, purpose });
    }
}
