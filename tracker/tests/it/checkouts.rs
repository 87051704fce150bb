//! The slave's side: from the master's git to a work folder.

use crate::serving::{master, serve};
use crate::support::http::{Answer, Server, http_backend, publish, status};
use crate::support::{World, files_below, git, place, plain_git};
use recipe::History;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Handle;
use tracker::Explain;
use tracker::checkout::{CheckoutLimits, WorkMirror};

async fn slave(world: &World) -> WorkMirror {
    WorkMirror::open_or_create(git(), &world.temp.path().join("slave/p.git")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_fetched_and_written_as_it_was_committed() {
    let world = World::new().await;
    let marker = world.temp.path().join("marker");
    let ann = world.author("ann");
    let filter = format!("touch {}", marker.display());
    ann.git(&["config", "filter.evil.clean", "cat"]);
    ann.git(&["config", "filter.evil.smudge", &filter]);
    ann.write(
        ".gitattributes",
        "*.txt text eol=crlf ident filter=evil working-tree-encoding=UTF-16\n*.sh export-ignore\n",
    );
    ann.git(&["config", "core.safecrlf", "false"]);
    let blob = ann.object("blob", b"$Id$\none\n");
    ann.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},a.txt")]);
    ann.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{},sub", world.mainline)]);
    ann.write("run.sh", "#!/bin/sh\n").write("dir/x", "x\n");
    std::os::unix::fs::symlink("dir/x", ann.path.join("link")).unwrap();
    ann.git(&["add", ".gitattributes", "run.sh", "dir", "link"]);
    ann.git(&["update-index", "--chmod=+x", "run.sh"]);
    ann.git(&["commit", "-q", "-m", "All kinds"]);
    let head = world.admit(&ann, "ann", 1).await;
    let server = master(&world.mirror);
    let slave = slave(&world).await;
    slave.fetch(&server.url("git/p.git"), "refs/branches/ann/r1", &head, CheckoutLimits::default()).await.unwrap();
    let into = world.temp.path().join("work");
    slave.checkout(&head, &place(&into), History::Full, CheckoutLimits::default()).await.unwrap();
    assert_eq!(std::fs::read(into.join("a.txt")).unwrap(), b"$Id$\none\n");
    assert_eq!(std::fs::read_link(into.join("link")).unwrap(), Path::new("dir/x"));
    assert_eq!(std::fs::metadata(into.join("run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    assert!(into.join("sub").is_dir() && !marker.exists());
    // A build may ask which commit it is of, and whether anything was changed.
    let ask = |args: &[&str]| {
        let said = plain_git().arg("-C").arg(&into).args(args).output().unwrap();
        assert!(said.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    };
    assert_eq!(ask(&["rev-parse", "HEAD"]), head.as_str());
    assert!(head.as_str().starts_with(&ask(&["describe", "--always"])));
    assert_eq!(ask(&["log", "--format=%s"]), "All kinds\nStart");
    assert!(ask(&["ls-files"]).contains("dir/x"));
    assert_eq!(ask(&["-c", "core.attributesFile=/dev/null", "status", "--porcelain", "-uno", "dir", "run.sh"]), "");
    // The second time nothing travels.
    let asked = server.seen().len();
    slave.fetch(&server.url("git/p.git"), "refs/branches/ann/r1", &head, CheckoutLimits::default()).await.unwrap();
    assert_eq!(server.seen().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_build_left_is_gone_and_nothing_of_it_runs() {
    let world = World::new().await;
    let server = master(&world.mirror);
    let slave = slave(&world).await;
    let limits = CheckoutLimits::default();
    slave.fetch(&server.url("git/p.git"), "refs/heads/main", &world.mainline, limits).await.unwrap();
    let (into, outside) = (world.temp.path().join("work"), world.temp.path().join("outside"));
    std::fs::create_dir_all(into.join("locked/inner")).unwrap();
    std::fs::create_dir_all(into.join(".git/hooks")).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("keep"), "x").unwrap();
    let marker = world.temp.path().join("marker");
    std::fs::write(into.join(".git/config"), format!("[core]\n\tfsmonitor = touch {}\n", marker.display())).unwrap();
    std::os::unix::fs::symlink(&outside, into.join("a.c")).unwrap();
    std::fs::write(into.join("locked/inner/x"), "x").unwrap();
    for locked in ["locked/inner", "locked"] {
        std::fs::set_permissions(into.join(locked), std::fs::Permissions::from_mode(0o0)).unwrap();
    }
    slave.checkout(&world.mainline, &place(&into), History::Full, limits).await.unwrap();
    let mut names: Vec<String> =
        files_below(&into).iter().map(|p| p.strip_prefix(&into).unwrap().display().to_string()).collect();
    assert!(!names.iter().any(|name| name.contains("hooks")), "{names:?}");
    names.retain(|name| !name.starts_with(".git/"));
    names.sort();
    assert_eq!(names, [".bb.toml", "ChangeLog", "a.c"]);
    assert!(outside.join("keep").exists() && !marker.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_was_replaced_can_still_be_fetched_by_its_id() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").commit("Say hello");
    let head = world.admit(&ann, "ann", 1).await;
    let old = world.made("ann", &head).await.commit;
    world.mirror.set_candidate(&"ann".parse().unwrap(), &old).await.unwrap();
    world.mirror.set_candidate(&"ann".parse().unwrap(), &head).await.unwrap();
    let server = master(&world.mirror);
    let slave = slave(&world).await;
    let limits = CheckoutLimits::default();
    slave.fetch(&server.url("git/p.git"), "refs/branches/ann/candidate", &old, limits).await.unwrap();
    slave.checkout(&old, &place(&world.temp.path().join("work")), History::Full, limits).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_ref_of_one_build_keeps_no_other_from_being_fetched() {
    let world = World::new().await;
    let ann = world.author("ann");
    let server = master(&world.mirror);
    let slave = slave(&world).await;
    let (url, limits) = (server.url("git/p.git"), CheckoutLimits::default());
    slave.fetch(&url, "refs/heads/main", &world.mainline, limits).await.unwrap();
    for (n, text) in [(1, ""), (2, "nonsense\n"), (3, "1111111111111111111111111111111111111111\n")] {
        let spoiled = slave.path().join("refs/branches/old");
        std::fs::create_dir_all(&spoiled).unwrap();
        std::fs::write(spoiled.join("r1"), text).unwrap();
        std::fs::write(slave.path().join("refs/remotes/origin/main"), text).unwrap();
        ann.write("b.c", format!("{n}\n")).commit("More");
        let head = world.admit(&ann, "ann", n).await;
        slave.fetch(&url, &format!("refs/branches/ann/r{n}"), &head, limits).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_fetched_is_told() {
    let world = World::new().await;
    let server = master(&world.mirror);
    let slave = slave(&world).await;
    let limits = CheckoutLimits::default();
    let missing = "a".repeat(40).parse().unwrap();
    let error = slave.fetch(&server.url("git/p.git"), "refs/branches/x/candidate", &missing, limits).await.unwrap_err();
    assert_eq!((error.code(), error.may_pass()), ("candidate-gone", false), "{error}");
    for (url, git_ref) in [
        ("ext::sh -c true", "refs/heads/main"),
        ("/srv/r", "refs/heads/main"),
        ("http://x/r", "--x"),
        ("http://x/r", "refs/a..b"),
    ] {
        assert_eq!(slave.fetch(url, git_ref, &missing, limits).await.unwrap_err().code(), "bad-assignment");
    }
    let away = Server::start(|_| status(502));
    let error = slave.fetch(&away.url("git/p.git"), "refs/heads/main", &missing, limits).await.unwrap_err();
    assert_eq!((error.code(), error.may_pass()), ("master-unreachable", true), "{error}");
    let silent = Server::start(|_| Answer::Never);
    let short = CheckoutLimits { wall: Duration::from_millis(300), ..limits };
    let error = slave.fetch(&silent.url("git/p.git"), "refs/heads/main", &missing, short).await.unwrap_err();
    assert_eq!(error.code(), "checkout-timed-out", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_gives_what_its_refs_point_to() {
    let world = World::new().await;
    let root = world.temp.path().join("www");
    publish(&world.official, &root, "p.git");
    let server = Server::start(move |request| {
        let mut request = request.clone();
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("git-protocol"));
        http_backend(&root, &request)
    });
    let slave = slave(&world).await;
    let limits = CheckoutLimits::default();
    slave.fetch(&server.url("p.git"), "refs/heads/main", &world.mainline, limits).await.unwrap();
}

#[tokio::test]
async fn a_damaged_mirror_is_made_anew() {
    let world = World::new().await;
    let path = world.temp.path().join("slave/p.git");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("HEAD"), "").unwrap();
    let slave = slave(&world).await;
    assert!(slave.path().join("objects").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn upkeep_forgets_old_candidates_and_keeps_new_ones() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").commit("Say hello");
    let head = world.admit(&ann, "ann", 1).await;
    let server = master(&world.mirror);
    let slave = slave(&world).await;
    let (url, limits) = (server.url("git/p.git"), CheckoutLimits::default());
    slave.fetch(&url, "refs/heads/main", &world.mainline, limits).await.unwrap();
    slave.fetch(&url, "refs/branches/ann/r1", &head, limits).await.unwrap();
    slave.upkeep(1).await.unwrap();
    let said = plain_git().arg("-C").arg(slave.path()).args(["for-each-ref", "--format=%(refname)"]).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let (official, others): (Vec<_>, Vec<_>) = said.lines().partition(|name| name.starts_with("refs/remotes/"));
    assert_eq!((official, others.len()), (vec!["refs/remotes/origin/main"], 1));
    slave.checkout(&world.mainline, &place(&world.temp.path().join("work")), History::Full, limits).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_a_slave_fetches_its_packs_stay_few_and_nothing_is_lost() {
    let world = World::new().await;
    let ann = world.author("ann");
    let server = master(&world.mirror);
    let slave = slave(&world).await;
    let (url, limits) = (server.url("git/p.git"), CheckoutLimits::default());
    let packs = || {
        let files = files_below(&slave.path().join("objects/pack"));
        files.iter().filter(|file| file.extension().is_some_and(|it| it == "pack")).count()
    };
    let (mut first, mut most) = (None, 0);
    for n in 1..=80 {
        let head = ann.write("b.c", format!("{n}\n")).commit("Work");
        world.admit(&ann, "ann", n).await;
        // One ref for all of them: what was fetched before is held by nothing.
        slave.fetch(&url, "refs/branches/ann/head", &head, limits).await.unwrap();
        first.get_or_insert(head);
        most = most.max(packs());
    }
    assert!((60..=66).contains(&most) && packs() < 30, "at most {most}, now {}", packs());
    slave.checkout(&first.unwrap(), &place(&world.temp.path().join("work")), History::Full, limits).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_is_shown_the_token_that_the_slave_has() {
    let world = World::new().await;
    let (mirror, runtime) = (world.mirror.clone(), Handle::current());
    let server = Server::start(move |request| match request.header("authorization") {
        Some("Bearer a-token") => serve(&mirror, &runtime, request),
        _ => status(403),
    });
    let (url, main, limits) = (server.url("git/p.git"), "refs/heads/main", CheckoutLimits::default());
    let stranger = slave(&world).await;
    let error = stranger.fetch(&url, main, &world.mainline, limits).await.unwrap_err().to_string();
    assert!(error.contains("from the master failed"), "{error}");
    let known = slave(&world).await.showing("a-token");
    known.fetch(&url, main, &world.mainline, limits).await.unwrap();
    assert!(!format!("{known:?}").contains("a-token"));
}
