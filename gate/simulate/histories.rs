//! Histories in which everything goes wrong, each from its seed.

use crate::Row;
use crate::many::each;
use gate::simulator::{Draws, Game, Setting, World, play, play_told};
use gate::stacks::{Decision, Situation};

/// So many broken promises are named.
const NAMED: usize = 20;

/// A history's world.
fn world(seed: u64) -> World {
    World::drawn(&Setting::bad_day(&mut Draws::new(seed).apart(99)), seed)
}

/// Plays so many.
pub(crate) fn all(number: u64, seed: u64) -> Result<(), String> {
    let played = each(seed..seed + number, |seed| {
        let world = world(seed);
        play(&world, &Game::default()).map(|score| {
            let entries = score.decided.len() as f64;
            (score.tests_each(), score.wronged() as f64, entries)
        })
    });
    let broken: Vec<String> = played.iter().filter_map(|one| one.as_ref().err()).map(ToString::to_string).collect();
    broken.iter().take(NAMED).for_each(|broken| eprintln!("{broken}"));
    let good: Vec<(f64, f64, f64)> = played.into_iter().flatten().collect();
    let (wronged, entries) = good.iter().fold((0.0, 0.0), |sum, (_, wronged, all)| (sum.0 + wronged, sum.1 + all));
    Row::new("histories", number as f64, "").print();
    Row::new("histories in which a promise was broken", broken.len() as f64, "").print();
    Row::new("most builds a branch in a history", good.iter().map(|one| one.0).fold(0.0, f64::max), "").print();
    Row::new("good ones ejected", 100.0 * wronged / f64::max(entries, 1.0), "%").print();
    Ok(())
}

/// Plays one, and tells each step.
pub(crate) fn one(seed: u64) -> Result<(), String> {
    let world = world(seed);
    println!("{world:#?}");
    let score = play_told(&world, &Game::default(), &mut tell);
    println!("{:#?}", score.map_err(|broken| broken.to_string())?);
    Ok(())
}

fn tell(situation: &Situation, decision: &Decision) {
    println!("at {} ms, {} slots free", situation.now.0, situation.free);
    for standing in &decision.standings {
        println!("   {:?} {:?}", standing.entry, standing.why);
    }
    for action in &decision.actions {
        println!("   -> {action:?}");
    }
}
