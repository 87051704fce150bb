//! From the question to the answer.

use super::board::Board;
use super::decision::{Action, Decision, Evidence, Purpose};
use super::guilt::{self, Verdicts};
use super::health::Fitness;
use super::order::Where;
use super::situation::{By, Move, Situation};
use super::stack::{Candidate, Line};
use super::view::View;
use super::{plan, standing, useless};
use crate::ids::EntryId;
use std::collections::HashSet;

/// Everything that is to be done now, and how everybody stands.
pub fn decide(situation: &Situation) -> Decision {
    let mut decision = Decision::default();
    let mut moves = situation.mainline.moves.clone();
    let mut out: HashSet<EntryId> = HashSet::new();
    let view = View::of(situation, &moves, &out);
    let landing = landing(situation, &view, &mut decision);
    let view = eject(situation, view, &moves, &landing, &mut out, &mut decision);
    // What is landed now, and what passed on top of it, is taken to be in mainline by everything that comes after; if it
    // fails, the lines are of no use.
    let (view, landing) = with_next(situation, view, &mut moves, landing, &out);
    let mut verdicts = guilt::judge(situation, &view);
    // Who would be ejected only by what is not landed yet waits for that.
    for (entry, _) in &verdicts.ejected {
        if let Where::At(at) = view.order.find(*entry) {
            verdicts.convicted.add(at);
        }
    }
    let mut board = Board { situation, view: &view, convicted: &verdicts.convicted, useless: Vec::new() };
    board.useless = useless::find(&board);
    decision.actions.extend(board.useless.iter().map(|at| Action::Cancel { stack: view.seen[*at].stack.id }));
    let now = view.health.at(moves.len());
    if now != Fitness::Fails {
        start(&board, &verdicts, now, &landing, &mut decision);
    }
    decision.standings = standing::all(&board, &landing, now);
    decision
}

/// What lands now.
fn landing(situation: &Situation, view: &View<'_>, decision: &mut Decision) -> Vec<EntryId> {
    if let Some(begun) = situation.landing {
        let begun = view.seen.iter().find(|one| one.stack.id == begun);
        return begun.and_then(|one| one.lands.as_deref()).map(|places| view.order.ids(places)).unwrap_or_default();
    }
    let Some((stack, entries)) = view.tallest() else { return Vec::new() };
    decision.actions.push(Action::Land { stack, entries: entries.clone() });
    entries
}

/// Ejects everybody whose evidence stands, until nobody is left: who is gone changes what is known of others.
fn eject<'a>(
    situation: &'a Situation,
    mut view: View<'a>,
    moves: &[Move],
    landing: &[EntryId],
    out: &mut HashSet<EntryId>,
    decision: &mut Decision,
) -> View<'a> {
    for entry in situation.entries.iter().filter(|entry| entry.conflicts && !landing.contains(&entry.id)) {
        out.insert(entry.id);
        decision.actions.push(Action::Eject { entry: entry.id, evidence: Evidence::Conflict });
    }
    if !out.is_empty() {
        view = View::of(situation, moves, out);
    }
    while view.health.at(moves.len()) != Fitness::Fails {
        let before = out.len();
        for (entry, evidence) in guilt::judge(situation, &view).ejected {
            if !landing.contains(&entry) && out.insert(entry) {
                decision.actions.push(Action::Eject { entry, evidence });
            }
        }
        if out.len() == before {
            break;
        }
        view = View::of(situation, moves, out);
    }
    view
}

/// What is landed now, and what follows by stacks that passed on top of it; both as one move of mainline.
fn with_next<'a>(
    situation: &'a Situation,
    mut view: View<'a>,
    moves: &mut Vec<Move>,
    mut landing: Vec<EntryId>,
    out: &HashSet<EntryId>,
) -> (View<'a>, Vec<EntryId>) {
    if landing.is_empty() {
        return (view, landing);
    }
    loop {
        moves.push(Move { from: situation.mainline.at, by: By::Landing(landing.clone()) });
        view = View::of(situation, moves, out);
        let Some((_, entries)) = view.tallest() else { return (view, landing) };
        landing.extend(entries);
        moves.pop();
    }
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
        if let Some(one) = board.view.seen.iter().find(|one| one.lands.as_ref() == Some(&line)) {
            decision.actions.push(Action::Again { stack: one.stack.id, purpose });
            continue;
        }
        let own = line.iter().map(|at| board.view.order.entries[*at].id);
        let entries = landing.iter().copied().chain(own).collect();
        decision.actions.push(Action::Start { line: Line { on: situation.mainline.at, entries }, purpose });
    }
}
