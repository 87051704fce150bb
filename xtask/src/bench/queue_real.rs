//! The queue as it really runs: 100 branches accepted at once, every tenth bad, a builder of a second, four slots; beside the
//! simulator's forecast of the same, and beside what a queue that tests one after the other needs at least.

use super::numbers::Rows;
use super::rows::{Row, Wanted};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::world::{PROJECT, Plan, World};

const BRANCHES: usize = 100;
const SLOTS: usize = 4;
/// Fails where a bad branch is in it.
const RECIPE: &str =
    "[[builder]]\nname = \"linux\"\n[[builder.step]]\nname = \"test\"\nrun = \"sleep 1; test ! -e bad\"\n";
/// How long the whole may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(600);
/// The master adds at most so much to the simulator's time.
const MORE: f64 = 1.1;

/// Accepts them all while no slave is there, then lets it come. `forecast` is the simulator's last decision, in lengths of a
/// build.
pub(super) fn measure(bb: &Path, forecast: f64) -> Rows {
    let world = World::start_as(bb, &Plan { recipe: Some(RECIPE.to_owned()), ..Plan::default() });
    let author = world.author("ann");
    let names: Vec<String> = (0..BRANCHES).map(|n| format!("branch-{n:03}")).collect();
    let is_bad = |n: usize| n % 10 == 3;
    for (n, name) in names.iter().enumerate() {
        let mut files = vec![(name.as_str(), "text\n")];
        if is_bad(n) {
            // The bad ones would not merge with each other if they wrote one file.
            files.push(("bad/of", "text\n"));
        }
        author.writes(name, &files);
    }
    let client = world.client();
    let branches = format!("/api/v1/projects/{PROJECT}/branches");
    for name in &names {
        let body = json!({ "url": author.repo().url(), "branch": name, "name": name });
        let status = client.post(&branches, &body).status;
        if !(200..300).contains(&status) {
            return Err(format!("publishing was answered with {status}"));
        }
    }
    for name in &names {
        world.until(name, |branch| branch.candidate.is_some());
        // What the queue finds out is to be found out by the queue.
        for build in world.builds(name) {
            client.post(&format!("/api/v1/builds/{}/cancel", build.id), &json!({}));
        }
    }
    for name in &names {
        let summary = client.get(&format!("{branches}/{name}")).json()["summary"].take();
        let as_read = json!({ "commit": summary["commit"], "words": summary["words"] });
        let status = client.post(&format!("{branches}/{name}/accept"), &as_read).status;
        if !(200..300).contains(&status) {
            return Err(format!("accepting was answered with {status}"));
        }
    }
    let start = Instant::now();
    world.slave_with("oak", &format!("slots = {SLOTS}\n"));
    let queued = || world.queue().project.queued;
    while queued() > 0 {
        if start.elapsed() > PATIENCE {
            return Err(format!("{} branches were not decided in time", queued()));
        }
        // The looks themselves must not be what is measured.
        std::thread::sleep(Duration::from_millis(500));
    }
    let took = start.elapsed().as_secs_f64();
    let mut wrong = 0;
    for (n, name) in names.iter().enumerate() {
        let code = world.branch(name).queue.first().map(|entry| entry.code.clone()).unwrap_or_default();
        wrong += usize::from(code != if is_bad(n) { "ejected-failure" } else { "landed" });
    }
    let builds = client.get(&format!("/api/v1/projects/{PROJECT}/builds?limit=1")).json()["builds"][0]["id"].as_i64();
    let built = builds.unwrap_or_default() - i64::try_from(BRANCHES).unwrap_or_default();
    let row = |what: &str, measured: f64, unit: &str| Row::number("queue-real", what, measured, unit);
    let serial = BRANCHES as f64;
    Ok(vec![
        row("100 branches, p = 10 %, P = 4, a build of 1 s: last decision, beside the simulator's", took, "s")
            .beside(forecast)
            .wanting(Wanted::AtMost(forecast * MORE)),
        row("the same beside one after the other", took, "s").beside(serial),
        row("the same: builds a branch", built as f64 / serial, "").beside(1.0),
        row("the same: decided otherwise than they deserve", wrong as f64, "").wanting(Wanted::AtMost(0.0)),
    ])
}
