//! Which branch is mainline, asked of real repositories.
#![allow(clippy::unwrap_used)]

use testkit::git::Repo;
use tracker::git::Git;
use tracker::mirror::OfficialUrl;
use tracker::official::{NotOfficial, default_branch, locate};

async fn asked(repo: &Repo) -> Result<String, NotOfficial> {
    default_branch(&Git::find(None).unwrap(), &OfficialUrl::new(repo.url()).unwrap()).await
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
