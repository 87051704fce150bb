//! What pages are made of: commits and diffs, bounded and harmless.

use crate::support::{Repo, World};
use protocol::api::{Diff, DiffFile, DiffKind};
use tracker::read::{DiffLimits, text_diff};

/// The diff from mainline to an author's admitted branch.
async fn diff(world: &World, repo: &Repo, name: &str, limits: DiffLimits) -> Diff {
    let head = world.admit(repo, name, 1).await;
    world.mirror.diff(&world.mainline, &head, limits).await.unwrap()
}

fn lines(file: &DiffFile) -> Vec<String> {
    let sign = |kind| match kind {
        DiffKind::Hunk => "",
        DiffKind::Context => " ",
        DiffKind::Add => "+",
        DiffKind::Delete => "-",
    };
    file.lines.iter().map(|line| format!("{}{}", sign(line.kind), line.text)).collect()
}

#[tokio::test]
async fn lines_have_their_numbers_and_hidden_characters_are_seen() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("a.c", "1\n2\n3\n4\n5\n6\n7\n8\nnine\u{202e} \x1b[31m\r\n").commit("Change");
    let diff = diff(&world, &ann, "ann", DiffLimits::default()).await;
    assert_eq!((diff.files.len(), diff.added, diff.removed, diff.files_left_out), (1, 1, 1, 0));
    let file = &diff.files[0];
    assert_eq!(lines(file), ["@@ -6,4 +6,4 @@", " 6", " 7", " 8", "-9", "+nine<U+202E> <U+001B>[31m<U+000D>"]);
    assert_eq!((file.lines[4].old, file.lines[4].new, file.lines[5].new), (Some(9), None, Some(9)));
}

#[tokio::test]
async fn what_happened_besides_lines_is_told() {
    let mut world = World::new().await;
    world
        .official
        .write("old.c", "some\ntext\nthat\nis\nlong\nenough\n")
        .write("gone", "soon not here any more\n")
        .write("run", "#!\n");
    world.official.commit("More");
    world.update().await;
    let ann = world.author("ann");
    ann.git(&["mv", "old.c", "new.c"]);
    ann.git(&["rm", "-q", "gone"]);
    ann.write("binary", b"\0\x01\x02".as_slice()).write("no-newline", "x");
    ann.git(&["update-index", "--chmod=+x", "run"]);
    ann.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{},sub", world.mainline)]);
    std::os::unix::fs::symlink("/etc/passwd", ann.path.join("link")).unwrap();
    ann.git(&["add", "binary", "no-newline", "link"]);
    ann.git(&["commit", "-q", "-m", "Everything"]);
    let diff = diff(&world, &ann, "ann", DiffLimits::default()).await;
    let told: Vec<(String, String)> = diff.files.iter().map(|f| (f.path.clone(), f.notes.join("; "))).collect();
    let expected = [
        ("binary", "new file; binary, 3 bytes"),
        ("gone", "deleted"),
        ("link", "new file, mode 120000; symbolic link to /etc/passwd"),
        ("new.c", "renamed, content unchanged"),
        ("no-newline", "new file"),
        ("run", "mode 100644 to 100755"),
        ("sub", &format!("new file, mode 160000; submodule at {}", world.mainline)),
    ];
    let expected: Vec<(String, String)> = expected.iter().map(|(p, n)| ((*p).to_owned(), (*n).to_owned())).collect();
    let mut told = told;
    told.sort();
    assert_eq!(told, expected);
    let renamed = diff.files.iter().find(|f| f.path == "new.c").unwrap();
    assert_eq!(renamed.old_path.as_deref(), Some("old.c"));
    let cut = diff.files.iter().find(|f| f.path == "no-newline").unwrap();
    assert_eq!(lines(cut), ["@@ -0,0 +1 @@", "+x", " \\ No newline at end of file"]);
}

