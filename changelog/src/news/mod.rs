//! The fold into files that are written by version, not by date: Keep a Changelog, Debian, towncrier's news, a plain NEWS. New text goes
//! under the version that is not released yet, and never anywhere else.

mod bullets;
mod days;
mod debian;
mod headings;
mod insert;
mod keep;
mod layout;
mod outline;
mod parts;
mod release;
mod sections;
mod title;
mod version;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use jiff::civil::Date;

use crate::check::check_fragment;
use crate::complaint::Complaint;
use crate::folded::{DatePolicy, FoldError, FoldOptions, Folded, LeftOut, Note};
use crate::format::Format;
use crate::fragment::{Encoding, Fragment, FragmentAuthor, FragmentKind};
use crate::lines::{LineCounter, LineEnd, lines, lossy, trim, trim_end, without_blank_lines};
use crate::log::ChangeLog;
use crate::steps;

use headings::bullet;
use insert::{Kind, Links};
pub(crate) use keep::{is_keep, merge as merge_keep};
use layout::Layout;
pub(crate) use layout::has_versions;
pub use release::{Nothing, Release, release};
pub use sections::versions;
pub use version::VersionSection;

/// One piece of news. What many pieces have alike is shared: how long it is, and how many they are, a stranger chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// The heading it goes under: `Added`, `Fixed`.
    heading: Rc<str>,
    /// The part of the project that it is about, where towncrier's settings name some.
    section: Option<String>,
    /// Its lines, without a bullet and without the indent that the bullet makes.
    lines: Vec<Vec<u8>>,
    /// The issues it is about.
    issues: Vec<String>,
    /// Who wrote it.
    author: Option<Rc<FragmentAuthor>>,
    /// The file's path, as it is shown.
    path: Arc<str>,
    /// Which of the fragments it is of.
    fragment: Option<usize>,
    line: usize,
}

impl News {
    /// Which heading it is, not what it says: one that is shared need not be read for each piece.
    fn which_heading(&self) -> *const u8 {
        Rc::as_ptr(&self.heading).cast()
    }

    fn left_out(&self) -> LeftOut {
        LeftOut {
            path: self.path.clone(),
            line: self.line,
            header: self.lines.first().map_or(String::new(), |l| lossy(l)),
        }
    }
}

/// What a file's format does with news: the file with them in it.
struct Placed {
    bytes: Vec<u8>,
    added: std::ops::Range<usize>,
    left_out: Vec<LeftOut>,
    entries: usize,
}

/// Folds fragments (and news lifted out of the file itself) into a file of this format.
pub(crate) fn fold(
    format: Format,
    path: &[u8],
    before: &[u8],
    fragments: &[Fragment<'_>],
    lifted: Vec<News>,
    on: Date,
    options: &FoldOptions<'_>,
) -> Result<Folded, FoldError> {
    let count = lifted.len();
    let mut news = news_of(before, fragments)?;
    news.extend(lifted);
    let mut news = with_all_issues(news);
    let mut twice = Vec::new();
    let mut seen: HashSet<(*const u8, Vec<Vec<u8>>)> = HashSet::with_capacity(news.len());
    news.retain(|n| {
        let is_new = seen.insert((n.which_heading(), n.lines.clone()));
        if !is_new {
            twice.push(n.left_out());
        }
        is_new
    });
    let end = LineEnd::of(before);
    let placed = match kind_of(format) {
        None => {
            // Debian's tools know issues by their numbers alone.
            let plain = FoldOptions { issue_url: None, ..*options };
            debian::insert(before, &news, end, on, &Links { markup: headings::Markup::Markdown, options: &plain })?
        }
        Some(kind) => insert::insert(path, &layout_of(path, before, options), &news, end, kind, options)?,
    };
    let mut notes: Vec<Note> = Vec::new();
    if format == Format::KeepAChangelog
        && let Some(base) = options.base
        && placed.entries > 0
        && let Some(version) =
            insert::released_since(&layout_of(path, base, options), &layout_of(path, before, options))
    {
        notes.push(Note::ReleasedMeanwhile { version });
    }
    Ok(Folded {
        changelog: placed.bytes,
        added: placed.added,
        entries: placed.entries,
        lifted: count,
        left_out: [placed.left_out, twice].concat(),
        removed: fragments.iter().map(|f| f.path.to_vec()).collect(),
        notes,
    })
}

/// What kind of file written by version it is; none for Debian's, which has rules of its own.
fn kind_of(format: Format) -> Option<Kind> {
    match format {
        Format::KeepAChangelog | Format::Gnu => Some(Kind::Keep),
        Format::Towncrier => Some(Kind::Towncrier),
        Format::News => Some(Kind::News),
        Format::Debian => None,
    }
}

/// A file's sections, of which those count that stand below the mark, if there is one.
fn layout_of<'a>(path: &[u8], text: &'a [u8], options: &FoldOptions<'_>) -> Layout<'a> {
    let own = options.towncrier.and_then(|t| t.start.as_deref()).map(|start| start.trim_end_matches(['\n', '\r']));
    let top = match own.filter(|start| !start.is_empty()) {
        Some(start) => memchr::memmem::find(text, start.as_bytes()).map(|at| at + start.len()),
        None => memchr::memmem::find(text, b"towncrier release notes start"),
    };
    let line_end = |at: usize| memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |n| at + n + 1);
    Layout::of(path, text, top.map_or(0, line_end))
}

