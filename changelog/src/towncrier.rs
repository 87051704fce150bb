//! What a project's settings of towncrier say of how its news is written.

use serde::{Deserialize, Serialize};

/// How towncrier would write a version's news.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Towncrier {
    /// The headings of types, in the order in which they stand.
    pub order: Vec<String>,
    /// Those of them under which only issues are named, not what was written.
    pub issues_only: Vec<String>,
    /// Named parts of the project, each with news of its own, in their order.
    pub sections: Vec<String>,
    /// Below which text news goes; `None` for the usual mark.
    pub start: Option<String>,
    /// How an issue is named, with `{issue}` for its number.
    pub issue_format: Option<String>,
    /// The line that heads a version, with `{name}`, `{version}` and `{project_date}` in it.
    pub title: Option<String>,
    /// The project's name.
    pub name: String,
    /// The characters below the headings of versions, sections and types; empty for none.
    pub underlines: Vec<String>,
    /// Whether news is written as it is, not behind bullets.
    pub no_bullets: bool,
}

impl Towncrier {
    /// An issue as this project names it.
    pub(crate) fn issue(&self, issue: &str) -> String {
        match &self.issue_format {
            Some(format) => format.replace("{issue}", issue),
            None if issue.bytes().all(|b| b.is_ascii_digit()) => format!("#{issue}"),
            None => issue.to_owned(),
        }
    }

    /// The line that heads a version.
    pub(crate) fn title(&self, version: &str, day: &str) -> String {
        let usual =
            if self.name.is_empty() { "{version} ({project_date})" } else { "{name} {version} ({project_date})" };
        let title = self.title.as_deref().unwrap_or(usual);
        title.replace("{name}", &self.name).replace("{version}", version).replace("{project_date}", day)
    }

    /// The character below headings of this depth, 0 for a version's.
    pub(crate) fn underline(&self, depth: usize) -> Option<u8> {
        let usual = ["=", "-", "~"];
        let own = self.underlines.get(depth).map(String::as_str);
        let with = if self.underlines.is_empty() { usual.get(depth).copied() } else { own };
        with.and_then(|with| with.bytes().next()).filter(u8::is_ascii_punctuation)
    }
}
