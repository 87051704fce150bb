#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use std::process::Command;
use tempfile::TempDir;

/// A repository with two files to be deleted and one to be replaced.
struct Place {
    _folder: TempDir,
    top: PathBuf,
}

const GONE: [&str; 2] = ["f/a.ChangeLog", "f/b.ChangeLog"];

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { top: folder.path().join("r"), _folder: folder };
        fs::create_dir_all(place.top.join("f")).unwrap();
        place.write("ChangeLog", "old\n");
        GONE.iter().for_each(|path| place.write(path, "new\n"));
        for args in [
            &["init", "-q"][..],
            &["config", "user.name", "Ann"],
            &["config", "user.email", "ann@x"],
            &["config", "core.autocrlf", "false"],
            &["add", "-A"],
            &["commit", "-q", "-m", "base"],
        ] {
            place.git(args);
        }
        place
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.top.join(path), text).unwrap();
    }

    fn git(&self, args: &[&str]) -> String {
        let said = Command::new("git").args(args).current_dir(&self.top).output().expect("these tests need git");
        assert!(said.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    }

    fn changes(&self) -> Changes<'static> {
        let deleted = GONE.map(|path| Deleted { path: path.to_owned(), bytes: b"new\n".to_vec() });
        let written =
            Written { path: "ChangeLog".to_owned(), before: Some(b"old\n"), bytes: b"new\nold\n", mode: 0o100_644 };
        Changes { written: vec![written], deleted: deleted.into() }
    }

    /// What is there, with what bb left beside it.
    fn state(&self) -> (String, String, Vec<String>) {
        let own = fs::read_dir(self.top.join(".git")).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        let own = own.filter(|name| name.contains("bb-") || name.ends_with(".lock")).collect();
        let text = fs::read_to_string(self.top.join("ChangeLog")).unwrap();
        (text, self.git(&["status", "--porcelain", "--untracked-files=all"]), own)
    }
}

#[test]
fn killed_anywhere_it_is_as_before_or_is_brought_to_its_end() {
    let before = Place::new().state();
    let whole = Place::new();
    WorkTree::open(&whole.top).unwrap().apply(&whole.changes()).unwrap();
    let after = whole.state();
    assert_eq!(after.0, "new\nold\n");
    assert_eq!(after.1, "M  ChangeLog\nD  f/a.ChangeLog\nD  f/b.ChangeLog\n");
    assert!(after.2.is_empty() && !whole.top.join("f").exists());

    // Before the journal: nothing happened. Each step is one more that was done.
    for steps in 0..8 {
        let place = Place::new();
        let tree = WorkTree::open(&place.top).unwrap();
        let change = Change::begin(&tree).unwrap();
        let journal = change.prepare(&place.changes()).unwrap();
        if steps == 1 {
            fs::hard_link(change.new_index(), tree.index_lock()).unwrap();
        } else if steps > 1 {
            change.decide(&journal, identity(&tree.index)).unwrap();
            let mut left = steps - 2;
            let mut goes_on = |_: &str| {
                left -= 1;
                left >= 0
            };
            change.carry_out(&journal, &mut goes_on).unwrap();
        }
        drop(change);
        let finished = tree.finish_killed().unwrap();
        assert_eq!(finished.is_some(), steps > 1 && steps < 7, "{steps}");
        assert_eq!(place.state(), if steps > 1 { after.clone() } else { before.clone() }, "{steps}");
        assert!(tree.finish_killed().unwrap().is_none());
    }
}

#[test]
fn what_somebody_wrote_after_the_kill_stays() {
    for (path, steps) in [("ChangeLog", 0), ("f/b.ChangeLog", 2)] {
        let place = Place::new();
        let tree = WorkTree::open(&place.top).unwrap();
        let change = Change::begin(&tree).unwrap();
        let journal = change.prepare(&place.changes()).unwrap();
        change.decide(&journal, identity(&tree.index)).unwrap();
        let mut left = steps;
        let mut goes_on = |_: &str| {
            left -= 1;
            left >= 0
        };
        change.carry_out(&journal, &mut goes_on).unwrap();
        drop(change);
        place.write(path, "by hand\n");
        tree.finish_killed().unwrap();
        assert_eq!(fs::read_to_string(place.top.join(path)).unwrap(), "by hand\n");
        let expected = if path == "ChangeLog" {
            " M ChangeLog\n"
        } else {
            "M  ChangeLog\nD  f/a.ChangeLog\nD  f/b.ChangeLog\n?? f/b.ChangeLog\n"
        };
        let (_, status, own) = place.state();
        assert_eq!((status.as_str(), own), (expected, vec![]));
    }
}

#[test]
fn another_who_is_at_work_is_not_disturbed() {
    let place = Place::new();
    let tree = WorkTree::open(&place.top).unwrap();
    let change = Change::begin(&tree).unwrap();
    change.prepare(&place.changes()).unwrap();
    let error = tree.apply(&place.changes()).unwrap_err();
    assert!(matches!(error, WorkTreeError::Busy), "{error}");
    assert!(matches!(tree.finish_killed(), Err(WorkTreeError::Busy)));
    drop(change);
    tree.apply(&place.changes()).unwrap();
}

#[test]
fn what_git_did_to_the_index_meanwhile_is_not_lost() {
    let place = Place::new();
    let tree = WorkTree::open(&place.top).unwrap();
    let change = Change::begin(&tree).unwrap();
    let copied = identity(&tree.index);
    let (changes, journal) = (place.changes(), change.prepare(&place.changes()).unwrap());
    place.write("other.c", "int x;\n");
    place.git(&["add", "other.c"]);
    let error = change.decide(&journal, copied).unwrap_err();
    assert!(matches!(error, WorkTreeError::IndexChanged), "{error}");
    change.undo(&changes, &journal);
    drop(change);
    assert_eq!(place.state(), ("old\n".to_owned(), "A  other.c\n".to_owned(), vec![]));
    tree.apply(&changes).unwrap();
    assert!(place.git(&["status", "--porcelain"]).contains("A  other.c\n"));
}

#[test]
fn what_fails_halfway_is_taken_back() {
    let place = Place::new();
    let before = place.state();
    let tree = WorkTree::open(&place.top).unwrap();
    let mut changes = place.changes();
    // A folder stands in the place of the second file to be deleted.
    fs::create_dir(place.top.join("f/c")).unwrap();
    changes.deleted.push(Deleted { path: "f/c".to_owned(), bytes: b"x".to_vec() });
    assert!(tree.apply(&changes).is_err());
    fs::remove_dir(place.top.join("f/c")).unwrap();
    assert_eq!(place.state(), before);
}
