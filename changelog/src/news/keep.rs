//! Keep a Changelog: `## [Unreleased]` with its sections.

use std::collections::HashMap;
use std::ops::Range;

use super::{News, Placed, push_bullet, words};
use crate::fold::FoldOptions;
use crate::format::is_keep_heading;
use crate::lines::{LineEnd, blank_tail, is_blank, lines, lossy, trim, trim_end};
use crate::merge::{MergeOptions, Merged, merge_as_text};

/// The order that sections stand in.
const ORDER: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// The file's parts that matter here, as byte ranges.
struct Parts {
    /// The Unreleased section, its heading line included.
    unreleased: Option<Range<usize>>,
    /// Where the first version (released or not) starts, else where the links at the end start.
    first_version: usize,
    /// The newest released version's heading.
    newest_release: Option<String>,
}

impl Parts {
    fn of(text: &[u8]) -> Self {
        let links = links_start(text);
        let mut headings: Vec<(usize, bool, &[u8])> = Vec::new();
        for (at, line) in headed_lines(&text[..links]) {
            if line.starts_with(b"## ") {
                headings.push((at, is_unreleased(line), line));
            }
        }
        let end_of = |n: usize| headings.get(n + 1).map_or(links, |h| h.0);
        let unreleased = headings.iter().position(|h| h.1).map(|n| headings[n].0..end_of(n));
        let first_version = headings.iter().find(|h| is_keep_heading(h.2)).map_or(links, |h| h.0);
        let released = headings.iter().find(|h| !h.1 && is_keep_heading(h.2));
        let newest_release = released.map(|h| lossy(trim(&trim_end(h.2)[3..])));
        Self { unreleased, first_version, newest_release }
    }
}

fn is_unreleased(line: &[u8]) -> bool {
    let name = trim(trim_end(line).strip_prefix(b"## ").unwrap_or_default()).to_ascii_lowercase();
    name.strip_prefix(b"[").unwrap_or(&name).starts_with(b"unreleased")
}

/// Lines outside of fenced code, each with its offset. A last fence that nothing closes is none.
fn headed_lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let is_fence = |line: &[u8]| line.starts_with(b"```") || line.starts_with(b"~~~");
    let paired = lines(text).filter(|l| is_fence(l)).count() / 2 * 2;
    let (mut at, mut fences) = (0, 0);
    lines(text).filter_map(move |line| {
        let this = at;
        at += line.len();
        let counts = is_fence(line) && fences < paired;
        fences += usize::from(counts);
        (!counts && fences % 2 == 0).then_some((this, line))
    })
}

/// Where the link references at the file's end start: they are its trailer.
fn links_start(text: &[u8]) -> usize {
    let mut start = text.len();
    let mut end = text.len();
    while end > 0 {
        let body = if text[end - 1] == b'\n' { end - 1 } else { end };
        let line_start = memchr::memrchr(b'\n', &text[..body]).map_or(0, |n| n + 1);
        let line = &text[line_start..end];
        let is_link = line.starts_with(b"[") && memchr::memmem::find(line, b"]: ").is_some();
        if is_link {
            start = line_start;
        } else if !is_blank(line) {
            break;
        }
        end = line_start;
    }
    start
}

/// A section of a version: `### Added` and what is below; the first has no heading.
struct Section {
    title: String,
    text: Vec<u8>,
}

fn sections(version: &[u8]) -> Vec<Section> {
    let mut all = vec![Section { title: String::new(), text: Vec::new() }];
    let mut last = 0;
    for (at, line) in headed_lines(version) {
        if let Some(title) = line.strip_prefix(b"### ") {
            if let Some(section) = all.last_mut() {
                section.text.extend_from_slice(&version[last..at]);
            }
            all.push(Section { title: lossy(trim(trim_end(title))), text: Vec::new() });
            last = at;
        }
    }
    if let Some(section) = all.last_mut() {
        section.text.extend_from_slice(&version[last..]);
    }
    all
}

/// A bullet of a version, in bytes of the file.
struct Bullet {
    range: Range<usize>,
    heading: String,
    words: Vec<u8>,
}

/// The bullets of all versions, or of the Unreleased one.
fn bullets(text: &[u8], within: Range<usize>) -> Vec<Bullet> {
    let mut all: Vec<Bullet> = Vec::new();
    let (mut heading, mut open) = (String::new(), false);
    let mut at = within.start;
    for line in lines(&text[within]) {
        let range = at..at + line.len();
        at = range.end;
        if let Some(title) = line.strip_prefix(b"### ") {
            (heading, open) = (lossy(trim(trim_end(title))), false);
        } else if line.starts_with(b"#") {
            (heading, open) = (String::new(), false);
        } else if matches!(line, [b'-' | b'*' | b'+', b' ', ..]) {
            all.push(Bullet { range, heading: heading.clone(), words: Vec::new() });
            open = true;
        } else if open && is_blank(line) {
            // A blank line ends a bullet unless indented text goes on below it; taking it for the end loses nothing.
            open = false;
        } else if open && let Some(bullet) = all.last_mut() {
            bullet.range.end = range.end;
        }
    }
    for bullet in &mut all {
        bullet.words = words(lines(&text[bullet.range.clone()]));
        // The mark and a blank; a bullet may say nothing.
        bullet.words.drain(..bullet.words.len().min(2));
    }
    all
}

