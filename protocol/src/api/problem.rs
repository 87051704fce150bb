//! How the API says no.

use serde::{Deserialize, Serialize};

/// A problem, as RFC 9457 (`application/problem+json`) has it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind it is; `about:blank` when the code says all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong, and with what.
    pub detail: String,
    /// bb's own stable word for it, such as `url-scheme`.
    pub code: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// Seconds after which the same may be done, where that is known; the header `Retry-After` says it, too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_s: Option<u64>,
}
