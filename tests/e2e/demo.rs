//! The first thing a user sees: `bb demo`, and `bb up` in a repository of one's own.

use crate::BB;
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use testkit::git::Repo;
use testkit::world::{Program, Said, World};

/// What differs each time, and what stands for it in a snapshot.
const FILTERS: [(&str, &str); 6] = [
    (r"/[^ \n]*/bb-test-[^/ \n]+", "FOLDER"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    // Two slots: either build may be the first.
    (r"#\d+", "#N"),
    (r"\b[0-9a-f]{40}\b", "COMMIT"),
    (r"\b[0-9a-f]{7,12}\b", "SHORT"),
    (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
];

#[test]
fn the_demo_tells_its_story_and_ends() {
    let world = World::empty(BB);
    let folder = world.folder().join("demo");
    let told = world.run(["demo", "--exit", "--listen", "127.0.0.1:0", "--basedir", folder.to_str().unwrap()]).ok();
    insta::with_settings!({ filters => FILTERS }, { insta::assert_snapshot!(told) });
}

/// The README promises that a Rust toolchain, a C compiler and git are all it takes.
#[test]
fn the_demos_project_is_built_by_a_shell_and_nothing_that_a_machine_may_lack() {
    let world = World::empty(BB);
    let folder = world.folder().join("demo");
    world.run(["demo", "--exit", "--listen", "127.0.0.1:0", "--basedir", folder.to_str().unwrap()]).ok();
    let clone = Repo::clone(folder.join("heron.git").to_str().unwrap(), world.folder().join("clone"));
    let programs = world.folder().join("programs");
    std::fs::create_dir(&programs).unwrap();
    for program in ["sh", "cp", "chmod"] {
        let found = testkit::process::on_path(program).unwrap();
        std::os::unix::fs::symlink(found, programs.join(program)).unwrap();
    }
    let recipe: toml::Table = clone.show("HEAD", ".bb.toml").parse().unwrap();
    let steps = recipe["builder"][0]["step"].as_array().unwrap();
    for step in steps {
        let mut sh = std::process::Command::new(programs.join("sh"));
        sh.args(["-euc", step["run"].as_str().unwrap()]).current_dir(clone.path()).env_clear().env("PATH", &programs);
        Said::of(&mut sh).ok();
    }
    assert_eq!(steps.len(), 2);
}

#[test]
fn the_demo_stays_up_until_ctrl_c() {
    let world = World::empty(BB);
    let folder = world.folder().join("demo");
    let mut demo = world.program("demo", ["demo", "--listen", "127.0.0.1:0", "--basedir", folder.to_str().unwrap()]);
    let log = demo.log().to_owned();
    demo.until("the story is told", || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("\nThe pages: ")));
    let answer = testkit::http::Client::new(&address(&folder.join("bb"))).get("/p/heron");
    assert_eq!(answer.status, 200);
    demo.signal(Signal::INT);
    assert_eq!(demo.end().code(), Some(0), "{}", demo.printed());
}

fn address(basedir: &Path) -> String {
    std::fs::read_to_string(basedir.join("run/address")).unwrap().trim().to_owned()
}

fn up(world: &World, repository: &Repo, basedir: &Path) -> Program {
    up_as(world, repository, basedir, &[])
}

/// The same with more words.
fn up_as(world: &World, repository: &Repo, basedir: &Path, more: &[&str]) -> Program {
    let _ = std::fs::remove_file(basedir.join("run/address"));
    let args =
        ["up", "--repository", repository.url(), "--listen", "127.0.0.1:0", "--basedir", basedir.to_str().unwrap()];
    let mut up = world.program("up", args.iter().chain(more));
    up.until("it answers", || basedir.join("run/address").exists());
    up
}

#[test]
fn up_guards_a_repository_without_a_recipe_and_scripts_need_not_read_the_screen() {
    let world = World::empty(BB);
    let official = Repo::init(world.folder().join("projects/crane"));
    official.commit(&[("Makefile", "check:\n\ttest -f crane.txt\n"), ("crane.txt", "crane\n")], "Begin");
    let author = Repo::clone(official.url(), world.folder().join("projects/ann"));
    author.branch("feature", "origin/main");
    author.commit(&[("more.txt", "more\n")], "Say more");
    let basedir = world.folder().join("state");
    let mut up = up(&world, &official, &basedir);

    let token = basedir.join("secrets/maintainer.token");
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let bb = |args: &[&str]| {
        let mut command = world.command(args);
        command.env("BB_MASTER", address(&basedir)).env("BB_TOKEN_FILE", &token);
        Said::of(&mut command)
    };
    assert!(bb(&["publish", author.url(), "feature"]).ok().contains("/branches/feature"));
    until_word(&bb, "ready");
    bb(&["accept", "feature"]).ok();
    until_word(&bb, "landed");
    assert_eq!(official.show("main", "more.txt"), "more\n");

    up.until("it says how it guessed", || true);
    let said = up.printed();
    assert_eq!(said.matches("bb_maintainer_").count(), 1, "the first token is shown once: {said}");
    assert!(said.contains(".bb.toml") && said.contains("make check"), "{said}");
    up.signal(Signal::TERM);
    assert_eq!(up.end().code(), Some(0), "{}", up.printed());
}

/// The lines of a guide that follow a heading, as far as the next one, each as it is to be typed.
fn typed(guide: &str, heading: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(guide)).unwrap();
    let section = text.split_once(&format!("\n## {heading}\n")).expect("the heading is there").1;
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter_map(|line| line.strip_prefix("$ ")).map(ToOwned::to_owned).collect()
}

