//! What a build's own git sees of history and tags, and what earlier builds can do to that: nothing.

use crate::serving::master;
use crate::support::http::Server;
use crate::support::{Repo, World, git, place, plain_git};
use protocol::CommitId;
use recipe::History;
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tracker::checkout::{CheckoutLimits, Place, Reach, WorkMirror};
use tracker::git::Git;

/// A slave of a master, and the place of its builds.
struct Slave {
    server: Server,
    mirror: WorkMirror,
    place: Place,
}

impl Slave {
    async fn of(world: &World) -> Self {
        Self::by(git(), world).await
    }

    async fn by(git: Git, world: &World) -> Self {
        let folder = world.temp.path().join("slave");
        let mirror = WorkMirror::open_or_create(git, &folder.join("p.git")).await.unwrap();
        Self { server: master(&world.mirror), mirror, place: place(&folder.join("work")) }
    }

    async fn builds(&self, git_ref: &str, commit: &CommitId, history: History) {
        let limits = CheckoutLimits::default();
        self.mirror.fetch(&self.server.url("git/p.git"), git_ref, commit, limits).await.unwrap();
        self.mirror.checkout(commit, &self.place, history, limits).await.unwrap();
    }

    /// What git prints in the work folder.
    fn asks(&self, args: &[&str]) -> String {
        says(&self.place.files, args)
    }
}

fn says(at: &Path, args: &[&str]) -> String {
    let said = plain_git().arg("-C").arg(at).args(args).output().unwrap();
    assert!(said.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).trim_end().to_owned()
}

fn commits(n: u32) -> History {
    History::Commits(NonZeroU32::new(n).unwrap())
}