/// What a branch did to the file itself: the news that it added, and the file without them.
pub(crate) fn lift(
    format: Format,
    path: &[u8],
    base: &[u8],
    branch: &[u8],
    options: &FoldOptions<'_>,
) -> (Vec<News>, Vec<u8>) {
    match kind_of(format) {
        Some(_) => bullets::lift(path, &layout_of(path, base, options), &layout_of(path, branch, options)),
        None => (Vec::new(), branch.to_vec()),
    }
}

fn news_of(before: &[u8], fragments: &[Fragment<'_>]) -> Result<Vec<News>, FoldError> {
    let encoding = if std::str::from_utf8(before).is_ok() { Encoding::Utf8 } else { Encoding::Bytes };
    // News has no dates of its own.
    let check = |f| check_fragment(f, encoding, DatePolicy::Merge);
    let wrong: Vec<Complaint> = fragments.iter().flat_map(check).collect();
    if !wrong.is_empty() {
        return Err(FoldError::Fragments(wrong));
    }
    Ok(fragments
        .iter()
        .enumerate()
        .flat_map(|(n, fragment)| match &fragment.kind {
            FragmentKind::Gnu => of_entries(fragment),
            FragmentKind::Typed { name, heading, section } => of_text((n, fragment), name, heading, section.as_ref()),
        })
        .collect())
}

/// Each item of a GNU fragment is a piece of news, without a type of its own.
fn of_entries(fragment: &Fragment<'_>) -> Vec<News> {
    let mut all = Vec::new();
    let (heading, path): (Rc<str>, Arc<str>) = ("Changed".into(), lossy(fragment.path).into());
    let mut counter = LineCounter::new(fragment.bytes);
    for entry in ChangeLog::parse(fragment.bytes).entries() {
        let line = counter.line(entry.offset());
        let header = entry.header();
        let author = header.authors.first().map(|a| {
            Rc::new(FragmentAuthor {
                name: a.name.to_vec(),
                mail: a.bare_address().unwrap_or_default().to_vec(),
                day: header.date.day.unwrap_or_default(),
            })
        });
        for item in entry.items() {
            let mut text = item.files.join(&b", "[..]);
            if !item.functions.is_empty() {
                text.extend_from_slice(b" (");
                text.extend_from_slice(&item.functions.join(&b", "[..]));
                text.push(b')');
            }
            let words = item.words();
            if !text.is_empty() && !words.is_empty() {
                text.extend_from_slice(b": ");
            }
            text.extend_from_slice(&words);
            all.push(News {
                heading: heading.clone(),
                section: None,
                lines: vec![text],
                issues: Vec::new(),
                author: author.clone(),
                path: path.clone(),
                fragment: None,
                line,
            });
        }
    }
    all
}

/// A typed fragment is one piece of news; or several, if each starts with a bullet.
fn of_text((n, fragment): (usize, &Fragment<'_>), name: &[u8], heading: &str, section: Option<&String>) -> Vec<News> {
    let author = fragment.author.clone().map(Rc::new);
    let (heading, path): (Rc<str>, Arc<str>) = (heading.into(), lossy(fragment.path).into());
    let mut counter = LineCounter::new(fragment.bytes);
    paragraphs(without_blank_lines(fragment.bytes))
        .into_iter()
        .map(|(offset, lines)| News {
            heading: heading.clone(),
            section: section.cloned(),
            lines,
            issues: fragment.issue(name).into_iter().collect(),
            author: author.clone(),
            path: path.clone(),
            fragment: Some(n),
            line: counter.line(offset),
        })
        .collect()
}

/// The items of a list that starts at column 0, without their bullets; any other text is one piece.
fn paragraphs(text: &[u8]) -> Vec<(usize, Vec<Vec<u8>>)> {
    let at_margin = |line: &[u8]| bullet(line).filter(|_| line[0] != b' ');
    let is_list = at_margin(text).is_some();
    let mut all: Vec<(usize, Vec<Vec<u8>>)> = Vec::new();
    let (mut at, mut wide) = (0, 0);
    for line in lines(text) {
        let shown = trim_end(line);
        match (at_margin(line).filter(|_| is_list), all.last_mut()) {
            (Some(prefix), _) => {
                wide = prefix;
                all.push((at, vec![shown.get(prefix..).unwrap_or_default().to_vec()]));
            }
            (None, Some((_, last))) => last.push(unindented(shown, wide)),
            (None, None) => all.push((at, vec![shown.to_vec()])),
        }
        at += line.len();
    }
    for (_, lines) in &mut all {
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
    }
    all.retain(|(_, lines)| !lines.is_empty());
    all
}

/// Without the blanks that a bullet makes.
fn unindented(line: &[u8], wide: usize) -> Vec<u8> {
    let blanks = line.iter().take(wide).take_while(|&&b| b == b' ').count();
    line[blanks..].to_vec()
}

/// Headings that say the same are the same, so that which one it is says what it says.
fn with_shared_headings(news: &mut [News]) {
    let mut known: HashMap<*const u8, Rc<str>> = HashMap::new();
    let mut said: HashSet<Rc<str>> = HashSet::new();
    for one in news {
        let shared = known.entry(one.which_heading()).or_insert_with(|| {
            steps::count(one.heading.len() / 64);
            said.get(&one.heading).cloned().unwrap_or_else(|| {
                said.insert(one.heading.clone());
                one.heading.clone()
            })
        });
        one.heading = shared.clone();
    }
}

/// The same words for several issues are one piece of news about all of them; headings are shared from then on.
fn with_all_issues(mut news: Vec<News>) -> Vec<News> {
    with_shared_headings(&mut news);
    let mut all: Vec<News> = Vec::with_capacity(news.len());
    let mut places: HashMap<(*const u8, Vec<Vec<u8>>), usize> = HashMap::new();
    let mut about: HashSet<(usize, String)> = HashSet::new();
    for one in news {
        let key = (one.which_heading(), one.lines.clone());
        match places.get(&key) {
            Some(&at) if !one.issues.is_empty() && !all[at].issues.is_empty() && all[at].issues != one.issues => {
                let new = one.issues.into_iter().filter(|issue| about.insert((at, issue.clone())));
                all[at].issues.extend(new);
            }
            _ => {
                places.insert(key, all.len());
                about.extend(one.issues.iter().map(|issue| (all.len(), issue.clone())));
                all.push(one);
            }
        }
    }
    all
}

/// Appends a bullet with its lines; or the lines alone.
fn push_bullet(out: &mut Vec<u8>, bullet: &[u8], lines: &[Vec<u8>], bare: bool, end: LineEnd) {
    let indent = vec![b' '; bullet.len()];
    for (n, line) in lines.iter().enumerate() {
        if !line.is_empty() {
            out.extend_from_slice(if bare {
                b""
            } else if n == 0 {
                bullet
            } else {
                &indent
            });
            out.extend_from_slice(line);
        }
        out.extend_from_slice(end.as_bytes());
    }
}

/// The words of a piece of news up to its first blank line, to compare by.
fn words<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    lines.into_iter().map(|l| trim(trim_end(l))).take_while(|l| !l.is_empty()).collect::<Vec<_>>().join(&b' ')
}

/// Typed fragments as entries of a GNU ChangeLog: each path with the entry's text, headed by who committed the fragment.
pub(crate) fn as_gnu<'a>(fragments: &[Fragment<'a>], options: &FoldOptions<'_>) -> Vec<(&'a [u8], Vec<u8>)> {
    let links = Links { markup: headings::Markup::Markdown, options };
    let typed = fragments.iter().enumerate().filter_map(|(n, f)| match &f.kind {
        FragmentKind::Typed { name, heading, section } => Some(of_text((n, f), name, heading, section.as_ref())),
        FragmentKind::Gnu => None,
    });
    with_all_issues(typed.flatten().collect())
        .into_iter()
        .filter_map(|news| {
            let author = news.author.as_ref()?;
            let mut text = format!("{}  ", author.day).into_bytes();
            text.extend_from_slice(&[&author.name[..], b"  <", &author.mail, b">\n\n"].concat());
            for (n, line) in links.text(&news).iter().enumerate() {
                if !line.is_empty() {
                    text.extend_from_slice(if n == 0 { b"\t* " } else { b"\t" });
                    text.extend_from_slice(line);
                }
                text.push(b'\n');
            }
            Some((fragments.get(news.fragment?)?.path, text))
        })
        .collect()
}

#[cfg(test)]
mod status_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wild_tests;
