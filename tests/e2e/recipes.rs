//! Stories of branches that change how they are built.

use super::{world, world_as};
use testkit::world::{Plan, RECIPE};

#[test]
fn a_branch_is_built_by_mainlines_recipe_until_accepted_and_by_its_own_in_the_queue() {
    let world = world();
    world.slave("oak");
    let eve = world.author("eve");
    // The same builder by name, so that mainline's word on it could be taken for its own.
    eve.writes("other-recipe", &[(".bb.toml", &RECIPE.replace("make check", "exit 3"))]);
    eve.publishes("other-recipe").ok();
    let branch = world.until_verdict("other-recipe", "ready");
    assert!(branch.changes_recipe, "the page says that the recipe changes");

    let before = world.mainline().head();
    world.maintainer().accepts("other-recipe").ok();
    let left = world.until("other-recipe", |branch| branch.queue.first().is_some_and(|entry| entry.left_ms.is_some()));
    assert_eq!(left.queue[0].code, "ejected-failure", "{}", left.queue[0].says);
    assert_eq!(world.mainline().head(), before, "what its own recipe fails does not land");
}

#[test]
fn a_builder_that_a_branch_brings_along_must_pass_before_it_lands() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    let both = format!(
        "{RECIPE}\n[[builder]]\nname = \"docs\"\n\n[[builder.step]]\nname = \"read\"\nrun = \"cat ChangeLog\"\n"
    );
    ann.writes("docs", &[(".bb.toml", &both)]);
    ann.publishes("docs").ok();
    world.until_verdict("docs", "ready");
    world.maintainer().accepts("docs").ok();
    let landed = world.until_verdict("docs", "landed");
    let marks: Vec<_> = landed.queue[0].marks.iter().map(|mark| (mark.builder.as_str(), mark.word.as_str())).collect();
    assert_eq!(marks, [("linux", "passed"), ("docs", "passed")]);
}

#[test]
fn each_builder_of_a_matrix_has_its_own_word() {
    let matrix = "[[builder]]\nname = \"linux\"\nmatrix = { CC = [\"gcc\", \"clang\"] }\n\n\
                  [[builder.step]]\nname = \"test\"\nrun = \"test $CC = gcc\"\n";
    let world = world_as(&Plan { recipe: Some(matrix.to_owned()), ..Plan::default() });
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("hello.txt", "hello\n")]);
    ann.publishes("feature").ok();
    let branch = world.until("feature", |branch| {
        branch.builders.iter().filter(|it| it.builds.first().is_some_and(|build| build.finished_ms.is_some())).count()
            == 2
    });
    let words: Vec<_> = branch.builders.iter().map(|it| (it.builder.as_str(), it.builds[0].word.as_str())).collect();
    assert_eq!(words, [("linux-gcc", "passed"), ("linux-clang", "failed")]);
    assert_eq!(branch.summary.verdict.code, "builder-failed");
    let id = branch.builders[1].builds[0].id.to_string();
    let said = world.run(["reproduce", &id]);
    assert!(said.code == Some(0) && said.err.contains("test: failure, exit code 1"), "{}", said.err);
}

/// A required builder that never runs.
const NEVER: &str =
    "[[builder]]\nname = \"linux\"\n\n[[builder.step]]\nname = \"tidy\"\nrun = \"true\"\nwhen = \"on-failure\"\n";

#[test]
fn a_build_in_which_nothing_ran_lands_nothing_and_ejects_nobody_where_mainline_has_it_so() {
    let never = NEVER;
    let world = world_as(&Plan { recipe: Some(never.to_owned()), ..Plan::default() });
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("hello.txt", "hello\n")]);
    ann.publishes("feature").ok();
    let branch = world.until_verdict("feature", "builder-skipped");
    assert_eq!(branch.summary.verdict.next.who, "a maintainer");
    let before = world.mainline().head();
    world.maintainer().accepts("feature").ok();
    let held = world.until_verdict("feature", "mainline-broken");
    assert_eq!(held.summary.verdict.next.who, "a maintainer", "{:?}", held.summary.verdict);
    assert_eq!((held.queue[0].code.as_str(), held.queue[0].left_ms), ("mainline-trouble", None));
    assert_eq!(world.mainline().head(), before);
    // Mended, it lands, and nobody accepts it again.
    let official = world.folder().join("official.git");
    let clone = testkit::git::Repo::clone(official.to_str().unwrap(), world.folder().join("clone"));
    clone.commit(&[(".bb.toml", RECIPE)], "A recipe that tries something");
    clone.git(&["push", "--quiet", "origin", "main"]);
    world.until_verdict("feature", "landed");
}

#[test]
fn a_branch_whose_own_recipe_tries_nothing_is_ejected_and_its_author_is_next() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("idle", &[(".bb.toml", NEVER)]);
    ann.publishes("idle").ok();
    world.until_verdict("idle", "ready");
    world.maintainer().accepts("idle").ok();
    let left = world.until("idle", |branch| branch.queue.first().is_some_and(|entry| entry.left_ms.is_some()));
    assert_eq!((left.queue[0].code.as_str(), left.queue[0].next.who.as_str()), ("ejected-skipped", "ann"));
}

