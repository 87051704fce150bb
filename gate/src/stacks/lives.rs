//! The running stacks that may land, and the chains that they form.

use super::atoms::Atom;
use super::bits::Bits;
use super::board::Board;
use super::seen::Seen;

/// What a build is taken to last yet, at least, as a part of the mean: it should have ended already.
const LEFT: f64 = 0.1;

/// A running stack that may land.
pub(super) struct Live {
    pub(super) line: Vec<usize>,
    pub(super) members: Bits,
    /// How likely it passes.
    pub(super) passes: f64,
    /// The running stack that it stands on, the highest of them; mainline, if none.
    below: Option<usize>,
    /// How long it takes yet, in lengths of a build.
    pub(super) left: f64,
}

/// The running stacks that may land.
#[derive(Default)]
pub(super) struct Lives(pub(super) Vec<Live>);

impl Lives {
    /// Of those that run.
    pub(super) fn of(board: &Board<'_>, running: &[&Seen<'_>], atoms: &[Atom], together: f64) -> Self {
        let mut lives = Self::default();
        for one in running {
            let Some(line) = one.lands.clone().filter(|line| !line.is_empty()) else { continue };
            let ran = board.situation.now.0.saturating_sub(one.stack.begun.0).max(0);
            let left = 1.0 - ran as f64 / board.situation.mean_ms.max(1) as f64;
            let passes = passes(board, atoms, &one.waiting, together);
            lives.add(line, one.waiting.clone(), passes, left.max(LEFT));
        }
        lives
    }

    pub(super) fn add(&mut self, line: Vec<usize>, members: Bits, passes: f64, left: f64) {
        let length = |at: Option<usize>| at.map_or(0, |at| self.0[at].line.len());
        let mut below = None;
        let mut above = Vec::new();
        for (at, other) in self.0.iter().enumerate() {
            if other.line.len() > length(below) && other.line.len() < line.len() && line.starts_with(&other.line) {
                below = Some(at);
            }
            if other.line.len() > line.len() && length(other.below) < line.len() && other.line.starts_with(&line) {
                above.push(at);
            }
        }
        let new = self.0.len();
        above.into_iter().for_each(|at| self.0[at].below = Some(new));
        self.0.push(Live { line, members, passes, below, left });
    }

    /// How likely none of them lands.
    pub(super) fn none_lands(&self) -> f64 {
        self.0.iter().filter(|live| live.below.is_none()).map(|live| 1.0 - live.passes).product()
    }

    /// The running stacks as seen along a line, so that its lower parts are compared with them quickly.
    pub(super) fn along(&self, line: &[usize]) -> Along {
        let common = |live: &Live| live.line.iter().zip(line).take_while(|(one, other)| one == other).count();
        let shared = self.0.iter().map(|live| (common(live), live.line.len(), live.passes));
        Along(shared.filter(|(common, ..)| *common > 0).collect())
    }

    /// The end of the chain that most likely passes as a whole.
    pub(super) fn chain(&self) -> Option<&Live> {
        let mut end: Option<usize> = None;
        loop {
            // Of equals the first.
            let above = self.0.iter().enumerate().rev().filter(|(_, live)| live.below == end);
            match above.max_by(|(_, a), (_, b)| a.passes.total_cmp(&b.passes)) {
                Some((at, _)) => end = Some(at),
                None => return end.map(|at| &self.0[at]),
            }
        }
    }
}

/// Of each running stack how much it has in common with a line, how long it is, and how likely it passes.
pub(super) struct Along(Vec<(usize, usize, f64)>);

impl Along {
    /// How many more would land, as a mean, if the lower part of this length were built, too, which passes so likely: those
    /// between the next lower line that is built and this one, if this one passes and the next higher one does not.
    pub(super) fn gain(&self, length: usize, passes: f64) -> f64 {
        let (mut lower, mut higher) = (0, 0.0_f64);
        for (common, live, passes) in &self.0 {
            if common == live && *live <= length {
                lower = lower.max(*live);
            }
            if *common >= length {
                higher = higher.max(*passes);
            }
        }
        (length - lower) as f64 * (passes - higher)
    }
}

/// How likely a stack of these passes.
fn passes(board: &Board<'_>, atoms: &[Atom], members: &Bits, together: f64) -> f64 {
    let several = members.and(&board.view.known.good).count() > 1;
    let start = if several { together } else { 1.0 };
    let part = |atom: &Atom| board.view.rates.good(&atom.set, board.risk(&members.and(&atom.members)));
    start * atoms.iter().map(part).product::<f64>() * (1.0 - board.view.rates.flake)
}
