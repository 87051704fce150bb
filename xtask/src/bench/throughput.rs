//! 100 branches published at once, one builder that does nothing, two slots: is the end as fast as the beginning?

use super::numbers::{Rows, seconds};
use super::rows::{Row, Wanted};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::http::Client;
use testkit::world::{PROJECT, Plan, World};

const BRANCHES: usize = 100;
const RECIPE: &str = "[[builder]]\nname = \"nothing\"\n[[builder.step]]\nname = \"nothing\"\nrun = \"true\"\n";
/// How long the whole may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Publishes, builds, accepts and lands them all.
pub(super) fn measure(bb: &Path) -> Rows {
    let world = World::start_as(bb, &Plan { recipe: Some(RECIPE.to_owned()), ..Plan::default() });
    world.slave_with("oak", "slots = 2\n");
    let author = world.author("ann");
    let names: Vec<String> = (0..BRANCHES).map(|n| format!("branch-{n:03}")).collect();
    for name in &names {
        author.writes(name, &[(name, "text\n")]);
    }
    let client = world.client();
    let start = Instant::now();
    let url = author.repo().url();
    let publish = |name: &String| {
        let body = json!({ "url": url, "branch": name, "name": name });
        client.post(&format!("/api/v1/projects/{PROJECT}/branches"), &body).status
    };
    if let Some(status) = at_once(&names, publish).into_iter().find(|status| !(200..300).contains(status)) {
        return Err(format!("publishing was answered with {status}"));
    }
    let published = start.elapsed();

    let ready = until_all(&client, &names, |branch| branch["builders"][0]["builds"][0]["finished_ms"].as_i64())?;
    let built = Halves::of(&ready);
    let all_built = start.elapsed();
    println!("   published after {}, built after {}", seconds(published), seconds(all_built));
    let listed = Instant::now();
    let listing = client.get(&format!("/p/{PROJECT}/branches"));
    let listed = listed.elapsed();
    if listing.status != 200 {
        return Err(format!("the list of branches was answered with {}", listing.status));
    }
    let accept = |name: &String| {
        let path = format!("/api/v1/projects/{PROJECT}/branches/{name}");
        let summary = client.get(&path).json()["summary"].take();
        let as_read = json!({ "commit": summary["commit"], "words": summary["words"] });
        client.post(&format!("{path}/accept"), &as_read).status
    };
    if let Some(status) = at_once(&names, accept).into_iter().find(|status| !(200..300).contains(status)) {
        return Err(format!("accepting was answered with {status}"));
    }
    let left = until_all(&client, &names, |branch| branch["queue"][0]["left_ms"].as_i64())?;
    let landed = Halves::of(&left);
    let log = world.mainline().log("main").len() - 1;
    if log != BRANCHES {
        return Err(format!("{log} of {BRANCHES} branches landed"));
    }
    let row = |what: &str, measured: f64, unit: &str| Row::number("throughput", what, measured, unit);
    let halves = |what: &str, it: &Halves| {
        row(&format!("{what}, second half beside the first"), it.second.as_secs_f64(), "s")
            .beside(it.first.as_secs_f64())
            .wanting(Wanted::Times(0.8))
    };
    Ok(vec![
        row("100 branches published", published.as_secs_f64(), "s"),
        row("100 branches built", BRANCHES as f64 / all_built.as_secs_f64(), "builds/s"),
        halves("builds", &built),
        row("the page that lists them all", listed.as_secs_f64() * 1e3, "ms").wanting(Wanted::AtMost(20.0)),
        halves("landings", &landed),
    ])
}

/// Calls `act` for each name, four at a time.
fn at_once<T: Send>(names: &[String], act: impl Fn(&String) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = names
            .chunks(names.len().div_ceil(4))
            .map(|part| scope.spawn(|| part.iter().map(&act).collect::<Vec<T>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// Asks for each branch until `time` finds one in it; gives all times in order.
fn until_all(client: &Client, names: &[String], time: impl Fn(&Value) -> Option<i64>) -> Result<Vec<i64>, String> {
    let deadline = Instant::now() + PATIENCE;
    let mut times = Vec::new();
    let mut open: Vec<&String> = names.iter().collect();
    while let Some(name) = open.last() {
        let branch = client.get(&format!("/api/v1/projects/{PROJECT}/branches/{name}")).json();
        match time(&branch) {
            Some(at_ms) => {
                times.push(at_ms);
                open.pop();
            }
            // The looks themselves must not be what is measured.
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_secs(1)),
            None => {
                return Err(format!("{} branches were not done in time; {name}: {}", open.len(), branch["summary"]));
            }
        }
    }
    times.sort_unstable();
    Ok(times)
}

/// How long the first and the second half of a series of things took.
struct Halves {
    first: Duration,
    second: Duration,
}

impl Halves {
    fn of(times_ms: &[i64]) -> Halves {
        let middle = times_ms.len() / 2;
        let between = |from: usize, to: usize| {
            let ms = times_ms.get(to).zip(times_ms.get(from)).map_or(0, |(to, from)| to - from);
            Duration::from_millis(u64::try_from(ms).unwrap_or_default())
        };
        // As many gaps in one as in the other.
        Halves { first: between(0, middle - 1), second: between(middle, times_ms.len() - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::Halves;

    #[test]
    fn halves_have_as_many_gaps_each() {
        let even = Halves::of(&[0, 10, 20, 30, 40, 50]);
        assert_eq!((even.first.as_millis(), even.second.as_millis()), (20, 20));
        let slower = Halves::of(&[0, 10, 20, 30, 60, 90]);
        assert_eq!((slower.first.as_millis(), slower.second.as_millis()), (20, 60));
    }
}
