//! The fold: fragments' entries become the newest entries of a ChangeLog, and the fragments go. Pure; touches nothing below the place
//! where it inserts.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fmt;
use std::ops::Range;

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::check::check_fragment;
use crate::complaint::{Complaint, Problem};
use crate::format::{Format, FormatError, detect};
use crate::fragment::{Encoding, Fragment, FragmentKind};
use crate::header::same_header;
use crate::known::Known;
use crate::lines::{blank_head, is_blank, lines, lossy, push_with_line_ends, trim_end};
use crate::log::{ChangeLog, Entry};
use crate::news::{self, Unclear};
use crate::style::Style;
use crate::towncrier::Towncrier;

/// Which date a folded entry gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatePolicy {
    /// The day of the merge.
    #[default]
    Merge,
    /// The author's own.
    Author,
}

/// How a folded entry's lines are indented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndentPolicy {
    /// As the author did.
    #[default]
    Keep,
    /// As the ChangeLog's newest entries are; nothing is re-wrapped.
    Adopt,
}

/// What a fold is told besides the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoldOptions<'a> {
    /// Which date the entries get.
    pub date: DatePolicy,
    /// How they are indented.
    pub indent: IndentPolicy,
    /// The ChangeLog at the branch's merge base, if it is known: what was there then is never taken for a copy of an entry.
    pub base: Option<&'a [u8]>,
    /// The ChangeLog's format, if the project says it; else its path and content show.
    pub format: Option<Format>,
    /// Where an issue is found, `{}` standing for its number.
    pub issue_url: Option<&'a str>,
    /// How towncrier would write it, if the project has settings of it.
    pub towncrier: Option<&'a Towncrier>,
}

/// What a fold gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The ChangeLog with the entries in it.
    pub changelog: Vec<u8>,
    /// Where in `changelog` the new entries stand.
    pub added: Range<usize>,
    /// How many entries were added.
    pub entries: usize,
    /// How many of them (or of those left out) the branch had written into the ChangeLog itself.
    pub lifted: usize,
    /// Entries that the ChangeLog had already.
    pub left_out: Vec<LeftOut>,
    /// The paths of the fragments, to be deleted.
    pub removed: Vec<Vec<u8>>,
    /// What else a person should know.
    pub notes: Vec<Note>,
}

impl Folded {
    /// Whether neither a fragment nor what the branch wrote into the ChangeLog itself tells of anything.
    pub fn tells_nothing(&self) -> bool {
        self.entries == 0 && self.left_out.is_empty()
    }
}

/// An entry that was not added because the ChangeLog has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The fragment's path.
    pub path: String,
    /// The line of the entry in it, from 1.
    pub line: usize,
    /// The entry's header.
    pub header: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: left out, the ChangeLog has it already: {}", self.path, self.line, self.header)
    }
}

/// Something that is no error, but is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Note {
    /// A fragment's local variables or copyright notice were not folded.
    TrailerDropped {
        /// The fragment's path.
        path: String,
    },
    /// A version was released since the branch was begun; its news went under Unreleased all the same.
    ReleasedMeanwhile {
        /// The version's heading.
        version: String,
    },
    /// A release of a ChangeLog that has no headings for versions.
    NoVersionHeadings {
        /// The ChangeLog's path.
        path: String,
    },
    /// A header's date does not exist; the entry got the merge's.
    NoSuchDate {
        /// The fragment's path.
        path: String,
        /// The date as written.
        date: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReleasedMeanwhile { version } => {
                write!(f, "{version} was released since the branch was begun; its news is under Unreleased")
            }
            Self::NoVersionHeadings { path } => {
                write!(f, "{path}: a GNU ChangeLog has no headings for versions: its entries say the day alone")
            }
            Self::TrailerDropped { path } => write!(f, "{path}: what follows the last entry was not folded"),
            Self::NoSuchDate { path, date } => {
                write!(f, "{path}: the date `{date}` does not exist; the merge's was taken")
            }
        }
    }
}