#[test]
fn a_program_that_the_slave_lacks_is_the_admins_turn() {
    let lacking = RECIPE.replace("make check", "no-such-program");
    let world = world_as(&Plan { recipe: Some(lacking), ..Plan::default() });
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("hello.txt", "hello\n")]);
    ann.publishes("feature").ok();
    let branch = world.until_verdict("feature", "program-missing");
    let verdict = &branch.summary.verdict;
    assert_eq!(verdict.next.who, "an admin");
    assert!(verdict.because.contains("`no-such-program`"), "{}", verdict.because);
    // Mainline lacks it as well: nobody is sent away for that, and nobody has to accept it again.
    world.maintainer().accepts("feature").ok();
    let held = world.until("feature", |branch| branch.queue.first().is_some_and(|it| it.code == "mainline-trouble"));
    let (says, next) = (&held.queue[0].says, &held.queue[0].next);
    assert!(says.contains("mainline itself fails") && says.contains("`no-such-program`"), "{says}");
    assert_eq!(next.who, "an admin");
    assert_eq!(next.what, "gives the slaves `no-such-program`, then has linux built again");
}

#[test]
fn a_program_that_only_a_branch_s_own_recipe_wants_sends_it_away() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[(".bb.toml", &RECIPE.replace("make check", "no-such-program"))]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
    world.maintainer().accepts("feature").ok();
    let left = world.until("feature", |branch| branch.queue.first().is_some_and(|entry| entry.left_ms.is_some()));
    assert_eq!(left.queue[0].code, "ejected-program-missing", "{}", left.queue[0].says);
    assert_eq!(left.queue[0].next.who, "an admin");
}

#[test]
fn an_acceptance_that_accepts_the_recipe_says_so_before() {
    let world = world();
    let ann = world.author("ann");
    let own = "[[builder]]\nname = \"asan\"\n[[builder.step]]\nname = \"check\"\nrun = \"true\"\n";
    ann.writes("faster", &[(".bb.toml", own)]);
    let of_ann = ann.repo().url().to_owned();
    world.run(["publish", &of_ann, "faster", "--name", "faster", "--title", "Build it faster", "--bug", "7"]).ok();
    world.until("faster", |branch| branch.summary.changes_recipe);
    let said = world.maintainer().accepts("faster").ok();
    let at = |words: &str| said.find(words).unwrap_or_else(|| panic!("{words}: {said}"));
    let order = ["r1 of faster", "Build it faster", "Bugs: 7", "It changes the recipe", "Accepted r1"].map(at);
    assert!(order.is_sorted(), "{said}");
    let json = world.run(["accept", "faster", "--json"]).json();
    assert_eq!(json["branch"], "faster", "and JSON stays JSON");
}

#[test]
fn builds_make_their_version_from_official_tags_and_as_much_history_as_the_recipe_says() {
    let asks = "git describe --long --always; git rev-list --count HEAD; git status --porcelain -uno";
    let builder = |name: &str, history: &str| {
        format!("[[builder]]\nname = \"{name}\"\n{history}\n[[builder.step]]\nname = \"ask\"\nrun = \"{asks}\"\n")
    };
    let recipe = format!("{}{}", builder("all", ""), builder("tip", "history = 1\n"));
    let world = world_as(&Plan { recipe: Some(recipe), ..Plan::default() });
    let mainline = world.mainline();
    mainline.git(&["tag", "-a", "-m", "The first", "v1.0", "main"]);
    let mirrors = world.basedir().join("mirrors");
    let name = std::fs::read_dir(&mirrors).unwrap().next().unwrap().unwrap().path();
    let mirror = testkit::git::Repo::at(name);
    world.wait("the official tag", || mirror.try_git(&["rev-parse", "--verify", "v1.0"]).ok());
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("hello.txt", "hello\n")]);
    ann.repo().git(&["tag", "-a", "-m", "Mine", "v9.9"]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
    let candidate = mirror.resolve("refs/branches/feature/candidate");
    let count = mirror.git(&["rev-list", "--count", &candidate]);
    let said = |builder: &str| {
        let builds = world.builds("feature");
        let build = builds.iter().find(|build| build.builder == builder).unwrap();
        world.run(["log", &build.id.to_string(), "--step", "ask"]).ok()
    };
    assert_eq!(said("all"), format!("{}\n{count}\n", mirror.git(&["describe", "--long", &candidate])));
    assert!(said("all").starts_with("v1.0-2-g"), "{}", said("all"));
    let tip = said("tip");
    assert!(tip.strip_suffix("\n1\n").is_some_and(|id| candidate.starts_with(id)), "{tip}");
}

#[test]
fn files_that_a_step_keeps_are_fetched_by_plain_means() {
    let keeping = RECIPE.replace("make check", "mkdir -p doc; echo hello >doc/x; ln -s /etc/passwd doc/link");
    let world = world_as(&Plan { recipe: Some(format!("{keeping}artifacts = \"doc/**\"\n")), ..Plan::default() });
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("hello.txt", "hello\n")]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
    let build = world.builds("feature")[0].id.to_string();
    let listed = world.run(["artifacts", &build]).ok();
    assert!(listed.contains("doc/x") && !listed.contains("link"), "{listed}");
    let into = world.folder().join("out");
    let into = into.to_str().unwrap();
    world.run(["artifacts", &build, "--into", into]).ok();
    let step = world.build(build.parse().unwrap()).steps[1].name.clone();
    let written = world.folder().join("out").join(step).join("doc/x");
    assert_eq!(std::fs::read_to_string(&written).unwrap(), "hello\n");
    let said = world.run(["artifacts", &build, "--into", into]).fails();
    assert!(said.contains("is there already") && said.contains("--force"), "{said}");
    world.run(["artifacts", &build, "--into", into, "--force"]).ok();
}
