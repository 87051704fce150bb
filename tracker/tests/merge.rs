//! Merging by hand in a maintainer's clone: what comes of it, and what is refused without a change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jiff::civil::{Date, date};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use tracker::worktree::{MergeEnd, MergeError, MergeReport, MergeRequest, MergeStyle, MergeThen, WorkTree};

const DAY: Date = date(2024, 3, 5);
const OLD: &str = "2024-02-01  Bob  <bob@x>\n\n\t* a.c: Old.\n";
const ANN: &str = "2024-02-10  Ann  <ann@x>\n\n\t* b.c (f): New.\n";
const FOLDED: &str = "2024-03-05  Ann  <ann@x>\n\n\t* b.c (f): New.\n\n2024-02-01  Bob  <bob@x>\n\n\t* a.c: Old.\n";

/// A clone with a mainline and a topic that brings a fragment.
struct Clone {
    _folder: TempDir,
    top: PathBuf,
}

impl Clone {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("r");
        fs::create_dir(&top).unwrap();
        let clone = Self { _folder: folder, top };
        clone.git(&["init", "-q", "-b", "main"]);
        for (key, value) in
            [("user.name", "Mia"), ("user.email", "mia@x"), ("core.autocrlf", "false"), ("commit.gpgsign", "false")]
        {
            clone.git(&["config", key, value]);
        }
        clone.commit(&[("ChangeLog", OLD), ("a.c", "int a;\n")], "base");
        clone.git(&["switch", "-qc", "topic"]);
        clone.commit(&[("repo.ChangeLog", ANN), ("b.c", "int b;\n")], "Add b");
        clone.git(&["switch", "-q", "main"]);
        clone
    }

    fn try_git(&self, args: &[&str]) -> (bool, String) {
        let out = Command::new("git").args(args).current_dir(&self.top).env("GIT_CONFIG_GLOBAL", "/dev/null").output();
        let out = out.expect("these tests need git: install it");
        (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    }

    #[track_caller]
    fn git(&self, args: &[&str]) -> String {
        let (ok, text) = self.try_git(args);
        assert!(ok, "git {args:?}: {text}");
        text
    }

    fn commit(&self, files: &[(&str, &str)], message: &str) {
        for (path, text) in files {
            fs::write(self.top.join(path), text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    async fn merge(&self, word: &str, then: MergeThen, style: MergeStyle) -> Result<MergeReport, MergeError> {
        let tree = WorkTree::open(&self.top)?;
        let place = tree.ready_to_merge()?;
        let incoming = place.local(word)?.expect("it is there");
        place.merge(&incoming, &MergeRequest { date: DAY, then, style }).await
    }

    /// All that a refusal must leave as it was.
    fn state(&self) -> String {
        ["MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "SQUASH_MSG"]
            .map(|f| self.top.join(".git").join(f).exists())
            .iter()
            .fold(
                self.git(&["for-each-ref"]) + &self.git(&["status", "--porcelain"]) + &self.git(&["rev-parse", "HEAD"]),
                |text, is| text + &is.to_string(),
            )
    }
}

#[tokio::test]
async fn a_merge_has_both_parents_also_where_git_would_fast_forward() {
    let clone = Clone::new();
    let head = clone.git(&["rev-parse", "HEAD", "topic"]);
    let report = clone.merge("topic", MergeThen::Commit, MergeStyle::Merge).await.unwrap();
    assert!(matches!(report.end, MergeEnd::Committed { .. }), "{report:?}");
    assert_eq!(clone.git(&["rev-parse", "HEAD^1", "HEAD^2"]), head);
    assert_eq!(clone.git(&["show", "-s", "--format=%B", "HEAD"]), "Merge topic: Add b\n\nBranch: topic\n\n");
    assert_eq!(clone.git(&["show", "HEAD:ChangeLog"]), FOLDED);
    assert_eq!(clone.git(&["rev-parse", "HEAD^{tree}"]).trim(), report.tree.unwrap());
    assert_eq!(clone.git(&["ls-files"]), "ChangeLog\na.c\nb.c\n");
    assert_eq!(clone.git(&["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_recipe_that_only_says_how_to_fold_counts() {
    let clone = Clone::new();
    clone.commit(&[(".bb.toml", "[changelog]\ndate = \"author\"\n")], "Keep dates; no builder yet");
    let report = clone.merge("topic", MergeThen::Commit, MergeStyle::Merge).await.unwrap();
    assert!(report.notes.is_empty(), "{report:?}");
    assert_eq!(clone.git(&["show", "HEAD:ChangeLog"]), format!("{ANN}\n{OLD}"));
}

#[tokio::test]
async fn it_can_be_left_staged_or_be_one_commit_or_only_be_said() {
    let clone = Clone::new();
    let before = clone.state();
    let report = clone.merge("topic", MergeThen::DryRun, MergeStyle::Merge).await.unwrap();
    assert_eq!((report.end, clone.state()), (MergeEnd::WouldMerge, before));
    clone.merge("topic", MergeThen::Stage, MergeStyle::Merge).await.unwrap();
    clone.git(&["commit", "-q", "--no-edit"]);
    assert_eq!(clone.git(&["show", "-s", "--format=%s", "HEAD"]), "Merge topic: Add b\n");
    assert_eq!(clone.git(&["rev-parse", "HEAD^2"]), clone.git(&["rev-parse", "topic"]));
    clone.git(&["reset", "-q", "--hard", "HEAD^"]);
    clone.merge("topic", MergeThen::Commit, MergeStyle::Squash).await.unwrap();
    assert_eq!(clone.git(&["show", "-s", "--format=%B", "HEAD"]), "Merge topic: Add b\n\nBranch: topic\n\n");
    assert!(!clone.try_git(&["rev-parse", "--verify", "-q", "HEAD^2"]).0);
    assert_eq!(clone.git(&["rev-parse", "HEAD^{tree}"]).trim(), report.tree.unwrap());
}

#[tokio::test]
async fn a_conflict_leaves_git_s_merge_in_progress() {
    let clone = Clone::new();
    clone.commit(&[("b.c", "int other;\n")], "main has b");
    let before = clone.state();
    let report = clone.merge("topic", MergeThen::DryRun, MergeStyle::Merge).await.unwrap();
    assert!(matches!(report.end, MergeEnd::WouldConflict { .. }));
    assert_eq!(clone.state(), before);
    let report = clone.merge("topic", MergeThen::Commit, MergeStyle::Merge).await.unwrap();
    let MergeEnd::Conflict { files } = report.end else { panic!("{report:?}") };
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["b.c"]);
    assert_eq!(clone.git(&["rev-parse", "MERGE_HEAD"]), clone.git(&["rev-parse", "topic"]));
    assert!(clone.git(&["status", "--porcelain"]).contains("AA b.c"));
    assert!(fs::read_to_string(clone.top.join(".git/MERGE_MSG")).unwrap().starts_with("Merge topic: Add b\n"));
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let clone = Clone::new();
    let commit = || clone.merge("topic", MergeThen::Commit, MergeStyle::Merge);
    // A file in the way.
    fs::write(clone.top.join("b.c"), "mine\n").unwrap();
    let before = clone.state();
    assert!(matches!(commit().await.unwrap_err(), MergeError::InTheWay { .. }));
    assert_eq!(clone.state(), before);
    fs::remove_file(clone.top.join("b.c")).unwrap();
    // Changes, staged and not.
    fs::write(clone.top.join("a.c"), "int changed;\n").unwrap();
    assert_eq!(commit().await.unwrap_err().to_string(), "there are changes that are not committed: a.c");
    clone.git(&["add", "a.c"]);
    assert!(matches!(commit().await.unwrap_err(), MergeError::Dirty(_)));
    clone.git(&["reset", "-q", "--hard"]);
    // One word for two commits.
    clone.git(&["tag", "topic", "main"]);
    assert!(matches!(commit().await.unwrap_err(), MergeError::Ambiguous { .. }));
    clone.git(&["tag", "-d", "topic"]);
    // Nothing to merge, and nothing in common.
    let error = clone.merge("HEAD", MergeThen::Commit, MergeStyle::Merge).await.unwrap_err();
    assert!(matches!(&error, MergeError::Refused(it) if it.code == "equal-to-mainline"), "{error}");
    let tree = clone.git(&["rev-parse", "HEAD^{tree}"]);
    let alone = clone.git(&["commit-tree", "-m", "alone", tree.trim()]);
    let error = clone.merge(alone.trim(), MergeThen::Commit, MergeStyle::Merge).await.unwrap_err();
    assert!(matches!(&error, MergeError::Refused(it) if it.code == "unrelated-history"), "{error}");
    // A merge in progress, and no branch.
    clone.git(&["merge", "-q", "--no-commit", "--no-ff", "topic"]);
    assert!(matches!(commit().await.unwrap_err(), MergeError::InProgress { what: "a merge" }));
    clone.git(&["merge", "--abort"]);
    clone.git(&["switch", "-q", "--detach"]);
    assert!(matches!(commit().await.unwrap_err(), MergeError::Detached));
    clone.git(&["switch", "-q", "--orphan", "new"]);
    assert!(matches!(commit().await.unwrap_err(), MergeError::Unborn { .. }));
}

#[tokio::test]
async fn the_clone_s_own_settings_change_nothing_and_its_hooks_count() {
    use std::os::unix::fs::PermissionsExt as _;
    let clone = Clone::new();
    clone.git(&["config", "merge.ff", "only"]);
    clone.git(&["config", "commit.cleanup", "strip"]);
    let hook = clone.top.join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let head = clone.git(&["rev-parse", "HEAD"]);
    let error = clone.merge("topic", MergeThen::Commit, MergeStyle::Merge).await.unwrap_err();
    assert!(matches!(error, MergeError::CommitRefused { .. }), "{error}");
    assert_eq!(clone.git(&["rev-parse", "HEAD"]), head);
    clone.git(&["reset", "-q", "--merge"]);
    assert_eq!(clone.git(&["status", "--porcelain"]), "");
    fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
    clone.merge("topic", MergeThen::Commit, MergeStyle::Merge).await.unwrap();
}

#[tokio::test]
async fn a_ref_is_fetched_without_a_change_of_refs_and_a_bad_one_is_refused() {
    let other = Clone::new();
    let clone = Clone::new();
    other.commit(&[("c.c", "int c;\n")], "Add c");
    let before = clone.state();
    let tree = WorkTree::open(&clone.top).unwrap();
    let place = tree.ready_to_merge().unwrap();
    let url = other.top.to_str().unwrap();
    let fetched = place.fetch(url, "main").unwrap();
    // Its title is that of the first commit which is not here.
    let shared = other.git(&["rev-parse", "HEAD^"]) == clone.git(&["rev-parse", "HEAD"]);
    let title = if shared { "Add c" } else { "base" };
    assert_eq!((fetched.name.as_str(), fetched.message.title.as_str()), ("main", title));
    assert!(matches!(place.fetch(url, "none").unwrap_err(), MergeError::NotFetched { .. }));
    for bad in ["main:refs/heads/x", "--upload-pack=x", "+main", "a b", ""] {
        assert!(matches!(place.fetch(url, bad).unwrap_err(), MergeError::BadRef(_)), "{bad}");
    }
    assert!(place.local("--all").unwrap().is_none());
    assert_eq!(clone.state(), before);
}
