//! The first thing a user sees: `bb demo`, and `bb up` in a repository of one's own.

use crate::BB;
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
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
    let _ = std::fs::remove_file(basedir.join("run/address"));
    let args =
        ["up", "--repository", repository.url(), "--listen", "127.0.0.1:0", "--basedir", basedir.to_str().unwrap()];
    let mut up = world.program("up", args);
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

/// Waits until the branch `feature` has this verdict. There is no World's master here whose events could be followed.
fn until_word(bb: &impl Fn(&[&str]) -> Said, code: &str) {
    let deadline = std::time::Instant::now() + testkit::world::PATIENCE;
    loop {
        let verdict = bb(&["show", "feature", "--json"]).json()["summary"]["verdict"].clone();
        if verdict["code"] == code {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "waited in vain until {code}: {verdict}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
