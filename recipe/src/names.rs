//! Names of builders, steps, labels, locks and variables.

use crate::error::quoted;
use crate::fields::{Reader, Value};
use std::collections::BTreeMap;
use std::ops::Range;

/// The longest name of a builder, step, label or lock, in characters.
const MAX_NAME: usize = 64;

/// What a name is, for errors.
pub(crate) const NAME: &str = "1 to 64 of a-z, A-Z, 0-9, `.`, `_` and `-`, a letter or digit first";

/// Names that were taken, so that each stands once.
pub(crate) struct Names {
    what: &'static str,
    taken: BTreeMap<String, usize>,
}

impl Names {
    /// None is taken yet; `what` they are names of, for errors.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, taken: BTreeMap::new() }
    }

    /// Takes one, or says what is wrong with it.
    pub(crate) fn take(&mut self, reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
        let name = reader.text("`name`", value)?;
        self.take_text(reader, &name, value.span())
    }

    /// The same of a text that stands there.
    pub(crate) fn take_text(&mut self, reader: &mut Reader<'_>, name: &str, span: Range<usize>) -> Option<String> {
        if !is_name(name) {
            reader.wrong(&span, format!("the {}'s name is {}", self.what, quoted(name)), NAME);
            return None;
        }
        if let Some(line) = self.taken.get(name) {
            let found = format!("another {} named `{name}`", self.what);
            reader.wrong(&span, found, format!("a name of its own; the first is in line {line}"));
            return None;
        }
        self.taken.insert(name.to_owned(), reader.line(&span));
        Some(name.to_owned())
    }
}

/// Whether a text is a name of a builder, step, label or lock.
pub(crate) fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    text.len() <= MAX_NAME && text.bytes().all(inner) && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}

/// Whether a text is a variable's name.
pub(crate) fn is_variable(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.bytes().all(inner) && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}
