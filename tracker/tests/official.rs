//! Which branch is mainline, asked of real repositories.
#![allow(clippy::unwrap_used)]

use testkit::git::Repo;
use tracker::Explain;
use tracker::git::Git;
use tracker::mirror::OfficialUrl;
use tracker::official::{NotOfficial, locate, mainline};

async fn asked(repo: &Repo) -> Result<String, NotOfficial> {
    named(repo, None).await
}

async fn named(repo: &Repo, branch: Option<&str>) -> Result<String, NotOfficial> {
    mainline(&Git::find(None).unwrap(), &OfficialUrl::new(repo.url()).unwrap(), branch).await
}

#[tokio::test]
async fn a_mainline_that_is_named_must_be_there() {
    let folder = testkit::folder();
    let repo = Repo::init(folder.path().join("r"));
    assert!(matches!(named(&repo, Some("main")).await, Err(NotOfficial::Empty(_))));
    repo.commit(&[("a", "1\n")], "Begin");
    repo.git(&["branch", "stable"]);
    assert_eq!(named(&repo, Some("stable")).await.unwrap(), "stable");
    for wrong in ["nosuch", "-x", "", "refs/heads/main", "main\n"] {
        let error = named(&repo, Some(wrong)).await.unwrap_err();
        assert!(matches!(error, NotOfficial::NoSuchBranch { .. }), "{error}");
        assert!(error.to_string().ends_with("it has: main, stable"), "{error}");
    }
}

#[test]
fn a_repository_of_another_user_is_said_with_git_s_own_cure() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can give files away.
    }
    let folder = testkit::folder();
    let repo = Repo::init(folder.path().join("r"));
    repo.commit(&[("a", "1\n")], "Begin");
    let top = folder.path().join("r").canonicalize().unwrap();
    for path in [top.clone(), top.join(".git")] {
        std::os::unix::fs::chown(path, Some(12_345), Some(12_345)).unwrap();
    }
    let error = locate(top.to_str().unwrap()).unwrap_err();
    assert!(matches!(error, NotOfficial::OtherOwner(_)), "{error}");
    let cure = format!("git config --global --add safe.directory '{}'", top.display());
    assert!(error.hint().contains(&cure), "{}", error.hint());
}

#[tokio::test]
async fn mainline_is_main_or_what_head_names_or_the_only_branch() {
    let folder = testkit::folder();
    let repo = Repo::init(folder.path().join("r"));
    assert!(matches!(asked(&repo).await, Err(NotOfficial::Empty(_))));
    repo.commit(&[("a", "1\n")], "Begin");
    repo.git(&["branch", "--quiet", "--move", "trunk"]);
    assert_eq!(asked(&repo).await.unwrap(), "trunk", "what HEAD names");
    repo.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(asked(&repo).await.unwrap(), "trunk", "the only branch");
    repo.git(&["branch", "other"]);
    let several = asked(&repo).await.unwrap_err();
    assert!(several.to_string().contains("other, trunk"), "{several}");
    repo.git(&["branch", "main"]);
    assert_eq!(asked(&repo).await.unwrap(), "main", "whatever HEAD is at");
}

#[test]
fn a_place_in_a_work_tree_is_its_top() {
    let folder = testkit::folder();
    let repo = Repo::init(folder.path().join("r"));
    repo.commit(&[("deep/er/a", "1\n")], "Begin");
    let top = folder.path().join("r").canonicalize().unwrap();
    let inside = top.join("deep/er");
    assert_eq!(locate(inside.to_str().unwrap()).unwrap(), top.to_str().unwrap());
    assert_eq!(locate("https://git.example.org/r.git").unwrap(), "https://git.example.org/r.git");
    assert!(matches!(locate(folder.path().to_str().unwrap()), Err(NotOfficial::NoRepository(_))));
}
