//! A source that fails once, in whatever way, between a good look and a good fetch: nothing of that is the commit's fault.

use crate::support::http::{Answer, Request, Server, http_backend, publish};
use crate::support::{Repo, World, branch, entry, files_below, name, plain_git, source};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracker::Explain;
use tracker::mirror::{Admission, AdmissionError, AdmissionLimits, CommitRefused, Passing};

/// What becomes of the answer to one fetch.
type Mangle = fn(Vec<(&'static str, String)>, Vec<u8>) -> Answer;

fn is_fetch(request: &Request) -> bool {
    let asks = |text: &[u8]| request.body.windows(text.len()).any(|part| part == text);
    request.method == "POST" && asks(b"command=fetch")
}

/// A smart server that mangles its first answer to a fetch.
fn once(root: &Path, mangle: Mangle) -> (Server, Arc<AtomicBool>) {
    let (root, failed) = (root.to_owned(), Arc::new(AtomicBool::new(false)));
    let done = failed.clone();
    let server = Server::start(move |request| match http_backend(&root, request) {
        Answer::Whole(_, headers, body) if is_fetch(request) && !done.swap(true, Ordering::SeqCst) => {
            mangle(headers, body)
        }
        answer => answer,
    });
    (server, failed)
}

/// Where the pack begins in an answer: after the word for it, and five bytes of a packet's length and band.
fn pack_at(body: &[u8]) -> usize {
    body.windows(4).position(|part| part == b"PACK").expect("the answer has a pack")
}

fn flipped(headers: Vec<(&'static str, String)>, mut body: Vec<u8>, at: usize, bits: u8) -> Answer {
    body[at] ^= bits;
    Answer::Whole(200, headers, body)
}

fn part(headers: Vec<(&'static str, String)>, body: Vec<u8>, percent: usize) -> Answer {
    let at = body.len() * percent / 100;
    Answer::Cut(200, headers, body, at)
}

fn short(headers: Vec<(&'static str, String)>, mut body: Vec<u8>, percent: usize) -> Answer {
    body.truncate(body.len() * percent / 100);
    Answer::Whole(200, headers, body)
}

fn only(status: u16) -> Answer {
    Answer::Whole(status, Vec::new(), Vec::new())
}

const WAYS: [(&str, Mangle); 28] = [
    ("400", |_, _| only(400)),
    ("401", |_, _| only(401)),
    ("403", |_, _| only(403)),
    ("404", |_, _| only(404)),
    ("407", |_, _| only(407)),
    ("410", |_, _| only(410)),
    ("429", |_, _| only(429)),
    ("500", |_, _| only(500)),
    ("502", |_, _| only(502)),
    ("503", |_, _| only(503)),
    ("302", |_, _| Answer::Whole(302, vec![("Location", "https://example.org/login".to_owned())], Vec::new())),
    ("307 to nowhere", |_, _| only(307)),
    ("a page", |_, _| Answer::Whole(200, vec![("Content-Type", "text/html".to_owned())], b"<p>Wait</p>".to_vec())),
    ("a page as a pack", |headers, _| Answer::Whole(200, headers, b"<p>Wait</p>".to_vec())),
    ("nothing", |headers, _| Answer::Whole(200, headers, Vec::new())),
    ("cut at 0", |headers, body| part(headers, body, 0)),
    ("cut at 10", |headers, body| part(headers, body, 10)),
    ("cut at 50", |headers, body| part(headers, body, 50)),
    ("cut at 99", |headers, body| part(headers, body, 99)),
    ("ends at 30", |headers, body| short(headers, body, 30)),
    ("ends at 95", |headers, body| short(headers, body, 95)),
    ("another signature", |headers, body| flipped(headers, body.clone(), pack_at(&body), 1)),
    ("another version", |headers, body| flipped(headers, body.clone(), pack_at(&body) + 7, 8)),
    ("another number", |headers, body| flipped(headers, body.clone(), pack_at(&body) + 11, 1)),
    // The first object of a pack is a commit: as a tree it is none that git's check would take.
    ("another type", |headers, body| flipped(headers, body.clone(), pack_at(&body) + 12, 0x30)),
    ("a bit at 20", |headers, body| flipped(headers, body.clone(), body.len() / 5, 4)),
    ("a bit at 80", |headers, body| flipped(headers, body.clone(), body.len() / 5 * 4, 4)),
    ("a bit of the sum", |headers, body| flipped(headers, body.clone(), body.len() - 10, 1)),
];

fn noise(seed: u64) -> Vec<u8> {
    (0..2000).flat_map(|n| ((n + 10_000 * seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 13).to_le_bytes()).collect()
}

fn admission(world: &World, server: &Server, repo: &Repo) -> Admission {
    Admission {
        source: source(&server.url("r.git"), world.poller.policy()),
        branch: branch("ann"),
        expected: Some(repo.head()),
        name: name("ann"),
        revision: 1,
        limits: AdmissionLimits::default(),
    }
}

#[tokio::test]
async fn whatever_goes_wrong_on_the_way_once_does_not_keep_a_commit_out() {
    let world = World::new().await;
    let ann = world.author("ann");
    let root = world.temp.path().join("www");
    let bare = publish(&ann, &root, "r.git");
    for (n, (way, mangle)) in (1..).zip(WAYS) {
        // One that the mirror has nothing of yet.
        ann.write("noise", noise(n)).commit(way);
        ann.git(&["push", "-q", bare.to_str().unwrap(), "ann"]);
        let (server, failed) = once(&root, mangle);
        let admission = Admission { name: name(&format!("ann-{n}")), ..admission(&world, &server, &ann) };
        let first = world.mirror.admit(&world.poller, &admission).await;
        assert!(failed.load(Ordering::SeqCst), "{way}: it fetched");
        // What was broken on its way is fetched once more at once.
        if let Err(error) = first {
            assert!(matches!(error, AdmissionError::Passing(_)), "{way}: {error:?}");
            assert!(!matches!(error, AdmissionError::Passing(Passing::Mirror(_))), "{way}: {error:?}");
            let words = (error.to_string(), error.hint());
            assert!(!error.code().is_empty() && !words.0.is_empty() && !words.1.is_empty(), "{way}: {words:?}");
        }
        let again = world.mirror.admit(&world.poller, &admission).await;
        assert_eq!(again.expect(way), ann.head(), "{way}");
    }
}

#[tokio::test]
async fn a_redirect_that_is_met_only_by_the_fetch_is_told_with_where_it_leads() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "x\n").commit("Say hello");
    let root = world.temp.path().join("www");
    publish(&ann, &root, "r.git");
    let to = "https://elsewhere.example.org/login?next=r.git";
    let served = root.clone();
    let server = Server::start(move |request| match request.method.as_str() {
        "POST" => Answer::Whole(302, vec![("Location", to.to_owned())], Vec::new()),
        _ => http_backend(&served, request),
    });
    let error = world.mirror.admit(&world.poller, &admission(&world, &server, &ann)).await.unwrap_err();
    assert_eq!(error.code(), "redirect-refused");
    assert!(matches!(error, AdmissionError::Passing(_)), "{error:?}");
    assert!(error.hint().contains(to) && error.to_string().contains(to), "{error}; {}", error.hint());
}

#[tokio::test]
async fn a_branch_that_moved_to_something_refused_does_not_take_the_commit_before_along() {
    let world = World::new().await;
    let ann = world.author("ann");
    let seen = ann.write("b.c", "x\n").commit("Say hello");
    let admission = Admission { expected: Some(seen.clone()), ..world.admission(&ann, "ann", 1) };
    // A tree that git's check refuses, and then a tag.
    let blob = ann.object("blob", b"x");
    let tree = ann.object("tree", &entry("100644", b".git", &blob));
    let text = format!("tree {tree}\nparent {seen}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nx\n");
    let evil = ann.object("commit", text.as_bytes());
    ann.git(&["tag", "-a", "-m", "x", "v1"]);
    for other in [evil, ann.git(&["rev-parse", "v1"])] {
        std::fs::write(ann.path.join(".git/refs/heads/ann"), format!("{other}\n")).unwrap();
        let error = world.mirror.admit(&world.poller, &admission).await.unwrap_err();
        assert!(matches!(&error, AdmissionError::Passing(Passing::Moved { .. })), "{error:?}");
    }
    ann.git(&["update-ref", "refs/heads/ann", seen.as_str()]);
    assert_eq!(world.mirror.admit(&world.poller, &admission).await.unwrap(), seen);
}

#[tokio::test]
async fn an_object_that_was_made_wrong_is_refused_over_every_way_to_it() {
    let world = World::new().await;
    let ann = world.author("ann");
    let blob = ann.object("blob", b"x");
    let tree = ann.object("tree", &entry("100644", b"..", &blob));
    let text = format!("tree {tree}\nparent {}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nx\n", ann.head());
    let commit = ann.object("commit", text.as_bytes());
    ann.git(&["update-ref", "refs/heads/ann", &commit]);
    let root = world.temp.path().join("www");
    publish(&ann, &root, "r.git");
    for server in [Server::smart(&root), Server::dumb(&root)] {
        let error = world.mirror.admit(&world.poller, &admission(&world, &server, &ann)).await.unwrap_err();
        assert!(matches!(error, AdmissionError::Refused(CommitRefused::Fsck { .. })), "{error:?}");
    }
}

/// Has all objects of a repository stand in files of their own.
fn unpack(repository: &Path) {
    let (packs, aside) = (repository.join("objects/pack"), repository.join("aside"));
    std::fs::rename(&packs, &aside).unwrap();
    std::fs::create_dir(&packs).unwrap();
    for pack in files_below(&aside).into_iter().filter(|path| path.extension().is_some_and(|it| it == "pack")) {
        let mut git = plain_git();
        git.arg("-C").arg(repository).args(["unpack-objects", "-q"]).stdin(std::fs::File::open(pack).unwrap());
        assert!(git.status().unwrap().success());
    }
    std::fs::remove_dir_all(aside).unwrap();
}

/// What the mirror has lost or can't read of a branch's past, or of mainline's, is no fault of what comes next, nor of where
/// it comes from.
#[tokio::test]
async fn damage_in_the_mirror_is_the_mirror_s_trouble() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("dir/deep/a", "text of a\n").write("b", "text of b\n").commit("First");
    world.admit(&ann, "ann", 1).await;
    let at = |name: &str| git_at(world.mirror.path(), &["rev-parse", name]);
    let file = |id: &str| world.mirror.path().join("objects").join(&id[..2]).join(&id[2..]);
    let other = at("refs/branches/ann/r1:b");
    let mut n = 1;
    for what in ["branches/ann/r1^{tree}", "branches/ann/r1:dir", "branches/ann/r1", "heads/main^{tree}"] {
        let id = at(&format!("refs/{what}"));
        for how in ["lost", "empty", "short", "nonsense", "another"] {
            n += 1;
            unpack(world.mirror.path());
            let before = std::fs::read(file(&id)).unwrap();
            ann.write(&format!("new/{n}"), format!("{n}\n")).commit("More");
            let admission = world.admission(&ann, "ann", n);
            let other = std::fs::read(file(&other)).unwrap();
            std::fs::remove_file(file(&id)).unwrap();
            match how {
                "lost" => {}
                "empty" => std::fs::write(file(&id), "").unwrap(),
                "short" => std::fs::write(file(&id), &before[..before.len() / 2]).unwrap(),
                "nonsense" => std::fs::write(file(&id), "nonsense").unwrap(),
                _ => std::fs::write(file(&id), other).unwrap(),
            }
            match world.mirror.admit(&world.poller, &admission).await {
                Ok(_) | Err(AdmissionError::Passing(Passing::Mirror(_))) => {}
                Err(error) => panic!("{what} {how}: {error:?}"),
            }
            let _ = std::fs::remove_file(file(&id));
            std::fs::write(file(&id), &before).unwrap();
            world.mirror.admit(&world.poller, &admission).await.expect(what);
        }
    }
}

fn git_at(repository: &Path, args: &[&str]) -> String {
    let said = plain_git().arg("-C").arg(repository).args(args).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}
