//! The most worthy build of a moment.

use super::atoms::Atom;
use super::bits::Bits;
use super::board::Board;
use super::lives::Lives;
use super::rates::entropy;
use super::worth::{Part, Scale, Weigher};

/// Below this chance that those known to be good go together, a build without them is weighed, too.
const APART: f64 = 0.9;

/// What tells nothing new is started only for so many times a build's price.
const BET: f64 = 6.0;

/// What tells less, in bits, is not started for the age of a set alone.
const TELLS: f64 = 0.01;

/// A build that could be started.
pub(super) struct Choice {
    pub(super) worth: f64,
    /// The whole line: the running stack that it goes on from, those known to be good, and the part that is tested.
    pub(super) line: Vec<usize>,
    /// Of those, the last so many are tested.
    pub(super) tested: usize,
    /// So many are known to be good.
    pub(super) good: usize,
    /// Which set the tested part is of.
    pub(super) atom: Option<usize>,
    /// Whether smaller parts of it tell more, and it is only to land sooner if all of it is good.
    pub(super) bet: bool,
    /// How likely it passes.
    pub(super) passes: f64,
}

/// Weighs builds and keeps the most worthy; of equals the first.
pub(super) struct Weighing<'a> {
    pub(super) board: &'a Board<'a>,
    pub(super) atoms: &'a [Atom],
    pub(super) lives: &'a Lives,
    pub(super) scale: &'a Scale,
    /// How likely those known to be good go together.
    pub(super) together: f64,
    /// Lines that need not be started.
    pub(super) taken: &'a [Vec<usize>],
    pub(super) best: Option<Choice>,
    pub(super) steps: u64,
}

/// What a build could stand on.
struct Base<'b> {
    line: &'b [usize],
    members: Bits,
    passes: f64,
    /// How much sooner what it lands would land by it, in lengths of a build.
    save: f64,
}

/// A base, and those known to be good that are merged on it.
struct Ground<'b> {
    base: &'b Base<'b>,
    good: Vec<usize>,
    /// How likely all that pass, as far as it is not the tested part.
    passes: f64,
}

