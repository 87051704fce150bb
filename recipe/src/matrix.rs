//! A builder with a matrix is several builders: one for each combination of its axes' values.

use crate::error::quoted;
use crate::fields::{Reader, Value, kind};
use crate::names::{NAME, Names, is_name, is_variable};
use crate::{Builder, Step};
use std::collections::HashSet;
use std::ops::Range;
use toml::de::DeValue;

/// The most builders that one matrix makes.
pub const MAX_MATRIX: usize = 16;

/// One axis: a variable, and the values that it has.
struct Axis {
    name: String,
    at: Range<usize>,
    values: Vec<String>,
}

/// What a label of a builder with a matrix stands for: `{os}` for the value of the axis `os`.
pub(crate) fn placeholder(label: &str) -> Option<&str> {
    label.strip_prefix('{')?.strip_suffix('}').filter(|name| is_variable(name))
}

/// The builders that a matrix makes of one, in the order of its axes and their values. None, when something is wrong with it.
pub(crate) fn expand<'t>(
    reader: &mut Reader<'t>,
    value: &Value<'t>,
    builder: &Builder,
    names: &mut Names,
) -> Option<Vec<Builder>> {
    let axes = axes(reader, value)?;
    let many = axes.iter().try_fold(1usize, |many, axis| many.checked_mul(axis.values.len()));
    if many.is_none_or(|many| many > MAX_MATRIX) {
        let many = many.map_or_else(|| "too many".to_owned(), |many| many.to_string());
        let found = format!("the matrix of builder `{}` makes {many} builders", builder.name);
        reader.wrong(&value.span(), found, format!("at most {MAX_MATRIX}"));
        return None;
    }
    for axis in &axes {
        if let Some(step) = builder.steps.iter().find(|step| step.env.contains_key(&axis.name)) {
            let found = format!("`{}` is an axis of the matrix, and in `env` of step `{}`", axis.name, step.name);
            reader.wrong(&axis.at, found, "one of the two");
            return None;
        }
    }
    let mut stand = builder.slaves.iter().filter_map(|label| placeholder(label));
    if let Some(label) = stand.find(|name| axes.iter().all(|axis| axis.name != *name)) {
        reader.wrong(
            &value.span(),
            format!("the matrix has no axis {} for a label", quoted(label)),
            "an axis of that name",
        );
        return None;
    }
    let mut combinations: Vec<Vec<(&str, &str)>> = vec![vec![]];
    for axis in &axes {
        let mut longer = vec![];
        for so_far in &combinations {
            for value in &axis.values {
                let mut with = so_far.clone();
                with.push((&axis.name, value));
                longer.push(with);
            }
        }
        combinations = longer;
    }
    let made = combinations.into_iter().map(|chosen| {
        let words = chosen.iter().map(|(_, value)| *value);
        let name = [builder.name.as_str()].into_iter().chain(words).collect::<Vec<_>>().join("-");
        let name = names.take_text(reader, &name, value.span())?;
        Some(of(builder, name, &chosen))
    });
    made.collect::<Vec<_>>().into_iter().collect()
}

/// The builder with these values.
fn of(builder: &Builder, name: String, chosen: &[(&str, &str)]) -> Builder {
    let valued = |label: &String| {
        let axis = placeholder(label);
        chosen
            .iter()
            .find(|(name, _)| Some(*name) == axis)
            .map_or_else(|| label.clone(), |(_, value)| (*value).to_owned())
    };
    let step = |step: &Step| {
        let mut step = step.clone();
        step.env.extend(chosen.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        step
    };
    let mut slaves: Vec<String> = builder.slaves.iter().map(valued).collect();
    let mut seen = HashSet::new();
    slaves.retain(|label| seen.insert(label.clone()));
    Builder { name, slaves, steps: builder.steps.iter().map(step).collect(), ..builder.clone() }
}

fn axes<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> Option<Vec<Axis>> {
    let expected = "a table of lists as in `{ cc = [\"gcc\", \"clang\"] }`";
    let DeValue::Table(table) = value.get_ref() else {
        reader.wrong(&value.span(), format!("`matrix` is {}", kind(value)), expected);
        return None;
    };
    if table.is_empty() {
        reader.wrong(&value.span(), "`matrix` has no axis", expected);
        return None;
    }
    let mut said: Vec<_> = table.iter().collect();
    said.sort_by_key(|(key, _)| key.span().start);
    // Each is looked at, so that everything that is wrong is told at once.
    let axes: Vec<Option<Axis>> =
        said.into_iter().map(|(key, value)| axis(reader, key.get_ref(), key.span(), value)).collect();
    axes.into_iter().collect()
}

fn axis<'t>(reader: &mut Reader<'t>, name: &str, at: Range<usize>, value: &Value<'t>) -> Option<Axis> {
    if !is_variable(name) || name.starts_with("BB_") {
        let expected = "a variable's name: letters, digits and `_`, no digit first, and not `BB_`, which is bb's own";
        reader.wrong(&at, format!("{} in `matrix`", quoted(name)), expected);
        return None;
    }
    let DeValue::Array(items) = value.get_ref() else {
        reader.wrong(&value.span(), format!("`{name}` is {}", kind(value)), "a list of words");
        return None;
    };
    if items.is_empty() {
        reader.wrong(&value.span(), format!("`{name}` has no value"), "at least one word");
        return None;
    }
    let mut values: Vec<String> = vec![];
    let mut fine = true;
    let words = reader.texts(&format!("`{name}`"), value);
    fine &= words.len() == items.len();
    for (word, span) in words {
        if !is_name(&word) {
            reader.wrong(&span, format!("a value of `{name}` is {}", quoted(&word)), NAME);
            fine = false;
        } else if values.contains(&word) {
            reader.wrong(&span, format!("`{name}` has `{word}` twice"), "each once");
            fine = false;
        } else {
            values.push(word);
        }
    }
    fine.then(|| Axis { name: name.to_owned(), at, values })
}
