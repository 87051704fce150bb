//! `kill -9` at bad moments: what was acknowledged is there, what ran goes on or runs again.

use crate::{waiting_recipe, world_as};
use protocol::BuildResult;
use protocol::api::BuildState;
use testkit::world::{Plan, World};

fn building(world: &World, branch: &str) -> protocol::api::BuildSummary {
    world.author("ann").writes(branch, &[(branch, "text\n")]);
    world.author("ann").publishes(branch).ok();
    world.wait("the build is in its first step", || {
        (world.waiting_builds() > 0).then(|| world.builds(branch).into_iter().next()).flatten()
    })
}

#[test]
fn a_build_whose_slave_is_killed_is_run_again_when_the_slave_is_back() {
    let world = world_as(&Plan { lease_s: 2, ..waiting_recipe() });
    world.slave("oak");
    let first = building(&world, "feature");

    world.kill_slave("oak");
    world.forget_waiting_builds();
    world.start_slave("oak");

    world.wait("the build is run again", || (world.release_builds() > 0).then_some(()));
    world.until_verdict("feature", "ready");
    let again = world.builds("feature").into_iter().next().unwrap();
    let first = world.build(first.id);
    assert_eq!(first.summary.state, BuildState::Finished(BuildResult::Retry));
    assert_eq!(first.retried_as, Some(again.id));
    assert_eq!(world.build(again.id).attempt, 2);
}

#[test]
fn a_build_whose_slave_does_not_come_back_is_given_to_another() {
    let world = world_as(&Plan { lease_s: 2, ..waiting_recipe() });
    world.slave("oak");
    let first = building(&world, "feature");
    world.kill_slave("oak");
    world.forget_waiting_builds();
    world.slave("elm");
    world.wait("the build is run again", || (world.release_builds() > 0).then_some(()));
    world.until_verdict("feature", "ready");
    let again = world.builds("feature").into_iter().next().unwrap();
    assert_ne!(again.id, first.id);
    assert_eq!(again.slave.unwrap().as_str(), "elm");
}

#[test]
fn a_master_that_is_killed_comes_back_with_all_it_acknowledged_and_the_build_goes_on() {
    let world = world_as(&waiting_recipe());
    world.slave("oak");
    let running = building(&world, "feature");
    let ann = world.author("ann");
    for n in 0..5 {
        let name = format!("other-{n}");
        ann.writes(&name, &[(&name, "text\n")]);
        ann.publishes(&name).ok();
    }
    let token = world.run(["token", "new", "publisher", "bob"]).ok();

    world.kill_master();
    world.start_master();

    let branches = world.run(["branches", "--json"]).ok();
    for n in 0..5 {
        assert!(branches.contains(&format!("other-{n}")), "{branches}");
    }
    assert_eq!(world.client().with_token(token.trim()).get("/api/v1/whoami").status, 200);
    assert_eq!(world.waiting_builds(), 1, "it runs all the same");
    assert_eq!(world.release_builds(), 1);
    let done = world.wait("the build ends", || {
        let build = world.build(running.id);
        matches!(build.summary.state, BuildState::Finished(_)).then_some(build)
    });
    assert_eq!(done.summary.state, BuildState::Finished(BuildResult::Success), "{}", done.summary.says);
    assert_eq!(done.attempt, 1);
    let log = world.run(["log", &running.id.to_string(), "--step", "wait"]).ok();
    assert_eq!(log, "began\nwent on\n", "no byte is lost or doubled");
}

#[test]
fn a_slave_whose_line_is_cut_keeps_building_and_delivers_when_it_is_back() {
    let world = world_as(&waiting_recipe());
    world.slave("oak");
    let running = building(&world, "feature");
    let shut = world.front().shut();
    assert_eq!(world.release_builds(), 1);
    drop(shut);
    world.until_verdict("feature", "ready");
    assert_eq!(world.builds("feature")[0].id, running.id);
}

#[test]
fn an_accepted_branch_lands_once_though_the_master_is_killed_in_between() {
    let world = world_as(&waiting_recipe());
    world.slave("oak");
    building(&world, "feature");
    assert_eq!(world.release_builds(), 1);
    world.until_verdict("feature", "ready");
    world.maintainer().accepts("feature").ok();
    world.kill_master();
    world.start_master();
    world.wait("it has landed", || {
        let _ = world.release_builds();
        (world.branch("feature").summary.verdict.code == "landed").then_some(())
    });
    assert_eq!(world.mainline().log("main").len(), 2);
}
