//! Stories of people who run at home what failed at the master's.

use super::world_as;
use std::io::Write as _;
use std::process::{Command, Stdio};
use testkit::world::Plan;

const RECIPE: &str = "[[builder]]
name = \"linux\"

[[builder.step]]
name = \"build\"
run = \"echo $FLAVOUR of $BB_BRANCH $BB_REVISION, before: $BB_PREVIOUS; git diff --stat $BB_MAINLINE\"
env = { FLAVOUR = \"it's sour\" }

[[builder.step]]
name = \"test\"
run = [\"make\", \"check\"]
";

#[test]
fn what_failed_fails_at_home_by_bb_and_by_plain_git_and_a_shell() {
    let world = world_as(&Plan { recipe: Some(RECIPE.to_owned()), ..Plan::default() });
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("hello.txt", "hello\n")]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
    ann.writes("feature", &[("greeting.txt", "a crow\n")]);
    ann.publishes("feature").ok();
    let failed = world.until("feature", |branch| branch.summary.verdict.code == "builder-failed");
    let build = &failed.builders[0].builds[0];
    let id = build.id.to_string();

    let said = world.run(["reproduce", &id]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.starts_with("it's sour of feature r2, before: success\n greeting.txt |"), "{}", said.out);
    assert!(said.err.ends_with("The same as recorded: failure: test failed with exit code 2\n"), "{}", said.err);
    assert!(said.err.contains("in bubblewrap"), "{}", said.err);
    let log = world.run(["log", &id, "--step", "build"]).out;
    assert!(said.out.starts_with(&log), "the same environment: {log:?} {:?}", said.out);
    let only = world.run(["reproduce", "feature", "linux", "--at", "build"]);
    assert!(only.code == Some(0) && !only.err.contains("== test"), "{}", only.err);
    assert!(world.run(["reproduce", &id, "--at", "lint"]).fails().contains("its steps are: build, test"));

    let lines = world.build(build.id).reproduce;
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(lines.join("\n")).current_dir(folder.path()).env_remove("GIT_DIR");
    let by_hand = shell.output().unwrap();
    let printed = String::from_utf8_lossy(&by_hand.stdout).into_owned();
    assert!(printed.starts_with(&log), "{printed}{}", String::from_utf8_lossy(&by_hand.stderr));
    assert_eq!(by_hand.status.code(), Some(2), "{lines:?}");
    let shown = world.run(["show", &id]).ok();
    assert!(shown.contains("make check # test") && shown.contains("test      failed"), "{shown}");
    let page = world.client().get(&build.page).body;
    assert!(page.contains("make check # test") && page.contains(&format!("bb reproduce {id}")), "{page}");
}

#[test]
fn another_result_is_said_and_a_shell_is_where_the_step_was() {
    let there = "[[builder]]\nname = \"linux\"\n[[builder.step]]\nname = \"test\"\nrun = \"test ${THERE:-no} = yes\"\n";
    let world = world_as(&Plan { recipe: Some(there.to_owned()), ..Plan::default() });
    world.slave_with("oak", "[env]\nTHERE = \"yes\"\n");
    let ann = world.author("ann");
    ann.writes("feature", &[("hello.txt", "hello\n")]);
    ann.publishes("feature").ok();
    let ready = world.until_verdict("feature", "ready");
    let id = ready.builders[0].builds[0].id.to_string();
    let said = world.run(["reproduce", &id]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains("test: failure, exit code 1 here, and success as it is recorded"), "{}", said.err);
    assert_eq!(world.run(["reproduce", &id, "--env", "THERE=yes"]).code, Some(0));

    let into = world.folder().join("into");
    let mut shell = world.command(["reproduce", &id, "--shell", "--into", into.to_str().unwrap()]);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It is read by the shell when it is there.
    shell.stdin.take().unwrap().write_all(b"echo $BB_BUILD in $PWD; cat hello.txt; touch seen\n").unwrap();
    let ended = shell.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!((ended.status.code(), printed), (Some(3), format!("{id} in /build\nhello\n")));
    assert!(into.join("work/0/build/seen").exists(), "the folder stays: {}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(world.run(["reproduce", &id, "--into", into.to_str().unwrap()]).code, Some(3), "there again");
    let full = world.run(["reproduce", &id, "--into", world.folder().to_str().unwrap()]).fails();
    assert!(full.contains("is not empty"), "{full}");
}
