//! What `[tool.towncrier]` says of a project's news, in towncrier.toml or pyproject.toml: so much of it as decides what bb writes.

use crate::error::quoted;
use crate::fields::{MAX_ITEMS, Reader, Value, is_path, kind};
use changelog::{Format, FragmentRules, Place, Section, Towncrier};
use toml::de::{DeTable, DeValue};

/// Where towncrier's settings are; the first that is there counts.
pub(crate) const FILES: [&str; 2] = ["towncrier.toml", "pyproject.toml"];

/// The types that towncrier has if none are said: word, heading, and whether what was written is shown.
const USUAL_TYPES: [(&str, &str, bool); 5] = [
    ("feature", "Features", true),
    ("bugfix", "Bugfixes", true),
    ("doc", "Improved Documentation", true),
    ("removal", "Deprecations and Removals", true),
    ("misc", "Misc", false),
];

/// The ChangeLog that the settings are about; none if they are not there, or name a file for each version.
pub(crate) fn place<'t>(
    reader: &mut Reader<'t>,
    table: &DeTable<'t>,
    read: &impl Fn(&str) -> Option<Vec<u8>>,
) -> Option<Place> {
    let settings = within(within(table, "tool")?, "towncrier")?;
    let mut of = Settings { reader, settings };
    let text = |of: &mut Settings<'_, '_, 't>, key: &str| of.text(key).filter(|text| !text.is_empty());
    let filename = text(&mut of, "filename").unwrap_or_else(|| "NEWS.rst".to_owned());
    if filename.contains('{') {
        return None;
    }
    let path = of.path("filename", &filename)?;
    let package = text(&mut of, "package").unwrap_or_default();
    let mut name = text(&mut of, "name").unwrap_or_default();
    if name.is_empty() {
        name = as_title(&package);
    }
    let within_package = [text(&mut of, "package_dir").unwrap_or_default(), package.replace('.', "/")].join("/");
    let directory = text(&mut of, "directory");
    let folder_of = |section: &str| match &directory {
        Some(directory) => [directory.as_str(), section].join("/"),
        None => [within_package.as_str(), section, "newsfragments"].join("/"),
    };
    let sections = of.sections();
    let mut rules = FragmentRules { any_issue: true, ..FragmentRules::default() };
    rules.folder = Some(of.path("directory", &folder_of(""))?);
    for (section, path) in &sections {
        let folder = of.path("path", &folder_of(path))?;
        match section.as_str() {
            "" => rules.folder = Some(folder),
            section => rules.sections.push(Section { name: section.to_owned(), folder }),
        }
    }
    let types = of.types();
    rules.types = types.iter().map(|(word, heading, _)| (word.clone(), heading.clone())).collect();
    let mut order: Vec<String> = Vec::new();
    for (_, heading, _) in &types {
        if !order.contains(heading) {
            order.push(heading.clone());
        }
    }
    let template = text(&mut of, "template").filter(|template| !template.contains(':')).map(|t| plain(&t));
    rules.ignored = of.texts("ignore");
    if let Some(name) = template.as_ref().and_then(|t| t.strip_prefix(rules.folder.as_deref()?)?.strip_prefix('/')) {
        rules.ignored.push(name.to_owned());
    }
    let title = text(&mut of, "title_format").or_else(|| {
        let template = read(template.as_deref().filter(|path| is_path(path))?)?;
        title_of(&String::from_utf8_lossy(&template), !name.is_empty())
    });
    let towncrier = Towncrier {
        order,
        issues_only: types.into_iter().filter(|(_, _, shown)| !shown).map(|(_, heading, _)| heading).collect(),
        sections: sections.into_iter().map(|(name, _)| name).filter(|name| !name.is_empty()).collect(),
        start: text(&mut of, "start_string"),
        issue_format: of.text("issue_format"),
        title,
        name,
        underlines: of.texts("underlines"),
        no_bullets: of.truth("all_bullets") == Some(false),
    };
    let mut place = Place::new(&path);
    place.scope.clear();
    place.rules = rules;
    place.format = Some(Format::Towncrier);
    place.towncrier = Some(towncrier);
    Some(place)
}

fn within<'v, 't>(table: &'v DeTable<'t>, name: &str) -> Option<&'v DeTable<'t>> {
    match get(table, name)?.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn get<'v, 't>(table: &'v DeTable<'t>, name: &str) -> Option<&'v Value<'t>> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
}

struct Settings<'r, 'v, 't> {
    reader: &'r mut Reader<'t>,
    settings: &'v DeTable<'t>,
}

impl<'t> Settings<'_, '_, 't> {
    /// A text; whatever else stands there is towncrier's own matter, such as `title_format = false`.
    fn text(&mut self, key: &str) -> Option<String> {
        let value = get(self.settings, key)?;
        if matches!(value.get_ref(), DeValue::Boolean(_)) {
            return None;
        }
        self.reader.text(&format!("`{key}`"), value)
    }

    fn truth(&mut self, key: &str) -> Option<bool> {
        self.reader.truth(&format!("`{key}`"), get(self.settings, key)?)
    }

