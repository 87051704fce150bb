//! Admission: what gets into the mirror, from where, and what does not.

use crate::support::http::{Answer, Server, plain_file, publish, redirect, status};
use crate::support::{Repo, World, branch, entry, files_below, git, name, on_loopback, plain_git, source};
use std::time::Duration;
use tracker::Explain;
use tracker::mirror::{Admission, AdmissionError, AdmissionLimits, FetchBudget, Mirror, Passing, Relation};
use tracker::watch::{PollLimits, Poller};

/// What admission says of a branch that it refuses; nothing of it may stay.
async fn refusal(world: &World, admission: &Admission) -> AdmissionError {
    let before = world.refs();
    let error = world.mirror.admit(&world.poller, admission).await.unwrap_err();
    assert_eq!(world.refs(), before, "a refused revision left a ref");
    assert_nothing_left(world);
    error
}

fn assert_nothing_left(world: &World) {
    let scratch = files_below(&world.mirror.path().join("scratch"));
    let left: Vec<_> = scratch.iter().filter(|path| path.extension().is_none_or(|e| e != "lock")).collect();
    assert!(left.is_empty(), "left in scratch: {left:?}");
    let packs = files_below(&world.mirror.path().join("objects"));
    assert!(!packs.iter().any(|p| p.to_string_lossy().contains("tmp_")), "left in objects: {packs:?}");
}

/// An admission from a server instead of a folder.
fn from_server(world: &World, server: &Server, repository: &str, branch_name: &str) -> Admission {
    Admission {
        source: source(&server.url(repository), world.poller.policy()),
        branch: branch(branch_name),
        expected: None,
        name: name("ann"),
        revision: 1,
        limits: AdmissionLimits::default(),
    }
}

#[tokio::test]
async fn revisions_are_kept_also_after_a_force_push() {
    let world = World::new().await;
    let ann = world.author("ann");
    let first = ann.write("b.c", "hello\n").commit("Say hello");
    assert_eq!(world.admit(&ann, "ann", 1).await, first);
    ann.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let second = ann.write("b.c", "hello, world\n").commit("Say more");
    assert_eq!(world.admit(&ann, "ann", 2).await, second);
    let at = async |name: &str| world.mirror.ref_at(name).await.unwrap();
    assert_eq!(at("refs/branches/ann/r1").await, Some(first.clone()));
    assert_eq!(at("refs/branches/ann/r2").await, Some(second.clone()));
    assert_eq!(at("refs/branches/ann/head").await, Some(second));
    // Again, as after a crash: the same.
    assert_eq!(world.admit(&ann, "ann", 2).await, world.admit(&ann, "ann", 2).await);
    assert_nothing_left(&world);
}

