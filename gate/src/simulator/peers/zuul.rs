//! Zuul's dependent pipeline: each change is tested on top of the nearest ones before it that have not failed; when one
//! fails, all behind it begin anew without it. The window of changes that are tested starts at 20, grows by one with each
//! that lands, and is halved, down to 3, by each that fails
//! (<https://zuul-ci.org/docs/zuul/latest/config/pipeline.html>, `window`, `window-floor`, and their kin).

use super::Peer;
use crate::simulator::score::Score;
use crate::simulator::world::World;

const WINDOW: usize = 20;
const FLOOR: usize = 3;

/// A change in the queue.
struct Item {
    branch: usize,
    build: Option<Build>,
}

/// Its build.
struct Build {
    /// The changes that it was built on.
    ahead: Vec<usize>,
    ends: f64,
    passes: bool,
    ended: bool,
}

impl Item {
    fn failed(&self) -> bool {
        self.build.as_ref().is_some_and(|build| build.ended && !build.passes)
    }
}

/// Zuul's window.
pub fn zuul(world: &World) -> Score {
    let mut game = Peer::new(world);
    let (mut time, mut next, mut window): (f64, usize, usize) = (0.0, 0, WINDOW);
    let mut queue: Vec<Item> = Vec::new();
    loop {
        while next < world.setting.branches && world.arrives[next] <= time {
            queue.push(Item { branch: next, build: None });
            next += 1;
        }
        settle(&mut game, &mut queue, time, &mut window);
        start(&mut game, &mut queue, time, window);
        let builds = queue.iter().filter_map(|item| item.build.as_ref()).filter(|build| !build.ended);
        let arrives = (next < world.setting.branches).then(|| world.arrives[next]);
        let Some(then) = builds.map(|build| build.ends).chain(arrives).min_by(f64::total_cmp) else { break };
        time = then;
        for build in queue.iter_mut().filter_map(|item| item.build.as_mut()) {
            build.ended |= build.ends <= time;
        }
    }
    game.score
}

/// Forgets builds on what failed, and lets the first leave as long as it is decided.
fn settle(game: &mut Peer<'_>, queue: &mut Vec<Item>, time: f64, window: &mut usize) {
    loop {
        let mut ahead: Vec<usize> = Vec::new();
        for item in queue.iter_mut() {
            if item.build.as_ref().is_some_and(|build| build.ahead != ahead) {
                item.build = None;
            }
            if !item.failed() {
                ahead.push(item.branch);
            }
        }
        let Some(passes) = queue.first().and_then(|item| item.build.as_ref()).filter(|build| build.ended) else {
            return;
        };
        let passes = passes.passes;
        let first = queue.remove(0);
        game.leaves(first.branch, time, passes);
        *window = if passes { *window + 1 } else { FLOOR.max(*window / 2) };
        for build in queue.iter_mut().filter_map(|item| item.build.as_mut()) {
            build.ahead.retain(|branch| *branch != first.branch);
        }
    }
}

/// Builds those in the window, the first first.
fn start(game: &mut Peer<'_>, queue: &mut [Item], time: f64, window: usize) {
    let running = queue.iter().filter(|item| item.build.as_ref().is_some_and(|build| !build.ended)).count();
    let mut free = (game.world.setting.slots as usize).saturating_sub(running);
    let mut ahead: Vec<usize> = Vec::new();
    for item in queue.iter_mut().take(window) {
        if item.build.is_none() && free > 0 {
            free -= 1;
            let ends = time + game.start();
            let passes = game.passes(&ahead, &[item.branch]);
            item.build = Some(Build { ahead: ahead.clone(), ends, passes, ended: false });
        }
        if !item.failed() {
            ahead.push(item.branch);
        }
    }
}
