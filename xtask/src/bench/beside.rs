//! bb beside Buildbot, each doing the same in its turn on the same machine: one builder whose one step does nothing, a worker
//! with four slots, SQLite. Both are asked over HTTP, four builds being under way at any time, and are asked for each build's
//! end.

use super::numbers::{Rows, cpu_ms, megabytes, root};
use super::rows::{Row, Wanted};
use serde_json::json;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use testkit::http::Client;
use testkit::world::{PROJECT, Plan, World};

/// Builds that are on their way at once.
const SLOTS: usize = 4;
/// Builds of each that are measured; Buildbot is given fewer, because it takes as long for those.
const BUILDS: usize = 400;
const THEIRS: usize = 40;
/// Branches that are built again and again: more than there are slots, so that none waits for whoever asks.
const BRANCHES: usize = 4 * SLOTS;
/// How often whoever waits for a build asks.
const ASK: Duration = Duration::from_millis(100);
/// The same for all builds together, which is more to be answered.
const ASK_ALL: Duration = Duration::from_millis(200);
const RECIPE: &str = "[[builder]]\nname = \"nothing\"\n[[builder.step]]\nname = \"nothing\"\nrun = \"true\"\n";
/// The release that is measured.
const BUILDBOT: &str = "4.3.0";

/// What one of the two took.
struct Took {
    /// Builds a second.
    rate: f64,
    /// Processor time of the master for each build, in milliseconds.
    cpu_ms: f64,
    /// Memory of master and worker together after it, in MB.
    memory_mb: f64,
}

/// Measures both.
pub(super) fn measure(bb: &Path) -> Rows {
    let theirs = buildbot()?;
    let ours = again(bb)?;
    let row =
        |what: &str, measured: f64, unit: &str, peer: f64| Row::number("beside", what, measured, unit).beside(peer);
    Ok(vec![
        row("a commit built again and again, four at once", ours.rate, "builds/s", theirs.rate)
            .wanting(Wanted::AtLeast(100.0)),
        row("the same, the master's processor time a build", ours.cpu_ms, "ms", theirs.cpu_ms)
            .wanting(Wanted::AtMost(4.0)),
        row("the same, memory of master and worker afterwards", ours.memory_mb, "MB", theirs.memory_mb)
            .wanting(Wanted::AtMost(30.0)),
    ])
}

fn again(bb: &Path) -> Result<Took, String> {
    let world = World::start_as(bb, &Plan { recipe: Some(RECIPE.to_owned()), ..Plan::default() });
    // As Buildbot has none.
    world.slave_with("oak", &format!("slots = {SLOTS}\nisolation = \"none\"\n"));
    let ann = world.author("ann");
    let names: Vec<String> = (0..BRANCHES).map(|n| format!("branch-{n}")).collect();
    for name in &names {
        ann.writes(name, &[(name, "text\n")]);
        ann.publishes(name).ok();
    }
    for name in &names {
        world.until_verdict(name, "ready");
    }
    let pids = [world.with_master(|it| it.id()), world.with_slave("oak", |it| it.id())];
    let client = world.client();
    let left = AtomicUsize::new(BUILDS);
    let one = |name: &String| {
        let again = format!("/api/v1/projects/{PROJECT}/branches/{name}/rebuild");
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let asked = client.post(&again, &json!({})).json();
            let id = asked[0].as_i64().ok_or_else(|| format!("{name} was not built again: {asked}"))?;
            until(ASK, || {
                client.get(&format!("/api/v1/builds/{id}")).json()["summary"]["state"]["state"] == "finished"
            })?;
        }
        Ok::<_, String>(())
    };
    let (before, start) = (cpu_ms(pids[0])?, Instant::now());
    let done: Vec<Result<(), String>> = thread::scope(|scope| {
        let threads: Vec<_> = names.iter().map(|name| scope.spawn(|| one(name))).collect();
        threads.into_iter().map(|it| it.join().unwrap_or_else(|_| Err("a thread failed".to_owned()))).collect()
    });
    let took = start.elapsed();
    done.into_iter().collect::<Result<Vec<()>, String>>()?;
    took_by(BUILDS, took, cpu_ms(pids[0])? - before, pids)
}

fn took_by(builds: usize, took: Duration, cpu_ms: f64, pids: [u32; 2]) -> Result<Took, String> {
    let memory = pids.into_iter().map(memory_bytes).sum::<Result<u64, String>>()?;
    let builds = builds as f64;
    Ok(Took { rate: builds / took.as_secs_f64(), cpu_ms: cpu_ms / builds, memory_mb: megabytes(memory) })
}

fn until(every: Duration, is: impl Fn() -> bool) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(120);
    while !is() {
        if Instant::now() > end {
            return Err("a build did not end in two minutes".to_owned());
        }
        thread::sleep(every);
    }
    Ok(())
}

