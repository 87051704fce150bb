//! `bb changelog show FILE`

use super::file::ChangelogFile;
use crate::error::CliError;
use crate::print::{self, safe};
use changelog::{Author, ChangeLog, DateStyle, Entry, FoldOptions, Format, Items, VersionSection, versions};
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show a ChangeLog's entries, or the versions of a file that is written by version, or print the file from what was parsed
///
/// What it is shows by the settings of the repository that it stands in, else by its name and content.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb changelog show ChangeLog
  bb changelog show ChangeLog --json | jq '.entries[0].files'
  bb changelog show CHANGELOG.md --json | jq '.versions[0].text'
  bb changelog show ChangeLog --raw | cmp - ChangeLog")]
pub(crate) struct Args {
    /// The ChangeLog
    file: PathBuf,
    /// Print all of it as JSON
    #[arg(long, conflicts_with = "raw")]
    json: bool,
    /// Print the file from its parsed parts: always the same bytes
    #[arg(long)]
    raw: bool,
}

/// An entry as data, written while it is read: it can have a million items. Text that is not UTF-8 has U+FFFD in it; the byte range says
/// where the bytes are.
#[derive(Serialize)]
struct Shown<'a> {
    line: usize,
    start: usize,
    end: usize,
    /// `YYYY-MM-DD`, or null if the date does not exist.
    date: Option<String>,
    time: Option<String>,
    date_as_written: Cow<'a, str>,
    style: DateStyle,
    #[serde(serialize_with = "in_turn")]
    authors: Vec<Author<'a>>,
    note: Option<Cow<'a, str>>,
    #[serde(serialize_with = "files")]
    files: Items<'a>,
    #[serde(serialize_with = "functions")]
    functions: Items<'a>,
    #[serde(serialize_with = "items")]
    items: Items<'a>,
    text: Cow<'a, str>,
}

#[derive(Serialize)]
struct ShownAuthor<'a> {
    name: Cow<'a, str>,
    address: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct ShownItem<'a> {
    files: Vec<Cow<'a, str>>,
    functions: Vec<Cow<'a, str>>,
    text: Cow<'a, str>,
}

fn in_turn<S: Serializer>(authors: &[Author<'_>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(authors.iter().map(|a| ShownAuthor { name: text(a.name), address: a.bare_address().map(text) }))
}

fn files<S: Serializer>(all: &Items<'_>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(each_once(all, |item| item.files))
}

fn functions<S: Serializer>(all: &Items<'_>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(each_once(all, |item| item.functions))
}

fn items<S: Serializer>(all: &Items<'_>, to: S) -> Result<S::Ok, S::Error> {
    let mut seq = to.serialize_seq(None)?;
    for item in all.clone() {
        let texts = |all: &[Vec<u8>]| all.iter().map(|t| Cow::Owned(text(t).into_owned())).collect();
        let words = item.words();
        seq.serialize_element(&ShownItem {
            files: texts(&item.files),
            functions: texts(&item.functions),
            text: text(&words),
        })?;
    }
    seq.end()
}

/// The names of all items, without those that came before.
fn each_once<'a>(all: &Items<'a>, of: fn(changelog::Item<'a>) -> Vec<Vec<u8>>) -> impl Iterator<Item = String> {
    let hasher = RandomState::new();
    let mut seen = HashSet::new();
    // Of each name only its hash is kept.
    all.clone().flat_map(of).filter(move |name| seen.insert(hasher.hash_one(name))).map(|name| text(&name).into_owned())
}

/// A version as data.
#[derive(Serialize)]
struct ShownVersion<'a> {
    #[serde(flatten)]
    section: &'a VersionSection,
    text: Cow<'a, str>,
}

