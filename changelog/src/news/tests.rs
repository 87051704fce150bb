#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use crate::{
    BranchChangeLog, FoldError, FoldOptions, Folded, Fragment, FragmentAuthor, MergeOptions, Place, fold, fold_branch,
    merge,
};
use jiff::civil::Date;
use proptest::prelude::*;

const DAY: Date = Date::constant(2024, 3, 5);

fn fragments<'a>(files: &'a [(&'a str, &'a str)]) -> Vec<Fragment<'a>> {
    let author = FragmentAuthor { name: b"Ann".to_vec(), mail: b"ann@x".to_vec(), day: Date::constant(2024, 2, 10) };
    let place = Place::new("CHANGELOG.md");
    files
        .iter()
        .map(|(path, text)| {
            let fragment = place.fragment(path.as_bytes(), text.as_bytes()).unwrap();
            Fragment { author: Some(author.clone()), ..fragment }
        })
        .collect()
}

fn try_folded(path: &str, log: &str, files: &[(&str, &str)], options: &FoldOptions<'_>) -> Result<Folded, FoldError> {
    fold(path.as_bytes(), Some(log.as_bytes()), &fragments(files), DAY, options)
}

fn folded(path: &str, log: &str, files: &[(&str, &str)]) -> String {
    String::from_utf8(try_folded(path, log, files, &FoldOptions::default()).unwrap().changelog).unwrap()
}

const KEEP: &str = "# Changelog\n\n## [Unreleased]\n\n### Changed\n\n- Old change.\n\n## [1.0.0] - 2024-01-01\n\n### Fixed\n\n- Bug.\n\n[Unreleased]: https://x/compare/v1.0.0...HEAD\n[1.0.0]: https://x/v1.0.0\n";
const FIX: (&str, &str) = ("changelog-fragments/12.bugfix.md", "No more crash\nat start.\n");

#[test]
fn keep_a_changelog_takes_each_type_in_its_section() {
    let add = ("changelog-fragments/+new.feature.md", "- One.\n- Two.\n");
    let want = KEEP.replace(
        "### Changed\n\n- Old change.\n",
        "### Added\n\n- One.\n- Two.\n\n### Changed\n\n- Old change.\n\n### Fixed\n\n- No more crash\n  at start. (#12)\n",
    );
    assert_eq!(folded("CHANGELOG.md", KEEP, &[FIX, add]), want);
    // Again: nothing new.
    let again = try_folded("CHANGELOG.md", &want, &[FIX, add], &FoldOptions::default()).unwrap();
    assert_eq!((again.entries, again.left_out.len()), (0, 3));
    assert_eq!(String::from_utf8(again.changelog).unwrap(), want);
}

#[test]
fn issues_become_links_and_one_text_can_have_several() {
    let options = FoldOptions { issue_url: Some("https://x/issues/{}"), ..FoldOptions::default() };
    let files = [
        ("changelog-fragments/1.bugfix.md", "Same."),
        ("changelog-fragments/2.bugfix.md", "Same."),
        ("changelog-fragments/2.feature.md", "Other."),
    ];
    let got = String::from_utf8(try_folded("CHANGELOG.md", KEEP, &files, &options).unwrap().changelog).unwrap();
    assert!(got.contains("- Same. ([#1](https://x/issues/1), [#2](https://x/issues/2))\n"), "{got}");
    assert!(got.contains("- Other. ([#2](https://x/issues/2))\n"), "{got}");
}

#[test]
fn unreleased_is_made_above_the_newest_version() {
    let log = "# Changelog\n\nWords.\n\n## [1.0.0] - 2024-01-01\n\n- Bug.\n";
    let want = "# Changelog\n\nWords.\n\n## [Unreleased]\n\n### Fixed\n\n- No more crash\n  at start. (#12)\n\n## [1.0.0] - 2024-01-01\n\n- Bug.\n";
    assert_eq!(folded("CHANGELOG.md", log, &[FIX]), want);
    assert_eq!(
        folded("CHANGELOG.md", "", &[FIX]),
        "## [Unreleased]\n\n### Fixed\n\n- No more crash\n  at start. (#12)\n"
    );
    let crlf = log.replace('\n', "\r\n");
    assert_eq!(folded("CHANGELOG.md", &crlf, &[FIX]), want.replace('\n', "\r\n"));
}