/// Why a fold was not done. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Fragments that cannot be folded, each with its place.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Fragments(Vec<Complaint>),
    /// The branch and mainline changed the same old text of the ChangeLog differently.
    #[error("{path}: {conflicts} old {} changed differently on both sides", if *.conflicts == 1 { "entry was" } else { "entries were" })]
    Conflict {
        /// The ChangeLog's path.
        path: String,
        /// How many conflicts there are.
        conflicts: usize,
        /// The old text as merged, with conflict markers; nothing is folded in it.
        bytes: Vec<u8>,
    },
    /// The ChangeLog's format is not known.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It is not clear which section takes what is not released yet.
    #[error("{path}: {}", told(headings, *why))]
    Unclear {
        /// The ChangeLog's path.
        path: String,
        /// The headings that it hangs on, each with its line.
        headings: Vec<(usize, String)>,
        /// What is wrong with them.
        why: Unclear,
    },
    /// Nothing that could be released.
    #[error("{path}: there is nothing to release: no fragment, and nothing in a section of what is not released yet")]
    NothingToRelease {
        /// The ChangeLog's path.
        path: String,
    },
    /// The version is there.
    #[error("{path}: {version} stands in line {line} already")]
    IsReleased {
        /// The ChangeLog's path.
        path: String,
        /// The version.
        version: String,
        /// Its heading's line.
        line: usize,
    },
    /// A Debian changelog without any stanza: package and version are not known.
    #[error("the Debian changelog has no stanza yet that would name the package")]
    NoStanza,
    /// The branch deletes the ChangeLog.
    #[error("{path}: the branch deletes the ChangeLog")]
    Deleted {
        /// The ChangeLog's path.
        path: String,
    },
}

/// The headings in question and what is wrong with them.
fn told(headings: &[(usize, String)], why: Unclear) -> String {
    let each: Vec<String> = headings.iter().map(|(line, title)| format!("line {line} (`{title}`)")).collect();
    let all = each.join(" and ");
    match why {
        Unclear::Several => format!("{all} each name what is not released yet"),
        Unclear::BelowReleases => format!("{all} names what is not released yet, below versions that are"),
        Unclear::NoDay => format!("{all} names a version without a date, while all others have one: is it released?"),
        Unclear::OldestFirst => format!("the newest version stands last, in {all}, and is released"),
        Unclear::NoVersion => format!("{all} names no version, and may be the newest release"),
    }
}

impl FoldError {
    /// What to do about it; of several complaints, what to do about the first.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Fragments(complaints) => complaints.first().map_or("", |c| c.problem.hint()),
            Self::Conflict { .. } => {
                "merge mainline into the branch and resolve the old entry there; new entries never conflict"
            }
            Self::Format(FormatError::Two { .. }) => {
                "say which it is: `format = \"gnu\"` (or another) in [changelog] of .bb.toml"
            }
            Self::Format(FormatError::None { .. }) => "say its format in [changelog] of .bb.toml, or name another file",
            Self::Unclear { why, .. } => match why {
                Unclear::Several => "leave one of them, above all versions that are released",
                Unclear::BelowReleases => "move it above the newest release, or delete it",
                Unclear::NoDay => "write `(unreleased)` behind it, or its date; or put a heading `Unreleased` above it",
                Unclear::OldestFirst | Unclear::NoVersion => "put a heading `Unreleased` where the news shall go",
            },
            Self::NothingToRelease { .. } => {
                "release what brings fragments, or write the section by hand; `--empty` makes a version of which nothing is said"
            }
            Self::IsReleased { .. } => "name the version that comes next",
            Self::NoStanza => "write the first stanza by hand, for instance with `dch --create`",
            Self::Deleted { .. } => {
                "bring the file back in the branch; if it is to go, delete it on mainline and from `changelog` in .bb.toml"
            }
        }
    }
}

/// Folds the fragments into a ChangeLog (or a new one, if there is none), as merged on the day `on`. The ChangeLog's path counts for its format.
///
/// # Errors
/// [`FoldError::Fragments`] names every fragment that is empty, malformed or has conflict markers; [`FoldError::Format`] if the format shows
/// neither by path nor by content.
pub fn fold(
    path: &[u8],
    changelog: Option<&[u8]>,
    fragments: &[Fragment<'_>],
    on: Date,
    options: &FoldOptions<'_>,
) -> Result<Folded, FoldError> {
    let before = changelog.unwrap_or_default();
    match format_of(path, before, options)? {
        Format::Gnu => fold_incoming(before, fragments, &[], on, options),
        other => news::fold(other, path, before, fragments, Vec::new(), on, options),
    }
}

fn format_of(path: &[u8], bytes: &[u8], options: &FoldOptions<'_>) -> Result<Format, FormatError> {
    options.format.map_or_else(|| detect(path, bytes), Ok)
}

fn fold_incoming(
    before: &[u8],
    fragments: &[Fragment<'_>],
    lifted: &[Incoming<'_>],
    on: Date,
    options: &FoldOptions<'_>,
) -> Result<Folded, FoldError> {
    let log = ChangeLog::parse(before);
    let typed = news::as_gnu(fragments, options);
    let mut plan = Plan::of(before, fragments, &typed, lifted, options)?;
    plan.leave_out_known(&log, options.base);
    let style = Style::of(&log);
    let day = (options.date == DatePolicy::Merge).then_some(on);
    let groups = group(&plan.entries, &style, day, options.indent);
    let (changelog, added) = insert(&log, &groups, &style);
    Ok(Folded {
        changelog,
        added,
        entries: plan.entries.len(),
        lifted: lifted.len(),
        left_out: plan.left_out,
        removed: fragments.iter().map(|f| f.path.to_vec()).collect(),
        notes: plan.notes,
    })
}

/// An entry of a fragment, or one that a branch wrote into the ChangeLog itself.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    path: &'a [u8],
    file: &'a [u8],
    entry: Entry<'a>,
}

impl Incoming<'_> {
    fn moment(&self) -> Option<(Date, Time)> {
        let date = self.entry.date();
        date.day.map(|d| (d, date.time.unwrap_or(Time::MIN)))
    }
}

/// The entries to be added, in the order that they will stand in.
struct Plan<'a> {
    entries: Vec<Incoming<'a>>,
    left_out: Vec<LeftOut>,
    notes: Vec<Note>,
}

