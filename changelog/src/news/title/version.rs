//! Versions as they are written in a word.

use super::words::is_placeholder;
use std::ops::Range;

/// Where the version is in a word: `v1.2`, `pkg@1.2`, `name-1.2`. A number alone is one where the heading says so.
pub(super) fn version_in(word: &[u8], told: bool) -> Option<Range<usize>> {
    let from = match word.iter().rposition(|b| *b == b'@') {
        Some(at) if at + 1 < word.len() => at + 1,
        _ => 0,
    };
    if let Some(len) = version_len(&word[from..], told) {
        return Some(from..from + len);
    }
    // `name-1.2.0`.
    let dash = word.windows(2).position(|pair| pair[0] == b'-' && (pair[1].is_ascii_digit() || pair[1] == b'v'))? + 1;
    let is_name = word[..dash].iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
    let len = version_len(&word[dash..], false).filter(|_| is_name && word[0].is_ascii_alphabetic())?;
    Some(dash..dash + len)
}

fn version_len(text: &[u8], told: bool) -> Option<usize> {
    let marked = [&b"v."[..], b"v"]
        .into_iter()
        .find(|mark| text.strip_prefix(*mark).and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit));
    let number = &text[marked.map_or(0, <[u8]>::len)..];
    if !number.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b".-+_~".contains(b);
    let all = number.iter().take_while(|b| is_part(b)).count();
    let len = number[..all].iter().rposition(|b| b.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    // Letters only behind a number: `2nd`, `3d` and `64bit` are words.
    let digits = number.iter().take_while(|b| b.is_ascii_digit()).count();
    let dotted = number.get(digits) == Some(&b'.') && number.get(digits + 1).is_some_and(|b| b.is_ascii_alphanumeric());
    let whole = number[digits..len].iter().all(|b| b.is_ascii_digit() || *b == b'.');
    let fits = len == number.len()
        && (dotted
            || digits == len && (told || marked.is_some())
            || digits < len && number[digits] == b'-' && !whole && (told || marked.is_some()));
    // A placeholder is none: `2024-xx-xx`.
    (fits && !is_placeholder(text)).then_some(text.len())
}

/// `2.x`, `1.2.x`, `8.x-1.x`: all versions that begin so, of which it is none itself.
pub(crate) fn is_series(version: &[u8]) -> bool {
    let number = version.strip_prefix(b"v").or_else(|| version.strip_prefix(b"V")).unwrap_or(version);
    let parts: Vec<&[u8]> = number.split(|b| b".-".contains(b)).collect();
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let is_open = |part: &[u8]| part.eq_ignore_ascii_case(b"x");
    is_number(parts[0])
        && parts.last().is_some_and(|part| is_open(part))
        && parts.iter().all(|part| is_number(part) || is_open(part))
}

/// `1.2.0-pre`, `1.2.0.pre`: not released yet where it stands for what will be 1.2.0; `1.2.0-pre.1` is the first of some that are.
pub(crate) fn is_before_release(version: &[u8]) -> bool {
    let lower = version.to_ascii_lowercase();
    ["pre", "prerelease", "pre-release"].iter().any(|word| {
        let before = lower.strip_suffix(word.as_bytes()).and_then(<[u8]>::last);
        before.is_some_and(|b| b.is_ascii_digit() || b".-+~_".contains(b))
    })
}

/// `1.2.0-dev`, `1.2.0.dev0`, `1.2-SNAPSHOT`.
pub(super) fn says_dev(version: &[u8]) -> bool {
    let parts = version.split(|b| !b.is_ascii_alphanumeric());
    parts.skip(1).any(|part| {
        let word: &[u8] = &part[..part.iter().rposition(|b| !b.is_ascii_digit()).map_or(0, |at| at + 1)];
        matches!(
            word,
            b"dev" | b"devel" | b"snapshot" | b"unreleased" | b"next" | b"head" | b"git" | b"master" | b"wip"
        ) || word.len() <= 6
            && (word.ends_with(b"dev") || word.ends_with(b"git"))
            && word[..word.len() - 3].iter().all(u8::is_ascii_digit)
    })
}
