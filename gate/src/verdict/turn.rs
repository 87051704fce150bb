//! Whose turn a build is, on its own page and where it decides about its branch.

use super::Build;
use protocol::BuildResult;
use protocol::api::Next;

/// Who does what next about a builder's build, if anybody has to; `author` is whose branch it is of.
pub fn turn(builder: &str, build: &Build, author: &str) -> Option<Next> {
    let (who, what) = match build {
        Build::NotAsked | Build::Waiting(None) => ("bb", format!("starts {builder}")),
        Build::Waiting(Some(wait)) => return Some(wait.next()),
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