    /// A text or a list of them; a text alone is its letters, as underlines can be said.
    fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(value) = get(self.settings, key) else { return vec![] };
        if let DeValue::String(text) = value.get_ref() {
            return text.chars().map(String::from).collect();
        }
        self.reader.texts(&format!("`{key}`"), value).into_iter().map(|(text, _)| text).collect()
    }

    /// A path of the repository, without what does nothing in it.
    fn path(&mut self, key: &str, text: &str) -> Option<String> {
        let path = plain(text);
        if is_path(&path) {
            return Some(path);
        }
        let span = get(self.settings, key).map_or(0..0, toml::Spanned::span);
        let expected = "a path from the repository's root, without `..`";
        self.reader.wrong(&span, format!("`{key}` is {}", quoted(text.trim_end_matches('/'))), expected);
        None
    }

    /// The tables of a list, as pairs of what they say.
    fn tables(&mut self, key: &str) -> Vec<DeTable<'t>> {
        let Some(value) = get(self.settings, key) else { return vec![] };
        let DeValue::Array(items) = value.get_ref() else {
            self.reader.wrong(&value.span(), format!("`{key}` is {}", kind(value)), "an array of tables");
            return vec![];
        };
        self.reader.few(&format!("`{key}`"), items.len(), &value.span());
        let tables = items.iter().take(MAX_ITEMS).filter_map(|item| match item.get_ref() {
            DeValue::Table(table) => Some(table.clone()),
            _ => None,
        });
        tables.collect()
    }

    /// Each with its name and its path.
    fn sections(&mut self) -> Vec<(String, String)> {
        let tables = self.tables("section");
        tables
            .iter()
            .map(|table| {
                let mut of = |key: &str| get(table, key).and_then(|v| self.reader.text(&format!("`{key}`"), v));
                (one_line(&of("name").unwrap_or_default()), of("path").unwrap_or_default())
            })
            .collect()
    }

    /// Each with its word, its heading, and whether what was written is shown.
    fn types(&mut self) -> Vec<(String, String, bool)> {
        let mut all = vec![];
        for table in self.tables("type") {
            let mut text = |key: &str| get(&table, key).and_then(|v| self.reader.text(&format!("`{key}`"), v));
            let (word, name) = (text("directory"), text("name"));
            let word = word.or_else(|| name.as_ref().map(|name| name.to_lowercase())).unwrap_or_default();
            let name = name.unwrap_or_else(|| capitalised(&word));
            let shown = get(&table, "showcontent").and_then(|v| self.reader.truth("`showcontent`", v));
            all.push((word, one_line(&name), shown.unwrap_or(true)));
        }
        if let Some(DeValue::Table(fragments)) = get(self.settings, "fragment").map(toml::Spanned::get_ref) {
            for (word, value) in fragments.iter().take(MAX_ITEMS) {
                let word = word.get_ref().clone().into_owned();
                let DeValue::Table(table) = value.get_ref() else { continue };
                let name = get(table, "name").and_then(|v| self.reader.text("`name`", v));
                let shown = get(table, "showcontent").and_then(|v| self.reader.truth("`showcontent`", v));
                let name = name.unwrap_or_else(|| capitalised(&word));
                all.push((word, one_line(&name), shown.unwrap_or(true)));
            }
        }
        all.retain(|(word, name, _)| !word.is_empty() && !name.is_empty());
        if all.is_empty() {
            let usual = USUAL_TYPES.into_iter();
            all = usual.map(|(word, heading, shown)| (word.to_owned(), heading.to_owned(), shown)).collect();
        }
        all
    }
}

/// A path without `.`, doubled slashes and slashes at its ends.
fn plain(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
}

/// A package's name as a title: each word with a capital.
fn as_title(package: &str) -> String {
    let mut within = false;
    let letter = |c: char| {
        let own = if within { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
        within = c.is_alphabetic();
        own
    };
    package.chars().map(letter).collect()
}

/// The line of a template that heads a version, as `title_format` would say it; of several, the one with or without the project's name.
fn title_of(template: &str, named: bool) -> Option<String> {
    let lines = template.lines().filter(|line| line.contains("versiondata") && !line.contains("{%"));
    let titles: Vec<String> = lines
        .filter_map(|line| {
            let mut title = String::new();
            let mut rest = line.trim();
            while let Some((before, after)) = rest.split_once("{{") {
                let (inner, after) = after.split_once("}}")?;
                title.push_str(before);
                // `versiondata.name`, or `versiondata["name"]`.
                let what = inner.trim_matches(['-', ' ']).strip_prefix("versiondata")?;
                title.push_str(match what.trim_matches(['.', '[', ']', '"', '\'']) {
                    "name" => "{name}",
                    "version" => "{version}",
                    "date" => "{project_date}",
                    _ => return None,
                });
                rest = after;
            }
            title.push_str(rest);
            Some(title).filter(|title| title.contains("{version}"))
        })
        .collect();
    titles.iter().find(|title| title.contains("{name}") == named).or(titles.first()).cloned()
}
