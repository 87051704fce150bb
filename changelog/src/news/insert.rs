//! Puts news into the section of what is not released yet, or into a new one, written as the file writes its own.

use std::ops::Range;

use super::bullets::known;
use super::headings::{Form, Heading, Markup, bullet, width};
use super::layout::{Layout, Version};
use super::parts::{Part, Parts, bare};
use super::{News, Placed, push_bullet, words};
use crate::folded::{FoldError, FoldOptions};
use crate::lines::{LineEnd, blank_head, is_blank, lines, lossy, separate};
use crate::towncrier::Towncrier;

/// What kind of file it is, for what its own look does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A section for each type.
    Keep,
    /// The news file of towncrier.
    Towncrier,
    /// A plain NEWS.
    News,
}

/// The order that sections stand in.
const ORDER: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// Puts news under what is not released.
pub(super) fn insert(
    path: &[u8],
    layout: &Layout<'_>,
    news: &[News],
    end: LineEnd,
    kind: Kind,
    options: &FoldOptions<'_>,
) -> Result<Placed, FoldError> {
    let before = layout.text;
    let open = layout.open(path)?;
    let base = options.base.map(|base| Layout::with_markup(layout.markup, base, 0));
    let known = known(layout, open, base.as_ref());
    let links = Links { markup: layout.markup, options };
    let (new, old): (Vec<&News>, Vec<&News>) = news.iter().partition(|n| {
        let text = links.text(n);
        !known.contains_key(&words(text.iter().map(Vec::as_slice)))
    });
    let left_out = old.iter().map(|n| n.left_out()).collect();
    if new.is_empty() {
        return Ok(Placed { bytes: before.to_vec(), added: 0..0, left_out, entries: 0 });
    }
    let look = Look::of(layout, open, kind, options.towncrier);
    let (range, mut parts) = match open {
        Some(version) => (version.range.clone(), Parts::of(layout, version)),
        None => {
            let at = place_of_new(path, layout, kind)?;
            let at = at + blank_head(&before[at..]);
            let text = look.new_heading(layout, kind, end);
            (at..at, Parts::only(Part::new(String::new(), look.version_level, text.len(), text)))
        }
    };
    let is_bare = options.towncrier.is_some_and(|t| t.no_bullets);
    let mut piece = Vec::new();
    for one in &new {
        piece.clear();
        push_bullet(&mut piece, &look.bullet, &links.text(one), is_bare, end);
        parts.add(one, &piece, end, |parts| look.part_for(parts, one, end));
    }
    let mut out = before[..range.start].to_vec();
    if range.is_empty() {
        separate(&mut out, 1, end);
    }
    let start = out.len();
    parts.write(&mut out, end);
    let added = start..out.len();
    if range.end < before.len() {
        separate(&mut out, 1, end);
        out.extend_from_slice(&before[range.end..]);
    }
    Ok(Placed { bytes: out, added, left_out, entries: new.len() })
}

/// The file with an empty section for what is not released, if it has none.
pub(super) fn open_section(
    path: &[u8],
    layout: &Layout<'_>,
    kind: Kind,
    options: &FoldOptions<'_>,
) -> Result<Vec<u8>, FoldError> {
    let (before, end) = (layout.text, LineEnd::of(layout.text));
    if layout.open(path)?.is_some() {
        return Ok(before.to_vec());
    }
    let at = place_of_new(path, layout, kind)?;
    let at = at + blank_head(&before[at..]);
    let mut out = before[..at].to_vec();
    separate(&mut out, 1, end);
    out.extend_from_slice(&Look::of(layout, None, kind, options.towncrier).new_heading(layout, kind, end));
    if at < before.len() {
        separate(&mut out, 1, end);
        out.extend_from_slice(&before[at..]);
    }
    Ok(out)
}

