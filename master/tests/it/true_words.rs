//! Nobody is told that bb goes on where it can't, nor that something would land that won't: a turn at a time.

use crate::queue::{BRANCHES, by_hand, code, passed, publish, publish_again, stepped, turns, verdict, withdraw};
use crate::support::World;
use master::stepping::Loop;
use protocol::ProjectId;
use serde_json::{Value, json};

const LABELLED: &str =
    "[[builder]]\nname = \"linux\"\nslaves = [\"mips\"]\n\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n";

/// Who is next of a branch, as its page, the listing, the queue and the overview say, each once.
async fn nexts(world: &World, name: &str) -> Vec<String> {
    let who = |it: &Value| it["who"].as_str().unwrap_or_default().to_owned();
    let of = |list: &Value, key: &str| {
        let all = list.as_array().unwrap().clone();
        all.into_iter().find(|it| it[key] == name).unwrap_or_default()
    };
    let branch = world.branch(name).await;
    let listed = of(&world.get(BRANCHES).await.json()["branches"], "name");
    let queue = of(&world.get("/api/v1/projects/heron/queue").await.json()["entries"], "branch");
    let overview = of(&world.get("/api/v1/projects/heron").await.json()["queue"], "branch");
    let verdicts = [&branch["summary"]["verdict"], &listed["verdict"]];
    for verdict in verdicts {
        assert_eq!(verdict["would_land"], "not-yet", "{verdict}");
    }
    vec![
        who(&verdicts[0]["next"]),
        who(&verdicts[1]["next"]),
        who(&branch["queue"][0]["next"]),
        who(&queue["next"]),
        who(&overview["next"]),
    ]
}

