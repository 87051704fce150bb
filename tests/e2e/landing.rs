//! From a published URL to a landed commit.

use crate::{waiting_recipe, world, world_as};

#[test]
fn a_good_branch_is_published_built_accepted_and_landed() {
    let world = world();
    world.slave("oak");
    world.slave("elm");
    let ann = world.author("ann");
    let commit = ann.writes_with_fragment("greet-more", &[("more.txt", "and welcome\n")]);

    let page = ann.publishes("greet-more").ok();
    assert_eq!(page, format!("{}/p/heron/branches/greet-more\n", world.url()));
    world.until_verdict("greet-more", "ready");
    world.maintainer().accepts("greet-more").ok();
    let branch = world.until_verdict("greet-more", "landed");

    let mainline = world.mainline();
    assert_eq!(mainline.resolve("main^2"), commit, "the revision is merged as it was published");
    assert_eq!(mainline.show("main", "more.txt"), "and welcome\n");
    assert!(!mainline.files("main").contains(&"repo.ChangeLog".to_owned()), "the fragment is folded");
    assert!(mainline.show("main", "ChangeLog").contains("\t* more.txt: Say more.\n"));
    let landed = branch.queue[0].landed.clone().expect("it says what landed");
    assert_eq!(landed.as_str(), mainline.head());
    let tested = world.builds("greet-more").into_iter().find(|build| build.commit == landed);
    assert!(tested.is_some(), "the very commit was built that landed");
}

#[test]
fn a_branch_whose_test_fails_says_where_and_does_not_land() {
    let world = world();
    world.slave("oak");
    let bob = world.author("bob");
    bob.writes("no-greeting", &[("greeting.txt", "silence\n")]);
    bob.publishes("no-greeting").ok();

    let branch = world.until_verdict("no-greeting", "builder-failed");
    assert_eq!(branch.summary.verdict.state, "fails linux");
    assert!(branch.summary.verdict.because.contains("at test"), "{}", branch.summary.verdict.because);
    let build = world.builds("no-greeting")[0].id.to_string();
    let log = world.run(["log", &build]);
    assert_eq!(log.code, Some(1), "the exit code says that it failed");
    assert!(log.out.contains("sh test.sh"), "{}", log.out);
    assert_eq!(world.mainline().log("main"), ["Begin"]);
}

#[test]
fn a_conflict_is_shown_with_its_file_and_the_author_mends_it_by_a_merge() {
    let world = world();
    world.slave("oak");
    let (ann, cat) = (world.author("ann"), world.author("cat"));
    ann.writes("first", &[("greeting.txt", "heron says hi\n")]);
    cat.writes("second", &[("greeting.txt", "heron says good day\n")]);
    ann.publishes("first").ok();
    world.until_verdict("first", "ready");
    world.maintainer().accepts("first").ok();
    world.until_verdict("first", "landed");

    cat.publishes("second").ok();
    let branch = world.until_verdict("second", "conflict");
    assert!(branch.summary.verdict.because.contains("greeting.txt"), "{}", branch.summary.verdict.because);
    let said = world.maintainer().accepts("second").fails();
    assert!(said.contains("greeting.txt") && said.contains("hint: "), "{said}");

    cat.repo().git(&["fetch", "--quiet", "origin"]);
    cat.repo().git(&["merge", "--quiet", "--strategy-option=ours", "-m", "Merge mainline", "origin/main"]);
    world.until_verdict("second", "ready");
    world.maintainer().accepts("second").ok();
    world.until_verdict("second", "landed");
    assert_eq!(world.mainline().show("main", "greeting.txt"), "heron says good day\n");
}

#[test]
fn two_branches_that_fit_land_one_after_the_other() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    for name in ["one", "two"] {
        ann.writes_with_fragment(name, &[(name, "text\n")]);
        ann.publishes(name).ok();
    }
    for name in ["one", "two"] {
        world.until_verdict(name, "ready");
    }
    for name in ["one", "two"] {
        world.maintainer().accepts(name).ok();
    }
    for name in ["one", "two"] {
        world.until_verdict(name, "landed");
    }
    let change_log = world.mainline().show("main", "ChangeLog");
    assert!(change_log.contains("* one: Say more.") && change_log.contains("* two: Say more."), "{change_log}");
}

#[test]
fn a_new_revision_takes_the_place_of_the_old_one() {
    let world = world_as(&waiting_recipe());
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    let old = world.wait("the first revision is built", || {
        (world.waiting_builds() == 1).then(|| world.builds("feature").into_iter().next()).flatten()
    });
    let newer = ann.writes("feature", &[("a", "2\n")]);
    world.until("feature", |branch| branch.summary.commit.as_ref().is_some_and(|c| c.as_str() == newer));
    world.wait("the old build is cancelled", || {
        matches!(
            world.build(old.id).summary.state,
            protocol::api::BuildState::Finished(protocol::BuildResult::Cancelled)
        )
        .then_some(())
    });
    world.wait("the new one waits", || (world.release_builds() > 0).then_some(()));
    world.until_verdict("feature", "ready");
}

#[test]
fn a_withdrawn_branch_keeps_its_page_and_comes_back_by_publishing() {
    let world = world();
    world.slave("oak");
    let ann = world.author("ann");
    ann.writes("feature", &[("a", "1\n")]);
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
    world.run(["withdraw", "feature"]).ok();
    world.until_verdict("feature", "withdrawn");
    assert!(world.maintainer().accepts("feature").fails().contains("withdrawn"));
    ann.publishes("feature").ok();
    world.until_verdict("feature", "ready");
}
