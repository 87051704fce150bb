//! Reading TOML by hand, so that every complaint knows its place: a table whose keys are taken one by one, and what is left
//! in it is not known.

use crate::error::{Place, Problem, RecipeError, quoted};
use crate::words::nearest;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) type Value<'t> = Spanned<DeValue<'t>>;

/// The name of the recipe's file, at the root of a repository.
pub const FILE_NAME: &str = ".bb.toml";

/// The largest recipe, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// The most items of a list.
pub(crate) const MAX_ITEMS: usize = 256;
/// Complaints beyond these are not kept, so that the work stays in proportion to the text.
const MOST_KEPT: usize = 500;

/// The text being read, and what was found wrong in it so far.
pub(crate) struct Reader<'t> {
    pub(crate) source: &'t str,
    /// Where each line ends.
    line_ends: Vec<usize>,
    problems: Vec<Complaint>,
    warnings: Vec<Complaint>,
}

/// A problem whose place is not worked out yet.
struct Complaint {
    span: Range<usize>,
    found: String,
    expected: String,
    hint: Option<String>,
}

impl<'t> Reader<'t> {
    pub(crate) fn new(source: &'t str) -> Self {
        let line_ends = source.match_indices('\n').map(|(at, _)| at).collect();
        Self { source, line_ends, problems: vec![], warnings: vec![] }
    }

    /// Notes an error.
    pub(crate) fn wrong(&mut self, span: &Range<usize>, found: impl Into<String>, expected: impl Into<String>) {
        self.wrong_with_hint(span, found, expected, None);
    }

    /// Notes an error, with what to do.
    pub(crate) fn wrong_with_hint(
        &mut self,
        span: &Range<usize>,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.problems.len() < MOST_KEPT {
            let (span, found, expected) = (span.clone(), found.into(), expected.into());
            self.problems.push(Complaint { span, found, expected, hint });
        }
    }

    /// Notes something that is allowed, but worth a look.
    pub(crate) fn warn(&mut self, span: &Range<usize>, found: impl Into<String>, hint: impl Into<String>) {
        if self.warnings.len() < MOST_KEPT {
            let (span, found, hint) = (span.clone(), found.into(), Some(hint.into()));
            self.warnings.push(Complaint { span, found, expected: String::new(), hint });
        }
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_fine(&self) -> bool {
        self.problems.is_empty()
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        self.line_ends.partition_point(|end| *end < span.start) + 1
    }

    /// What was wrong, else the warnings; each in the order of the file.
    pub(crate) fn end(mut self, file: &str) -> Result<Vec<Problem>, RecipeError> {
        let wrong = !self.problems.is_empty();
        let mut list = std::mem::take(if wrong { &mut self.problems } else { &mut self.warnings });
        list.sort_by_key(|complaint| complaint.span.start);
        let told = list.into_iter().take(RecipeError::MOST).map(|c| {
            let place = Place::of(self.source, &c.span);
            Problem { place, found: c.found, expected: c.expected, hint: c.hint }
        });
        let problems: Vec<Problem> = told.collect();
        if wrong { Err(RecipeError { file: file.to_owned(), problems }) } else { Ok(problems) }
    }

    /// A text without NUL.
    pub(crate) fn text(&mut self, what: &str, value: &Value<'_>) -> Option<String> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong(&value.span(), format!("{what} is {}", kind(value)), "a string");
            return None;
        };
        if text.contains('\0') {
            self.wrong(&value.span(), format!("{what} contains a NUL character"), "text without it");
            return None;
        }
        Some(text.clone().into_owned())
    }

    /// A text, or a list of them, each with its place.
    pub(crate) fn texts(&mut self, what: &str, value: &Value<'_>) -> Vec<(String, Range<usize>)> {
        match value.get_ref() {
            DeValue::String(_) => self.text(what, value).map(|t| (t, value.span())).into_iter().collect(),
            DeValue::Array(items) => {
                let one = format!("an item of {what}");
                self.few(what, items.len(), &value.span());
                items.iter().take(MAX_ITEMS).filter_map(|item| Some((self.text(&one, item)?, item.span()))).collect()
            }
            _ => {
                self.wrong(&value.span(), format!("{what} is {}", kind(value)), "a string or a list of strings");
                vec![]
            }
        }
    }

    /// Notes an error when a list is too long.
    pub(crate) fn few(&mut self, what: &str, items: usize, span: &Range<usize>) {
        if items > MAX_ITEMS {
            self.wrong(span, format!("{what} has {items} items"), format!("at most {MAX_ITEMS}"));
        }
    }

    /// `true` or `false`.
    pub(crate) fn truth(&mut self, what: &str, value: &Value<'_>) -> Option<bool> {
        if let DeValue::Boolean(truth) = value.get_ref() {
            return Some(*truth);
        }
        let hint =
            matches!(value.get_ref(), DeValue::String(_)).then(|| "write one of these two, without quotes".to_owned());
        self.wrong_with_hint(&value.span(), format!("{what} is {}", kind(value)), "true or false", hint);
        None
    }

