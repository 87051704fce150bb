//! Paths and refs that more than one part must agree on.

use protocol::{BranchName, BuildId, CommitId, ProjectName};

/// The ref that holds a candidate for as long as it may be built or landed.
pub(crate) fn build_ref(branch: &BranchName, revision: u32, commit: &CommitId) -> String {
    format!("refs/branches/{branch}/candidates/r{revision}-{}", commit.short())
}

/// The page of a project.
pub(crate) fn project_page(project: &ProjectName) -> String {
    format!("/p/{project}")
}

/// The page of a branch.
pub(crate) fn branch_page(project: &ProjectName, branch: &BranchName) -> String {
    format!("/p/{project}/branches/{branch}")
}

/// The page of a build.
pub(crate) fn build_page(project: &ProjectName, build: BuildId) -> String {
    format!("/p/{project}/builds/{build}")
}
