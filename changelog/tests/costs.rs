//! What a fold costs: what many pieces of a stranger's text have alike is there once, with every byte counted; and no two of them are
//! compared with each other, with every step counted.
#![allow(clippy::unwrap_used, clippy::semicolon_if_nothing_returned)]

#[cfg(debug_assertions)]
use changelog::steps_taken;
use changelog::{BranchChangeLog, FoldOptions, Fragment, fold, fold_branch};
use jiff::civil::{Date, date};
use peak_alloc::PeakAlloc;
use std::sync::{Mutex, PoisonError};

#[global_allocator]
static COUNTED: PeakAlloc = PeakAlloc;

/// One test at a time, so that each counts its own.
static ALONE: Mutex<()> = Mutex::new(());

const DAY: Date = date(2024, 3, 5);
const NEWS: &[u8] = b"# Changelog\n\n## [Unreleased]\n\n## [1.0.0] - 2024-01-01\n\n### Fixed\n\n- Two.\n";

/// The most bytes that were allocated at once for a piece of work.
fn cost(work: impl FnOnce()) -> usize {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    COUNTED.reset_peak_usage();
    let before = COUNTED.current_usage();
    work();
    COUNTED.peak_usage().saturating_sub(before)
}

#[test]
fn an_author_s_long_name_is_not_there_once_for_each_item() {
    let header = format!("2024-03-05  {}  <a@x.example>\n\n", "A".repeat(50_000));
    let text = header + &"\t* a: b.\n".repeat(4000);
    let fragment = [Fragment::gnu(b"changelog-fragments/a.ChangeLog", text.as_bytes())];
    let bytes = cost(|| drop(fold(b"CHANGELOG.md", Some(NEWS), &fragment, DAY, &FoldOptions::default()).unwrap()));
    assert!(bytes < 8 << 20, "{bytes} bytes for a text of {}", text.len());
}

#[test]
fn a_long_heading_is_not_there_once_for_each_bullet() {
    let base = String::from_utf8(NEWS.to_vec()).unwrap();
    let bullets: String = (0..100).map(|n| format!("- {n}\n")).collect();
    let own = base.replace("[Unreleased]\n", &format!("[Unreleased]\n\n### {}\n\n{bullets}", "A".repeat(200_000)));
    let mainline = base.replace("Two", "Two and more");
    let file = BranchChangeLog {
        path: b"CHANGELOG.md",
        base: Some(base.as_bytes()),
        mainline: Some(mainline.as_bytes()),
        branch: Some(own.as_bytes()),
    };
    let bytes = cost(|| drop(fold_branch(&file, &[], DAY, &FoldOptions::default()).unwrap()));
    assert!(bytes < 8 << 20, "{bytes} bytes for a text of {}", own.len());
}

#[test]
fn a_long_path_is_not_there_once_for_each_entry_that_is_left_out() {
    let (path, text) = ("p".repeat(50_000), "2024-03-05  A  <a@x.example>\n\n\t* a: b.\n\n".repeat(2000));
    let fragment = [Fragment::gnu(path.as_bytes(), text.as_bytes())];
    for (file, before) in [("ChangeLog", &b""[..]), ("CHANGELOG.md", NEWS)] {
        let of = || fold(file.as_bytes(), Some(before), &fragment, DAY, &FoldOptions::default()).unwrap();
        assert_eq!(of().left_out.len(), 1999, "{file}");
        let bytes = cost(|| drop(of()));
        assert!(bytes < 8 << 20, "{file}: {bytes} bytes");
    }
}

#[test]
fn a_blank_line_takes_no_more_than_its_byte() {
    let own = "# Changelog\n\n".to_owned() + &"\n".repeat(1 << 18) + &news("- New.\n")["# Changelog\n\n".len()..];
    let bytes = cost(|| of_branch("CHANGELOG.md", &news(""), &news("- Other.\n"), &own));
    assert!(bytes < 8 * own.len(), "{bytes} bytes for a text of {}", own.len());
}

/// A file of the branch, its own news under what is not released.
fn news(open: &str) -> String {
    format!("# Changelog\n\n## [Unreleased]\n\n{open}\n## [1.0.0] - 2024-01-01\n\n- Two.\n")
}

fn of_branch(path: &str, base: &str, mainline: &str, branch: &str) {
    let (base, mainline, branch) = (Some(base.as_bytes()), Some(mainline.as_bytes()), Some(branch.as_bytes()));
    let file = BranchChangeLog { path: path.as_bytes(), base, mainline, branch };
    // That some are refused is no matter: it is refused as cheaply.
    let _ = fold_branch(&file, &[], DAY, &FoldOptions::default());
}