/// Whoever types what the user's guide begins with, line by line, has a branch landed.
#[test]
fn what_the_guide_begins_with_works_as_it_stands_there() {
    let world = World::empty(BB);
    let home = world.folder().join("projects");
    let official = Repo::init(home.join("heron"));
    official.commit(&[("Makefile", "check:\n\ttest -f heron.txt\n"), ("heron.txt", "heron\n")], "Begin");
    let basedir = world.folder().join("state");
    let mut up = up(&world, &official, &basedir);
    let lines = typed("user-guide.md", "Try it alone: `bb up`");
    assert_eq!(lines[..2], ["cd heron", "bb up"], "where it is started");
    let bin = world.folder().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(BB, bin.join("bb")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let token = basedir.join("secrets/maintainer.token");
    let mut folder = home;
    let bb = |args: &[&str]| {
        let mut command = world.command(args);
        Said::of(command.env("BB_MASTER", address(&basedir)).env("BB_TOKEN_FILE", &token))
    };
    for line in &lines[2..] {
        if let Some(to) = line.strip_prefix("cd ") {
            folder.push(to);
            continue;
        }
        let mut shell = world.command([""; 0]);
        let mut typed = std::process::Command::new("sh");
        typed
            .args(["-ec", line])
            .env_clear()
            .envs(shell.env("PATH", &path).get_envs().filter_map(|(k, v)| Some((k, v?))));
        for who in ["AUTHOR", "COMMITTER"] {
            typed.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.org");
        }
        typed.env("BB_MASTER", address(&basedir)).env("BB_TOKEN_FILE", &token).current_dir(&folder);
        Said::of(&mut typed).ok();
        if line.starts_with("bb publish") {
            until_verdict(&bb, "greet", "ready");
        }
    }
    until_verdict(&bb, "greet", "landed");
    assert!(official.show("main", "ChangeLog").contains("* greeting.txt: New file."));
    up.signal(Signal::TERM);
    assert_eq!(up.end().code(), Some(0), "{}", up.printed());
}

/// Waits until the branch `feature` has this verdict. There is no World's master here whose events could be followed.
fn until_word(bb: &impl Fn(&[&str]) -> Said, code: &str) {
    until_verdict(bb, "feature", code);
}

/// The same of any branch.
fn until_verdict(bb: &impl Fn(&[&str]) -> Said, branch: &str, code: &str) {
    let deadline = std::time::Instant::now() + testkit::world::PATIENCE;
    loop {
        let verdict = bb(&["show", branch, "--json"]).json()["summary"]["verdict"].clone();
        if verdict["code"] == code {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "waited in vain until {code}: {verdict}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

/// Runs `bb up` with these words more, which is to be refused.
fn up_fails(world: &World, repository: &Repo, basedir: &Path, more: &[&str]) -> String {
    let mut args = vec!["up", "--repository", repository.url(), "--listen", "127.0.0.1:0", "--basedir"];
    args.push(basedir.to_str().unwrap());
    args.extend(more);
    world.run_in(world.folder(), &args).fails()
}

fn project(world: &World, name: &str) -> Repo {
    let official = Repo::init(world.folder().join("projects").join(name));
    official.commit(&[("Makefile", "check:\n\ttrue\n")], "Begin");
    official
}

#[test]
fn a_wrong_first_up_writes_nothing() {
    let world = World::empty(BB);
    let official = project(&world, "crane");
    let basedir = world.folder().join("state");
    for (wrong, words) in [
        ("--mainline=nosuch", "has no branch `nosuch`; it has: main"),
        ("--mainline=-x", "has no branch `-x`"),
        ("--allow-private=nonsense", "nonsense"),
        ("--allow-local=/no/such/folder", "--allow-local /no/such/folder: No such file"),
        ("--slots=0", "1..=64"),
    ] {
        let said = up_fails(&world, &official, &basedir, &[wrong]);
        assert!(said.contains(words), "{wrong}: {said}");
        assert!(!basedir.exists(), "{wrong}");
    }
}

#[test]
fn up_allows_the_repository_that_it_guards_and_those_beside_it() {
    let world = World::empty(BB);
    let official = project(&world, "crane");
    let basedir = world.folder().join("state");
    for place in ["projects/crane/vendor/deep", "projects/group/deep", "elsewhere", "projects/beside"] {
        let repo = Repo::init(world.folder().join(place));
        repo.commit(&[("secret", "hunter2\n")], "Nobody's business");
        repo.git(&["branch", "x"]);
    }
    official.git(&["branch", "x"]);
    let _up = up(&world, &official, &basedir);
    let publish = |place: &str| {
        let place = world.folder().join(place);
        let mut command = world.command(["publish", place.to_str().unwrap(), "x"]);
        command.env("BB_MASTER", address(&basedir)).env("BB_TOKEN_FILE", basedir.join("secrets/maintainer.token"));
        Said::of(&mut command)
    };
    for place in ["projects/crane", "projects/beside"] {
        publish(place).ok();
    }
    for place in ["projects/crane/vendor/deep", "projects/group/deep", "elsewhere", "projects/nowhere"] {
        assert!(publish(place).fails().contains("no repository that may be published is there"), "{place}");
    }
    let settings = std::fs::read_to_string(basedir.join("master.toml")).unwrap();
    assert!(settings.contains("allow_private = []"), "{settings}");
}

#[test]
fn a_second_up_keeps_to_its_settings_and_says_so() {
    let world = World::empty(BB);
    let official = project(&world, "crane");
    official.git(&["branch", "stable"]);
    let basedir = world.folder().join("a state");
    drop(up_as(&world, &official, &basedir, &["--mainline", "stable", "--allow-private", "127.0.0.0/8"]));

    // As if it had been killed while it made its slave: the token is there, and no settings.
    let of_slave = basedir.join("slave");
    std::fs::create_dir_all(of_slave.join("secrets")).unwrap();
    std::fs::write(of_slave.join("secrets/slave.token"), "of-before\n").unwrap();
    let _ = std::fs::remove_file(of_slave.join("slave.toml"));

    let other = project(&world, "stork");
    let said = up_fails(&world, &other, &basedir, &[]);
    assert!(said.contains("crane, not ") && said.contains("stork"), "{said}");
    let projects = world.folder().to_str().unwrap();
    let flags = ["--mainline", "main", "--allow-private", "10.0.0.0/8", "--allow-local", projects];
    let said = up_fails(&world, &official, &basedir, &flags);
    for words in [
        "mainline is `stable`, not `main`",
        "allow_private of [sources] has no `10.0.0.0/8`",
        "allow_local of [sources] has no `/",
        "master.toml, which counts",
        "hint: ",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }

    for same in [&[][..], &["--mainline", "stable", "--allow-private", "127.0.0.0/8"][..]] {
        let mut again = up_as(&world, &official, &basedir, same);
        let log = again.log().to_owned();
        again.until("it greets", || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("End it with")));
        let said = again.printed();
        assert!(said.contains("bb guards stable of "), "{said}");
        assert!(said.contains(&format!("BB_TOKEN_FILE='{}/secrets/", basedir.display())), "a word for a shell: {said}");
    }
}

#[test]
fn up_says_what_is_wrong_with_the_recipe_each_time() {
    let world = World::empty(BB);
    let official = project(&world, "crane");
    let basedir = world.folder().join("state");
    let says = |words: &str| {
        let mut up = up(&world, &official, &basedir);
        let log = up.log().to_owned();
        up.until(words, || std::fs::read_to_string(&log).is_ok_and(|said| said.contains(words)));
    };
    official.commit(&[(".bb.toml", "[[builder]]\nname = 7\n")], "Break it");
    for _ in 0..2 {
        says("Mainline needs care: the recipe has an error: .bb.toml:1:1: ");
    }
    official.git(&["rm", "--quiet", ".bb.toml", "Makefile"]);
    official.commit(&[("README", "nothing to build\n")], "Leave nothing to guess from");
    says("Mainline needs care: there is no recipe and none could be guessed");
}

#[test]
fn a_demo_that_can_not_listen_leaves_nothing_behind() {
    let world = World::empty(BB);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = world.folder().join("demo");
    let said = world.run(["demo", "--listen", &address, "--basedir", folder.to_str().unwrap()]).fails();
    assert!(said.contains("in use") && said.contains("--listen"), "{said}");
    assert!(!folder.exists());
}

/// Whoever watches his own master does not stand in line at its door, and no look of his ends it.
#[test]
fn up_lives_on_and_says_what_is_wrong_while_its_door_is_full() {
    let world = World::empty(BB);
    let official = project(&world, "crane");
    let basedir = world.folder().join("state");
    drop(up(&world, &official, &basedir));
    let settings = basedir.join("master.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{text}\n[clients]\nconnections = 4\n")).unwrap();
    let mut up = up(&world, &official, &basedir);
    let port = address(&basedir).rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let crowd: Vec<_> = (0..16).map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    official.commit(&[(".bb.toml", "[[builder]]\nname = 7\n")], "Break it");
    let log = up.log().to_owned();
    up.until("it says so", || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("Mainline needs care")));
    drop(crowd);
    up.signal(Signal::INT);
    assert_eq!(up.end().code(), Some(0), "{}", up.printed());
}

/// Ends it in order: what it had git do has ended, too, and writes nothing more.
fn ended(mut up: Program) {
    up.signal(Signal::INT);
    assert_eq!(up.end().code(), Some(0), "{}", up.printed());
}

#[test]
fn up_starts_without_its_mirrors_and_outlasts_an_official_repository_that_is_away() {
    let world = World::empty(BB);
    let official = project(&world, "crane");
    let basedir = world.folder().join("state");
    ended(up(&world, &official, &basedir));
    std::fs::remove_dir_all(basedir.join("mirrors")).unwrap();
    let mut up = up(&world, &official, &basedir);
    let log = up.log().to_owned();
    up.until("it greets", || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("End it with")));
    let away = world.folder().join("away");
    std::fs::rename(official.path(), &away).unwrap();
    up.until("it says so", || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("Mainline needs care")));
    std::fs::rename(&away, official.path()).unwrap();
    up.until("it is well", || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("as it should be again")));
}

