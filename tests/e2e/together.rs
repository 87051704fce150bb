//! Several accepted branches are tested together, and everybody is told what was tested with whom.

use crate::world_as;
use testkit::browser::browser;
use testkit::world::{Plan, World};

const FIVE: [&str; 5] = ["one", "two", "bad", "four", "five"];

/// A recipe that `one` and `bad` pass alone and fail together.
fn recipe() -> Plan {
    let run = "if test -e one && test -e bad; then echo 'error: bad does not go with one'; exit 1; fi";
    let recipe = format!("[[builder]]\nname = \"linux\"\n\n[[builder.step]]\nname = \"test\"\nrun = \"{run}\"\n");
    Plan { recipe: Some(recipe), ..Plan::default() }
}

/// Five branches that each passed alone, accepted while nothing lands, and no slave there: what is tested of them waits.
fn accepted(world: &World) {
    let ann = world.author("ann");
    for name in FIVE {
        ann.writes_with_fragment(name, &[(name, "text\n")]);
        ann.publishes(name).ok();
    }
    for name in FIVE {
        world.until_verdict(name, "ready");
    }
    world.run(["queue", "pause"]).ok();
    ["oak", "elm"].iter().for_each(|slave| world.kill_slave(slave));
    for name in FIVE {
        world.maintainer().accepts(name).ok();
    }
    world.wait("several are tested together", || {
        world.queue().stacks.iter().any(|stack| stack.line.branches.len() > 1).then_some(())
    });
}

/// The queue's page draws what is tested: everywhere, in the dark, and without JavaScript.
fn looked_at(world: &World) {
    let browser = browser();
    // Away from the browser's own first page, whose scripts would complain.
    browser.open(&format!("{}/p/heron/queue", world.url()));
    browser.javascript(false);
    for (width, height, scheme) in [(360, 740, "light"), (1280, 900, "dark"), (3840, 2160, "light")] {
        browser.resize(width, height);
        browser.prefer(scheme);
        browser.open(&format!("{}/p/heron/queue", world.url()));
        browser.no_sideways_scroll();
        assert_eq!(browser.complaints(), Vec::<String>::new(), "at {width}");
        assert_eq!(browser.cut_off(), Vec::<String>::new(), "at {width}");
        let source = browser.source();
        assert!(source.contains("Stacks tested now") && source.contains("class=\"line\""), "{source}");
        if let Some(folder) = std::env::var_os("BB_PICTURES") {
            browser.screenshot(&std::path::Path::new(&folder).join(format!("stacks-{width}-{scheme}.png")));
        }
    }
}

#[test]
fn of_five_tested_together_four_land_and_one_is_told_why_it_does_not() {
    let world = world_as(&recipe());
    ["oak", "elm"].iter().for_each(|slave| world.slave(slave));
    accepted(&world);
    let drawn = world.run(["queue"]).ok();
    assert!(drawn.contains("STACKS TESTED NOW\nstack ") && drawn.contains("  mainline "), "{drawn}");
    looked_at(&world);

    ["oak", "elm"].iter().for_each(|slave| world.start_slave(slave));
    world.run(["queue", "resume"]).ok();
    let left = |name: &str| world.until(name, |branch| branch.queue.first().is_some_and(|it| it.left_ms.is_some()));
    let codes: Vec<(&str, String)> = FIVE.map(|name| (name, left(name).queue[0].code.clone())).into();
    let (out, landed): (Vec<_>, Vec<_>) = codes.iter().partition(|(_, code)| code != "landed");
    assert!(landed.len() == 4 && matches!(&out[..], [("one" | "bad", code)] if code == "ejected-failure"), "{codes:?}");
    let out = out[0].0;

    // Why, with the evidence, also now that it has left.
    let entry = &world.branch(out).queue[0];
    let evidence = entry.tested.as_ref().expect("what it failed in is shown");
    let [build] = &evidence.builds[..] else { panic!("{evidence:?}") };
    let step = build.step.as_ref().expect("the step that failed is named");
    assert!(step.name == "test" && step.line.is_some(), "{build:?}");
    let why = world.run(["why", out]).ok();
    let says = format!("linux failed at test, line {} (build #{})", step.line.unwrap(), build.build);
    assert!(why.contains("Code      ejected-failure\nEvidence  tested ") && why.contains(&says), "{why}");
    assert!(why.contains(&format!("Log       bb log {} --step test\n", build.build)), "{why}");
    let why: serde_json::Value = serde_json::from_str(&world.run(["why", out, "--json"]).ok()).unwrap();
    assert_eq!((&why["code"], &why["next"]["who"]), (&"ejected-failure".into(), &"ann".into()), "{why}");
    assert_eq!(why["evidence"]["tested"]["builds"][0]["build"], build.build.0);
    let client = world.client();
    assert_eq!(client.get(build.page.split('#').next().unwrap()).status, 200, "its link leads somewhere");

    // Each that landed says by which commit it was tested, and mainline has that.
    for (name, _) in landed {
        let entry = &world.branch(name).queue[0];
        let tested = entry.tested.as_ref().expect("what it landed by is shown");
        assert!(tested.builds.iter().all(|build| build.word == "passed"), "{tested:?}");
        world.mainline().git(&["merge-base", "--is-ancestor", tested.commit.as_str(), "main"]);
        let shown = world.run(["show", name]).ok();
        assert!(shown.contains(&format!("as {}: linux passed (build #", tested.commit.short())), "{shown}");
    }
    let builds = world.run(["builds"]).ok();
    assert!(builds.contains("together, stack "), "{builds}");

    assert_eq!(world.run(["wait", "two", "four", "--until", "landed"]).code, Some(0));
    assert_eq!(world.run(["wait", "two", out, "--until", "landed", "--timeout", "60s"]).code, Some(1));
    world.run(["withdraw", out]).ok();
    assert_eq!(world.run(["wait", out]).code, Some(1), "it has ended");
}
