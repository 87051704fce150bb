//! What can be asked of a master by command as well as on its pages, and what a terminal is shown of a stranger's words.

use crate::{BB, waiting_recipe, world, world_as};
use protocol::BuildId;
use std::process::Command;
use testkit::world::{Plan, Said, World};

/// Publishes a branch of ann's, and gives its one build.
fn published(world: &World) -> BuildId {
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    world.wait("a build is asked for", || world.builds("feature").first().map(|build| build.id))
}

#[test]
fn builds_are_cancelled_and_asked_for_again() {
    let world = world_as(&waiting_recipe());
    let build = published(&world);
    world.wait("it runs", || (world.waiting_builds() == 1).then_some(()));
    let said = world.run(["rebuild", "feature", "--builder", "linux"]).fails();
    assert!(said.contains("has not ended yet") && said.contains(&format!("bb cancel {build}")), "{said}");
    assert!(world.run(["rebuild", "feature"]).ok().contains("Nothing to build again"));

    assert!(world.run(["cancel", &format!("#{build}")]).ok().contains(&format!("#{build} linux of feature: ")));
    world.until_verdict("feature", "builder-cancelled");
    world.forget_waiting_builds();
    assert!(world.run(["cancel", &build.to_string()]).fails().contains("has ended already"));

    let said = world.run(["rebuild", "feature", "--builder", "nosuch"]).fails();
    assert!(said.contains("no builder `nosuch`") && said.contains("linux"), "{said}");
    let asked = world.run(["rebuild", "feature", "--builder", "linux", "--json"]).json();
    let again = world.builds("feature")[0].id;
    assert_eq!(asked, serde_json::json!([again]));
    world.wait("it runs again", || (world.waiting_builds() == 1).then_some(()));
    assert_eq!(world.release_builds(), 1);
    world.until_verdict("feature", "ready");
    assert!(world.run(["rebuild", "feature"]).ok().contains("Asked for build #"));
}

#[test]
fn the_master_s_word_on_a_slave_is_given_by_command() {
    let world = world();
    world.slave("oak");
    for word in ["unavailable", "reluctant", "eager"] {
        let slaves = world.run(["slaves", "set-availability", "oak", word, "--json"]).json();
        assert_eq!((&slaves[0]["admin"], &slaves[0]["word"]), (&word.into(), &word.into()));
    }
    assert!(world.run(["slaves", "set-availability", "elm", "eager"]).fails().contains("no slave elm"));
    assert!(world.run(["slaves", "set-availability", "oak", "asleep"]).fails().contains("[possible values: eager,"));
}

#[test]
fn a_log_steers_no_terminal() {
    let recipe = "[[builder]]\nname = \"linux\"\n[[builder.step]]\nname = \"odd\"\n\
                  run = 'printf \"\\033[31mred\\033[0m \\033]52;c;c2VjcmV0\\007\\033[2Jgone\"'\n";
    let world = world_as(&Plan { recipe: Some(recipe.to_owned()), ..Plan::default() });
    let build = published(&world).to_string();
    world.until_verdict("feature", "ready");
    let on_a_terminal = |more: &str| {
        let mut script = Command::new("script");
        let bb = world.command(["log"]);
        script.args(["-qec", &format!("{BB} log {build} --step odd {more}"), "/dev/null"]);
        script.envs(bb.get_envs().filter_map(|(name, value)| Some((name, value?)))).env_remove("NO_COLOR");
        Said::of(&mut script).ok()
    };
    assert_eq!(on_a_terminal("").trim_end(), "\x1b[31mred\x1b[0m gone");
    let raw = "\x1b[31mred\x1b[0m \x1b]52;c;c2VjcmV0\x07\x1b[2Jgone";
    assert_eq!(on_a_terminal("--raw").trim_end(), raw);
    assert_eq!(world.run(["log", &build, "--step", "odd"]).ok().trim_end(), raw, "a pipe gets the bytes");
}

#[test]
fn a_variable_that_is_empty_counts_as_unset() {
    let world = World::empty(BB);
    let mut command = world.command(["branches"]);
    command.env("BB_MASTER", "").env("BB_TOKEN_FILE", "").env("BB_TOKEN", "").env("BB_PROJECT", "");
    let said = Said::of(&mut command).fails();
    assert!(said.contains("no master is named"), "{said}");
}

