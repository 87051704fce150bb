//! A plain NEWS, and the news file of towncrier: a section for the version that is not released yet, at the top.

use std::collections::HashSet;
use std::ops::Range;

use super::{News, Placed, push_bullet, words};
use crate::fold::FoldOptions;
use crate::format::{is_news_heading, is_towncrier_start};
use crate::lines::{LineEnd, blank_tail, is_blank, lines, trim_end};

/// Below towncrier's line, in a section named Unreleased.
pub(super) fn insert_below_mark(before: &[u8], news: &[News], end: LineEnd, options: &FoldOptions<'_>) -> Placed {
    let mut mark = 0;
    let mut at = 0;
    for line in lines(before) {
        at += line.len();
        if is_towncrier_start(line) {
            mark = at;
            break;
        }
    }
    let is_markdown = memchr::memmem::find(&before[..mark], b"<!--").is_some();
    let (title, rule): (&[u8], &[u8]) =
        if is_markdown { (b"## Unreleased", b"") } else { (b"Unreleased", b"==========") };
    let is_title = |line: &[u8]| trim_end(line) == title;
    let is_version = |line: &[u8], next: &[u8]| {
        let underlined = next.len() > 2 && trim_end(next).iter().all(|&b| b == b'=');
        if is_markdown { line.starts_with(b"## ") } else { underlined && !is_blank(line) }
    };
    let section = find_section(before, mark, is_title, is_version);
    let heading = [title, end.as_bytes(), rule, if rule.is_empty() { b"" } else { end.as_bytes() }].concat();
    place(before, section.as_ref(), mark, &heading, news, end, options)
}

/// Under the first section of a plain NEWS that names an unreleased version; else in a new one on top.
pub(super) fn insert(before: &[u8], news: &[News], end: LineEnd, options: &FoldOptions<'_>) -> Placed {
    let is_title = |line: &[u8]| is_news_heading(line) && is_open(line);
    let section = find_section(before, 0, is_title, |line, _| is_news_heading(line));
    let mut at = 0;
    let mut first = None;
    for line in lines(before) {
        if is_news_heading(line) {
            first = Some((at, line));
            break;
        }
        at += line.len();
    }
    let top = first.map_or_else(|| preamble_end(before), |(at, _)| at);
    let heading: &[u8] = match first {
        Some((_, line)) if line.starts_with(b"Changes in ") => b"Changes in the next release:",
        Some((_, line)) if line.starts_with(b"* Changes in ") => b"* Changes in the next release",
        _ => b"* Noteworthy changes in release ?.? (????-??-??) [?]",
    };
    place(before, section.as_ref(), top, &[heading, end.as_bytes()].concat(), news, end, options)
}

/// Without any section: below the title and its underline.
fn preamble_end(text: &[u8]) -> usize {
    let mut all = lines(text);
    let first = all.next().unwrap_or_default();
    let second = all.next().unwrap_or_default();
    let is_rule = second.len() > 2 && trim_end(second).iter().all(|b| b"=-~*".contains(b));
    if is_rule { first.len() + second.len() } else { 0 }
}

fn is_open(line: &[u8]) -> bool {
    let lower = line.to_ascii_lowercase();
    [&b"?"[..], b"unreleased", b"next", b"to be released", b"not yet"]
        .iter()
        .any(|word| memchr::memmem::find(&lower, word).is_some())
}

/// The first section at or below `from` whose heading is one for the next version.
fn find_section(
    text: &[u8],
    from: usize,
    is_title: impl Fn(&[u8]) -> bool,
    is_version: impl Fn(&[u8], &[u8]) -> bool,
) -> Option<Range<usize>> {
    let all: Vec<&[u8]> = lines(&text[from..]).collect();
    let mut start = None;
    let mut at = from;
    for (n, line) in all.iter().enumerate() {
        match start {
            None if is_title(line) => start = Some(at),
            Some(start) if is_version(line, all.get(n + 1).copied().unwrap_or_default()) => return Some(start..at),
            _ => {}
        }
        at += line.len();
    }
    start.map(|start| start..text.len())
}

fn place(
    before: &[u8],
    section: Option<&Range<usize>>,
    top: usize,
    heading: &[u8],
    news: &[News],
    end: LineEnd,
    options: &FoldOptions<'_>,
) -> Placed {
    let there = section.map_or(&b""[..], |range| &before[range.clone()]);
    let known: HashSet<Vec<u8>> =
        super::bullets(there).iter().map(|(_, l)| words(l.iter().map(Vec::as_slice))).collect();
    let is_new = |n: &&News| !known.contains(&words(n.text(options.issue_url).iter().map(Vec::as_slice)));
    let (new, old): (Vec<&News>, Vec<&News>) = news.iter().partition(is_new);
    let left_out = old.iter().map(|n| n.left_out()).collect();
    if new.is_empty() {
        return Placed { bytes: before.to_vec(), added: 0..0, left_out, entries: 0 };
    }
    let bullet: &[u8] = if lines(before).any(|l| l.starts_with(b"- "))
        || !lines(before).any(|l| l.starts_with(b"* ") && !is_news_heading(l))
    {
        b"- "
    } else {
        b"* "
    };
    let (mut out, rest) = match section {
        Some(range) => (before[..range.start + blank_tail(there)].to_vec(), range.end),
        None => (before[..top].to_vec(), top),
    };
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(end.as_bytes());
    }
    if section.is_none() && !out.is_empty() && blank_tail(&out) == out.len() {
        out.extend_from_slice(end.as_bytes());
    }
    let start = out.len();
    if section.is_none() {
        out.extend_from_slice(heading);
    }
    let has_bullets = section.is_some() && !known.is_empty() && lines(there).filter(|l| !is_blank(l)).count() > 1;
    if !has_bullets {
        out.extend_from_slice(end.as_bytes());
    }
    for one in &new {
        push_bullet(&mut out, bullet, &one.text(options.issue_url), end);
    }
    let added = start..out.len();
    if rest < before.len() {
        out.extend_from_slice(end.as_bytes());
        let skipped = crate::lines::blank_head(&before[rest..]);
        out.extend_from_slice(&before[rest + if section.is_none() { skipped } else { 0 }..]);
    }
    Placed { bytes: out, added, left_out, entries: new.len() }
}