async fn pushes(world: &World) -> usize {
    let project = world.claim().await.project;
    world.store().unlanded(project).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_official_repository_that_is_away_is_an_admin_s_turn_everywhere_and_nothing_is_pushed() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    world.accept("feature").await;
    let (there, away) = (world.official.path().to_owned(), world.official.path().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    turns(&world, &[Loop::Mainline, Loop::Queue, Loop::Queue, Loop::Mainline, Loop::Queue]).await;
    assert_eq!(code(&world, "feature").await, "official-away");
    assert_eq!(verdict(&world, "feature").await, "queue-held");
    assert_eq!(nexts(&world, "feature").await, ["an admin"; 5]);
    assert_eq!(pushes(&world).await, 0);
    std::fs::rename(&away, &there).unwrap();
    turns(&world, &[Loop::Mainline, Loop::Queue]).await;
    assert_eq!(code(&world, "feature").await, "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_built_on_what_mainline_was_when_bb_starts_and_can_not_look_at_it() {
    let (mut world, oak) = stepped().await;
    drop(oak);
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    let (there, away) = (world.official.path().to_owned(), world.official.path().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    world.kill_master().await;
    world.start_master().await;
    turns(&world, &[Loop::Mainline, Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    let branch = world.branch("feature").await;
    assert_eq!(branch["summary"]["verdict"]["code"], "mainline-away", "{branch}");
    assert_eq!(branch["builders"].as_array().unwrap().len(), 1, "{branch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mainline_that_was_renamed_is_tried_once_and_then_an_admin_s_turn() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    world.accept("feature").await;
    world.official.git(&["branch", "-m", "main", "trunk"]);
    for _ in 0..5 {
        turns(&world, &[Loop::Queue]).await;
    }
    assert_eq!(pushes(&world).await, 1, "one push found it out");
    assert_eq!(code(&world, "feature").await, "official-without-mainline");
    assert_eq!(verdict(&world, "feature").await, "queue-held");
    assert_eq!(nexts(&world, "feature").await, ["an admin"; 5]);
    world.official.git(&["branch", "-m", "trunk", "main"]);
    turns(&world, &[Loop::Mainline, Loop::Queue]).await;
    assert_eq!(code(&world, "feature").await, "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_no_slave_has_is_an_admin_s_turn_in_the_queue_too() {
    let (world, _oak) = stepped().await;
    by_hand(&world, &[(".bb.toml", LABELLED)]);
    turns(&world, &[Loop::Mainline]).await;
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    assert_eq!(verdict(&world, "feature").await, "stuck");
    world.accept("feature").await;
    turns(&world, &[Loop::Candidates, Loop::Queue, Loop::Schedule, Loop::Queue]).await;
    assert_eq!(code(&world, "feature").await, "testing-stuck");
    assert_eq!(verdict(&world, "feature").await, "stuck");
    assert_eq!(nexts(&world, "feature").await, ["an admin"; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_each_slave_it_is_told_why_it_does_not_take_a_build() {
    let (world, mut oak) = stepped().await;
    let told = async |build: &str| {
        let slaves = world.get(&format!("/api/v1/builds/{build}/slaves")).await.json();
        let code = |slave: &Value| format!("{}: {}", slave["name"].as_str().unwrap(), slave["code"].as_str().unwrap());
        slaves.as_array().unwrap().iter().map(code).collect::<Vec<_>>()
    };
    publish(&world, "first", &[("first", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    assert_eq!(told("1").await, ["oak: able"]);
    turns(&world, &[Loop::Schedule]).await;
    assert_eq!(told("1").await, ["oak: has"]);
    publish(&world, "second", &[("second", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    assert_eq!(told("2").await, ["oak: full"]);
    oak.passes_next().await;
    by_hand(&world, &[(".bb.toml", LABELLED)]);
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Builds]).await;
    publish(&world, "third", &[("third", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    assert_eq!(told("3").await, ["oak: labels"]);
    assert_eq!(world.get("/api/v1/builds/99/slaves").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_admitted_before_mainline_is_here() {
    let world = World::stepped().await;
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch]).await;
    assert_eq!(verdict(&world, "feature").await, "not-fetched");
    turns(&world, &[Loop::Mainline, Loop::Watch, Loop::Candidates]).await;
    assert_eq!(world.branch("feature").await["summary"]["revision"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_withdrawn_in_a_rebuild_is_built_anew_when_it_is_published_again() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    assert_eq!(verdict(&world, "feature").await, "ready");
    let answer = world.post(&format!("{BRANCHES}/feature/rebuild"), &json!({})).await;
    assert!(answer.status < 300, "{}", answer.text);
    assert!(withdraw(&world, "feature").await.status < 300);
    let answer = publish_again(&world, &world.token, "feature", &json!({})).await;
    assert!(answer.status < 300, "{}", answer.text);
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds, Loop::Schedule]).await;
    assert_eq!(verdict(&world, "feature").await, "building");
    oak.passes_next().await;
    assert_eq!(verdict(&world, "feature").await, "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_of_a_recipe_deserves_a_look_is_shown() {
    let (world, mut oak) = stepped().await;
    let recipe = "[[builder]]\nname = \"linux\"\n\n[[builder.step]]\nname = \"tell\"\nrun = \"true\"\nwhen = \"on-failure\"\n\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n";
    passed(&world, &mut oak, "feature", &[(".bb.toml", recipe)]).await;
    let needs = world.branch("feature").await["summary"]["verdict"]["needs"].to_string();
    assert!(needs.contains("only after a failure, so never"), "{needs}");
    by_hand(&world, &[(".bb.toml", recipe)]);
    turns(&world, &[Loop::Mainline]).await;
    let warnings = world.get("/api/v1/projects/heron").await.json()["project"]["warnings"].to_string();
    assert!(warnings.contains(".bb.toml:4:") && warnings.contains("only after a failure, so never"), "{warnings}");
    let page = world.get("/p/heron").await.text;
    assert!(page.contains("only after a failure, so never"), "{page}");
}

/// A branch with work of its own, fetched and tried.
async fn published(world: &World, name: &str, files: &[(&str, &str)]) -> String {
    publish(world, name, files, &json!({})).await;
    turns(world, &[Loop::Watch, Loop::Candidates]).await;
    world.author.head()
}

/// Somebody's commands on mainline, in the author's clone.
fn on_mainline(world: &World, commands: &[&[&str]], push: &[&str]) {
    world.author.git(&["fetch", "--quiet", "origin"]);
    world.author.git(&["switch", "--quiet", "--detach", "origin/main"]);
    for command in commands {
        world.author.git(command);
    }
    world.author.git(&[&["push", "--quiet", "origin", "HEAD:main"], push].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_mainline_by_merge_or_by_cherry_pick_is_retired_and_nobody_s_turn() {
    let (world, _oak) = stepped().await;
    let merged = published(&world, "merged", &[("merged", "x\n")]).await;
    let picked = published(&world, "picked", &[("picked", "x\n")]).await;
    published(&world, "other", &[("other", "x\n")]).await;
    on_mainline(&world, &[&["merge", "--quiet", "--no-ff", "-m", "By hand", &merged], &["cherry-pick", &picked]], &[]);
    turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
    for name in ["merged", "picked"] {
        assert_eq!(verdict(&world, name).await, "retired-in-mainline");
        assert_eq!(world.branch(name).await["summary"]["verdict"]["next"]["who"], "nobody");
        let again = publish_again(&world, &world.token, name, &json!({})).await;
        assert!(again.status < 300, "{}", again.text);
    }
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    assert_eq!(verdict(&world, "merged").await, "retired-in-mainline");
    assert_eq!(verdict(&world, "picked").await, "retired-in-mainline");
    assert_ne!(verdict(&world, "other").await, "retired-in-mainline");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rewrite_of_mainline_no_longer_has_is_live_again() {
    let (world, _oak) = stepped().await;
    let begin = world.official.head();
    let kept = published(&world, "kept", &[("kept", "x\n")]).await;
    let merged = published(&world, "merged", &[("merged", "x\n")]).await;
    let picked = published(&world, "picked", &[("picked", "x\n")]).await;
    let by_hand: &[&[&str]] = &[&["cherry-pick", &kept, &picked], &["merge", "--quiet", "-m", "By hand", &merged]];
    on_mainline(&world, by_hand, &[]);
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Mainline]).await;
    for name in ["kept", "merged", "picked"] {
        assert_eq!(verdict(&world, name).await, "retired-in-mainline", "{name}");
    }

    on_mainline(&world, &[&["reset", "--quiet", "--hard", &begin], &["cherry-pick", &kept]], &["--force"]);
    turns(&world, &[Loop::Mainline, Loop::Watch, Loop::Candidates, Loop::Mainline]).await;
    assert_eq!(verdict(&world, "kept").await, "retired-in-mainline");
    for name in ["merged", "picked"] {
        let said = world.branch(name).await;
        let code = said["summary"]["verdict"]["code"].as_str().unwrap();
        assert!(!code.starts_with("retired"), "{name} is {code}, and mainline has nothing of it");
        assert!(
            said["timeline"].to_string().contains("took out of mainline what it had of r1"),
            "{}",
            said["timeline"]
        );
    }
}

/// A candidate that is made between any two writes of the turn that follows mainline stands on the mainline of before.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_live_again_is_not_retired_by_the_mainline_of_before() {
    let (world, _oak) = stepped().await;
    let begin = world.official.head();
    let merged = published(&world, "merged", &[("merged", "x\n")]).await;
    on_mainline(&world, &[&["merge", "--quiet", "--no-ff", "-m", "By hand", &merged]], &[]);
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Mainline]).await;
    assert_eq!(verdict(&world, "merged").await, "retired-in-mainline");

    on_mainline(&world, &[&["reset", "--quiet", "--hard", &begin]], &["--force"]);
    world.stops().stop_at(&["store.write"]);
    let mut mainline = tokio::spawn(world.master().turn(Loop::Mainline));
    loop {
        let held = tokio::select! { _ = &mut mainline => break, held = world.stops().held() => held };
        let mut candidates = tokio::spawn(world.master().turn(Loop::Candidates));
        loop {
            tokio::select! { _ = &mut candidates => break, own = world.stops().held() => own.go() }
        }
        held.go();
    }
    world.stops().open();
    turns(&world, &[Loop::Candidates]).await;
    let code = verdict(&world, "merged").await;
    assert!(!code.starts_with("retired"), "{code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_landed_stays_so_published_again_and_says_what_is_newer_and_what_was_taken_out() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    let begin = world.official.head();
    world.accept("feature").await;
    turns(&world, &[Loop::Queue]).await;
    assert_eq!(verdict(&world, "feature").await, "landed");
    for _ in 0..2 {
        let again = publish_again(&world, &world.token, "feature", &json!({})).await;
        assert!(again.status < 300, "{}", again.text);
        turns(&world, &[Loop::Mainline, Loop::Watch, Loop::Candidates]).await;
        assert_eq!(verdict(&world, "feature").await, "landed");
    }

    // Its author goes on: seen and named, not fetched, not built.
    world.author.git(&["switch", "--quiet", "feature"]);
    world.author.commit(&[("feature", "y\n")], "More");
    let row = world.branch_row("feature").await;
    world.store().looked_at_landed(world.claim().await, &row, None, master::store::now()).await.unwrap();
    turns(&world, &[Loop::Watch]).await;
    let said = world.branch("feature").await["summary"].clone();
    assert_eq!((&said["verdict"]["code"], &said["revision"]), (&json!("landed"), &json!(1)));
    assert!(said["verdict"]["because"].as_str().unwrap().contains("r2 has not landed"), "{said}");
    assert!(said["verdict"]["next"]["what"].as_str().unwrap().contains("publishes it again"), "{said}");

    // A push takes it out, and another brings it back.
    let tip = world.official.head();
    world.author.git(&["fetch", "--quiet", "origin"]);
    world.author.git(&["push", "--quiet", "--force", "origin", &format!("{begin}:main")]);
    turns(&world, &[Loop::Mainline]).await;
    let said = world.branch("feature").await;
    assert_eq!(said["summary"]["verdict"]["code"], "landed-taken-out");
    assert!(said["summary"]["verdict"]["because"].as_str().unwrap().contains("taken out by a push of 2"));
    assert!(said["timeline"].to_string().contains("taken-out"), "{}", said["timeline"]);
    world.author.git(&["push", "--quiet", "--force", "origin", &format!("{tip}:main")]);
    turns(&world, &[Loop::Mainline]).await;
    assert_eq!(verdict(&world, "feature").await, "landed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mainline_that_goes_back_finds_the_candidates_that_stood_there() {
    let (world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    assert_eq!(verdict(&world, "feature").await, "ready");
    let before = world.official.resolve("main");
    by_hand(&world, &[("other.txt", "x\n")]);
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Builds]).await;
    on_mainline(&world, &[&["reset", "--quiet", "--hard", &before]], &["--force"]);
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Builds]).await;
    assert_eq!(verdict(&world, "feature").await, "ready");
}

/// What a stranger calls a file is no word of bb's about his branch.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_the_name_of_a_code_retires_no_branch() {
    let (world, _oak) = stepped().await;
    for name in ["already-landed", "equal-to-mainline", "same-patches"] {
        let file = format!("changelog-fragments/{name}.ChangeLog");
        published(&world, name, &[(&file, "\"code\":\"already-landed\" is no entry\n")]).await;
        turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Mainline]).await;
        assert_eq!(verdict(&world, name).await, "candidate-refused", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_out_has_not_landed_lately_though_its_branch_is_published_again() {
    let (world, mut oak) = stepped().await;
    let begin = world.official.head();
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    world.accept("feature").await;
    turns(&world, &[Loop::Queue]).await;
    let landed = async || world.get("/api/v1/projects/heron").await.json()["landed"].as_array().unwrap().len();
    assert_eq!(landed().await, 1);
    publish(&world, "feature", &[("feature", "y\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    assert_eq!(world.branch("feature").await["summary"]["verdict"]["state"], "waiting", "it is live again");
    world.author.git(&["push", "--quiet", "--force", "origin", &format!("{begin}:main")]);
    turns(&world, &[Loop::Mainline]).await;
    assert_eq!(landed().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_brings_its_own_recipe_says_so_while_it_conflicts_too() {
    let (world, _oak) = stepped().await;
    let own = LABELLED.replace("mips", "arm");
    publish(&world, "other", &[(".bb.toml", &own), ("README", "ours\n")], &json!({})).await;
    publish(&world, "plain", &[("README", "ours too\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    let marks = async || {
        let of = async |name: &str| world.branch(name).await["summary"]["changes_recipe"] == true;
        (of("other").await, of("plain").await)
    };
    assert_eq!(marks().await, (true, false));
    // Mainline's own recipe changes as well: that is none of theirs.
    by_hand(&world, &[("README", "theirs\n"), (".bb.toml", LABELLED)]);
    turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
    for name in ["other", "plain"] {
        assert_eq!(verdict(&world, name).await, "conflict");
    }
    assert_eq!(marks().await, (true, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_builder_of_a_branch_waits_of_which_nothing_is_to_be_built() {
    let (world, _oak) = stepped().await;
    for name in ["superseded", "conflicting"] {
        publish(&world, name, &[("feature", "x\n")], &json!({})).await;
    }
    world.author.git(&["switch", "--quiet", "conflicting"]);
    world.author.commit(&[("feature", "y\n")], "Otherwise");
    by_hand(&world, &[("feature", "x\n"), ("more", "And more, so that it is another patch\n")]);
    turns(&world, &[Loop::Mainline, Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    for (name, code) in [("superseded", "superseded"), ("conflicting", "conflict")] {
        let branch = world.branch(name).await;
        assert_eq!(branch["summary"]["verdict"]["code"], code);
        assert_eq!(branch["summary"]["marks"], json!([]), "{name}");
        let needs = branch["summary"]["verdict"]["needs"].to_string();
        assert!(!needs.contains("not built yet"), "{needs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_starts_while_mainline_is_away_says_that_and_knows_the_recipe() {
    let (mut world, mut oak) = stepped().await;
    passed(&world, &mut oak, "feature", &[("feature", "x\n")]).await;
    assert_eq!(verdict(&world, "feature").await, "ready");
    world.author.branch("more", "origin/main");
    world.author.commit(&[("more", "x\n")], "More");
    std::fs::rename(world.official.path(), world.official.path().with_extension("away")).unwrap();
    world.kill_master().await;
    world.start_master().await;
    // Before mainline was looked at, too.
    assert_eq!(verdict(&world, "feature").await, "ready");
    turns(&world, &[Loop::Mainline]).await;
    assert_eq!(verdict(&world, "feature").await, "mainline-away");
    let next = &world.branch("feature").await["summary"]["verdict"]["next"]["who"];
    assert_eq!(next, "an admin");
    // What is published now is built by what mainline was at last.
    assert!(publish_again(&world, &world.token, "more", &json!({})).await.status < 300);
    turns(&world, &[Loop::Watch, Loop::Candidates, Loop::Builds]).await;
    assert_eq!(world.branch("more").await["builders"][0]["builds"].as_array().map(Vec::len), Some(1));
}

/// One source is one live branch: where it was published under another name since mainline had it, that one goes on, and
/// mainline does for all.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_rewrite_takes_out_is_not_live_twice() {
    let (world, _oak) = stepped().await;
    let begin = world.official.head();
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    let merge = ["merge", "--quiet", "--no-edit", "feature"];
    on_mainline(&world, &[&merge], &[]);
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Mainline]).await;
    assert_eq!(verdict(&world, "feature").await, "retired-in-mainline");
    // It goes on under another name.
    world.author.git(&["switch", "--quiet", "feature"]);
    world.author.commit(&[("feature", "y\n")], "More");
    let body = json!({"url": world.author.url(), "branch": "feature", "name": "renamed"});
    assert_eq!(world.post(BRANCHES, &body).await.status, 201);
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    on_mainline(&world, &[&["reset", "--quiet", "--hard", &begin]], &["--force"]);
    turns(&world, &[Loop::Mainline, Loop::Candidates]).await;
    assert_eq!(world.store().project_by_id(ProjectId(1)).await.unwrap().compared.unwrap().as_str(), begin);
    assert_eq!(verdict(&world, "feature").await, "retired-in-mainline", "it goes on as renamed");
    // Others go on, too.
    publish(&world, "other", &[("other", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    assert_eq!(world.branch("other").await["candidate"]["mainline"], begin.as_str());
    // Published again it is the one that is live, whatever its name.
    let again = publish_again(&world, &world.token, "renamed", &json!({"branch": "feature"})).await;
    assert_eq!(again.status, 200, "{}", again.text);
}

/// The older of two branches of one source is the one that is live: publishing says so, whatever name is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn one_source_is_one_live_branch_whichever_of_its_names_is_newer() {
    let (world, _oak) = stepped().await;
    let begin = world.official.head();
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    on_mainline(&world, &[&["merge", "--quiet", "--no-edit", "feature"]], &[]);
    turns(&world, &[Loop::Mainline, Loop::Candidates, Loop::Mainline]).await;
    let renamed = json!({"url": world.author.url(), "branch": "feature", "name": "renamed"});
    assert_eq!(world.post(BRANCHES, &renamed).await.status, 201);
    assert_eq!(withdraw(&world, "renamed").await.status, 200);
    on_mainline(&world, &[&["reset", "--quiet", "--hard", &begin]], &["--force"]);
    turns(&world, &[Loop::Mainline]).await;
    assert_ne!(verdict(&world, "feature").await, "retired-in-mainline");
    for body in [renamed, json!({"url": world.author.url(), "branch": "feature"})] {
        let again = world.post(BRANCHES, &body).await;
        assert_eq!((again.status, again.json()["name"].as_str()), (200, Some("feature")), "{}", again.text);
    }
    assert_eq!(verdict(&world, "renamed").await, "withdrawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mainline_has_that_was_not_looked_at_yet_is_nothing_against_a_branch() {
    let (world, _oak) = stepped().await;
    // Names that differ in case only are refused of a branch, and mainline has them since a moment.
    by_hand(&world, &[("dir/README", "1\n"), ("dir/Readme", "2\n")]);
    publish(&world, "feature", &[("feature", "x\n")], &json!({})).await;
    turns(&world, &[Loop::Watch, Loop::Candidates]).await;
    assert_eq!(world.branch("feature").await["summary"]["revision"], 1);
    let code = verdict(&world, "feature").await;
    assert!(code != "revision-refused" && code != "source-trouble", "{code}");
    // While mainline is away nobody can know, and nothing is for ever.
    let bad = "[submodule \"s\"]\n\tpath = s\n\turl = -u./payload\n";
    publish(&world, "bad", &[(".gitmodules", bad)], &json!({})).await;
    let (there, away) = (world.official.path().to_owned(), world.official.path().with_extension("away"));
    std::fs::rename(&there, &away).unwrap();
    turns(&world, &[Loop::Watch]).await;
    assert_eq!(world.branch("bad").await["summary"]["revision"], Value::Null);
    std::fs::rename(&away, &there).unwrap();
    assert!(publish_again(&world, &world.token, "bad", &json!({})).await.status < 300);
    turns(&world, &[Loop::Mainline, Loop::Watch]).await;
    assert_eq!(verdict(&world, "bad").await, "revision-refused");
}
