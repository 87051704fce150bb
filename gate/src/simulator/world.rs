//! One draw of everything that can be drawn beforehand.

use super::draws::Draws;
use super::faults::Faults;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// So many branches.
    pub branches: usize,
    /// So many are accepted in each length of a build; all at the start, where it is `None`.
    pub arrivals: Option<f64>,
    /// How likely each is bad.
    pub bad: f64,
    /// So many builds at once.
    pub slots: u32,
    /// How often a build of good content fails by chance.
    pub flake: f64,
    /// How likely two branches fail together though neither does alone.
    pub clash: f64,
    /// Builds take from 1 less this to 1 more this.
    pub spread: f64,
    /// So many builders judge each stack. A slot builds by all of them.
    pub builders: usize,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            branches: 100,
            arrivals: None,
            bad: 0.05,
            slots: 4,
            flake: 0.0,
            clash: 0.0,
            spread: 0.0,
            builders: 1,
            faults: Faults::default(),
        }
    }
}

impl Setting {
    /// A small project on a day when everything goes wrong, drawn.
    pub fn bad_day(draws: &mut Draws) -> Self {
        // Squares: most are small, some are not.
        let mut few = |most: f64| most * draws.unit() * draws.unit();
        let (flake, clash, bad) = (few(0.2), few(0.05), few(0.5));
        Self {
            branches: 1 + draws.below(30),
            arrivals: draws.happens(0.5).then(|| 0.5 + 4.0 * draws.unit()),
            bad,
            slots: u32::try_from(1 + draws.below(8)).unwrap_or(1),
            flake,
            clash,
            spread: 0.5,
            builders: 1 + draws.below(2),
            faults: Faults::bad_day(),
        }
    }
}

/// One draw of a setting: the same for every queue that is played in it.
#[derive(Clone, Debug)]
pub struct World {
    /// Of what it is a draw.
    pub setting: Setting,
    /// The seed.
    pub seed: u64,
    /// When each branch is accepted.
    pub arrives: Vec<f64>,
    /// Whether each is bad.
    pub bad: Vec<bool>,
    /// The pairs that fail together.
    pub clashes: Vec<(usize, usize)>,
    /// The pairs that conflict in their text.
    pub conflicts: Vec<(usize, usize)>,
    /// The one that each needs, if it does; one before it.
    pub needs: Vec<Option<usize>>,
    /// The priority of each.
    pub priority: Vec<i32>,
}

impl World {
    /// The draw of a seed.
    pub fn drawn(setting: &Setting, seed: u64) -> Self {
        let from = Draws::new(seed);
        let branches = setting.branches;
        let (mut bad, mut arrive, mut other) = (from.apart(1), from.apart(2), from.apart(3));
        let mut time = 0.0;
        let mut next = || match setting.arrivals {
            Some(rate) => {
                time += arrive.wait(rate);
                time
            }
            None => 0.0,
        };
        let arrives = (0..branches).map(|_| next()).collect();
        let bad = (0..branches).map(|_| bad.happens(setting.bad)).collect();
        let clashes = pairs(branches, setting.clash, &mut from.apart(4));
        let conflicts = pairs(branches, setting.faults.conflicts, &mut from.apart(5));
        let need = |at: usize, draws: &mut Draws| {
            (at > 0 && draws.happens(setting.faults.needs)).then(|| at - 1 - draws.below(at.min(5)))
        };
        let needs: Vec<Option<usize>> = (0..branches).map(|at| need(at, &mut other)).collect();
        // One that needs another does not conflict with it: it was made on top of it.
        let conflicts = conflicts.into_iter().filter(|(one, two)| needs[*two] != Some(*one)).collect();
        let some = |draws: &mut Draws| i32::from(draws.happens(setting.faults.priorities));
        let priority = (0..branches).map(|_| some(&mut other)).collect();
        Self { setting: *setting, seed, arrives, bad, clashes, conflicts, needs, priority }
    }

    /// Draws for what happens while it is played.
    pub fn draws(&self, name: u64) -> Draws {
        Draws::new(self.seed).apart(name)
    }

    /// How long a build takes.
    pub fn length(&self, draws: &mut Draws) -> f64 {
        1.0 + self.setting.spread * (2.0 * draws.unit() - 1.0)
    }

    /// Whether content of these branches is good: of those below, which are in mainline, and those above.
    pub fn is_good(&self, has: impl Fn(usize) -> bool, above: &[usize]) -> bool {
        let clash = |(one, two): &(usize, usize)| has(*one) && has(*two);
        !above.iter().any(|at| self.bad[*at]) && !self.clashes.iter().any(clash)
    }
}

/// Pairs of so many, each with this chance; drawn by their distances, because they are few.
fn pairs(count: usize, chance: f64, draws: &mut Draws) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    if chance <= 0.0 {
        return pairs;
    }
    for one in 0..count {
        let mut two = one + 1;
        loop {
            let skip = (1.0 - draws.unit()).ln() / (1.0 - chance).ln();
            two += skip.min(count as f64) as usize;
            if two >= count {
                break;
            }
            pairs.push((one, two));
            two += 1;
        }
    }
    pairs
}
