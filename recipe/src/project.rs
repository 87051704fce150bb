//! `[project]` and `[changelog]`: which ChangeLogs a project has, whose changes and fragments each takes, and how it is folded.

use crate::error::quoted;
use crate::fields::{Fields, MAX_ITEMS, Reader, Value, is_path, kind, read_table};
use crate::{FILE_NAME, RecipeError, towncrier};
use changelog::{DatePolicy, FoldAt, Format, IndentPolicy, Order, Place};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// What a recipe says of the project as a whole: its ChangeLogs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Never empty.
    changelogs: Vec<Place>,
    /// Whether the recipe says their paths; if not, there is one, wherever it is found.
    is_named: bool,
}

/// Where a ChangeLog is, if the recipe does not say it: the first of these that is there.
const USUAL: [&str; 20] = [
    "ChangeLog",
    "CHANGELOG.md",
    "CHANGELOG.rst",
    "CHANGES.md",
    "CHANGES.rst",
    "HISTORY.md",
    "HISTORY.rst",
    "NEWS.md",
    "NEWS.rst",
    "Changelog.md",
    "changelog.md",
    "ChangeLog.md",
    "CHANGELOG",
    "CHANGES.txt",
    "CHANGES",
    "Changes",
    "HISTORY",
    "NEWS",
    "NEWS.txt",
    "CHANGELOG.txt",
];

impl Default for Project {
    fn default() -> Self {
        Self { changelogs: vec![Place::new(USUAL[0])], is_named: false }
    }
}

impl Project {
    /// A project with these ChangeLogs, or with the usual one if there are none.
    pub fn with(changelogs: Vec<Place>) -> Self {
        if changelogs.is_empty() { Self::default() } else { Self { changelogs, is_named: true } }
    }

    /// What a tree says of its ChangeLogs: in its recipe, and where that says nothing, in its settings of towncrier. `read` gives what
    /// a file of the tree holds, if it is there.
    ///
    /// # Errors
    /// What is wrong with the file that counts.
    pub fn read(read: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Self, RecipeError> {
        let recipe = read(FILE_NAME);
        let towncrier = match towncrier::FILES.iter().find_map(|file| Some((*file, read(file)?))) {
            // Many projects have a pyproject.toml that is none of bb's business, however it looks.
            Some((file, text)) if contains(&text, b"towncrier") => of_towncrier(file, &text, &read)?,
            _ => None,
        };
        Self::parse_with(recipe.as_deref().unwrap_or_default(), FILE_NAME, towncrier)
    }

    /// The ChangeLogs, at least one. `is_there` says whether a path of the tree is a file; it is only asked if the recipe names none.
    pub fn places(&self, is_there: impl Fn(&str) -> bool) -> Cow<'_, [Place]> {
        let found = USUAL.into_iter().filter(|_| !self.is_named).find(|path| is_there(path));
        match (found, self.changelogs.as_slice()) {
            (Some(path), [one, ..]) => Cow::Owned(vec![Place { path: path.to_owned(), ..one.clone() }]),
            (_, named) => Cow::Borrowed(named),
        }
    }

    /// The ChangeLogs as the recipe names them; `None` if it names none.
    pub(crate) fn named(&self) -> Option<&[Place]> {
        self.is_named.then_some(&self.changelogs)
    }

    /// The settings that hold for the ChangeLog that is not named.
    pub(crate) fn unnamed(&self) -> Option<&Place> {
        self.changelogs.first().filter(|_| !self.is_named)
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|at| at == word)
}

/// What a file says of towncrier. One that is no TOML says nothing: it is towncrier's own to complain about.
fn of_towncrier(
    file: &str,
    text: &[u8],
    read: &impl Fn(&str) -> Option<Vec<u8>>,
) -> Result<Option<Place>, RecipeError> {
    let Ok((mut reader, table)) = read_table(text, file) else { return Ok(None) };
    let place = towncrier::place(&mut reader, &table, read);
    reader.end(file)?;
    Ok(place)
}

