//! Which running builds nobody needs to know the end of.

use super::board::Board;
use super::seen::Seen;

/// The stacks whose builds to cancel, as indexes into the list of all.
pub(super) fn find(board: &Board<'_>) -> Vec<usize> {
    let useless = |one: &Seen<'_>| {
        let tells = one.lands.is_some() || !one.waiting.within(&board.view.known.good);
        let own = one.stack.line.entries.is_empty();
        one.runs && !own && (!one.whole || !tells || board.is_doomed(&one.waiting))
    };
    board.view.seen.iter().enumerate().filter(|(_, one)| useless(one)).map(|(at, _)| at).collect()
}
