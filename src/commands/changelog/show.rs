//! `bb changelog show FILE`

use crate::error::CliError;
use crate::print::{self, safe};
use changelog::{ChangeLog, DateStyle, Entry};
use serde::Serialize;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show a ChangeLog's entries as data, or print the file from what was parsed
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bb changelog show ChangeLog
  bb changelog show ChangeLog --json | jq '.entries[0].files'
  bb changelog show ChangeLog --raw | cmp - ChangeLog")]
pub(crate) struct Args {
    /// The ChangeLog
    file: PathBuf,
    /// Print all entries as JSON
    #[arg(long, conflicts_with = "raw")]
    json: bool,
    /// Print the file from its parsed parts: always the same bytes
    #[arg(long)]
    raw: bool,
}

/// An entry as data. Text that is not UTF-8 has U+FFFD in it; the byte range says where the bytes are.
#[derive(Serialize)]
struct Shown {
    line: usize,
    start: usize,
    end: usize,
    /// `YYYY-MM-DD`, or null if the date does not exist.
    date: Option<String>,
    time: Option<String>,
    date_as_written: String,
    style: DateStyle,
    authors: Vec<Author>,
    note: Option<String>,
    files: Vec<String>,
    functions: Vec<String>,
    items: Vec<Item>,
    text: String,
}

#[derive(Serialize)]
struct Author {
    name: String,
    address: Option<String>,
}

#[derive(Serialize)]
struct Item {
    files: Vec<String>,
    functions: Vec<String>,
    text: String,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, CliError> {
    let bytes = std::fs::read(&args.file).map_err(|e| {
        CliError::new(format!("{}: {e}", args.file.display())).hint("name a ChangeLog that can be read")
    })?;
    let log = ChangeLog::parse(&bytes);
    let written = if args.raw {
        print::out_bytes(&log.print()).map(|()| Ok(()))?
    } else if args.json {
        as_json(&log)
    } else {
        as_list(&log)
    };
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// One entry after the other, so that a file of 100 MB needs no second copy as JSON.
fn as_json(log: &ChangeLog<'_>) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let string = |bytes: &[u8]| serde_json::to_string(&text(bytes));
    write!(out, "{{\n\"preamble\": {},\n\"entries\": [", string(log.preamble())?)?;
    let (mut line, mut counted) = (1, 0);
    for (n, entry) in log.entries().enumerate() {
        line += newlines(&log.bytes()[counted..entry.offset()]);
        counted = entry.offset();
        out.write_all(if n == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, &shown(&entry, line))?;
    }
    writeln!(out, "\n],\n\"trailer\": {}\n}}", string(log.trailer())?)?;
    out.flush()
}

/// A line for each entry: date, authors, files.
fn as_list(log: &ChangeLog<'_>) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for entry in log.entries() {
        let shown = shown(&entry, 0);
        let names: Vec<&str> = shown.authors.iter().map(|a| a.name.as_str()).collect();
        let date = shown.date.as_deref().unwrap_or(&shown.date_as_written);
        writeln!(out, "{}  {}  {}", safe(date), safe(&names.join(", ")), safe(&shown.files.join(" ")))?;
    }
    out.flush()
}

fn shown(entry: &Entry<'_>, line: usize) -> Shown {
    let header = entry.header();
    let texts = |all: &[Vec<u8>]| all.iter().map(|t| text(t)).collect::<Vec<_>>();
    let items: Vec<Item> = entry
        .items()
        .iter()
        .map(|i| Item { files: texts(&i.files), functions: texts(&i.functions), text: text(&i.words()) })
        .collect();
    let all = |of: fn(&Item) -> &Vec<String>| {
        let mut all: Vec<String> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        all.extend(items.iter().flat_map(of).filter(|name| seen.insert(name.as_str())).cloned());
        all
    };
    Shown {
        line,
        start: entry.offset(),
        end: entry.offset() + entry.bytes().len(),
        date: header.date.day.map(|d| d.to_string()),
        time: header.date.time.map(|t| t.to_string()),
        date_as_written: text(header.date_text),
        style: header.date.style,
        authors: header
            .authors
            .iter()
            .map(|a| Author { name: text(a.name), address: a.bare_address().map(text) })
            .collect(),
        note: header.note.map(text),
        files: all(|i| &i.files),
        functions: all(|i| &i.functions),
        text: text(entry.text()),
        items,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}
