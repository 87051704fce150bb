//! Mainline moves under 1,000 live branches: how soon all that conflict with it now are known to, and what it costs.

use super::numbers::{Rows, cpu_ms_with_children, seconds};
use super::rows::{Row, Wanted};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::http::Client;
use testkit::world::{PROJECT, Plan, World};

const BRANCHES: usize = 1000;
/// Of those, so many change the file that moves: each second one the very line that does.
const TOUCHED: usize = 200;
const LINES: usize = 400;
const PATIENCE: Duration = Duration::from_secs(600);

/// A world in which nobody builds: only candidates are made.
pub(super) fn measure(bb: &Path) -> Rows {
    let world = World::start_as(bb, &Plan::default());
    let mainline = world.author("mainline");
    mainline.writes("main", &[("shared.txt", &shared(None))]);
    mainline.repo().git(&["push", "--quiet", "origin", "main"]);
    let author = world.author("ann");
    for number in 0..BRANCHES {
        let own = (format!("own-{number}.txt"), "text\n".to_owned());
        let mut files = vec![(own.0.as_str(), own.1.as_str())];
        // The line that mainline will change, or one far from it that is the branch's alone.
        let changed = shared(Some(if number % 2 == 0 { 0 } else { number + 5 }));
        if number < TOUCHED {
            files.push(("shared.txt", &changed));
        }
        author.writes(&name(number), &files);
    }
    let client = world.client();
    let url = author.repo().url();
    let began = Instant::now();
    for number in 0..BRANCHES {
        let body = json!({ "url": url, "branch": name(number), "name": name(number) });
        let status = client.post(&format!("/api/v1/projects/{PROJECT}/branches"), &body).status;
        if !(200..300).contains(&status) {
            return Err(format!("publishing was answered with {status}"));
        }
    }
    // Without a slave that could take them, builds wait for an admin.
    until("all branches have candidates", || turns(&client).maintainer == BRANCHES as u64)?;
    println!("   {BRANCHES} branches have candidates after {}", seconds(began.elapsed()));
    let pid = world.with_master(|master| master.id());
    let before = cpu_ms_with_children(pid)?;
    let tip = mainline.writes("main", &[("shared.txt", &shared(Some(0)))]);
    mainline.repo().git(&["push", "--quiet", "origin", "main"]);
    until("mainline is seen", || project(&client)["tip"] == tip.as_str())?;
    let moved = Instant::now();
    until("all conflicts are known", || turns(&client).author == TOUCHED.div_ceil(2) as u64)?;
    let known = moved.elapsed();
    let cost = cpu_ms_with_children(pid)? - before;
    let row = |what: &str, measured: f64, unit: &str| Row::number("moves", what, measured, unit);
    Ok(vec![
        row("mainline moved until all conflicts are known", known.as_secs_f64(), "s").wanting(Wanted::AtMost(1.0)),
        row("master and its git, for each branch that is touched", cost / TOUCHED as f64, "ms"),
    ])
}

fn name(number: usize) -> String {
    format!("branch-{number:04}")
}

/// The file that moves, with one line changed.
fn shared(changed: Option<usize>) -> String {
    let line = |number| if changed == Some(number) { format!("{number} changed\n") } else { format!("{number}\n") };
    (0..LINES).map(line).collect()
}

/// How many branches wait for whom.
struct Turns {
    maintainer: u64,
    author: u64,
}

fn turns(client: &Client) -> Turns {
    let page = client.get(&format!("/api/v1/projects/{PROJECT}/branches?limit=1")).json();
    let turns = &page["turns"];
    let of = |who: &str| turns[who].as_u64().unwrap_or_default();
    Turns { maintainer: of("maintainer"), author: of("author") }
}

fn project(client: &Client) -> Value {
    client.get(&format!("/api/v1/projects/{PROJECT}")).json()
}

/// Looks until it is so.
fn until(what: &str, is: impl Fn() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        if Instant::now() > deadline {
            return Err(format!("{what}: not within {}", seconds(PATIENCE)));
        }
        // The looks themselves must not be what is measured.
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