fn place_of_new(path: &[u8], layout: &Layout<'_>, kind: Kind) -> Result<usize, FoldError> {
    let at = layout.place_of_new(path)?;
    if layout.versions.is_empty() {
        return Ok(match kind {
            // Whatever stands there, it is older.
            Kind::News if layout.top == 0 => layout.headings.first().map_or(0, |h| h.lines.end),
            Kind::Towncrier => layout.top.max(layout.headings.first().map_or(0, |h| h.lines.end)),
            // A list without a heading may be a release's, or what is not released.
            Kind::Keep => match layout.loose_bullet() {
                Some(bullet) => return Err(layout.loose(path, bullet)),
                None => at,
            },
            Kind::News => at,
        });
    }
    Ok(at)
}

/// How issues are written behind news.
pub(super) struct Links<'a> {
    pub(super) markup: Markup,
    pub(super) options: &'a FoldOptions<'a>,
}

impl Links<'_> {
    /// The lines of a piece of news, with its issues behind the last.
    pub(super) fn text(&self, news: &News) -> Vec<Vec<u8>> {
        let towncrier = self.options.towncrier;
        let bare = towncrier.is_some_and(|t| t.issues_only.iter().any(|it| **it == *news.heading));
        let issues: Vec<String> = news.issues.iter().map(|issue| self.link(issue)).collect();
        let issues = issues.join(", ");
        let mut all = news.lines.clone();
        if issues.is_empty() {
            return all;
        }
        if bare || all.iter().all(Vec::is_empty) {
            return vec![issues.into_bytes()];
        }
        if let Some(last) = all.last_mut() {
            last.extend_from_slice(format!(" ({issues})").as_bytes());
        }
        all
    }

    fn link(&self, issue: &str) -> String {
        if let Some(towncrier) = self.options.towncrier
            && (towncrier.issue_format.is_some() || self.options.issue_url.is_none())
        {
            return towncrier.issue(issue);
        }
        match (self.options.issue_url, self.markup) {
            (Some(url), Markup::Markdown) => format!("[#{issue}]({})", url.replace("{}", issue)),
            (Some(url), Markup::Rst) => format!("`#{issue} <{}>`_", url.replace("{}", issue)),
            (None, _) => format!("#{issue}"),
        }
    }
}

/// How a file writes what is added to it.
struct Look<'t> {
    bullet: Vec<u8>,
    markup: Markup,
    version_level: usize,
    version_form: Form,
    /// Level and form of types, if each has a heading.
    types: Option<(usize, Form)>,
    /// Those of towncrier's sections.
    sections: (usize, Form),
    blank_below_heading: bool,
    towncrier: Option<&'t Towncrier>,
}

