//! Several accepted branches are tested together: what passes lands by one push, what fails is found and nobody else pays for it,
//! and what does not merge with another waits for that.

use crate::queue::{code, publish, stepped, turns};
use crate::support::World;
use crate::support::slave::FakeSlave;
use master::stepping::Loop;
use master::store::TokenKind;
use protocol::wire::Assignment;
use protocol::{BuildResult, ProjectId};
use serde_json::{Value, json};

pub const HERON: ProjectId = ProjectId(1);

/// These branches, accepted in this order; each adds a file of its name.
pub async fn accepted(world: &World, names: &[&str]) {
    for name in names {
        publish(world, name, &[(name, &format!("text of {name}\n"))], &json!({})).await;
        turns(world, &[Loop::Watch, Loop::Candidates]).await;
        world.accept(name).await;
    }
}

async fn queue(world: &World) -> Value {
    let answer = world.get("/api/v1/projects/heron/queue").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// The branches of each stack that is being built.
pub async fn stacks(world: &World) -> Vec<String> {
    let queue = queue(world).await;
    let stacks = queue["stacks"].as_array().cloned().unwrap_or_default();
    let names = |stack: &Value| -> String {
        let names: Vec<&str> =
            stack["branches"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        names.join(" ")
    };
    stacks.iter().map(names).collect()
}

/// Whether a build is of a commit that has a file.
fn has(world: &World, build: &Assignment, file: &str) -> bool {
    let mirror = testkit::git::Repo::at(world.basedir().join("mirrors/heron.git"));
    mirror.try_git(&["cat-file", "-e", &format!("{}:{file}", build.commit)]).is_ok()
}

/// Has the slave end the builds that it is given until nobody waits; a build fails if its commit has the file `bad`.
pub async fn until_decided(world: &World, oak: &mut FakeSlave, bad: &str) -> usize {
    match for_turns(world, oak, bad, 40).await {
        (builds, true) => builds,
        (_, false) => panic!("not decided: {}", queue(world).await),
    }
}

/// The same for so many turns at most: how many builds ended, and whether nobody waits.
pub async fn for_turns(world: &World, oak: &mut FakeSlave, bad: &str, most: usize) -> (usize, bool) {
    let mut builds = 0;
    for _ in 0..most {
        turns(world, &[Loop::Queue, Loop::Candidates, Loop::Queue, Loop::Schedule]).await;
        if world.store().queue(HERON).await.unwrap().is_empty() {
            return (builds, true);
        }
        let running = world.store().open_builds().await.unwrap();
        let running = running.iter().filter(|build| build.for_queue && build.slave.is_some()).count();
        for _ in 0..running.min(1) {
            let build = oak.given().await;
            let fails = has(world, &build, bad);
            oak.ends(build.of, 0, if fails { BuildResult::Failure } else { BuildResult::Success }).await;
            world
                .until("the build's end is recorded", async || {
                    let row = world.store().build(build.of.build).await.unwrap().unwrap();
                    if row.result().is_some() { Ok(()) } else { Err(format!("{:?}", row.state)) }
                })
                .await;
            builds += 1;
        }
    }
    (builds, false)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_together_lands_by_one_push_after_one_build() {
    let (world, mut oak) = stepped().await;
    accepted(&world, &["first", "second", "third"]).await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(stacks(&world).await, ["first second third"]);
    turns(&world, &[Loop::Queue]).await;
    let told = queue(&world).await;
    assert_eq!(told["entries"][1]["says"], "tested together with first and third, by linux");
    assert_eq!(until_decided(&world, &mut oak, "nothing").await, 1);
    let on_mainline = world.official.git(&["log", "--first-parent", "--reverse", "--format=%s", "main"]);
    assert_eq!(on_mainline.lines().count(), 4, "{on_mainline}");
    for name in ["first", "second", "third"] {
        assert_eq!(code(&world, name).await, "landed");
        assert!(world.official.files("main").contains(&name.to_owned()));
    }
    assert!(world.store().stacks(HERON).await.unwrap().len() <= 1);

    // Each says what it was tested as, and with whom.
    let head = world.official.head();
    for (name, others) in
        [("first", ["second", "third"]), ("second", ["first", "third"]), ("third", ["first", "second"])]
    {
        let entry = &world.branch(name).await["queue"][0];
        let tested = &entry["tested"];
        assert_eq!((&tested["commit"], &tested["with"]), (&json!(head), &json!(others)), "{name}: {tested}");
        assert_eq!(tested["builds"][0]["word"], "passed");
        assert_eq!(entry["landed"] == tested["commit"], name == "third");
        let page = world.get(&format!("/p/heron/branches/{name}")).await.text;
        assert!(page.contains("<p class=\"small tested\">Tested with <a href"), "{page}");
    }
}

/// The build whose commit is a stack's top is as much the others', wherever it is shown and however long ago it was.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_of_a_stack_says_is_said_of_all_of_it() {
    let (world, mut oak) = stepped().await;
    accepted(&world, &["first", "second", "third"]).await;
    turns(&world, &[Loop::Queue, Loop::Schedule]).await;
    let build = oak.given().await;
    oak.begins(build.of).await;
    let id = build.of.build;
    let told = |name: &str| build.env.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_str());
    let head = world.official.head();
    assert_eq!((told("BB_BRANCH"), told("BB_MAINLINE")), (Some("third"), Some(head.as_str())), "not the one below it");
    let at_home = world.get(&format!("/api/v1/builds/{id}/assignment")).await.json();
    assert_eq!(at_home, serde_json::to_value(&build).unwrap(), "what is run at home is what the slave was given");
    let waits = world.branch("first").await["queue"][0].clone();
    assert_eq!((&waits["tested"]["stack"], &waits["tested"]["with"]), (&json!(1), &json!(["second", "third"])));
    assert_eq!(waits["tested"]["builds"][0]["build"], json!(id));
    assert_eq!(waits["marks"][0]["build"], json!(id));
    let page = world.get("/p/heron/branches/first").await.text;
    assert!(page.contains("<div id=\"tested\"><p class=\"small tested\">Being tested with "), "{page}");
    oak.ends(build.of, 1, BuildResult::Failure).await;
    world
        .until("the build's end is recorded", async || {
            let row = world.store().build(id).await.unwrap().unwrap();
            if row.result().is_some() { Ok(()) } else { Err(format!("{:?}", row.state)) }
        })
        .await;
    let says_so = async |next: Option<&str>| {
        let detail = world.get(&format!("/api/v1/builds/{id}")).await.json();
        let summary = &detail["summary"];
        assert_eq!((&summary["branch"], &summary["with"]), (&json!("third"), &json!(["first", "second"])));
        assert_eq!(detail["line"]["branches"], json!(["first", "second", "third"]));
        assert_eq!(detail["line"]["commits"][2], summary["commit"]);
        assert_eq!(detail["next"]["who"].as_str(), next);
        let listed = world.get("/api/v1/projects/heron/builds?state=failure").await.json();
        let listed = listed["builds"].as_array().unwrap().iter().find(|it| it["id"] == json!(id)).unwrap().clone();
        assert_eq!((&listed["with"], &listed["stack"]), (&summary["with"], &summary["stack"]));
        for name in ["first", "second", "third"] {
            let timeline = world.branch(name).await["timeline"].clone();
            let failed = |it: &&Value| it["kind"] == "build-finished" && it["look"] == "failed";
            let failed: Vec<&str> =
                timeline.as_array().unwrap().iter().filter(failed).map(|it| it["text"].as_str().unwrap()).collect();
            let together = "linux failed on first, second and third together";
            assert!(failed.iter().any(|text| text.starts_with(together)), "{name}: {failed:?}");
        }
        let page = world.get(&format!("/p/heron/builds/{id}")).await.text;
        assert!(page.contains("linux failed on first, second and third together"), "{page}");
    };
    says_so(Some("bb")).await;
    until_decided(&world, &mut oak, "nothing").await;
    // Nobody of it waits any more.
    publish(&world, "last", &[("last", "x\n"), ("none", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.accept("last").await;
    turns(&world, &[Loop::Queue]).await;
    let left = world.store().stacks(HERON).await.unwrap();
    assert!(left.iter().all(|it| it.members.len() == 1), "{left:?}");
    says_so(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_is_found_and_the_others_land() {
    let (world, mut oak) = stepped().await;
    accepted(&world, &["one", "two", "bad", "four", "five"]).await;
    let builds = until_decided(&world, &mut oak, "bad").await;
    for name in ["one", "two", "four", "five"] {
        assert_eq!(code(&world, name).await, "landed", "{name}");
    }
    assert_eq!(code(&world, "bad").await, "ejected-failure");
    let bad = world.branch("bad").await;
    let says = bad["queue"][0]["says"].as_str().unwrap();
    assert!(says.starts_with("linux failed"), "{says}");
    let tested = &bad["queue"][0]["tested"];
    let (failing, with) = (&tested["builds"][0], tested["with"].as_array().cloned().unwrap_or_default());
    assert_eq!((&failing["look"], tested["builds"].as_array().unwrap().len()), (&json!("failed"), 1), "{tested}");
    for other in with {
        assert_eq!(code(&world, other.as_str().unwrap()).await, "landed", "{tested}");
    }
    assert!(!world.official.files("main").contains(&"bad".to_owned()));
    assert!(builds <= 8, "{builds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_merge_with_another_waits_for_it_and_is_then_its_author_s_turn() {
    let (world, mut oak) = stepped().await;
    for (name, text) in [("left", "left\n"), ("right", "right\n")] {
        publish(&world, name, &[("both", text)], &json!({})).await;
        turns(&world, &[Loop::Watch, Loop::Candidates]).await;
        world.accept(name).await;
    }
    accepted(&world, &["other"]).await;
    turns(&world, &[Loop::Queue, Loop::Queue]).await;
    assert_eq!(code(&world, "right").await, "conflict-in-front");
    let says = world.branch("right").await["queue"][0]["says"].as_str().unwrap().to_owned();
    assert_eq!(says, "it does not merge with left, which is before it");
    assert_eq!(until_decided(&world, &mut oak, "nothing").await, 1);
    assert_eq!((code(&world, "left").await, code(&world, "other").await), ("landed".into(), "landed".into()));
    assert_eq!(code(&world, "right").await, "ejected-conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_merge_with_one_that_left_lands() {
    let (world, mut oak) = stepped().await;
    for (name, text) in [("bad", "left\n"), ("right", "right\n")] {
        publish(&world, name, &[("both", text), (name, "x\n")], &json!({})).await;
        turns(&world, &[Loop::Watch, Loop::Candidates]).await;
        world.accept(name).await;
    }
    until_decided(&world, &mut oak, "bad").await;
    // Which of them is tested first is the queue's business.
    assert!(code(&world, "bad").await.starts_with("ejected-"));
    assert_eq!(code(&world, "right").await, "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_changes_how_all_is_built_is_tested_alone() {
    let (world, mut oak) = stepped().await;
    let recipe = "[[builder]]\nname = \"linux\"\n\n[[builder.step]]\nname = \"test\"\nrun = \"false || true\"\n";
    publish(&world, "settings", &[(".bb.toml", recipe)], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.accept("settings").await;
    accepted(&world, &["second", "third"]).await;
    turns(&world, &[Loop::Queue, Loop::Candidates, Loop::Queue]).await;
    assert_eq!(stacks(&world).await, Vec::<String>::new());
    assert_eq!(until_decided(&world, &mut oak, "nothing").await, 2);
    for name in ["settings", "second", "third"] {
        assert_eq!(code(&world, name).await, "landed", "{name}");
    }
}

/// What is built is the work of all of them: one stranger among them is enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_kept_apart_as_the_least_trusted_of_its_branches_is() {
    let (world, _oak) = stepped().await;
    let stranger = world.token(TokenKind::Publisher, "Sam").await;
    world.author.branch("strange", "origin/main");
    world.author.commit(&[("strange", "x\n")], "Work on strange");
    let body = json!({"url": world.author.url(), "branch": "strange", "name": "strange"});
    let answer = world.post_as(&stranger, crate::queue::BRANCHES, &body).await;
    assert!(answer.status < 300, "{}", answer.text);
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    world.accept("strange").await;
    accepted(&world, &["trusted"]).await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(stacks(&world).await, ["strange trusted"]);
    let top = world.store().stacks(HERON).await.unwrap().pop().unwrap().top;
    let alone = world.store().builds_of_candidates([top]).await.unwrap().remove(&top).unwrap();
    assert_eq!(alone.iter().map(|build| build.isolation).collect::<Vec<_>>(), [protocol::wire::Isolation::Bubblewrap]);
}

/// Wherever the master is killed, all land in the end, and nothing that was built is built again.
#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_stack_is_built_once_and_lands() {
    let mut writes = 0;
    for past in 0.. {
        let (mut world, oak) = stepped().await;
        accepted(&world, &["first", "second", "third"]).await;
        world.stops().stop_at(&["store.write"]);
        let mut turn = tokio::spawn(world.master().turn(Loop::Queue));
        let held = async {
            for _ in 0..past {
                world.stops().held().await.go();
            }
            world.stops().held().await
        };
        let _held = tokio::select! {
            held = held => held,
            // It does not write so often.
            done = &mut turn => {
                done.unwrap().unwrap();
                break;
            }
        };
        writes = past + 1;
        drop(oak);
        world.kill_master().await;
        turn.abort();
        world.start_master().await;
        let (mut oak, _) = FakeSlave::new(&world, "elm").await;
        let builds = until_decided(&world, &mut oak, "nothing").await;
        assert!(builds <= 1, "killed at write {past}: {builds} builds");
        for name in ["first", "second", "third"] {
            assert_eq!(code(&world, name).await, "landed", "killed at write {past}");
        }
    }
    // How they stand, their candidates, the stack, its build.
    assert!(writes >= 4, "{writes}");
}
