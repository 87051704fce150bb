//! From TOML to a [`Recipe`]. Unknown keys are errors, so that a misspelt one never passes unseen; everything that is wrong
//! is told at once.

use crate::error::{Problem, RecipeError, quoted};
use crate::fields::{Fields, MAX_ITEMS, Reader, Value, is_path, kind, read_table};
use crate::matrix::{expand, placeholder};
use crate::names::{NAME, Names, is_name, is_variable};
use crate::project::project;
use crate::{Builder, History, LockAmount, LockRequest, OnFailure, Project, Queue, Recipe, Run, Step, When};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use toml::de::{DeTable, DeValue};

/// The most builders of a recipe.
pub const MAX_BUILDERS: usize = 64;
/// The most steps of a builder.
pub const MAX_STEPS: usize = 64;
/// The longest timeout of a step, in seconds: a week.
pub const MAX_TIMEOUT_S: u64 = 7 * 24 * 60 * 60;

const RECIPE_KEYS: &[&str] = &["project", "builder", "changelog", "order", "queue"];
const QUEUE_KEYS: &[&str] = &["every-commit"];
const BUILDER_KEYS: &[&str] = &["name", "slaves", "locks", "required", "history", "matrix", "step"];
const STEP_KEYS: &[&str] = &["name", "run", "timeout", "junit", "artifacts", "when", "on_failure", "env"];

/// Something in a recipe that is allowed, but probably not meant.
pub type Warning = Problem;

impl Recipe {
    /// Reads a recipe. `file` is its name, for the errors.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place, what was found and what was expected.
    pub fn parse(bytes: &[u8], file: &str) -> Result<(Self, Vec<Warning>), RecipeError> {
        let (mut reader, table) = read_table(bytes, file)?;
        let recipe = recipe(&mut reader, &table);
        let warnings = reader.end(file)?;
        Ok((recipe, warnings))
    }
}

impl Project {
    /// Reads only what the recipe says of ChangeLogs, for what needs no builder; the rest may be wrong or missing.
    ///
    /// # Errors
    /// What is wrong with it, or text that is no TOML.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, RecipeError> {
        Self::parse_with(bytes, file, None)
    }

    /// The same, for a project that has settings of towncrier too.
    pub(crate) fn parse_with(
        bytes: &[u8],
        file: &str,
        towncrier: Option<changelog::Place>,
    ) -> Result<Self, RecipeError> {
        let (mut reader, table) = read_table(bytes, file)?;
        let project = project(&mut reader, &table, towncrier);
        reader.end(file)?;
        Ok(project)
    }
}

fn recipe<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>) -> Recipe {
    let end = reader.source.len();
    let fields = Fields::new(reader, "the recipe", table, end..end, RECIPE_KEYS);
    let project = project(reader, table, None);
    let queue = fields.get("queue").map_or_else(Queue::default, |value| queue(reader, value));
    let Some(value) = fields.get("builder") else {
        // A misspelt `builder` was told already.
        if reader.is_fine() {
            reader.wrong(&fields.span, "there is no builder", "`[[builder]]` with a name and at least one step");
        }
        return Recipe { project, queue, builders: vec![] };
    };
    let tables = reader.tables("builder", value, MAX_BUILDERS);
    if tables.is_empty() && matches!(value.get_ref(), DeValue::Array(_)) {
        reader.wrong(&value.span(), "there is no builder", "`[[builder]]` with a name and at least one step");
    }
    let mut names = Names::new("builder");
    let made: Vec<_> = tables.iter().map(|value| builder(reader, value, &mut names)).collect();
    let are_whole = made.iter().all(Option::is_some);
    let builders: Vec<Builder> = made.into_iter().flatten().flatten().collect();
    if let (true, Some(last)) = (builders.len() > MAX_BUILDERS, tables.last()) {
        let found = format!("there are {} builders, those of matrices counted", builders.len());
        reader.wrong(&last.span(), found, format!("at most {MAX_BUILDERS}"));
    }
    if are_whole && !builders.is_empty() && builders.iter().all(|b| !b.required) {
        let hint = "set `required = true` for at least one";
        reader.warn(&tables[0].span(), "no builder is required, so that nothing can land", hint);
    }
    Recipe { project, queue, builders }
}

