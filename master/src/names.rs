//! Paths that more than one part must agree on.

use protocol::{BranchName, BuildId, ProjectName, SlaveName};

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

/// The page of slaves that begins with this one.
pub(crate) fn slave_page(slave: &SlaveName) -> String {
    format!("/slaves?from={slave}")
}

/// Where the revisions of a branch before a number are listed; `page` is the branch's.
pub(crate) fn older_revisions(page: &str, before: u32) -> String {
    format!("{page}/revisions?before={before}")
}