    /// One of a few words.
    pub(crate) fn one_of<T: Copy>(&mut self, what: &str, value: &Value<'_>, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(what, value)?;
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meant);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(&text, &known).map(|word| format!("did you mean \"{word}\"?"));
        let expected = known.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or ");
        self.wrong_with_hint(&value.span(), format!("{what} is {}", quoted(&text)), expected, hint);
        None
    }

    /// A table, to be read key by key.
    pub(crate) fn fields<'v>(
        &mut self,
        what: &str,
        value: &'v Value<'t>,
        known: &'static [&'static str],
    ) -> Option<Fields<'v, 't>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Fields::new(self, what, table, value.span(), known)),
            _ => {
                self.wrong(&value.span(), format!("{what} is {}", kind(value)), "a table");
                None
            }
        }
    }

    /// The tables of an array of tables, each to be read key by key; `more` are those past the most allowed.
    pub(crate) fn tables<'v>(&mut self, what: &str, value: &'v Value<'t>, most: usize) -> &'v [Value<'t>] {
        let DeValue::Array(items) = value.get_ref() else {
            let hint = format!("write [[{what}]], with two brackets on each side");
            let found = format!("`{what}` is {}", kind(value));
            self.wrong_with_hint(&value.span(), found, "an array of tables", Some(hint));
            return &[];
        };
        if let Some(first_beyond) = items.get(most) {
            let found = format!("there are {} of [[{what}]]", items.len());
            self.wrong(&first_beyond.span(), found, format!("at most {most}"));
        }
        &items[..items.len().min(most)]
    }
}

/// A table; every key of it must be known.
pub(crate) struct Fields<'v, 't> {
    table: &'v DeTable<'t>,
    /// The place of the table.
    pub(crate) span: Range<usize>,
}

impl<'v, 't> Fields<'v, 't> {
    /// Takes a table, and notes every key that is not known.
    pub(crate) fn new(
        reader: &mut Reader<'t>,
        what: &str,
        table: &'v DeTable<'t>,
        span: Range<usize>,
        known: &'static [&'static str],
    ) -> Self {
        let unknown = table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        for (key, _) in unknown.take(MOST_KEPT) {
            let hint = match key.get_ref().as_ref() {
                "step" | "steps" if !known.contains(&"step") => {
                    Some("steps stand below a builder: [[builder.step]]".to_owned())
                }
                word => nearest(word, known).map(|k| format!("did you mean `{k}`?")),
            };
            let found = format!("unknown key {} in {what}", quoted(key.get_ref()));
            let expected = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
            reader.wrong_with_hint(&key.span(), found, format!("one of {expected}"), hint);
        }
        Self { table, span }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&'v Value<'t>> {
        self.table.iter().find(|(k, _)| k.get_ref() == key).map(|(_, value)| value)
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, reader: &mut Reader<'t>, what: &str, key: &str, example: &str) -> Option<&'v Value<'t>> {
        let value = self.get(key);
        if value.is_none() {
            reader.wrong(&self.span, format!("{what} has no `{key}`"), format!("`{key} = {example}`"));
        }
        value
    }
}

/// What a value is, with its text if that is short.
pub(crate) fn kind(value: &Value<'_>) -> String {
    match value.get_ref() {
        DeValue::String(text) if text.is_empty() => quoted(text),
        DeValue::String(text) => format!("the string {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {}", quoted(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", quoted(number.as_str())),
        DeValue::Boolean(truth) => format!("`{truth}`"),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(items) if items.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A path that stays below its root and is no part of `.git`.
pub(crate) fn is_path(text: &str) -> bool {
    let part_ok = |part: &str| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git");
    text.split('/').all(part_ok) && !text.chars().any(char::is_control) && !text.contains('\\')
}

/// The text and its TOML.
pub(crate) fn read_table<'t>(bytes: &'t [u8], file: &str) -> Result<(Reader<'t>, DeTable<'t>), RecipeError> {
    let fail = |place, found: String, expected: &str, hint: Option<String>| {
        let problem = Problem { place, found, expected: expected.to_owned(), hint };
        RecipeError { file: file.to_owned(), problems: vec![problem] }
    };
    if bytes.len() > MAX_BYTES {
        let found = format!("the file has {} bytes", bytes.len());
        return Err(fail(Place::of("", &(0..0)), found, &format!("at most {MAX_BYTES}"), None));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        // All before the first bad byte is text, and the bad one is shown as one character.
        let (at, shown) = (error.valid_up_to(), String::from_utf8_lossy(bytes));
        let place = Place::of(&shown, &(at..at + '\u{fffd}'.len_utf8()));
        let bad = bytes.get(at).copied().unwrap_or_default();
        fail(
            place,
            format!("the byte 0x{bad:02x} is not UTF-8"),
            "UTF-8 text",
            Some("save the file as UTF-8".to_owned()),
        )
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match DeTable::parse(text) {
        Ok(table) => Ok((Reader::new(text), table.into_inner())),
        Err(error) => {
            let span = error.span().unwrap_or(text.len()..text.len());
            let place = Place::of(text, &span);
            let hint = syntax_hint(error.message(), &place).map(str::to_owned);
            Err(fail(place, format!("not TOML: {}", error.message()), "", hint))
        }
    }
}

fn syntax_hint(message: &str, place: &Place) -> Option<&'static str> {
    if ["<<<<<<<", "=======", ">>>>>>>", "|||||||"].iter().any(|marker| place.text.starts_with(marker)) {
        return Some("a merge left its conflict markers in the file");
    }
    let twice = "each key may stand once; several builders or steps are written [[builder]] and [[builder.step]]";
    message.contains("duplicate key").then_some(twice)
}