impl<'t> Look<'t> {
    fn of(layout: &Layout<'_>, open: Option<&Version>, kind: Kind, towncrier: Option<&'t Towncrier>) -> Self {
        let text = layout.text;
        let highest = layout.released().min_by_key(|v| v.heading.level);
        // A section made below the level of versions would count for none.
        let highest = highest.filter(|v| layout.level.is_none_or(|level| v.heading.level <= level));
        let like = open.or(highest).or_else(|| layout.versions.iter().min_by_key(|v| v.heading.level));
        let like = like.map(|v| (v.heading.level, v.heading.form));
        let title_level = layout.headings.within(0..layout.top).iter().map(|h| h.level).max();
        let (version_level, version_form) = like.unwrap_or_else(|| match layout.markup {
            Markup::Markdown => (towncrier.and_then(hashes_of).unwrap_or(2), Form::Hashes),
            Markup::Rst => {
                let with = towncrier.and_then(|t| t.underline(0)).unwrap_or(b'=');
                (title_level.unwrap_or(0) + 1, Form::Lined { with, over: false })
            }
        });
        let named = towncrier.is_some_and(|t| !t.sections.is_empty());
        // Levels of reStructuredText come from the order that lines are first seen in: one left out above would move all below.
        let deepest = match layout.markup {
            Markup::Markdown => usize::MAX,
            Markup::Rst => version_level + if named { 2 } else { 1 },
        };
        let inner = |h: &&Heading| (version_level + 1..=deepest).contains(&h.level) && layout.is_within_version(h);
        let headings = layout.headings.all();
        let is_named = |h: &&Heading, names: &[String]| names.iter().any(|n| n.eq_ignore_ascii_case(&layout.shown(h)));
        let own = match towncrier {
            Some(t) => headings.iter().filter(inner).find(|h| is_named(h, &t.order)),
            None => headings.iter().find(inner),
        };
        let depth = |n: usize| match layout.markup {
            Markup::Markdown => (version_level + n, Form::Hashes),
            Markup::Rst => {
                let taken = if let Form::Lined { with, .. } = version_form { with } else { 0 };
                let usual = [b'-', b'~', b'^'].into_iter().filter(|b| *b != taken).nth(n - 1).unwrap_or(b'-');
                let with = towncrier.and_then(|t| t.underline(n)).unwrap_or(usual);
                (version_level + n, Form::Lined { with, over: false })
            }
        };
        let types = match (own, kind) {
            (_, Kind::News) => None,
            (Some(h), _) => Some((h.level, h.form)),
            (None, Kind::Keep) if layout.markup == Markup::Markdown => Some(depth(1)),
            (None, _) => towncrier.map(|_| depth(if named { 2 } else { 1 })),
        };
        let first_below = headings.iter().find(inner).map(|h| lines(&text[h.lines.end..]).next());
        let blank_below_heading = first_below.is_none_or(|line| line.is_none_or(is_blank));
        Self {
            bullet: bullet_of(layout),
            markup: layout.markup,
            version_level,
            version_form,
            types,
            sections: depth(1),
            blank_below_heading,
            towncrier,
        }
    }

    /// The heading of what is not released, in the look of the newest release's.
    fn new_heading(&self, layout: &Layout<'_>, kind: Kind, end: LineEnd) -> Vec<u8> {
        let newest = layout.released().next();
        let raw = newest.map(|v| layout.shown(&v.heading)).unwrap_or_default();
        if self.version_form == Form::Line || kind == Kind::News && newest.is_none() {
            let title = match () {
                () if raw.starts_with("Changes in ") => "Changes in the next release:",
                () if raw.starts_with("* Changes in ") => "* Changes in the next release",
                () => "* Noteworthy changes in release ?.? (????-??-??) [?]",
            };
            return [title.as_bytes(), end.as_bytes()].concat();
        }
        // Brackets without a target of their own, as Keep a Changelog has them; links that lead somewhere are not imitated.
        let in_brackets = newest.map_or(kind == Kind::Keep, |v| {
            let at = v.title.version.clone().unwrap_or(0..0);
            let (raw, end) = (raw.as_bytes(), at.end);
            at.start > 0
                && raw.get(at.start - 1) == Some(&b'[')
                && raw.get(end) == Some(&b']')
                && raw.get(end + 1) != Some(&b'(')
        });
        let title = if in_brackets && self.markup == Markup::Markdown { "[Unreleased]" } else { "Unreleased" };
        heading_text(title, self.version_level, self.version_form, end)
    }

    /// The part that news goes into, made if it is missing.
    fn part_for(&self, parts: &mut Parts, news: &News, end: LineEnd) -> usize {
        let Some((level, form)) = self.types else { return 0 };
        let mut within = 0..parts.len();
        if let Some(section) = &news.section {
            let order = self.towncrier.map_or(&[][..], |t| &t.sections);
            let ranks: Vec<&str> = order.iter().map(String::as_str).collect();
            let at = self.find_or_make(parts, within, section, self.sections, &ranks, end);
            let next = parts.find(at + 1..parts.len(), |p| p.level <= self.sections.0);
            within = at..next.unwrap_or(parts.len());
        }
        let ranks: Vec<&str> = match self.towncrier {
            Some(towncrier) => towncrier.order.iter().map(String::as_str).collect(),
            None => ORDER.to_vec(),
        };
        self.find_or_make(parts, within, &news.heading, (level, form), &ranks, end)
    }

