//! A build that prints 100 MB: how much memory master and slave ever hold, and how soon the log's end is shown.

use super::numbers::{Numbers, in_seconds, megabytes, seconds, table};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::world::{PROJECT, Plan, World};

const PRINTED: u64 = 100_000_000;
/// How much of the log's end is asked for.
const TAIL: u64 = 65_536;
const ALLOWED_BYTES: u64 = 100_000_000;

/// Runs the build, then looks at its page and its log's end.
pub(super) fn measure(bb: &Path) -> Numbers {
    let run = format!("yes 'a line of a log, as long as lines of logs are: sixty-four bytes.' | head -c {PRINTED}");
    let recipe = format!("[[builder]]\nname = \"chatty\"\n[[builder.step]]\nname = \"print\"\nrun = {run:?}\n");
    let tables = format!("[limits]\nlog_bytes = {}\n", 2 * PRINTED);
    let world = World::start_as(bb, &Plan { recipe: Some(recipe), tables, ..Plan::default() });
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("chatty", &[("a", "1\n")]);
    let start = Instant::now();
    ann.publishes("chatty").ok();
    let client = world.client();
    let build = world.wait("the build ended", || {
        let build = world.builds("chatty").into_iter().next()?;
        build.finished_ms.is_some().then(|| world.build(build.id))
    });
    let took = start.elapsed();
    let step = build.steps.iter().find(|step| step.name == "print").ok_or("the step did not begin")?;
    if step.log_len != PRINTED {
        return Err(format!("the master has {} bytes of {PRINTED}: {}", step.log_len, step.says));
    }
    let id = build.summary.id;
    let page = timed(|| client.get(&format!("/p/{PROJECT}/builds/{id}")).status == 200)?;
    let tail_path = format!("/api/v1/builds/{id}/steps/{}/log?from=-{TAIL}", step.number);
    let tail = timed(|| client.get(&tail_path).body.len() as u64 == TAIL)?;
    let master = world.with_master(|master| master.peak_memory_bytes()).ok_or("the master's memory is not told")?;
    let slave = world.with_slave("oak", |slave| slave.peak_memory_bytes()).ok_or("the slave's memory is not told")?;
    table(&[
        ("published to ended", seconds(took)),
        ("master, most memory", megabytes(master)),
        ("slave, most memory", megabytes(slave)),
        ("of the allowed", format!("{:.2}", master.max(slave) as f64 / ALLOWED_BYTES as f64)),
        ("build's page", seconds(page)),
        ("log's last 64 KiB", seconds(tail)),
    ]);
    Ok(json!({
        "printed_bytes": PRINTED,
        "published_to_ended_s": in_seconds(took),
        "master_peak_bytes": master,
        "slave_peak_bytes": slave,
        "allowed_bytes": ALLOWED_BYTES,
        "ratio": master.max(slave) as f64 / ALLOWED_BYTES as f64,
        "page_s": in_seconds(page),
        "tail_s": in_seconds(tail),
    }))
}

/// How long `look` took, if it found what it should.
fn timed(look: impl FnOnce() -> bool) -> Result<Duration, String> {
    let start = Instant::now();
    let found = look();
    let took = start.elapsed();
    if found { Ok(took) } else { Err("the log's end or the page was not shown".to_owned()) }
}