/// Mainline of a few commits with tags of all kinds, and a merge.
async fn tagged() -> World {
    let mut world = World::new().await;
    let official = world.official.clone();
    official.git(&["tag", "-a", "-m", "The first", "v1.0"]);
    official.write("a.c", "2\n").commit("Second");
    official.git(&["tag", "light"]);
    official.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    official.write("s.c", "s\n").commit("Aside");
    official.git(&["tag", "of/the/side"]);
    official.git(&["checkout", "-q", "main"]);
    official.git(&["merge", "-q", "--no-ff", "-m", "Merge", "side"]);
    official.write("a.c", "3\n").commit("Third");
    official.git(&["tag", "a-file", "HEAD:a.c"]);
    official.git(&["tag", "-a", "-m", "A tag's tag", "tag-of-tag", "v1.0"]);
    world.update().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn git_says_in_a_build_what_it_says_in_a_clone() {
    let world = tagged().await;
    let ann = world.author("ann");
    ann.write("b.c", "hello\n").commit("Say hello");
    // A stranger's tag is nobody's: not of the same name, not of another.
    ann.git(&["tag", "-a", "-m", "x", "v9.9"]);
    ann.git(&["tag", "-f", "-a", "-m", "x", "v1.0"]);
    let head = world.admit(&ann, "ann", 1).await;
    let slave = Slave::of(&world).await;
    slave.builds("refs/branches/ann/r1", &head, History::Full).await;
    let clone = Repo::clone_of(&world.official, world.temp.path().join("clone"));
    clone.git(&["fetch", "-q", "--no-tags", ann.path.to_str().unwrap(), "ann"]);
    clone.git(&["checkout", "-q", "--detach", "FETCH_HEAD"]);
    for question in [
        &["describe", "--always"][..],
        &["describe", "--tags", "--long"],
        &["describe", "--contains", "HEAD~3"],
        &["rev-list", "--count", "HEAD"],
        &["rev-list", "--count", "--first-parent", "HEAD"],
        &["log", "--format=%H %an %s", "--graph"],
        &["for-each-ref", "refs/tags"],
        &["show-ref", "--dereference", "--tags"],
        &["rev-parse", "--is-shallow-repository"],
        &["rev-parse", "HEAD", "HEAD^{tree}", "origin/main", "origin/HEAD"],
        &["merge-base", "origin", "HEAD"],
        &["status", "--porcelain=v2", "--branch"],
        &["branch", "--show-current"],
        &["diff", "--stat", "v1.0"],
        &["show", "a-file"],
        &["ls-files", "--stage"],
    ] {
        assert_eq!(slave.asks(question), clone.git(question), "{question:?}");
    }
    assert!(slave.asks(&["describe"]).starts_with("tag-of-tag-5-g"), "{}", slave.asks(&["describe"]));
    assert_eq!(slave.asks(&["fsck", "--connectivity-only", "--no-dangling"]), "");
    // It is the build's own: what a release does can be done.
    slave.asks(&["commit", "-q", "--allow-empty", "-m", "Mine"]);
    slave.asks(&["tag", "mine"]);
    assert_eq!(slave.asks(&["describe", "--tags"]), "mine");
    assert_eq!(says(slave.mirror.path(), &["tag", "-l", "mine"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_follow_the_official_repository() {
    let mut world = tagged().await;
    let slave = Slave::of(&world).await;
    let first = world.mainline.clone();
    slave.builds("refs/heads/main", &first, History::Full).await;
    let official = world.official.clone();
    official.git(&["tag", "-d", "v1.0", "of/the/side"]);
    official.git(&["tag", "-f", "light", "HEAD"]);
    // Of a name that was a folder.
    official.git(&["tag", "-a", "-m", "x", "of"]);
    official.write("a.c", "4\n").commit("Fourth");
    world.update().await;
    let there = "a-file\nlight\nof\ntag-of-tag";
    assert_eq!(says(world.mirror.path(), &["tag", "-l"]), there);
    slave.builds("refs/heads/main", &world.mainline.clone(), History::Full).await;
    assert_eq!(slave.asks(&["tag", "-l"]), there);
    assert!(slave.asks(&["describe"]).starts_with("of-1-g"));
    assert_eq!(slave.asks(&["rev-parse", "light"]), first.as_str());
    // After upkeep too, and without tags at all.
    slave.mirror.upkeep(0).await.unwrap();
    slave.builds("refs/heads/main", &world.mainline.clone(), History::Full).await;
    assert_eq!(slave.asks(&["tag", "-l"]), there);
    for tag in there.lines() {
        official.git(&["tag", "-d", tag]);
    }
    official.write("a.c", "5\n").commit("Fifth");
    world.update().await;
    slave.builds("refs/heads/main", &world.mainline.clone(), History::Full).await;
    assert_eq!(slave.asks(&["show-ref", "--tags", "--head"]).lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_history_is_what_a_clone_of_that_depth_has() {
    let world = tagged().await;
    let slave = Slave::of(&world).await;
    let url = format!("file://{}", world.official.path.display());
    for depth in 1..7 {
        slave.builds("refs/heads/main", &world.mainline, commits(depth)).await;
        let clone = world.temp.path().join(format!("deep-{depth}"));
        let done = plain_git().args(["clone", "-q", &format!("--depth={depth}"), &url]).arg(&clone).status().unwrap();
        assert!(done.success());
        for question in [
            &["rev-list", "--count", "HEAD"][..],
            &["rev-list", "HEAD"],
            &["describe", "--always", "--tags"],
            &["status", "--porcelain"],
            &["fsck", "--connectivity-only", "--no-dangling"],
            &["log", "--format=%s", "--stat"],
        ] {
            assert_eq!(slave.asks(question), says(&clone, question), "{depth} deep: {question:?}");
        }
        // All there is, is no part.
        assert_eq!(slave.asks(&["rev-parse", "--is-shallow-repository"]) == "true", depth < 4, "{depth}");
    }
}

/// Whatever a hostile build can leave where the next one's repository will be.
fn plant(at: &Path, way: &str, marker: &Path) {
    let git_dir = at.join(".git");
    let program = at.join("program");
    std::fs::write(&program, format!("#!/bin/sh\ntouch {}\ncat\n", marker.display())).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let program = program.display();
    match way {
        "config" => {
            let config = format!(
                "[core]\n\tfsmonitor = {program}\n\tpager = {program}\n\tsshCommand = {program}\n\
                 \thooksPath = {}\n[filter \"x\"]\n\tsmudge = {program}\n\tclean = {program}\n\trequired = true\n\
                 [credential]\n\thelper = !{program}\n[include]\n\tpath = {program}\n",
                at.display()
            );
            std::fs::write(git_dir.join("config"), config).unwrap();
            std::fs::write(git_dir.join("info/attributes"), "* filter=x\n").unwrap();
        }
        "hooks" => {
            std::fs::create_dir_all(git_dir.join("hooks")).unwrap();
            for hook in ["post-checkout", "reference-transaction", "post-index-change", "fsmonitor-watchman"] {
                std::fs::copy(at.join("program"), git_dir.join("hooks").join(hook)).unwrap();
            }
        }
        "alternates" => std::fs::write(git_dir.join("objects/info/alternates"), "/nowhere\n").unwrap(),
        "locks" => {
            for lock in ["index.lock", "HEAD.lock", "packed-refs.lock", "config.lock", "shallow.lock"] {
                std::fs::write(git_dir.join(lock), "").unwrap();
            }
        }
        "link" => {
            std::fs::remove_dir_all(&git_dir).unwrap();
            symlink(marker.parent().unwrap().join("outside"), &git_dir).unwrap();
        }
        "file" => {
            std::fs::remove_dir_all(&git_dir).unwrap();
            std::fs::write(&git_dir, format!("gitdir: {}\n", marker.parent().unwrap().join("outside").display()))
                .unwrap();
        }
        "links within" => {
            for name in ["config", "index", "HEAD", "packed-refs"] {
                let _ = std::fs::remove_file(git_dir.join(name));
                symlink(marker.parent().unwrap().join("outside").join(name), git_dir.join(name)).unwrap();
            }
        }
        "refs" => {
            says(at, &["tag", "-f", "v1.0", "HEAD"]);
            says(at, &["replace", "HEAD", "HEAD~1"]);
            std::fs::write(git_dir.join("info/grafts"), says(at, &["rev-parse", "HEAD"])).unwrap();
        }
        "nothing" => std::fs::remove_dir_all(&git_dir).unwrap(),
        "rights" => std::fs::set_permissions(git_dir.join("objects"), PermissionsExt::from_mode(0o000)).unwrap(),
        _ => panic!("{way}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_did_to_its_repository_the_next_one_does_not_see() {
    let world = tagged().await;
    let slave = Slave::of(&world).await;
    let (outside, marker) = (world.temp.path().join("outside"), world.temp.path().join("marker"));
    std::fs::create_dir(&outside).unwrap();
    slave.builds("refs/heads/main", &world.mainline, History::Full).await;
    let answers = |slave: &Slave| {
        let questions = [&["describe", "--long"][..], &["rev-list", "HEAD"], &["status", "--porcelain"], &["show-ref"]];
        questions.map(|question| slave.asks(question))
    };
    let (clean, config) = (answers(&slave), std::fs::read(slave.place.files.join(".git/config")).unwrap());
    let refs = says(slave.mirror.path(), &["for-each-ref"]);
    let ways = ["config", "hooks", "alternates", "locks", "link", "file", "links within", "refs", "nothing", "rights"];
    for way in ways {
        plant(&slave.place.files, way, &marker);
        slave.builds("refs/heads/main", &world.mainline, History::Full).await;
        assert_eq!(answers(&slave), clean, "{way}");
        assert_eq!(std::fs::read(slave.place.files.join(".git/config")).unwrap(), config, "{way}");
        assert!(!slave.place.files.join(".git/hooks").exists(), "{way}");
        assert!(!marker.exists(), "{way}: something of it ran");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{way}: something was written elsewhere");
        assert_eq!(says(slave.mirror.path(), &["for-each-ref"]), refs, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_its_own_is_let_in_by_links_to_files_that_stay_the_slave_s() {
    let world = tagged().await;
    let mut slave = Slave::of(&world).await;
    slave.place.reach = Reach::Files;
    for round in 0..2 {
        slave.builds("refs/heads/main", &world.mainline, History::Full).await;
        let objects = slave.place.objects.clone();
        assert!(objects.symlink_metadata().unwrap().is_dir(), "round {round}");
        assert_eq!(std::fs::metadata(&objects).unwrap().mode() & 0o077, 0, "let in by whoever knows the user");
        let files: Vec<PathBuf> =
            std::fs::read_dir(objects.join("pack")).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.iter().any(|file| file.extension().is_some_and(|end| end == "pack")));
        for file in &files {
            let kept = slave.mirror.path().join("objects/pack").join(file.file_name().unwrap());
            let (ours, theirs) = (std::fs::metadata(&kept).unwrap(), std::fs::metadata(file).unwrap());
            assert_eq!((ours.ino(), ours.mode() & 0o222), (theirs.ino(), 0), "{}", file.display());
        }
        assert!(slave.asks(&["describe"]).starts_with("tag-of-tag-4-g"));
        assert_eq!(slave.asks(&["rev-list", "--count", "HEAD"]), "5");
        // A running build keeps what it has, whatever becomes of the mirror.
        slave.mirror.upkeep(0).await.unwrap();
        assert!(slave.asks(&["rev-list", "--objects", "--count", "HEAD"]).parse::<u32>().unwrap() > 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_of_what_is_here_costs_one_process_of_git() {
    let world = tagged().await;
    let (program, seen) = (world.temp.path().join("git"), world.temp.path().join("seen"));
    let counting = format!("#!/bin/sh\necho x >>{}\nexec {} \"$@\"\n", seen.display(), git().program().display());
    std::fs::write(&program, counting).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let slave = Slave::by(Git::find(Some(&program)).unwrap(), &world).await;
    slave.builds("refs/heads/main", &world.mainline, History::Full).await;
    for history in [History::Full, commits(2)] {
        std::fs::write(&seen, "").unwrap();
        slave.builds("refs/heads/main", &world.mainline, history).await;
        assert_eq!(std::fs::read_to_string(&seen).unwrap().lines().count(), 1, "{history:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_can_not_be_had_stop_neither_mainline_nor_a_build() {
    let mut world = tagged().await;
    // A tag at the official repository of what is not there.
    let nothing = "1".repeat(40);
    world.official.write(".git/refs/tags/broken", format!("{nothing}\n"));
    world.official.write("a.c", "4\n").commit("Fourth");
    world.update().await;
    // And one at the master.
    std::fs::write(world.mirror.path().join("refs/tags/broken"), format!("{nothing}\n")).unwrap();
    let slave = Slave::of(&world).await;
    slave.builds("refs/heads/main", &world.mainline, History::Full).await;
    assert_eq!(slave.asks(&["rev-list", "--count", "HEAD"]), "6");
    // What holds nothing goes, and all others stay.
    world.mirror.forget_dead_refs().await.unwrap();
    let left = "a-file\nlight\nof/the/side\ntag-of-tag\nv1.0";
    assert_eq!(says(world.mirror.path(), &["for-each-ref", "--format=%(refname:strip=2)", "refs/tags"]), left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_great_many_tags_are_packed_and_say_the_same() {
    let mut world = tagged().await;
    let packed: String = (0..150).map(|n| format!("{} refs/tags/n{n:03}\n", world.mainline)).collect();
    world.official.write(".git/packed-refs", format!("# pack-refs with: sorted \n{packed}"));
    world.update().await;
    let slave = Slave::of(&world).await;
    for _ in 0..2 {
        slave.builds("refs/heads/main", &world.mainline, History::Full).await;
        assert_eq!(
            slave.asks(&["show-ref", "--dereference", "--tags"]),
            world.official.git(&["show-ref", "-d", "--tags"])
        );
    }
    let loose = std::fs::read_dir(slave.mirror.path().join("refs/tags")).map_or(0, Iterator::count);
    assert_eq!(loose, 0);
}
