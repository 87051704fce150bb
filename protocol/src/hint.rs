//! What to do about something that is wrong, and whose it is to do.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;

/// Who does what a [`Hint`] says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acts {
    /// Whoever it concerns: the author of a branch, the maintainer of mainline, the user of a command.
    Concerned,
    /// An admin.
    Admin,
    /// bb: nobody need do anything.
    Bb,
}

const ADMIN: &str = "an admin ";
const BB: &str = "nothing needs to be done: bb ";

/// What to do next, a sentence without its end, that says by its beginning who does it, so that no line can name another:
/// `push the branch there`, `an admin looks at the disk`, `nothing needs to be done: bb fetches it again`. Empty when there is
/// nothing to be said.
///
/// ```
/// use protocol::{Acts, Hint};
///
/// let hint = Hint::by_bb("asks again");
/// assert_eq!((hint.acts(), hint.what()), (Acts::Bb, "asks again"));
/// assert_eq!(hint.to_string(), "nothing needs to be done: bb asks again");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hint(String);

impl Hint {
    /// For whoever it concerns, in the imperative: `push the branch there`.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// For an admin, as a verb in the third person begins: `looks at the disk`.
    pub fn by_admin(what: &str) -> Self {
        Self(format!("{ADMIN}{what}"))
    }

    /// For nobody, as a verb in the third person begins: `asks again`.
    pub fn by_bb(what: &str) -> Self {
        Self(format!("{BB}{what}"))
    }

    /// Who does it.
    pub fn acts(&self) -> Acts {
        self.read().0
    }

    /// What they do, without who it is.
    pub fn what(&self) -> &str {
        self.read().1
    }

    fn read(&self) -> (Acts, &str) {
        if let Some(what) = self.0.strip_prefix(ADMIN) {
            return (Acts::Admin, what);
        }
        match self.0.strip_prefix(BB) {
            Some(what) => (Acts::Bb, what),
            // As earlier versions kept it.
            None if self.0.starts_with("nothing") || self.0.starts_with("it is ") => {
                (Acts::Bb, "tries again by itself")
            }
            None => (Acts::Concerned, &self.0),
        }
    }
}

impl Deref for Hint {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Hint> for String {
    fn from(hint: Hint) -> Self {
        hint.0
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_acts_is_read_again_from_what_is_kept() {
        let again = |hint: &Hint| Hint::from(hint.to_string());
        for (hint, acts, what) in [
            (Hint::new("push it"), Acts::Concerned, "push it"),
            (Hint::by_admin("looks at the disk"), Acts::Admin, "looks at the disk"),
            (Hint::by_bb("asks again"), Acts::Bb, "asks again"),
            (Hint::default(), Acts::Concerned, ""),
            // As version 3 of the store has them.
            (Hint::from("nothing needs to be done now: it is asked again"), Acts::Bb, "tries again by itself"),
            (Hint::from("it is tried again, ever more seldom"), Acts::Bb, "tries again by itself"),
        ] {
            let again = again(&hint);
            assert_eq!((again.acts(), again.what()), (acts, what), "{hint}");
        }
    }
}
