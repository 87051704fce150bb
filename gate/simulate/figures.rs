//! How good the queue is: beside others on the same draws, and beside what is possible.

use crate::Row;
use crate::many::{Means, each, kept, means};
use gate::simulator::{Broken, Game, Score, Setting, World, optimal, peers, play};
use gate::stacks::{Experience, Policy};

const RATES: [f64; 4] = [0.01, 0.05, 0.1, 0.25];
/// So many were decided before, where the queue is not new.
const DECIDED: f64 = 200.0;

/// Prints all figures, each from so many worlds.
pub(crate) fn all(runs: u64, seed: u64) -> Result<(), String> {
    let seeds = seed..seed + runs;
    at_once(&seeds)
        .and_then(|()| arrivals(&seeds))
        .and_then(|()| flakes(&seeds))
        .and_then(|()| pairs(&seeds))
        .map_err(|broken| broken.to_string())
}

type Seeds = std::ops::Range<u64>;

/// A project whose builds never fail by chance, and which knows it.
fn sure() -> Game {
    Game { policy: Policy { chance: Some(0.0), ..Policy::default() }, ..Game::default() }
}

/// The same after many were decided.
fn learned(bad: f64) -> Game {
    Game {
        experience: Experience { good: DECIDED * (1.0 - bad), bad: DECIDED * bad, ..Experience::default() },
        ..sure()
    }
}

fn ours(seeds: &Seeds, setting: &Setting, game: &Game) -> Result<Means, Broken> {
    let played = each(seeds.clone(), |seed| {
        let world = World::drawn(setting, seed);
        play(&world, game).map(|score| kept(&score, &world))
    });
    Ok(means(&played.into_iter().collect::<Result<Vec<_>, _>>()?))
}

fn theirs(seeds: &Seeds, setting: &Setting, peer: fn(&World) -> Score) -> Means {
    means(&each(seeds.clone(), |seed| {
        let world = World::drawn(setting, seed);
        kept(&peer(&world), &world)
    }))
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 1e2)
}

/// 100 branches at the start.
fn at_once(seeds: &Seeds) -> Result<(), Broken> {
    for bad in RATES {
        let optimum = optimal::builds(100, bad);
        for slots in [1, 4, 8, 32] {
            let name = format!("p = {}, P = {slots}", percent(bad));
            let setting = Setting { bad, slots, ..Setting::default() };
            // One at a time so little is wanted above what is possible that the draws must not matter.
            let times = if slots == 1 { 8 } else { 1 };
            let many = &(seeds.start..seeds.start + times * (seeds.end - seeds.start));
            let cold = ours(many, &setting, &sure())?;
            let warm = ours(many, &setting, &learned(bad))?;
            Row::new(format!("{name}: builds a branch, new"), cold.tests, "").beside(optimum / 100.0).print();
            Row::new(format!("{name}: builds a branch, after 200 decided"), warm.tests, "")
                .beside(optimum / 100.0)
                .print();
            let spread = optimum / f64::from(slots);
            Row::new(format!("{name}: last decision"), cold.last, "lengths").beside(spread).print();
            if slots == 1 {
                let (bors, serial) = (theirs(seeds, &setting, peers::bors), theirs(seeds, &setting, peers::serial));
                Row::new(format!("{name}: mean time beside bors' batches"), cold.mean, "lengths")
                    .beside(bors.mean)
                    .print();
                Row::new(format!("{name}: builds a branch beside bors' batches"), cold.tests, "")
                    .beside(bors.tests)
                    .print();
                Row::new(format!("{name}: mean time beside one by one"), cold.mean, "lengths")
                    .beside(serial.mean)
                    .print();
                continue;
            }
            let zuul = theirs(seeds, &setting, peers::zuul);
            beside_zuul(&name, &cold, &zuul);
            Row::new(format!("{name}: mean time, after 200 decided"), warm.mean, "lengths").beside(zuul.mean).print();
            let setting = Setting { spread: 0.5, ..setting };
            let (cold, zuul) = (ours(seeds, &setting, &sure())?, theirs(seeds, &setting, peers::zuul));
            beside_zuul(&format!("{name}, lengths 1 ± 0.5"), &cold, &zuul);
        }
    }
    Ok(())
}

