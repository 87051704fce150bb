//! The bullets of a file that is written by version: which there are, which a branch added, and three files merged by them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use super::headings::{Heading, bullet};
use super::layout::{Layout, Version};
use super::{News, words};
use crate::lines::{LineCounter, is_blank, lines, lossy, trim_end};

/// A bullet, in bytes of the file.
pub(super) struct Bullet {
    pub(super) range: Range<usize>,
    /// The heading that it stands under within its version; empty for none.
    heading: Rc<str>,
    pub(super) words: Vec<u8>,
}

/// The bullets that stand in this part of a file.
pub(super) fn bullets(layout: &Layout<'_>, within: Range<usize>) -> Vec<Bullet> {
    let text = layout.text;
    let mut all: Vec<Bullet> = Vec::new();
    let mut headings = layout.headings.all().iter().peekable();
    let none: Rc<str> = "".into();
    let (mut heading, mut open) = (none.clone(), false);
    let versions: HashSet<usize> = layout.versions.iter().map(|v| v.heading.lines.start).collect();
    let mut at = 0;
    for line in lines(&text[..within.end]) {
        let range = at..at + line.len();
        at = range.end;
        while headings.peek().is_some_and(|h| h.lines.end <= range.start) {
            headings.next();
        }
        if let Some(h) = headings.peek().filter(|h| h.lines.start <= range.start) {
            let is_version = versions.contains(&h.lines.start);
            heading = if is_version { none.clone() } else { lossy(&text[h.title.clone()]).into() };
            open = false;
        } else if layout.hides(range.start) {
            if let Some(bullet) = all.last_mut().filter(|_| open) {
                bullet.range.end = range.end;
            }
        } else if range.start < within.start {
            open = false;
        } else if let Some(prefix) = bullet(line).filter(|_| line.first().is_some_and(|b| *b != b' ') || !open) {
            let words = trim_end(line).get(prefix..).unwrap_or_default().to_vec();
            all.push(Bullet { range, heading: heading.clone(), words });
            open = true;
        } else if open && is_blank(line) {
            // A blank line ends a bullet unless indented text goes on below it; taking it for the end loses nothing.
            open = false;
        } else if open && let Some(bullet) = all.last_mut() {
            bullet.range.end = range.end;
        }
    }
    for one in &mut all {
        let mut shown = lines(&text[one.range.clone()]).skip(1);
        let first = std::mem::take(&mut one.words);
        one.words = words(std::iter::once(first.as_slice()).chain(&mut shown));
    }
    all
}

fn counted(all: Vec<Bullet>) -> HashMap<Vec<u8>, usize> {
    let mut found: HashMap<Vec<u8>, usize> = HashMap::new();
    for bullet in all {
        *found.entry(bullet.words).or_default() += 1;
    }
    found
}

/// The bullets that news could be a copy of: those gained since the base, else those not released yet.
pub(super) fn known(layout: &Layout<'_>, open: Option<&Version>, base: Option<&Layout<'_>>) -> HashMap<Vec<u8>, usize> {
    let within = match (base, open) {
        (Some(_), _) => 0..layout.text.len(),
        (None, Some(version)) => version.range.clone(),
        (None, None) => 0..0,
    };
    let mut known = counted(bullets(layout, within));
    for bullet in base.map_or(Vec::new(), |base| bullets(base, 0..base.text.len())) {
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
pub(super) fn lift(path: &[u8], base: &Layout<'_>, branch: &Layout<'_>) -> (Vec<News>, Vec<u8>) {
    let mut before = counted(bullets(base, 0..base.text.len()));
    let open = branch.open(path).ok().flatten().map_or(0..0, |v| v.range.clone());
    let text = branch.text;
    let mut lifted = Vec::new();
    let mut rest = Vec::with_capacity(text.len());
    let mut last = 0;
    let (changed, path_of_all): (Rc<str>, Arc<str>) = ("Changed".into(), lossy(path).into());
    let mut counter = LineCounter::new(text);
    for bullet in bullets(branch, 0..text.len()) {
        match before.get_mut(&bullet.words) {
            Some(n) if *n > 0 => *n -= 1,
            _ if open.contains(&bullet.range.start) => {
                let own = &text[bullet.range.clone()];
                let prefix = lines(own).next().and_then(super::headings::bullet).unwrap_or(0);
                let news_lines = lines(own).enumerate().map(|(n, line)| match n {
                    0 => trim_end(line).get(prefix..).unwrap_or_default().to_vec(),
                    _ => super::unindented(trim_end(line), prefix),
                });
                lifted.push(News {
                    heading: if bullet.heading.is_empty() { changed.clone() } else { bullet.heading },
                    section: None,
                    lines: news_lines.collect(),
                    issues: Vec::new(),
                    author: None,
                    path: path_of_all.clone(),
                    fragment: None,
                    line: counter.line(bullet.range.start),
                });
                rest.extend_from_slice(&text[last..bullet.range.start]);
                last = bullet.range.end;
            }
            _ => {}
        }
    }
    rest.extend_from_slice(&text[last..]);
    let rest = without_new_headings(path, base, branch, &rest);
    (lifted, rest)
}

/// Without the headings that the base does not have and that nothing stands under.
fn without_new_headings(path: &[u8], base: &Layout<'_>, branch: &Layout<'_>, text: &[u8]) -> Vec<u8> {
    let layout = Layout::with_markup(branch.markup, text, branch.top.min(text.len()));
    let Some(open) = layout.open(path).ok().flatten() else { return text.to_vec() };
    let base_open = base.open(path).ok().flatten();
    let before = base_open.map_or(&[][..], |v| base.headings.within(v.range.clone()));
    let before: HashSet<&[u8]> = before.iter().map(|h| &base.text[h.title.clone()]).collect();
    let has = |heading: &Heading| before.contains(&text[heading.title.clone()]);
    let mut out = Vec::with_capacity(text.len());
    let mut last = 0;
    // From the innermost: a heading that only had such headings under it is one of them.
    let within = layout.headings.within(open.range.clone());
    let mut gone = vec![false; within.len()];
    // The highest level from the next one on down to the first that stays.
    let mut stays: Option<usize> = None;
    for n in (0..within.len()).rev() {
        let own = within[n].level;
        let end = within.get(n + 1).map_or(open.range.end, |h| h.lines.start);
        let is_empty = lines(&text[within[n].lines.end..end]).all(is_blank);
        let has_some = stays.is_some_and(|level| level > own);
        gone[n] = is_empty && !has_some && !has(&within[n]);
        stays = if gone[n] { stays.map(|level| level.min(own)) } else { Some(own) };
    }
    for (n, heading) in within.iter().enumerate().filter(|(n, _)| gone[*n]) {
        out.extend_from_slice(&text[last.min(heading.lines.start)..heading.lines.start]);
        last = within.get(n + 1).map_or(open.range.end, |h| h.lines.start);
    }
    out.extend_from_slice(&text[last..]);
    out
}
