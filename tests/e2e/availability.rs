//! When a slave takes builds, by command: on its own machine, and by an admin on the master.

use crate::{waiting_recipe, world, world_as};
use protocol::wire::Availability;
use rustix::process::Signal;
use testkit::world::World;

/// The slave's basedir, as a word of a command.
fn basedir(world: &World, name: &str) -> String {
    world.folder().join("slaves").join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_slave_s_word_is_given_on_its_machine_whether_it_runs_or_not() {
    let world = world();
    world.slave_with("oak", "[availability]\nzone = \"Europe/Berlin\"\n[[availability.rule]]\nsay = \"reluctant\"\nhours = \"08:00-18:00\"\ndays = \"mon-fri\"\nreason = \"office hours\"\n");
    let oak = basedir(&world, "oak");
    let args = ["slave", "set-availability", &oak, "unavailable", "--for", "2h", "--reason", "a talk"];
    assert_eq!(world.run(args).ok(), "", "made for crontab");
    let slave = world.wait("the master hears of it", || {
        world.slaves().into_iter().find(|slave| slave.said == Availability::Unavailable)
    });
    let word = slave.said_word.unwrap();
    assert!(word.reason == "a talk" && word.until.is_some(), "{word:?}");
    assert!(world.run(["slaves"]).ok().contains("a talk"));
    let read = world.run(["slave", "availability", &oak, "--json"]).json();
    assert_eq!((&read["running"], &read["word"]["says"]), (&true.into(), &"unavailable".into()));

    world.kill_slave("oak");
    world.run(["slave", "set-availability", &oak, "eager"]).ok();
    let read = world.run(["slave", "availability", &oak]).ok();
    assert!(read.contains("eager") && read.contains("does not run"), "{read}");
    world.start_slave("oak");
    world.wait("it comes with its word", || world.slaves().into_iter().find(|slave| slave.said == Availability::Eager));

    world.run(["slave", "set-availability", &oak, "auto"]).ok();
    let check = world.run(["slave", "check", &oak, "--at", "2026-12-24 09:30"]).ok();
    assert!(
        check.starts_with("Thu 2026-12-24 09:30 CET: reluctant (rule 1: office hours), until Thu 2026-12-24 18:00 CET"),
        "{check}"
    );
    let check = world.run(["slave", "check", &oak, "--at", "2026-12-24 22:10"]).ok();
    assert!(check.starts_with("Thu 2026-12-24 22:10 CET: eager") && check.contains("does not hold"), "{check}");
    assert!(world.run(["slave", "check", &oak, "--at", "noon"]).fails().contains("`noon` is no time"));
    assert!(world.run(["slave", "set-availability", "/nowhere", "eager"]).fails().contains("no slave's basedir"));
}

#[test]
fn now_moves_a_running_build_to_another_slave_and_it_counts_once() {
    let world = world_as(&waiting_recipe());
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    world.wait("it runs", || (world.waiting_builds() == 1).then_some(()));
    let first = world.builds("feature")[0].id;
    world.slave("elm");
    world
        .run(["slave", "set-availability", &basedir(&world, "oak"), "unavailable", "--now", "--reason", "new disk"])
        .ok();
    world.wait("it was handed back", || world.builds("feature").into_iter().find(|it| it.id != first));
    world.forget_waiting_builds();
    world.wait("it runs elsewhere", || (world.waiting_builds() == 1).then_some(()));
    assert_eq!(world.release_builds(), 1);
    world.until_verdict("feature", "ready");
    let moved = serde_json::to_string(&world.build(first)).unwrap();
    assert!(moved.contains("handed back") && moved.contains("new disk"), "{moved}");
}

#[test]
fn a_slave_that_is_told_to_end_lets_its_build_finish() {
    let world = world_as(&waiting_recipe());
    world.slave_with("oak", "[availability]\ndrain = \"1h\"\n");
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    world.wait("it runs", || (world.waiting_builds() == 1).then_some(()));
    world.with_slave("oak", |oak| oak.signal(Signal::TERM));
    world.wait("it takes nothing more", || {
        world.slaves().into_iter().find(|slave| slave.said == Availability::Unavailable)
    });
    assert_eq!(world.release_builds(), 1);
    world.until_verdict("feature", "ready");
    assert_eq!(world.builds("feature").len(), 1);
}
