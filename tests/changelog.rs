//! `bb changelog driver` and `bb merge-changelog` as a user runs them, with a real git around.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const BB: &str = env!("CARGO_BIN_EXE_bb");

fn entry(day: u8, who: &str, body: &str) -> String {
    format!("2024-02-{day:02}  {who}  <{who}@x>\n\n\t* {body}\n\n")
}

/// A repository in which the driver is installed.
struct Repo {
    _folder: tempfile::TempDir,
    top: PathBuf,
}

impl Repo {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("r");
        fs::create_dir(&top).unwrap();
        let repo = Self { _folder: folder, top };
        repo.git(&["init", "-q", "-b", "main"]);
        for (key, value) in [("user.name", "Ann"), ("user.email", "ann@x"), ("core.autocrlf", "false")] {
            repo.git(&["config", key, value]);
        }
        repo.write("ChangeLog", &(entry(2, "Bob", "b.c: Two.") + &entry(1, "Bob", "b.c: One.")));
        repo.write("a.c", "int a;\n");
        assert!(repo.bb(&["changelog", "driver", "install"]).status.success());
        repo.commit("base");
        repo
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.top).stdin(Stdio::null());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_EDITOR", "true").env("NO_COLOR", "1");
        command.output().expect("these tests need git: install it")
    }

    fn bb(&self, args: &[&str]) -> Output {
        self.run(BB, args)
    }

    fn try_git(&self, args: &[&str]) -> bool {
        self.run("git", args).status.success()
    }

    #[track_caller]
    fn git(&self, args: &[&str]) -> String {
        let out = self.run("git", args);
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.top.join(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.top.join(path)).unwrap()
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Commits an entry on top of ChangeLog.
    fn log(&self, entry: &str) {
        let before = self.read("ChangeLog");
        self.write("ChangeLog", &format!("{entry}{before}"));
        self.commit("entry");
    }
}

#[test]
fn git_merges_changelogs_by_the_driver_whatever_it_is_doing() {
    let (ours, theirs) = (entry(5, "Ann", "a.c: Ours."), entry(4, "Cid", "c.c: Theirs."));
    let diverged = || {
        let repo = Repo::new();
        repo.git(&["checkout", "-qb", "topic"]);
        repo.log(&theirs);
        repo.git(&["checkout", "-q", "main"]);
        repo.log(&ours);
        repo
    };
    let base = Repo::new().read("ChangeLog");
    let want = format!("{ours}{theirs}{base}");
    let merged = diverged();
    merged.git(&["merge", "-q", "--no-edit", "topic"]);
    assert_eq!(merged.read("ChangeLog"), want);
    let picked = diverged();
    picked.git(&["cherry-pick", "topic"]);
    assert_eq!(picked.read("ChangeLog"), want);
    let rebased = diverged();
    rebased.git(&["rebase", "-q", "main", "topic"]);
    assert_eq!(rebased.read("ChangeLog"), want);
    // Reverting an older commit takes its entry away and leaves the newer one.
    rebased.git(&["checkout", "-q", "topic"]);
    rebased.git(&["revert", "--no-edit", "HEAD~1"]);
    assert_eq!(rebased.read("ChangeLog"), format!("{theirs}{base}"));
    let stashed = Repo::new();
    stashed.write("ChangeLog", &format!("{theirs}{base}"));
    stashed.git(&["stash", "-q"]);
    stashed.log(&ours);
    stashed.git(&["stash", "pop", "-q"]);
    assert_eq!(stashed.read("ChangeLog"), want);
}

/// Whether the git of these tests is 2.`minor` or newer.
fn git_is_at_least(repo: &Repo, minor: u32) -> bool {
    let said = repo.git(&["--version"]);
    let mut numbers = said.split([' ', '.']).filter_map(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(2), Some(minor))
}

#[test]
fn a_driver_that_is_gone_is_a_failure_and_no_conflict() {
    let repo = Repo::new();
    let driver = repo.git(&["config", "merge.bb-changelog.driver"]);
    let (_, arguments) = driver.trim().split_once(" changelog driver ").unwrap();
    let gone = format!("bb-that-is-not-there changelog driver {arguments}");
    repo.git(&["config", "merge.bb-changelog.driver", &gone]);
    repo.git(&["checkout", "-qb", "topic"]);
    repo.log(&entry(4, "Cid", "c.c: Theirs."));
    repo.git(&["checkout", "-q", "main"]);
    repo.log(&entry(5, "Ann", "a.c: Ours."));
    let before = repo.read("ChangeLog");
    assert!(!repo.try_git(&["merge", "-q", "topic"]));
    // It does not leave a merge in which theirs' entry is missing without a mark.
    if git_is_at_least(&repo, 42) {
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "git gives up");
        assert_eq!(repo.read("ChangeLog"), before);
    } else {
        assert_eq!(repo.git(&["status", "--porcelain"]), "UU ChangeLog\n", "this git knows no failure of a driver");
        let text = repo.read("ChangeLog");
        assert!(
            text.contains("<<<<<<< ours\n") && text.contains("a.c: Ours.") && text.contains("c.c: Theirs."),
            "{text}"
        );
    }
}

