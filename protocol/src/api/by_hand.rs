//! What a person said, and who.

use crate::UnixMs;
use serde::{Deserialize, Serialize};

/// Something that a person said of the queue, which holds until somebody says otherwise.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ByHand {
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// Since when.
    pub since_ms: UnixMs,
}
