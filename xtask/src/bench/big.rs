//! A store with years in it (10,000 live and 40,000 ended branches, a million builds, 200 slaves), on SQLite and on
//! PostgreSQL: is a page as quick, and as long, as in the first week?

use super::numbers::{Rows, megabytes};
use super::rows::{Row, Wanted};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::thread::scope;
use std::time::{Duration, Instant};
use testkit::git::Repo;
use testkit::history::{Growth, Kind, grow};
use testkit::http::Client;
use testkit::world::{PROJECT, Plan, World};

const BUILDERS: [&str; 5] = ["linux", "asan", "docs", "bsd", "i386"];
const SLAVES: usize = 200;
/// Who reads at the same time, and for how long each page.
const READERS: usize = 8;
const READ_FOR: Duration = Duration::from_secs(3);
/// Of a store in its first days.
const FEW_BRANCHES: usize = 10;
const FEW_BUILDS: u64 = 1_000;
const API: &str = "/api/v1/projects/heron";

/// How much is filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// So many live branches, and four times as many that ended.
    pub(super) branches: usize,
    /// About so many builds.
    pub(super) builds: u64,
}

/// What a page took, asked for by all readers at once.
struct Took {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    bytes: usize,
}

/// Measures on both databases. `fill` is the program that fills a store.
pub(super) fn measure(bb: &Path, fill: &Path, size: Size) -> Rows {
    let mut rows = Vec::new();
    for database in ["SQLite", "PostgreSQL"] {
        let store = || (database == "PostgreSQL").then(testkit::postgres::fresh_database);
        let few = Size { branches: FEW_BRANCHES, builds: FEW_BUILDS };
        let few = took(&filled(bb, fill, few, store())?.client(), &newest_builds())?;
        println!("   {database}: {} live branches, {} builds", size.branches, size.builds);
        let begun = Instant::now();
        let world = filled(bb, fill, size, store())?;
        println!("   filled after {:.0} s", begun.elapsed().as_secs_f64());
        rows.extend(pages(database, &world, &few)?);
    }
    Ok(rows)
}

fn newest_builds() -> String {
    format!("{API}/builds")
}

/// A world whose store was filled, with a master that was started on it.
fn filled(bb: &Path, fill: &Path, size: Size, store: Option<String>) -> Result<World, String> {
    let step =
        |name| format!("[[builder]]\nname = {name:?}\n[[builder.step]]\nname = \"test\"\nrun = \"test ! -e broken\"\n");
    let recipe = BUILDERS.map(step).concat();
    let world = World::start_as(bb, &Plan { recipe: Some(recipe), store: store.clone(), ..Plan::default() });
    let kinds = seeds(&world);
    world.kill_master();
    let mirror = Repo::at(world.basedir().join(format!("mirrors/{PROJECT}.git")));
    let growth = Growth { ended: 4 * size.branches, live: size.branches, revisions: 2, kinds };
    let file = world.folder().join("history");
    std::fs::write(&file, grow(&mirror, &world.mainline(), &growth)).map_err(|error| error.to_string())?;
    let url = store.unwrap_or_else(|| format!("sqlite:{}", world.basedir().join("bb.sqlite").display()));
    let mut command = Command::new(fill);
    command.arg(&url).arg(&file).args([size.builds.to_string(), SLAVES.to_string()]);
    if !command.status().is_ok_and(|status| status.success()) {
        return Err("the store can't be filled".to_owned());
    }
    world.start_master();
    Ok(world)
}

/// Branches of each kind, each with two revisions, that made their way by themselves.
fn seeds(world: &World) -> Vec<Kind<'static>> {
    let post = |what: &str| {
        let answer = world.client().post(&format!("{API}/{what}"), &json!({}));
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    };
    let ann = world.author("ann");
    let write = |name: &str, revision: usize| {
        let text = format!("{revision}\n");
        let file = if name == "fails" && revision == 2 { "broken" } else { name };
        ann.writes(name, &[(file, &text)]);
        ann.publishes(name).ok();
    };
    let is_built = |name: &str, revision: u32| {
        world.wait(&format!("{name} r{revision} is built"), || {
            let builds = world.builds(name);
            let of: Vec<_> = builds.iter().filter(|build| build.revision == revision).collect();
            (of.len() == BUILDERS.len() && of.iter().all(|build| build.finished_ms.is_some())).then_some(())
        });
    };
    world.slave_with("oak", "slots = 4\n");
    for name in ["goes", "rests", "ready", "fails", "queued", "waits"] {
        write(name, 1);
        is_built(name, 1);
        if name == "waits" {
            world.kill_slave("oak");
            write(name, 2);
            world.wait("its builds wait", || (world.builds(name).len() == 2 * BUILDERS.len()).then_some(()));
            break;
        }
        write(name, 2);
        is_built(name, 2);
        match name {
            "goes" => {
                world.maintainer().accepts(name).ok();
                world.until_verdict(name, "landed");
            }
            "rests" => post("branches/rests/withdraw"),
            "fails" => post("queue/pause"),
            "queued" => drop(world.maintainer().accepts(name).ok()),
            _ => {}
        }
    }
    let kind = |seed, share, ended, landed| Kind { seed, share, ended, landed };
    vec![
        kind("goes", 2, true, true),
        kind("rests", 1, true, false),
        kind("ready", 70, false, false),
        kind("fails", 28, false, false),
        kind("queued", 1, false, false),
        kind("waits", 1, false, false),
    ]
}

