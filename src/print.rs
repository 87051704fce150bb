//! Printing: tables for people, JSON for programs, colour only where it is wanted.

use crate::error::CliError;
use comfy_table::{ContentArrangement, Table, presets};
use protocol::UnixMs;
use protocol::api::Look;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};

/// How a listing is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Format {
    /// Print JSON, as the API has it
    #[arg(long)]
    pub(crate) json: bool,
}

impl Format {
    /// Prints a value: as JSON, or as people read it.
    pub(crate) fn print<T: Serialize>(self, value: &T, human: impl FnOnce(&T) -> String) -> Result<(), CliError> {
        if self.json { out(&format!("{}\n", serde_json::to_string_pretty(value)?)) } else { out(&human(value)) }
    }
}

/// Writes to standard output. A reader that went away, as `head` does, is no error.
pub(crate) fn out(text: &str) -> Result<(), CliError> {
    out_bytes(text.as_bytes())
}

/// The same for bytes.
pub(crate) fn out_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done?),
    }
}

/// Whether to colour what goes to standard output: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A word in the colour of a look.
pub(crate) fn look(look: Look, word: &str) -> String {
    let code = match look {
        Look::Passed | Look::Landed | Look::Accepted => "32",
        Look::Failed | Look::Conflict => "31",
        Look::Warnings | Look::Exception => "33",
        Look::Running => "34",
        Look::Waiting | Look::Skipped | Look::Cancelled | Look::Retired => "2",
    };
    if coloured() { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
}

/// A table without lines, as wide as the terminal.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head.iter().map(|h| h.to_uppercase()));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}

/// How long ago, roughly.
pub(crate) fn ago(at: UnixMs) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis());
    let seconds = (i64::try_from(now).unwrap_or(i64::MAX) - at.0).max(0) / 1000;
    match seconds {
        0..=59 => format!("{seconds} s ago"),
        60..=3599 => format!("{} min ago", seconds / 60),
        3600..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A text for a terminal: what could steer it is shown as U+FFFD.
pub(crate) fn safe(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}
