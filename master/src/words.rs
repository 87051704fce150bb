//! Words and looks for stored values, in one place so that every face says the same.

use protocol::BuildResult;
use protocol::api::Look;

/// A result's look, and the verb that the pages say it by.
pub(crate) fn of_result(result: BuildResult) -> (Look, &'static str) {
    match result {
        BuildResult::Success => (Look::Passed, "passed"),
        BuildResult::Warnings => (Look::Warnings, "passed with warnings"),
        BuildResult::Skipped => (Look::Skipped, "skipped"),
        BuildResult::Failure => (Look::Failed, "failed"),
        BuildResult::Exception => (Look::Exception, "exception"),
        BuildResult::Retry => (Look::Cancelled, "interrupted"),
        BuildResult::Cancelled => (Look::Cancelled, "cancelled"),
    }
}
