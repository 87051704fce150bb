//! What the command does where there is no master.

use crate::BB;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use testkit::world::{Said, World};

#[test]
fn a_master_that_is_not_there_is_said_with_its_url() {
    let world = World::empty(BB);
    let said = world.run(["branches", "--master", "http://127.0.0.1:1"]).fails();
    assert!(said.contains("http://127.0.0.1:1") && said.contains("hint: "), "{said}");
}

#[test]
fn a_master_that_is_not_named_is_asked_for() {
    let world = World::empty(BB);
    let said = Said::of(world.command(["branches"]).env_remove("BB_MASTER")).fails();
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

#[test]
fn git_inherits_no_open_file_of_whoever_starts_bb() {
    let world = World::empty(BB);
    let bin = world.folder().join("bin");
    std::fs::create_dir(&bin).unwrap();
    // It is no git, and bb repeats what it says.
    std::fs::write(bin.join("git"), "#!/bin/sh\nreadlink /proc/$$/fd/9 || echo nothing\n").unwrap();
    std::fs::set_permissions(bin.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let up = world.command(["up"]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec 9<bin/git; exec \"$0\" \"$@\""]).arg(up.get_program()).args(up.get_args());
    shell.env_clear().env("PATH", &bin).current_dir(world.folder());
    let said = Said::of(&mut shell).fails();
    assert!(said.contains("git") && said.contains("nothing"), "{said}");
}
