//! A release: what is not released yet gets the heading of its version, in the look of the headings that are there.

use std::ops::Range;

use jiff::civil::Date;

use super::days::written;
use super::debian;
use super::headings::{Form, Markup};
use super::insert::{self, heading_text};
use super::layout::{Layout, Version};
use super::title::{Kind, Title};
use super::{kind_of, layout_of};
use crate::detect::detect;
use crate::fold::fold;
use crate::folded::{FoldError, FoldOptions, Folded, Note};
use crate::format::Format;
use crate::fragment::Fragment;
use crate::lines::{LineEnd, line_number, lines, lossy, separate, trim_end};

/// What is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release<'a> {
    /// The version; a `v` before it counts only where the file's own have one.
    pub version: &'a str,
    /// The day.
    pub on: Date,
    /// What to do if nothing is there to be said of it.
    pub nothing: Nothing,
}

/// What to do with a version of which nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nothing {
    /// Refuse it: more often than not something was forgotten.
    #[default]
    Refused,
    /// Give it its heading all the same.
    Headed,
}

/// Folds all fragments, and heads what is not released yet with the version and its day.
///
/// # Errors
/// As [`fold`]; also if there is nothing to release and that is not wanted, or the version is there already.
pub fn release(
    path: &[u8],
    changelog: Option<&[u8]>,
    fragments: &[Fragment<'_>],
    release: Release<'_>,
    options: &FoldOptions<'_>,
) -> Result<Folded, FoldError> {
    let before = changelog.unwrap_or_default();
    let format = match options.format {
        Some(format) => format,
        None => detect(path, before)?,
    };
    if format != Format::Gnu {
        see_that_it_is_new(path, before, format, release, options)?;
    }
    let mut folded = fold(path, changelog, fragments, release.on, options)?;
    let nothing = || FoldError::NothingToRelease { path: lossy(path) };
    if format == Format::Gnu {
        if folded.entries == 0 && folded.left_out.is_empty() {
            return Err(nothing());
        }
        folded.notes.push(Note::NoVersionHeadings { path: lossy(path) });
        return Ok(folded);
    }
    let text = if format == Format::Debian {
        let says = release.nothing == Nothing::Headed || debian::says_something(&folded.changelog);
        let open = says.then_some(folded.changelog.as_slice());
        open.and_then(|text| debian::released(text, bare(release.version), release.on)).ok_or_else(nothing)?
    } else {
        let says = layout_of(path, &folded.changelog, options);
        let says = says.open(path)?.is_some_and(|open| says.says_something(open));
        if !says && release.nothing == Nothing::Refused {
            return Err(nothing());
        }
        let had_one = layout_of(path, before, options).open(path)?.is_some();
        if let (false, Some(kind)) = (says, kind_of(format)) {
            let opened = insert::open_section(path, &layout_of(path, &folded.changelog, options), kind, options)?;
            folded.changelog = opened;
        }
        let layout = layout_of(path, &folded.changelog, options);
        let open = layout.open(path)?.ok_or_else(nothing)?;
        let may_stay = had_one && format == Format::KeepAChangelog;
        match with_status(&layout, open, release) {
            None => with_heading(&layout, open, may_stay, release, options),
            Some(dated) => {
                // It is not open any more, and stands where it stood.
                let layout = layout_of(path, &dated, options);
                let start = open.heading.lines.start;
                let same = layout.versions.iter().find(|v| v.heading.lines.start == start).ok_or_else(nothing)?;
                with_heading(&layout, same, may_stay, release, options)
            }
        }
    };
    // All that is new: the heading too.
    let same_end = text.iter().rev().zip(folded.changelog.iter().rev()).take_while(|(a, b)| a == b).count();
    let start = text.iter().zip(&folded.changelog).take_while(|(a, b)| a == b).count().min(folded.added.start);
    let below = folded.changelog.len() - folded.added.end;
    folded.added = start..(text.len() - below.min(same_end)).max(start);
    folded.changelog = text;
    Ok(folded)
}

fn see_that_it_is_new(
    path: &[u8],
    before: &[u8],
    format: Format,
    release: Release<'_>,
    options: &FoldOptions<'_>,
) -> Result<(), FoldError> {
    if kind_of(format).is_none() {
        return Ok(());
    }
    let layout = layout_of(path, before, options);
    let same = |v: &&Version| {
        let title = &before[v.heading.title.clone()];
        v.title.version.clone().is_some_and(|at| bare(&lossy(&title[at])) == bare(release.version))
    };
    match layout.released().find(same) {
        Some(there) => Err(FoldError::IsReleased {
            path: lossy(path),
            version: release.version.to_owned(),
            line: line_number(before, there.heading.lines.start),
        }),
        None => Ok(()),
    }
}

fn bare(version: &str) -> &str {
    version.strip_prefix(['v', 'V']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(version)
}

/// The file with a line below the open section's heading that says when it was released, where the file has such lines: as the
/// newest release's is.
fn with_status(layout: &Layout<'_>, open: &Version, release: Release<'_>) -> Option<Vec<u8>> {
    let text = layout.text;
    let like = layout.released().find_map(|v| v.status.as_ref().filter(|status| status.day.is_some()));
    if like.is_none() && open.status.is_none() || open.title.day.is_some() {
        return None;
    }
    let line = match like.and_then(|status| Some((status, status.day.as_ref()?))) {
        Some((status, day)) => {
            let raw = layout.text.get(status.text.clone()).unwrap_or_default();
            replaced(&lossy(raw), vec![(day.range.clone(), written(release.on, day.style))])
        }
        None => format!("Released {}", release.on),
    };
    let (there, around) = match &open.status {
        Some(status) => (status.text.clone(), None),
        None => (open.heading.lines.end..open.heading.lines.end, Some(LineEnd::of(text).as_bytes())),
    };
    let end = around.unwrap_or_default();
    Some([&text[..there.start], end, line.as_bytes(), end, &text[there.end..]].concat())
}

/// The file with the open section's heading replaced.
fn with_heading(
    layout: &Layout<'_>,
    open: &Version,
    may_stay: bool,
    release: Release<'_>,
    options: &FoldOptions<'_>,
) -> Vec<u8> {
    let text = layout.text;
    let end = LineEnd::of(text);
    let raw = layout.shown(&open.heading);
    let title = new_title(layout, open, &raw, release, options);
    let heading = heading_text(&title, open.heading.level, open.heading.form, end);
    // Keep a Changelog leaves an empty section above, to which links at the end lead.
    let named = raw.trim_matches(['[', ']']).eq_ignore_ascii_case("unreleased");
    let link = links(layout).find(|(name, _, _)| named && name.eq_ignore_ascii_case("unreleased"));
    let stays = named && may_stay && (raw.starts_with('[') || link.is_some());
    let mut out = text[..open.heading.lines.start].to_vec();
    if stays {
        out.extend_from_slice(&text[open.heading.lines.clone()]);
        separate(&mut out, 1, end);
    }
    out.extend_from_slice(&heading);
    let below = open.heading.lines.end;
    let Some((_, target, line)) = link.filter(|_| stays) else {
        out.extend_from_slice(&text[below..]);
        return out;
    };
    out.extend_from_slice(&text[below..line.start]);
    let newest = newest_version(layout);
    match compared(&text[target.clone()], newest.as_deref(), bare(release.version)) {
        Some((unreleased, own)) => {
            out.extend_from_slice(&text[line.start..target.start]);
            out.extend_from_slice(&unreleased);
            out.extend_from_slice(end.as_bytes());
            let name = title.split(']').next().unwrap_or_default().trim_start_matches('[');
            if title.starts_with('[') && !links(layout).any(|(other, _, _)| other == name) {
                out.extend_from_slice(&[b"[", name.as_bytes(), b"]: ", &own, end.as_bytes()].concat());
            }
        }
        None => out.extend_from_slice(&text[line.clone()]),
    }
    out.extend_from_slice(&text[line.end..]);
    out
}

/// The heading's text: as the settings say, as that of the newest release, or as what stood there.
fn new_title(
    layout: &Layout<'_>,
    open: &Version,
    raw: &str,
    release: Release<'_>,
    options: &FoldOptions<'_>,
) -> String {
    let day = release.on.to_string();
    let plain = |v: &&Version| {
        let is_yanked = layout.shown(&v.heading).to_lowercase().contains("yanked");
        matches!(v.title.kind, Kind::Version(_)) && !v.title.has_more && !is_yanked
    };
    let named = |v: &&Version| v.title.version.is_some() && v.title.kind != Kind::Other;
    let newest = layout.released().find(|v| plain(v) && named(v));
    // What its settings don't say, the newest release does.
    if let Some(towncrier) = options.towncrier.filter(|towncrier| towncrier.title.is_some() || newest.is_none()) {
        return towncrier.title(bare(release.version), &day).trim().trim_start_matches('#').trim().to_owned();
    }
    if let Some(like) = newest {
        return like_this(&layout.shown(&like.heading), &like.title, release);
    }
    if let (Some(at), Some(remark)) = (&open.title.version, &open.title.remark) {
        let parts = [(at.clone(), as_written(&raw[at.clone()], release.version)), (remark.clone(), day)];
        return replaced(raw, parts.into());
    }
    if open.heading.form == Form::Line {
        let version = bare(release.version);
        let filled = raw.replace("????-??-??", &day).replace("?.?", version).replace("[?]", "[stable]");
        return if filled == raw { format!("Changes in {version}:") } else { filled };
    }
    let version = as_written(raw, release.version);
    match layout.markup {
        Markup::Markdown if raw.starts_with('[') => format!("[{version}] - {day}"),
        Markup::Markdown => format!("{version} - {day}"),
        Markup::Rst => format!("{version} ({day})"),
    }
}

/// The version with or without a `v`, as the other one has it.
fn as_written(like: &str, version: &str) -> String {
    let marked = like.starts_with(['v', 'V']) && like[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.');
    format!("{}{}", if marked { &like[..1] } else { "" }, bare(version))
}

/// Another release's heading with this version and day in it.
fn like_this(raw: &str, title: &Title, release: Release<'_>) -> String {
    let Some(at) = title.version.clone() else { return release.version.to_owned() };
    let old = bare(&raw[at.clone()]);
    let mut parts = vec![(at.clone(), as_written(&raw[at.clone()], release.version))];
    if let Some(day) = &title.day {
        parts.push((day.range.clone(), written(release.on, day.style)));
    }
    // Where the heading leads.
    let target = [("](", ')'), (" <", '>')].into_iter().find_map(|(opens, closes)| {
        let start = raw.find(opens)? + 2;
        Some(start..start + raw[start..].find(closes)?)
    });
    if let Some(target) = target.filter(|t| parts.iter().all(|(p, _)| p.end <= t.start || p.start >= t.end)) {
        let there = &raw[target.clone()];
        let new = match there.rsplit_once("...") {
            Some((from, to)) if to.contains(old) => {
                let start = from.rfind('/').map_or(0, |n| n + 1);
                format!("{}{to}...{}", &from[..start], to.replace(old, bare(release.version)))
            }
            _ => there.replace(old, bare(release.version)),
        };
        parts.push((target, new));
    }
    replaced(raw, parts)
}

fn replaced(raw: &str, mut parts: Vec<(Range<usize>, String)>) -> String {
    parts.sort_by_key(|(at, _)| at.start);
    let (mut out, mut last) = (String::new(), 0);
    for (at, new) in parts {
        out.push_str(raw.get(last..at.start).unwrap_or_default());
        out.push_str(&new);
        last = at.end;
    }
    out.push_str(raw.get(last..).unwrap_or_default());
    out
}

/// The link references at the file's end: name, target and line.
fn links<'l>(layout: &'l Layout<'_>) -> impl Iterator<Item = (String, Range<usize>, Range<usize>)> + 'l {
    let mut at = layout.trailer;
    lines(&layout.text[layout.trailer..]).filter_map(move |line| {
        let start = at;
        at += line.len();
        let shown = trim_end(line);
        let close = memchr::memmem::find(shown, b"]: ").filter(|_| shown.starts_with(b"["))?;
        Some((lossy(&shown[1..close]), start + close + 3..start + shown.len(), start..start + line.len()))
    })
}

fn newest_version(layout: &Layout<'_>) -> Option<String> {
    let newest = layout.released().find_map(|v| Some((v, v.title.version.clone()?)))?;
    Some(bare(&layout.shown(&newest.0.heading)[newest.1]).to_owned())
}

/// Of `…/compare/v1.0...HEAD`: the same from the new version on, and the new version's own.
fn compared(target: &[u8], newest: Option<&str>, version: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let target = std::str::from_utf8(target).ok()?;
    let (from, to) = target.rsplit_once("...")?;
    let start = from.rfind('/')? + 1;
    let (place, old) = from.split_at(start);
    let tag = old.replace(newest.filter(|newest| old.contains(newest))?, version);
    Some((format!("{place}{tag}...{to}").into_bytes(), format!("{place}{old}...{tag}").into_bytes()))
}