const PROJECT_KEYS: &[&str] = &["changelog", "fragments", "order", "fold"];
const CHANGELOG_KEYS: &[&str] = &["folder", "format", "date", "indent", "order", "issue-url", "types", "fold"];
const ONE_CHANGELOG_KEYS: &[&str] =
    &["path", "scope", "fragments", "folder", "format", "date", "indent", "order", "issue-url", "types", "fold"];

/// What is said of one ChangeLog, or of all that say nothing themselves.
#[derive(Clone, Default)]
struct Said {
    fragments: Option<Vec<String>>,
    folder: Option<String>,
    format: Option<Format>,
    date: Option<DatePolicy>,
    indent: Option<IndentPolicy>,
    order: Option<Order>,
    issue_url: Option<String>,
    types: Option<BTreeMap<String, String>>,
    fold: Option<FoldAt>,
}

impl Said {
    /// Reads what `[changelog]` and a ChangeLog's own table share.
    fn read<'t>(reader: &mut Reader<'t>, fields: &Fields<'_, 't>) -> Self {
        let formats = [Format::Gnu, Format::KeepAChangelog, Format::Debian, Format::Towncrier, Format::News];
        let formats: Vec<(String, Format)> = formats.into_iter().map(|format| (format.to_string(), format)).collect();
        let formats: Vec<(&str, Format)> = formats.iter().map(|(word, format)| (word.as_str(), *format)).collect();
        let dates = [("merge", DatePolicy::Merge), ("author", DatePolicy::Author)];
        let indents = [("keep", IndentPolicy::Keep), ("adopt", IndentPolicy::Adopt)];
        Self {
            fragments: None,
            folder: fields.get("folder").and_then(|v| folder(reader, "`folder`", v)),
            format: fields.get("format").and_then(|v| reader.one_of("`format`", v, &formats)),
            date: fields.get("date").and_then(|v| reader.one_of("`date`", v, &dates)),
            indent: fields.get("indent").and_then(|v| reader.one_of("`indent`", v, &indents)),
            order: fields.get("order").and_then(|v| order(reader, v)),
            issue_url: fields.get("issue-url").and_then(|v| issue_url(reader, v)),
            types: fields.get("types").and_then(|v| types(reader, v)),
            fold: fields.get("fold").and_then(|v| fold(reader, v)),
        }
    }

    /// The ChangeLog at `path`, with what `all` says where this says nothing, and what towncrier's settings say where that does not.
    fn place(self, path: &str, scope: Option<String>, all: &All) -> Place {
        let of_towncrier = all.towncrier.as_ref().filter(|it| it.path == path).cloned();
        let mut place = of_towncrier.unwrap_or_else(|| Place::new(path));
        let all = all.said.clone();
        place.scope = scope.unwrap_or(place.scope);
        place.rules.names = self.fragments.or(all.fragments).unwrap_or(place.rules.names);
        if let Some(folder) = self.folder.or(all.folder) {
            place.rules.sections.clear();
            place.rules.folder = (!folder.is_empty()).then_some(folder);
        }
        place.rules.types = self.types.or(all.types).unwrap_or(place.rules.types);
        place.format = self.format.or(all.format).or(place.format);
        place.when = self.fold.or(all.fold).unwrap_or_default();
        place.date = self.date.or(all.date).unwrap_or_default();
        place.indent = self.indent.or(all.indent).unwrap_or_default();
        place.order = self.order.or(all.order).unwrap_or_default();
        place.issue_url = self.issue_url.or(all.issue_url);
        place
    }
}

/// What holds for all ChangeLogs, and what towncrier's settings say of one.
struct All {
    said: Said,
    towncrier: Option<Place>,
}

