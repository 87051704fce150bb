//! Folding in a user's work tree: what is changed, what is left alone, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::type_complexity)]

use jiff::civil::{Date, date};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tracker::worktree::{FoldReport, FoldRequest, Then, WorkTree, WorkTreeError};

const DAY: Date = date(2024, 3, 5);
const OLD: &str = "2024-02-01  Bob  <bob@x>\n\n\t* a.c: Old.\n";
const ANN: &str = "2024-02-10  Ann  <ann@x>\n\n\t* b.c (f): New.\n";
const FOLDED: &str = "2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n2024-02-01  Bob  <bob@x>\n\n\t* a.c: Old.\n";

/// A repository with a ChangeLog, and whoever works in it.
struct Repo {
    _folder: TempDir,
    top: PathBuf,
}

impl Repo {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("r");
        fs::create_dir(&top).unwrap();
        let repo = Self { _folder: folder, top };
        repo.git(&["init", "-q", "-b", "main"]);
        for (key, value) in
            [("user.name", "Ann"), ("user.email", "ann@x"), ("core.autocrlf", "false"), ("commit.gpgsign", "false")]
        {
            repo.git(&["config", key, value]);
        }
        repo.commit(&[("ChangeLog", OLD), ("a.c", "int a;\n")], "base");
        repo
    }

    fn try_git(&self, args: &[&str]) -> (bool, String) {
        let out = Command::new("git")
            .args(args)
            .current_dir(&self.top)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_EDITOR", "true")
            .output()
            .expect("these tests need git: install it");
        let text = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    #[track_caller]
    fn git(&self, args: &[&str]) -> String {
        let (ok, text) = self.try_git(args);
        assert!(ok, "git {args:?}: {text}");
        text
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.top.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn commit(&self, files: &[(&str, &str)], message: &str) {
        for (path, text) in files {
            self.write(path, text);
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.top.join(path)).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        self.top.join(path).symlink_metadata().is_ok()
    }

    fn fold(&self, then: Then) -> Result<FoldReport, WorkTreeError> {
        self.fold_with(then, false)
    }

    /// Folds; on a copy too, where all is asked of the git program, which must come to the same.
    fn fold_with(&self, then: Then, force: bool) -> Result<FoldReport, WorkTreeError> {
        let fold = |tree: Result<WorkTree, WorkTreeError>| {
            let tree = tree?;
            tree.merge_changelog(&tree.places()?, &FoldRequest { date: DAY, then, force })
        };
        let copy = self.top.with_file_name("copy");
        let _ = fs::remove_dir_all(&copy);
        let done = Command::new("cp").arg("-a").arg(&self.top).arg(&copy).status().unwrap();
        assert!(done.success());
        let [own, by_git] = [fold(WorkTree::open(&self.top)), fold(WorkTree::open_by_git(&copy))];
        let told = |it: &Result<FoldReport, WorkTreeError>| match it {
            Ok(report) => format!("{:?} {:?} {}", report.places, report.stray, report.changed),
            Err(error) => error.to_string().replace("/copy/", "/r/"),
        };
        assert_eq!(told(&own), told(&by_git));
        let state = |top: &Path| {
            let ask = |args: &[&str]| {
                let said = Command::new("git").args(args).current_dir(top).output().unwrap();
                String::from_utf8_lossy(&said.stdout).into_owned()
            };
            let status = ask(&["status", "--porcelain", "--ignored", "--untracked-files=all"]);
            [status, ask(&["ls-files", "-s", "-t"]), ask(&["rev-parse", "HEAD^{tree}"])]
        };
        assert_eq!(state(&self.top), state(&copy));
        own
    }

    fn status(&self) -> String {
        self.git(&["status", "--porcelain", "--ignored", "--untracked-files=all"])
    }
}

#[test]
fn the_fold_is_staged_and_nothing_else_is_touched() {
    let repo = Repo::new();
    repo.commit(&[("repo.ChangeLog", ANN)], "branch");
    repo.write("a.c", "int changed;\n");
    repo.write("staged.c", "x\n");
    repo.git(&["add", "staged.c"]);
    repo.write("new.c", "y\n");
    let report = repo.fold(Then::Stage).unwrap();
    assert_eq!(repo.read("ChangeLog"), FOLDED);
    assert_eq!(repo.git(&["show", ":ChangeLog"]), FOLDED);
    assert_eq!(repo.status(), "M  ChangeLog\n M a.c\nD  repo.ChangeLog\nA  staged.c\n?? new.c\n");
    assert_eq!((report.places[0].entries, report.changed, report.commit), (1, true, None));
    // A second time there is nothing to fold.
    assert!(repo.fold(Then::Stage).unwrap().places.is_empty());
}

#[test]
fn a_dry_run_changes_nothing() {
    let repo = Repo::new();
    repo.commit(&[("repo.ChangeLog", ANN)], "branch");
    let report = repo.fold(Then::DryRun).unwrap();
    assert_eq!(report.places[0].added, "2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n");
    assert_eq!((repo.status(), repo.read("ChangeLog")), (String::new(), OLD.to_owned()));
}

#[test]
fn it_can_be_committed_or_put_into_the_newest_commit() {
    let repo = Repo::new();
    repo.commit(&[("repo.ChangeLog", ANN)], "branch");
    repo.write("staged.c", "x\n");
    repo.git(&["add", "staged.c"]);
    let commit = repo.fold(Then::Commit).unwrap().commit.unwrap();
    assert_eq!(repo.git(&["rev-parse", "HEAD"]).trim(), commit);
    assert_eq!(
        repo.git(&["show", "--format=%s", "--name-status"]),
        "Fold fragments into ChangeLog\n\nM\tChangeLog\nD\trepo.ChangeLog\n"
    );
    assert_eq!(repo.status(), "A  staged.c\n");
    repo.git(&["commit", "-qm", "staged"]);
    repo.commit(&[("repo.ChangeLog", &ANN.replace("New", "Newer"))], "again");
    repo.fold(Then::Amend).unwrap();
    assert_eq!(repo.git(&["show", "--format=%s", "--name-status"]), "again\n\nM\tChangeLog\n");
}

#[test]
fn in_the_middle_of_a_merge_the_next_commit_concludes_it() {
    let repo = Repo::new();
    repo.git(&["checkout", "-qb", "topic"]);
    repo.commit(&[("repo.ChangeLog", ANN), ("b.c", "int b;\n")], "topic");
    repo.git(&["checkout", "-q", "main"]);
    repo.commit(&[("c.c", "int c;\n")], "main goes on");
    repo.git(&["merge", "-q", "--no-commit", "topic"]);
    repo.fold(Then::Stage).unwrap();
    assert_eq!(repo.status(), "M  ChangeLog\nA  b.c\n");
    repo.git(&["commit", "-q", "--no-edit"]);
    assert_eq!(repo.git(&["log", "-1", "--format=%p"]).split_whitespace().count(), 2);
    assert_eq!(repo.git(&["show", "HEAD:ChangeLog"]), FOLDED);
    assert!(!repo.git(&["ls-tree", "-r", "--name-only", "HEAD"]).contains("repo.ChangeLog"));
}

#[test]
fn after_a_merge_it_goes_into_the_merge() {
    let repo = Repo::new();
    repo.git(&["checkout", "-qb", "topic"]);
    repo.commit(&[("repo.ChangeLog", ANN)], "topic");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "--no-edit", "topic"]);
    repo.fold(Then::Amend).unwrap();
    assert_eq!(repo.git(&["log", "-1", "--format=%p"]).split_whitespace().count(), 2);
    assert_eq!(repo.git(&["show", "HEAD:ChangeLog"]), FOLDED);
}