/// Text that no packing makes smaller.
fn noise(bytes: usize, mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

#[tokio::test]
async fn what_the_fetches_of_one_look_bring_is_summed_up() {
    let world = World::new().await;
    let (ann, ben) = (world.author("ann"), world.author("ben"));
    ann.write("noise", noise(300 << 10, 1)).commit("Much");
    let more = ben.write("noise", noise(300 << 10, 2)).commit("As much");
    let look = FetchBudget::of(500 << 10);
    let limits = AdmissionLimits { pack_bytes: 500 << 10, look: Some(look.clone()), ..AdmissionLimits::default() };
    let of = |repo: &Repo, name: &str| Admission { limits: limits.clone(), ..world.admission(repo, name, 1) };
    world.mirror.admit(&world.poller, &of(&ann, "ann")).await.unwrap();
    // Each alone would be small enough: nothing is said of the commit.
    for _ in 0..2 {
        let error = refusal(&world, &of(&ben, "ben")).await;
        assert_eq!(error.code(), "fetch-spent", "{error}");
        assert!(matches!(error, AdmissionError::Passing(_)), "{error:?}");
    }
    let other = AdmissionLimits { look: Some(FetchBudget::of(500 << 10)), ..limits.clone() };
    let again = Admission { limits: other, ..of(&ben, "ben") };
    assert_eq!(world.mirror.admit(&world.poller, &again).await.unwrap(), more, "in another look");
    ann.write("noise", noise(700 << 10, 3)).commit("Too much");
    let whole = AdmissionLimits { look: Some(FetchBudget::of(500 << 10)), ..limits.clone() };
    let error = refusal(&world, &Admission { limits: whole, revision: 2, ..of(&ann, "ann") }).await;
    assert_eq!(error.code(), "too-large", "{error}");
}

#[tokio::test]
async fn a_smart_server_a_dumb_one_and_one_behind_a_redirect_give_the_same() {
    let world = World::new().await;
    let ann = world.author("ann");
    let head = ann.write("b.c", "hello\n").commit("Say hello");
    let root = world.temp.path().join("www");
    let bare = publish(&ann, &root, "r.git");
    for args in [&["repack", "-adq"][..], &["update-server-info"]] {
        assert!(plain_git().arg("-C").arg(&bare).args(args).status().unwrap().success());
    }
    let (smart, dumb) = (Server::smart(&root), Server::dumb(&root));
    let to = smart.url("");
    let moved = Server::start(move |request| redirect(format!("{to}r.git{}", &request.target["/old.git".len()..])));
    for (server, path, n) in [(&smart, "r.git", 1), (&dumb, "r.git", 2), (&moved, "old.git", 3)] {
        let admission = Admission { revision: n, ..from_server(&world, server, path, "ann") };
        assert_eq!(world.mirror.admit(&world.poller, &admission).await.unwrap(), head);
    }
}

#[tokio::test]
async fn only_what_is_new_travels() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").commit("Say hello");
    let root = world.temp.path().join("www");
    publish(&ann, &root, "r.git");
    let server = Server::smart(&root);
    world.mirror.admit(&world.poller, &from_server(&world, &server, "r.git", "ann")).await.unwrap();
    let fetch = server.requests().into_iter().rfind(|r| r.method == "POST").unwrap();
    let asked = String::from_utf8_lossy(&fetch.body).into_owned();
    assert!(asked.contains(&format!("have {}", world.mainline)), "{asked}");
}

#[tokio::test]
async fn unrelated_equal_and_older_branches_are_admitted_and_told_apart() {
    let world = World::new().await;
    let (equal, ahead) = (world.author("equal"), world.author("ahead"));
    let two = ahead.write("x", "1").commit("1");
    let two = ahead.write("x", "2").commit(&format!("after {two}"));
    let other = Repo::init(world.temp.path().join("other"));
    let unrelated = other.branch("other").write("x", "1").commit("Of its own");
    let same = world.admit(&equal, "equal", 1).await;
    assert_eq!(world.admit(&other, "other", 1).await, unrelated);
    assert_eq!(world.admit(&ahead, "ahead", 1).await, two);
    let relation = async |r| world.mirror.relation(&world.mainline, r).await.unwrap();
    assert_eq!(relation(&same).await, Relation::Same);
    assert_eq!(relation(&unrelated).await, Relation::Unrelated);
    assert_eq!(relation(&two).await, Relation::Ahead { merge_base: world.mainline.clone(), commits: 2 });
    assert_eq!(world.mirror.relation(&two, &world.mainline).await.unwrap(), Relation::Behind);
}

#[tokio::test]
async fn a_branch_that_is_not_there_or_has_moved_is_told() {
    let world = World::new().await;
    let ann = world.author("ann");
    let now = ann.commit("More");
    let error = refusal(&world, &world.admission(&ann, "bob", 1)).await;
    assert_eq!(error.code(), "no-such-branch");
    assert!(matches!(&error, AdmissionError::Passing(Passing::NoBranch { .. })), "{error:?}");
    assert!(error.to_string().contains("has no branch `bob`"), "{error}");
    let expected = Some(world.mainline.clone());
    let error = refusal(&world, &Admission { expected, ..world.admission(&ann, "ann", 1) }).await;
    assert!(matches!(&error, AdmissionError::Passing(Passing::Moved { now: there, .. }) if *there == now), "{error}");
}

