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
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Format {
    /// Prints a value: as JSON, or as people read it.
    pub(crate) fn print<T: Serialize>(self, value: &T, human: impl FnOnce(&T) -> String) -> Result<(), CliError> {
        if self.json { json(value) } else { out(&human(value)) }
    }
}

/// Prints a value as JSON. What could steer a terminal is written as JSON's own escapes, which mean the same.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<(), CliError> {
    let mut text = String::new();
    for c in serde_json::to_string_pretty(value)?.chars() {
        if c != '\n' && is_hidden(c) {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            text.push(c);
        }
    }
    out(&format!("{text}\n"))
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
    text.chars().map(|c| if !matches!(c, '\n' | '\t') && is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// A word as a shell takes it back whole: in quotes if it needs them.
pub(crate) fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Whether a character steers a terminal, or changes how others are read.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{safe, word};

    #[test]
    fn a_shell_takes_a_word_back_whole() {
        assert_eq!(word("/home/ann/x-1.token"), "/home/ann/x-1.token");
        assert_eq!(word("/home/ann o'x/$t"), "'/home/ann o'\\''x/$t'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn names_steer_no_terminal() {
        assert_eq!(
            safe("a\x1b[2Jb\u{9b}c\u{202e}d\u{61c}\u{2028}e\n\tf"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}\u{fffd}e\n\tf"
        );
        assert_eq!(safe("Grüße, 日本 \u{2764}\u{fe0f}"), "Grüße, 日本 \u{2764}\u{fe0f}");
    }
}
