//! What is wrong with a recipe, where, and what was expected there; with a line that points at it.

use std::fmt;
use std::ops::Range;

/// The longest part of a source line that is shown, in characters.
const SHOWN: usize = 100;
/// The longest quotation of what was found, in characters.
const QUOTED: usize = 60;

/// A recipe that can't be used: everything that is wrong with it, in the order of the file, at most
/// [`RecipeError::MOST`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", render(.file, .problems))]
pub struct RecipeError {
    /// The file's name, as it was given.
    pub file: String,
    /// What is wrong; never empty.
    pub problems: Vec<Problem>,
}

impl RecipeError {
    /// The most problems that are told at once.
    pub const MOST: usize = 20;

    /// What to do about the first problem, if that is not plain.
    pub fn hint(&self) -> &str {
        self.problems.first().and_then(|p| p.hint.as_deref()).unwrap_or_default()
    }

    /// The first problem in one line, for a table or a status: `.bb.toml:3:1: unknown key …`.
    pub fn line(&self) -> String {
        self.problems.first().map_or_else(|| self.file.clone(), |p| format!("{}:{}", self.file, p.line()))
    }
}

/// One thing that is wrong with a recipe, or worth a look.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What was found.
    pub found: String,
    /// What was expected instead; may be empty when `found` says it.
    pub expected: String,
    /// What to do, if that is not plain.
    pub hint: Option<String>,
}

impl Problem {
    /// What was found and expected, in one line.
    pub fn message(&self) -> String {
        if self.expected.is_empty() {
            self.found.clone()
        } else {
            format!("{}; expected {}", self.found, self.expected)
        }
    }

    /// The same after its place: `7:1: unknown key …`.
    pub fn line(&self) -> String {
        format!("{}:{}: {}", self.place.line, self.place.column, self.message())
    }

    /// The problem with its source line and a caret below, as it is shown on a terminal.
    pub fn render(&self, file: &str) -> String {
        let Place { line, text, shown_at, width, .. } = &self.place;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let mut out = format!("{file}:{}\n", self.line());
        if !text.is_empty() {
            let carets = "^".repeat((*width).max(1));
            out.push_str(&format!(" {number} | {text}\n {margin} | {}{carets}\n", " ".repeat(*shown_at)));
        }
        if let Some(hint) = &self.hint {
            out.push_str(&format!(" {margin} hint: {hint}\n"));
        }
        out
    }
}

/// A place in the recipe's text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text around the place, without control characters.
    pub text: String,
    /// Where in `text` the place begins, in characters from 0.
    pub shown_at: usize,
    /// How many characters of `text` are meant.
    pub width: usize,
}

impl Place {
    /// The place of a range of bytes; one beyond the text means its end.
    pub(crate) fn of(source: &str, span: &Range<usize>) -> Self {
        let start = floor(source, span.start);
        let end = floor(source, span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let before = source[line_start..start].chars().count();
        let meant = source[start..end.min(line_end)].chars().count();

        // A long line is shown around the place only.
        let skip = before.saturating_sub(SHOWN / 2);
        let text: String = source[line_start..line_end].trim_end().chars().skip(skip).take(SHOWN).map(plain).collect();
        let shown_at = before - skip;
        let width = meant.min(text.chars().count().saturating_sub(shown_at));
        let line = source[..line_start].matches('\n').count() + 1;
        Self { line, column: before + 1, text, shown_at, width }
    }
}

/// The next character boundary at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A character as it may be shown: nothing that moves the cursor or turns the direction of writing.
pub(crate) fn plain(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Text from a recipe in backquotes: shortened, nothing hidden in it.
pub(crate) fn quoted(text: &str) -> String {
    if text.is_empty() {
        return "an empty text".to_owned();
    }
    let mut shown: String = text.chars().take(QUOTED).map(plain).collect();
    if text.chars().nth(QUOTED).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

fn render(file: &str, problems: &[Problem]) -> String {
    let all: Vec<String> = problems.iter().map(|p| p.render(file)).collect();
    all.join("\n").trim_end().to_owned()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}