#[tokio::test]
async fn a_server_s_trouble_is_told_as_when_polling() {
    let world = World::new().await;
    let password = Server::start(|_| status(401));
    assert_eq!(refusal(&world, &from_server(&world, &password, "r.git", "ann")).await.code(), "needs-password");
    let silent = Server::start(|_| Answer::Never);
    let limits = PollLimits { whole: Duration::from_millis(200), ..PollLimits::default() };
    let poller = Poller::new(git(), on_loopback(), limits).unwrap();
    let error = world.mirror.admit(&poller, &from_server(&world, &silent, "r.git", "ann")).await.unwrap_err();
    assert_eq!(error.code(), "no-answer");
    // It answers the poll, and then drags its feet.
    let root = world.temp.path().join("www");
    publish(&world.official, &root, "r.git");
    let tarpit = Server::start(move |request| match request.target.as_str() {
        path if path.starts_with("/r.git/info/refs") => plain_file(&root, request),
        _ => Answer::Never,
    });
    let limits = AdmissionLimits { wall: Duration::from_secs(1), ..AdmissionLimits::default() };
    let mut admission = Admission { limits, ..from_server(&world, &tarpit, "r.git", "main") };
    // A commit that the mirror lacks, so that it must ask for objects.
    admission.branch = branch("late");
    let (refs, late) = (world.temp.path().join("www/r.git/info/refs"), "a".repeat(40));
    std::fs::write(refs, format!("{late}\trefs/heads/late\n")).unwrap();
    assert_eq!(refusal(&world, &admission).await.code(), "fetch-timed-out");
}

#[tokio::test]
async fn no_alternate_object_store_of_a_dumb_server_is_asked() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").commit("Say hello");
    let root = world.temp.path().join("www");
    let bare = publish(&ann, &root, "r.git");
    let inner = Server::dumb(&root);
    std::fs::remove_dir_all(bare.join("objects")).unwrap();
    std::fs::create_dir_all(bare.join("objects/info")).unwrap();
    std::fs::write(bare.join("objects/info/packs"), "").unwrap();
    std::fs::write(bare.join("objects/info/http-alternates"), format!("{}\n", inner.url("r.git/objects/"))).unwrap();
    let outer = Server::dumb(&root);
    let error = refusal(&world, &from_server(&world, &outer, "r.git", "ann")).await;
    assert!(inner.seen().is_empty(), "{:?}", inner.seen());
    assert!(outer.seen().len() > 1, "{error}");
}

#[tokio::test]
async fn limits_on_size_and_number_are_kept_and_named() {
    let world = World::new().await;
    let ann = world.author("ann");
    // Bytes that don't pack well.
    let noise: Vec<u8> =
        (0..200_000_u64).flat_map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 13).to_le_bytes()).collect();
    ann.write("noise", &noise).commit("Large");
    let admission = |limits| Admission { limits, ..world.admission(&ann, "ann", 1) };
    let limits = |change: fn(&mut AdmissionLimits)| {
        let mut limits = AdmissionLimits::default();
        change(&mut limits);
        limits
    };
    for (limit, words) in [
        (
            limits(|l| l.pack_bytes = 100_000),
            "the size in bytes of the branch `ann`: 100000 are allowed, and there is more",
        ),
        (
            limits(|l| l.blob_bytes = 1000),
            "the size in bytes of a file of the branch `ann`: 1000 are allowed, and there are 1600000",
        ),
        (limits(|l| l.objects = 2), "the number of new objects of the branch `ann`: 2 are allowed, and there are 3"),
        (limits(|l| l.paths = 2), "the number of files of the branch `ann`: 2 are allowed, and there are 4"),
    ] {
        let error = refusal(&world, &admission(limit)).await;
        assert_eq!((error.code(), error.to_string().as_str()), ("too-large", words));
    }
    world.mirror.admit(&world.poller, &admission(AdmissionLimits::default())).await.unwrap();

    let deep = world.author("deep");
    deep.write("a/b/c/d/e", "").commit("Deep");
    let limits = AdmissionLimits { depth: 4, ..AdmissionLimits::default() };
    let error = refusal(&world, &Admission { limits, ..world.admission(&deep, "deep", 1) }).await;
    assert_eq!(error.code(), "tree-refused");
    let octopus = world.author("octopus");
    let tree = octopus.git(&["rev-parse", "HEAD^{tree}"]);
    let parents: Vec<String> = (0..3).map(|n| octopus.git(&["commit-tree", "-m", &n.to_string(), &tree])).collect();
    let args: Vec<&str> = parents.iter().flat_map(|p| ["-p", p.as_str()]).chain(["-m", "All", &tree]).collect();
    let merged = octopus.git(&[&["commit-tree"], &args[..]].concat());
    octopus.git(&["reset", "-q", "--hard", &merged]);
    let limits = AdmissionLimits { parents: 2, ..AdmissionLimits::default() };
    let error = refusal(&world, &Admission { limits, ..world.admission(&octopus, "octopus", 1) }).await;
    assert!(error.to_string().contains("parents of a commit"), "{error}");
}