#[test]
fn after_a_merge_what_the_branch_wrote_into_the_changelog_is_folded_too() {
    let repo = Repo::new();
    repo.git(&["checkout", "-qb", "topic"]);
    repo.commit(&[("ChangeLog", &format!("{ANN}\n{OLD}"))], "topic");
    repo.git(&["checkout", "-q", "main"]);
    repo.commit(&[("c.c", "int c;\n")], "main goes on");
    repo.git(&["merge", "-q", "--no-edit", "topic"]);
    let report = repo.fold(Then::Amend).unwrap();
    assert_eq!((report.places[0].lifted, repo.git(&["show", "HEAD:ChangeLog"]).as_str()), (1, FOLDED));
    assert_eq!(repo.git(&["log", "-1", "--format=%p"]).split_whitespace().count(), 2);
    // Once more there is nothing to do.
    repo.fold(Then::Amend).unwrap();
    assert_eq!(repo.git(&["show", "HEAD:ChangeLog"]), FOLDED);
}

#[test]
fn what_a_branch_wrote_into_the_changelog_is_folded_too() {
    let repo = Repo::new();
    repo.git(&["checkout", "-qb", "topic"]);
    repo.commit(&[("ChangeLog", &format!("{ANN}\n{OLD}"))], "topic");
    repo.git(&["checkout", "-q", "main"]);
    repo.commit(&[("c.c", "int c;\n")], "main goes on");
    repo.git(&["merge", "-q", "--no-commit", "topic"]);
    let report = repo.fold(Then::Commit).unwrap();
    assert_eq!((report.places[0].lifted, repo.read("ChangeLog").as_str()), (1, FOLDED));
    assert_eq!(repo.git(&["log", "-1", "--format=%p"]).split_whitespace().count(), 2);
}

