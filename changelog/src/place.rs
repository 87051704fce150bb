//! What a project says of its ChangeLogs: where they are, and how they are kept.

use crate::fold::{DatePolicy, IndentPolicy};
use crate::format::Format;
use crate::fragment::FragmentRules;
use crate::merge::Order;

/// One ChangeLog of a project, and the part of the tree that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its path, from the root of the repository.
    pub path: String,
    /// The folder whose changes and fragments it takes, without a slash at the end; empty for the whole repository.
    pub scope: String,
    /// Which files of the scope are its fragments.
    pub rules: FragmentRules,
    /// Its format, if the project says it; else the file shows.
    pub format: Option<Format>,
    /// How folded entries are dated.
    pub date: DatePolicy,
    /// How they are indented.
    pub indent: IndentPolicy,
    /// How the merge driver orders them.
    pub order: Order,
    /// Where an issue is found, `{}` standing for its number.
    pub issue_url: Option<String>,
}

impl Place {
    /// A ChangeLog at `path` that is about the folder it is in, with default rules.
    pub fn new(path: &str) -> Self {
        let scope = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Self {
            path: path.to_owned(),
            scope: scope.to_owned(),
            rules: FragmentRules::default(),
            format: None,
            date: DatePolicy::default(),
            indent: IndentPolicy::default(),
            order: Order::default(),
            issue_url: None,
        }
    }

    /// The path relative to the scope, or `None` if it lies outside.
    pub fn within<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        if self.scope.is_empty() {
            return Some(path);
        }
        path.strip_prefix(self.scope.as_bytes())?.strip_prefix(b"/")
    }

    /// The path, from the root of the repository, of something in the scope.
    pub fn rooted(&self, path: &str) -> String {
        if self.scope.is_empty() { path.to_owned() } else { format!("{}/{path}", self.scope) }
    }
}