/// The version that was released since `base`, if one was.
pub(super) fn released_since(base: &[u8], now: &[u8]) -> Option<String> {
    let (before, after) = (Parts::of(base).newest_release, Parts::of(now).newest_release);
    if before == after { None } else { after }
}

/// Puts news under Unreleased.
pub(super) fn insert(before: &[u8], news: &[News], end: LineEnd, options: &FoldOptions<'_>) -> Placed {
    let parts = Parts::of(before);
    let known = known(before, &parts, options.base);
    let (new, old): (Vec<&News>, Vec<&News>) = news.iter().partition(|n| {
        let text = n.text(options.issue_url);
        !known.contains_key(&words(text.iter().map(Vec::as_slice)))
    });
    let left_out = old.iter().map(|n| n.left_out()).collect();
    if new.is_empty() {
        return Placed { bytes: before.to_vec(), added: 0..0, left_out, entries: 0 };
    }
    let (range, mut all) = match &parts.unreleased {
        Some(range) => (range.clone(), joined(sections(&before[range.clone()]))),
        None => {
            let text = [b"## [Unreleased]", end.as_bytes()].concat();
            (parts.first_version..parts.first_version, vec![Section { title: String::new(), text }])
        }
    };
    let style = Look::of(before);
    for one in &new {
        let at = section_for(&mut all, &one.heading, &style, end);
        push_to(&mut all[at].text, |out| push_bullet(out, style.bullet, &one.text(options.issue_url), end), end);
    }
    let mut out = before[..range.start].to_vec();
    separate(&mut out, end);
    let start = out.len();
    for (n, section) in all.iter().enumerate() {
        if n > 0 {
            separate(&mut out, end);
        }
        out.extend_from_slice(&section.text);
    }
    let added = start..out.len();
    if range.end < before.len() {
        separate(&mut out, end);
        out.extend_from_slice(&before[range.end..]);
    }
    Placed { bytes: out, added, left_out, entries: new.len() }
}

/// Sections that a merge doubled are one again.
fn joined(sections: Vec<Section>) -> Vec<Section> {
    let mut all: Vec<Section> = Vec::with_capacity(sections.len());
    for section in sections {
        match all.iter_mut().find(|s| !s.title.is_empty() && s.title.eq_ignore_ascii_case(&section.title)) {
            None => all.push(section),
            Some(first) => {
                let heading = lines(&section.text).next().map_or(0, <[u8]>::len);
                let body = crate::lines::without_blank_lines(&section.text[heading..]);
                let end = LineEnd::of(&section.text);
                push_to(&mut first.text, |out| out.extend_from_slice(body), end);
            }
        }
    }
    all
}

/// How the file writes bullets and headings.
struct Look {
    bullet: &'static [u8],
    blank_below_heading: bool,
}

impl Look {
    fn of(text: &[u8]) -> Self {
        let count = |start: &[u8]| lines(text).filter(|l| l.starts_with(start)).count();
        let bullet: &[u8] = if count(b"* ") > count(b"- ") { b"* " } else { b"- " };
        let mut below = lines(text).skip_while(|l| !l.starts_with(b"### ")).skip(1);
        Self { bullet, blank_below_heading: below.next().is_none_or(is_blank) }
    }
}

fn section_for(all: &mut Vec<Section>, title: &str, look: &Look, end: LineEnd) -> usize {
    if let Some(at) = all.iter().position(|s| s.title.eq_ignore_ascii_case(title)) {
        return at;
    }
    let rank = |title: &str| ORDER.iter().position(|o| o.eq_ignore_ascii_case(title)).unwrap_or(ORDER.len());
    let at = all.iter().skip(1).position(|s| rank(&s.title) > rank(title)).map_or(all.len(), |n| n + 1);
    let mut text = format!("### {title}").into_bytes();
    text.extend_from_slice(end.as_bytes());
    if look.blank_below_heading {
        text.extend_from_slice(end.as_bytes());
    }
    all.insert(at, Section { title: title.to_owned(), text });
    at
}

/// Adds at the end of a section's text, above the blank lines there.
fn push_to(text: &mut Vec<u8>, add: impl FnOnce(&mut Vec<u8>), end: LineEnd) {
    let is_only_heading = lines(text).filter(|l| !is_blank(l)).count() <= 1;
    let tail = text.split_off(if is_only_heading { text.len() } else { blank_tail(text) });
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.extend_from_slice(end.as_bytes());
    }
    add(text);
    text.extend_from_slice(&tail);
}

