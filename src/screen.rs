//! What text for people is shown on: how wide it is, and whether it has colours. All that depends on that is written here, so
//! that nothing is torn: a table that would not fit is a block for each row, and a sentence is broken between its words.

use comfy_table::{Attribute, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};
use protocol::api::Look;
use std::io::IsTerminal as _;

/// Columns between those of a table.
const GAP: usize = 2;

/// The widest that a column is made in a pipe, in columns of a terminal. What is longer pushes what follows in its own line only.
const WIDEST: usize = 48;

/// Lines that a row of a table may take on the average before rows are blocks.
const MOST_LINES: usize = 3;

/// What standard output is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// How many columns it has; none where nobody looks at it, as in a pipe.
    width: Option<u16>,
    coloured: bool,
}

impl Screen {
    /// Standard output as it is: colours only on a terminal, and not where `NO_COLOR` is set.
    pub(crate) fn of_output() -> Self {
        let wants = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { width: Table::new().width(), coloured: std::io::stdout().is_terminal() && wants }
    }

    /// Standard error, for words alone.
    pub(crate) fn of_errors() -> Self {
        Self { width: Table::new().use_stderr().width(), coloured: false }
    }

    #[cfg(test)]
    pub(crate) const fn new(width: Option<u16>, coloured: bool) -> Self {
        Self { width, coloured }
    }

    /// Whether there are colours.
    pub(crate) const fn coloured(self) -> bool {
        self.coloured
    }

    /// A word in the colour of a look.
    pub(crate) fn look(self, look: Look, word: &str) -> String {
        let code = match look {
            Look::Passed | Look::Landed | Look::Accepted => "32",
            Look::Failed | Look::Conflict => "31",
            Look::Warnings | Look::Exception => "33",
            Look::Running => "34",
            Look::Waiting | Look::Skipped | Look::Cancelled | Look::Retired => "2",
        };
        if self.coloured { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
    }

    /// Sentences, each line broken between its words where it would not fit; what goes on in the next line stands `hang` columns
    /// further in than its first.
    pub(crate) fn sentences(self, text: &str, hang: usize) -> String {
        let Some(width) = self.width.map(usize::from) else { return text.to_owned() };
        let mut out = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            let indent = line.len() - line.trim_start_matches(' ').len();
            let hang = if indent + hang < width / 2 { indent + hang } else { 0 };
            let mut at = indent;
            out.push_str(&line[..indent]);
            for (n, word) in line[indent..].split(' ').enumerate() {
                let wide = columns(word);
                if n > 0 && at + 1 + wide > width {
                    out.push('\n');
                    out.push_str(&" ".repeat(hang));
                    at = hang;
                } else if n > 0 {
                    out.push(' ');
                    at += 1;
                }
                out.push_str(word);
                at += wide;
            }
            out.push_str(end);
        }
        out
    }

    /// A listing: a table, or `none` where it has no rows.
    pub(crate) fn list(self, head: &[&str], rows: &[Vec<Cell>], none: &str) -> String {
        if rows.is_empty() { self.sentences(&format!("{none}\n"), 0) } else { self.table(head, rows) }
    }

    /// A table without lines, as wide as the screen. Where a column could not hold its longest word, or rows would be much higher
    /// than wide, each row is a block.
    fn table(self, head: &[&str], rows: &[Vec<Cell>]) -> String {
        let Some(width) = self.width else { return piped(head, rows) };
        // On a screen a column in which nothing stands only takes room.
        let says = |column: usize| rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.text.is_empty()));
        let kept: Vec<usize> = (0..head.len()).filter(|column| says(*column)).collect();
        let head: Vec<String> = kept.iter().map(|column| head[*column].to_uppercase()).collect();
        let rows: Vec<Vec<Cell>> =
            rows.iter().map(|row| kept.iter().filter_map(|column| row.get(*column).cloned()).collect()).collect();
        let longest = |text: &str| text.split_whitespace().map(columns).max().unwrap_or(0);
        let least: Vec<usize> = (0..head.len())
            .map(|column: usize| {
                let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| longest(&cell.text));
                cells.chain([longest(&head[column])]).max().unwrap_or(0) + GAP
            })
            .collect();
        if least.iter().sum::<usize>() <= usize::from(width) {
            let lines = self.lines(&head, &rows, Form::Table { least: &least });
            if lines.len() <= 1 + MOST_LINES * rows.len() {
                return format!("{}\n", lines.join("\n"));
            }
        }
        format!("{}\n", self.lines(&head, &rows, Form::Blocks).join("\n"))
    }

    fn lines(self, head: &[String], rows: &[Vec<Cell>], form: Form<'_>) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        if self.coloured {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if let Some(width) = self.width {
            table.set_width(width);
        }
        if matches!(form, Form::Blocks) {
            for (number, row) in rows.iter().enumerate() {
                if number > 0 {
                    table.add_row([""]);
                }
                let told = head.iter().zip(row).filter(|(_, cell)| !cell.text.is_empty());
                table.add_rows(told.map(|(word, cell)| vec![comfy_table::Cell::new(word), cell.painted()]));
            }
        } else {
            table.set_header(head);
            table.add_rows(rows.iter().map(|row| row.iter().map(Cell::painted).collect::<Vec<_>>()));
        }
        for (number, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, u16::try_from(GAP).unwrap_or(0)));
            if let Form::Table { least } = form {
                let least = u16::try_from(least[number]).unwrap_or(u16::MAX);
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
            }
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

/// A table in a pipe: one line for each row, in which each column has its place and a dash where nothing stands. What has lines of
/// its own, as the words of another program, stands in one.
fn piped(head: &[&str], rows: &[Vec<Cell>]) -> String {
    let text = |cell: &Cell| match cell.text.lines().collect::<Vec<_>>().join("; ") {
        text if text.is_empty() => "-".to_owned(),
        text => text,
    };
    let head = head.iter().map(|word| word.to_uppercase()).collect();
    let lines: Vec<Vec<String>> =
        std::iter::once(head).chain(rows.iter().map(|row| row.iter().map(text).collect())).collect();
    let wide = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column)).map(|text| columns(text));
        cells.filter(|wide| *wide <= WIDEST).max().unwrap_or(0)
    };
    let places: Vec<usize> = (0..lines.first().map_or(0, Vec::len)).map(wide).collect();
    let mut out = String::new();
    for line in &lines {
        let mut room = 0;
        for (text, wide) in line.iter().zip(&places) {
            out.push_str(&" ".repeat(room));
            out.push_str(text);
            room = wide.saturating_sub(columns(text)) + GAP;
        }
        out.push('\n');
    }
    out
}

/// How rows stand.
#[derive(Clone, Copy)]
enum Form<'a> {
    /// Below one another, no column narrower than this.
    Table { least: &'a [usize] },
    /// Each as lines of its own.
    Blocks,
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

    fn painted(&self) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(&self.text);
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

/// How many columns of a terminal a text takes; its colours take none.
pub(crate) fn columns(text: &str) -> usize {
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().map_or(0, unicode_width::UnicodeWidthStr::width);
    let after = |piece: &str| unicode_width::UnicodeWidthStr::width(piece.split_once('m').map_or("", |(_, rest)| rest));
    first + pieces.map(after).sum::<usize>()
}

#[cfg(test)]
mod tests;
