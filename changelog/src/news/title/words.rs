//! The words of headings: where they are, and which of them say that something is open, or nothing at all.

use std::ops::Range;

/// Words that say by themselves that nothing is released yet.
pub(super) const OPEN: &[&str] = &[
    "unreleased",
    "unpublished",
    "next",
    "vnext",
    "upcoming",
    "head",
    "master",
    "trunk",
    "tbd",
    "tba",
    "tbc",
    "wip",
    "releasedate",
    "snapshot",
    "unversioned",
];

/// Words that do so only where nothing else is said.
pub(super) const WEAK: &[&str] = &[
    "main",
    "dev",
    "devel",
    "develop",
    "development",
    "future",
    "current",
    "edge",
    "nightly",
    "tip",
    "pending",
    "progress",
    "soon",
    "coming",
    "git",
    "unstable",
    "canary",
    "preparation",
    "planned",
    "staged",
    "draft",
];

/// Words by which a day is one that is still to come.
pub(super) const EXPECTED: &[&str] =
    &["expected", "planned", "due", "eta", "scheduled", "target", "targeted", "estimated", "tentative"];

/// Words that say nothing.
const FILLERS: &[&str] = &[
    "release",
    "releases",
    "version",
    "versions",
    "ver",
    "v",
    "changes",
    "change",
    "the",
    "in",
    "on",
    "of",
    "for",
    "branch",
    "is",
    "be",
    "to",
    "yet",
    "still",
    "and",
    "new",
    "features",
    "notes",
    "date",
    "since",
    "last",
    "what's",
    "whats",
    "major",
    "minor",
    "patch",
    "noteworthy",
    "news",
    "under",
    "work",
    "at",
    "this",
    "bugfix",
    "note",
    "code",
    "changelog",
    "not",
    "released",
    "update",
    "updates",
    "our",
    "today",
];

/// The same in the languages that ChangeLogs are kept in.
pub(super) const FOREIGN: &[&str] = &[
    "unveröffentlicht",
    "nicht veröffentlicht",
    "non publié",
    "non publie",
    "à venir",
    "sin publicar",
    "no publicado",
    "não publicado",
    "não lançado",
    "未发布",
    "未發布",
    "未リリース",
    "в разработке",
    "неопубликован",
    "не выпущен",
    "niewydane",
    "non rilasciato",
    "yayımlanmadı",
    "출시되지 않음",
];

pub(super) fn is_one_of(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|known| known.as_bytes() == word)
}

/// A word that says neither that something is open nor is there in every heading.
pub(super) fn is_stranger(word: &[u8]) -> bool {
    !is_placeholder(word) && ![OPEN, WEAK, FILLERS].iter().any(|words| is_one_of(word, words))
}

/// `xxxx-xx-xx`, `2024-??-??`, `x.y.z`, `?.?`: where a day or a number is still to come.
pub(super) fn is_placeholder(word: &[u8]) -> bool {
    let open = word.iter().filter(|b| matches!(b, b'x' | b'y' | b'z' | b'm' | b'd' | b'?' | b'_')).count();
    let marks = word.iter().filter(|b| matches!(b, b'-' | b'.' | b'/')).count();
    let digits = word.iter().filter(|b| b.is_ascii_digit()).count();
    let is_all = open + marks + digits == word.len();
    let is_day = marks == 2 && open >= 2 && (open + digits >= 6 || word.contains(&b'?'));
    let is_number = digits == 0
        && marks >= 1
        && open > marks
        && matches!(word, b"x.y" | b"x.y.z" | b"x.x" | b"x.x.x" | b"?.?" | b"?.?.?");
    let is_open = word.iter().all(|b| *b == b'?') || word.len() > 1 && word.iter().all(|b| *b == b'x');
    is_all && (is_day || is_number || is_open)
}

/// The words: what stands between blanks, brackets and other marks.
pub(super) fn words_of(text: &[u8]) -> Vec<Range<usize>> {
    let is_mark = |at: usize| {
        let b = text[at];
        let alone = |b: u8| {
            let around = [at.checked_sub(1).map(|n| text[n]), text.get(at + 1).copied()];
            b == b'-' && around.iter().any(|b| b.is_none_or(|b| !b.is_ascii_alphanumeric() && b != b'?'))
        };
        b <= b' ' || !b.is_ascii() || b"()[]{}<>,:;|/\"*`=!".contains(&b) || alone(b)
            // An underscore within a word is part of it, one at its end belongs to a link.
            || b == b'_' && text.get(at + 1).is_none_or(|b| !b.is_ascii_alphanumeric())
    };
    let mut found = Vec::new();
    let mut start = None;
    for at in 0..=text.len() {
        let ends = at == text.len() || is_mark(at);
        match start {
            None if !ends => start = Some(at),
            Some(from) if ends => {
                let word = &text[from..at];
                let end = word.iter().rposition(|b| !b".~_#".contains(b)).map_or(0, |n| n + 1);
                let lead = word.iter().take_while(|b| b"#~_".contains(b)).count();
                if end > lead && word[lead..end].iter().any(|b| b.is_ascii_alphanumeric() || *b == b'?') {
                    found.push(from + lead..from + end);
                }
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// The text with whatever is no word of it blanked: where links lead, tags, marks of emphasis.
pub(super) fn without_targets(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    let mut n = 0;
    while n < out.len() {
        let end = match out[n] {
            b']' if matches!(out.get(n + 1), Some(b'(' | b'[')) => {
                let close = if out[n + 1] == b'(' { b')' } else { b']' };
                // `[1.0] (2024-01-01)` is no link, and `[1.0](2024-01-01)` leads nowhere.
                let inner = memchr::memchr(close, &out[n + 2..]).map(|len| n + 2..n + 2 + len);
                inner.filter(|at| close == b']' || leads_somewhere(&out[at.clone()])).map(|at| at.end + 1)
            }
            b'<' => memchr::memchr(b'>', &out[n..]).map(|len| n + len + 1),
            b'{' if out.get(n + 1) == Some(&b'#') => memchr::memchr(b'}', &out[n..]).map(|len| n + len + 1),
            b'&' => out[n..].iter().take(8).position(|b| *b == b';').map(|len| n + len + 1),
            _ => None,
        };
        match end {
            Some(end) => {
                let from = if out[n] == b']' { n + 1 } else { n };
                out[from..end].fill(b' ');
                n = end;
            }
            None => n += 1,
        }
    }
    out
}

fn leads_somewhere(target: &[u8]) -> bool {
    target.contains(&b'/') && target.iter().any(u8::is_ascii_alphabetic)
        || target.starts_with(b"#")
        || target.contains(&b':')
}