#[test]
fn up_starts_on_a_mirror_that_lost_all_and_while_the_official_repository_is_away() {
    let world = World::empty(BB);
    let official = project(&world, "crane");
    let basedir = world.folder().join("state");
    let told = |up: &mut Program, what: &[&str]| {
        let log = up.log().to_owned();
        let says = || std::fs::read_to_string(&log).is_ok_and(|said| what.iter().any(|what| said.contains(what)));
        up.until(what[0], says);
    };
    let mut first = up(&world, &official, &basedir);
    told(&mut first, &["would make it explicit"]);
    ended(first);
    for mirror in std::fs::read_dir(basedir.join("mirrors")).unwrap() {
        let mirror = mirror.unwrap().path();
        std::fs::remove_dir_all(&mirror).unwrap();
        std::fs::create_dir(&mirror).unwrap();
    }
    let mut mended = up(&world, &official, &basedir);
    told(&mut mended, &["can't be told now", "would make it explicit"]);
    mended.signal(Signal::INT);
    assert_eq!(mended.end().code(), Some(0), "{}", mended.printed());
    let away = world.folder().join("away");
    std::fs::rename(official.path(), &away).unwrap();
    let mut alone = up(&world, &official, &basedir);
    told(&mut alone, &["Mainline needs care"]);
    std::fs::rename(&away, official.path()).unwrap();
    told(&mut alone, &["as it should be again"]);
    // What is not guarded here is not guessed at.
    let nowhere = world.folder().join("nowhere");
    let said = world.run(["up", "--repository", nowhere.to_str().unwrap(), "--basedir", basedir.to_str().unwrap()]);
    assert!(said.fails().contains("is not in a git repository"));
}

/// A program that does not outlive its test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn up_runs_on_though_nothing_that_it_says_can_be_written() {
    let world = World::empty(BB);
    let official = project(&world, "crane");
    let basedir = world.folder().join("state");
    let mut command = world.command(["up", "--repository", official.url(), "--listen", "127.0.0.1:0", "--basedir"]);
    command.arg(&basedir).stdin(Stdio::null());
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut up = Ends(command.spawn().unwrap());
    world.wait("it answers", || basedir.join("run/address").exists().then_some(()));
    let answer = || testkit::http::Client::new(&address(&basedir)).try_get("/healthz").ok();
    world.wait("it is well", || answer().filter(|answer| answer.status == 200));
    rustix::process::kill_process(rustix::process::Pid::from_child(&up.0), Signal::INT).unwrap();
    assert_eq!(up.0.wait().unwrap().code(), Some(0));
}
