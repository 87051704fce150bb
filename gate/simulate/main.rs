//! exploratory
use gate::simulator::{Faults, Game, Score, Setting, World, optimal, peers, play};
use gate::stacks::{Experience, Policy};
struct Sum {
    n: f64,
    tests: f64,
    mean: f64,
    last: f64,
    wronged: f64,
    good: f64,
}
fn sum(s: &mut Sum, score: &Score, w: &World) {
    s.n += 1.0;
    s.tests += score.tests_each();
    s.mean += score.mean();
    s.last += score.last();
    s.wronged += score.wronged() as f64;
    s.good += w.bad.iter().filter(|b| !**b).count() as f64;
}
fn new() -> Sum {
    Sum { n: 0.0, tests: 0.0, mean: 0.0, last: 0.0, wronged: 0.0, good: 0.0 }
}
fn show(name: &str, s: &Sum) -> String {
    format!("{name} {:.3} {:.2} {:.2}", s.tests / s.n, s.mean / s.n, s.last / s.n)
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runs: u64 = args[2].parse().unwrap();
    match args[1].as_str() {
        "a" => {
            for p in [0.01, 0.05, 0.10, 0.25] {
                for slots in [1u32, 4, 8, 32] {
                    if args.len() > 3 && args[3] != slots.to_string() {
                        continue;
                    }
                    let spread = if args.len() > 4 { 0.5 } else { 0.0 };
                    let setting = Setting { bad: p, slots, spread, ..Setting::default() };
                    let policy = Policy { chance: Some(0.0), ..Policy::default() };
                    let warm = Experience { good: 200.0 * (1.0 - p), bad: 200.0 * p, ..Experience::default() };
                    let (mut z, mut c, mut h) = (new(), new(), new());
                    for seed in 0..runs {
                        let w = World::drawn(&setting, seed);
                        sum(&mut z, &peers::zuul(&w), &w);
                        sum(&mut c, &play(&w, &Game { policy, ..Game::default() }).unwrap(), &w);
                        sum(&mut h, &play(&w, &Game { policy, experience: warm }).unwrap(), &w);
                    }
                    let o = optimal::builds(100, p);
                    println!(
                        "p={p} P={slots} {} | {} | {} | opt {:.3} last<={:.1} | t {:.3} m {:.3}",
                        show("zuul", &z),
                        show("cold", &c),
                        show("warm", &h),
                        o / 100.0,
                        1.15 * o / f64::from(slots) + 2.5,
                        c.tests / z.tests,
                        c.mean / z.mean
                    );
                }
            }
        }
        "b" => {
            for p in [4u32, 8, 32] {
                let setting = Setting { branches: 2000, slots: p, arrivals: Some(3.0 * 1.0), ..Setting::default() };
                let _ = setting;
                for load in [0.5, 1.0, 2.0, 3.0] {
                    let setting =
                        Setting { branches: 2000, slots: p, arrivals: Some(load * f64::from(p)), ..Setting::default() };
                    let policy = Policy { chance: Some(0.0), ..Policy::default() };
                    let mut c = new();
                    for seed in 0..runs {
                        let w = World::drawn(&setting, seed);
                        sum(&mut c, &play(&w, &Game { policy, ..Game::default() }).unwrap(), &w);
                    }
                    println!("P={p} load={load} {}", show("bb", &c));
                }
            }
        }
        "c" => {
            for f in [0.01, 0.05] {
                for p in [0.01, 0.05, 0.1, 0.25] {
                    for slots in [4u32, 8, 32] {
                        let setting = Setting { bad: p, slots, flake: f, ..Setting::default() };
                        let mut c = new();
                        for seed in 0..runs {
                            let w = World::drawn(&setting, seed);
                            sum(&mut c, &play(&w, &Game::default()).unwrap(), &w);
                        }
                        println!(
                            "f={f} p={p} P={slots} {} wronged {:.4} %",
                            show("bb", &c),
                            100.0 * c.wronged / c.good
                        );
                    }
                }
            }
        }
        "d" => {
            for clash in [0.0002, 0.002] {
                for p in [0.01, 0.05] {
                    for slots in [4u32, 8, 32] {
                        let setting = Setting { bad: p, slots, clash, ..Setting::default() };
                        let policy = Policy { chance: Some(0.0), ..Policy::default() };
                        let (mut c, mut z) = (new(), new());
                        for seed in 0..runs {
                            let w = World::drawn(&setting, seed);
                            sum(&mut c, &play(&w, &Game { policy, ..Game::default() }).unwrap(), &w);
                            sum(&mut z, &peers::zuul(&w), &w);
                        }
                        println!(
                            "clash={clash} p={p} P={slots} {} wronged {} {}",
                            show("bb", &c),
                            c.wronged,
                            show("zuul", &z)
                        );
                    }
                }
            }
        }
        "d1" => {
            let seed: u64 = args[3].parse().unwrap();
            let slots: u32 = args[4].parse().unwrap();
            let bad: f64 = args[5].parse().unwrap();
            let clash: f64 = args[6].parse().unwrap();
            let setting = Setting { bad, slots, clash, ..Setting::default() };
            let w = World::drawn(&setting, seed);
            println!(
                "{:?} {:?}",
                w.clashes,
                w.bad.iter().enumerate().filter(|x| *x.1).map(|x| x.0).collect::<Vec<_>>()
            );
            println!(
                "{:?}",
                play(&w, &Game { policy: Policy { chance: Some(0.0), ..Policy::default() }, ..Game::default() })
                    .map(|s| s.tests)
            );
        }
        "b1" => {
            let slots: u32 = args[3].parse().unwrap();
            let load: f64 = args[4].parse().unwrap();
            let setting =
                Setting { branches: 2000, slots, arrivals: Some(load * f64::from(slots)), ..Setting::default() };
            let w = World::drawn(&setting, 0);
            let s = play(&w, &Game { policy: Policy { chance: Some(0.0), ..Policy::default() }, ..Game::default() })
                .unwrap();
            for (name, landed) in [("landed", true), ("ejected", false)] {
                let mut v: Vec<f64> = s.decided.iter().filter(|d| d.landed == landed).map(|d| d.waited).collect();
                v.sort_by(f64::total_cmp);
                println!(
                    "{name} {} p10 {:.1} p50 {:.1} p90 {:.1} max {:.1}",
                    v.len(),
                    v[v.len() / 10],
                    v[v.len() / 2],
                    v[v.len() * 9 / 10],
                    v[v.len() - 1]
                );
            }
        }
        "h" => {
            let mut worst: f64 = 0.0;
            let mut broken = 0;
            let from: u64 = args.get(3).map_or(0, |s| s.parse().unwrap());
            for seed in from..from + runs {
                let mut d = gate::simulator::Draws::new(seed).apart(99);
                let setting = Setting {
                    branches: 1 + d.below(30),
                    arrivals: d.happens(0.5).then_some(0.5 + 4.0 * d.unit()),
                    bad: 0.3 * d.unit(),
                    slots: 1 + d.below(8) as u32,
                    flake: 0.1 * d.unit() * d.unit(),
                    clash: 0.02 * d.unit() * d.unit(),
                    spread: 0.5,
                    builders: 1 + d.below(2),
                    faults: Faults::bad_day(),
                };
                let w = World::drawn(&setting, seed);
                match play(&w, &Game::default()) {
                    Ok(s) => worst = worst.max(s.tests_each()),
                    Err(e) => {
                        broken += 1;
                        if broken < 12 {
                            println!("{e}");
                        }
                    }
                }
            }
            println!("worst tests {worst} broken {broken}");
        }
        _ => {}
    }
}
