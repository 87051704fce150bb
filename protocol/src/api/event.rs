//! What happened.

use super::Look;
use crate::{BranchName, BuildId, EventId, ProjectName, UnixMs};
use serde::{Deserialize, Serialize};

/// Something that happened; the event stream, the timeline and the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: EventId,
    /// When.
    pub at_ms: UnixMs,
    /// The project.
    pub project: Option<ProjectName>,
    /// The branch.
    pub branch: Option<BranchName>,
    /// The build.
    pub build: Option<BuildId>,
    /// The stable word: `published`, `revision`, `candidate`, `build-finished`, `accepted`, `landed`, …
    pub kind: String,
    /// Its look.
    pub look: Look,
    /// What happened, a sentence without its end.
    pub text: String,
    /// Who did it.
    pub actor: String,
}
