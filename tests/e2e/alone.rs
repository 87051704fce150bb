//! What the command does where there is no master.

use crate::BB;
use testkit::world::World;

#[test]
fn a_master_that_is_not_there_is_said_with_its_url() {
    let world = World::empty(BB);
    let said = world.run(["branches", "--master", "http://127.0.0.1:1"]).fails();
    assert!(said.contains("http://127.0.0.1:1") && said.contains("hint: "), "{said}");
}

#[test]
fn a_master_that_is_not_named_is_asked_for() {
    let world = World::empty(BB);
    let said = testkit::world::Said::of(world.command(["branches"]).env_remove("BB_MASTER")).fails();
    insta::assert_snapshot!(said, @r"
    error: no master is named
    hint: say where it is with --master URL, with BB_MASTER, or once and for all with `bb login URL`
    ");
}

#[test]
fn completions_and_the_manual_are_printed() {
    let world = World::empty(BB);
    assert!(world.run(["completions", "bash"]).ok().contains("complete"));
    assert!(world.run(["man"]).ok().contains(".TH"));
}