/// A file that is written by version.
#[derive(Serialize)]
struct ShownVersions<'a> {
    format: Format,
    versions: Vec<ShownVersion<'a>>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let file = ChangelogFile::read(&args.file)?;
    let format = match (file.format(), args.raw) {
        (Ok(format), _) => format,
        // Whatever it is, it can be given back.
        (Err(_), true) => Format::Gnu,
        (Err(error), false) => {
            let error = changelog::FoldError::from(error);
            return Err(CliError::new(safe(&error.to_string())).hint(error.hint()));
        }
    };
    let written = if args.raw {
        print::out_bytes(&ChangeLog::parse(&file.bytes).print()).map(|()| Ok(()))?
    } else if format == Format::Gnu {
        let log = ChangeLog::parse(&file.bytes);
        if args.json { as_json(&log) } else { as_list(&log) }
    } else {
        let path = file.place.path.as_bytes();
        let options = FoldOptions { format: Some(format), ..file.place.fold_options() };
        let all = versions(path, &file.bytes, &options).map_err(|e| CliError::new(safe(&e.to_string())))?;
        if args.json {
            versions_as_json(format, &all, &file.bytes)?;
        } else {
            print::out(&versions_as_list(&all))?;
        }
        Ok(())
    };
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn versions_as_json(format: Format, all: &[VersionSection], bytes: &[u8]) -> Result<(), CliError> {
    let shown = |section| ShownVersion { section, text: text(body_of(section, bytes)) };
    let versions = all.iter().map(shown).collect();
    let json = serde_json::to_string_pretty(&ShownVersions { format, versions })?;
    print::out(&format!("{json}\n"))
}

fn body_of<'b>(section: &VersionSection, bytes: &'b [u8]) -> &'b [u8] {
    bytes.get(section.body.clone()).unwrap_or_default().trim_ascii()
}

/// A line for each version: its day, and its heading.
fn versions_as_list(all: &[VersionSection]) -> String {
    let day = |v: &VersionSection| match (v.date, v.released) {
        (Some(day), true) => day.to_string(),
        (None, true) => "no date".to_owned(),
        (_, false) => "unreleased".to_owned(),
    };
    all.iter().map(|v| format!("{:<10}  {}\n", day(v), safe(&v.heading))).collect()
}

/// One entry after the other, so that a file of 100 MB needs no second copy as JSON.
fn as_json(log: &ChangeLog<'_>) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    write!(out, "{{\n\"preamble\": ")?;
    serde_json::to_writer(&mut out, &text(log.preamble()))?;
    write!(out, ",\n\"entries\": [")?;
    let (mut line, mut counted) = (1, 0);
    for (n, entry) in log.entries().enumerate() {
        line += newlines(&log.bytes()[counted..entry.offset()]);
        counted = entry.offset();
        out.write_all(if n == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, &shown(&entry, line))?;
    }
    write!(out, "\n],\n\"trailer\": ")?;
    serde_json::to_writer(&mut out, &text(log.trailer()))?;
    writeln!(out, "\n}}")?;
    out.flush()
}

/// A line for each entry: date, authors, files.
fn as_list(log: &ChangeLog<'_>) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for entry in log.entries() {
        let header = entry.header();
        let date = header.date.day.map_or_else(|| text(header.date_text).into_owned(), |day| day.to_string());
        write!(out, "{}  ", safe(&date))?;
        for (n, author) in header.authors.iter().enumerate() {
            write!(out, "{}{}", if n == 0 { "" } else { ", " }, safe(&text(author.name)))?;
        }
        out.write_all(b"  ")?;
        for (n, file) in each_once(&entry.items(), |item| item.files).enumerate() {
            write!(out, "{}{}", if n == 0 { "" } else { " " }, safe(&file))?;
        }
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn shown<'a>(entry: &Entry<'a>, line: usize) -> Shown<'a> {
    let header = entry.header();
    Shown {
        line,
        start: entry.offset(),
        end: entry.offset() + entry.bytes().len(),
        date: header.date.day.map(|d| d.to_string()),
        time: header.date.time.map(|t| t.to_string()),
        date_as_written: text(header.date_text),
        style: header.date.style,
        authors: header.authors,
        note: header.note.map(text),
        files: entry.items(),
        functions: entry.items(),
        items: entry.items(),
        text: text(entry.text()),
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}