#[tokio::test]
async fn long_diffs_are_cut_and_what_is_left_out_is_counted() {
    let world = World::new().await;
    let ann = world.author("ann");
    let many: String = (0..500).map(|n| format!("{n}\n")).collect();
    ann.write("many", &many).write("wide", "x".repeat(3_000_000)).write("large", "y\n".repeat(3_000_000));
    for n in 0..20 {
        ann.write(&format!("z/{n:02}"), "1\n2\n");
    }
    ann.commit("Long");
    let limits = DiffLimits { files: 13, lines_of_file: 100, lines: 1000, line_chars: 1000, ..DiffLimits::default() };
    let head = world.admit(&ann, "ann", 1).await;
    let diff = world.mirror.diff(&world.mainline, &head, limits).await.unwrap();
    assert_eq!((diff.files.len(), diff.files_left_out), (13, 10));
    let file = |path: &str| diff.files.iter().find(|f| f.path == path).unwrap();
    assert_eq!((file("many").lines.len(), file("many").added, file("many").lines_left_out), (100, 500, 401));
    assert_eq!(file("wide").lines[1].text.chars().count(), 1001);
    assert!(file("wide").lines[1].text.ends_with('…'));
    assert_eq!((file("wide").lines_cut, file("wide").is_cut()), (1, true));
    assert_eq!(file("large").notes, ["new file", "too large to be compared: 6000000 bytes"]);
    assert!(file("large").not_compared && diff.is_cut());
    let few = world.mirror.diff(&world.mainline, &head, DiffLimits { lines: 10, ..limits }).await.unwrap();
    assert_eq!(few.files.iter().map(|f| f.lines.len()).sum::<usize>(), 10);
    assert_eq!(few.files.len() as u64 + few.files_left_out, 23);
}

#[tokio::test]
async fn nothing_that_a_file_holds_or_attributes_say_hides_its_hunks() {
    let mut world = World::new().await;
    world.official.write("run.sh", "#!/bin/sh\nmake\n").write("plain", "make\n").write("picture", [0xff; 300]);
    world.official.commit("Scripts");
    world.update().await;
    let ann = world.author("ann");
    ann.write(".gitattributes", "* -diff binary -text diff=hide\n*.sh -diff\nplain filter=x\n");
    ann.write("run.sh", b"#!/bin/sh\n: \0\0\0\0\nrm -rf /\nmake\n").write("plain", b"make\n\0evil\n");
    ann.write("sub/.gitattributes", "* binary\n").write("sub/new.c", "int x;\n");
    ann.write("picture", [&[0xff; 200][..], b"\n#!/bin/sh\necho hidden in a picture\n"].concat());
    ann.write("utf16", "a\u{0}b\u{0}\n".repeat(60)).commit("Hide");
    let diff = diff(&world, &ann, "ann", DiffLimits::default()).await;
    let file = |path: &str| diff.files.iter().find(|file| file.path == path).unwrap();
    let (nul, script) = ("<U+0000>", file("run.sh"));
    assert_eq!(lines(script)[1..], [" #!/bin/sh", &format!("+: {}", nul.repeat(4)), "+rm -rf /", " make"]);
    assert_eq!(script.notes, ["has NUL characters in it"]);
    assert_eq!(lines(file("plain")), ["@@ -1 +1,2 @@", " make", "+<U+0000>evil"]);
    assert_eq!(lines(file("sub/new.c")), ["@@ -0,0 +1 @@", "+int x;"]);
    // What is no text says so and how large it is; what can be read of it is there too, all of it.
    let picture = file("picture");
    assert_eq!(picture.notes, ["binary, 300 to 236 bytes"]);
    assert!(lines(picture).contains(&"+echo hidden in a picture".to_owned()), "{:?}", lines(picture));
    let utf16 = file("utf16");
    assert_eq!((utf16.notes[1].as_str(), utf16.lines.len(), utf16.lines_left_out), ("binary, 300 bytes", 61, 0));
    assert!(utf16.is_binary && picture.is_binary && !script.is_binary);
}