#[test]
fn headings_that_a_merge_doubled_are_joined() {
    let log = KEEP.replace("- Old change.\n", "- Old change.\n\n### Fixed\n\n- A.\n\n### Changed\n\n- B.\n");
    let want = KEEP
        .replace("- Old change.\n", "- Old change.\n- B.\n\n### Fixed\n\n- A.\n- No more crash\n  at start. (#12)\n");
    assert_eq!(folded("CHANGELOG.md", &log, &[FIX]), want);
}

#[test]
fn gnu_fragments_become_bullets_where_the_project_keeps_markdown() {
    let gnu = ("repo.ChangeLog", "2024-02-10  Ann  <ann@x>\n\n\t* a.c (f, g): Be\n\tfaster.\n\t* b.c: Too.\n");
    let want = KEEP.replace("- Old change.\n", "- Old change.\n- a.c (f, g): Be faster.\n- b.c: Too.\n");
    assert_eq!(folded("CHANGELOG.md", KEEP, &[gnu]), want);
}

fn landed(base: &str, mainline: &str, branch: &str, files: &[(&str, &str)]) -> Result<Folded, FoldError> {
    let file = BranchChangeLog {
        path: b"CHANGELOG.md",
        base: Some(base.as_bytes()),
        mainline: Some(mainline.as_bytes()),
        branch: Some(branch.as_bytes()),
    };
    fold_branch(&file, &fragments(files), DAY, &FoldOptions::default())
}

#[test]
fn a_bullet_of_an_old_branch_goes_under_the_current_unreleased() {
    let branch = KEEP.replace("- Old change.\n", "- Old change.\n- Branch's change.\n");
    let released = KEEP.replace("## [Unreleased]\n", "## [Unreleased]\n\n## [1.1.0] - 2024-02-20\n");
    let got = landed(KEEP, &released, &branch, &[FIX]).unwrap();
    assert_eq!(
        String::from_utf8(got.changelog.clone()).unwrap(),
        released.replace(
            "## [Unreleased]\n",
            "## [Unreleased]\n\n### Changed\n\n- Branch's change.\n\n### Fixed\n\n- No more crash\n  at start. (#12)\n"
        )
    );
    assert_eq!((got.lifted, got.entries), (1, 2));
    assert_eq!(
        got.notes[0].to_string(),
        "[1.1.0] - 2024-02-20 was released since the branch was begun; its news is under Unreleased"
    );
    // Merged again: it is known, though it stands elsewhere.
    let once = String::from_utf8(got.changelog).unwrap();
    assert_eq!(landed(KEEP, &once, &branch, &[FIX]).unwrap().entries, 0);
}

#[test]
fn other_edits_are_merged_as_text_and_can_conflict() {
    let branch = KEEP.replace("Bug.", "The bug.").replace("- Old change.\n", "- Old change.\n- New.\n");
    let got = String::from_utf8(landed(KEEP, KEEP, &branch, &[]).unwrap().changelog).unwrap();
    assert_eq!(got, branch);
    let error = landed(KEEP, &KEEP.replace("Bug.", "A bug."), &branch, &[]).unwrap_err();
    assert!(matches!(error, FoldError::Conflict { conflicts: 1, .. }));
}

#[test]
fn the_driver_adds_what_both_added_to_markdown() {
    let ours = KEEP.replace("- Old change.\n", "- Old change.\n- Ours.\n");
    let theirs = KEEP.replace("- Old change.\n", "- Old change.\n- Theirs.\n\n### Fixed\n\n- Also theirs.\n");
    let merged = merge(KEEP.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &MergeOptions::default());
    let want = KEEP.replace("- Old change.\n", "- Old change.\n- Ours.\n- Theirs.\n\n### Fixed\n\n- Also theirs.\n");
    assert_eq!((String::from_utf8(merged.bytes).unwrap(), merged.conflicts), (want, 0));
}