fn beside_zuul(name: &str, ours: &Means, zuul: &Means) {
    Row::new(format!("{name}: mean time"), ours.mean, "lengths").beside(zuul.mean).print();
    Row::new(format!("{name}: mean time, share of Zuul's"), ours.mean / zuul.mean, "").print();
    Row::new(format!("{name}: builds, share of Zuul's"), ours.tests / zuul.tests, "").print();
}

/// Branches that come one after the other: so many times what could be landed one by one in each slot.
fn arrivals(seeds: &Seeds) -> Result<(), Broken> {
    // A world here has twenty times as many branches.
    let runs = seeds.end - seeds.start;
    let (seeds, few) = (seeds.start..seeds.start + runs.div_ceil(20), seeds.start..seeds.start + runs.div_ceil(100));
    for load in [0.5, 1.0, 2.0, 3.0] {
        for slots in [4, 8, 32] {
            let arrivals = Some(load * f64::from(slots));
            let setting = Setting { branches: 2000, arrivals, slots, ..Setting::default() };
            let (ours, zuul) = (ours(&seeds, &setting, &sure())?, theirs(&few, &setting, peers::zuul));
            let name = format!("arrivals, p = 5 %, P = {slots}, load {load}");
            Row::new(format!("{name}: mean time"), ours.mean, "lengths").beside(zuul.mean).print();
            Row::new(format!("{name}: builds a branch"), ours.tests, "").beside(zuul.tests).print();
        }
    }
    Ok(())
}

/// Builds that fail by chance; the rate is learned.
fn flakes(seeds: &Seeds) -> Result<(), Broken> {
    for flake in [0.01, 0.05] {
        let (mut worst, mut all): (f64, Means) = (0.0, Means::default());
        for bad in RATES {
            for slots in [4, 8, 32] {
                let setting = Setting { bad, slots, flake, ..Setting::default() };
                let one = ours(seeds, &setting, &Game::default())?;
                let sure = ours(seeds, &Setting { flake: 0.0, ..setting }, &sure())?;
                let name = format!("flakes {}, p = {}, P = {slots}", percent(flake), percent(bad));
                Row::new(format!("{name}: good ones ejected"), 100.0 * one.wronged / one.good, "%").print();
                Row::new(format!("{name}: builds a branch"), one.tests, "").beside(sure.tests).print();
                worst = worst.max(100.0 * one.wronged / one.good);
                all = Means { wronged: all.wronged + one.wronged, good: all.good + one.good, ..all };
            }
        }
        let name = format!("flakes {}", percent(flake));
        Row::new(format!("{name}: good ones ejected, of all"), 100.0 * all.wronged / all.good, "%").print();
        Row::new(format!("{name}: good ones ejected, where most are"), worst, "%").print();
    }
    Ok(())
}

/// Pairs that fail together.
fn pairs(seeds: &Seeds) -> Result<(), Broken> {
    let (mut wronged, mut runs) = (0.0, 0_u64);
    for clash in [0.0002, 0.002] {
        let times = if clash < 0.001 { 2 } else { 1 };
        let seeds = &(seeds.start..seeds.start + times * (seeds.end - seeds.start));
        for bad in [0.01, 0.05] {
            for slots in [4, 8, 32] {
                let setting = Setting { bad, slots, clash, ..Setting::default() };
                let (ours, zuul) = (ours(seeds, &setting, &sure())?, theirs(seeds, &setting, peers::zuul));
                let name = format!("pairs {}, p = {}, P = {slots}", percent(clash), percent(bad));
                beside_zuul(&name, &ours, &zuul);
                wronged += ours.wronged;
                runs += seeds.end - seeds.start;
            }
        }
    }
    Row::new("pairs: good ones ejected", wronged, "").print();
    Row::new("pairs: worlds", runs as f64, "").print();
    Ok(())
}