/// A commit with such a tree, as the head of a new branch of the same name.
fn commit_of(repo: &Repo, tree: &[u8]) {
    let tree = repo.object("tree", tree);
    let commit = repo.object(
        "commit",
        format!("tree {tree}\nparent {}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nx\n", repo.head())
            .as_bytes(),
    );
    repo.git(&["update-ref", &format!("refs/heads/{}", repo.git(&["branch", "--show-current"])), &commit]);
}

#[tokio::test]
async fn trees_that_would_do_harm_when_written_out_are_refused_over_every_transport() {
    let world = World::new().await;
    let root = world.temp.path().join("www");
    let (smart, dumb) = (Server::smart(&root), Server::dumb(&root));
    for (n, evil) in [".git", ".GIT", "..", "git~1", "a/b", ".git\u{200c}"].into_iter().enumerate() {
        let author = format!("evil-{n}");
        let repo = world.author(&author);
        let blob = repo.object("blob", b"[core]\n\tfsmonitor = touch /tmp/x\n");
        let inner = repo.object("tree", &entry("100644", b"config", &blob));
        commit_of(&repo, &entry("40000", evil.as_bytes(), &inner));
        publish(&repo, &root, &format!("{author}.git"));
        for server in [&smart, &dumb] {
            let admission = from_server(&world, server, &format!("{author}.git"), &author);
            let error = refusal(&world, &admission).await;
            assert_eq!(error.code(), "fsck-refused", "{evil} {error}");
        }
        let error = refusal(&world, &world.admission(&repo, &author, 1)).await;
        assert_eq!(error.code(), "fsck-refused", "{evil} {error}");
        assert!(error.to_string().contains(&author) && !error.hint().is_empty(), "{error}");
    }
}

