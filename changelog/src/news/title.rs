//! What a heading says: a version that is released, one that is not yet, or neither. In the words that people use.

mod version;
mod words;

use std::ops::Range;

use super::days::{Day, days_in};
pub(super) use version::{is_before_release, is_series};
use version::{says_dev, version_in};
use words::{EXPECTED, FOREIGN, OPEN, WEAK, is_one_of, is_placeholder, is_stranger, without_targets, words_of};

/// What a heading's text says. All ranges are within the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Title {
    pub(crate) kind: Kind,
    /// The version, as written.
    pub(crate) version: Option<Range<usize>>,
    /// The day of the release.
    pub(crate) day: Option<Day>,
    /// Whether words of their own stand behind the version, such as its nickname.
    pub(crate) has_more: bool,
    /// Whether any words of its own stand in it.
    pub(crate) has_words: bool,
    /// What says that it is not released, if there is a version beside it.
    pub(crate) remark: Option<Range<usize>>,
}

/// Whether a heading names a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No version.
    #[default]
    Other,
    /// What comes next.
    Open(Sure),
    /// A version that is not said to be open.
    Version(Sure),
}

/// How plainly a heading says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sure {
    /// In words that a heading of another kind may have too.
    Perhaps,
    /// With words behind it that are no part of a version.
    WithWords,
    /// In these words and no others.
    Plainly,
}

/// How much of a heading is read: what it says of a version, it says at its start. Its links and words are compared with each other.
const LONGEST: usize = 1000;

impl Title {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.kind, Kind::Open(_))
    }

    /// Reads a heading's text.
    pub(crate) fn read(raw: &[u8]) -> Self {
        let raw = &raw[..raw.len().min(LONGEST)];
        let lower: Vec<u8> = raw.to_ascii_lowercase();
        let foreign = String::from_utf8_lossy(raw).to_lowercase();
        let mut text = without_targets(&lower);
        let mut days = days_in(&text);
        let words = words_of(&text);
        let has_version = words.iter().any(|w| version_in(&text[w.clone()], false).is_some() && !in_days(w, &days));
        // The first of two days is a version, as some number them; so is the only one, if nothing else is.
        let calendar = if days.len() > 1 && !has_version { Some(days.remove(0)) } else { None };
        let day = days.into_iter().next();
        for at in day.iter().chain(&calendar) {
            text[at.range.clone()].fill(b' ');
        }
        let words = words_of(&text);
        let mut title = Self { day, version: calendar.map(|day| day.range), ..Self::default() };
        let mut rest: Vec<Range<usize>> = Vec::new();
        let mut before = 0;
        let alone = words.len() == 1;
        let mut dev = false;
        for (n, word) in words.iter().enumerate() {
            let told = n > 0 && matches!(&text[words[n - 1].clone()], b"version" | b"release" | b"v" | b"v.");
            if title.version.is_none()
                && let Some(found) = version_in(&text[word.clone()], alone || told)
            {
                let found = word.start + found.start..word.start + found.end;
                dev = says_dev(&text[found.clone()]);
                title.version = Some(found);
                before = rest.iter().filter(|w| is_stranger(&text[(*w).clone()])).count();
            } else {
                rest.push(word.clone());
            }
        }
        let strangers = rest.iter().filter(|w| is_stranger(&text[(*w).clone()])).count();
        title.has_more = strangers > before;
        title.has_words = strangers > 0;
        title.kind = kind(&text, &rest, &title, dev, before);
        if FOREIGN.iter().any(|words| foreign.contains(words)) {
            title.kind = Kind::Open(Sure::Plainly);
        }
        if title.is_open() && title.version.is_some() {
            title.remark = remark(&text, &rest);
        }
        // Of what changed since a version, that version is not the one.
        if rest.iter().any(|w| &text[w.clone()] == b"since") && title.version.is_some() && title.day.is_none() {
            title.version = None;
            title.kind = Kind::Open(Sure::Plainly);
        }
        title
    }
}

