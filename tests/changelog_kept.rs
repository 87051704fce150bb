//! Projects that keep fragments until their release: whose fragments are folded when, as a user runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const BB: &str = env!("CARGO_BIN_EXE_bb");
const NEWS: &str = "# Changelog\n\n## [Unreleased]\n\n## [1.0.0] - 2024-01-02\n\n### Added\n\n- All.\n";

/// A repository whose mainline keeps many fragments, and a branch that adds one of its own.
struct Repo {
    _folder: tempfile::TempDir,
    top: PathBuf,
}

impl Repo {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("r");
        fs::create_dir(&top).unwrap();
        let repo = Self { _folder: folder, top };
        repo.git(&["init", "-q", "-b", "main"]);
        for (key, value) in [("user.name", "Ann"), ("user.email", "ann@x"), ("core.autocrlf", "false")] {
            repo.git(&["config", key, value]);
        }
        repo.write("a.c", "int a;\n");
        repo.commit("base", files);
        repo
    }

    /// Mainline with 56 fragments that it keeps, and a branch with one.
    fn keeping() -> Self {
        let repo = Self::with(&[("CHANGELOG.md", NEWS)]);
        for n in 1..=56 {
            repo.write(&format!("changelog-fragments/{n}.feature.md"), &format!("Kept {n}.\n"));
        }
        repo.commit("kept", &[]);
        repo.git(&["checkout", "-qb", "topic"]);
        repo.commit("Change b", &[("b.c", "int b;\n"), ("changelog-fragments/99.bugfix.md", "Mended.\n")]);
        repo
    }

    fn run(&self, program: &str, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.top).stdin(Stdio::null());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_EDITOR", "true").env("NO_COLOR", "1");
        let out = command.output().expect("these tests need git: install it");
        let text = [out.stdout, out.stderr].concat();
        (out.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    #[track_caller]
    fn bb(&self, args: &[&str]) -> String {
        let (code, said) = self.run(BB, args);
        assert_eq!(code, Some(0), "bb {args:?}: {said}");
        said
    }

    #[track_caller]
    fn fails(&self, args: &[&str]) -> String {
        let (code, said) = self.run(BB, args);
        assert_eq!(code, Some(1), "bb {args:?}: {said}");
        said
    }

    #[track_caller]
    fn git(&self, args: &[&str]) -> String {
        let (code, said) = self.run("git", args);
        assert_eq!(code, Some(0), "git {args:?}: {said}");
        said
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.top.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.top.join(path)).unwrap()
    }

    fn commit(&self, message: &str, files: &[(&str, &str)]) {
        for (path, text) in files {
            self.write(path, text);
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Gives it an official repository that has mainline as it is now.
    fn publish(&self) {
        self.git(&["clone", "-q", "--bare", ".", "../official.git"]);
        self.git(&["remote", "add", "origin", "../official.git"]);
        self.git(&["fetch", "-q", "origin", "main"]);
        self.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    }

    fn kept(&self) -> usize {
        fs::read_dir(self.top.join("changelog-fragments")).unwrap().count()
    }

    /// Folds, and sees that of all fragments only the branch's own was.
    #[track_caller]
    fn folds_its_own(&self, args: &[&str]) {
        let said = self.bb(&[&["merge-changelog", "--date", "2024-03-05"], args].concat());
        assert!(said.contains("56 fragments of mainline's own left for its release; --all takes them too."), "{said}");
        assert!(said.contains("CHANGELOG.md: 1 entry of changelog-fragments/99.bugfix.md"), "{said}");
        assert_eq!(
            self.read("CHANGELOG.md"),
            NEWS.replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n\n- Mended. (#99)\n")
        );
        assert_eq!(self.kept(), 56);
    }
}

#[test]
fn on_a_branch_its_own_are_folded() {
    let repo = Repo::keeping();
    assert_eq!(repo.bb(&["changelog", "check"]), "1 fragment would fold: changelog-fragments/99.bugfix.md\n");
    let shown = repo.bb(&["changelog", "preview"]);
    assert!(shown.contains("+- Mended. (#99)\n") && !shown.contains("Kept"), "{shown}");
    // Mainline goes on, and gets more of them.
    repo.git(&["checkout", "-q", "main"]);
    repo.commit("more", &[("changelog-fragments/57.feature.md", "Kept 57.\n")]);
    repo.git(&["checkout", "-q", "topic"]);
    assert!(!repo.bb(&["changelog", "preview"]).contains("Kept"));
    repo.folds_its_own(&[]);
}

#[test]
fn in_the_middle_of_a_merge_what_is_merged_in_is_folded() {
    for merge in [&["merge", "-q", "--no-commit", "--no-ff", "topic"][..], &["merge", "-q", "--squash", "topic"]] {
        for published in [true, false] {
            let repo = Repo::keeping();
            repo.git(&["checkout", "-q", "main"]);
            if published {
                repo.publish();
            }
            repo.commit("main goes on", &[("c.c", "int c;\n")]);
            repo.git(merge);
            if merge.contains(&"--squash") && !published {
                // No merge, and no mainline but this: only whoever says it knows.
                repo.folds_its_own(&["--against", "HEAD"]);
            } else {
                repo.folds_its_own(&[]);
            }
        }
    }
}

#[test]
fn after_a_merge_what_it_brought_is_folded() {
    for published in [true, false] {
        for args in [&["--amend"][..], &[]] {
            let repo = Repo::keeping();
            repo.git(&["checkout", "-q", "main"]);
            if published {
                repo.publish();
            }
            repo.git(&["merge", "-q", "--no-ff", "--no-edit", "topic"]);
            repo.folds_its_own(args);
        }
        let repo = Repo::keeping();
        repo.git(&["checkout", "-q", "main"]);
        if published {
            repo.publish();
        }
        repo.git(&["merge", "-q", "--ff-only", "topic"]);
        repo.folds_its_own(&["--commit"]);
    }
}

#[test]
fn a_branch_that_is_brought_up_to_date_keeps_its_own() {
    let repo = Repo::keeping();
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["rm", "-q", "changelog-fragments/56.feature.md"]);
    repo.commit("main goes on", &[("changelog-fragments/57.feature.md", "Kept 57.\n")]);
    repo.git(&["checkout", "-q", "topic"]);
    repo.git(&["merge", "-q", "--no-commit", "main"]);
    repo.folds_its_own(&[]);
}

#[test]
fn detached_it_is_compared_with_mainline_too() {
    let repo = Repo::keeping();
    repo.git(&["checkout", "-q", "--detach"]);
    repo.folds_its_own(&[]);
}

#[test]
fn on_mainline_itself_nothing_is_folded_unless_all_is_wanted() {
    let repo = Repo::keeping();
    repo.git(&["checkout", "-q", "main"]);
    repo.publish();
    let said = repo.bb(&["merge-changelog"]);
    assert_eq!(
        said,
        "56 fragments of mainline's own left for its release; --all takes them too.\nNo fragment to fold.\n"
    );
    // What is not committed yet is its own.
    repo.write("changelog-fragments/99.bugfix.md", "Mended.\n");
    repo.git(&["add", "-A"]);
    repo.folds_its_own(&[]);
    let all = repo.bb(&["merge-changelog", "--all", "--force"]);
    assert!(all.contains("CHANGELOG.md: 56 entries of 56 fragments"), "{all}");
}

#[test]
fn with_no_mainline_in_sight_all_are_folded() {
    let repo = Repo::keeping();
    repo.git(&["branch", "-q", "-m", "topic", "work"]);
    repo.git(&["branch", "-q", "-D", "main"]);
    assert!(repo.bb(&["merge-changelog"]).contains("CHANGELOG.md: 57 entries of 57 fragments"));
}

#[test]
fn a_kept_fragment_that_the_branch_corrects_stays_and_counts() {
    let repo = Repo::keeping();
    repo.git(&["rm", "-q", "changelog-fragments/99.bugfix.md"]);
    repo.commit("Word it better", &[("changelog-fragments/7.feature.md", "Kept, and said better.\n")]);
    assert!(repo.bb(&["changelog", "check"]).starts_with("Nothing to say"));
    let said = repo.bb(&["merge-changelog"]);
    assert!(said.ends_with("No fragment to fold.\n") && repo.kept() == 56, "{said}");
}

#[test]
fn a_stray_of_mainline_s_is_named_and_is_not_the_branch_s_fault() {
    let repo = Repo::with(&[("CHANGELOG.md", NEWS), ("changelog-fragments/odd.txt", "?\n")]);
    repo.git(&["checkout", "-qb", "topic"]);
    let files = [
        ("b.c", "int b;\n"),
        ("changelog-fragments/README.bugfix.md", "Mended.\n"),
        ("changelog-fragments/README.md", "How.\n"),
    ];
    repo.commit("Change b", &files);
    assert_eq!(repo.bb(&["changelog", "check"]), "1 fragment would fold: changelog-fragments/README.bugfix.md\n");
    let said = repo.bb(&["merge-changelog"]);
    assert!(
        said.contains("warning: changelog-fragments/odd.txt is in the fragments' folder, but is no fragment"),
        "{said}"
    );
    assert!(repo.read("CHANGELOG.md").contains("### Fixed\n\n- Mended.\n"));
    assert_eq!(repo.kept(), 2);
}

#[test]
fn a_project_that_folds_at_its_release_keeps_all_until_then() {
    let repo = Repo::keeping();
    repo.git(&["checkout", "-q", "main"]);
    repo.commit("settings", &[(".bb.toml", "[project]\nfold = \"release\"\n")]);
    repo.git(&["checkout", "-q", "topic"]);
    repo.git(&["merge", "-q", "--no-edit", "main"]);
    let said = repo.bb(&["merge-changelog"]);
    assert_eq!(
        said,
        "1 fragment stays until the release, as .bb.toml says: `bb changelog release VERSION` folds them.\n\
         56 fragments of mainline's own left for its release; --all takes them too.\nNo fragment to fold.\n"
    );
    assert_eq!((repo.git(&["status", "--porcelain"]).as_str(), repo.kept()), ("", 57));
    assert_eq!(repo.bb(&["changelog", "check"]), "1 fragment would fold: changelog-fragments/99.bugfix.md\n");
    let shown = repo.bb(&["changelog", "preview"]);
    assert!(shown.contains("+- Mended. (#99)\n") && !shown.contains("Kept"), "{shown}");

    let dry = repo.bb(&["changelog", "release", "1.1.0", "--date", "2024-03-05", "--dry-run"]);
    assert!(dry.contains("+") || dry.contains("## [1.1.0] - 2024-03-05\n"), "{dry}");
    assert_eq!(repo.kept(), 57);
    let said = repo.bb(&["changelog", "release", "1.1.0", "--date", "2024-03-05"]);
    assert!(said.contains("CHANGELOG.md: 57 entries of 57 fragments, dated 2024-03-05"), "{said}");
    let text = repo.read("CHANGELOG.md");
    assert!(
        text.starts_with("# Changelog\n\n## [Unreleased]\n\n## [1.1.0] - 2024-03-05\n\n### Added\n\n- Kept 1. (#1)\n"),
        "{text}"
    );
    assert!(
        text.ends_with(NEWS.split_once("## [1.0.0]").unwrap().1) && text.contains("### Fixed\n\n- Mended. (#99)\n"),
        "{text}"
    );
    assert!(!repo.top.join("changelog-fragments").exists());
    assert_eq!(repo.git(&["status", "--porcelain"]).lines().filter(|line| line.starts_with("D  ")).count(), 57);
    assert!(repo.fails(&["changelog", "release", "v1.1.0"]).contains("CHANGELOG.md: v1.1.0 stands in line 5 already"));
}

const PYPROJECT: &str = r##"[project]
name = "heron"

[tool.towncrier]
name = "Heron"
directory = "changes"
filename = "NEWS.rst"
issue_format = "`#{issue} <https://x/{issue}>`_"

[[tool.towncrier.type]]
directory = "feature"
name = "New Features"

[[tool.towncrier.type]]
directory = "crash"
name = "Crashes"

[[tool.towncrier.type]]
directory = "misc"
name = "Misc"
showcontent = false
"##;

const RST: &str = "=======\nNews\n=======\n\n.. towncrier release notes start\n\nHeron 1.0 (2024-01-02)\n======================\n\nNew Features\n------------\n\n- All. (`#1 <https://x/1>`_)\n";

#[test]
fn a_project_of_towncrier_needs_no_recipe_for_its_news() {
    let repo = Repo::with(&[("pyproject.toml", PYPROJECT), ("NEWS.rst", RST), ("changes/2.feature.rst", "Kept.\n")]);
    repo.git(&["checkout", "-qb", "topic"]);
    let files =
        [("b.c", "int b;\n"), ("changes/3.crash.rst", "No more crash\nat start.\n"), ("changes/4.misc", "Hidden.\n")];
    repo.commit("Change b", &files);
    assert_eq!(repo.bb(&["changelog", "check"]), "2 fragments would fold: changes/3.crash.rst, changes/4.misc\n");
    insta::assert_snapshot!("towncrier_preview", repo.bb(&["changelog", "preview", "--whole"]));
    repo.write("changes/5.bugfix.rst", "Of no type.\n");
    assert!(
        repo.fails(&["changelog", "check"])
            .contains("changes/5.bugfix.rst:1:1: this file is in the fragments' folder, but")
    );
    fs::remove_file(repo.top.join("changes/5.bugfix.rst")).unwrap();
    repo.bb(&["changelog", "release", "1.1", "--date", "2024-03-05"]);
    insta::assert_snapshot!("towncrier_release", repo.read("NEWS.rst"));
    assert!(!repo.top.join("changes").exists());
}

#[test]
fn releases_look_as_those_before() {
    let of = |path: &str, text: &str| {
        let repo = Repo::with(&[(path, text), ("changelog-fragments/12.bugfix.md", "No more crash.\n")]);
        let said = repo.bb(&["changelog", "release", "1.1.0", "--date", "2024-03-05"]);
        format!("{said}\n{}", repo.read(path))
    };
    let files = [
        (
            "CHANGES.rst",
            "Changes\n=======\n\n1.1.0 (unreleased)\n------------------\n\n* New.\n\n1.0.0 (January 2, 2024)\n-----------------------\n\n* All.\n",
        ),
        ("HISTORY.md", "# History\n\n## v1.0.0 / 2024-01-02\n\n  * All.\n"),
        (
            "CHANGELOG.md",
            "# [1.0.0](https://x/compare/v0.9.0...v1.0.0) (2024-01-02)\n\n### Fixed\n\n* All.\n\n## [0.9.1](https://x/compare/v0.9.0...v0.9.1) (2023-01-02)\n",
        ),
    ];
    insta::assert_snapshot!(files.map(|(path, text)| of(path, text)).join("\n--------\n"));
}

#[test]
fn what_is_not_clear_is_refused_and_changes_nothing() {
    let text = "# Changelog\n\n## [Unreleased]\n\n- A.\n\n## 1.1.0 (unreleased)\n\n- B.\n\n## 1.0.0 - 2024-01-02\n";
    let repo = Repo::with(&[("CHANGELOG.md", text), ("changelog-fragments/12.bugfix.md", "No more crash.\n")]);
    insta::assert_snapshot!(
        [repo.fails(&["merge-changelog"]), repo.fails(&["changelog", "release", "1.1.0"])].concat()
    );
    assert_eq!((repo.read("CHANGELOG.md").as_str(), repo.git(&["status", "--porcelain"]).as_str()), (text, ""));
}

#[test]
fn a_release_without_anything_to_say_is_refused_unless_it_is_wanted() {
    let repo = Repo::with(&[("CHANGELOG.md", NEWS)]);
    let said = repo.fails(&["changelog", "release", "1.1.0", "--date", "2024-03-05"]);
    assert_eq!(
        said,
        "error: CHANGELOG.md: there is nothing to release: no fragment, and nothing in a section of what is not released yet\n\
         hint: release what brings fragments, or write the section by hand; `--empty` makes a version of which nothing is said\n"
    );
    assert_eq!((repo.read("CHANGELOG.md").as_str(), repo.git(&["status", "--porcelain"]).as_str()), (NEWS, ""));
    let said = repo.bb(&["changelog", "release", "1.1.0", "--date", "2024-03-05", "--empty", "--dry-run"]);
    assert!(said.ends_with("## [1.1.0] - 2024-03-05\nNothing was changed.\n"), "{said}");
    repo.bb(&["changelog", "release", "1.1.0", "--date", "2024-03-05", "--empty"]);
    assert_eq!(repo.read("CHANGELOG.md"), NEWS.replace("[Unreleased]\n", "[Unreleased]\n\n## [1.1.0] - 2024-03-05\n"));
}

/// A file that is named is what the settings say, else what its name and content show; in no case a GNU ChangeLog because none knows better.
#[test]
fn files_are_checked_and_shown_as_what_they_are() {
    let rst = "Changes\n=======\n\n1.0.0 (January 2, 2024)\n-----------------------\n\n* All.\n";
    let repo = Repo::with(&[
        ("CHANGELOG.md", NEWS),
        ("doc/CHANGES.rst", rst),
        ("doc/NEWS", "What is new\n\nEverything.\n"),
        ("HISTORY", "What is new\n\nEverything.\n"),
        (
            "debian/changelog",
            "p (1.0) unstable; urgency=low\n\n  * A.\n\n -- A <a@x>  Tue, 05 Mar 2024 10:00:00 +0100\n",
        ),
        ("notes.ChangeLog", "2024-01-02  Ann  <ann@x>\n\n\t* a.c:\n"),
        ("changelog-fragments/12.bugfix.md", "No more crash.\n"),
    ]);
    let files = ["CHANGELOG.md", "doc/CHANGES.rst", "doc/NEWS", "debian/changelog", "changelog-fragments/12.bugfix.md"];
    for file in files {
        assert_eq!(repo.bb(&["changelog", "check", file]), "", "{file}");
    }
    let mut shown = String::new();
    for file in ["CHANGELOG.md", "doc/CHANGES.rst", "doc/NEWS", "debian/changelog"] {
        shown += &format!(
            "{file}\n{}{}",
            repo.bb(&["changelog", "show", file]),
            repo.bb(&["changelog", "show", file, "--json"])
        );
        assert_eq!(repo.bb(&["changelog", "show", file, "--raw"]), repo.read(file));
    }
    insta::assert_snapshot!("versions_shown", shown);
    let said = repo.fails(&["changelog", "check", "notes.ChangeLog"]);
    assert!(said.starts_with("notes.ChangeLog:3:2: nothing is said of this file"), "{said}");
    // Nobody knows what this is, until the project says it.
    assert!(repo.fails(&["changelog", "check", "HISTORY"]).starts_with("HISTORY:1:1: no header"));
    repo.write(".bb.toml", "[project]\nchangelog = [{ path = \"HISTORY\", format = \"news\" }]\n");
    assert_eq!(repo.bb(&["changelog", "check", "HISTORY"]), "");
    assert_eq!(repo.bb(&["changelog", "check", "doc/../HISTORY"]), "");
    repo.write("CHANGELOG.md", &NEWS.replace("- All.\n", "- All.\n\n## Unreleased\n"));
    let said = repo.fails(&["changelog", "check", "CHANGELOG.md"]);
    assert!(said.contains("CHANGELOG.md:3:1: line 3 (`[Unreleased]`) and line 11 (`Unreleased`) each name"), "{said}");
}