#[test]
fn only_what_both_changed_is_left_to_a_person() {
    let repo = Repo::new();
    repo.git(&["checkout", "-qb", "topic"]);
    repo.write("ChangeLog", &repo.read("ChangeLog").replace("Two", "Zwei"));
    repo.commit("topic");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("ChangeLog", &repo.read("ChangeLog").replace("Two", "2"));
    repo.commit("main");
    repo.log(&entry(6, "Ann", "a.c: New."));
    assert!(!repo.try_git(&["merge", "-q", "topic"]));
    let text = repo.read("ChangeLog");
    assert!(text.starts_with(&format!("{}<<<<<<< ", entry(6, "Ann", "a.c: New."))), "{text}");
    // Before 2.44 git does not say what theirs is called.
    let theirs = if git_is_at_least(&repo, 44) { "topic" } else { "theirs" };
    assert!(text.contains(&format!(">>>>>>> {theirs}\n")) && text.ends_with(&entry(1, "Bob", "b.c: One.")), "{text}");
    let refused = repo.bb(&["merge-changelog"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).starts_with("error: the index has unmerged paths: ChangeLog\nhint: ")
    );
}

#[test]
fn fragments_of_one_name_are_merged_too() {
    let repo = Repo::new();
    for (branch, who) in [("one", "Ann"), ("two", "Cid")] {
        repo.git(&["checkout", "-q", "-b", branch, "main"]);
        repo.write("repo.ChangeLog", &entry(5, who, "x.c: Words."));
        repo.commit(branch);
    }
    repo.git(&["merge", "-q", "--no-edit", "one"]);
    assert_eq!(repo.read("repo.ChangeLog"), entry(5, "Ann", "x.c: Words.") + &entry(5, "Cid", "x.c: Words."));
}

#[test]
fn a_failure_is_no_conflict_and_leaves_the_file() {
    let repo = Repo::new();
    repo.write("ours", "2024-01-01  A\n");
    for args in [
        &["ours", "ours", "missing"][..],
        &["missing", "ours", "ours"],
        &["ours"],
        &["a", "b"],
        &["ours", "ours", ".git"],
        &["--x"],
    ] {
        let out = repo.bb(&[&["changelog", "driver"], args].concat());
        assert!(out.status.code().is_some_and(|code| code > 128), "{args:?}: {:?}", out.status);
        assert_eq!(repo.read("ours"), "2024-01-01  A\n");
    }
}

#[test]
fn any_input_has_a_defined_result() {
    let repo = Repo::new();
    let long = vec![b'('; 3 << 20];
    let deep = b"2024-01-01  A  <a@x>\n\n\t* ((((((((((\n\t(((((\n".repeat(20_000);
    let random: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let inputs: Vec<&[u8]> =
        vec![b"", b"\0\0\n", b"\xff\xfe", b"2024-01-01", b"2024-13-45  half <a@\n", &long, &deep, &random];
    for ours in &inputs {
        for theirs in &inputs {
            fs::write(repo.top.join("b"), b"2024-01-01  A\n\n\tx\n").unwrap();
            fs::write(repo.top.join("o"), ours).unwrap();
            fs::write(repo.top.join("t"), theirs).unwrap();
            let code = repo.bb(&["changelog", "driver", "b", "o", "t"]).status.code();
            assert!(matches!(code, Some(0 | 1)), "{code:?}");
            let raw = repo.bb(&["changelog", "show", "--raw", "t"]);
            assert!(raw.status.success() && raw.stdout == **theirs);
            assert!(repo.bb(&["changelog", "show", "--json", "t"]).status.success());
        }
    }
}

/// Killed at any moment, ChangeLog is as it was or as it should be, and the same command brings the rest to its end.
#[test]
fn a_kill_leaves_what_was_or_what_should_be() {
    let fragment = entry(9, "Ann", "a.c: New.");
    let prepared = || {
        let repo = Repo::new();
        repo.write("repo.ChangeLog", &fragment);
        repo.commit("branch");
        repo
    };
    let whole = prepared();
    let before = whole.read("ChangeLog");
    let args = ["merge-changelog", "--date", "2024-03-05"];
    assert!(whole.bb(&args).status.success());
    let after = whole.read("ChangeLog");
    // What is done after each step is shown where the steps are; here a real process gets a real kill as soon as it has begun.
    for step in ["", "bb-fold", "index.lock"].into_iter().cycle().take(12) {
        let repo = prepared();
        let own = repo.top.join(".git");
        let mut command = Command::new(BB);
        let mut child =
            command.args(args).current_dir(&repo.top).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if !step.is_empty() {
            // It may be past that already, and then the ChangeLog is whole.
            testkit::watch::until(&own, step, || own.join(step).exists() || repo.read("ChangeLog") == after);
        }
        let _ = child.kill();
        child.wait().unwrap();
        let text = repo.read("ChangeLog");
        assert!(text == before || text == after, "step {step}: {text}");
        let again = repo.bb(&args);
        assert!(again.status.success(), "step {step}: {}", String::from_utf8_lossy(&again.stderr));
        assert_eq!(
            (repo.read("ChangeLog"), Path::new(&repo.top).join("repo.ChangeLog").exists()),
            (after.clone(), false)
        );
        assert_eq!(repo.git(&["show", ":ChangeLog"]), after);
    }
}