const DEBIAN: &str =
    "bb (1.0-9) unstable; urgency=medium\n\n  * Old.\n\n -- Bob <bob@x>  Tue, 02 Jan 2024 10:00:00 +0100\n";

#[test]
fn debian_takes_news_only_where_nothing_is_released() {
    let want = format!(
        "bb (1.0-10) UNRELEASED; urgency=medium\n\n  * No more crash\n    at start. (#12)\n\n -- Ann <ann@x>  Tue, 05 Mar 2024 00:00:00 +0000\n\n{DEBIAN}"
    );
    assert_eq!(folded("debian/changelog", DEBIAN, &[FIX]), want);
    let open = DEBIAN.replace("unstable", "UNRELEASED");
    let got = folded("debian/changelog", &open, &[FIX]);
    assert_eq!(got, open.replace("  * Old.\n", "  * Old.\n\n  [ Ann ]\n  * No more crash\n    at start. (#12)\n"));
    assert_eq!(folded("debian/changelog", &got, &[FIX]), got);
    let none = try_folded("debian/changelog", "", &[FIX], &FoldOptions::default()).unwrap_err();
    assert_eq!(none.to_string(), "the Debian changelog has no stanza yet that would name the package");
}

#[test]
fn towncrier_news_goes_below_its_line() {
    let log = "News\n====\n\n.. towncrier release notes start\n\n1.0 (2024-01-01)\n================\n\n- Old.\n";
    let want = "News\n====\n\n.. towncrier release notes start\n\nUnreleased\n==========\n\n- No more crash\n  at start. (#12)\n\n1.0 (2024-01-01)\n================\n\n- Old.\n";
    assert_eq!(folded("NEWS.rst", log, &[FIX]), want);
    assert_eq!(folded("NEWS.rst", want, &[FIX]), want);
    let more = ("changelog-fragments/13.misc.rst", "More.");
    assert_eq!(folded("NEWS.rst", want, &[more]), want.replace("(#12)\n", "(#12)\n- More. (#13)\n"));
}

#[test]
fn plain_news_goes_under_the_open_version() {
    let log = "* Noteworthy changes in release ?.? (????-??-??) [?]\n\n- Open.\n\n* Noteworthy changes in release 1.0 (2024-01-01) [stable]\n\n- Old.\n";
    assert_eq!(folded("NEWS", log, &[FIX]), log.replace("- Open.\n", "- Open.\n- No more crash\n  at start. (#12)\n"));
    let closed = "Changes in 1.0:\n\n- Old.\n";
    assert_eq!(
        folded("NEWS", closed, &[FIX]),
        format!("Changes in the next release:\n\n- No more crash\n  at start. (#12)\n\n{closed}")
    );
}

#[test]
fn a_list_does_not_start_right_below_a_paragraph() {
    let heading = "* Noteworthy changes in release ?.? (????-??-??) [?]\n";
    let old = "* Noteworthy changes in release 1.0 (2024-01-01) [stable]\n\n- Old.\n";
    let new = "- No more crash\n  at start. (#12)\n";
    // The heading is no bullet, though it looks like one; an indented paragraph is one of a list only below a bullet.
    for text in ["Words.\n", "\nWords\nand more.\n", "\n  Indented words.\n", "\n** Fixes\n\n  Indented words.\n"] {
        let log = format!("{heading}{text}\n{old}");
        assert_eq!(folded("NEWS", &log, &[FIX]), format!("{heading}{text}\n{new}\n{old}"));
    }
    for text in ["\n- A.\n", "\n- A.\n\n  More of it.\n"] {
        let log = format!("{heading}{text}\n{old}");
        assert_eq!(folded("NEWS", &log, &[FIX]), format!("{heading}{text}{new}\n{old}"));
    }
}

