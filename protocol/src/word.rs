//! A word on a slave's availability: what it says, whose it is, why, since when and until when.

use crate::UnixMs;
use serde::{Deserialize, Serialize};

/// The longest name and reason of a word that is kept, in characters.
pub const MAX_WORD: usize = 200;

/// A slave's readiness to take builds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// It takes builds at once.
    #[default]
    Eager,
    /// It takes a build only when no eager one could start it in time.
    Reluctant,
    /// It takes none.
    Unavailable,
}

impl Availability {
    /// All, the mildest first.
    pub const ALL: [Self; 3] = [Self::Eager, Self::Reluctant, Self::Unavailable];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Reluctant => "reluctant",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Voice {
    /// A rule of `slave.toml`.
    Rule,
    /// A person on the slave's machine: by command or by the slave's own page.
    Person,
    /// The machine itself: out of disk, a failed self-test, on its way down. Ends when its cause does.
    Machine,
    /// An admin, on the master.
    Admin,
    /// Nobody: what holds where nobody says anything, or a voice that only a newer bb has.
    #[default]
    #[serde(other)]
    Nobody,
}

impl Voice {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Rule => "rule",
            Self::Person => "person",
            Self::Machine => "machine",
            Self::Admin => "admin",
        }
    }
}

/// A word on a slave's availability.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// What it says.
    pub says: Availability,
    /// Who speaks.
    #[serde(default)]
    pub voice: Voice,
    /// Their name: a person's, `rule 2`, `the machine`. Empty for nobody.
    #[serde(default)]
    pub who: String,
    /// Why, for people; may be empty.
    #[serde(default)]
    pub reason: String,
    /// Since when.
    pub since: UnixMs,
    /// Until when at the latest; none for as long as it is not taken back, or its cause lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMs>,
}

impl Word {
    /// Nobody's word: it takes builds.
    pub fn nobody(since: UnixMs) -> Self {
        let (says, voice) = (Availability::default(), Voice::default());
        Self { says, voice, who: String::new(), reason: String::new(), since, until: None }
    }

    /// Whether it still holds.
    pub fn holds(&self, now: UnixMs) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whose it is and why, in words: `ann: a talk in this room`, `rule 2: load is above 4`. Empty when nobody said anything.
    pub fn because(&self) -> String {
        match (self.who.as_str(), self.reason.as_str()) {
            ("", reason) => reason.to_owned(),
            (who, "") => format!("said by {who}"),
            (who, reason) => format!("{who}: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_word_of_a_newer_bb_is_understood_as_far_as_it_goes() {
        let text = r#"{"says":"reluctant","voice":"moon","since":5,"mood":"full"}"#;
        let word: Word = serde_json::from_str(text).unwrap();
        assert_eq!((word.says, word.voice, word.until), (Availability::Reluctant, Voice::Nobody, None));
        assert_eq!(serde_json::from_str::<Word>(&serde_json::to_string(&word).unwrap()).unwrap(), word);
    }

    #[test]
    fn a_word_ends_at_its_time() {
        let word = Word { until: Some(UnixMs(10)), ..Word::nobody(UnixMs(0)) };
        assert!(word.holds(UnixMs(9)) && !word.holds(UnixMs(10)) && Word::nobody(UnixMs(0)).holds(UnixMs(i64::MAX)));
    }
}