fn kind(text: &[u8], rest: &[Range<usize>], title: &Title, dev: bool, before: usize) -> Kind {
    let word = |w: &Range<usize>| &text[w.clone()];
    let is_open = |w: &&Range<usize>| is_one_of(word(w), OPEN) || is_placeholder(word(w));
    let says = |w: &Range<usize>| {
        matches!(word(w), b"unreleased" | b"unpublished" | b"not-yet-released" | b"to-be-released" | b"not-released")
    };
    let said = rest.iter().any(says) || says_not_released(text, rest);
    let strangers = rest.iter().filter(|w| is_stranger(word(w))).count();
    let opens = rest.iter().filter(is_open).count();
    let weak = rest.iter().filter(|w| is_one_of(word(w), WEAK)).count();
    let is_plain = strangers == 0;
    let has_version = title.version.is_some();
    if said && (has_version || strangers <= 1) {
        return Kind::Open(if is_plain || has_version { Sure::Plainly } else { Sure::Perhaps });
    }
    // A day that is still to come is none of a release.
    if has_version && before == 0 && rest.iter().any(|w| is_one_of(word(w), EXPECTED)) {
        return Kind::Open(Sure::Plainly);
    }
    if title.day.is_none() {
        if dev || !has_version && is_plain && rest.iter().any(|w| word(w) == b"since") {
            return Kind::Open(Sure::Plainly);
        }
        if has_version && opens + weak > 0 && before == 0 && (is_plain || is_in_brackets(text, rest)) {
            return Kind::Open(Sure::Plainly);
        }
        if !has_version && is_plain && opens > 0 {
            return Kind::Open(Sure::Plainly);
        }
        // As some keep them above all releases.
        if !has_version && rest.len() == 2 && word(&rest[0]) == b"latest" && word(&rest[1]) == b"changes" {
            return Kind::Open(Sure::Plainly);
        }
        // `Main changes` is another heading, `Changes in main` is not.
        let changes = rest.iter().position(|w| matches!(word(w), b"changes" | b"features" | b"notes" | b"news"));
        let within = rest.iter().any(|w| matches!(word(w), b"in" | b"on"));
        if !has_version && is_plain && weak > 0 && (changes.is_none() || within) {
            return Kind::Open(Sure::Perhaps);
        }
    } else if !has_version && is_plain && opens > 0 {
        return Kind::Open(Sure::Plainly);
    }
    if has_version {
        return match (before, strangers) {
            (0, 0) => Kind::Version(Sure::Plainly),
            (0, _) => Kind::Version(Sure::WithWords),
            (1, 1) if title.day.is_some() => Kind::Version(Sure::WithWords),
            (1, _) => Kind::Version(Sure::Perhaps),
            _ => Kind::Other,
        };
    }
    if title.day.is_some() {
        return match strangers {
            0 => Kind::Version(Sure::Plainly),
            1 => Kind::Version(Sure::Perhaps),
            _ => Kind::Other,
        };
    }
    Kind::Other
}

/// `not released`, `to be released`, `yet to be released`.
fn says_not_released(text: &[u8], rest: &[Range<usize>]) -> bool {
    let at = rest.iter().position(|w| &text[w.clone()] == b"released");
    at.is_some_and(|at| rest[..at].iter().any(|w| matches!(&text[w.clone()], b"not" | b"be" | b"never" | b"isn't")))
}

/// Whether all that says so stands in brackets or behind a dash, whatever else the heading has.
fn is_in_brackets(text: &[u8], rest: &[Range<usize>]) -> bool {
    rest.iter().filter(|w| is_one_of(&text[(*w).clone()], OPEN) || is_placeholder(&text[(*w).clone()])).any(|w| {
        let (before, after) = (&text[..w.start], &text[w.end..]);
        let opened = before.iter().rev().find(|b| **b != b' ').is_some_and(|b| b"([-:,/".contains(b));
        let closed = after.iter().find(|b| **b != b' ').is_none_or(|b| b")]".contains(b));
        opened && closed
    })
}

/// What says that a version is open: from its first word to its last, without the brackets around.
fn remark(text: &[u8], rest: &[Range<usize>]) -> Option<Range<usize>> {
    let says = |w: &&Range<usize>| {
        let word = &text[(*w).clone()];
        is_one_of(word, OPEN) || is_one_of(word, WEAK) || is_placeholder(word) || word == b"released"
    };
    let (first, last) = (rest.iter().find(says)?, rest.iter().rfind(says)?);
    let from = rest.iter().position(|w| w == first)?;
    let lead = rest[..from].iter().rev().take_while(|w| {
        matches!(
            &text[(*w).clone()],
            b"not" | b"yet" | b"to" | b"be" | b"in" | b"under" | b"work" | b"still" | b"never"
        )
    });
    let start = lead.last().map_or(first.start, |w| w.start);
    Some(start..last.end)
}

