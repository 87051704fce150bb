//! Where a heading does not say whether its version is out: the line below it may, and a line that only looks like a heading is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{FoldOptions, Format, Fragment, Nothing, Release, Towncrier, fold, release};
use jiff::civil::Date;

const DAY: Date = Date::constant(2024, 3, 5);
const ENTRY: &[u8] = b"2024-03-05  Ann  <ann@x.example>\n\n\t* a.c: New.\n";

fn folded(path: &str, text: &str) -> Result<String, String> {
    let fragment = [Fragment::gnu(b"f.ChangeLog", ENTRY)];
    match fold(path.as_bytes(), Some(text.as_bytes()), &fragment, DAY, &FoldOptions::default()) {
        Ok(folded) => Ok(String::from_utf8(folded.changelog).unwrap()),
        Err(error) => {
            assert!(!error.hint().is_empty(), "{error}");
            Err(error.to_string())
        }
    }
}

/// What says that a version is not out, and what says that it is.
const LINES: [(&str, &str, &str); 6] = [
    ("Unreleased", "Released 2024-01-02", "Released 2024-03-05"),
    ("*Unreleased*", "*2024-01-02*", "*2024-03-05*"),
    ("Release date: TBA", "Release date: January 2, 2024", "Release date: March 5, 2024"),
    ("Not yet released", "Released on 2024-01-02", "Released on 2024-03-05"),
    ("(unreleased)", "(2024-01-02)", "(2024-03-05)"),
    ("Date: unreleased.", "Date: 2024-01-02", "Date: 2024-03-05"),
];

#[test]
fn the_line_below_a_heading_says_whether_it_is_released() {
    for (open, out, now) in LINES {
        let of = |status: &str| {
            let heading = |version: &str| format!("Version {version}\n-------------\n");
            format!("{}\n{status}\n\n- Open.\n\n\n{}\n{out}\n\n- Old.\n", heading("1.1.0"), heading("1.0.0"))
        };
        let got = folded("CHANGES.rst", &of(open)).unwrap();
        assert_eq!(got, of(open).replace("- Open.\n", "- Open.\n- a.c: New.\n"), "{open}");
        // Without news, too, and then released: the line says the day.
        let what = Release { version: "1.1.0", on: DAY, nothing: Nothing::Refused };
        let got = release(b"CHANGES.rst", Some(of(open).as_bytes()), &[], what, &FoldOptions::default()).unwrap();
        assert_eq!(String::from_utf8(got.changelog).unwrap(), of(now), "{open}");
        // All are out: a section of its own is made above them, and gets such a line when it is released.
        let made = folded("CHANGES.rst", &of(out)).unwrap();
        assert_eq!(made, format!("Unreleased\n----------\n\n- a.c: New.\n\n{}", of(out)), "{open}");
        let what = Release { version: "1.2.0", ..what };
        let got = release(b"CHANGES.rst", Some(made.as_bytes()), &[], what, &FoldOptions::default()).unwrap();
        let want = format!("Version 1.2.0\n-------------\n\n{now}\n\n- a.c: New.\n\n{}", of(out));
        assert_eq!(String::from_utf8(got.changelog).unwrap(), want, "{open}");
        // Nobody knows of the newest, if only the others say it.
        let unclear = of(out).replacen(&format!("{out}\n\n"), "", 1);
        assert!(folded("CHANGES.rst", &unclear).unwrap_err().contains("without a date"), "{open}");
        // There is nothing to release, though it says that it is not released.
        let empty = of(open).replace("- Open.\n", "");
        assert!(release(b"CHANGES.rst", Some(empty.as_bytes()), &[], what, &FoldOptions::default()).is_err(), "{open}");
    }
}

#[test]
fn what_only_looks_like_a_heading_is_named_and_no_second_section_made() {
    let below = "\n- A.\n\n## 1.0.0 (2024-01-02)\n\n- Old.\n";
    let marked = [
        "**Unreleased**",
        "__1.1.0 (unreleased)__",
        "##Unreleased",
        "<h2>Unreleased</h2>",
        "== Unreleased",
        "**1.1.0**",
    ];
    for line in marked {
        for text in [format!("# Changelog\n\n{line}\n{below}"), format!("{line}\n{below}"), format!("{line}\n\n- A.\n")]
        {
            let error = folded("CHANGELOG.md", &text).unwrap_err();
            assert!(error.contains(line) && error.contains("is no heading"), "{text}: {error}");
        }
    }
    // Where nothing else names a version, one that stands alone does.
    for text in
        ["The news of it.\n\nVersion 2.40\n\n* New.\n\nVersion 2.39\n\n* Old.\n", "1.1 (unreleased)\n\n* New.\n"]
    {
        assert!(folded("NEWS", text).unwrap_err().contains("is no heading"), "{text}");
    }
    // In a sample, a comment, a list or a sentence it is none.
    let above = [
        "<!--\n**Unreleased**\n-->\n",
        "```\n**Unreleased**\n```\n",
        "- **Unreleased**\n- [1.0.0](#100)\n",
        "What is unreleased comes first, and **then** 1.0.0.\n",
        "Version 1.0 was the first.\n",
    ];
    for above in above {
        let got = folded("CHANGELOG.md", &format!("# Changelog\n\n{above}{}", &below["\n- A.\n".len()..]));
        assert!(got.as_ref().is_ok_and(|got| got.contains("## Unreleased\n")), "{above}: {got:?}");
    }
}

