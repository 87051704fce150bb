//! What `.bb.toml` says of a project's ChangeLogs. Everything else in that file is somebody else's business.

use super::WorkTreeError;
use changelog::{DatePolicy, Format, FragmentType, IndentPolicy, Order, Place};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The file's name.
const FILE: &str = ".bb.toml";

/// The project's ChangeLogs, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Each with its scope and its fragments; a path belongs to the deepest scope that it lies in.
    pub places: Vec<Place>,
}

impl Settings {
    /// Reads a recipe's text.
    ///
    /// # Errors
    /// [`WorkTreeError::Settings`], with the place of the error.
    pub fn of_text(text: &str) -> Result<Self, WorkTreeError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |s| s.start.min(text.len()));
            let before = text.get(..offset).unwrap_or_default();
            WorkTreeError::Settings {
                path: FILE.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1,
                message: error.message().trim().replace('\n', " "),
            }
        })?;
        Ok(file.settings())
    }

    /// Reads `.bb.toml` in `folder`; without one, or if it names no ChangeLog, the first of the usual ones that is there.
    ///
    /// # Errors
    /// As [`Settings::of_text`]; [`WorkTreeError::File`] if the file can't be read.
    pub fn of_folder(folder: &Path) -> Result<Self, WorkTreeError> {
        let path = folder.join(FILE);
        let mut settings = match std::fs::read_to_string(&path) {
            Ok(text) => Self::of_text(&text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::of_text("")?,
            Err(error) => return Err(WorkTreeError::file(path)(error)),
        };
        if let [only] = settings.places.as_mut_slice()
            && only.path.is_empty()
        {
            let there = |name: &str| folder.join(name).symlink_metadata().is_ok();
            let usual = ["ChangeLog", "CHANGELOG.md"].into_iter().find(|name| there(name));
            only.path = usual.unwrap_or("ChangeLog").to_owned();
        }
        Ok(settings)
    }

    /// The place that takes the fragment at `path`.
    pub fn place_of(&self, path: &[u8]) -> Option<&Place> {
        self.places.iter().filter(|p| p.within(path).is_some()).max_by_key(|p| p.scope.len())
    }
}

#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    project: Project,
    #[serde(default)]
    changelog: Defaults,
    order: Option<OrderWord>,
}

#[derive(Default, Deserialize)]
struct Project {
    changelog: Option<OneOrMany>,
    fragments: Option<Vec<String>>,
    order: Option<OrderWord>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<Entry>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Path(String),
    Table(Table),
}

/// A ChangeLog with settings of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    path: String,
    scope: Option<String>,
    fragments: Option<Vec<String>>,
    folder: Option<String>,
    format: Option<Format>,
    date: Option<DateWord>,
    indent: Option<IndentWord>,
    order: Option<OrderWord>,
    issue_url: Option<String>,
}

/// `[changelog]`: what holds for all of them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Defaults {
    folder: Option<String>,
    format: Option<Format>,
    date: Option<DateWord>,
    indent: Option<IndentWord>,
    order: Option<OrderWord>,
    issue_url: Option<String>,
    types: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DateWord {
    Merge,
    Author,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum IndentWord {
    Keep,
    Adopt,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OrderWord {
    Date,
    Arrival,
}

impl File {
    fn settings(self) -> Settings {
        let entries = match self.project.changelog {
            None => vec![Entry::Path(String::new())],
            Some(OneOrMany::One(path)) => vec![Entry::Path(path)],
            Some(OneOrMany::Many(entries)) => entries,
        };
        let mut defaults = self.changelog;
        defaults.order = defaults.order.or(self.project.order).or(self.order);
        let places = entries
            .into_iter()
            .map(|entry| {
                let table = match entry {
                    Entry::Path(path) => Table::of_path(path),
                    Entry::Table(table) => table,
                };
                table.place(&defaults, self.project.fragments.as_deref())
            })
            .collect();
        Settings { places }
    }
}

impl Table {
    fn of_path(path: String) -> Self {
        Self {
            path,
            scope: None,
            fragments: None,
            folder: None,
            format: None,
            date: None,
            indent: None,
            order: None,
            issue_url: None,
        }
    }

    fn place(self, defaults: &Defaults, fragments: Option<&[String]>) -> Place {
        let mut place = Place::new(&self.path);
        if let Some(scope) = self.scope {
            place.scope = scope.trim_matches('/').to_owned();
        } else if place.path == "debian/changelog" {
            place.scope = String::new();
        }
        if let Some(names) = self.fragments.as_deref().or(fragments) {
            place.rules.names = names.iter().map(|n| n.as_bytes().to_vec()).collect();
        }
        if let Some(folder) = self.folder.as_ref().or(defaults.folder.as_ref()) {
            let folder = folder.trim_matches('/').as_bytes().to_vec();
            place.rules.folder = (!folder.is_empty()).then_some(folder);
        }
        if let Some(types) = &defaults.types {
            place.rules.types = types.iter().map(|(name, heading)| FragmentType::new(name, heading)).collect();
        }
        place.format = self.format.or(defaults.format);
        place.date = match self.date.or(defaults.date) {
            Some(DateWord::Author) => DatePolicy::Author,
            _ => DatePolicy::Merge,
        };
        place.indent = match self.indent.or(defaults.indent) {
            Some(IndentWord::Adopt) => IndentPolicy::Adopt,
            _ => IndentPolicy::Keep,
        };
        place.order = match self.order.or(defaults.order) {
            Some(OrderWord::Arrival) => Order::Arrival,
            _ => Order::Date,
        };
        place.issue_url = self.issue_url.or_else(|| defaults.issue_url.clone());
        place
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn one_changelog_or_several() {
        let one =
            Settings::of_text("[project]\nchangelog = \"ChangeLog\"\nfragments = [\"Branch.ChangeLog\"]\n").unwrap();
        assert_eq!((one.places[0].path.as_str(), one.places[0].scope.as_str()), ("ChangeLog", ""));
        assert!(one.places[0].rules.is_fragment(b"Branch.ChangeLog"));
        let text = "[project]\nchangelog = [\"ChangeLog\", \"pkg/a/ChangeLog\", { path = \"doc/NEWS\", scope = \"pkg/b\", date = \"author\" }]\n[changelog]\norder = \"arrival\"\n";
        let many = Settings::of_text(text).unwrap();
        assert_eq!(many.places.iter().map(|p| p.scope.as_str()).collect::<Vec<_>>(), ["", "pkg/a", "pkg/b"]);
        assert!(many.places.iter().all(|p| p.order == Order::Arrival));
        assert_eq!(many.places[2].date, DatePolicy::Author);
        assert_eq!(many.place_of(b"pkg/a/repo.ChangeLog").unwrap().path, "pkg/a/ChangeLog");
        assert_eq!(many.place_of(b"repo.ChangeLog").unwrap().path, "ChangeLog");
    }

    #[test]
    fn an_error_has_its_place() {
        let error = Settings::of_text("[project]\nchangelog = \"C\"\n\n[changelog]\ndate = \"never\"\n").unwrap_err();
        assert!(error.to_string().starts_with(".bb.toml:5:8: "), "{error}");
    }
}