#[cfg(debug_assertions)]
fn of_fragment(path: &str, before: &str, fragment: &str) {
    let fragment = [Fragment::gnu(b"f.ChangeLog", fragment.as_bytes())];
    let _ = fold(path.as_bytes(), Some(before.as_bytes()), &fragment, DAY, &FoldOptions::default());
}

#[cfg(debug_assertions)]
fn times(n: usize, of: impl Fn(usize) -> String) -> String {
    (0..n).map(of).collect()
}

/// What is four times as long takes four times as many looks at a line or a heading, whatever a stranger writes many of.
#[cfg(debug_assertions)]
#[test]
fn nothing_costs_the_product_of_two_lengths() {
    let md = "CHANGELOG.md";
    let header = "2024-03-05  A  <a@x.example>\n\n";
    let items = |n| header.to_owned() + &times(n, |i| format!("\t* a{i}: b.\n"));
    let branch = |own: &str| of_branch(md, &news(""), &news("- m\n"), &news(own));
    let debian = |body: &str| {
        format!("p (1.1) UNRELEASED; urgency=low\n\n{body}\n -- A <a@x>  Tue, 05 Mar 2024 10:00:00 +0100\n")
    };
    let rst = |own: &str| format!("Unreleased\n==========\n\n- z\n\n{own}1.0\n===\n\n- a\n");
    type Work<'a> = &'a dyn Fn(usize);
    let all: &[(&str, Work<'_>)] = &[
        ("items", &|n| of_fragment(md, &news(""), &items(n))),
        ("items above blank lines", &|n| of_fragment(md, &news(&"\n".repeat(n)), &items(n))),
        ("items in a plain NEWS", &|n| {
            of_fragment("NEWS", "* Noteworthy changes in release ?.? (????-??-??) [?]\n\nText.\n", &items(n))
        }),
        ("items in Debian's", &|n| {
            of_fragment("debian/changelog", &debian(&times(n, |i| format!("  * A{i}.\n"))), &items(n))
        }),
        ("entries", &|n| of_fragment(md, &news(""), &times(n, |i| format!("{header}\t* a{i}: b.\n\n")))),
        ("bullets", &|n| branch(&times(n, |i| format!("- b{i}\n")))),
        ("bullets of a long heading", &|n| {
            branch(&format!("### {}\n\n{}", "H".repeat(64 * n), times(n, |i| format!("- b{i}\n"))))
        }),
        ("headings", &|n| branch(&times(n, |i| format!("### H{i}\n\n- b{i}\n\n")))),
        ("headings below others", &|n| {
            branch(&format!("### A\n\n{}", times(n, |i| format!("#### H{i}\n\n- b{i}\n\n"))))
        }),
        ("headings of RST", &|n| {
            of_branch("NEWS.rst", &rst(""), &rst(""), &rst(&times(n, |i| format!("H{i}\n~~\n\n- {i}\n\n"))))
        }),
        ("headings without text", &|n| {
            of_branch(
                md,
                &news(&times(n, |i| format!("### X{i}\n\n"))),
                &news(""),
                &news(&times(n, |i| format!("### H{i}\n\n"))),
            )
        }),
        ("sections that are open", &|n| branch(&times(n, |i| format!("## [2.{i}.0] - unreleased\n\n- x\n\n")))),
        ("sections that may be versions", &|n| {
            of_fragment(
                md,
                &format!("# Changelog\n\n{}## 1.0 (2024-01-01)\n", times(n, |i| format!("## Words {i}\n\ntext\n\n"))),
                &items(1),
            )
        }),
        ("versions", &|n| {
            of_fragment(
                md,
                &(news("") + &times(n, |i| format!("\n## [0.{}.0] - 2023-01-01\n\n- x\n", n - i))),
                &items(1),
            )
        }),
        ("fences that nothing closes", &|n| branch(&times(n, |i| "`".repeat(3 + (n - i) / 8) + "x\n"))),
        ("entries that start alike", &|n| {
            let of = |what: &str| times(n, |i| format!("{header}\t* m: b.\n\n\t* {what}{i}: d.\n\n"));
            of_fragment("ChangeLog", &of("mainline"), &of("fragment"));
        }),
        ("an entry that is within another", &|n| {
            let of = |n, end: &str| format!("{header}{}{end}", "\t* m: b.\n\n".repeat(n));
            of_fragment("ChangeLog", &of(n, ""), &of(n / 2, "\t* end: x.\n"));
        }),
    ];
    for (what, work) in all {
        let steps = |n| {
            let before = steps_taken();
            work(n);
            steps_taken() - before
        };
        let (short, long) = (steps(100), steps(400));
        assert!(long < 5 * short, "{what}: {short} steps, and {long} for four times as many");
    }
}
