//! Showing that a repository is one's own.

use super::BranchSummary;
use serde::{Deserialize, Serialize};

/// A claim to a registered branch, or to its name.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// One's own repository, for which the name is claimed; when not given, the claim is to the branch, by its own repository.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// The branch there, when `url` is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub branch: Option<String>,
}

/// What came of a claim.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claimed {
    /// Whether the repository showed what it was to show; then the rights are the claimer's.
    pub proved: bool,
    /// The repository that is to show it.
    pub repository: String,
    /// The branch that is to be in it: its name is good for this repository and this token only.
    pub challenge: String,
    /// What to do in a clone of it, and then claim again; after that the branch may be deleted.
    pub push: String,
    /// The branch, as it stands now.
    pub branch: BranchSummary,
}
