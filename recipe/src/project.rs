//! `[project]` and `[changelog]`: which ChangeLogs a project has. What is said there of folding is checked here, so that a
//! slip is seen, and used by those who fold.

use crate::Project;
use crate::error::quoted;
use crate::fields::{Fields, MAX_ITEMS, Reader, Value, kind};
use crate::parse::is_path;
use toml::de::DeValue;

const PROJECT_KEYS: &[&str] = &["changelog", "fragments", "order"];
const CHANGELOG_KEYS: &[&str] = &["folder", "format", "date", "indent", "order", "issue-url", "types"];
const ONE_CHANGELOG_KEYS: &[&str] =
    &["path", "scope", "fragments", "folder", "format", "date", "indent", "order", "issue-url"];

/// Reads `[project]`.
pub(crate) fn project<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> Project {
    let mut project = Project::default();
    let Some(fields) = reader.fields("[project]", value, PROJECT_KEYS) else { return project };
    if let Some(path) = fields.get("changelog").and_then(|v| changelogs(reader, v)) {
        project.changelog = path;
    }
    if let Some(names) = fields.get("fragments").and_then(|v| fragments(reader, v, &project.changelog)) {
        project.fragments = names;
    }
    if let Some(value) = fields.get("order") {
        order(reader, value);
    }
    project
}

/// Checks `[changelog]`: what holds for all ChangeLogs.
pub(crate) fn check_changelog<'t>(reader: &mut Reader<'t>, value: &Value<'t>) {
    let Some(fields) = reader.fields("[changelog]", value, CHANGELOG_KEYS) else { return };
    how_to_fold(reader, &fields);
    let Some(value) = fields.get("types") else { return };
    let DeValue::Table(types) = value.get_ref() else {
        let expected = "a table as in `{ feature = \"Features\" }`";
        return reader.wrong(&value.span(), format!("`types` is {}", kind(value)), expected);
    };
    reader.few("`types`", types.len(), &value.span());
    for (name, heading) in types.iter().take(MAX_ITEMS) {
        reader.text(&quoted(name.get_ref()), heading);
    }
}

/// A path, or a list of paths and tables; the first is the official ChangeLog of a candidate.
fn changelogs<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> Option<String> {
    let DeValue::Array(items) = value.get_ref() else {
        if matches!(value.get_ref(), DeValue::String(_)) {
            return path(reader, value);
        }
        let expected = "a path, or a list of paths and of tables with a `path`";
        reader.wrong(&value.span(), format!("`changelog` is {}", kind(value)), expected);
        return None;
    };
    if items.is_empty() {
        reader.wrong(&value.span(), "`changelog` is an empty list", "at least one path");
    }
    reader.few("`changelog`", items.len(), &value.span());
    let paths: Vec<Option<String>> = items.iter().take(MAX_ITEMS).map(|item| one_changelog(reader, item)).collect();
    paths.into_iter().next().flatten()
}

fn one_changelog<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> Option<String> {
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        return path(reader, value);
    }
    let fields = reader.fields("a ChangeLog's table", value, ONE_CHANGELOG_KEYS)?;
    let path = fields.need(reader, "the table", "path", "\"ChangeLog\"").and_then(|v| path(reader, v));
    if let Some(value) = fields.get("scope") {
        reader.text("`scope`", value);
    }
    if let Some(value) = fields.get("fragments") {
        fragments(reader, value, path.as_deref().unwrap_or_default());
    }
    how_to_fold(reader, &fields);
    path
}

fn path(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    let path = reader.text("`changelog`", value)?;
    if is_path(&path) {
        return Some(path);
    }
    let found = format!("`changelog` is {}", quoted(&path));
    reader.wrong(&value.span(), found, "a path from the repository's root, without `..`");
    None
}

fn fragments(reader: &mut Reader<'_>, value: &Value<'_>, changelog: &str) -> Option<Vec<String>> {
    if !matches!(value.get_ref(), DeValue::Array(_)) {
        reader.wrong(&value.span(), format!("`fragments` is {}", kind(value)), "a list of file names");
        return None;
    }
    let mut names = vec![];
    for (name, span) in reader.texts("`fragments`", value) {
        if !is_path(&name) || name.contains('/') {
            reader.wrong(&span, format!("{} in `fragments`", quoted(&name)), "the name of a file at the root");
        } else if name == changelog {
            reader.wrong(&span, format!("{} is the ChangeLog itself", quoted(&name)), "another file's name");
        } else if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names)
}

/// Settings that `[changelog]` and a ChangeLog's own table share.
fn how_to_fold(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) {
    let words = |reader: &mut Reader<'_>, key: &str, words: &[&str]| {
        let words: Vec<(&str, ())> = words.iter().map(|word| (*word, ())).collect();
        if let Some(value) = fields.get(key) {
            reader.one_of(&format!("`{key}`"), value, &words);
        }
    };
    words(reader, "format", &["gnu", "keep-a-changelog", "debian", "towncrier", "news"]);
    words(reader, "date", &["merge", "author"]);
    words(reader, "indent", &["keep", "adopt"]);
    for key in ["folder", "issue-url"] {
        if let Some(value) = fields.get(key) {
            reader.text(&format!("`{key}`"), value);
        }
    }
    if let Some(value) = fields.get("order") {
        order(reader, value);
    }
}

/// Checks the order of entries.
pub(crate) fn order(reader: &mut Reader<'_>, value: &Value<'_>) {
    reader.one_of("`order`", value, &[("date", ()), ("arrival", ())]);
}
