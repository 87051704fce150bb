//! How long an answer takes, on this machine.

use crate::Row;
use gate::simulator::{Game, Setting, World, play_told};
use gate::stacks::{Situation, decide};
use std::time::Instant;

/// Of so many questions one is asked again.
const EACH: usize = 5;
/// Each is asked so often, and the quickest answer counts: what else the machine does is not the question.
const TIMES: usize = 5;

/// 1,000 branches at the start and 32 slots; the slowest of many answers.
pub(crate) fn all(seed: u64) -> Result<(), String> {
    let mut all = Vec::new();
    for bad in [0.01, 0.05, 0.1, 0.25] {
        let setting = Setting { branches: 1000, bad, slots: 32, spread: 0.5, ..Setting::default() };
        let world = World::drawn(&setting, seed);
        let mut questions: Vec<Situation> = Vec::new();
        let mut asked = 0_usize;
        let mut keep = |situation: &Situation, _: &_| {
            asked += 1;
            if asked.is_multiple_of(EACH) {
                questions.push(situation.clone());
            }
        };
        play_told(&world, &Game::default(), &mut keep).map_err(|broken| broken.to_string())?;
        all.extend(questions.iter().map(quickest));
    }
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all.get((all.len() as f64 * share) as usize).or(all.last()).copied().unwrap_or_default();
    Row::new("an answer for 1,000 branches and 32 slots: half within", at(0.5), "ms").print();
    Row::new("an answer for 1,000 branches and 32 slots: 99 of 100 within", at(0.99), "ms").print();
    Row::new("an answer for 1,000 branches and 32 slots: the slowest", at(1.0), "ms").print();
    Ok(())
}

fn quickest(situation: &Situation) -> f64 {
    let once = |_| {
        let begun = Instant::now();
        std::hint::black_box(decide(situation));
        begun.elapsed().as_secs_f64() * 1e3
    };
    (0..TIMES).map(once).fold(f64::INFINITY, f64::min)
}
