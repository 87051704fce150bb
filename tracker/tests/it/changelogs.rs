//! Candidates of projects with ChangeLogs of their own kinds: several, other formats, other places for fragments.

use crate::support::{NEW_ENTRY, OLD_ENTRY, Repo, World, branch};
use jiff::civil::date;
use protocol::CommitId;
use recipe::Project;
use tracker::candidate::{CandidateOutcome, CandidateRequest, Made};
use tracker::land::Step;
use tracker::worktree::WorkTree;

/// The candidate of an author's newest commit, with a recipe that says this.
async fn made(world: &World, repo: &Repo, name: &str, recipe: &str) -> Made {
    match outcome(world, repo, name, recipe).await {
        CandidateOutcome::Made(made) => made,
        other => panic!("no candidate: {other:?}"),
    }
}

async fn outcome(world: &World, repo: &Repo, name: &str, recipe: &str) -> CandidateOutcome {
    let head: CommitId = world.admit(repo, name, 1).await;
    world.official.write(".bb.toml", recipe).commit("Say how ChangeLogs are folded");
    let mainline = world.mirror.update_mainline(&world.official_url(), &branch("main")).await.unwrap();
    let request = CandidateRequest { mainline, ..world.request(name, &head) };
    // Kept as JSON beside the candidate, it can be made again.
    let kept: CandidateRequest = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
    assert_eq!(kept, request);
    world.mirror.candidate(&kept).await.unwrap()
}

async fn official(files: &[(&str, &str)]) -> World {
    let mut world = World::new().await;
    for (path, text) in files {
        world.official.write(path, text);
    }
    world.official.commit("Files");
    world.update().await;
    world
}

#[tokio::test]
async fn each_package_has_a_changelog_of_its_own() {
    let world = official(&[("lib/ChangeLog", OLD_ENTRY), ("doc/ChangeLog", OLD_ENTRY)]).await;
    let ann = world.author("ann");
    let of = |file: &str| NEW_ENTRY.replace("b.c", file);
    ann.write("lib/repo.ChangeLog", of("l.c")).write("repo.ChangeLog", of("b.c"));
    ann.write("lib/changelog-fragments/more.ChangeLog", of("m.c")).write("doc/d.c", "").commit("Change");
    let recipe =
        "[project]\nchangelog = [\"ChangeLog\", \"lib/ChangeLog\", { path = \"doc/ChangeLog\", date = \"author\" }]\n";
    let made = made(&world, &ann, "ann", recipe).await;
    let text = async |path: &str| world.file(&made.commit, path).await.unwrap();
    let new = |file: &str| format!("2024-03-05  Ann  <ann@example.org>\n\n\t* {file}: Say hello.\n");
    assert_eq!(text("ChangeLog").await, format!("{}\n{OLD_ENTRY}", new("b.c")));
    let of_lib = text("lib/ChangeLog").await;
    assert!(of_lib.contains("* l.c: ") && of_lib.contains("* m.c: ") && !of_lib.contains("* b.c: "), "{of_lib}");
    assert_eq!(text("doc/ChangeLog").await, OLD_ENTRY);
    let changed: Vec<&str> = made.told.changelogs.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(changed, ["ChangeLog", "lib/ChangeLog"]);
    let folded = ["repo.ChangeLog", "lib/changelog-fragments/more.ChangeLog", "lib/repo.ChangeLog"];
    assert_eq!(made.told.fragments, folded);
    for path in folded {
        assert_eq!(world.file(&made.commit, path).await, None, "{path}");
    }
}

#[tokio::test]
async fn what_the_recipe_says_of_folding_counts() {
    let world = official(&[]).await;
    let ann = world.author("ann");
    ann.write("changes/ann.ChangeLog", NEW_ENTRY.replace('\t', "        "))
        .write("repo.ChangeLog", "?")
        .commit("Change");
    let recipe =
        "[project]\nfragments = []\n[changelog]\nfolder = \"changes/\"\ndate = \"author\"\nindent = \"adopt\"\n";
    let made = made(&world, &ann, "ann", recipe).await;
    assert_eq!(made.told.fragments, ["changes/ann.ChangeLog"]);
    let text = world.file(&made.commit, "ChangeLog").await;
    assert_eq!(text, Some(format!("{NEW_ENTRY}\n{OLD_ENTRY}")));
    assert_eq!(world.file(&made.commit, "repo.ChangeLog").await.as_deref(), Some("?"));
}

