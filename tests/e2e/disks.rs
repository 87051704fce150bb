//! Disks that are full: what can't be written is said, and everybody lives.

use crate::world_as;
use protocol::BuildResult;
use protocol::api::BuildState;
use testkit::world::{Plan, World};

const MEGABYTE: u64 = 1 << 20;

/// A World whose one build prints this much.
fn printing(bytes: u64) -> World {
    let run = format!("yes 'a line of a log' | head -c {bytes}");
    let recipe = format!("[[builder]]\nname = \"linux\"\n[[builder.step]]\nname = \"print\"\nrun = {run:?}\n");
    world_as(&Plan { recipe: Some(recipe), ..Plan::default() })
}

fn publish(world: &World, branch: &str) {
    let ann = world.author("ann");
    ann.writes(branch, &[(branch, "text\n")]);
    ann.publishes(branch).ok();
}

#[test]
fn a_slave_whose_disk_is_full_ends_the_build_in_an_exception_and_lives() {
    let world = printing(4 * MEGABYTE);
    world.limit_files(Some(MEGABYTE));
    world.slave("oak");
    publish(&world, "feature");
    let branch = world.until_verdict("feature", "builder-exception");
    assert!(branch.summary.verdict.because.contains("disk"), "{}", branch.summary.verdict.because);
    let build = world.builds("feature").into_iter().next().unwrap();
    assert_eq!(build.state, BuildState::Finished(BuildResult::Exception));
    assert!(world.slaves()[0].connected);

    world.kill_slave("oak");
    world.limit_files(None);
    world.start_slave("oak");
    publish(&world, "other");
    world.until_verdict("other", "ready");
}

#[test]
fn a_master_whose_disk_is_full_of_logs_lives_and_has_the_whole_log_when_there_is_room_again() {
    let world = printing(24 * MEGABYTE);
    world.kill_master();
    world.limit_files(Some(16 * MEGABYTE));
    world.start_master();
    world.limit_files(None);
    world.slave("oak");
    publish(&world, "feature");
    world.with_master(|master| {
        let log = master.log().to_owned();
        let full = || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("a log can't be written"));
        master.until("its disk is full", full);
    });
    publish(&world, "other");
    assert_eq!(world.client().get("/healthz").status, 200);

    world.kill_master();
    world.start_master();
    world.until_verdict("feature", "ready");
    let build = world.builds("feature").into_iter().next().unwrap();
    world.wait("the whole log is there", || {
        let printed = world.build(build.id).steps.into_iter().find(|step| step.name == "print")?;
        (printed.log_len == 24 * MEGABYTE).then_some(())
    });
    assert_eq!(world.build(build.id).attempt, 1);
}

#[test]
fn a_master_whose_disk_was_full_for_a_moment_has_all_that_it_answered() {
    let world = printing(1);
    world.kill_master();
    world.limit_files(Some(1024 * MEGABYTE));
    world.start_master();
    world.limit_files(None);
    let ann = world.author("ann");
    for branch in ["before", "while", "after"] {
        ann.writes(branch, &[(branch, "text\n")]);
    }
    ann.publishes("before").ok();

    world.with_master(|master| master.limit_files(Some(4096)));
    let refused = ann.publishes("while").fails();
    assert!(refused.contains("store") || refused.contains("disk"), "{refused}");
    world.wait("its health says so", || {
        let answer = world.client().get("/healthz");
        (answer.status == 503 && answer.body.contains("store")).then_some(())
    });
    assert_eq!(world.client().get("/p/heron").status, 200, "what there is can be read");

    world.with_master(|master| master.limit_files(None));
    world.wait("it is well again", || (world.client().get("/healthz").status == 200).then_some(()));
    ann.publishes("after").ok();
    let names = |world: &World| {
        let all: protocol::api::BranchPage = world.api("/projects/heron/branches");
        let mut names: Vec<String> = all.branches.into_iter().map(|branch| branch.name.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&world), ["after", "before"]);
    world.kill_master();
    world.start_master();
    assert_eq!(names(&world), ["after", "before"]);
}

/// The log itself stands on a full disk: nobody reads it then, and nothing stops for that.
#[test]
fn a_master_and_a_slave_that_can_print_nothing_work_on() {
    let world = printing(1000);
    world.kill_master();
    world.silence(true);
    world.start_master();
    world.slave("oak");
    publish(&world, "feature");
    world.until_verdict("feature", "ready");
}