#[test]
fn a_list_below_no_heading_is_nobody_s_version() {
    for text in ["*   Some text.\n\n    *Ann*\n\nSee 7-0-stable for what was before.\n", "- A.\n", "- A.\n\n# Words\n"]
    {
        assert!(folded("CHANGELOG.md", text).unwrap_err().contains("stands below no heading"), "{text}");
    }
    assert!(folded("CHANGELOG.md", "").is_ok() && folded("CHANGELOG.md", "# Changelog\n\nWords.\n").is_ok());
}

#[test]
fn words_that_no_other_version_has_may_say_that_it_is_not_out() {
    for words in ["(in the works)", "(brewing)", "(SVN)", "- almost there"] {
        let text = format!("## 1.1.0 {words}\n\n- A.\n\n## 1.0.0\n\n- Old.\n");
        assert!(folded("CHANGELOG.md", &text).unwrap_err().contains("is it released?"), "{text}");
        // With others like it, it is a name.
        let named = text.replace("## 1.0.0\n", "## 1.0.0 (Heron)\n");
        assert!(folded("CHANGELOG.md", &named).unwrap().starts_with("## Unreleased\n"), "{named}");
        let dated = text.replace(words, &format!("{words} (2024-01-02)"));
        assert!(folded("CHANGELOG.md", &dated).unwrap().contains("Unreleased\n"), "{dated}");
    }
}

#[test]
fn a_mark_before_all_text_is_no_part_of_the_first_line() {
    for text in [
        "## [Unreleased]\n\n- A.\n\n## [1.0.0] - 2024-01-02\n\n- Old.\n",
        "# Changelog\n\n## [Unreleased]\n\n- A.\n",
        "## [1.0.0] - 2024-01-02\n\n- Old.\n",
        "2024-02-01  Bob  <bob@x.example>\n\n\t* a.c: Old.\n",
        "",
    ] {
        for path in ["CHANGELOG.md", "ChangeLog"] {
            let plain = folded(path, text);
            let marked = folded(path, &format!("\u{feff}{text}"));
            assert_eq!(marked, plain.map(|plain| format!("\u{feff}{plain}")), "{path}: {text}");
        }
    }
}

#[test]
fn chapters_of_a_plain_news_that_are_about_one_version_are_not_torn_apart() {
    let text =
        "GNU Heron NEWS\n\n* Installation Changes in Heron 30.1\n\n** New.\n\n* Changes in Heron 30.1\n\n** Fix.\n";
    let got = folded("NEWS", text).unwrap_or_else(|error| error);
    let at = |what: &str| got.find(what).unwrap_or(usize::MAX);
    assert!(!got.contains("a.c: New.") || at("a.c: New.") < at("* Installation"), "{got}");
}

#[test]
fn a_release_looks_as_the_newest_where_the_settings_of_towncrier_do_not_say_how() {
    let towncrier = Towncrier { name: "heron".to_owned(), ..Towncrier::default() };
    let options =
        FoldOptions { towncrier: Some(&towncrier), format: Some(Format::Towncrier), ..FoldOptions::default() };
    let of = |text: &str| {
        let what = Release { version: "1.1", on: DAY, nothing: Nothing::Headed };
        String::from_utf8(release(b"N.md", Some(text.as_bytes()), &[], what, &options).unwrap().changelog).unwrap()
    };
    let start = "<!-- towncrier release notes start -->\n\n";
    let old = "## [1.0](https://x/tree/1.0) - 2024-01-02\n\n- Old.\n";
    assert_eq!(of(&format!("{start}{old}")), format!("{start}## [1.1](https://x/tree/1.1) - 2024-03-05\n\n{old}"));
    assert!(of(start).contains("heron 1.1 (2024-03-05)"), "{}", of(start));
}

