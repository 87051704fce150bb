//! Headings as people write them, in all the places where they stand: news goes into the one section that is not released, or
//! nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::headings::{Markup, scan};
use super::layout::Layout;
use crate::{FoldError, FoldOptions, Format, Fragment, FragmentAuthor, Nothing, Place, Release, fold, release};
use jiff::civil::Date;
use proptest::prelude::*;

const DAY: Date = Date::constant(2024, 3, 5);
const FIX: (&str, &str) = ("changelog-fragments/12.bugfix.md", "No more crash.\n");

fn try_fold(path: &str, text: &str, options: &FoldOptions<'_>) -> Result<crate::Folded, FoldError> {
    let author = FragmentAuthor { name: b"Ann".to_vec(), mail: b"ann@x".to_vec(), day: DAY };
    let fragment = Place::new(path).fragment(FIX.0.as_bytes(), FIX.1.as_bytes()).unwrap();
    let fragment = Fragment { author: Some(author), ..fragment };
    fold(path.as_bytes(), Some(text.as_bytes()), &[fragment], DAY, options)
}

/// The folded file, or the refusal's words.
fn folded(path: &str, text: &str) -> Result<String, String> {
    match try_fold(path, text, &FoldOptions::default()) {
        Ok(folded) => Ok(String::from_utf8(folded.changelog).unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

/// Ways to mark a heading of a version, and one below it.
#[derive(Clone, Copy, Debug)]
enum Mark {
    One,
    Two,
    Three,
    Setext,
    Rst,
    RstOver,
}

const MARKS: [Mark; 6] = [Mark::One, Mark::Two, Mark::Three, Mark::Setext, Mark::Rst, Mark::RstOver];

impl Mark {
    fn path(self) -> &'static str {
        match self {
            Self::Rst | Self::RstOver => "CHANGES.rst",
            _ => "CHANGELOG.md",
        }
    }

    fn heading(self, title: &str) -> String {
        let line = |with: &str| with.repeat(title.chars().count());
        match self {
            Self::One => format!("# {title}\n"),
            Self::Two => format!("## {title}\n"),
            Self::Three => format!("### {title}\n"),
            Self::Setext | Self::Rst => format!("{title}\n{}\n", line("-")),
            Self::RstOver => format!("{0}\n{title}\n{0}\n", line("-")),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::One => "",
            Self::Two | Self::Three => "# Changelog\n\n",
            Self::Setext | Self::Rst => "Changelog\n=========\n\n",
            Self::RstOver => "=========\nChangelog\n=========\n\n",
        }
    }
}

/// What stands above the first section, and hides nothing or something.
const ABOVE: [&str; 6] = [
    "",
    "All that is worth knowing.\n\n",
    "<!--\n## Unreleased\n\n- Sample.\n-->\n\n",
    "````md\n## [Unreleased]\n```\n## 9.9.9 (unreleased)\n```\n````\n\n",
    "    ## Unreleased\n    - Sample.\n\n",
    "<details>\n## Unreleased\n</details>\n\n",
];

const OPEN: [&str; 42] = [
    "Unreleased",
    "[Unreleased]",
    "UNRELEASED",
    "unreleased",
    "Unreleased changes",
    "Unreleased - TBD",
    "1.1.0 (unreleased)",
    "[1.1.0] - Unreleased",
    "[1.1.0] (unreleased)",
    "v0.4.0 - Unreleased",
    "1.1.0 - unreleased",
    "1.1.0 — Unreleased",
    "1.1.0 / unreleased",
    "1.1.0 [unreleased]",
    "Version 1.1.0 (unreleased)",
    "v1.1.0 (Unreleased)",
    "Unreleased (1.1.0)",
    "1.1.0 (TBD)",
    "1.1.0 - TBA",
    "1.1.0 (xxxx-xx-xx)",
    "1.1.0 - XXXX-XX-XX",
    "1.1.0 (YYYY-MM-DD)",
    "1.1.0 (2024-xx-xx)",
    "1.1.0 (2024-??-??)",
    "1.1.0 (not yet released)",
    "1.1.0 (in development)",
    "1.1.0.dev0",
    "1.1.0-dev",
    "1.1-SNAPSHOT",
    "Next",
    "Next release",
    "Next version",
    "vNext",
    "master",
    "HEAD",
    "HEAD (unreleased)",
    "trunk",
    "Upcoming",
    "Upcoming release",
    "In progress",
    "[Unreleased](https://x/compare/v1.0.0...HEAD)",
    "[Unreleased] - ReleaseDate",
];

const RELEASED: [[&str; 2]; 16] = [
    ["1.0.0", "0.9.0"],
    ["v1.0.0", "v0.9.0"],
    ["[1.0.0] - 2024-01-02", "[0.9.0] - 2023-01-02"],
    ["[1.0.0]", "[0.9.0]"],
    ["1.0.0 (2024-01-02)", "0.9.0 (2023-01-02)"],
    ["1.0.0 - 2024-01-02", "0.9.0 - 2023-01-02"],
    ["1.0.0 / 2024-01-02", "0.9.0 / 2023-01-02"],
    ["1.0.0 (January 2, 2024)", "0.9.0 (Dec 2, 2023)"],
    ["1.0.0 (2 Jan 2024)", "0.9.0 (2 Dec 2023)"],
    ["Version 1.0 (02.01.2024)", "Version 0.9 (02.01.2023)"],
    [
        "[1.0.0](https://x/compare/v0.9.0...v1.0.0) (2024-01-02)",
        "[0.9.0](https://x/compare/v0.8.0...v0.9.0) (2023-01-02)",
    ],
    ["heron 1.0.0 (2024-01-02)", "heron 0.9.0 (2023-01-02)"],
    ["Release v1.0.0", "Release v0.9.0"],
    ["2024-01-02", "2023-01-02"],
    ["[1.0.0] - 2024-01-02 [YANKED]", "[0.9.0] - 2023-01-02"],
    ["v7", "v6"],
];

#[test]
fn news_goes_into_what_is_not_released_however_it_is_called() {
    for mark in MARKS {
        for (k, above) in ABOVE.iter().enumerate().filter(|(k, _)| *k == 0 || !mark.path().ends_with("rst")) {
            for (n, open) in OPEN.into_iter().enumerate() {
                let each = if k == 0 && matches!(mark, Mark::Two | Mark::Rst) { 16 } else { 1 };
                for released in (0..each).map(|m| RELEASED[(n + k + m) % RELEASED.len()]) {
                    let head = format!("{}{above}{}\n", mark.title(), mark.heading(open));
                    let tail =
                        format!("{}\n- Old.\n\n{}\n- Older.\n", mark.heading(released[0]), mark.heading(released[1]));
                    let text = format!("{head}- Open.\n\n{tail}");
                    let got = folded(mark.path(), &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
                    assert!(got.starts_with(&format!("{head}- Open.\n")) && got.ends_with(&tail), "{text}\n---\n{got}");
                    let at = got.find("No more crash").unwrap_or_else(|| panic!("{got}"));
                    assert!(at > head.len() && at < got.len() - tail.len(), "{got}");
                    assert_eq!(folded(mark.path(), &got), Ok(got.clone()), "twice is once");
                }
            }
        }
    }
}

#[test]
fn where_all_is_released_a_section_is_made_above_all() {
    for mark in MARKS {
        for above in ABOVE.iter().filter(|_| !mark.path().ends_with("rst")).chain(&ABOVE[..1]) {
            for released in RELEASED {
                let head = format!("{}{above}", mark.title());
                let tail =
                    format!("{}\n- Old.\n\n{}\n- Older.\n", mark.heading(released[0]), mark.heading(released[1]));
                let text = format!("{head}{tail}");
                let got = folded(mark.path(), &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
                assert!(got.starts_with(&head) && got.ends_with(&tail), "{text}\n---\n{got}");
                let made = &got[head.len()..got.len() - tail.len()];
                assert!(made.contains("Unreleased") && made.contains("- No more crash. (#12)\n"), "{got}");
                assert_eq!(folded(mark.path(), &got), Ok(got.clone()), "twice is once");
                // It looks as the others do.
                let levels = |text: &str| {
                    let markup = if mark.path().ends_with("rst") { Markup::Rst } else { Markup::Markdown };
                    let layout = Layout::with_markup(markup, text.as_bytes(), 0);
                    layout.versions.iter().map(|v| (v.heading.level, v.heading.form)).collect::<Vec<_>>()
                };
                let all = levels(&got);
                assert!(all.len() == 3 && all.iter().all(|l| *l == all[0]), "{got}");
            }
        }
    }
}

#[test]
fn what_is_not_clear_is_refused_with_its_lines() {
    let dated = "## 1.0.0 - 2024-01-02\n\n- Old.\n";
    let cases = [
        (
            format!("## [Unreleased]\n\n- A.\n\n## 1.1.0 (unreleased)\n\n- B.\n\n{dated}"),
            "CHANGELOG.md: line 1 (`[Unreleased]`) and line 5 (`1.1.0 (unreleased)`) each name what is not released yet",
        ),
        (
            format!("## [Unreleased]\n\n- A.\n\n{dated}\n## Unreleased\n\n- B.\n"),
            "CHANGELOG.md: line 1 (`[Unreleased]`) and line 9 (`Unreleased`) each name what is not released yet",
        ),
        (
            format!("{dated}\n## Unreleased\n\n- B.\n"),
            "CHANGELOG.md: line 5 (`Unreleased`) names what is not released yet, below versions that are",
        ),
        (
            format!("# Changelog\n\n## 1.1.0\n\n- A.\n\n{dated}\n"),
            "CHANGELOG.md: line 3 (`1.1.0`) names a version without a date, while all others have one: is it released?",
        ),
        (
            format!("## 0.9.0 - 2023-01-02\n\n- A.\n\n{dated}"),
            "CHANGELOG.md: the newest version stands last, in line 5 (`1.0.0 - 2024-01-02`), and is released",
        ),
        (
            format!("# Changelog\n\n## Zebra\n\n- A.\n\n{dated}"),
            "CHANGELOG.md: line 3 (`Zebra`) names no version, and may be the newest release",
        ),
        (
            "# Changelog\n\n## Zebra\n\n- A.\n".to_owned(),
            "CHANGELOG.md: line 3 (`Zebra`) names no version, and may be the newest release",
        ),
    ];
    for (text, want) in cases {
        let error = try_fold("CHANGELOG.md", &text, &FoldOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), want, "{text}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn a_version_that_never_came_out_is_history() {
    let text = "## [Unreleased]\n\n- A.\n\n## 1.0.0 - 2024-01-02\n\n- Old.\n\n## 0.9.0 (unreleased)\n\n- Older.\n";
    let got = folded("CHANGELOG.md", text).unwrap();
    assert!(
        got.ends_with(&text[text.find("## 1.0.0").unwrap()..]) && got.starts_with("## [Unreleased]\n\n- A.\n"),
        "{got}"
    );
    let text = "## 1.0.0 - 2024-01-02\n\n- Old.\n\n## 0.9.0 (unreleased)\n\n- Older.\n";
    assert!(folded("CHANGELOG.md", text).unwrap().ends_with(text));
    // The newest last, and not released: there it is.
    let text = "## 0.9.0 - 2023-01-02\n\n- A.\n\n## 1.0.0 - 2024-01-02\n\n- B.\n\n## 1.1.0 (unreleased)\n\n- C.\n";
    assert!(folded("CHANGELOG.md", text).unwrap().starts_with(text));
}

#[test]
fn what_belongs_to_the_next_heading_stays_with_it() {
    let text = "# Changelog\n\n## Unreleased\n\n- A.\n\n---\n\n<a name=\"1.0.0\"></a>\n## 1.0.0 (2024-01-02)\n\n- Old.\n\n[x]: y\n";
    let got = folded("CHANGELOG.md", text).unwrap();
    assert_eq!(got, text.replace("- A.\n", "- A.\n\n### Fixed\n\n- No more crash. (#12)\n"));
    let text = "Changes\n=======\n\n.. _v1:\n\n1.0 (2024-01-02)\n----------------\n\n* Old.\n";
    let want = "Changes\n=======\n\nUnreleased\n----------\n\n* No more crash. (#12)\n\n.. _v1:\n\n1.0 (2024-01-02)\n----------------\n\n* Old.\n";
    assert_eq!(folded("CHANGES.rst", text).unwrap(), want);
}

#[test]
fn bullets_and_types_are_written_as_the_file_writes_them() {
    let text = "Changes\n=======\n\n2.0 (unreleased)\n----------------\n\nAdded\n~~~~~\n\n*   New.\n\n1.0 (2024-01-02)\n----------------\n\nFixed\n~~~~~\n\n*   Old.\n";
    let options = FoldOptions { issue_url: Some("https://x/{}"), ..FoldOptions::default() };
    let got = try_fold("CHANGES.rst", text, &options).unwrap();
    let want = text.replace("*   New.\n", "*   New.\n\nFixed\n~~~~~\n\n*   No more crash. (`#12 <https://x/12>`_)\n");
    assert_eq!(String::from_utf8(got.changelog).unwrap(), want);
}

/// Folding once and folding twice come to the same.
fn becomes_once(format: Format, path: &str, text: &str, want: &str) {
    let options = FoldOptions { format: Some(format), ..FoldOptions::default() };
    for text in [text, want] {
        let got = try_fold(path, text, &options).map(|folded| String::from_utf8(folded.changelog).unwrap());
        assert_eq!(got.as_deref().map_err(ToString::to_string), Ok(want), "{text}");
    }
}

#[test]
fn the_line_below_a_heading_is_no_rule_above_the_next() {
    // The section ended above the line that marks its last heading.
    let text = "# Unreleased\n-->\n-----\n1.0.0\n-----\n# 1.1.0 (unreleased)\n";
    let want =
        "# Unreleased\n\nFixed\n-----\n- No more crash. (#12)\n\n-->\n-----\n\n1.0.0\n-----\n# 1.1.0 (unreleased)\n";
    becomes_once(Format::KeepAChangelog, "F.md", text, want);
    // Nor is one below several lines, or at the end of a front matter.
    let text = "## Unreleased\n\nmore\nwords\n---\n## 1.0.0\n";
    let want = "## Unreleased\n\nmore\nwords\n---\n\n### Fixed\n\n- No more crash. (#12)\n\n## 1.0.0\n";
    becomes_once(Format::KeepAChangelog, "F.md", text, want);
    let text = "---\n# Unreleased\n---\n# 1.0.0\n";
    let want = "---\n# Unreleased\n---\n\n# Unreleased\n\n## Fixed\n\n- No more crash. (#12)\n\n# 1.0.0\n";
    becomes_once(Format::KeepAChangelog, "F.md", text, want);
    // A rule is one below a list, and what is below it starts anew.
    let text = "## Unreleased\n\n- A.\n-----\n1.0.0\n-----\n";
    let want = "## Unreleased\n\n- A.\n\n### Fixed\n\n- No more crash. (#12)\n\n-----\n1.0.0\n-----\n";
    becomes_once(Format::KeepAChangelog, "F.md", text, want);
}

#[test]
fn a_new_heading_of_rst_moves_no_other_to_another_level() {
    let text = "----------\nUnreleased\n----------\n\n1.0.0\n-----\n\n# Next\n``````\n";
    let want = "----------\nUnreleased\n----------\n\n- No more crash. (#12)\n\n1.0.0\n-----\n\n# Next\n``````\n";
    becomes_once(Format::KeepAChangelog, "F.rst", text, want);
}

#[test]
fn a_section_that_is_made_is_on_a_level_that_counts() {
    let text = "### heron 1.0.0 (2024-01-02)\n\n## v0.4.0 - Unreleased\n";
    becomes_once(
        Format::KeepAChangelog,
        "F.md",
        text,
        &format!("## Unreleased\n\n### Fixed\n\n- No more crash. (#12)\n\n{text}"),
    );
}

#[test]
fn what_looks_like_the_line_below_a_doubled_heading_is_kept() {
    let text = "## [Unreleased]\n### Fixed\n### Fixed\n```\n## 1.0.0\n";
    becomes_once(
        Format::KeepAChangelog,
        "F.md",
        text,
        "## [Unreleased]\n\n### Fixed\n```\n\n- No more crash. (#12)\n\n## 1.0.0\n",
    );
    let over = "-----\nFixed\n-----\n";
    let text = format!("==========\nUnreleased\n==========\n\n{over}\n- A.\n\n{over}\n- B.\n\n=====\n1.0.0\n=====\n");
    let want = format!(
        "==========\nUnreleased\n==========\n\n{over}\n- A.\n- B.\n- No more crash. (#12)\n\n=====\n1.0.0\n=====\n"
    );
    becomes_once(Format::KeepAChangelog, "F.rst", &text, &want);
}

#[test]
fn towncriers_mark_in_a_sample_takes_no_news_into_it() {
    for sample in [
        "```\n## [Unreleased]\n.. towncrier release notes start\n```\n",
        "<!--\ntowncrier release notes start\n## Sample\n-->\n",
    ] {
        let want = format!("{sample}\n## Unreleased\n\n- No more crash. (#12)\n");
        becomes_once(Format::Towncrier, "F.md", sample, &want);
    }
}

fn piece() -> impl Strategy<Value = String> {
    let open = (0..OPEN.len()).prop_map(|n| OPEN[n].to_owned());
    let released = (0..RELEASED.len(), 0..2usize).prop_map(|(n, m)| RELEASED[n][m].to_owned());
    let other = prop_oneof![Just("Added"), Just("Fixed"), Just("Zebra"), Just("Notes")].prop_map(str::to_owned);
    let marks = (0..MARKS.len()).prop_map(|n| MARKS[n]);
    let heading = (prop_oneof![open, released, other], marks).prop_map(|(title, mark)| mark.heading(&title));
    let line = prop_oneof![
        Just("- One.\n"),
        Just("* Two\n  lines.\n"),
        Just("\n"),
        Just("\n\n"),
        Just("words\n"),
        Just("```\n"),
        Just("````\n"),
        Just("<!--\n"),
        Just("-->\n"),
        Just("    code\n"),
        Just("[x]: y\n"),
        Just("---\n"),
        Just(".. _a:\n"),
        Just("<pre>\n"),
        Just("\r\n"),
        Just("end"),
    ];
    prop_oneof![2 => heading, 3 => line.prop_map(str::to_owned)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(512), ..ProptestConfig::default() })]

    /// Nothing outside of the section that takes news changes by a byte, blank lines at its edges apart; and what is there is there once.
    #[test]
    fn only_the_section_that_is_not_released_changes(pieces in proptest::collection::vec(piece(), 0..16), rst: bool) {
        let (text, path) = (pieces.concat(), if rst { "F.rst" } else { "F.md" });
        let options = FoldOptions { format: Some(Format::KeepAChangelog), ..FoldOptions::default() };
        let layout = Layout::of(path.as_bytes(), text.as_bytes(), 0);
        let open = layout.open(path.as_bytes());
        match try_fold(path, &text, &options) {
            Err(error) => {
                let is_unclear = matches!(error, FoldError::Unclear { .. });
                prop_assert!(is_unclear, "{error}");
            }
            Ok(folded) => {
                let got = String::from_utf8(folded.changelog).unwrap();
                let range = open.unwrap().map_or(folded.added.start.min(text.len())..text.len(), |v| v.range.clone());
                let trim = |s: &str| s.trim_end().to_owned();
                if layout.open(path.as_bytes()).unwrap().is_some() {
                    prop_assert!(got.starts_with(&text[..range.start]), "{text}\n---\n{got}");
                    prop_assert!(got.ends_with(&text[range.end..]), "{text}\n---\n{got}");
                } else {
                    // What was made was put between two halves of what was there.
                    let (above, below) = (&got[..folded.added.start], &got[folded.added.end..]);
                    let both = format!("{}{}", trim(above), below.trim_start());
                    let squeezed = |s: &str| s.split_whitespace().collect::<String>();
                    prop_assert_eq!(squeezed(&both), squeezed(&text), "{}", got);
                }
                let again = try_fold(path, &got, &options);
                prop_assert_eq!(again.map(|f| String::from_utf8(f.changelog).unwrap()).ok(), Some(got));
            }
        }
    }

    #[test]
    fn headings_are_found_in_any_bytes(bytes: Vec<u8>) {
        for markup in [Markup::Markdown, Markup::Rst] {
            for heading in scan(&bytes, markup).headings {
                prop_assert!(heading.lines.end <= bytes.len() && heading.title.start >= heading.lines.start && heading.title.end <= heading.lines.end);
            }
            let layout = Layout::with_markup(markup, &bytes, 0);
            let ends: Vec<usize> = layout.versions.iter().flat_map(|v| [v.range.start, v.range.end]).collect();
            prop_assert!(ends.is_sorted());
        }
    }
}

fn released_as(path: &str, text: &str, version: &str) -> String {
    let fragment = Place::new(path).fragment(FIX.0.as_bytes(), FIX.1.as_bytes()).unwrap();
    let author = FragmentAuthor { name: b"Ann".to_vec(), mail: b"ann@x".to_vec(), day: DAY };
    let fragment = Fragment { author: Some(author), ..fragment };
    let of = release(
        path.as_bytes(),
        Some(text.as_bytes()),
        &[fragment],
        Release { version, on: DAY, nothing: Nothing::Refused },
        &FoldOptions::default(),
    );
    of.map_or_else(|e| e.to_string(), |folded| String::from_utf8(folded.changelog).unwrap())
}

#[test]
fn a_release_has_the_heading_that_releases_have_there() {
    let cases = [
        ("1.0.0 - 2024-01-02", "1.1.0 - 2024-03-05"),
        ("[1.0.0] - 2024-01-02", "[1.1.0] - 2024-03-05"),
        ("v1.0.0 (January 2, 2024)", "v1.1.0 (March 5, 2024)"),
        ("Version 1.0.0 (2 Jan 2024)", "Version 1.1.0 (5 Mar 2024)"),
        ("1.0.0 / 02.01.2024", "1.1.0 / 05.03.2024"),
        ("heron 1.0.0, 2024/01/02", "heron 1.1.0, 2024/03/05"),
        ("1.0.0", "1.1.0"),
        (
            "[1.0.0](https://x/compare/v0.9.0...v1.0.0) (2024-01-02)",
            "[1.1.0](https://x/compare/v1.0.0...v1.1.0) (2024-03-05)",
        ),
        ("[v1.0.0](https://x/tree/v1.0.0) - 2nd January 2024", "[v1.1.0](https://x/tree/v1.1.0) - 5th March 2024"),
    ];
    for (like, want) in cases {
        for version in ["1.1.0", "v1.1.0"] {
            let text = format!("# Changes\n\n## Unreleased\n\n### Added\n\n- A.\n\n## {like}\n\n- Old.\n");
            let want = format!(
                "# Changes\n\n## {want}\n\n### Added\n\n- A.\n\n### Fixed\n\n- No more crash. (#12)\n\n## {like}\n\n- Old.\n"
            );
            assert_eq!(released_as("CHANGES.md", &text, version), want);
            let none = text.replace("## Unreleased\n\n### Added\n\n- A.\n\n", "");
            assert_eq!(released_as("CHANGES.md", &none, version), want.replace("### Added\n\n- A.\n\n", ""));
        }
        let text = format!("Changes\n=======\n\n{like}\n{}\n\n* Old.\n", "-".repeat(like.chars().count()));
        let want =
            format!("Changes\n=======\n\n{want}\n{}\n\n* No more crash. (#12)\n\n", "-".repeat(want.chars().count()));
        assert!(
            released_as("CHANGES.rst", &text, "1.1.0").starts_with(&want),
            "{}",
            released_as("CHANGES.rst", &text, "1.1.0")
        );
    }
}

#[test]
fn a_release_of_keep_a_changelog_leaves_its_section_and_mends_its_links() {
    let text = "# Changelog\n\n## [Unreleased]\n\n## [1.0.0] - 2024-01-02\n\n- Old.\n\n[unreleased]: https://x/compare/v1.0.0...HEAD\n[1.0.0]: https://x/releases/v1.0.0\n";
    let want = "# Changelog\n\n## [Unreleased]\n\n## [1.1.0] - 2024-03-05\n\n### Fixed\n\n- No more crash. (#12)\n\n## [1.0.0] - 2024-01-02\n\n- Old.\n\n[unreleased]: https://x/compare/v1.1.0...HEAD\n[1.1.0]: https://x/compare/v1.0.0...v1.1.0\n[1.0.0]: https://x/releases/v1.0.0\n";
    assert_eq!(released_as("CHANGELOG.md", text, "1.1.0"), want);
    assert_eq!(released_as("CHANGELOG.md", want, "1.1.0"), "CHANGELOG.md: 1.1.0 stands in line 5 already");
}

#[test]
fn a_release_of_other_formats() {
    let open = "# C\n\n## 1.1.0 (not yet released)\n\n- A.\n";
    assert!(released_as("C.md", open, "1.2.0").starts_with("# C\n\n## 1.2.0 (2024-03-05)\n\n- A.\n"));
    let news = "* Noteworthy changes in release ?.? (????-??-??) [?]\n\n- Open.\n";
    let want = "* Noteworthy changes in release 1.1 (2024-03-05) [stable]\n\n- Open.\n- No more crash. (#12)\n";
    assert_eq!(released_as("NEWS", news, "1.1"), want);
    assert!(
        released_as("NEWS", "Changes in 1.0:\n\n- Old.\n", "1.1")
            .starts_with("Changes in 1.1:\n\n- No more crash. (#12)\n\nChanges in 1.0:\n")
    );
    let debian =
        "bb (1.0-9) unstable; urgency=medium\n\n  * Old.\n\n -- Bob <bob@x>  Tue, 02 Jan 2024 10:00:00 +0100\n";
    let want = format!(
        "bb (1.1-1) unstable; urgency=medium\n\n  * No more crash. (#12)\n\n -- Ann <ann@x>  Tue, 05 Mar 2024 00:00:00 +0000\n\n{debian}"
    );
    assert_eq!(released_as("debian/changelog", debian, "1.1-1"), want);
    let gnu = "2024-01-02  Bob  <bob@x>\n\n\t* a.c: Old.\n";
    assert_eq!(
        released_as("ChangeLog", gnu, "1.1"),
        format!("2024-03-05  Ann  <ann@x>\n\n\t* No more crash. (#12)\n\n{gnu}")
    );
}

/// A version of which nothing is said is made by nobody who did not ask for it, whatever the file looks like.
#[test]
fn a_release_of_nothing_is_refused_unless_it_is_wanted() {
    let of = |path: &str, text: &str, nothing| {
        let of = Release { version: "1.1", on: DAY, nothing };
        let made = release(path.as_bytes(), Some(text.as_bytes()), &[], of, &FoldOptions::default());
        made.map(|folded| String::from_utf8(folded.changelog).unwrap()).map_err(|e| (e.to_string(), e.hint()))
    };
    let cases = [
        ("C.md", "# C\n\n## 1.0\n\n- Old.\n", "# C\n\n## 1.1\n\n## 1.0\n\n- Old.\n"),
        (
            "C.md",
            "# C\n\n## [Unreleased]\n\n### Added\n\n<!-- Write here. -->\n\n### Fixed\n\n---\n\n## [1.0] - 2024-01-02\n",
            "# C\n\n## [Unreleased]\n\n## [1.1] - 2024-03-05\n\n### Added\n\n<!-- Write here. -->\n\n### Fixed\n\n---\n\n## [1.0] - 2024-01-02\n",
        ),
        (
            "C.rst",
            "C\n=\n\nUnreleased\n----------\n\n1.0 (2024-01-02)\n----------------\n\n- Old.\n",
            "C\n=\n\n1.1 (2024-03-05)\n----------------\n\n1.0 (2024-01-02)\n----------------\n\n- Old.\n",
        ),
        (
            "N.rst",
            "N\n=\n\n.. towncrier release notes start\n\n1.0 (2024-01-02)\n----------------\n\n- Old.\n",
            "N\n=\n\n.. towncrier release notes start\n\n1.1 (2024-03-05)\n----------------\n\n1.0 (2024-01-02)\n----------------\n\n- Old.\n",
        ),
        (
            "NEWS",
            "* Noteworthy changes in release ?.? (????-??-??) [?]\n\n",
            "* Noteworthy changes in release 1.1 (2024-03-05) [stable]\n\n",
        ),
        (
            "debian/changelog",
            "p (1.1~) UNRELEASED; urgency=medium\n\n -- A <a@x>  Tue, 05 Mar 2024 00:00:00 +0000\n",
            "p (1.1) unstable; urgency=medium\n\n -- A <a@x>  Tue, 05 Mar 2024 00:00:00 +0000\n",
        ),
    ];
    for (path, text, want) in cases {
        let (said, hint) = of(path, text, Nothing::Refused).unwrap_err();
        assert!(
            said.starts_with(&format!("{path}: there is nothing to release")) && hint.contains("--empty"),
            "{said}"
        );
        assert_eq!(of(path, text, Nothing::Headed).as_deref(), Ok(want), "{path}");
    }
    // There is no heading that could be made.
    let gnu = "2024-01-02  Bob  <bob@x>\n\n\t* a.c: Old.\n";
    assert!(of("ChangeLog", gnu, Nothing::Headed).is_err());
    // What somebody wrote by hand is something.
    let by_hand = "# C\n\n## Unreleased\n\nWords.\n\n## 1.0\n";
    assert_eq!(of("C.md", by_hand, Nothing::Refused).as_deref(), Ok("# C\n\n## 1.1\n\nWords.\n\n## 1.0\n"));
}
