//! Printing: tables for people, JSON for programs, colour only where it is wanted.

use crate::error::CliError;
pub(crate) use crate::text::{safe, word};
use comfy_table::{Attribute, Color, ContentArrangement, Table, presets};
use protocol::UnixMs;
use protocol::api::Look;
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};
use tracker::text::is_hidden;

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

/// A cell of a table: a text, and how it looks if that says something. Colour is the table's work: a code within the text
/// would count as width.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    look: Option<Look>,
}

impl Cell {
    /// A text in the colour of a look.
    pub(crate) fn of(look: Look, text: impl Into<String>) -> Self {
        Self { text: text.into(), look: Some(look) }
    }

    fn painted(self) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(self.text);
        match self.look {
            None => cell,
            Some(Look::Passed | Look::Landed | Look::Accepted) => cell.fg(Color::DarkGreen),
            Some(Look::Failed | Look::Conflict) => cell.fg(Color::DarkRed),
            Some(Look::Warnings | Look::Exception) => cell.fg(Color::DarkYellow),
            Some(Look::Running) => cell.fg(Color::DarkBlue),
            Some(Look::Waiting | Look::Skipped | Look::Cancelled | Look::Retired) => cell.add_attribute(Attribute::Dim),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, look: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

/// The mark of what changes how the project is built; the same in every listing.
pub(crate) fn changes_recipe(changes: bool) -> Cell {
    if changes { Cell::of(Look::Warnings, "changed") } else { Cell::from("") }
}

/// A table without lines, as wide as the terminal. Where no column could hold its longest word, each row is a block.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<Cell>>) -> String {
    table_in(head, rows, Table::new().width(), coloured())
}

/// The same for a terminal of so many columns, or for no terminal.
fn table_in(head: &[&str], rows: Vec<Vec<Cell>>, width: Option<u16>, coloured: bool) -> String {
    const GAP: usize = 2;
    let head: Vec<String> = head.iter().map(|word| word.to_uppercase()).collect();
    let longest = |text: &str| text.split_whitespace().map(columns).max().unwrap_or(0);
    let least = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| longest(&cell.text));
        cells.chain([longest(&head[column])]).max().unwrap_or(0) + GAP
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if coloured {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if let Some(width) = width {
        table.set_width(width);
    }
    if width.is_some_and(|width| (0..head.len()).map(least).sum::<usize>() > usize::from(width)) {
        for (number, row) in rows.into_iter().enumerate() {
            if number > 0 {
                table.add_row([""]);
            }
            table.add_rows(
                head.iter().zip(row).map(|(word, cell)| vec![Cell::from(word.as_str()).painted(), cell.painted()]),
            );
        }
    } else {
        table.set_header(head);
        table.add_rows(rows.into_iter().map(|row| row.into_iter().map(Cell::painted).collect::<Vec<_>>()));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, u16::try_from(GAP).unwrap_or(0)));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}

/// How many columns of a terminal a text takes.
fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
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

#[cfg(test)]
mod tests {
    use super::{Cell, table_in};
    use protocol::api::Look;

    fn branches() -> Vec<Vec<Cell>> {
        let row = |name: &str, look, state: &str, next: &str| {
            vec![name.into(), Cell::of(look, state), next.into(), "r1".into(), "2 min ago".into()]
        };
        vec![
            row("load-balancing", Look::Passed, "ready", "a maintainer accepts r1"),
            row("漢字-branch", Look::Failed, "fails linux", "Ines mends step test of linux"),
            row("x", Look::Waiting, "waiting for lock vm", "bb starts linux"),
        ]
    }

    const HEAD: [&str; 5] = ["name", "state", "next", "revision", "changed"];

    #[test]
    fn tables_fit_and_are_never_torn() {
        let shown = [40, 80, 200].map(|width| table_in(&HEAD, branches(), Some(width), false));
        insta::assert_snapshot!(shown.join("\n----\n"));
    }

    #[test]
    fn colours_take_no_room() {
        for width in [20, 40, 60, 80, 120, 200] {
            let plain = table_in(&HEAD, branches(), Some(width), false);
            let coloured = table_in(&HEAD, branches(), Some(width), true);
            assert_ne!(plain, coloured);
            let mut bare = super::super::terminal::Harmless::new(false);
            let bare = bare.push(coloured.as_bytes());
            let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
            assert_eq!(lines(&bare), lines(&plain), "at {width}");
            assert!(width < 40 || plain.lines().all(|line| super::columns(line) <= usize::from(width)), "{plain}");
        }
    }
}
