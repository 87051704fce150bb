//! How everybody stands.

use super::board::Board;
use super::decision::{Standing, Why};
use super::health::Fitness;
use crate::ids::EntryId;

/// How each stands that stays, in the queue's order: first those that are landed now, last those that are held.
pub(super) fn all(board: &Board<'_>, landing: &[EntryId], mainline: Fitness) -> Vec<Standing> {
    let order = &board.view.order;
    let running = board.running();
    let landed = landing.iter().map(|entry| (*entry, None, Why::Landing));
    let waits = order.entries.iter().enumerate().map(|(at, entry)| {
        let stack = running.iter().find(|one| one.waiting.has(at)).map(|one| one.stack.id);
        let why = if mainline == Fitness::Fails { Why::MainlineFails } else { why(board, at, stack.is_some()) };
        (entry.id, stack, why)
    });
    let held = order.held.iter().map(|(entry, why)| (entry.id, None, why.clone()));
    let all = landed.chain(waits).chain(held);
    (1..).zip(all).map(|(place, (entry, stack, why))| Standing { entry, place, stack, why }).collect()
}

fn why(board: &Board<'_>, at: usize, tested: bool) -> Why {
    if board.convicted.has(at) {
        return Why::Convicted;
    }
    let order = &board.view.order;
    if let Some(with) = order.conflicts[at].iter().find(|with| **with < at).filter(|_| !tested) {
        return Why::Conflict { with: order.entries[*with].id };
    }
    match board.view.known.group_of(at) {
        Some(group) => {
            let of = u32::try_from(group.members.count()).unwrap_or(u32::MAX);
            Why::Suspect { of, times: group.times }
        }
        None if board.view.known.good.has(at) => Why::Good,
        None => Why::Unknown,
    }
}