#[test]
fn a_slave_is_not_made_with_a_persons_token() {
    let world = world();
    let token = world.basedir().join("secrets/maintainer.token");
    let basedir = world.folder().join("slaves/oak");
    let mut command = world.command(["slave", "create", basedir.to_str().unwrap(), "--name", "oak"]);
    let said = Said::of(command.env("BB_TOKEN_FILE", token)).fails();
    assert!(said.contains("a maintainer's token") && said.contains("bb token new slave"), "{said}");
    assert!(!basedir.join("slave.toml").exists());
}

#[test]
fn scripts_wait_for_branches_and_are_told_who_is_next() {
    let world = world_as(&waiting_recipe());
    published(&world);
    world.wait("it runs", || (world.waiting_builds() == 1).then_some(()));
    let said = world.run(["wait", "feature", "--timeout", "1s"]);
    assert_eq!((said.code, said.out.contains("feature is not decided in time")), (Some(124), true), "{said:?}");
    assert_eq!(world.release_builds(), 1);
    let said = world.run(["wait", "feature"]);
    assert_eq!((said.code, said.out.contains("Next: a maintainer accepts r1")), (Some(2), true), "{said:?}");
    let why = world.run(["why", "feature"]).ok();
    assert!(why.contains("Next: a maintainer") && !why.contains("Fetch"), "{why}");
    world.maintainer().accepts("feature").ok();
    let said = world.run(["wait", "feature", "--until", "landed"]);
    assert_eq!((said.code, said.out.starts_with("feature landed")), (Some(0), true), "{said:?}");
    assert_eq!(world.run(["why", "feature", "--json"]).json()["verdict"]["code"], "landed");

    let bad = world.author("bob");
    bad.writes("bad", &[("Makefile", "check:\n\tfalse\n")]);
    bad.publishes("bad").ok();
    world.forget_waiting_builds();
    world.wait("it runs", || (world.waiting_builds() == 1).then_some(()));
    assert_eq!(world.release_builds(), 1);
    let said = world.run(["wait", "feature", "bad", "--json"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    let came: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&came[0]["outcome"], &came[1]["outcome"]), (&"landed".into(), &"needs-its-author".into()), "{came}");
    assert_eq!(came[1]["code"], "builder-failed");
    for nothing in [&["wait", "nobody"][..], &["wait", "bad", "--timeout", "soon"]] {
        let said = world.run_in(world.folder(), nothing);
        assert_eq!(said.code, Some(4), "{said:?}");
    }
}

#[test]
fn several_are_accepted_at_once_and_each_is_answered_by_itself() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    for name in ["one", "two"] {
        ann.writes(name, &[(name, "x\n")]);
        ann.publishes(name).ok();
        world.until_verdict(name, "ready");
    }
    world.run(["queue", "pause"]).ok();
    let said = world.run(["accept", "nobody", "one", "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let came: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&came[0]["branch"], &came[1]["entry"]["branch"]), (&"nobody".into(), &"one".into()), "{came}");
    assert!(came[0]["refused"].as_str().unwrap().contains("no branch nobody"), "{came}");
    let said = world.run(["accept", "--all-green"]).ok();
    assert!(said.contains("Accepted r1 of two, ") && !said.contains("of one"), "{said}");
    assert_eq!(world.run(["accept", "--all-green"]).ok(), "No branch is ready.\n");
    world.run(["queue", "expedite", "two", "--reason", "the site is down"]).ok();
    let first = &world.queue().entries[0];
    assert_eq!((first.branch.as_str(), first.place), ("two", Some(1)), "{first:?}");
    world.run(["queue", "resume"]).ok();
    assert_eq!(world.run(["wait", "one", "two", "--until", "landed"]).code, Some(0));
    let log = world.mainline().git(&["log", "--first-parent", "--format=%s", "main"]);
    let at = |name: &str| log.lines().position(|line| line.contains(name)).unwrap_or_else(|| panic!("{log}"));
    assert!(at("one") < at("two"), "two landed first: {log}");
}