/// Makes the text end in a blank line, unless it is empty.
fn separate(out: &mut Vec<u8>, end: LineEnd) {
    if out.is_empty() {
        return;
    }
    if !out.ends_with(b"\n") {
        out.extend_from_slice(end.as_bytes());
    }
    if blank_tail(out) == out.len() {
        out.extend_from_slice(end.as_bytes());
    }
}

/// The bullets that news could be a copy of: those gained since the base, else those not released yet.
fn known(text: &[u8], parts: &Parts, base: Option<&[u8]>) -> HashMap<Vec<u8>, usize> {
    let within = match (base, &parts.unreleased) {
        (Some(_), _) => 0..text.len(),
        (None, Some(range)) => range.clone(),
        (None, None) => 0..0,
    };
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    for bullet in bullets(text, within) {
        *known.entry(bullet.words).or_default() += 1;
    }
    for bullet in base.map_or(Vec::new(), |base| bullets(base, 0..base.len())) {
        if let Some(n) = known.get_mut(&bullet.words) {
            *n -= 1;
            if *n == 0 {
                known.remove(&bullet.words);
            }
        }
    }
    known
}

/// The bullets that the branch added, and its file without them.
pub(super) fn lift(path: &[u8], base: &[u8], branch: &[u8]) -> (Vec<News>, Vec<u8>) {
    let mut before: HashMap<Vec<u8>, usize> = HashMap::new();
    for bullet in bullets(base, 0..base.len()) {
        *before.entry(bullet.words).or_default() += 1;
    }
    let unreleased = Parts::of(branch).unreleased.unwrap_or(0..0);
    let mut lifted = Vec::new();
    let mut rest = Vec::with_capacity(branch.len());
    let mut last = 0;
    for bullet in bullets(branch, 0..branch.len()) {
        match before.get_mut(&bullet.words) {
            Some(n) if *n > 0 => *n -= 1,
            _ if unreleased.contains(&bullet.range.start) => {
                let text = &branch[bullet.range.clone()];
                let news_lines = lines(text).enumerate().map(|(n, line)| match n {
                    0 => trim_end(&line[2..]).to_vec(),
                    _ => super::unindented(trim_end(line)),
                });
                lifted.push(News {
                    heading: if bullet.heading.is_empty() { "Changed".to_owned() } else { bullet.heading },
                    lines: news_lines.collect(),
                    issues: Vec::new(),
                    author: None,
                    path: path.to_vec(),
                    line: crate::lines::line_number(branch, bullet.range.start),
                });
                rest.extend_from_slice(&branch[last..bullet.range.start]);
                last = bullet.range.end;
            }
            _ => {}
        }
    }
    rest.extend_from_slice(&branch[last..]);
    (lifted, without_new_headings(base, &rest))
}

/// Without the headings that the base does not have and that nothing stands under.
fn without_new_headings(base: &[u8], text: &[u8]) -> Vec<u8> {
    let all: Vec<&[u8]> = lines(text).collect();
    let is_heading = |line: &[u8]| line.starts_with(b"### ") || is_unreleased(line);
    let base_unreleased = Parts::of(base).unreleased.map_or(&b""[..], |r| &base[r]);
    let mut out = Vec::with_capacity(text.len());
    let mut n = 0;
    while n < all.len() {
        let below = n + 1 + all[n + 1..].iter().take_while(|l| is_blank(l)).count();
        let is_empty =
            all.get(below).is_none_or(|l| l.starts_with(b"## ") || l.starts_with(b"### ") || l.starts_with(b"["));
        let is_new = !lines(base_unreleased).any(|l| trim_end(l) == trim_end(all[n]));
        if is_heading(all[n]) && is_empty && is_new {
            n = below;
        } else {
            out.extend_from_slice(all[n]);
            n += 1;
        }
    }
    out
}

/// Merges three versions: what theirs added under Unreleased is added to ours, everything else is merged as text.
pub(crate) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], options: &MergeOptions) -> Merged {
    let (lifted, rest) = lift(b"theirs", base, theirs);
    let same = |a: &[u8], b: &[u8]| lines(a).filter(|l| !is_blank(l)).eq(lines(b).filter(|l| !is_blank(l)));
    let merged = if same(base, &rest) {
        Merged { bytes: ours.to_vec(), conflicts: 0 }
    } else {
        merge_as_text(base, ours, &rest, &options.markers)
    };
    let end = LineEnd::of(ours);
    let fold = FoldOptions { base: Some(base), ..FoldOptions::default() };
    let placed = insert(&merged.bytes, &lifted, end, &fold);
    Merged { bytes: placed.bytes, conflicts: merged.conflicts }
}
