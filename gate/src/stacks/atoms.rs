//! The sets whose parts can be tested: each set that failed, and those of whom nothing is known.

use super::bits::Bits;
use super::board::Board;
use super::rates::Set;
use super::seen::Seen;

/// So many slots for each bit that is not known: more would test what others have told by then.
const SLOTS_PER_BIT: f64 = 2.0;

/// A set whose parts can be tested.
pub(super) struct Atom {
    pub(super) set: Set,
    pub(super) members: Bits,
    /// How many members.
    pub(super) size: usize,
    /// What of it is in running stacks.
    pub(super) flying: Bits,
    /// The others, in order.
    pub(super) rest: Vec<usize>,
    /// At most so many at once, so that each slot gets its share.
    pub(super) most: usize,
    /// How long its oldest member waits, in lengths of a build.
    pub(super) age: f64,
}

impl Atom {
    /// Whether it failed.
    pub(super) fn failed(&self) -> bool {
        self.set.times > 0
    }

    /// These are tested now, too.
    pub(super) fn fly(&mut self, part: &[usize]) {
        part.iter().for_each(|at| self.flying.add(*at));
        let flying = &self.flying;
        self.rest.retain(|at| !flying.has(*at));
    }
}

/// All sets of which a part could be tested.
pub(super) fn all(board: &Board<'_>, running: &[&Seen<'_>]) -> Vec<Atom> {
    let mut flying = Bits::none(board.view.order.len());
    running.iter().for_each(|one| flying.join(&one.waiting));
    let sets = board.view.known.groups.iter().filter(|group| !group.members.meets(board.convicted));
    let sets = sets.map(|group| (Set::of(group, &board.view.order.entries), group.members.clone()));
    let unknown = Set { risk: board.risk(&board.view.known.unknown), times: 0, weak: false };
    let mut atoms: Vec<Atom> = sets
        .chain(std::iter::once((unknown, board.view.known.unknown.clone())))
        .filter(|(_, members)| !members.is_empty())
        .map(|(set, members)| {
            let age = members.places().map(|at| board.age(at)).fold(0.0, f64::max);
            let rest = members.without(&flying).places().collect();
            Atom { set, size: members.count(), flying: members.and(&flying), rest, most: 0, age, members }
        })
        .collect();
    share(board, &mut atoms);
    atoms
}

/// Shares the free slots out by how much is not known of each.
fn share(board: &Board<'_>, atoms: &mut [Atom]) {
    let bits = |atom: &Atom| {
        let part = atom.rest.len() as f64 / atom.size as f64;
        board.view.rates.bits(&atom.set, atom.size) * part
    };
    let bits: Vec<f64> = atoms.iter().map(bits).collect();
    let sum: f64 = bits.iter().sum();
    let slots = f64::from(board.situation.free).min((SLOTS_PER_BIT * sum).ceil());
    for (atom, bits) in atoms.iter_mut().zip(bits) {
        let share = if sum > 0.0 { (slots * bits / sum).max(1.0) } else { 1.0 };
        atom.most = (atom.rest.len() as f64 / share).ceil() as usize;
    }
}