#[test]
fn a_newest_version_that_is_named_as_in_the_making_and_says_no_more_is_not_guessed_at() {
    let names = [
        "2.x",
        "v2.x",
        "[2.x]",
        "Version 2.x",
        "1.2.x",
        "8.x-1.x",
        "1.1.0-pre",
        "v1.1.0-pre",
        "1.1.0.pre",
        "1.1.0pre",
        "1.1.0-prerelease",
    ];
    for name in names {
        let of =
            |heading: &str| format!("# Changelog\n\n{heading}\n\n- New.\n\n## 1.0.0\n\n- Old.\n\n## 0.9\n\n- Older.\n");
        let plain = of(&format!("## {name}"));
        let said = folded("CHANGELOG.md", &plain).unwrap_err();
        assert!(said.contains(&format!("line 3 (`{name}`) is named as what is still being made")), "{said}");
        let what = Release { version: "2.0.0", on: DAY, nothing: Nothing::Refused };
        release(b"CHANGELOG.md", Some(plain.as_bytes()), &[], what, &FoldOptions::default()).unwrap_err();
        // What the refusal says to do makes it plain.
        let open = of(&format!("## {name} (unreleased)"));
        assert_eq!(
            folded("CHANGELOG.md", &open).unwrap(),
            open.replace("- New.\n", "- New.\n\n### Changed\n\n- a.c: New.\n"),
            "{name}"
        );
        let out = of(&format!("## {name} - 2024-01-02"));
        let got = folded("CHANGELOG.md", &out).unwrap();
        let unbracketed = got.replace("[Unreleased]", "Unreleased");
        assert!(unbracketed.starts_with("# Changelog\n\n## Unreleased\n\n### Changed\n\n- a.c: New.\n\n## "), "{got}");
        let got = folded("CHANGELOG.md", &of(&format!("## Unreleased\n\n## {name}"))).unwrap();
        assert!(got.starts_with("# Changelog\n\n## Unreleased\n\n### Changed\n\n- a.c: New.\n\n## "), "{got}");
        // In a plain NEWS, too.
        let news = format!("Changes in {}:\n\n* New.\n\nChanges in 1.0.0:\n\n* Old.\n", name.trim_matches(['[', ']']));
        assert!(folded("NEWS", &news).is_err(), "{name}");
    }
    // Where what is called so is released, or is only the first of some that are, it is a version as others.
    for name in ["1.1.0-pre.1", "1.1.0.pre1", "1.1.0-rc", "1.1.0-beta.2"] {
        let text = format!("## {name}\n\n- New.\n\n## 1.0.0\n\n- Old.\n");
        assert!(folded("CHANGELOG.md", &text).unwrap().starts_with("## Unreleased\n"), "{name}");
    }
    let text = "## 2.0.0-pre\n\n- New.\n\n## 1.0.0\n\n- Old.\n\n## 1.0.0-pre\n\n- Older.\n";
    assert!(folded("CHANGELOG.md", text).unwrap().starts_with("## Unreleased\n"));
}

#[test]
fn a_heading_that_only_stands_above_its_versions_is_none_itself() {
    for (line, level) in [("2.x", "#"), ("v2.x", "#"), ("2.x", "##"), ("2.1.x", "##")] {
        for day in ["", " - 2024-01-02"] {
            let under = format!(
                "{level}# 2.1.0{day}\n\n- New.\n\n{level}# 2.0.0{day}\n\n- Old.\n\n{level} 1.x\n\n{level}# 1.0.0{day}\n\n- Older.\n"
            );
            let head = format!("{level} {line}\n\n");
            let got = folded("CHANGELOG.md", &format!("{head}{under}")).unwrap();
            let want = format!("{head}{level}# Unreleased\n\n{level}## Changed\n\n- a.c: New.\n\n{under}");
            assert_eq!(got, want);
            // A second fragment goes where the first went.
            let open = format!("{head}{level}# Unreleased\n\n- By hand.\n\n{under}");
            let got = folded("CHANGELOG.md", &open).unwrap();
            assert!(got.contains("- By hand.\n") && got.matches("Unreleased").count() == 1, "{got}");
            let what = Release { version: "2.2.0", on: DAY, nothing: Nothing::Refused };
            let got = release(b"CHANGELOG.md", Some(got.as_bytes()), &[], what, &FoldOptions::default()).unwrap();
            let got = String::from_utf8(got.changelog).unwrap();
            assert!(got.starts_with(&format!("{head}{level}# 2.2.0")), "{got}");
        }
    }
}