impl<'a> Plan<'a> {
    fn of(
        before: &[u8],
        fragments: &[Fragment<'a>],
        typed: &'a [(&'a [u8], Vec<u8>)],
        lifted: &[Incoming<'a>],
        options: &FoldOptions<'_>,
    ) -> Result<Self, FoldError> {
        let encoding = if std::str::from_utf8(before).is_ok() { Encoding::Utf8 } else { Encoding::Bytes };
        let check = |f| check_fragment(f, encoding, options.date);
        let mut wrong: Vec<Complaint> = fragments.iter().flat_map(check).collect();
        let mut notes = Vec::new();
        let mut files: Vec<Vec<Incoming<'a>>> = Vec::with_capacity(fragments.len());
        for fragment in fragments {
            if matches!(fragment.kind, FragmentKind::Typed { .. }) {
                if fragment.author.is_none() {
                    wrong.push(Complaint::at(fragment.path, fragment.bytes, 0, Problem::NoAuthor));
                }
                continue;
            }
            let log = ChangeLog::parse(fragment.bytes);
            if !log.trailer().is_empty() {
                notes.push(Note::TrailerDropped { path: lossy(fragment.path) });
            }
            // Where dates count, this is a complaint already.
            for entry in log.entries().filter(|e| e.date().day.is_none() && options.date == DatePolicy::Merge) {
                let date = lossy(entry.header().date_text);
                notes.push(Note::NoSuchDate { path: lossy(fragment.path), date });
            }
            files.push(
                log.entries().map(|entry| Incoming { path: fragment.path, file: fragment.bytes, entry }).collect(),
            );
        }
        if !wrong.is_empty() {
            return Err(FoldError::Fragments(wrong));
        }
        files.extend(typed.iter().map(|(path, file)| {
            let log = ChangeLog::parse(file);
            log.entries().map(|entry| Incoming { path, file, entry }).collect()
        }));
        files.push(lifted.to_vec());
        let entries = match options.date {
            DatePolicy::Merge => newest_file_first(files),
            DatePolicy::Author => newest_entry_first(&files),
        };
        Ok(Self { entries, left_out: Vec::new(), notes })
    }

    /// Each entry once: not again if the ChangeLog has it, nor if two fragments bring it.
    fn leave_out_known(&mut self, log: &ChangeLog<'_>, base: Option<&[u8]>) {
        let known = match base {
            Some(base) => Some(Known::since(log, &ChangeLog::parse(base))),
            None => {
                let oldest = self.entries.iter().filter_map(|e| e.entry.date().day).min();
                oldest.map(|day| Known::from_day(log, day))
            }
        };
        let mut seen: HashSet<(Vec<u8>, Vec<u8>)> = HashSet::with_capacity(self.entries.len());
        let (entries, left_out) = (std::mem::take(&mut self.entries), &mut self.left_out);
        for incoming in entries {
            let (header, text) = (incoming.entry.header(), incoming.entry.text());
            let is_known = known.as_ref().is_some_and(|k| k.has(&header, text));
            if is_known || !seen.insert((trimmed(incoming.entry.header_bytes()), trimmed(text))) {
                left_out.push(LeftOut {
                    path: lossy(incoming.path),
                    line: crate::lines::line_number(incoming.file, incoming.entry.offset()),
                    header: lossy(trim_end(lines(incoming.entry.header_bytes()).next().unwrap_or_default())),
                });
            } else {
                self.entries.push(incoming);
            }
        }
    }
}

fn trimmed(text: &[u8]) -> Vec<u8> {
    lines(text).flat_map(|l| [trim_end(l), b"\n"]).collect::<Vec<_>>().concat()
}