/// Reads what the recipe's table says of the project, in `[project]`, `[changelog]` and `order`.
pub(crate) fn project<'t>(reader: &mut Reader<'t>, recipe: &DeTable<'t>, towncrier: Option<Place>) -> Project {
    let value = |name: &str| recipe.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value);
    let mut all = match value("changelog").and_then(|v| reader.fields("[changelog]", v, CHANGELOG_KEYS)) {
        Some(fields) => Said::read(reader, &fields),
        None => Said::default(),
    };
    let fields = value("project").and_then(|v| reader.fields("[project]", v, PROJECT_KEYS));
    let get = |key: &str| fields.as_ref().and_then(|fields| fields.get(key));
    for value in [get("order"), value("order")].into_iter().flatten() {
        let order = order(reader, value);
        all.order = all.order.or(order);
    }
    all.fragments = get("fragments").and_then(|v| fragments(reader, v));
    if let Some(fold) = get("fold").and_then(|v| fold(reader, v)) {
        all.fold = Some(all.fold.unwrap_or(fold));
    }
    let all = All { said: all, towncrier };
    match get("changelog") {
        Some(value) => {
            let mut places = changelogs(reader, value, &all);
            // The only ChangeLog is about everything, wherever it is.
            if let [(only, false)] = places.as_mut_slice() {
                only.scope.clear();
            }
            let places: Vec<Place> = places.into_iter().map(|(place, _)| place).collect();
            see_that_each_is_its_own(reader, value, &places);
            Project::with(places)
        }
        None => {
            let path = all.towncrier.as_ref().map_or(USUAL[0], |place| &place.path);
            let usual = vec![Said::default().place(path, None, &all)];
            if let Some(value) = get("fragments") {
                see_that_each_is_its_own(reader, value, &usual);
            }
            Project { changelogs: usual, is_named: all.towncrier.is_some() }
        }
    }
}

/// A path, or a list of paths and tables; of each ChangeLog also whether its scope is said.
fn changelogs<'t>(reader: &mut Reader<'t>, value: &Value<'t>, all: &All) -> Vec<(Place, bool)> {
    let DeValue::Array(items) = value.get_ref() else {
        if matches!(value.get_ref(), DeValue::String(_)) {
            let path = path(reader, value);
            return path.map(|path| (Said::default().place(&path, None, all), false)).into_iter().collect();
        }
        let expected = "a path, or a list of paths and of tables with a `path`";
        reader.wrong(&value.span(), format!("`changelog` is {}", kind(value)), expected);
        return vec![];
    };
    if items.is_empty() {
        reader.wrong(&value.span(), "`changelog` is an empty list", "at least one path");
    }
    reader.few("`changelog`", items.len(), &value.span());
    items.iter().take(MAX_ITEMS).filter_map(|item| one_changelog(reader, item, all)).collect()
}

fn one_changelog<'t>(reader: &mut Reader<'t>, value: &Value<'t>, all: &All) -> Option<(Place, bool)> {
    if !matches!(value.get_ref(), DeValue::Table(_)) {
        return path(reader, value).map(|path| (Said::default().place(&path, None, all), false));
    }
    let fields = reader.fields("a ChangeLog's table", value, ONE_CHANGELOG_KEYS)?;
    let path = fields.need(reader, "the table", "path", "\"ChangeLog\"").and_then(|v| path(reader, v));
    let scope = fields.get("scope").and_then(|v| folder(reader, "`scope`", v));
    let mut said = Said::read(reader, &fields);
    said.fragments = fields.get("fragments").and_then(|v| fragments(reader, v));
    let is_said = scope.is_some();
    Some((said.place(&path?, scope, all), is_said))
}