const KEPT: &str = "# Changelog\n\n## [Unreleased]\n\n## [1.0.0] - 2024-01-01\n\n### Added\n\n- Everything.\n";

#[tokio::test]
async fn fragments_with_a_type_go_under_its_heading() {
    let world = official(&[("CHANGELOG.md", KEPT)]).await;
    world.official.git(&["rm", "-q", "ChangeLog"]);
    let mut world = world;
    world.official.commit("No ChangeLog");
    world.update().await;
    let ann = world.author("ann");
    ann.write("changelog-fragments/12.feature.md", "Say *hello*.\n");
    ann.write("changelog-fragments/+x.speed.md", "Say it fast.\n").commit("Change");
    let recipe = "[changelog]\nissue-url = \"https://bugs.example.org/{}\"\ntypes = { feature = \"Added\", speed = \"Changed\" }\n";
    let made = made(&world, &ann, "ann", recipe).await;
    let text = world.file(&made.commit, "CHANGELOG.md").await.unwrap();
    let (new, old) = text.split_once("## [1.0.0]").unwrap();
    assert!(new.contains("### Added\n\n- Say *hello*."), "{text}");
    assert!(new.contains("https://bugs.example.org/12"), "{text}");
    assert!(new.contains("### Changed\n\n- Say it fast.\n"), "{text}");
    assert_eq!(old, KEPT.split_once("## [1.0.0]").unwrap().1);
    assert_eq!(world.file(&made.commit, "changelog-fragments/12.feature.md").await, None);
}

#[tokio::test]
async fn who_committed_a_fragment_that_names_nobody_is_its_author() {
    let world = official(&[]).await;
    let ann = world.author("ann");
    let by = |who: &str, message: &str| {
        ann.git(&["add", "-A"]);
        let author = format!("{who} <{}@example.org>", who.to_lowercase());
        ann.git(&["commit", "-q", "--author", &author, "--date", "2024-02-01T12:00:00Z", "-m", message]);
    };
    ann.write("changelog-fragments/12.bugfix.md", "Say hello.\n");
    by("Eva", "Fix");
    ann.write("changelog-fragments/12.bugfix.md", "Say hello to all.\n");
    by("Ann", "Word it better");
    let made = made(&world, &ann, "ann", "").await;
    let text = world.file(&made.commit, "ChangeLog").await.unwrap();
    assert!(text.starts_with("2024-03-05  Eva  <eva@example.org>\n"), "{text}");
    assert!(text.contains("Say hello to all."), "{text}");
}

#[tokio::test]
async fn each_changelog_in_conflict_is_told() {
    let mut world = official(&[("lib/ChangeLog", OLD_ENTRY)]).await;
    let ann = world.author("ann");
    let corrected = |by: &str| OLD_ENTRY.replace("Start", by);
    for path in ["ChangeLog", "lib/ChangeLog"] {
        ann.write(path, corrected("Begin")).write("a.c", "x\n");
        world.official.write(path, corrected("Found")).write("a.c", "y\n");
    }
    ann.commit("Change");
    world.official.commit("Meanwhile");
    world.update().await;
    let recipe = "[project]\nchangelog = [\"ChangeLog\", \"lib/ChangeLog\"]\n";
    let CandidateOutcome::Conflict { files, left_out: 0 } = outcome(&world, &ann, "ann", recipe).await else {
        panic!()
    };
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["ChangeLog", "lib/ChangeLog", "a.c"]);
    assert!(files[0].hunks.contains("Found") && files[0].hunks.contains("Begin"), "{:?}", files[0]);
}

