//! Other queues, as their documents describe them, in the same worlds. None repeats what failed, and each blames who it
//! tested last. Neither faults nor needs are played.

mod bors;
mod zuul;

pub use bors::bors;
pub use zuul::zuul;

use super::draws::Draws;
use super::score::{Decided, Score};
use super::world::World;

/// One branch at a time on mainline, whatever slots there are.
pub fn serial(world: &World) -> Score {
    let mut game = Peer::new(world);
    let mut time: f64 = 0.0;
    for at in 0..world.setting.branches {
        time = time.max(world.arrives[at]) + game.start();
        let passes = game.passes(&[], &[at]);
        game.leaves(at, time, passes);
    }
    game.score
}

/// What all of them do.
struct Peer<'a> {
    world: &'a World,
    draws: Draws,
    landed: Vec<bool>,
    score: Score,
}

impl<'a> Peer<'a> {
    fn new(world: &'a World) -> Self {
        let landed = vec![false; world.setting.branches];
        Self { world, draws: world.draws(11), landed, score: Score::default() }
    }

    /// Counts a build, and says how long it takes.
    fn start(&mut self) -> f64 {
        self.score.tests += 1;
        self.world.length(&mut self.draws)
    }

    /// Whether a build of these on mainline passes.
    fn passes(&mut self, below: &[usize], own: &[usize]) -> bool {
        let line: Vec<usize> = [below, own].concat();
        let good = self.world.is_good(|at| self.landed[at] || line.contains(&at), &line);
        good && !self.draws.happens(self.world.setting.flake)
    }

    fn leaves(&mut self, branch: usize, at: f64, landed: bool) {
        let good = self.world.is_good(|other| other == branch || self.landed[other], &[branch]);
        self.landed[branch] = landed;
        let waited = at - self.world.arrives[branch];
        self.score.decided.push(Decided { branch, waited, at, landed, wronged: !landed && good });
    }
}
