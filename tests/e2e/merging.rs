//! Merging by hand what bb would land.

use crate::{world, world_as};
use testkit::git::Repo;
use testkit::world::{Plan, World};

#[test]
fn a_merge_by_hand_has_the_candidate_s_tree_and_message() {
    let world = world();
    let clone = merged_by_hand(&world, &world.url());
    let none = world.run_in(clone.path(), &["merge", "greet-les"]).fails();
    assert!(none.contains("is no ref here, and no branch of") && none.contains("hint: "), "{none}");
}

#[test]
fn also_by_a_recipe_that_only_the_master_has_and_under_another_url() {
    let builder = "[[builder]]\nname = \"b\"\n[[builder.step]]\nname = \"s\"\nrun = \"true\"\n";
    let recipe = format!("[changelog]\ndate = \"author\"\n{builder}");
    let world = world_as(&Plan { recipe: None, recipe_of_master: Some(recipe), ..Plan::default() });
    let clone = merged_by_hand(&world, &world.url().replace("127.0.0.1", "localhost"));
    assert!(clone.show("HEAD", "ChangeLog").starts_with("2026-01-02  ann"));
}

/// A clone in which the branch `greet-more` was merged by hand, and is what the master's candidate is.
fn merged_by_hand(world: &World, master: &str) -> Repo {
    let ann = world.author("ann");
    ann.writes_with_fragment("greet-more", &[("more.txt", "and welcome\n")]);
    world.run(["publish", ann.repo().url(), "greet-more", "--name", "greet-more", "--bug", "412"]).ok();
    world.until("greet-more", |branch| branch.refs.iter().any(|name| name.ends_with("/candidate")));

    let clone = Repo::clone(world.mainline().url(), world.folder().join("clone"));
    clone.git(&["config", "user.name", "Mia"]);
    clone.git(&["config", "user.email", "mia@example.org"]);
    let url = format!("{}/git/heron.git", world.url());
    clone.git(&["fetch", "--quiet", &url, "refs/branches/greet-more/candidate:refs/kept/candidate"]);
    let head = clone.head();
    // The day that the candidate was made on, which can be yesterday by now.
    let day = clone.git(&["show", "--no-patch", "--format=%cs", "refs/kept/candidate"]);
    let said = world.run_in(clone.path(), &["merge", "greet-more", "--date", &day, "--master", master]).ok();
    assert!(said.contains("Merged greet-more r1 as "), "{said}");
    for what in ["%T", "%B", "%P"] {
        let show = |name| clone.git(&["show", "--no-patch", &format!("--format={what}"), name]);
        assert_eq!(show("HEAD"), show("refs/kept/candidate"), "{what}");
    }
    assert_eq!(clone.git(&["show", "--no-patch", "--format=%an %cn", "HEAD"]), "Mia Mia");
    assert_eq!(clone.git(&["status", "--porcelain"]), "");
    assert_eq!(clone.resolve("HEAD^1"), head);
    clone
}