#[tokio::test]
async fn a_project_that_folds_at_its_release_keeps_the_fragment_and_shows_the_entry() {
    let world = official(&[("CHANGELOG.md", KEPT)]).await;
    let ann = world.author("ann");
    ann.write("a.c", "x\n").write("changelog-fragments/12.feature.md", "Say hello.\n").commit("Change");
    let recipe = "[project]\nchangelog = \"CHANGELOG.md\"\nfold = \"release\"\n";
    let made = made(&world, &ann, "ann", recipe).await;
    assert_eq!(world.file(&made.commit, "CHANGELOG.md").await.as_deref(), Some(KEPT));
    assert_eq!(world.file(&made.commit, "changelog-fragments/12.feature.md").await.as_deref(), Some("Say hello.\n"));
    assert!(made.told.fragments.is_empty());
    // Nothing is folded by it: how it will read is said of the release.
    assert_eq!(made.told.kept, ["changelog-fragments/12.feature.md"]);
    assert_eq!((made.told.notes.len(), made.told.changelogs.len()), (0, 0));
    let [change] = made.told.coming.as_slice() else { panic!("{:?}", made.told.coming) };
    assert_eq!(change.before, KEPT.as_bytes());
    assert!(String::from_utf8_lossy(&change.after).contains("### Added\n\n- Say hello. (#12)\n"));
    // What could not be folded at the release is not let in before it.
    let bob = world.author("bob");
    bob.write("changelog-fragments/13.feature.md", " \n").commit("Change");
    let CandidateOutcome::Refused(refusal) = outcome(&world, &bob, "bob", recipe).await else { panic!() };
    assert_eq!(refusal.code, "fragment-empty");
}

/// Of a branch's fragments `bb changelog check` says in its work tree what its candidate says of them.
#[tokio::test]
async fn check_and_the_candidate_judge_alike() {
    let world = official(&[("CHANGELOG.md", KEPT)]).await;
    let gnu = "2024-01-01  Ann  <ann@example.org>\n\n";
    let fragment = |text: &str| vec![("a.c", "x\n".to_owned()), ("repo.ChangeLog", format!("{gnu}{text}"))];
    let silent = || vec![("a.c", "x\n".to_owned())];
    let missing = "the branch has no fragment for ChangeLog";
    // What it brings, its commit's message, and what is said: a refusal, a note, or that it needs no entry.
    let cases = [
        ("told", fragment("\t* a.c: X.\n"), "Change", "made"),
        ("empty-item", fragment("\t* a.c:\n"), "Change", "refused: repo.ChangeLog:3:2: nothing is said of this file"),
        (
            "last-item-empty",
            fragment("\t* a.c: X.\n\t* a.c (f):\n"),
            "Change",
            "refused: repo.ChangeLog:4:2: nothing is said of this file",
        ),
        ("nothing-below", fragment(""), "Change", "refused: repo.ChangeLog:1:1: nothing is said below this header"),
        ("missing", silent(), "Change", missing),
        ("exempt", silent(), "Change\n\nNo-ChangeLog: only tests\n", "none needed: only tests"),
        ("no-reason", silent(), "Change\n\nNo-ChangeLog:\n", missing),
        ("told-though-exempt", fragment("\t* a.c: X.\n"), "Change\n\nNo-ChangeLog: only tests\n", "made"),
        ("only-a-changelog", vec![("ChangeLog", OLD_ENTRY.replace("Start", "Begin"))], "Word it better", "made"),
    ];
    for (name, files, message, want) in cases {
        let author = world.author(name);
        for (path, text) in files {
            author.write(path, text);
        }
        author.commit(message);
        let tree = WorkTree::open(&author.path).unwrap();
        let against = tree.against(Some(world.mainline.as_str())).unwrap();
        let report = tree.check(&tree.places().unwrap(), against, date(2024, 3, 5)).unwrap();
        let complaints: Vec<String> = report.complaints.iter().map(ToString::to_string).collect();
        let exempt = report.exempt.filter(|_| report.fragments.is_empty());
        let of_check = match (complaints.as_slice(), exempt) {
            ([], None) => "made".to_owned(),
            ([], Some(reason)) => format!("none needed: {reason}"),
            ([one], _) if one.ends_with(missing) => missing.to_owned(),
            (all, _) => format!("refused: {}", all.join("\n")),
        };
        let head: CommitId = world.admit(&author, name, 1).await;
        let of_candidate = match world.mirror.candidate(&world.request(name, &head)).await.unwrap() {
            CandidateOutcome::Made(made) => match (made.told.notes.as_slice(), made.told.exempt) {
                ([], None) => "made".to_owned(),
                ([], Some(reason)) => format!("none needed: {reason}"),
                (notes, _) => notes.join("\n"),
            },
            CandidateOutcome::Refused(refusal) => format!("refused: {}", refusal.text),
            other => panic!("{other:?}"),
        };
        assert_eq!((of_check.as_str(), of_candidate.as_str()), (want, want), "{name}");
    }
}