/// Two ChangeLogs can be neither one file nor want the same fragments, nor is one of them a fragment.
fn see_that_each_is_its_own(reader: &mut Reader<'_>, value: &Value<'_>, places: &[Place]) {
    let span = match value.get_ref() {
        DeValue::Array(items) if items.len() == places.len() => items.iter().map(|item| item.span()).collect(),
        _ => vec![value.span(); places.len()],
    };
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    for (place, span) in places.iter().zip(&span) {
        if files.insert(&place.path, &place.path).is_some() {
            reader.wrong(span, format!("{} is named twice", quoted(&place.path)), "each ChangeLog once");
        }
    }
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    for (place, span) in places.iter().zip(&span) {
        for fragment in place.rules.roots() {
            let fragment = place.rooted(fragment);
            if files.contains_key(fragment.as_str()) {
                let found = format!("{} is a ChangeLog and a fragment of {}", quoted(&fragment), quoted(&place.path));
                reader.wrong(span, found, "another name in `fragments`");
            } else if let Some(other) = taken.insert(fragment.clone(), &place.path)
                && other != place.path
            {
                let found = format!("{} and {} both take {}", quoted(other), quoted(&place.path), quoted(&fragment));
                reader.wrong(span, found, "`fragments`, `folder` or `scope` of its own for each ChangeLog");
            }
        }
    }
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

/// A folder without the slash at its end, or nothing.
fn folder(reader: &mut Reader<'_>, what: &str, value: &Value<'_>) -> Option<String> {
    let text = reader.text(what, value)?;
    let folder = text.strip_suffix('/').unwrap_or(&text);
    if folder.is_empty() || is_path(folder) {
        return Some(folder.to_owned());
    }
    reader.wrong(&value.span(), format!("{what} is {}", quoted(&text)), "a folder's path, without `..`, or \"\"");
    None
}

fn issue_url(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    let url = reader.text("`issue-url`", value)?;
    if url.contains("{}") && !url.chars().any(char::is_control) {
        return Some(url);
    }
    let expected = "a URL with `{}` where the issue's number goes";
    reader.wrong(&value.span(), format!("`issue-url` is {}", quoted(&url)), expected);
    None
}

/// The types of fragments and their headings.
fn types<'t>(reader: &mut Reader<'t>, value: &Value<'t>) -> Option<BTreeMap<String, String>> {
    let DeValue::Table(table) = value.get_ref() else {
        let expected = "a table as in `{ feature = \"Features\" }`";
        reader.wrong(&value.span(), format!("`types` is {}", kind(value)), expected);
        return None;
    };
    reader.few("`types`", table.len(), &value.span());
    let mut types = BTreeMap::new();
    for (name, value) in table.iter().take(MAX_ITEMS) {
        let word = name.get_ref();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        if word.is_empty() || !word.chars().all(is_word) {
            reader.wrong(&name.span(), format!("{} in `types`", quoted(word)), "a word, as in NAME.feature.md");
        } else if let Some(heading) = reader.text(&quoted(word), value) {
            if heading.trim().is_empty() || heading.chars().any(char::is_control) {
                reader.wrong(&value.span(), format!("{} is {}", quoted(word), quoted(&heading)), "a heading");
            } else {
                types.insert(word.clone().into_owned(), heading.trim().to_owned());
            }
        }
    }
    Some(types)
}

fn fragments(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<String>> {
    if !matches!(value.get_ref(), DeValue::Array(_)) {
        reader.wrong(&value.span(), format!("`fragments` is {}", kind(value)), "a list of file names");
        return None;
    }
    let mut names = vec![];
    for (name, span) in reader.texts("`fragments`", value) {
        if !is_path(&name) || name.contains('/') {
            reader.wrong(&span, format!("{} in `fragments`", quoted(&name)), "the name of a file at the root");
        } else if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names)
}

/// When fragments are folded.
fn fold(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<FoldAt> {
    reader.one_of("`fold`", value, &[("landing", FoldAt::Landing), ("release", FoldAt::Release)])
}

/// The order of entries that both sides of a merge added.
fn order(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Order> {
    reader.one_of("`order`", value, &[("date", Order::Date), ("arrival", Order::Arrival)])
}
