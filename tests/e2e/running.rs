//! How masters start, end, and refuse to start.

use crate::{BB, world};
use rustix::process::Signal;
use std::net::TcpListener;
use testkit::world::{Plan, World};

fn basedir(world: &World) -> String {
    world.basedir().to_str().unwrap().to_owned()
}

#[test]
fn a_second_master_on_a_basedir_is_refused() {
    let world = world();
    let said = world.run(["master", "run", &basedir(&world)]).fails();
    assert!(said.contains("another master runs on") && said.contains("hint: "), "{said}");
    world.kill_master();
    world.start_master();
}

#[test]
fn a_basedir_is_not_created_twice() {
    let world = World::without_master(BB, &Plan::default());
    let said = world.run(["master", "create", &basedir(&world)]).fails();
    assert!(said.contains("is a master's basedir already"), "{said}");
}

#[test]
fn a_relative_basedir_is_as_good_as_a_whole_one() {
    let world = World::without_master(BB, &Plan::default());
    let official = world.folder().join("official.git");
    let official = official.to_str().unwrap();
    let made = ["master", "create", "here", "--name", "heron", "--repository", official, "--listen", "127.0.0.1:0"];
    world.run(made).ok();
    world.run(["master", "check", "here"]).ok();
    let mut program = world.program("relative", ["master", "run", "here"]);
    let address = world.folder().join("here/run/address");
    let tip = world.mainline().resolve("main");
    program.until("mainline is mirrored", || {
        let Ok(url) = std::fs::read_to_string(&address) else { return false };
        let refs = testkit::http::Client::new(url.trim()).get("/git/heron.git/info/refs?service=git-upload-pack");
        refs.status == 200 && refs.body.contains(&tip)
    });
}

#[test]
fn a_folder_that_is_no_basedir_is_refused() {
    let world = World::empty(BB);
    let said = world.run(["master", "run", &basedir(&world)]).fails();
    assert!(said.contains("no master's basedir") && said.contains("bb master create"), "{said}");
}

#[test]
fn a_port_in_use_is_said_with_the_address() {
    let world = World::without_master(BB, &Plan::default());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = world.run(["master", "run", &basedir(&world), "--listen", &address]).fails();
    assert!(said.contains(&address) && said.contains("in use") && said.contains("--listen"), "{said}");
}

#[test]
fn a_wrong_token_is_refused_with_words() {
    let world = world();
    let mut command = world.command(["branches"]);
    let said = testkit::world::Said::of(command.env("BB_TOKEN", "bb_maintainer_nonsense")).fails();
    assert!(said.contains("token"), "{said}");
    assert!(!said.contains("nonsense"), "a token is never shown: {said}");
}

#[test]
fn a_slave_with_a_wrong_token_is_refused_with_words() {
    let world = world();
    let file = world.folder().join("wrong.token");
    std::fs::write(&file, "bb_slave_1_nonsense\n").unwrap();
    let basedir = world.folder().join("slaves/oak");
    let (file, basedir) = (file.to_str().unwrap(), basedir.to_str().unwrap());
    let created =
        world.run(["slave", "create", basedir, "--master", &world.url(), "--token-file", file, "--name", "oak"]);
    let said = if created.code == Some(0) { world.run(["slave", "run", basedir]).fails() } else { created.fails() };
    assert!(said.contains("token"), "{said}");
}

#[test]
fn masters_and_slaves_end_cleanly_when_asked() {
    for signal in [Signal::TERM, Signal::INT] {
        let world = world();
        world.slave("oak");
        world.with_slave("oak", |slave| {
            slave.signal(signal);
            assert_eq!(slave.end().code(), Some(0), "{}", slave.printed());
        });
        world.with_master(|master| {
            master.signal(signal);
            assert_eq!(master.end().code(), Some(0), "{}", master.printed());
        });
        world.start_master();
    }
}

#[test]
fn a_store_of_a_newer_version_is_refused_by_name() {
    let store = testkit::postgres::fresh_database();
    let world = World::start_as(BB, &Plan { store: Some(store.clone()), ..Plan::default() });
    world.kill_master();
    testkit::postgres::execute(&store, "UPDATE _sqlx_migrations SET version = version + 1000").unwrap();
    let said = world.run(["master", "run", &basedir(&world)]).fails();
    assert!(said.contains("written by a newer bb") && said.contains("run that bb"), "{said}");
}

#[test]
fn the_same_story_runs_on_postgresql() {
    let store = testkit::postgres::fresh_database();
    let world = World::start_as(BB, &Plan { store: Some(store), ..Plan::default() });
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes_with_fragment("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
    world.maintainer().accepts("feature").ok();
    world.until_verdict("feature", "landed");
    world.kill_master();
    world.start_master();
    assert_eq!(world.branch("feature").summary.verdict.code, "landed");
}

#[test]
fn a_slave_s_basedir_may_be_a_relative_path() {
    let world = world();
    world.slave("oak");
    world.kill_slave("oak");
    let _slave = world.program("slave-oak", ["slave", "run", "slaves/oak"]);
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
}
