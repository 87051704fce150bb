//! Names that bb itself gives out or accepts: they go into URLs, refs and file names as they are.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name, in bytes.
pub const MAX_LEN: usize = 64;

/// A text that can't be a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{text}` can't be the name of a {what}: use 1 to {MAX_LEN} of a-z, 0-9, `.`, `_` and `-`, a letter or digit first and last, no `..`, not ending in `.lock`"
)]
pub struct BadName {
    /// What it was to name.
    pub what: &'static str,
    /// The text, shortened and without control characters.
    pub text: String,
}

fn check(what: &'static str, text: &str) -> Result<(), BadName> {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
    let ends = edge(text.bytes().next()) && edge(text.bytes().last());
    if text.len() <= MAX_LEN && inner && ends && !text.contains("..") && !text.ends_with(".lock") {
        return Ok(());
    }
    let text = text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    Err(BadName { what, text })
}

macro_rules! name {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                check($what, &text)?;
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

name! {
    /// A project's name.
    ProjectName = "project";
    /// The name under which a branch is registered; unique in its project for ever.
    BranchName = "branch";
    /// A slave's name, unique on its master.
    SlaveName = "slave";
}

impl BranchName {
    /// The name that stands for any text, such as a ref's: lower case, other characters become `-`.
    ///
    /// `n` above 1 makes it another name for the same text: `fix`, `fix-2`, `fix-3`.
    pub fn suggest(text: &str, n: u32) -> Self {
        let tail = if n > 1 { format!("-{n}") } else { String::new() };
        let mut name = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            let c = if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_') { c } else { '-' };
            let doubled =
                !c.is_ascii_alphanumeric() && name.chars().last().is_none_or(|last| !last.is_ascii_alphanumeric());
            if !doubled && name.len() + tail.len() < MAX_LEN {
                name.push(c);
            }
        }
        let kept = name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let kept = kept.strip_suffix(".lock").map_or_else(|| kept.to_owned(), |front| format!("{front}-lock"));
        Self(if kept.is_empty() { format!("branch{tail}") } else { format!("{kept}{tail}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refs_become_names() {
        let of = |text, n| BranchName::suggest(text, n).to_string();
        assert_eq!(of("feature/Übel--x", 1), "feature-bel-x");
        assert_eq!(of("fix.lock", 2), "fix-lock-2");
        assert_eq!(of("--upload-pack=x", 1), "upload-pack-x");
        assert_eq!(of("☃", 1), "branch");
    }

    proptest! {
        #[test]
        fn a_suggestion_is_always_a_name(text in any::<String>(), n in 1u32..100_000) {
            let name = BranchName::suggest(&text, n).to_string();
            prop_assert!(name.parse::<BranchName>().is_ok(), "{name}");
        }
    }
}
