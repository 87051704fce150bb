//! The name of a branch in somebody's repository.

use crate::Explain;
use crate::text::{shortened, shown};
use protocol::Hint;
use serde::{Deserialize, Serialize};

/// The name of a branch as somebody typed it.
#[derive(Clone, Debug)]
pub struct RawRefName(String);

impl RawRefName {
    /// Takes the text; `refs/heads/` before it is understood.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A branch in a repository, by a name that git allows. It is only ever given to git as a whole `refs/heads/…`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchRef(String);

/// The longest name, in bytes.
const MAX_LEN: usize = 250;

/// A text can't be the name of a branch.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RefRefused {
    /// There is none.
    #[error("no branch was named")]
    Empty,
    /// It is too long.
    #[error("the branch name `{text}` has {len} bytes; at most {MAX_LEN} are allowed")]
    TooLong {
        /// Its beginning.
        text: String,
        /// Its length.
        len: usize,
    },
    /// It reads as an option of a command.
    #[error("the branch name `{text}` begins with `-`, as an option does")]
    Option {
        /// The name.
        text: String,
    },
    /// It is a ref, but no branch.
    #[error("`{text}` is not a branch: only what is below refs/heads/ can be published")]
    NotABranch {
        /// The name.
        text: String,
    },
    /// It has control characters.
    #[error("the branch name `{text}` has control characters in it")]
    ControlCharacters {
        /// The name, with these made visible.
        text: String,
    },
    /// git does not allow it.
    #[error("git allows no branch named `{text}`: {why}")]
    Malformed {
        /// The name.
        text: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl Explain for RefRefused {
    fn code(&self) -> &'static str {
        match self {
            Self::Empty => "ref-empty",
            Self::TooLong { .. } => "ref-too-long",
            Self::Option { .. } => "ref-option",
            Self::NotABranch { .. } => "ref-not-a-branch",
            Self::ControlCharacters { .. } => "ref-control-characters",
            Self::Malformed { .. } => "ref-malformed",
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Option { .. } | Self::TooLong { .. } => {
                Hint::new("publish the branch under another name: git branch -m NEW-NAME, then push it again")
            }
            _ => Hint::new("name the branch as `git branch` lists it in that repository"),
        }
    }
}

impl BranchRef {
    /// Checks a name.
    ///
    /// # Errors
    /// When git would not allow a branch of this name, or it looks like an option.
    pub fn check(raw: &RawRefName) -> Result<Self, RefRefused> {
        let name = raw.0.strip_prefix("refs/heads/").unwrap_or(&raw.0);
        let text = || shortened(name, 60);
        if name.is_empty() {
            return Err(RefRefused::Empty);
        }
        if name.len() > MAX_LEN {
            return Err(RefRefused::TooLong { text: text(), len: name.len() });
        }
        if name.starts_with('-') {
            return Err(RefRefused::Option { text: text() });
        }
        if name.starts_with("refs/") {
            return Err(RefRefused::NotABranch { text: text() });
        }
        if name.chars().any(char::is_control) {
            return Err(RefRefused::ControlCharacters { text: text() });
        }
        match malformed(name) {
            Some(why) => Err(RefRefused::Malformed { text: text(), why }),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// The name, as git has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name for people: hidden characters made visible.
    pub fn display(&self) -> String {
        shown(self.0.as_bytes())
    }

    /// The whole ref: `refs/heads/NAME`.
    pub fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

fn malformed(name: &str) -> Option<&'static str> {
    if name == "@" || name.contains("@{") {
        return Some("`@` alone and `@{` mean something else to git");
    }
    if name == "HEAD" {
        return Some("HEAD is not a branch but points to one");
    }
    if name.contains("..") {
        return Some("it has `..` in it");
    }
    if name.contains([' ', '~', '^', ':', '?', '*', '[', '\\']) {
        return Some("it has a blank or one of ~^:?*[\\ in it");
    }
    if name.ends_with('.') {
        return Some("it ends in `.`");
    }
    if name.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock")) {
        return Some("a part of it is empty, begins with `.` or ends in `.lock`");
    }
    None
}

impl TryFrom<String> for BranchRef {
    type Error = RefRefused;
    fn try_from(text: String) -> Result<Self, RefRefused> {
        Self::check(&RawRefName(text))
    }
}

impl std::str::FromStr for BranchRef {
    type Err = RefRefused;
    fn from_str(text: &str) -> Result<Self, RefRefused> {
        Self::try_from(text.to_owned())
    }
}

impl From<BranchRef> for String {
    fn from(branch: BranchRef) -> Self {
        branch.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn code(text: &str) -> &'static str {
        text.parse::<BranchRef>().unwrap_err().code()
    }

    #[test]
    fn names_that_are_refused_say_why() {
        assert_eq!(code(""), "ref-empty");
        assert_eq!(code("refs/heads/"), "ref-empty");
        assert_eq!(code("--upload-pack=x"), "ref-option");
        assert_eq!(code("-x"), "ref-option");
        assert_eq!(code("refs/heads/-x"), "ref-option");
        assert_eq!(code("refs/tags/v1"), "ref-not-a-branch");
        assert_eq!(code("a\nb"), "ref-control-characters");
        assert_eq!(code(&"x".repeat(4096)), "ref-too-long");
        for bad in [
            "a..b", "a b", "a:b", "+a*", "a^", "a~1", "@", "a@{1}", "a.", "/a", "a//b", "a/", ".a", "a.lock",
            "a.lock/b", "HEAD",
        ] {
            assert_eq!(code(bad), "ref-malformed", "{bad}");
        }
        let words = "-\u{202e}x".parse::<BranchRef>().unwrap_err();
        assert_eq!(words.to_string(), "the branch name `-<U+202E>x` begins with `-`, as an option does");
    }

    #[test]
    fn strange_names_that_git_allows_are_kept_and_shown_harmless() {
        for name in ["feature/x", "<script>alert(1)</script>", "日本", "a'b\"c", "$(id)", "x;y", "a=b", "#1"] {
            assert_eq!(name.parse::<BranchRef>().unwrap().as_str(), name);
        }
        let bidi: BranchRef = "refs/heads/a\u{202e}b".parse().unwrap();
        assert_eq!((bidi.display().as_str(), bidi.full().as_str()), ("a<U+202E>b", "refs/heads/a\u{202e}b"));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_checked_the_same_again(text in any::<String>()) {
            if let Ok(name) = text.parse::<BranchRef>() {
                prop_assert_eq!(name.as_str().parse::<BranchRef>().unwrap(), name);
            }
        }
    }
}