#[test]
fn an_unmerged_index_is_refused() {
    let repo = Repo::new();
    repo.git(&["checkout", "-qb", "topic"]);
    repo.commit(&[("a.c", "int topic;\n"), ("repo.ChangeLog", ANN)], "topic");
    repo.git(&["checkout", "-q", "main"]);
    repo.commit(&[("a.c", "int main;\n")], "main");
    assert!(!repo.try_git(&["merge", "-q", "topic"]).0);
    let before = repo.status();
    let error = repo.fold(Then::Stage).unwrap_err();
    assert_eq!(error.to_string(), "the index has unmerged paths: a.c");
    assert_eq!((repo.status(), repo.read("ChangeLog")), (before, OLD.to_owned()));
    // Once they are resolved, it goes on.
    repo.write("a.c", "int both;\n");
    repo.git(&["add", "a.c"]);
    repo.fold(Then::Commit).unwrap();
    assert_eq!(repo.read("ChangeLog"), FOLDED);
}

#[test]
fn changes_that_are_not_staged_are_refused_unless_forced() {
    let repo = Repo::new();
    repo.write("repo.ChangeLog", ANN);
    assert_eq!(repo.fold(Then::Stage).unwrap_err().to_string(), "repo.ChangeLog has changes that are not staged");
    repo.git(&["add", "repo.ChangeLog"]);
    repo.write("repo.ChangeLog", &ANN.replace("New", "Newer"));
    assert_eq!(repo.fold(Then::Stage).unwrap_err().to_string(), "repo.ChangeLog has changes that are not staged");
    repo.fold_with(Then::Stage, true).unwrap();
    assert_eq!(repo.read("ChangeLog"), FOLDED.replace("New", "Newer"));
    assert_eq!(repo.status(), "M  ChangeLog\n");
    repo.git(&["reset", "-q", "--hard"]);
    repo.commit(&[("repo.ChangeLog", ANN)], "branch");
    repo.write("ChangeLog", "edited\n");
    assert_eq!(repo.fold(Then::Stage).unwrap_err().to_string(), "ChangeLog has changes that are not staged");
}

