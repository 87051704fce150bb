//! What a stranger's repository may cost: small repositories whose products would be large, with every byte counted.
//!
//! An allocator that counts sees what Rust allocates; what libgit2 does shows in the process's own peak.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(dead_code, unused_imports, reason = "the support is shared with the other tests")]

#[path = "it/support/mod.rs"]
mod support;

use peak_alloc::PeakAlloc;
use protocol::CommitId;
use std::io::Write as _;
use std::process::Stdio;
use support::{Repo, World, entry, plain_git};
use tokio::sync::{Mutex, MutexGuard};
use tracker::Explain as _;
use tracker::candidate::CandidateOutcome;
use tracker::read::DiffLimits;

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// One test at a time, so that each counts its own.
static ALONE: Mutex<()> = Mutex::const_new(());

const MIB: usize = 1 << 20;

/// The peak of this process, with what libraries of C allocate.
fn process_peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1024
}

/// Says how much a piece of work needed at most: counted, and in the whole process.
struct Costs {
    counted: usize,
    process: usize,
}

impl Costs {
    fn begin() -> Self {
        COUNTED.reset_peak_usage();
        Self { counted: COUNTED.current_usage(), process: process_peak() }
    }

    #[track_caller]
    fn at_most(&self, counted: usize, process: usize) {
        let used = COUNTED.peak_usage().saturating_sub(self.counted);
        assert!(used <= counted, "{} MiB were allocated, {} are allowed", used / MIB, counted / MIB);
        let grown = process_peak().saturating_sub(self.process);
        assert!(grown <= process, "the process grew by {} MiB, {} are allowed", grown / MIB, process / MIB);
    }
}