const NEWS: &str = "[project]\nfragments = [\"NEWS.frag\"]\n";

/// Whatever was read of another commit, and whatever the master says for projects without a recipe.
#[tokio::test]
async fn a_candidate_is_folded_by_the_tree_that_it_stands_on() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "x\n").write("NEWS.frag", NEW_ENTRY).commit("Change");
    let head = world.admit(&ann, "ann", 1).await;
    world.official.write(".bb.toml", NEWS).commit("Name the fragment");
    let url = world.official_url();
    let after = world.mirror.update_mainline(&url, &branch("main")).await.unwrap();
    let misleading = Project::parse(b"[project]\nfragments = [\"b.c\"]\n", ".bb.toml").unwrap();
    for (mainline, folds) in [(world.mainline.clone(), false), (after.clone(), true), (world.mainline.clone(), false)] {
        for otherwise in [None, Some(misleading.clone())] {
            let request = CandidateRequest { mainline: mainline.clone(), otherwise, ..world.request("ann", &head) };
            let outcome = world.mirror.candidate(&request).await.unwrap();
            let CandidateOutcome::Made(made) = outcome else { panic!("{outcome:?}") };
            assert_eq!(world.file(&made.commit, "NEWS.frag").await.is_none(), folds);
            assert_eq!(made.told.fragments.len(), usize::from(folds));
            assert_eq!(made.folded_by, Project::parse(if folds { NEWS } else { "" }.as_bytes(), "").unwrap());
        }
    }
    // Made again, it is what it was, whatever is read in the same tree by then.
    let made = world.made("ann", &head).await;
    let request = world.request("ann", &head);
    for (folded_by, same) in [(made.folded_by.clone(), true), (Project::parse(NEWS.as_bytes(), "").unwrap(), false)] {
        let again = world.mirror.candidate_again(&request, Some(folded_by)).await.unwrap();
        let CandidateOutcome::Made(again) = again else { panic!("{again:?}") };
        assert_eq!(again.commit == made.commit, same);
    }
    // What lands is checked by what is read then, too: the same commit, made by other settings, is none.
    let stale = CandidateRequest { mainline: after.clone(), ..world.request("ann", &head) };
    let old = world.made("ann", &head).await;
    let error = world
        .mirror
        .land(&url, &branch("main"), &after, &[Step { request: stale, commit: old.commit }])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("made anew it is another commit"), "{error}");
}

#[tokio::test]
async fn without_a_recipe_the_master_s_own_word_holds() {
    let mut world = World::new().await;
    world.official.git(&["rm", "-q", ".bb.toml"]);
    world.official.commit("No recipe");
    world.update().await;
    let ann = world.author("ann");
    ann.write("NEWS.frag", NEW_ENTRY).commit("Change");
    let head = world.admit(&ann, "ann", 1).await;
    let otherwise = Some(Project::parse(NEWS.as_bytes(), "recipe.toml").unwrap());
    let request = CandidateRequest { otherwise, ..world.request("ann", &head) };
    let outcome = world.mirror.candidate(&request).await.unwrap();
    assert!(matches!(&outcome, CandidateOutcome::Made(made) if made.told.fragments == ["NEWS.frag"]), "{outcome:?}");
}