fn in_days(word: &Range<usize>, days: &[Day]) -> bool {
    days.iter().any(|day| day.range.start < word.end && word.start < day.range.end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn headings_of_what_is_not_released() {
        let all = [
            "Unreleased",
            "[Unreleased]",
            "[UNRELEASED]",
            "UNRELEASED",
            "(unreleased)",
            "*Unreleased*",
            "_Unreleased_",
            "[Unreleased](https://x/compare/v1.0.0...HEAD)",
            "[Unreleased][unreleased]",
            "[Unreleased] - ReleaseDate",
            "[Unreleased] - yyyy-mm-dd",
            "Unreleased - 2024-xx-xx",
            "Unreleased (2024-03-01)",
            "Unreleased changes",
            "1.1.0 (unreleased)",
            "[1.1.0] - Unreleased",
            "v0.4.0 - Unreleased",
            "1.1.0 - unreleased",
            "1.1.0 [unreleased]",
            "1.1.0 — unreleased",
            "1.1.0 – TBD",
            "1.1.0 / unreleased",
            "1.1.0 / not released yet",
            "Unreleased: 1.1.0",
            "Unreleased (v1.1.0)",
            "[Unreleased 1.1.0]",
            "Version 1.1.0 (unreleased)",
            "Release 1.1 (to be released)",
            "1.1.0 (not yet released)",
            "1.1.0, unreleased",
            "1.1.0: Unreleased",
            "foo 1.1.0 (unreleased)",
            "1.1.0 (xxxx-xx-xx)",
            "1.1.0 xxxx-xx-xx",
            "1.1.0 (XXXX-XX-XX)",
            "1.1.0 (YYYY-MM-DD)",
            "1.1.0 (2024-XX-XX)",
            "1.1.0 (2024-??-??)",
            "1.1.0 - ????-??-??",
            "1.1.0 (TBD)",
            "[1.1.0] - TBA",
            "1.1.0 TBD",
            "v1.1.0 (tbc)",
            "1.1.0 (in development)",
            "1.1.0 (under development)",
            "1.1.0 (in progress)",
            "1.1 (dev)",
            "1.1.0 (next)",
            "1.1.0-dev",
            "1.1.0.dev0",
            "1.1.dev1",
            "1.1-SNAPSHOT",
            "1.1.0 (expected 2024-06-01)",
            "1.1.0 - due June 2024",
            "Latest changes",
            "v1.1.0 / not-yet-released",
            "1.1.0 (xx/xx/xxxx)",
            "v1.1.0-next",
            "1.1.0-unreleased",
            "Next",
            "Next release",
            "Next version",
            "The next release",
            "vNext",
            "NEXT",
            "next (1.1.0)",
            "Next major release",
            "master",
            "Master",
            "HEAD",
            "head (unreleased)",
            "master branch",
            "git master",
            "trunk",
            "main",
            "Main (unreleased)",
            "develop",
            "Development",
            "Development version",
            "dev",
            "Upcoming",
            "Upcoming release",
            "Upcoming changes",
            "Future release",
            "Current master",
            "WIP",
            "Work in progress",
            "In progress",
            "Coming soon",
            "TBD",
            "x.y.z",
            "X.X.X (unreleased)",
            "Changes in master",
            "Changes in HEAD",
            "Changes since 1.0.0",
            "Changes since last release",
            "🚀 Unreleased",
            ":rocket: Unreleased",
            "Unreleased {#unreleased}",
            "<a name=\"x\"></a>Unreleased",
            "`Unreleased <https://x>`_",
            "Unreleased_",
            "[Unveröffentlicht]",
            "未发布",
            "Noteworthy changes in release ?.? (????-??-??) [?]",
            "Changes in the next release:",
            "Unreleased — 1.1.0 \"Codename\"",
        ];
        for text in all {
            assert!(Title::read(text.as_bytes()).is_open(), "{text}: {:?}", Title::read(text.as_bytes()));
        }
    }

    #[test]
    fn headings_of_versions() {
        let all = [
            ("1.1.0", "1.1.0", None),
            ("v1.1.0", "v1.1.0", None),
            ("[1.1.0] - 2024-01-02", "1.1.0", Some("2024-01-02")),
            ("[1.1.0](https://x/compare/v1.0.0...v1.1.0) (2024-01-02)", "1.1.0", Some("2024-01-02")),
            ("1.1.0 / 2024-01-02", "1.1.0", Some("2024-01-02")),
            ("1.1.0 (January 2, 2024)", "1.1.0", Some("January 2, 2024")),
            ("1.1.0 (2 January 2024)", "1.1.0", Some("2 January 2024")),
            ("1.1.0 - 2nd Jan 2024", "1.1.0", Some("2nd Jan 2024")),
            ("1.1.0 (2024/01/02)", "1.1.0", Some("2024/01/02")),
            ("1.1.0 (02.01.2024)", "1.1.0", Some("02.01.2024")),
            ("Version 1.1", "1.1", None),
            ("Release v1.1 (2024-01-02)", "v1.1", Some("2024-01-02")),
            ("requests 2.0.0 (2024-01-02)", "2.0.0", Some("2024-01-02")),
            ("pkg@1.1.0", "1.1.0", None),
            ("foo-1.1.0 (2024-01-02)", "1.1.0", Some("2024-01-02")),
            ("1.1.0rc1", "1.1.0rc1", None),
            ("1.1.0-beta.2", "1.1.0-beta.2", None),
            ("v7", "v7", None),
            ("42", "42", None),
            ("2024.01.02 (2024-01-03)", "2024.01.02", Some("2024-01-03")),
            ("[1.1.0] - 2024-01-02 [YANKED]", "1.1.0", Some("2024-01-02")),
            ("1.1.0 \"Codename\"", "1.1.0", None),
            ("What's new in 1.1.0", "1.1.0", None),
            ("`1.1.0 <https://x/1.1.0>`_ (2024-01-02)", "1.1.0", Some("2024-01-02")),
            ("🎉 1.1.0", "1.1.0", None),
            ("Version 3", "3", None),
            ("1.2.x", "1.2.x", None),
            ("<small>1.1.0 (2024-01-02)</small>", "1.1.0", Some("2024-01-02")),
        ];
        for (text, version, day) in all {
            let title = Title::read(text.as_bytes());
            assert!(matches!(title.kind, Kind::Version(_)), "{text}: {title:?}");
            assert_eq!(title.version.map(|at| &text[at]), Some(version), "{text}");
            assert_eq!(title.day.map(|day| &text[day.range]), day, "{text}");
        }
        for text in ["2024-01-02", "[2024-01-02]", "May 2024", "1 May 2024"] {
            assert!(matches!(Title::read(text.as_bytes()).kind, Kind::Version(_)), "{text}");
        }
    }

    #[test]
    fn other_headings_are_neither() {
        let all = [
            "Changelog",
            "Change Log",
            "Added",
            "Fixed",
            "Changes",
            "New features",
            "Bug fixes",
            "Main changes",
            "Next steps",
            "Upcoming breaking changes",
            "Release notes",
            "History",
            "Development dependencies",
            "Upgraded foo to 1.2.3",
            "Support for Python 3.12 and later",
            "64bit",
            "3D models",
            "Features",
            "Deprecations and Removals",
            "Notes",
            "Improved Documentation",
            "What's new",
            "Table of contents",
            "Head over heels",
            "Released versions",
            "Current state of things",
            "",
        ];
        for text in all {
            assert_eq!(Title::read(text.as_bytes()).kind, Kind::Other, "{text}");
        }
    }

    #[test]
    fn what_says_that_a_version_is_open_can_be_replaced() {
        let all = [
            ("1.1.0 (unreleased)", "unreleased"),
            ("[1.1.0] - Unreleased", "Unreleased"),
            ("1.1.0 (not yet released)", "not yet released"),
            ("1.1.0 (2024-xx-xx)", "2024-xx-xx"),
            ("1.1.0 (in development)", "in development"),
            ("v2.0 - TBD", "TBD"),
        ];
        for (text, remark) in all {
            assert_eq!(Title::read(text.as_bytes()).remark.map(|at| &text[at]), Some(remark), "{text}");
        }
    }
}
