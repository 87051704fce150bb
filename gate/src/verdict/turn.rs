//! Whose turn a build is, on its own page and where it decides about its branch.

use super::Build;
use protocol::BuildResult;
use protocol::api::Next;

/// Where a build ended and why, as the end of a sentence after its verb: ` at test with exit code 1`. What was said names the step
/// mostly itself; it is named once.
pub fn ended_at(step: Option<&str>, says: &str) -> String {
    let Some(step) = step else { return if says.is_empty() { String::new() } else { format!(": {says}") } };
    let named = says.strip_prefix(step);
    let why = match (
        named.and_then(|rest| rest.strip_prefix(" failed with ")),
        named.and_then(|rest| rest.strip_prefix(": ")),
    ) {
        (Some(code), _) => format!(" with {code}"),
        (None, Some(why)) => format!(": {why}"),
        (None, None) if says.is_empty() || named == Some(" failed") => String::new(),
        (None, None) => format!(": {says}"),
    };
    format!(" at {step}{why}")
}

/// Who does what next about a builder's build, if anybody has to; `author` is whose branch it is of.
pub fn turn(builder: &str, build: &Build, author: &str) -> Option<Next> {
    let (who, what) = match build {
        Build::NotAsked | Build::Waiting(None) => ("bb", format!("starts {builder}")),
        Build::Waiting(Some(wait)) => return Some(wait.next()),
        Build::Held(crowded) => return Some(crowded.next()),
        Build::Running { .. } => ("bb", format!("builds {builder}")),
        Build::Finished { result, step, lacks, .. } => match (result, lacks, step) {
            (BuildResult::Success | BuildResult::Warnings, ..) => return None,
            (BuildResult::Failure, Some(program), _) => (
                "an admin",
                format!(
                    "gives the slaves `{program}`, or whoever wrote the recipe does without it; then a maintainer or its publisher asks for the build again"
                ),
            ),
            (BuildResult::Failure, None, Some(step)) => (author, format!("makes step {step} of {builder} pass")),
            (BuildResult::Failure, None, None) => (author, format!("makes {builder} pass")),
            (BuildResult::Exception, ..) => (
                "an admin",
                "looks after the machine, then a maintainer or its publisher asks for the build again".to_owned(),
            ),
            (BuildResult::Cancelled, ..) => ("a maintainer", "or its publisher asks for the build again".to_owned()),
            (BuildResult::Skipped, ..) => (
                "a maintainer",
                format!("makes {builder} run, or optional, in .bb.toml, then asks for the build again"),
            ),
            (BuildResult::Retry, ..) => ("bb", format!("runs {builder} again")),
        },
    };
    Some(Next { who: who.to_owned(), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_named_once() {
        for (step, says, want) in [
            (Some("test"), "test failed with exit code 2", " at test with exit code 2"),
            (Some("test"), "test: no program `cmake` (exit code 127)", " at test: no program `cmake` (exit code 127)"),
            (Some("test"), "1 failed, 48 passed", " at test: 1 failed, 48 passed"),
            (Some("test"), "test failed", " at test"),
            (Some("test"), "testing went wrong", " at test: testing went wrong"),
            (Some("test"), "", " at test"),
            (None, "slave oak was lost", ": slave oak was lost"),
            (None, "", ""),
        ] {
            assert_eq!(ended_at(step, says), want, "{step:?} {says}");
        }
    }
}