async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// Feeds `git fast-import` in a repository.
fn import(repo: &Repo, stream: &[u8]) {
    let mut child = plain_git()
        .arg("-C")
        .arg(&repo.path)
        .args(["fast-import", "--quiet", "--force", "--max-pack-size=1g"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stream).unwrap();
    assert!(child.wait().unwrap().success());
}

/// The head of a commit for `git fast-import`.
fn commit_on(branch: &str, from: &CommitId, message: &[u8]) -> Vec<u8> {
    let mut head =
        format!("commit refs/heads/{branch}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n").into_bytes();
    head.extend(format!("data {}\n", message.len()).bytes());
    head.extend_from_slice(message);
    head.extend(format!("\nfrom {from}\n").bytes());
    head
}

fn file(path: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("M 100644 inline \"{path}\"\ndata {}\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.push(b'\n');
    out
}

/// A name of so many control characters, as `git fast-import` wants it written.
fn control(count: usize) -> String {
    "\\001".repeat(count)
}

/// All text of a value, as a page or an answer has it.
fn size(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).unwrap().len()
}

#[tokio::test]
async fn six_hundred_folders_below_long_names_cost_nothing() {
    let _alone = alone().await;
    let world = World::new().await;
    let ann = world.author("ann");
    // The folders: each another one, so that none is read once for all.
    let blob = ann.object("blob", b"");
    let many: Vec<u8> = (0..600)
        .flat_map(|n| {
            let inner = ann.object("tree", &entry("100644", format!("f{n}").as_bytes(), &blob));
            entry("40000", format!("{n:03}").as_bytes(), &inner)
        })
        .collect();
    let mut tree = ann.object("tree", &many);
    for _ in 0..123 {
        tree = ann.object("tree", &entry("40000", &[1; 255], &tree));
    }
    let commit = ann.git(&["commit-tree", &tree, "-p", "HEAD", "-m", "Deep"]);
    ann.git(&["update-ref", "refs/heads/ann", &commit]);
    let admission = world.admission(&ann, "ann", 1);
    let costs = Costs::begin();
    let refused = world.mirror.admit(&world.poller, &admission).await.unwrap_err();
    assert_eq!(refused.code(), "tree-refused");
    assert!(refused.to_string().len() < 2000, "{} bytes", refused.to_string().len());
    costs.at_most(8 * MIB, 32 * MIB);
}

#[tokio::test]
async fn long_names_that_are_allowed_are_cut_where_they_are_shown() {
    let _alone = alone().await;
    let mut world = World::new().await;
    let ann = world.author("ann");
    // 3,000 files below a path of nearly 4,000 bytes.
    let folder = vec![control(250); 14].join("/");
    let mut stream = commit_on("ann", &ann.head(), b"Long names");
    for n in 0..3000 {
        stream.extend(file(&format!("{folder}/{n:04}{}", control(200)), format!("{n}\n").as_bytes()));
    }
    import(&ann, &stream);
    let costs = Costs::begin();
    let head = world.admit(&ann, "ann", 1).await;
    costs.at_most(16 * MIB, 64 * MIB);
    let costs = Costs::begin();
    let diff = world.mirror.diff(&world.mainline, &head, DiffLimits::default()).await.unwrap();
    costs.at_most(16 * MIB, 96 * MIB);
    assert!(size(&diff) < 4 * MIB, "{} bytes", size(&diff));
    assert_eq!(diff.files.len() as u64 + diff.files_left_out, 3000);
    // In conflict with mainline, all of them.
    let mut stream = commit_on("main", &world.mainline, b"The same names");
    for n in 0..3000 {
        stream.extend(file(&format!("{folder}/{n:04}{}", control(200)), b"other\n"));
    }
    import(&world.official, &stream);
    world.official.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    world.update().await;
    let costs = Costs::begin();
    match world.candidate("ann", &head).await {
        CandidateOutcome::Conflict { files, left_out } => {
            assert_eq!(files.len() + left_out, 3000);
            assert!(size(&files) < MIB, "{} bytes", size(&files));
        }
        CandidateOutcome::Refused(refusal) | CandidateOutcome::MainlineTrouble(refusal) => {
            assert_eq!(refusal.code, "merge-too-many-conflicts");
        }
        CandidateOutcome::Made(_) => panic!("there are conflicts"),
    }
    costs.at_most(96 * MIB, 160 * MIB);
}

#[tokio::test]
async fn lines_that_grow_when_they_are_shown_have_one_budget() {
    let _alone = alone().await;
    let world = World::new().await;
    let ann = world.author("ann");
    let mut stream = commit_on("ann", &ann.head(), b"Lines");
    for n in 0..40 {
        let line = [1_u8; 900];
        let text = [&line[..], b"\n"].concat().repeat(1000);
        stream.extend(file(&format!("f{n}"), &text));
    }
    // As many lines as a file of that size can have, and one line of all of it.
    stream.extend(file("lines", &b"\n".repeat(4 * MIB - 10)));
    stream.extend(file("one-line", &[2; 4 * MIB - 10]));
    import(&ann, &stream);
    let head = world.admit(&ann, "ann", 1).await;
    let costs = Costs::begin();
    let diff = world.mirror.diff(&world.mainline, &head, DiffLimits::default()).await.unwrap();
    costs.at_most(24 * MIB, 96 * MIB);
    let text: usize = diff.files.iter().flat_map(|file| &file.lines).map(|line| line.text.len()).sum();
    assert!(text <= 2 * MIB + 16 * 1024, "{text} bytes");
    assert_eq!(diff.files.len() as u64 + diff.files_left_out, 42);
}

#[tokio::test]
async fn messages_and_names_of_commits_have_one_budget() {
    let _alone = alone().await;
    let world = World::new().await;
    let ann = world.author("ann");
    let mut stream = Vec::new();
    let mut from = ann.head().to_string();
    for n in 0..300 {
        let message = [&[1_u8; 200_000][..], b"\n\n", &[2; 200_000]].concat();
        let name = "\u{2}".repeat(2000);
        stream.extend(format!("commit refs/heads/ann\nmark :{}\n", n + 1).bytes());
        stream.extend(format!("author {name} <{name}> 1 +0000\ncommitter A <a@x> 1 +0000\n").bytes());
        stream.extend(format!("data {}\n", message.len()).bytes());
        stream.extend_from_slice(&message);
        stream.extend(format!("\nfrom {from}\n").bytes());
        from = format!(":{}", n + 1);
    }
    import(&ann, &stream);
    let head = world.admit(&ann, "ann", 1).await;
    let costs = Costs::begin();
    let commits = world.mirror.commits_between(&world.mainline, &head, 1000).await.unwrap();
    costs.at_most(8 * MIB, 32 * MIB);
    assert_eq!(commits.count, 300);
    assert!(!commits.newest.is_empty() && size(&commits.newest) < 2 * MIB, "{} bytes", size(&commits.newest));
}

#[tokio::test]
async fn hunks_in_conflict_have_one_budget() {
    let _alone = alone().await;
    let mut world = World::new().await;
    let text = |word: u8| [&[word; 1500][..], b"\n"].concat().repeat(500);
    let official = world.official.clone();
    for n in 0..60 {
        official.write(&format!("f{n}"), text(b'x'));
    }
    official.commit("Files");
    world.update().await;
    let ann = world.author("ann");
    for (repo, word) in [(&ann, 1), (&official, 2)] {
        for n in 0..60 {
            repo.write(&format!("f{n}"), text(word));
        }
        repo.commit("Edit");
    }
    let head = world.admit(&ann, "ann", 1).await;
    world.update().await;
    let costs = Costs::begin();
    let CandidateOutcome::Conflict { files, left_out } = world.candidate("ann", &head).await else {
        panic!("no conflict")
    };
    costs.at_most(16 * MIB, 64 * MIB);
    assert_eq!(files.len() + left_out, 60);
    let hunks: usize = files.iter().map(|file| file.hunks.len()).sum();
    assert!(hunks <= 600 * 1024 && files[0].hunks.ends_with("… and more\n"), "{hunks} bytes");
}

#[tokio::test]
async fn fragments_and_what_is_said_of_them_have_an_end() {
    let _alone = alone().await;
    let world = World::new().await;
    let mut sizes = Vec::new();
    for (name, count, file_name) in [("strays", 5000, "x"), ("fragments", 1200, ".ChangeLog"), ("crowd", 12_000, "y")] {
        let ann = world.author(name);
        let mut stream = commit_on(name, &ann.head(), b"Fragments");
        for n in 0..count {
            let front = if name == "fragments" { String::new() } else { control(100) };
            let path = format!("changelog-fragments/{front}{n:05}{file_name}");
            stream.extend(file(&path, support::NEW_ENTRY.as_bytes()));
        }
        import(&ann, &stream);
        let head = world.admit(&ann, name, 1).await;
        let costs = Costs::begin();
        let (code, said) = match world.candidate(name, &head).await {
            CandidateOutcome::Made(made) => ("made".to_owned(), size(&made.told.notes)),
            CandidateOutcome::Refused(refusal) | CandidateOutcome::MainlineTrouble(refusal) => {
                (refusal.code.clone(), size(&refusal))
            }
            CandidateOutcome::Conflict { .. } => panic!("no conflict is here"),
        };
        costs.at_most(48 * MIB, 128 * MIB);
        assert!(said < 80 * 1024, "{name}: {said} bytes");
        sizes.push((name, code));
    }
    let codes: Vec<(&str, &str)> = sizes.iter().map(|(name, code)| (*name, code.as_str())).collect();
    assert_eq!(codes, [("strays", "made"), ("fragments", "fragments-too-many"), ("crowd", "fragments-too-many")]);
}

/// Each line may be an entry of its own, which costs more than its bytes.
#[tokio::test]
async fn lines_of_fragments_and_of_a_changelog_have_an_end() {
    let _alone = alone().await;
    let world = World::new().await;
    let entry = |items: usize| format!("2026-01-02  Ann  <ann@example.org>\n\n{}", "\t* a: B.\n".repeat(items));
    let fragments = ["changelog-fragments/a.ChangeLog", "changelog-fragments/b.ChangeLog"];
    for (name, files, items, wanted) in [
        ("many", &fragments[..], 60_000, "fragments-too-many"),
        ("long", &["ChangeLog"], 120_000, "changelog-too-large"),
    ] {
        let ann = world.author(name);
        let mut stream = commit_on(name, &ann.head(), b"Entries");
        for path in files {
            stream.extend(file(path, entry(items).as_bytes()));
        }
        import(&ann, &stream);
        let head = world.admit(&ann, name, 1).await;
        let costs = Costs::begin();
        let CandidateOutcome::Refused(refusal) = world.candidate(name, &head).await else { panic!("{name} is made") };
        assert_eq!(refusal.code, wanted, "{}", refusal.text);
        costs.at_most(16 * MIB, 48 * MIB);
    }
}