#[tokio::test]
async fn names_that_differ_in_case_and_links_in_reserved_places_are_refused_unless_mainline_has_them() {
    let mut world = World::new().await;
    let twins = world.author("twins");
    twins.write("dir/Readme", "1").write("dir/README", "2").commit("Twins");
    let error = refusal(&world, &world.admission(&twins, "twins", 1)).await;
    assert_eq!(error.code(), "tree-refused");
    let words = "the branch `twins` has names that differ in case only: `dir/README` and `dir/Readme`";
    assert_eq!(error.to_string(), words);
    let link = world.author("link");
    std::fs::remove_file(link.path.join(".bb.toml")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", link.path.join(".bb.toml")).unwrap();
    link.commit("Link");
    let error = refusal(&world, &world.admission(&link, "link", 1)).await;
    assert_eq!(error.to_string(), "the branch `link` has a symbolic link in the place of the file `.bb.toml`");

    world.official.git(&["pull", "-q", twins.path.to_str().unwrap(), "twins"]);
    world.update().await;
    world.admit(&twins, "twins", 1).await;
}

#[tokio::test]
async fn a_killed_admission_leaves_nothing_that_stays_and_can_be_done_again() {
    let world = World::new().await;
    let ann = world.author("ann");
    let head = ann.write("b.c", "hello\n").commit("Say hello");
    // Dropped in the middle: while a server lets it wait.
    let root = world.temp.path().join("www");
    publish(&ann, &root, "r.git");
    let tarpit = Server::start(move |request| match request.target.as_str() {
        path if path.starts_with("/r.git/info/refs") => plain_file(&root, request),
        _ => Answer::Never,
    });
    let admission = from_server(&world, &tarpit, "r.git", "ann");
    let (mirror, poller) = (world.mirror.clone(), world.poller.clone());
    let task = tokio::spawn(async move { mirror.admit(&poller, &admission).await });
    while !tarpit.seen().iter().any(|asked| !asked.contains("/info/refs")) {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_nothing_left(&world);
    // Killed with -9: the scratch repository is still there, but nobody holds its lock.
    let left = world.mirror.path().join("scratch/ann/try-x/scratch.git/objects/pack");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("tmp_pack_x"), "x").unwrap();
    let again = Mirror::open_or_create(git(), world.mirror.path()).await.unwrap();
    assert_nothing_left(&world);
    assert_eq!(again.admit(&world.poller, &world.admission(&ann, "ann", 1)).await.unwrap(), head);
}

#[tokio::test]
async fn two_admissions_of_one_branch_wait_for_each_other_and_others_don_t() {
    let world = World::new().await;
    let (ann, bob) = (world.author("ann"), world.author("bob"));
    let first = ann.write("b.c", "hello\n").commit("Say hello");
    let second = bob.write("c.c", "x\n").commit("More");
    let admissions =
        [world.admission(&ann, "ann", 1), world.admission(&ann, "ann", 1), world.admission(&bob, "bob", 1)];
    let [a, again, b] = admissions.map(|admission| {
        let (mirror, poller) = (world.mirror.clone(), world.poller.clone());
        tokio::spawn(async move { mirror.admit(&poller, &admission).await.unwrap() })
    });
    assert_eq!((a.await.unwrap(), again.await.unwrap(), b.await.unwrap()), (first.clone(), first, second));
    assert_nothing_left(&world);
}

#[tokio::test]
async fn a_branch_that_points_to_a_tag_is_not_a_commit() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.git(&["tag", "-a", "-m", "x", "v1"]);
    let tag = ann.git(&["rev-parse", "v1"]);
    std::fs::write(ann.path.join(".git/refs/heads/ann"), format!("{tag}\n")).unwrap();
    assert_eq!(refusal(&world, &world.admission(&ann, "ann", 1)).await.code(), "not-a-commit");
}

#[tokio::test]
async fn a_branch_of_a_strange_name_is_admitted_under_ours() {
    let world = World::new().await;
    let ann = world.author("ann");
    let strange = "a'b\"$(touch);<b>\u{202e}\u{1f600}";
    let head = ann.branch(strange).write("b.c", "hello\n").commit("Say hello");
    let admission = Admission { branch: branch(strange), ..world.admission(&ann, "ann", 1) };
    assert_eq!(world.mirror.admit(&world.poller, &admission).await.unwrap(), head);
    assert!(world.refs().lines().any(|line| line.ends_with(" refs/branches/ann/r1")));
}

#[tokio::test]
async fn submodules_and_attributes_of_a_branch_start_nothing() {
    let world = World::new().await;
    let inner = Server::start(|_| status(404));
    let ann = world.author("ann");
    let url = inner.url("sub.git");
    ann.write(".gitmodules", format!("[submodule \"s\"]\n\tpath = s\n\turl = {url}\n"));
    ann.write(".lfsconfig", format!("[lfs]\n\turl = {url}\n")).write(".gitattributes", "* filter=lfs\n");
    ann.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{},s", world.mainline)]);
    ann.commit("Everything");
    world.admit(&ann, "ann", 1).await;
    assert!(inner.seen().is_empty());

    let bad = world.author("bad");
    bad.write(".gitmodules", "[submodule \"s\"]\n\tpath = s\n\turl = -u./payload\n").commit("Option");
    assert_eq!(refusal(&world, &world.admission(&bad, "bad", 1)).await.code(), "fsck-refused");
}