/// The same by Buildbot, from PyPI in a virtual environment.
fn buildbot() -> Result<Took, String> {
    let programs = installed()?;
    let folder = testkit::folder();
    let (pb, www) = (free_port()?, free_port()?);
    let settings = SETTINGS.replace("{pb}", &pb.to_string()).replace("{www}", &www.to_string());
    let (master, worker) = (folder.path().join("master"), folder.path().join("worker"));
    run(Command::new(programs.join("buildbot")).args(["create-master", "-q"]).arg(&master))?;
    std::fs::write(master.join("master.cfg"), settings).map_err(|error| error.to_string())?;
    let _master = Daemon::start(&programs.join("buildbot"), &master)?;
    let to = format!("127.0.0.1:{pb}");
    run(Command::new(programs.join("buildbot-worker"))
        .args(["create-worker", "-q"])
        .arg(&worker)
        .args([&to, "oak", "pass"]))?;
    let _worker = Daemon::start(&programs.join("buildbot-worker"), &worker)?;
    let client = Client::new(&format!("http://127.0.0.1:{www}"));
    let force = || {
        let body = json!({"id": 1, "jsonrpc": "2.0", "method": "force", "params": {"builderNames": ["nothing"]}});
        client.try_send("POST", "/api/v2/forceschedulers/force", &body).is_ok_and(|answer| answer.status == 200)
    };
    let ended = || {
        let answer = client.try_get("/api/v2/builds?complete=true&field=buildid&field=complete").ok()?;
        answer.json()["builds"].as_array().map(Vec::len)
    };
    until(ASK_ALL, force)?;
    until(ASK_ALL, || ended() == Some(1))?;
    let pids = [pid(&master)?, pid(&worker)?];
    let (before, start) = (cpu_ms(pids[0])?, Instant::now());
    for _ in 0..THEIRS {
        if !force() {
            return Err("Buildbot did not take a build".to_owned());
        }
    }
    until(ASK_ALL, || ended() == Some(THEIRS + 1))?;
    let took = start.elapsed();
    took_by(THEIRS, took, cpu_ms(pids[0])? - before, pids)
}

const SETTINGS: &str = r#"
from buildbot.plugins import schedulers, steps, util, worker
c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("oak", "pass", max_builds=4)]
c["protocols"] = {"pb": {"port": "tcp:{pb}:interface=127.0.0.1"}}
c["schedulers"] = [schedulers.ForceScheduler(name="force", builderNames=["nothing"])]
factory = util.BuildFactory([steps.ShellCommand(command=["true"])])
c["builders"] = [util.BuilderConfig(name="nothing", workernames=["oak"], factory=factory, collapseRequests=False)]
c["www"] = {"port": "tcp:{www}:interface=127.0.0.1", "plugins": {}}
c["buildbotURL"] = "http://127.0.0.1:{www}/"
c["db"] = {"db_url": "sqlite:///state.sqlite"}
c["buildbotNetUsageData"] = None
"#;

/// A program of Buildbot's that goes to the background, until this is dropped.
struct Daemon(Command);

impl Daemon {
    fn start(program: &Path, folder: &Path) -> Result<Self, String> {
        run(Command::new(program).arg("start").arg(folder))?;
        let mut stop = Command::new(program);
        stop.args(["stop", "-q"]).arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(stop))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.status();
    }
}

/// Where Buildbot's programs are.
fn installed() -> Result<PathBuf, String> {
    let folder = root().join("target/bench-buildbot");
    let programs = folder.join("bin");
    if !programs.join("buildbot-worker").is_file() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .map_err(|why| format!("{why}; Buildbot needs a virtual environment: install python3-venv"))?;
        let packages = ["buildbot", "buildbot-www", "buildbot-worker"].map(|name| format!("{name}=={BUILDBOT}"));
        run(Command::new(programs.join("pip")).args(["install", "--quiet"]).args(packages))
            .map_err(|why| format!("{why}; Buildbot {BUILDBOT} can't be installed from PyPI"))?;
    }
    Ok(programs)
}

fn run(command: &mut Command) -> Result<(), String> {
    let out = command.stdin(Stdio::null()).output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let said = || String::from_utf8_lossy(&[out.stdout.as_slice(), &out.stderr].concat()).trim().to_owned();
    if out.status.success() { Ok(()) } else { Err(format!("{:?}: {}", command.get_program(), said())) }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    listener.map(|address| address.port()).map_err(|error| error.to_string())
}

fn pid(folder: &Path) -> Result<u32, String> {
    let file = folder.join("twistd.pid");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    text.trim().parse().map_err(|error| format!("{}: {error}", file.display()))
}

fn memory_bytes(pid: u32) -> Result<u64, String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.map(|it: u64| it * 1024).ok_or_else(|| "the memory is not told".to_owned())
}
