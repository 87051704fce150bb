//! Which builds to start: the most worthy one for each free slot, one after the other.

use super::atoms::{self, Atom};
use super::bits::Bits;
use super::board::Board;
use super::decision::Purpose;
use super::lives::Lives;
use super::stack::Candidate;
use super::weigh::{Choice, Weighing};
use super::worth::Scale;

/// A build to start: the places of a line on mainline, in order.
pub(super) struct Start {
    pub(super) line: Vec<usize>,
    pub(super) purpose: Purpose,
}

/// The builds to start, and how much was weighed. While something is landed nothing is started for want of something better.
pub(super) fn plan(board: &Board<'_>, free: u32, lands: bool) -> (Vec<Start>, u64) {
    let running = board.running();
    let together = board.together();
    let mut atoms = atoms::all(board, &running);
    let mut lives = Lives::of(board, &running, &atoms, together);
    let unsure = board.view.order.len() - board.view.known.good.count();
    let scale = Scale::of(unsure, board.situation.free as usize + running.len());
    let mut taken = taken(board);
    let mut steps = board.view.seen.len() as u64;
    let mut starts: Vec<Start> = Vec::new();
    for _ in 0..free {
        let mut weighing = Weighing {
            board,
            atoms: &atoms,
            lives: &lives,
            scale: &scale,
            together,
            taken: &taken,
            best: None,
            steps: 0,
        };
        weighing.weigh();
        steps += weighing.steps;
        let idle = running.is_empty() && starts.is_empty();
        let worthy = |choice: &Choice| idle || choice.worth >= board.situation.policy.price;
        let Some(choice) = weighing.best.filter(worthy) else { break };
        let purpose = purpose(&choice, &atoms);
        if let Some(atom) = choice.atom.filter(|_| !choice.bet) {
            let part = &choice.line[choice.line.len() - choice.tested..];
            atoms[atom].fly(part);
        }
        let members = Bits::of(board.view.order.len(), &choice.line);
        lives.add(choice.line.clone(), members, choice.passes, 1.0);
        taken.push(choice.line.clone());
        starts.push(Start { line: choice.line, purpose });
    }
    if starts.is_empty() && running.is_empty() && free > 0 && !lands {
        starts.extend(first(board, &taken));
    }
    (starts, steps)
}

/// The lines that need not be started: they run, or they can't be made.
fn taken(board: &Board<'_>) -> Vec<Vec<usize>> {
    let useless = |one: &super::seen::Seen<'_>| one.runs || one.stack.candidate == Candidate::Unmade;
    board.view.seen.iter().filter(|one| useless(one)).filter_map(|one| one.lands.clone()).collect()
}

/// When nothing else is to be done: the first of the queue, alone on mainline with what it needs.
fn first(board: &Board<'_>, taken: &[Vec<usize>]) -> Option<Start> {
    let order = &board.view.order;
    let fits = |at: &usize| !order.entries[*at].conflicts;
    let (last, first): (Vec<usize>, Vec<usize>) =
        (0..order.len()).filter(fits).partition(|at| board.convicted.has(*at));
    first.into_iter().chain(last).find_map(|at| {
        let mut line = Bits::of(order.len(), &[at]);
        for below in (0..=at).rev() {
            if line.has(below) {
                order.needs[below].iter().for_each(|need| line.add(*need));
            }
        }
        let line: Vec<usize> = line.places().collect();
        let fits = line.len() <= board.situation.policy.most as usize && !taken.contains(&line);
        let purpose = Purpose::Fresh { fresh: u32::try_from(line.len()).unwrap_or(u32::MAX), good: 0 };
        fits.then_some(Start { line, purpose })
    })
}

fn purpose(choice: &Choice, atoms: &[Atom]) -> Purpose {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (good, some) = (number(choice.good), number(choice.tested));
    match choice.atom.map(|atom| &atoms[atom]) {
        None => Purpose::Land { good },
        Some(atom) if atom.failed() => Purpose::Suspects { some, of: number(atom.size), good },
        Some(_) => Purpose::Fresh { fresh: some, good },
    }
}
