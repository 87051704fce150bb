//! What a project says of its ChangeLogs: where they are, and how they are kept.

use crate::folded::{DatePolicy, FoldOptions, IndentPolicy};
use crate::format::Format;
use crate::fragment::{Fragment, FragmentRules, PathKind};
use crate::merge::Order;
use crate::towncrier::Towncrier;
use serde::{Deserialize, Serialize};

/// One ChangeLog of a project, and the part of the tree that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// When fragments are folded.
    #[serde(default)]
    pub when: FoldAt,
    /// How towncrier would write them, if the project has settings of it.
    #[serde(default)]
    pub towncrier: Option<Towncrier>,
}

/// When fragments are folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoldAt {
    /// When their branch lands.
    #[default]
    Landing,
    /// All together when a version is released; until then they stay.
    Release,
}

impl Place {
    /// A ChangeLog at `path` with default rules, that is about its [`Place::usual_scope`].
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            scope: Self::usual_scope(path).to_owned(),
            rules: FragmentRules::default(),
            format: None,
            date: DatePolicy::default(),
            indent: IndentPolicy::default(),
            order: Order::default(),
            issue_url: None,
            when: FoldAt::default(),
            towncrier: None,
        }
    }

    /// What a ChangeLog is about if nothing else is said: the folder it is in; Debian's, everything.
    pub fn usual_scope(path: &str) -> &str {
        match path.rsplit_once('/') {
            Some((folder, name)) if (folder, name) != ("debian", "changelog") => folder,
            _ => "",
        }
    }

    /// What the file at `path`, from the root of the repository, is to this ChangeLog.
    pub fn classify(&self, path: &[u8]) -> PathKind {
        self.within(path).map_or(PathKind::Other, |path| self.rules.classify(path))
    }

    /// Whether a file at `path` is each branch's fragment in turn, not one of many in a folder.
    pub fn is_single(&self, path: &[u8]) -> bool {
        self.within(path).is_some_and(|path| self.rules.names.iter().any(|name| name.as_bytes() == path))
    }

    /// The file at `path`, from the root of the repository, as a fragment of this ChangeLog, if it is one.
    pub fn fragment<'a>(&self, path: &'a [u8], bytes: &'a [u8]) -> Option<Fragment<'a>> {
        match self.classify(path) {
            PathKind::Fragment(kind) => {
                Some(Fragment { path, bytes, kind, any_issue: self.rules.any_issue, author: None })
            }
            _ => None,
        }
    }

    /// How entries are folded here.
    pub fn fold_options(&self) -> FoldOptions<'_> {
        FoldOptions {
            date: self.date,
            indent: self.indent,
            base: None,
            format: self.format,
            issue_url: self.issue_url.as_deref(),
            towncrier: self.towncrier.as_ref(),
        }
    }

    /// The path relative to the scope, or `None` if it lies outside.
    pub fn within<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        if self.scope.is_empty() {
            return Some(path);
        }
        path.strip_prefix(self.scope.as_bytes())?.strip_prefix(b"/")
    }

    /// Its own path and all that its fragments can lie at, from the root of the repository.
    pub fn paths(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(self.path.clone()).chain(self.rules.roots().map(|path| self.rooted(path)))
    }

    /// The path, from the root of the repository, of something in the scope.
    pub fn rooted(&self, path: &str) -> String {
        if self.scope.is_empty() { path.to_owned() } else { format!("{}/{path}", self.scope) }
    }
}

/// The ChangeLog whose scope has the file at `path`: the deepest of those that lie around it, the first of two alike.
pub fn place_of<'p>(places: &'p [Place], path: &[u8]) -> Option<&'p Place> {
    deepest(places.iter().filter(|place| place.within(path).is_some()))
}

/// The ChangeLog that takes the file at `path` for one of its fragments, or has to complain about it.
pub fn taker_of<'p>(places: &'p [Place], path: &[u8]) -> Option<&'p Place> {
    deepest(places.iter().filter(|place| place.classify(path) != PathKind::Other))
}

/// Whether a branch that changes these paths changes something that fragments of this ChangeLog speak of: neither ChangeLogs nor fragments.
pub fn has_work<'c>(place: &Place, places: &[Place], changed: impl IntoIterator<Item = &'c [u8]>) -> bool {
    let is_own = |path: &[u8]| place_of(places, path).is_some_and(|p| p.path == place.path);
    let is_work =
        |path: &[u8]| place.classify(path) == PathKind::Other && !places.iter().any(|p| p.path.as_bytes() == path);
    changed.into_iter().any(|path| is_own(path) && is_work(path))
}

fn deepest<'p>(places: impl DoubleEndedIterator<Item = &'p Place>) -> Option<&'p Place> {
    places.rev().max_by_key(|place| place.scope.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_deepest_scope_and_a_fragment_to_who_takes_it() {
        let mut news = Place::new("NEWS");
        news.rules = FragmentRules { names: Vec::new(), folder: Some("news".to_owned()), ..FragmentRules::default() };
        let places = [Place::new("ChangeLog"), Place::new("pkg/a/ChangeLog"), news];
        let of = |path: &str| place_of(&places, path.as_bytes()).map(|p| p.path.as_str());
        let takes = |path: &str| taker_of(&places, path.as_bytes()).map(|p| p.path.as_str());
        assert_eq!((of("x.c"), takes("x.c")), (Some("ChangeLog"), None));
        assert_eq!(
            (of("pkg/a/x.c"), takes("pkg/a/repo.ChangeLog")),
            (Some("pkg/a/ChangeLog"), Some("pkg/a/ChangeLog"))
        );
        assert_eq!((of("pkg/ab/x.c"), takes("pkg/ab/repo.ChangeLog")), (Some("ChangeLog"), None));
        assert_eq!(takes("changelog-fragments/x.ChangeLog"), Some("ChangeLog"));
        assert_eq!(takes("changelog-fragments/x.nonsense"), Some("ChangeLog"));
        assert_eq!(takes("news/12.feature.md"), Some("NEWS"));
        let work = |at: usize, path: &str| has_work(&places[at], &places, [path.as_bytes()]);
        assert!(work(0, "x.c") && !work(1, "x.c") && work(1, "pkg/a/x.c"));
        assert!(!work(0, "ChangeLog") && !work(0, "NEWS") && !work(0, "repo.ChangeLog"));
        assert_eq!(Place::new("debian/changelog").scope, "");
    }
}