fn queue<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> Queue {
    let Some(fields) = reader.fields("[queue]", value, QUEUE_KEYS) else { return Queue::default() };
    let every_commit = fields.get("every-commit").and_then(|v| reader.truth("`every-commit`", v));
    Queue { every_commit: every_commit.unwrap_or_default() }
}

fn builder<'t>(reader: &mut Reader<'t>, value: &Value<'t>, names: &mut Names) -> Option<Vec<Builder>> {
    let fields = reader.fields("[[builder]]", value, BUILDER_KEYS)?;
    let name = fields.need(reader, "the builder", "name", "\"linux\"").and_then(|v| names.take(reader, v));
    let matrix = fields.get("matrix");
    let slaves = fields.get("slaves").map_or_else(Vec::new, |v| labels(reader, v, matrix.is_some()));
    let locks = fields.get("locks").map_or_else(Vec::new, |v| locks(reader, v));
    let required = fields.get("required").and_then(|v| reader.truth("`required`", v));
    let history = fields.get("history").and_then(|v| history(reader, v)).unwrap_or_default();
    let steps = match fields.get("step") {
        Some(value) => steps(reader, value),
        None => {
            let who = name.as_ref().map_or_else(|| "the builder".to_owned(), |n| format!("builder `{n}`"));
            let expected = "`[[builder.step]]` with a name and what to run";
            reader.wrong(&fields.span, format!("{who} has no step"), expected);
            vec![]
        }
    };
    let builder = Builder { name: name?, slaves, locks, required: required.unwrap_or(true), history, steps };
    let harmless = |s: &Step| s.on_failure != OnFailure::Fail;
    if builder.required && !builder.steps.is_empty() && builder.steps.iter().all(harmless) {
        let found = format!("no step of builder `{}` can fail it, so that it proves nothing", builder.name);
        reader.warn(&fields.span, found, "let at least one step have `on_failure = \"fail\"`, the default");
    }
    match matrix {
        Some(matrix) => expand(reader, matrix, &builder, names),
        None => Some(vec![builder]),
    }
}

fn labels(reader: &mut Reader<'_>, value: &Value<'_>, of_matrix: bool) -> Vec<String> {
    let mut labels = vec![];
    for (label, span) in reader.texts("`slaves`", value) {
        let stands_for_another = of_matrix && placeholder(&label).is_some();
        if !is_name(&label) && !stands_for_another {
            reader.wrong(&span, format!("the label is {}", quoted(&label)), NAME);
        } else if labels.contains(&label) {
            reader.warn(&span, format!("the label `{label}` is named twice"), "name it once");
        } else {
            labels.push(label);
        }
    }
    labels
}

fn locks<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> Vec<LockRequest> {
    let mut names = Names::new("lock");
    let one = LockAmount::Shares(1);
    match value.get_ref() {
        DeValue::Table(table) => {
            let mut asked: Vec<_> = table.iter().collect();
            asked.sort_by_key(|(key, _)| key.span().start);
            reader.few("`locks`", asked.len(), &value.span());
            asked
                .into_iter()
                .take(MAX_ITEMS)
                .filter_map(|(key, value)| {
                    let name = names.take_text(reader, key.get_ref(), key.span())?;
                    Some(LockRequest { amount: amount(reader, &name, value)?, name })
                })
                .collect()
        }
        DeValue::String(_) | DeValue::Array(_) => reader
            .texts("`locks`", value)
            .into_iter()
            .filter_map(|(name, span)| Some(LockRequest { name: names.take_text(reader, &name, span)?, amount: one }))
            .collect(),
        _ => {
            let expected = "a list as in `[\"vm\"]`, or shares as in `{ vm = 2 }` or `{ vm = \"exclusive\" }`";
            reader.wrong(&value.span(), format!("`locks` is {}", kind(value)), expected);
            vec![]
        }
    }
}

