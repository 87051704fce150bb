//! Whoever runs a master or slave may have a home that can't be read, or settings that no git understands.

use crate::support::{Repo, git, place, plain_git};
use recipe::History;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tracker::checkout::{CheckoutLimits, WorkMirror};
use tracker::mirror::{Mirror, Upkeep};

/// This test program again, in another home: only one test of it, which otherwise does not run.
fn in_home(home: &Path, work: &Path) {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "homes::what_happens_in_that_home", "--ignored", "--nocapture"]);
    again.env("HOME", home).env("XDG_CONFIG_HOME", home.join(".config")).env("WORK_OF_TEST", work);
    let said = again.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_home_that_can_not_be_read_is_no_matter() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    for name in ["closed/.config/git", "broken/.config/git", "odd/.config/git", "work"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    for name in ["closed/.gitconfig", "closed/.config/git/config"] {
        std::fs::write(at(name), "").unwrap();
        std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    for name in ["broken/.gitconfig", "broken/.config/git/config"] {
        std::fs::write(at(name), "[core\nnonsense = [\n").unwrap();
    }
    // Settings that would change what is written.
    std::fs::write(at("odd/.gitconfig"), "[core]\n\tautocrlf = true\n\tbare = false\n\tworktree = /nowhere\n").unwrap();
    std::fs::set_permissions(at("closed"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let official = Repo::init(at("work/official"));
    official.write("a", "1\n").commit("Start");
    for home in ["closed", "broken", "odd"] {
        in_home(&at(home), &at("work"));
    }
    std::fs::set_permissions(at("closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// A slave's and a master's own repositories are made, read and kept.
#[tokio::test]
#[ignore = "is run by the test above, in a home of its own"]
async fn what_happens_in_that_home() {
    let work = std::path::PathBuf::from(std::env::var_os("WORK_OF_TEST").unwrap());
    let temp = tempfile::tempdir().unwrap();
    let mirror = Mirror::open_or_create(git(), &temp.path().join("mirror.git")).await.unwrap();
    let push = ["push", "-q", mirror.path().to_str().unwrap(), "main"];
    assert!(plain_git().arg("-C").arg(work.join("official")).args(push).status().unwrap().success());
    let tip = mirror.ref_at("refs/heads/main").await.unwrap().unwrap();
    assert_eq!(mirror.file_at(&tip, "a", 100).await.unwrap().as_deref(), Some(&b"1\n"[..]));
    mirror.upkeep(Upkeep::Whole).await.unwrap();
    assert_eq!(
        Mirror::open_or_create(git(), mirror.path()).await.unwrap().commit(&tip).await.unwrap().subject,
        "Start"
    );
    let slave = WorkMirror::open_or_create(git(), mirror.path()).await.unwrap();
    slave.checkout(&tip, &place(&temp.path().join("build")), History::Full, CheckoutLimits::default()).await.unwrap();
    assert_eq!(std::fs::read_to_string(temp.path().join("build/a")).unwrap(), "1\n");
}