#[test]
fn something_else_in_a_files_place_is_refused() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, ANN).unwrap();
    let cases: [(&str, fn(&Repo, &Path), &str); 5] = [
        (
            "repo.ChangeLog",
            |r, s| symlink(s, r.top.join("repo.ChangeLog")).unwrap(),
            "repo.ChangeLog is a symbolic link, not a file",
        ),
        (
            "repo.ChangeLog",
            |r, _| fs::create_dir(r.top.join("repo.ChangeLog")).unwrap(),
            "repo.ChangeLog is a folder, not a file",
        ),
        (
            "changelog-fragments/x.ChangeLog",
            |r, s| {
                fs::create_dir(r.top.join("changelog-fragments")).unwrap();
                symlink(s, r.top.join("changelog-fragments/x.ChangeLog")).unwrap();
            },
            "changelog-fragments/x.ChangeLog is a symbolic link, not a file",
        ),
        (
            "ChangeLog",
            |r, s| {
                fs::remove_file(r.top.join("ChangeLog")).unwrap();
                symlink(s, r.top.join("ChangeLog")).unwrap();
                r.write("repo.ChangeLog", ANN);
            },
            "ChangeLog is a symbolic link, not a file",
        ),
        (
            "ChangeLog",
            |r, _| {
                fs::remove_file(r.top.join("ChangeLog")).unwrap();
                r.write("ChangeLog/x", "x");
                r.write("repo.ChangeLog", ANN);
            },
            "ChangeLog is a folder, not a file",
        ),
    ];
    for (path, make, want) in cases {
        let repo = Repo::new();
        make(&repo, &secret);
        repo.git(&["add", "-A"]);
        let before = repo.status();
        let error = repo.fold(Then::Stage).unwrap_err();
        assert_eq!(error.to_string(), want, "{path}");
        assert_eq!(repo.status(), before);
        assert_eq!(fs::read_to_string(&secret).unwrap(), ANN);
    }
}

#[test]
fn outside_of_a_work_tree_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = WorkTree::open(folder.path()).unwrap_err();
    assert!(matches!(error, WorkTreeError::NoWorkTree { .. }), "{error}");
    assert!(matches!(WorkTree::open(&folder.path().join("none")).unwrap_err(), WorkTreeError::NoWorkTree { .. }));
    let bare = Command::new("git").args(["init", "-q", "--bare", "."]).current_dir(folder.path()).status().unwrap();
    assert!(bare.success());
    assert!(matches!(WorkTree::open(folder.path()).unwrap_err(), WorkTreeError::NoWorkTree { .. }));
}

