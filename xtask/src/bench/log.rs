//! A build that prints 100 MB: how much memory master and slave ever hold, and how soon the log's end is shown.

use super::numbers::{Rows, megabytes};
use super::rows::{Row, Wanted};
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::world::{PROJECT, Plan, World};

const PRINTED: u64 = 100_000_000;
/// How much of the log's end is asked for.
const TAIL: u64 = 65_536;
const ALLOWED_MB: f64 = 100.0;

/// Runs the build, then looks at its page and its log's end.
pub(super) fn measure(bb: &Path) -> Rows {
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
    let row = |what: &str, measured: f64, unit: &str| Row::number("log", what, measured, unit);
    let printed_mb = PRINTED as f64 / 1e6;
    Ok(vec![
        row("100 MB, published to ended", printed_mb / took.as_secs_f64(), "MB/s").wanting(Wanted::AtLeast(300.0)),
        row("master, most memory", megabytes(master), "MB").wanting(Wanted::AtMost(ALLOWED_MB)),
        row("slave, most memory", megabytes(slave), "MB").wanting(Wanted::AtMost(ALLOWED_MB)),
        row("the build's page", page.as_secs_f64() * 1e3, "ms"),
        row("the log's last 64 KiB", tail.as_secs_f64() * 1e3, "ms").wanting(Wanted::AtMost(50.0)),
    ])
}

/// How long `look` took, if it found what it should.
fn timed(look: impl FnOnce() -> bool) -> Result<Duration, String> {
    let start = Instant::now();
    let found = look();
    let took = start.elapsed();
    if found { Ok(took) } else { Err("the log's end or the page was not shown".to_owned()) }
}
