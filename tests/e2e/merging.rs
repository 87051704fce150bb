//! Merging by hand what bb would land.

use crate::world;
use testkit::git::Repo;

#[test]
fn a_merge_by_hand_has_the_candidate_s_tree_and_message() {
    let world = world();
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
    let day = clone.show("refs/kept/candidate", "ChangeLog")[..10].to_owned();

    let none = world.run_in(clone.path(), &["merge", "greet-les"]).fails();
    assert!(none.contains("is no ref here, and no branch of") && none.contains("hint: "), "{none}");
    let said = world.run_in(clone.path(), &["merge", "greet-more", "--date", &day]).ok();
    assert!(said.contains("Merged greet-more r1 as "), "{said}");
    for what in ["%T", "%B", "%P"] {
        let show = |name| clone.git(&["show", "--no-patch", &format!("--format={what}"), name]);
        assert_eq!(show("HEAD"), show("refs/kept/candidate"), "{what}");
    }
    assert_eq!(clone.git(&["show", "--no-patch", "--format=%an %cn", "HEAD"]), "Mia Mia");
    assert_eq!(clone.git(&["status", "--porcelain"]), "");
    assert_eq!(clone.resolve("HEAD^1"), head);
}
