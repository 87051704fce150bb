//! What must be refused, each with its own message; nothing hangs and nothing is lost.

use crate::{BB, world, world_as};
use serde_json::json;
use testkit::git::Repo;
use testkit::git_server::{GitServer, Manner};
use testkit::world::{PROJECT, Plan, World};

/// Publishes by the API and gives the refusal's code; the answer must be a problem with words.
fn refused(world: &World, url: &str, branch: &str) -> String {
    let answer =
        world.client().post(&format!("/api/v1/projects/{PROJECT}/branches"), &json!({ "url": url, "branch": branch }));
    assert!((400..500).contains(&answer.status), "{url:?} {branch:?}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let problem = answer.json();
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.len() > 10 && problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{problem}");
    assert!(!answer.body.contains("s3cret"), "no secret is repeated: {problem}");
    problem["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn urls_and_branches_that_can_not_be_are_refused_at_once() {
    let world = world();
    let cases = [
        ("ext::sh -c touch% x", "main"),
        ("file:///etc", "main"),
        ("/etc", "main"),
        ("../repo", "main"),
        ("-oProxyCommand=x", "main"),
        ("--upload-pack=x", "main"),
        ("ssh://-oProxyCommand=x/y", "main"),
        ("ssh://host:-p22/", "main"),
        ("http://10.0.0.1/r.git", "main"),
        ("http://169.254.169.254/r.git", "main"),
        ("https://ann:s3cret@git.example.org/r.git", "main"),
        ("https://git.example.org/r\ngit", "main"),
        ("https://git.example.org/r.git", "--upload-pack=x"),
        ("https://git.example.org/r.git", "a..b"),
        ("https://git.example.org/r.git", ""),
    ];
    let said: Vec<String> =
        cases.iter().map(|(url, branch)| format!("{url:?} {branch:?}: {}", refused(&world, url, branch))).collect();
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(world.run(["branches", "--json"]).json(), json!([]));
}

#[test]
fn a_relative_path_is_meant_from_here() {
    let world = world();
    let ann = world.author("ann");
    ann.writes("feature", &[("a.txt", "a\n")]);
    // As one types it who stands beside it.
    world.run(["publish", "authors/ann", "feature", "--name", "feature"]).ok();
    assert_eq!(world.branch("feature").summary.url, ann.repo().path().canonicalize().unwrap().to_str().unwrap());
    let said = world.run(["publish", "authors/nobody;token=s3cret", "feature"]).fails();
    assert!(said.contains("is no URL") && said.contains("from here") && said.contains("hint: "), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let said = world.run(["--master", "http://ann:s3cret@127.0.0.1:1", "branches"]).fails();
    assert!(said.contains("no user, password or parameters") && !said.contains("s3cret"), "{said}");
}

/// Publishes a branch of ann's, waits for its verdict, and gives its code and words without what differs each time.
fn verdict_on(world: &World, url: &str, branch: &str, name: &str) -> String {
    world.run(["publish", url, branch, "--name", name]).ok();
    let verdict = world
        .until(name, |seen| {
            !matches!(seen.summary.verdict.code.as_str(), "not-fetched" | "no-candidate" | "waiting" | "building")
        })
        .summary
        .verdict;
    let text = format!("{name}: {}: {}", verdict.code, verdict.because);
    let tip = world.mainline().head();
    text.replace(&tip[..10], "TIP")
        .replace(world.folder().to_str().unwrap(), "FOLDER")
        .replace(&url.replace("/r.git", ""), "SERVER")
}

#[test]
fn sources_that_can_not_be_read_say_why() {
    let world = world();
    let folder = world.folder().join("authors");
    let _empty = Repo::init_bare(folder.join("r.git"));
    let mut said = Vec::new();
    for (name, manner) in [
        ("wants-a-password", Manner::Unauthorized),
        ("no-such-branch", Manner::Smart),
        ("broken", Manner::Status(500)),
        ("redirects-inside", Manner::Redirect("http://169.254.169.254".into())),
    ] {
        let server = GitServer::start(&folder, &manner);
        said.push(verdict_on(&world, &server.url("r.git"), "feature", name));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_server_that_never_answers_holds_up_nobody_else() {
    let world = world();
    world.slave("oak");
    let server = GitServer::start(world.folder(), &Manner::Silent);
    world.run(["publish", &server.url("r.git"), "feature", "--name", "silent"]).ok();
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
    let silent = world.branch("silent");
    assert_eq!(
        silent.summary.verdict.code, "not-fetched",
        "its look still goes on, and the other's did not wait for it"
    );
}

#[test]
fn branches_that_can_not_land_say_why() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    let repo = ann.repo();
    let url = repo.url().to_owned();
    let mut said = Vec::new();
    let mut look = |branch: &str| said.push(verdict_on(&world, &url, branch, branch));

    repo.git(&["branch", "equal-to-mainline", "origin/main"]);
    look("equal-to-mainline");
    ann.writes("without-changes", &[]);
    look("without-changes");
    repo.git(&["switch", "--quiet", "--orphan", "unrelated"]);
    repo.commit(&[("other.txt", "other\n")], "Another beginning");
    look("unrelated");
    ann.writes("empty-fragment", &[("a", "1\n"), ("repo.ChangeLog", "")]);
    look("empty-fragment");
    ann.writes("malformed-fragment", &[("a", "1\n"), ("repo.ChangeLog", "no header\n")]);
    look("malformed-fragment");
    repo.branch("not-utf-8", "origin/main");
    repo.commit_bytes(&[("a", b"1\n"), ("repo.ChangeLog", b"2026-01-02  Ann  <a@b.c>\n\n\t* a: \xff.\n")], "Latin");
    look("not-utf-8");
    ann.writes("recipe-with-an-error", &[(".bb.toml", "[[builder]]\nname = 7\n")]);
    look("recipe-with-an-error");
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_recipe_that_names_a_label_or_lock_nobody_has_says_so() {
    let mut said = Vec::new();
    for (name, line) in [("label", "slaves = [\"riscv\"]"), ("lock", "locks = [\"vm\"]")] {
        let recipe =
            format!("[[builder]]\nname = \"linux\"\n{line}\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n");
        let world = world_as(&Plan { recipe: Some(recipe), ..Plan::default() });
        world.slave("oak");
        let ann = world.author("ann");
        ann.writes("feature", &[("a", "1\n")]);
        ann.publishes("feature").ok();
        let verdict = world.until_verdict("feature", "stuck").summary.verdict;
        said.push(format!("{name}: {}\n  next: {} {}", verdict.because, verdict.next.who, verdict.next.what));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_recipe_with_an_error_points_at_line_and_column() {
    let recipe = "[[builder]]\nname = \"linux\"\n[[builder.step]]\nname = \"test\"\nrun = 7\n";
    let world = world_as(&Plan { recipe: Some(recipe.to_owned()), ..Plan::default() });
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    let verdict = world.until_verdict("feature", "recipe-error").summary.verdict;
    insta::assert_snapshot!(verdict.because);
}

/// Runs one step by a master with short limits, and gives how its build ended.
fn ends(run: &str) -> String {
    let recipe = format!("[[builder]]\nname = \"linux\"\n[[builder.step]]\nname = \"odd\"\nrun = {run:?}\n");
    let limits = "[limits]\nbuild_s = 4\nsilence_s = 2\nlog_bytes = 100000\ngrace_s = 1\n";
    let world = world_as(&Plan { recipe: Some(recipe), tables: limits.to_owned(), ..Plan::default() });
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    let build = world.wait("the build ends", || {
        let build = world.builds("feature").into_iter().next()?;
        matches!(build.state, protocol::api::BuildState::Finished(_)).then(|| world.build(build.id))
    });
    let step = build.steps.iter().find(|step| step.name == "odd").expect("the step began");
    format!("{}: {}", build.summary.word, step.says)
}

#[test]
fn builds_that_do_not_end_by_themselves_are_ended() {
    let said = [
        ("silent", "sleep 1000"),
        ("ignores TERM", "trap '' TERM; while :; do echo x; sleep 0.2; done"),
        ("leaves a child with the pipe", "setsid sleep 1000 & echo done"),
        ("prints too much", "yes | head -c 1000000; true"),
        ("prints binary", "printf '\\000\\377\\033[31mred'"),
    ]
    .map(|(name, run)| format!("{name}: {}", ends(run)));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn settings_with_an_error_point_at_the_place() {
    let world = World::without_master(BB, &Plan { settings: "lissen = 1\n".into(), ..Plan::default() });
    let said = world.run(["master", "run", world.basedir().to_str().unwrap()]).fails();
    assert!(said.contains("master.toml") && said.contains("lissen") && said.contains("line"), "{said}");
}