#[test]
fn a_typed_fragment_becomes_an_entry_of_a_gnu_changelog() {
    let want = "2024-03-05  Ann  <ann@x>\n\n\t* No more crash\n\tat start. (#12)\n";
    assert_eq!(folded("ChangeLog", "", &[FIX]), want);
    assert_eq!(folded("ChangeLog", want, &[FIX]), want);
    let unknown = Place::new("ChangeLog").fragment(FIX.0.as_bytes(), FIX.1.as_bytes()).unwrap();
    let error = fold(b"ChangeLog", None, &[unknown], DAY, &FoldOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "changelog-fragments/12.bugfix.md:1:1: it is not known who wrote this fragment");
}

#[test]
fn an_unknown_format_is_named() {
    let error = try_folded("CHANGES", "words\n", &[FIX], &FoldOptions::default()).unwrap_err();
    assert!(matches!(error, FoldError::Format(_)) && !error.hint().is_empty());
}

fn markdown() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("# Changelog\n"),
        Just("## [Unreleased]\n"),
        Just("## [1.0.0] - 2024-01-01\r\n"),
        Just("### Fixed\n"),
        Just("### Added\n\n"),
        Just("- One.\n"),
        Just("- Two\n  lines.\n"),
        Just("* Three."),
        Just("\n"),
        Just("```\n"),
        Just("[x]: y\n"),
        Just("bb (1.0) UNRELEASED; urgency=low\n"),
        Just(" -- A <a@x>  Tue\n"),
        Just("Changes in 1.0:\n"),
        Just(".. towncrier release notes start\n"),
    ];
    proptest::collection::vec(line, 0..14).prop_map(|l| l.concat().into_bytes())
}

proptest! {
    #[test]
    fn whatever_the_file_news_is_added_once_and_nothing_is_lost(text in markdown(), format in 0..4usize) {
        use crate::Format::{Debian, KeepAChangelog, News, Towncrier};
        let options = FoldOptions { format: Some([KeepAChangelog, Debian, Towncrier, News][format]), ..FoldOptions::default() };
        let one = |text: &[u8]| fold(b"F", Some(text), &fragments(&[FIX]), DAY, &options);
        if let Ok(once) = one(&text) {
            prop_assert_eq!(once.entries, 1);
            let words = |bytes: &[u8]| crate::lines::lines(bytes).map(|l| crate::lines::trim_end(l).to_vec()).filter(|l| !l.is_empty() && !l.starts_with(b"#")).collect::<Vec<_>>();
            let after = words(&once.changelog);
            for line in words(&text) {
                prop_assert!(after.contains(&line), "lost {:?}", String::from_utf8_lossy(&line));
            }
            let twice = one(&once.changelog).unwrap();
            prop_assert_eq!((twice.entries, String::from_utf8_lossy(&twice.changelog).into_owned()), (0, String::from_utf8_lossy(&once.changelog).into_owned()));
        }
    }

    #[test]
    fn any_three_versions_of_markdown_merge(base in markdown(), ours in markdown(), theirs in markdown()) {
        let (base, ours, theirs) = ([b"# C\n".to_vec(), base].concat(), [b"# C\n".to_vec(), ours].concat(), [b"# C\n".to_vec(), theirs].concat());
        let merged = merge(&base, &ours, &theirs, &MergeOptions::default());
        let has = |line: &&[u8]| memchr::memmem::find(&merged.bytes, crate::lines::trim_end(line)).is_some() || memchr::memmem::find(&base, crate::lines::trim_end(line)).is_some();
        for line in crate::lines::lines(&ours).filter(|l| l.starts_with(b"- ")) {
            prop_assert!(has(&line), "lost {:?} in {:?}", String::from_utf8_lossy(line), String::from_utf8_lossy(&merged.bytes));
        }
        let _ = landed(&String::from_utf8_lossy(&base), &String::from_utf8_lossy(&ours), &String::from_utf8_lossy(&theirs), &[]);
    }
}
