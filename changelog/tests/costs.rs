//! What a fold costs: what many pieces of a stranger's text have alike is there once, with every byte counted.
#![allow(clippy::unwrap_used)]

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
