//! The fold: fragments' entries become the newest entries of a ChangeLog, and the fragments go. Pure; touches nothing below the place
//! where it inserts.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::civil::{Date, Time};

use crate::check::check_fragment;
use crate::complaint::{Complaint, Problem};
use crate::detect::detect;
use crate::folded::{DatePolicy, FoldError, FoldOptions, Folded, IndentPolicy, LeftOut, Note};
use crate::format::{Format, FormatError};
use crate::fragment::{Encoding, Fragment, FragmentKind};
use crate::header::same_header;
use crate::known::Known;
use crate::lines::{LineCounter, blank_head, is_blank, lines, lossy, mark_len, push_with_line_ends, trim_end};
use crate::log::{ChangeLog, Entry};
use crate::news;
use crate::style::Style;

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
            let path: Arc<str> = lossy(fragment.path).into();
            // Where dates count, this is a complaint already.
            for entry in log.entries().filter(|e| e.date().day.is_none() && options.date == DatePolicy::Merge) {
                let date = lossy(entry.header().date_text);
                notes.push(Note::NoSuchDate { path: path.clone(), date });
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
        let mut known = match base {
            Some(base) => Some(Known::since(log, &ChangeLog::parse(base))),
            None => {
                let oldest = self.entries.iter().filter_map(|e| e.entry.date().day).min();
                oldest.map(|day| Known::from_day(log, day))
            }
        };
        let mut seen: HashSet<(Vec<u8>, Vec<u8>)> = HashSet::with_capacity(self.entries.len());
        let (entries, left_out) = (std::mem::take(&mut self.entries), &mut self.left_out);
        // Of one file they come in their order.
        let mut files: HashMap<(*const u8, *const u8), (Arc<str>, LineCounter<'_>)> = HashMap::new();
        for incoming in entries {
            let (header, text) = (incoming.entry.header(), incoming.entry.text());
            let is_known = known.as_mut().is_some_and(|k| k.has(&header, text));
            if is_known || !seen.insert((trimmed(incoming.entry.header_bytes()), trimmed(text))) {
                let file = (incoming.path.as_ptr(), incoming.file.as_ptr());
                let (path, counter) =
                    files.entry(file).or_insert_with(|| (lossy(incoming.path).into(), LineCounter::new(incoming.file)));
                left_out.push(LeftOut {
                    path: path.clone(),
                    line: counter.line(incoming.entry.offset()),
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
    if out.len() == mark_len(out) {
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