#[test]
fn a_locked_index_is_refused_before_anything_is_changed() {
    let repo = Repo::new();
    repo.commit(&[("repo.ChangeLog", ANN)], "branch");
    repo.write(".git/index.lock", "");
    assert!(matches!(repo.fold(Then::Stage).unwrap_err(), WorkTreeError::Locked(_)));
    assert!(repo.has(".git/index.lock") && repo.has("repo.ChangeLog"));
    assert_eq!(repo.read("ChangeLog"), OLD);
    let left: Vec<_> = fs::read_dir(repo.top.join(".git"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .filter(|n| n.to_string_lossy().starts_with("bb-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_fragments_folder_goes_when_it_is_empty_and_its_readme_stays() {
    let repo = Repo::new();
    let typed = "- No more crash.\n";
    repo.commit(&[("changelog-fragments/x.ChangeLog", ANN), ("changelog-fragments/7.bugfix.md", typed)], "branch");
    let report = repo.fold(Then::Commit).unwrap();
    assert_eq!(report.places[0].entries, 2);
    assert!(repo.read("ChangeLog").contains("\n\t* No more crash. (#7)\n"), "{}", repo.read("ChangeLog"));
    assert!(!repo.has("changelog-fragments"));
    repo.commit(
        &[
            ("changelog-fragments/y.ChangeLog", &ANN.replace("New", "Newer")),
            ("changelog-fragments/README.md", "How to.\n"),
            ("changelog-fragments/odd.txt", "?\n"),
        ],
        "branch",
    );
    let report = repo.fold(Then::Stage).unwrap();
    assert_eq!(report.stray, ["changelog-fragments/odd.txt"]);
    assert!(repo.has("changelog-fragments/README.md") && repo.has("changelog-fragments/odd.txt"));
}

#[test]
fn a_bad_fragment_changes_nothing() {
    let repo = Repo::new();
    repo.commit(&[("repo.ChangeLog", "words\n"), ("changelog-fragments/good.ChangeLog", ANN)], "branch");
    let error = repo.fold(Then::Stage).unwrap_err();
    assert!(error.to_string().starts_with("repo.ChangeLog:1:1: no header"), "{error}");
    assert_eq!((repo.status(), repo.read("ChangeLog")), (String::new(), OLD.to_owned()));
}

#[test]
fn each_package_has_its_own_changelog() {
    let repo = Repo::new();
    let places = "[project]\nchangelog = [\"ChangeLog\", \"lib/ChangeLog\", { path = \"doc/NEWS.md\", format = \"keep-a-changelog\" }]\n";
    let lib = ANN.replace("New", "Lib's");
    repo.commit(
        &[
            (".bb.toml", places),
            ("repo.ChangeLog", ANN),
            ("lib/repo.ChangeLog", &lib),
            ("doc/changelog-fragments/3.feature.md", "Docs.\n"),
        ],
        "branch",
    );
    let report = repo.fold(Then::Stage).unwrap();
    let paths: Vec<_> = report.places.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["ChangeLog", "lib/ChangeLog", "doc/NEWS.md"]);
    assert_eq!(repo.read("ChangeLog"), FOLDED);
    assert_eq!(repo.read("lib/ChangeLog"), lib.replace("2024-02-10", "2024-03-05"));
    assert_eq!(repo.read("doc/NEWS.md"), "## [Unreleased]\n\n### Added\n\n- Docs. (#3)\n");
}

#[test]
fn line_ends_of_the_work_tree_and_of_the_repository_may_differ() {
    let repo = Repo::new();
    repo.commit(&[(".gitattributes", "ChangeLog text eol=crlf\n")], "attributes");
    fs::remove_file(repo.top.join("ChangeLog")).unwrap();
    repo.git(&["checkout", "--", "ChangeLog"]);
    assert_eq!(repo.read("ChangeLog"), OLD.replace('\n', "\r\n"));
    repo.commit(&[("repo.ChangeLog", ANN)], "branch");
    repo.fold(Then::Stage).unwrap();
    assert_eq!(repo.read("ChangeLog"), FOLDED.replace('\n', "\r\n"));
    assert_eq!(repo.git(&["show", ":ChangeLog"]), FOLDED);
    assert_eq!(repo.status(), "M  ChangeLog\nD  repo.ChangeLog\n");
}

#[test]
fn it_works_from_a_folder_below_and_in_a_linked_work_tree() {
    let repo = Repo::new();
    repo.commit(&[("src/x.c", "x\n")], "main");
    repo.git(&["worktree", "add", "-q", "../linked", "-b", "linked"]);
    let linked = repo.top.parent().unwrap().join("linked");
    // The branch's own, not what main has already.
    fs::write(linked.join("repo.ChangeLog"), ANN).unwrap();
    repo.git(&["-C", "../linked", "add", "-A"]);
    repo.git(&["-C", "../linked", "commit", "-qm", "branch"]);
    let tree = WorkTree::open(&linked.join("src")).unwrap();
    tree.merge_changelog(&tree.places().unwrap(), &FoldRequest { date: DAY, then: Then::Stage, force: false }).unwrap();
    assert_eq!(fs::read_to_string(linked.join("ChangeLog")).unwrap(), FOLDED);
    assert_eq!((repo.read("ChangeLog").as_str(), repo.status().as_str()), (OLD, ""));
}

#[test]
fn check_tells_what_is_missing_and_what_exempts() {
    let repo = Repo::new();
    repo.git(&["checkout", "-qb", "topic"]);
    repo.commit(&[("b.c", "int b;\n")], "topic");
    let complaints = |repo: &Repo| {
        let tree = WorkTree::open(&repo.top).unwrap();
        let report = tree.check(&tree.places().unwrap(), tree.against(None).unwrap(), DAY).unwrap();
        report.complaints.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(complaints(&repo), ["repo.ChangeLog:1:1: the branch has no fragment for ChangeLog"]);
    repo.git(&["commit", "-q", "--allow-empty", "-m", "Words\n\nNo-ChangeLog: only a test\n"]);
    assert_eq!(complaints(&repo), Vec::<String>::new());
    repo.commit(
        &[("repo.ChangeLog", &ANN.replace("b.c (f)", "b.c (f), z.c")), ("changelog-fragments/odd", "x")],
        "fragment",
    );
    assert_eq!(
        complaints(&repo),
        [
            "changelog-fragments/odd:1:1: this file is in the fragments' folder, but would not be folded",
            "repo.ChangeLog:3:13: the branch does not change z.c",
        ]
    );
}

#[test]
fn preview_shows_mainline_with_the_entry() {
    let repo = Repo::new();
    repo.git(&["checkout", "-qb", "topic"]);
    repo.commit(&[("repo.ChangeLog", ANN)], "topic");
    repo.git(&["checkout", "-q", "main"]);
    let newer = format!("2024-02-20  Cid  <cid@x>\n\n\t* c.c: Main.\n\n{OLD}");
    repo.commit(&[("ChangeLog", &newer)], "main goes on");
    repo.git(&["checkout", "-q", "topic"]);
    let tree = WorkTree::open(&repo.top).unwrap();
    let shown = tree.preview(&tree.places().unwrap(), &tree.against(Some("main")).unwrap(), DAY).unwrap();
    assert_eq!(
        String::from_utf8(shown[0].folded.changelog.clone()).unwrap(),
        format!("2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n{newer}")
    );
    assert!(tree.against(Some("nowhere")).is_err());
}

#[test]
fn a_draft_names_files_functions_and_authors() {
    let repo = Repo::new();
    repo.commit(&[("m.c", "int\nmain (void)\n{\n  int a;\n  int b;\n  int c;\n  int d;\n  return 0;\n}\n")], "main");
    repo.git(&["checkout", "-qb", "topic"]);
    repo.commit(
        &[("m.c", "int\nmain (void)\n{\n  int a;\n  int b;\n  int c;\n  int d;\n  return 1;\n}\n")],
        "Return one",
    );
    repo.write("a.c", "int open;\n");
    let tree = WorkTree::open(&repo.top).unwrap();
    let draft = tree.draft(&tree.places().unwrap(), &tree.against(None).unwrap()).unwrap();
    assert_eq!(draft.gnu(DAY), "2024-03-05  Ann  <ann@x>\n\n\t* m.c (main): Return one.\n\n\t* a.c:\n");
}

#[test]
fn a_recipe_can_not_lead_into_the_repository_s_own_files() {
    for path in [".git/config", ".git/hooks/post-merge", "../x", "lib/.GIT/x"] {
        let repo = Repo::new();
        let recipe = format!(
            "[project]\nchangelog = [\"ChangeLog\", {{ path = \"{path}\", scope = \"y\", format = \"gnu\" }}]\n"
        );
        repo.commit(&[(".bb.toml", &recipe), ("y/repo.ChangeLog", ANN)], "branch");
        let error = repo.fold(Then::Stage).unwrap_err().to_string();
        assert!(error.contains(".bb.toml:2:") && error.contains("without `..`"), "{error}");
    }
}

#[test]
fn a_sparse_checkout_s_missing_fragments_are_not_passed_over() {
    let repo = Repo::new();
    repo.commit(&[("changelog-fragments/a.ChangeLog", ANN), ("d/x", "x\n")], "branch");
    repo.git(&["sparse-checkout", "set", "--no-cone", "/d", "/ChangeLog"]);
    assert!(!repo.has("changelog-fragments/a.ChangeLog"));
    let error = repo.fold(Then::Stage).unwrap_err();
    assert_eq!(
        error.to_string(),
        "changelog-fragments/a.ChangeLog is not checked out here: this is a sparse checkout without it"
    );
    assert!(error.hint().contains("git sparse-checkout add changelog-fragments"), "{}", error.hint());
    repo.git(&["sparse-checkout", "disable"]);
    repo.fold(Then::Stage).unwrap();
    assert_eq!(repo.read("ChangeLog"), FOLDED);
}

#[test]
fn what_git_does_to_files_when_they_are_stored_is_done() {
    for (attributes, key) in
        [("* text eol=crlf\n", ""), ("* filter=upper\n", "filter.upper.clean"), ("* -text\n", ""), ("* ident\n", "")]
    {
        let repo = Repo::new();
        if !key.is_empty() {
            repo.git(&["config", key, "tr a-z A-Z"]);
        }
        repo.commit(&[(".gitattributes", attributes), ("repo.ChangeLog", ANN)], "branch");
        repo.git(&["add", "--renormalize", "."]);
        repo.git(&["commit", "-q", "--allow-empty", "-m", "normal"]);
        repo.fold(Then::Stage).unwrap();
        let staged = repo.git(&["show", ":ChangeLog"]);
        assert_eq!(staged.contains("* B.C (F): NEW."), !key.is_empty(), "{attributes}: {staged}");
        assert!(repo.status().starts_with("M  ChangeLog\n"), "{attributes}: {}", repo.status());
    }
}

#[test]
fn only_what_is_told_to_git_is_taken() {
    let repo = Repo::new();
    repo.commit(&[(".gitignore", "*.tmp.ChangeLog\n"), ("changelog-fragments/a.ChangeLog", ANN)], "branch");
    repo.write("changelog-fragments/x.tmp.ChangeLog", ANN);
    repo.write("changelog-fragments/later.ChangeLog", ANN);
    repo.git(&["add", "--intent-to-add", "changelog-fragments/later.ChangeLog"]);
    let error = repo.fold(Then::Stage).unwrap_err();
    assert_eq!(error.to_string(), "changelog-fragments/later.ChangeLog has changes that are not staged");
    repo.git(&["add", "changelog-fragments/later.ChangeLog"]);
    assert_eq!(repo.fold(Then::Stage).unwrap().places[0].removed.len(), 2);
    assert!(repo.has("changelog-fragments/x.tmp.ChangeLog"));
}

#[test]
fn a_file_of_the_same_size_and_second_is_read_to_be_known() {
    let repo = Repo::new();
    repo.commit(&[("repo.ChangeLog", ANN)], "branch");
    let path = repo.top.join("repo.ChangeLog");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    repo.write("repo.ChangeLog", &ANN.replace("New", "Odd"));
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let by_time = repo.fold(Then::Stage);
    // Only its time of change tells, and git looks at that: so do we, or we read it.
    let told = by_time.unwrap_err().to_string();
    assert_eq!(told, "repo.ChangeLog has changes that are not staged");
}

#[test]
fn many_fragments_are_folded_and_gone() {
    let repo = Repo::new();
    let entry = |n: usize| ANN.replace("New", &format!("New {n}"));
    for n in 0..600 {
        repo.write(&format!("changelog-fragments/{n}.ChangeLog"), &entry(n));
    }
    repo.commit(&[("changelog-fragments/README", "Here.\n")], "branch");
    let report = repo.fold(Then::Stage).unwrap();
    assert_eq!((report.places[0].entries, report.places[0].removed.len()), (600, 600));
    let text = repo.read("ChangeLog");
    assert!((0..600).all(|n| text.contains(&format!("* b.c (f): New {n}.\n"))));
    let left: Vec<_> =
        fs::read_dir(repo.top.join("changelog-fragments")).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, ["README"]);
}
