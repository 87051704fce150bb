//! Where a branch stands, and the words and looks that everything is shown by.

use crate::BuildId;
use serde::{Deserialize, Serialize};

/// Whether a branch would land.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WouldLand {
    /// It has, or will as soon as what is said comes true; nothing about it stands in the way.
    Yes,
    /// It would not.
    No,
    /// A person's turn.
    NotYet,
    /// bb's turn.
    NotKnownYet,
}

/// What a state looks like: the class and glyph of the pages.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the word it is shown by")]
pub enum Look {
    Passed,
    Failed,
    Warnings,
    Running,
    Waiting,
    Exception,
    Skipped,
    Cancelled,
    Conflict,
    Accepted,
    Landed,
    Retired,
}

/// Where a branch stands: the state in words, whether it would land, why, and whose turn it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The stable word for the reason, such as `builder-failed`, `conflict`, `queued`.
    pub code: String,
    /// The state in the words of the pages: `building`, `fails linux`, `ready`, `queue 2`, `landed`.
    pub state: String,
    /// Its look.
    pub look: Look,
    /// Whether it would land.
    pub would_land: WouldLand,
    /// Why, as the end of a sentence: `because linux failed at test`.
    pub because: String,
    /// Whose turn it is: `bb`, the author, `a maintainer`, an admin; and what they do.
    pub next: Next,
    /// What must be met before it lands, unmet first.
    pub needs: Vec<Need>,
}

/// Whose turn it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Next {
    /// `bb`, `the author`, `a maintainer`, `an admin`, `nobody`, or a name.
    pub who: String,
    /// What they do: `mends the failing step test`.
    pub what: String,
}

/// One thing that must be met.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// How it stands.
    pub look: Look,
    /// What it is, a sentence.
    pub text: String,
    /// Where to look, a path or an anchor.
    pub page: Option<String>,
}

/// One builder's latest word on a branch.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The builder.
    pub builder: String,
    /// Whether landing needs it.
    pub required: bool,
    /// Its look.
    pub look: Look,
    /// The word: `passed`, `failed`, `running`, `waiting`.
    pub word: String,
    /// The build, if one was asked for.
    pub build: Option<BuildId>,
}
