//! Every listing has a form for people and one for programs.

use crate::world;

#[test]
fn every_listing_is_valid_json() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes_with_fragment("feature", &[("a", "1\n")]);
    let published = world.run(["publish", ann.repo().url(), "feature", "--json"]).json();
    assert_eq!(published["name"], "feature");
    world.until_verdict("feature", "ready");
    let build = world.builds("feature")[0].id.to_string();

    assert_eq!(world.run(["branches", "--json"]).json()[0]["name"], "feature");
    // Nothing is said as nothing, to people and to programs, and is no failure.
    assert_eq!(world.run(["branches", "-q", "nobody's", "--json"]).json(), serde_json::json!([]));
    let none = world.run(["branches", "-q", "nobody's"]).ok();
    assert!(none.starts_with("No live branch has `nobody's` in its name"), "{none}");
    assert_eq!(world.run(["show", "feature", "--json"]).json()["summary"]["verdict"]["code"], "ready");
    assert_eq!(world.run(["log", &build, "--json"]).json()["summary"]["word"], "passed");
    let logs = ["feature", "feature linux", &build].map(|of| {
        let words: Vec<&str> = ["log"].into_iter().chain(of.split(' ')).collect();
        world.run_in(world.folder(), &words).ok()
    });
    assert!(logs[0].contains("=== test") && logs.iter().all(|log| *log == logs[0]), "{logs:?}");
    assert!(world.run(["log", "feature", "asan"]).fails().contains("feature has no build by `asan`"));
    assert!(world.run(["log", &build, "linux"]).fails().contains("one too many"));
    assert!(world.run(["log", "nobody"]).fails().contains("nobody"));
    assert_eq!(world.run(["locks", "--json"]).json(), serde_json::json!([]));
    assert!(world.run(["locks"]).ok().starts_with("No locks are defined"));
    let builds = world.run(["builds", "--branch", "feature", "--state", "success", "--json"]).json();
    assert_eq!((builds[0]["id"].to_string(), builds[0]["slave"].as_str()), (build.clone(), Some("oak")));
    assert_eq!(world.run(["builds", "--slave", "nobody"]).ok(), "No build is all of that.\n");
    let refused = world.run(["builds", "--state", "green"]).fails();
    assert!(refused.contains("`state` is `waiting`, `running` or a result, not `green`"), "{refused}");
    assert_eq!(world.run(["slaves", "--json"]).json()[0]["name"], "oak");
    assert_eq!(world.run(["accept", "feature", "--json"]).json()["branch"], "feature");
    assert!(world.run(["queue", "--json"]).json()["entries"].is_array());
    world.until_verdict("feature", "landed");
    assert_eq!(world.run(["queue", "--json"]).json()["left"][0]["branch"], "feature");
    let tokens = world.run(["token", "list", "--json"]).json();
    assert!(tokens.as_array().is_some_and(|tokens| tokens.len() == 2), "{tokens}");
    assert!(!tokens.to_string().contains(&world.token()), "a token is never listed");
}