fn amount(reader: &mut Reader<'_>, lock: &str, value: &Value<'_>) -> Option<LockAmount> {
    match value.get_ref() {
        DeValue::String(text) if text == "exclusive" => return Some(LockAmount::Exclusive),
        DeValue::Integer(number) => {
            let shares = u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|shares| *shares > 0);
            if let Some(shares) = shares {
                return Some(LockAmount::Shares(shares));
            }
        }
        _ => {}
    }
    let expected = format!("a number of shares from 1 to {}, or \"exclusive\"", u32::MAX);
    reader.wrong(&value.span(), format!("lock `{lock}` is asked for by {}", kind(value)), expected);
    None
}

fn history(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<History> {
    let number = match value.get_ref() {
        DeValue::String(text) if text == "full" => return Some(History::Full),
        DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    if let Some(commits) = number.and_then(NonZeroU32::new) {
        return Some(History::Commits(commits));
    }
    let hint = (number == Some(0)).then(|| "a build sees its own commit at least: write 1 for that alone".to_owned());
    let expected = format!("\"full\", or a number of commits from 1 to {}", u32::MAX);
    reader.wrong_with_hint(&value.span(), format!("`history` is {}", kind(value)), expected, hint);
    None
}

fn steps<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> Vec<Step> {
    let tables = reader.tables("builder.step", value, MAX_STEPS);
    if tables.is_empty() && matches!(value.get_ref(), DeValue::Array(_)) {
        reader.wrong(&value.span(), "there is no step", "`[[builder.step]]` with a name and what to run");
    }
    let mut names = Names::new("step");
    let mut steps: Vec<Step> = vec![];
    for value in tables {
        let step = step(reader, value, &mut names);
        if let Some(step) = &step
            && steps.is_empty()
            && step.when == When::OnFailure
        {
            let found = format!("step `{}` is the first and runs only after a failure, so never", step.name);
            reader.warn(&value.span(), found, "put it after the step whose failure it is for");
        }
        steps.extend(step);
    }
    steps
}

fn step<'t>(reader: &mut Reader<'t>, value: &Value<'t>, names: &mut Names) -> Option<Step> {
    let fields = reader.fields("[[builder.step]]", value, STEP_KEYS)?;
    let name = fields.need(reader, "the step", "name", "\"test\"").and_then(|v| names.take(reader, v));
    let run = fields.need(reader, "the step", "run", "\"make check\"").and_then(|v| run(reader, v));
    let timeout_s = fields.get("timeout").and_then(|v| timeout(reader, v));
    let when = fields.get("when").and_then(|v| {
        let words = [("on-success", When::OnSuccess), ("always", When::Always), ("on-failure", When::OnFailure)];
        reader.one_of("`when`", v, &words)
    });
    let on_failure = fields.get("on_failure").and_then(|v| {
        let words = [("fail", OnFailure::Fail), ("warn", OnFailure::Warn), ("ignore", OnFailure::Ignore)];
        reader.one_of("`on_failure`", v, &words)
    });
    let env = fields.get("env").map_or_else(BTreeMap::new, |v| env(reader, v));
    let junit = fields.get("junit").map_or_else(Vec::new, |v| globs(reader, "`junit`", v));
    let artifacts = fields.get("artifacts").map_or_else(Vec::new, |v| globs(reader, "`artifacts`", v));
    Some(Step {
        name: name?,
        run: run?,
        timeout_s,
        when: when.unwrap_or_default(),
        on_failure: on_failure.unwrap_or_default(),
        env,
        junit,
        artifacts,
    })
}

fn run(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Run> {
    if let DeValue::Array(items) = value.get_ref() {
        let words = reader.texts("`run`", value);
        // What is wrong with one of them was told.
        if words.len() < items.len() {
            return None;
        }
        if words.first().is_none_or(|(program, _)| program.is_empty()) {
            reader.wrong(&value.span(), "`run` names no program", "a program and its arguments");
            return None;
        }
        return Some(Run::Argv(words.into_iter().map(|(word, _)| word).collect()));
    }
    if !matches!(value.get_ref(), DeValue::String(_)) {
        let expected = "a string for `sh -eu`, or a list of a program and its arguments";
        reader.wrong(&value.span(), format!("`run` is {}", kind(value)), expected);
        return None;
    }
    let text = reader.text("`run`", value)?;
    if text.trim().is_empty() {
        reader.wrong(&value.span(), "`run` is empty", "a command");
        return None;
    }
    Some(Run::Shell(text))
}

fn env<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> BTreeMap<String, String> {
    let DeValue::Table(table) = value.get_ref() else {
        reader.wrong(&value.span(), format!("`env` is {}", kind(value)), "a table as in `{ LANG = \"C\" }`");
        return BTreeMap::new();
    };
    let mut env = BTreeMap::new();
    reader.few("`env`", table.len(), &value.span());
    for (key, value) in table.iter().take(MAX_ITEMS) {
        let name = key.get_ref();
        if !is_variable(name) {
            let expected = "a variable's name: letters, digits and `_`, no digit first";
            reader.wrong(&key.span(), format!("{} in `env`", quoted(name)), expected);
        } else if name.starts_with("BB_") {
            reader.wrong(
                &key.span(),
                format!("{} in `env` is bb's own", quoted(name)),
                "a name without `BB_` in front",
            );
        } else if !matches!(value.get_ref(), DeValue::String(_)) {
            let hint = Some("write it in quotes".to_owned());
            reader.wrong_with_hint(&value.span(), format!("`{name}` is {}", kind(value)), "a string", hint);
        } else if let Some(text) = reader.text(&quoted(name), value) {
            env.insert(name.clone().into_owned(), text);
        }
    }
    env
}

fn globs(reader: &mut Reader<'_>, what: &str, value: &Value<'_>) -> Vec<String> {
    let mut globs = vec![];
    for (glob, span) in reader.texts(what, value) {
        // Each part of a path is matched alone, too.
        let bad = glob.split('/').chain([glob.as_str()]).find_map(|part| glob::Pattern::new(part).err());
        if let (true, Some(error)) = (is_path(&glob), bad) {
            let expected = "a pattern of `*`, `**` as a whole folder's name, `?` and `[…]`";
            reader.wrong(&span, format!("{} in {what} is no pattern: {}", quoted(&glob), error.msg), expected);
        } else if is_path(&glob) {
            globs.push(glob);
        } else {
            let expected = "a path or pattern from the work folder, without `..`";
            reader.wrong(&span, format!("{} in {what}", quoted(&glob)), expected);
        }
    }
    globs
}

/// `90s`, `20m`, `1h30m`, `2d`: whole numbers, each with its unit, the greater first.
fn timeout(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<u64> {
    let expected = "a time such as \"90s\", \"20m\" or \"1h30m\", from 1s to 7d";
    if let DeValue::Integer(number) = value.get_ref() {
        let hint = Some(format!("write \"{number}s\" if seconds are meant"));
        reader.wrong_with_hint(&value.span(), format!("`timeout` is {}", kind(value)), expected, hint);
        return None;
    }
    let text = reader.text("`timeout`", value)?;
    let seconds = seconds(&text).filter(|s| (1..=MAX_TIMEOUT_S).contains(s));
    if seconds.is_none() {
        reader.wrong(&value.span(), format!("`timeout` is {}", quoted(&text)), expected);
    }
    seconds
}

fn seconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return None,
        };
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(total)
}
