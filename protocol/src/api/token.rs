//! Tokens.

use crate::UnixMs;
use serde::{Deserialize, Serialize};

/// A token as it is listed; the token itself is shown once, when made.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// `maintainer`, `publisher` or `slave`.
    pub kind: String,
    /// Whose it is: a person's or a slave's name.
    pub name: String,
    /// Whether branches published with it are trusted.
    pub trusted: bool,
    /// When it was made.
    pub made_ms: UnixMs,
    /// When it was last used.
    pub used_ms: Option<UnixMs>,
    /// When it was revoked.
    pub revoked_ms: Option<UnixMs>,
}

/// What making a token takes: `POST /tokens`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// `maintainer`, `publisher` or `slave`.
    pub kind: String,
    /// Whose it is.
    pub name: String,
    /// Whether branches published with it are trusted.
    #[serde(default)]
    pub trusted: bool,
}

/// A token just made.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MadeToken {
    /// What is listed of it.
    pub token: Token,
    /// The secret; shown this once.
    pub secret: String,
}