/// All of a fragment stays together; the fragment with the newest first entry comes first.
fn newest_file_first(mut files: Vec<Vec<Incoming<'_>>>) -> Vec<Incoming<'_>> {
    files.sort_by_key(|file| Reverse(file.first().and_then(Incoming::moment)));
    files.concat()
}

/// Entries of all fragments by their own dates; each fragment's own order stays.
fn newest_entry_first<'a>(files: &[Vec<Incoming<'a>>]) -> Vec<Incoming<'a>> {
    let mut heads: BinaryHeap<_> =
        files.iter().enumerate().filter_map(|(f, file)| Some((file.first()?.moment(), Reverse(f), 0usize))).collect();
    let mut merged = Vec::new();
    while let Some((_, Reverse(f), at)) = heads.pop() {
        merged.push(files[f][at]);
        if let Some(next) = files[f].get(at + 1) {
            heads.push((next.moment(), Reverse(f), at + 1));
        }
    }
    merged
}

/// One header with the texts below it, each ended by a line end, not separated yet.
struct Group {
    header: Vec<u8>,
    texts: Vec<Vec<u8>>,
}

fn group(entries: &[Incoming<'_>], style: &Style, day: Option<Date>, indent: IndentPolicy) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for incoming in entries {
        let header = style.header(incoming.entry.header_bytes(), day);
        let mut text = Vec::with_capacity(incoming.entry.text().len() + 2);
        match indent {
            IndentPolicy::Keep => push_with_line_ends(&mut text, incoming.entry.text(), style.line_end),
            IndentPolicy::Adopt => style.push_indented(&mut text, incoming.entry.text()),
        }
        match groups.last_mut() {
            Some(last) if last.header == header => last.texts.push(text),
            _ => groups.push(Group { header, texts: vec![text] }),
        }
    }
    groups
}

/// The ChangeLog with the groups above its entries, and where they stand.
fn insert(log: &ChangeLog<'_>, groups: &[Group], style: &Style) -> (Vec<u8>, Range<usize>) {
    let bytes = log.bytes();
    let Some((last, others)) = groups.split_last() else { return (bytes.to_vec(), 0..0) };
    let end = style.line_end.as_bytes();
    let size: usize =
        groups.iter().map(|g| g.header.len() + g.texts.iter().map(|t| t.len() + 4).sum::<usize>() + 4).sum();
    let mut out = Vec::with_capacity(bytes.len() + size + 8);
    let mut rest = log.preamble().len();
    out.extend_from_slice(log.preamble());
    open_paragraph(&mut out, end);
    let start = out.len();
    for group in others {
        push_group(&mut out, group, end);
    }
    match log.entry(0).filter(|top| same_header(top.header_bytes(), &last.header)) {
        Some(top) => {
            // The newest entry has this very header: the new text goes under it, above what is there.
            let blank = blank_head(top.body_bytes());
            out.extend_from_slice(top.header_bytes());
            if !out.ends_with(b"\n") {
                out.extend_from_slice(end);
            }
            out.extend_from_slice(if blank > 0 { &top.body_bytes()[..blank] } else { end });
            if !out.ends_with(b"\n") {
                out.extend_from_slice(end);
            }
            rest = top.offset() + top.header_bytes().len() + blank;
            for text in &last.texts {
                out.extend_from_slice(text);
                out.extend_from_slice(end);
            }
        }
        None => push_group(&mut out, last, end),
    }
    let added = start..out.len() - end.len();
    if rest < bytes.len() {
        out.extend_from_slice(&bytes[rest..]);
    } else {
        // Nothing follows: no blank line at the end of the file.
        out.truncate(added.end);
    }
    (out, added)
}

/// Header, blank line, texts, each with a blank line below it.
fn push_group(out: &mut Vec<u8>, group: &Group, end: &[u8]) {
    out.extend_from_slice(&group.header);
    out.extend_from_slice(end);
    for text in &group.texts {
        out.extend_from_slice(text);
        out.extend_from_slice(end);
    }
}

/// Makes what is written so far end in a blank line, if it is not empty.
fn open_paragraph(out: &mut Vec<u8>, end: &[u8]) {
    if out.is_empty() {
        return;
    }
    if !out.ends_with(b"\n") {
        out.extend_from_slice(end);
    }
    let last = memchr::memrchr(b'\n', &out[..out.len() - 1]).map_or(0, |at| at + 1);
    if !is_blank(&out[last..]) {
        out.extend_from_slice(end);
    }
}

mod branch;
#[cfg(test)]
mod tests;

pub use branch::{BranchChangeLog, fold_branch};