/// For each: how mainline is broken, whether a branch that brings no entry is held too.
#[tokio::test]
async fn what_is_wrong_on_mainline_is_no_branch_s_fault() {
    type Breaks = (&'static str, bool, fn(&Repo));
    let cases: [Breaks; 8] = [
        ("changelog-not-a-file", false, |repo| {
            std::fs::remove_file(repo.path.join("ChangeLog")).unwrap();
            std::os::unix::fs::symlink("a.c", repo.path.join("ChangeLog")).unwrap();
        }),
        ("changelog-not-a-file", false, |repo| {
            std::fs::remove_file(repo.path.join("ChangeLog")).unwrap();
            repo.write("ChangeLog/part", "x\n");
        }),
        ("recipe-error", true, |repo| _ = repo.write(".bb.toml", "this is no TOML\n")),
        ("recipe-error", true, |repo| _ = repo.write(".bb.toml", "[project]\nchangelogg = 1\n")),
        ("recipe-error", true, |repo| {
            std::fs::remove_file(repo.path.join(".bb.toml")).unwrap();
            std::os::unix::fs::symlink("a.c", repo.path.join(".bb.toml")).unwrap();
        }),
        ("recipe-error", true, |repo| _ = repo.write(".bb.toml", format!("# {}\n", "x".repeat(1 << 20)))),
        ("fragments-not-a-folder", false, |repo| _ = repo.write("changelog-fragments", "x\n")),
        ("changelog-unusable", false, |repo| _ = repo.write(".bb.toml", "[changelog]\nformat = \"debian\"\n")),
    ];
    for (code, holds_all, break_it) in cases {
        let mut world = World::new().await;
        let (ann, bob) = (world.author("ann"), world.author("bob"));
        ann.write("b.c", "x\n").write("changelog-fragments/b.ChangeLog", NEW_ENTRY).commit("Change");
        bob.write("c.c", "x\n").commit("Change");
        let (ann, bob) = (world.admit(&ann, "ann", 1).await, world.admit(&bob, "bob", 1).await);
        break_it(&world.official);
        world.official.commit("Break it");
        world.update().await;
        let outcome = world.candidate("ann", &ann).await;
        assert!(matches!(&outcome, CandidateOutcome::MainlineTrouble(it) if it.code == code), "{code}: {outcome:?}");
        let outcome = world.candidate("bob", &bob).await;
        assert_eq!(matches!(outcome, CandidateOutcome::MainlineTrouble(_)), holds_all, "{code}: {outcome:?}");
        // Mended, both are made.
        world.official.git(&["revert", "--no-edit", "HEAD"]);
        world.update().await;
        world.made("ann", &ann).await;
        world.made("bob", &bob).await;
    }
}

/// The same faults are the branch's own where it brings them.
#[tokio::test]
async fn what_a_branch_breaks_is_its_own_fault() {
    let world = World::new().await;
    let ann = world.author("ann");
    std::fs::remove_file(ann.path.join("ChangeLog")).unwrap();
    ann.write("ChangeLog/part", "x\n").write("repo.ChangeLog", NEW_ENTRY).commit("Change");
    let head = world.admit(&ann, "ann", 1).await;
    let outcome = world.candidate("ann", &head).await;
    assert!(matches!(&outcome, CandidateOutcome::Refused(it) if it.code == "changelog-not-a-file"), "{outcome:?}");
}

#[tokio::test]
async fn settings_of_towncrier_are_read_where_the_candidate_stands() {
    let settings =
        "[tool.towncrier]\nfilename = \"NEWS.rst\"\ndirectory = \"changes\"\nissue_format = \"GH-{issue}\"\n";
    let news = "News\n====\n\n.. towncrier release notes start\n\n1.0 (2024-01-02)\n================\n\nFeatures\n--------\n\n- All.\n";
    let world =
        official(&[("pyproject.toml", settings), ("NEWS.rst", news), ("changes/1.feature.rst", "Kept.\n")]).await;
    let ann = world.author("ann");
    ann.write("a.c", "x\n").write("changes/12.bugfix.rst", "No more crash.\n");
    // What the branch says of it does not count yet.
    ann.write("pyproject.toml", settings.replace("GH-", "other ")).commit("Change");
    let head = world.admit(&ann, "ann", 1).await;
    let made = world.made("ann", &head).await;
    assert_eq!(made.told.fragments, ["changes/12.bugfix.rst"]);
    let want = news
        .replace("start\n\n", "start\n\nUnreleased\n==========\n\nBugfixes\n--------\n\n- No more crash. (GH-12)\n\n");
    assert_eq!(world.file(&made.commit, "NEWS.rst").await, Some(want));
    assert_eq!(world.file(&made.commit, "changes/1.feature.rst").await.as_deref(), Some("Kept.\n"));
}
