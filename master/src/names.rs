//! Paths that more than one part must agree on.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::{BranchName, BuildId, ProjectName, SlaveName};

/// The page of a project.
pub(crate) fn project_page(project: &ProjectName) -> String {
    format!("/p/{project}")
}

/// The page of a branch.
pub(crate) fn branch_page(project: &ProjectName, branch: &BranchName) -> String {
    format!("/p/{project}/branches/{branch}")
}

/// The page of what was said of a branch; `page` is the branch's.
pub(crate) fn review_page(page: &str) -> String {
    format!("{page}/review")
}

/// The page of a build.
pub(crate) fn build_page(project: &ProjectName, build: BuildId) -> String {
    format!("/p/{project}/builds/{build}")
}

/// The form by which lines of a file of a diff are spoken of; `page` is the branch's.
pub(crate) fn comment_on(page: &str, path: &str) -> String {
    format!("{}?path={}", review_page(page), utf8_percent_encode(path, NON_ALPHANUMERIC))
}

/// Where a file is had that a step keeps; `page` is the build's.
pub(crate) fn artifact(page: &str, step: u32, path: &str) -> String {
    const WHOLE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_');
    format!("{page}/steps/{step}/artifacts/{}", utf8_percent_encode(path, WHOLE))
}

/// Where all files are had at once that a step keeps.
pub(crate) fn artifacts_archive(page: &str, step: u32) -> String {
    format!("{page}/steps/{step}/artifacts.tar")
}

/// The page of slaves that begins with this one.
pub(crate) fn slave_page(slave: &SlaveName) -> String {
    format!("/slaves?from={slave}")
}

/// Where a lock is shown, with who holds it and who waits.
pub(crate) fn lock(name: &str) -> String {
    format!("/locks#lock-{name}")
}

/// Where the revisions of a branch before a number are listed; `page` is the branch's.
pub(crate) fn older_revisions(page: &str, before: u32) -> String {
    format!("{page}/revisions?before={before}")
}