/// What each page took, and the master.
fn pages(database: &str, world: &World, few: &Took) -> Rows {
    let client = world.client();
    let row = |what: &str, measured: f64, unit: &str| Row::number("big", format!("{database}: {what}"), measured, unit);
    let mut rows = Vec::new();
    let first = client.get(&format!("{API}/branches?turn=maintainer")).json();
    let branch = first["branches"][0]["name"].as_str().ok_or("no branch waits for a maintainer")?.to_owned();
    let builds = client.get(&newest_builds()).json();
    let of = |builds: &Value, nth: usize| builds["builds"][nth]["id"].as_i64().unwrap_or_default();
    let (newest, before) = (of(&builds, 0), of(&builds, 0) / 2);
    let hundredth = hundredth(&client);
    let pages = [
        ("overview", format!("/p/{PROJECT}")),
        ("list", format!("/p/{PROJECT}/branches")),
        ("list, by turn", format!("/p/{PROJECT}/branches?turn=author")),
        ("list, by state", format!("/p/{PROJECT}/branches?state=ready")),
        ("list, all", format!("/p/{PROJECT}/branches?state=all")),
        ("list, a text that many have", format!("/p/{PROJECT}/branches?q=ready")),
        ("list, a text that one has", format!("/p/{PROJECT}/branches?q={branch}")),
        ("list, a text that none has", format!("/p/{PROJECT}/branches?state=all&q=no-such-text")),
        ("list, page 100", format!("/p/{PROJECT}/branches?after={hundredth}")),
        ("API, list", format!("{API}/branches")),
        ("branch", format!("/p/{PROJECT}/branches/{branch}")),
        ("API, branch", format!("{API}/branches/{branch}")),
        ("build", format!("/p/{PROJECT}/builds/{before}")),
        ("API, build", format!("/api/v1/builds/{before}")),
        ("builds", format!("/p/{PROJECT}/builds")),
        ("API, newest 50 builds", newest_builds()),
        ("API, 50 builds of long ago", format!("{API}/builds?before={before}")),
        ("API, 50 builds that failed", format!("{API}/builds?state=failure&builder=linux")),
        ("API, 50 builds of a branch", format!("{API}/builds?branch={branch}")),
        ("queue", format!("/p/{PROJECT}/queue")),
        ("API, queue", format!("{API}/queue")),
        ("slaves", "/slaves".to_owned()),
        ("API, slaves", "/api/v1/slaves".to_owned()),
        ("API, locks", "/api/v1/locks".to_owned()),
        ("newest build", format!("/p/{PROJECT}/builds/{newest}")),
    ];
    for (what, path) in &pages {
        let took = took(&client, path)?;
        let (p50, p99, bytes) = (took.p50_ms, took.p99_ms, took.bytes as f64 / 1e3);
        println!("   {database}: {what}: {:.0}/s, p50 {p50:.1} ms, p99 {p99:.1} ms, {bytes:.1} kB", took.per_s);
        rows.push(row(&format!("{what}, of {READERS} readers together"), took.per_s, "requests/s"));
        rows.push(row(&format!("{what}, half of all within"), p50, "ms"));
        rows.push(row(&format!("{what}, 99 of 100 within"), p99, "ms").wanting(Wanted::AtMost(20.0)));
        rows.push(row(&format!("{what}, length"), bytes, "kB").wanting(Wanted::AtMost(60.0)));
        if *path == newest_builds() {
            let flat = row("API, newest 50 builds, beside a store with 1,000", took.per_s, "requests/s");
            rows.push(flat.beside(few.per_s).wanting(Wanted::Times(0.8)));
        }
    }
    let peak = world.with_master(|master| master.peak_memory_bytes()).ok_or("the master's memory is not told")?;
    rows.push(row("most memory of the master", megabytes(peak), "MB"));
    world.kill_master();
    let begun = Instant::now();
    world.start_master();
    rows.push(row("start, until it answers", begun.elapsed().as_secs_f64(), "s"));
    world.kill_master();
    let begun = Instant::now();
    let basedir = world.basedir();
    let said = world.run(["master", "check", "--deep", "--dry-run", basedir.to_str().unwrap_or_default()]);
    rows.push(row("deep check", begun.elapsed().as_secs_f64(), "s"));
    let is_well = said.code == Some(0);
    if !is_well {
        println!("{}{}", said.out, said.err);
    }
    let word = if is_well { "nothing" } else { "something" };
    rows.push(Row::word("big", format!("{database}: what the deep check finds"), word, "nothing", is_well));
    Ok(rows)
}

/// Where the hundredth page of the list begins, or the last.
fn hundredth(client: &Client) -> String {
    let mut after = String::new();
    for _ in 1..100 {
        let page = client.get(&format!("{API}/branches?after={after}")).json();
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut after);
    }
    after
}

/// Has all readers ask for a page again and again.
fn took(client: &Client, path: &str) -> Result<Took, String> {
    let answer = client.get(path);
    if answer.status != 200 {
        return Err(format!("{path} was answered with {}", answer.status));
    }
    let begun = Instant::now();
    let read = || {
        let client = client.clone();
        let mut times = Vec::new();
        while begun.elapsed() < READ_FOR {
            let asked = Instant::now();
            match client.try_get(path) {
                Ok(answer) if answer.status == 200 => times.push(asked.elapsed()),
                Ok(answer) => return Err(format!("{path} was answered with {}", answer.status)),
                Err(error) => return Err(format!("{path} was not answered: {error}")),
            }
        }
        Ok(times)
    };
    let all: Result<Vec<Vec<Duration>>, String> = scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap_or_else(|_| Err("a reader panicked".to_owned())))
            .collect()
    });
    let mut times = all?.concat();
    let took = begun.elapsed();
    times.sort_unstable();
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    Ok(Took {
        per_s: times.len() as f64 / took.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        bytes: answer.body.len(),
    })
}
