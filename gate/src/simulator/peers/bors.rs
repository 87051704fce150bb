//! bors-ng: everything that waits is one batch; a batch that fails is cut in two halves, of which the first is tested first
//! (<https://forum.bors.tech/t/what-happens-when-a-batch-fails/>). One batch is tested at a time.

use super::Peer;
use crate::simulator::score::Score;
use crate::simulator::world::World;
use std::collections::VecDeque;

/// bors' batches with bisection.
pub fn bors(world: &World) -> Score {
    let mut game = Peer::new(world);
    let (mut time, mut next): (f64, usize) = (0.0, 0);
    let mut halves: VecDeque<Vec<usize>> = VecDeque::new();
    while next < world.setting.branches || !halves.is_empty() {
        let batch = halves.pop_front().unwrap_or_else(|| {
            time = time.max(world.arrives[next]);
            let from = next;
            while next < world.setting.branches && world.arrives[next] <= time {
                next += 1;
            }
            (from..next).collect()
        });
        time += game.start();
        match (game.passes(&[], &batch), &batch[..]) {
            (true, _) => batch.iter().for_each(|at| game.leaves(*at, time, true)),
            (false, [only]) => game.leaves(*only, time, false),
            (false, _) => {
                let (first, second) = batch.split_at(batch.len() / 2);
                halves.push_front(second.to_vec());
                halves.push_front(first.to_vec());
            }
        }
    }
    game.score
}
