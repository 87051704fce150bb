//! What a project's owner shows when it writes.

use protocol::{Fence, ProjectId};

/// The right to look after a project, until it expires or is renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The project.
    pub project: ProjectId,
    /// The fencing number: greater with each new owner.
    pub fence: Fence,
}