    fn find_or_make(
        &self,
        parts: &mut Parts,
        within: Range<usize>,
        title: &str,
        (level, form): (usize, Form),
        ranks: &[&str],
        end: LineEnd,
    ) -> usize {
        let inner = within.start + 1..within.end;
        if let Some(at) = parts.titled(title, inner.clone()) {
            return at;
        }
        let rank = |title: &str| ranks.iter().position(|o| o.eq_ignore_ascii_case(bare(title))).unwrap_or(ranks.len());
        let own = rank(title);
        let is_later = |p: &Part| p.level <= level && rank(&p.title) > own;
        let later = if own < ranks.len() { parts.find(inner, is_later) } else { None };
        let mut text = heading_text(title, level, form, end);
        let heading = text.len();
        if self.blank_below_heading {
            text.extend_from_slice(end.as_bytes());
        }
        let at = later.unwrap_or(within.end);
        parts.insert(at, Part::new(title.to_owned(), level, heading, text));
        at
    }
}

/// How many `#` towncrier's own line for a version's title has.
fn hashes_of(towncrier: &Towncrier) -> Option<usize> {
    let count = towncrier.title.as_ref()?.trim_start().bytes().take_while(|b| *b == b'#').count();
    (count > 0).then_some(count)
}

/// A heading's lines.
pub(super) fn heading_text(title: &str, level: usize, form: Form, end: LineEnd) -> Vec<u8> {
    let eol = end.as_bytes();
    let mut out = Vec::new();
    match form {
        Form::Hashes => {
            out.extend(std::iter::repeat_n(b'#', level.clamp(1, 6)));
            out.extend_from_slice(&[b" ", title.as_bytes(), eol].concat());
        }
        Form::Lined { with, over } => {
            let line: Vec<u8> = std::iter::repeat_n(with, width(title.as_bytes()).max(3)).collect();
            if over {
                out.extend_from_slice(&[&line[..], eol].concat());
            }
            out.extend_from_slice(&[title.as_bytes(), eol, &line, eol].concat());
        }
        Form::Line => out.extend_from_slice(&[title.as_bytes(), eol].concat()),
    }
    out
}

/// The bullet that most of the file's have, blanks and all.
fn bullet_of(layout: &Layout<'_>) -> Vec<u8> {
    let text = layout.text;
    let mut counts: Vec<(&[u8], usize)> = Vec::new();
    let mut at = 0;
    // An indented bullet may be one below another; it counts where none stands at the margin.
    for margin in [true, false] {
        for line in lines(text) {
            let start = at;
            at += line.len();
            let Some(prefix) = bullet(line).filter(|_| !layout.headings.has_line(start)) else { continue };
            if (line[0] != b' ') != margin {
                continue;
            }
            match counts.iter().position(|(p, _)| *p == &line[..prefix]) {
                Some(n) => counts[n].1 += 1,
                None if counts.len() < 32 => counts.push((&line[..prefix], 1)),
                None => {}
            }
        }
        if !counts.is_empty() {
            break;
        }
        at = 0;
    }
    let best = counts.iter().rev().max_by_key(|(_, n)| *n);
    best.map_or_else(|| b"- ".to_vec(), |(prefix, _)| prefix.to_vec())
}

/// What was released since the base, by its heading.
pub(super) fn released_since(base: &Layout<'_>, now: &Layout<'_>) -> Option<String> {
    let newest = |layout: &Layout<'_>| layout.released().next().map(|v| lossy(&layout.text[v.heading.title.clone()]));
    let (before, after) = (newest(base), newest(now));
    if before == after { None } else { after }
}