impl Weighing<'_> {
    /// Weighs everything that could be started now.
    pub(super) fn weigh(&mut self) {
        let lives = self.lives;
        let none = Bits::none(self.board.view.order.len());
        self.weigh_on(&Base { line: &[], members: none, passes: 1.0, save: lives.none_lands() });
        if let Some(live) = lives.chain() {
            let (line, members) = (&live.line, live.members.clone());
            self.weigh_on(&Base { line, members, passes: live.passes, save: live.left });
        }
    }

    fn weigh_on(&mut self, base: &Base<'_>) {
        let good = self.fitting(base, &[], self.board.view.known.good.places(), usize::MAX);
        let apart = !good.is_empty() && self.together < APART;
        let together = if good.is_empty() { 1.0 } else { self.together };
        let ground = Ground { base, good, passes: base.passes * together };
        self.offer_landing(&ground);
        self.offer_parts(&ground);
        if base.line.is_empty() {
            self.offer_bets(&ground);
        }
        if apart {
            self.offer_parts(&Ground { base, good: Vec::new(), passes: base.passes });
        }
    }

    /// Nothing but those known to be good.
    fn offer_landing(&mut self, ground: &Ground<'_>) {
        let count = ground.good.len();
        if count == 0 {
            return;
        }
        let passes = ground.passes * (1.0 - self.board.view.rates.flake);
        let tells = if count > 1 { ground.base.passes * self.scale.bit * entropy(self.together) } else { 0.0 };
        self.offer(passes * count as f64 * ground.base.save + tells, passes, ground, &[], None);
    }

    /// A part of each set.
    fn offer_parts(&mut self, ground: &Ground<'_>) {
        let atoms = self.atoms;
        for (number, atom) in atoms.iter().enumerate() {
            let below_line = ground.base.line.len() + ground.good.len();
            let room = (self.board.situation.policy.most as usize).saturating_sub(below_line);
            let part = self.fitting(ground.base, &ground.good, atom.rest.iter().copied(), atom.most.min(room));
            self.offer_part(ground, number, atom, &part);
        }
    }

    fn offer_part(&mut self, ground: &Ground<'_>, number: usize, atom: &Atom, part: &[usize]) {
        let (board, base) = (self.board, ground.base);
        let below = board.risk(&base.members.and(&atom.members));
        let beside = board.risk(&atom.flying.without(&base.members));
        let weigher = Weigher::new(&board.view.rates, atom.set, Part { below, beside });
        let age = if atom.failed() { self.scale.age(atom.age) } else { 0.0 };
        let (mut risk, mut from) = (0.0, 0);
        for size in sizes(part.len()) {
            risk += part[from..size].iter().map(|at| board.view.order.entries[*at].hazard()).sum::<f64>();
            from = size;
            let says = weigher.says(risk);
            let passes = says.good * (1.0 - board.view.rates.flake);
            let lands = passes * (ground.good.len() + size) as f64 * base.save;
            let ejects = if size == 1 { (1.0 - says.good) * base.save } else { 0.0 };
            let age = if says.bits > TELLS { age } else { 0.0 };
            let worth = ground.passes * (self.scale.bit * says.bits + lands + ejects) + age;
            self.offer(worth, ground.passes * passes, ground, &part[..size], Some(number));
        }
    }

    /// Many of whom nothing is known at once, whether parts of them are tested or not: a bet that all are good, for slots that
    /// would tell little otherwise.
    fn offer_bets(&mut self, ground: &Ground<'_>) {
        let (atoms, board) = (self.atoms, self.board);
        let least = BET * board.situation.policy.price;
        for (number, atom) in atoms.iter().enumerate().filter(|(_, atom)| !atom.failed()) {
            let part = self.fitting(ground.base, &ground.good, atom.members.places(), usize::MAX);
            let along = self.lives.along(&[&ground.good[..], &part].concat());
            let (mut risk, mut from) = (0.0, 0);
            for size in sizes(part.len()) {
                risk += part[from..size].iter().map(|at| board.view.order.entries[*at].hazard()).sum::<f64>();
                from = size;
                let passes = ground.passes * board.view.rates.good(&atom.set, risk) * (1.0 - board.view.rates.flake);
                let worth = along.gain(ground.good.len() + size, passes);
                if worth >= least && self.offer(worth, passes, ground, &part[..size], Some(number)) {
                    self.best.iter_mut().for_each(|best| best.bet = true);
                }
            }
        }
    }

    /// Keeps it if it is the most worthy so far; says whether.
    fn offer(&mut self, worth: f64, passes: f64, ground: &Ground<'_>, part: &[usize], atom: Option<usize>) -> bool {
        self.steps += 1;
        if self.best.as_ref().is_some_and(|best| worth <= best.worth + 1e-12) {
            return false;
        }
        let line: Vec<usize> = [ground.base.line, &ground.good, part].concat();
        if self.taken.contains(&line) || self.board.is_doomed(&Bits::of(self.board.view.order.len(), &line)) {
            return false;
        }
        let good = line.iter().filter(|at| self.board.view.known.good.has(**at)).count();
        self.best = Some(Choice { worth, line, tested: part.len(), good, atom, passes, bet: false });
        true
    }

    /// Of these the first so many that can be merged on it: what they need is in mainline or below them, and nothing below
    /// them conflicts.
    fn fitting(
        &mut self,
        base: &Base<'_>,
        below: &[usize],
        from: impl Iterator<Item = usize>,
        most: usize,
    ) -> Vec<usize> {
        let order = &self.board.view.order;
        let room = (self.board.situation.policy.most as usize).saturating_sub(base.line.len() + below.len());
        let most = most.min(room);
        let mut line = base.members.clone();
        below.iter().for_each(|at| line.add(*at));
        let mut fit = Vec::new();
        for at in from {
            if fit.len() >= most {
                break;
            }
            self.steps += 1;
            let stands = order.needs[at].iter().all(|need| line.has(*need));
            let free = !order.conflicts[at].iter().any(|other| line.has(*other));
            if stands && free && !order.entries[at].conflicts && !line.has(at) {
                line.add(at);
                fit.push(at);
            }
        }
        fit
    }
}

/// The sizes that are tried: each of the small ones, then each by an eighth larger.
fn sizes(most: usize) -> impl Iterator<Item = usize> {
    let next = move |size: &usize| (*size < most).then(|| (size + 1).max(size + size / 8).min(most));
    std::iter::successors((most > 0).then_some(1), next)
}