#[tokio::test]
async fn letters_that_are_taken_for_others_are_marked_wherever_they_stand() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("p\u{430}y.c", "if (is\u{410}dmin)\n\u{a0}\u{2800}\u{3000}return;\n");
    ann.git(&["add", "-A"]);
    ann.git(&[
        "-c",
        "user.name=x",
        "commit",
        "-q",
        "--author",
        "\u{410}nn <ann@ex\u{430}mple.org>",
        "-m",
        "Fix p\u{430}y\u{3164}ment",
    ]);
    let head = world.admit(&ann, "ann", 1).await;
    let diff = world.mirror.diff(&world.mainline, &head, DiffLimits::default()).await.unwrap();
    assert_eq!(diff.files[0].path, "p<U+0430>y.c");
    assert_eq!(lines(&diff.files[0])[1..], ["+if (is<U+0410>dmin)", "+<U+00A0><U+2800><U+3000>return;"]);
    let commit = world.mirror.commit(&head).await.unwrap();
    assert_eq!(commit.subject, "Fix p<U+0430>y<U+3164>ment");
    assert_eq!((commit.author.as_str(), commit.email.as_str()), ("<U+0410>nn", "ann@ex<U+0430>mple.org"));
    let preview = text_diff("ChangeLog", b"", "\t* p\u{430}y.c: Fix.\n".as_bytes(), DiffLimits::default()).unwrap();
    assert_eq!(lines(&preview)[1], "+\t* p<U+0430>y.c: Fix.");
    let name: tracker::source::BranchRef = "p\u{430}y".parse().unwrap();
    assert_eq!(name.display(), "p<U+0430>y");
}

#[tokio::test]
async fn a_thousand_files_are_counted_and_the_first_are_told() {
    let world = World::new().await;
    let ann = world.author("ann");
    for n in 0..1200 {
        ann.write(&format!("d{:02}/f{n:04}", n % 40), "x\n");
    }
    ann.git(&["rm", "-q", "a.c"]);
    // A file becomes a folder: two changes.
    ann.git(&["rm", "-q", "ChangeLog"]);
    ann.write("ChangeLog/now-a-folder", "x\n").commit("Many");
    let limits = DiffLimits { files: 10, ..DiffLimits::default() };
    let diff = diff(&world, &ann, "ann", limits).await;
    assert_eq!(diff.files.len() as u64 + diff.files_left_out, 1203);
    let paths: Vec<&str> = diff.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths[..4], ["ChangeLog", "ChangeLog/now-a-folder", "a.c", "d00/f0000"]);
}

#[tokio::test]
async fn file_names_that_are_not_text_are_shown() {
    let world = World::new().await;
    let ann = world.author("ann");
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"<b>\xff\n\x1b");
    std::fs::write(ann.path.join(name), "x\n").unwrap();
    ann.commit("Odd name");
    let diff = diff(&world, &ann, "ann", DiffLimits::default()).await;
    assert_eq!(diff.files[0].path, "<b>\u{fffd}<U+000A><U+001B>");
}

#[tokio::test]
async fn commits_are_told_newest_first_however_they_are_written() {
    let world = World::new().await;
    let ann = world.author("ann");
    ann.write("b", "1").commit("First\n\nWith a body,\nof two lines.");
    let tree = ann.git(&["rev-parse", "HEAD^{tree}"]);
    let odd = format!(
        "tree {tree}\nparent {}\nauthor Scr\u{202e}ipt & Co <a@x> 99999999999 -0730\ncommitter A <a@x> 0 +0000\nencoding latin-1\n\nJ",
        ann.head()
    );
    let odd = ann.object("commit", &[odd.as_bytes(), b"\xf6rg \xe2\x80\xae\x1b[2J\n\nbody\r\n\x07\n"].concat());
    ann.git(&["reset", "-q", &odd]);
    let head = world.admit(&ann, "ann", 1).await;
    let commits = world.mirror.commits_between(&world.mainline, &head, 10).await.unwrap();
    assert_eq!(commits.count, 2);
    let odd = &commits.newest[0];
    assert_eq!((odd.subject.as_str(), odd.body.as_str()), ("J\u{fffd}rg <U+202E><U+001B>[2J", "body\n<U+0007>"));
    assert_eq!((odd.author.as_str(), odd.authored_ms.0), ("Scr<U+202E>ipt & Co", 99_999_999_999_000));
    let first = &commits.newest[1];
    assert_eq!((first.subject.as_str(), first.body.as_str()), ("First", "With a body,\nof two lines."));
    assert_eq!(
        (first.author.as_str(), first.email.as_str(), first.authored_ms.0),
        ("Ann", "ann@example.org", 1_700_000_000_000)
    );
    let one = world.mirror.commits_between(&world.mainline, &head, 1).await.unwrap();
    assert_eq!((one.newest.len(), one.count), (1, 2));
    let missing = "a".repeat(40).parse().unwrap();
    assert!(world.mirror.commit(&missing).await.unwrap_err().to_string().contains("is not in the mirror"));
}
