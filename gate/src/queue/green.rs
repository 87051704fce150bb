//! An acceptance that counts only once its commit passed alone.

use super::decide::{bb, who, with_detail};
use crate::words::list;
use protocol::BuildResult;
use protocol::api::Next;

/// What a required builder says of a commit alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judged {
    /// The builder.
    pub builder: String,
    /// How its latest build ended; none while it has not.
    pub result: Option<BuildResult>,
    /// What failed, for people; may be empty.
    pub says: String,
}

/// What such an acceptance still waits for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UntilGreen {
    /// These builders have not ended; none: which ones there are is not known yet.
    Open(Vec<String>),
    /// This one did not pass.
    Red(Judged),
}

impl UntilGreen {
    /// What is left, by what all required builders say; none when they all passed, and there is one.
    pub fn of(judged: &[Judged]) -> Option<Self> {
        let passed = |it: &&Judged| matches!(it.result, Some(BuildResult::Success | BuildResult::Warnings));
        if let Some(red) = judged.iter().find(|it| it.result.is_some_and(ends_badly)) {
            return Some(Self::Red(red.clone()));
        }
        let open: Vec<String> = judged.iter().filter(|it| !passed(it)).map(|it| it.builder.clone()).collect();
        (judged.is_empty() || !open.is_empty()).then_some(Self::Open(open))
    }

    /// How one stands that waits so, and who does what next.
    pub(super) fn words(&self, author: &str) -> (String, Next) {
        const WHAT: &str = "accepted for when it is green";
        match self {
            Self::Open(open) if open.is_empty() => (format!("{WHAT}; it is not built yet"), bb("builds it alone")),
            Self::Open(open) => {
                let (names, verb) = (list(open), if open.len() == 1 { "is" } else { "are" });
                (format!("{WHAT}; {names} {verb} left"), bb(&format!("tests it in the queue when {names} passed")))
            }
            Self::Red(Judged { builder, result, says }) => {
                let (verb, next) = match result {
                    Some(BuildResult::Failure) => ("failed", who(author, format!("makes {builder} pass"))),
                    Some(BuildResult::Exception) => {
                        let what =
                            "looks after the machine, then a maintainer or its publisher asks for the build again";
                        ("ended without a result", who("an admin", what))
                    }
                    Some(BuildResult::Cancelled) => {
                        ("was cancelled", who("a maintainer", "or its publisher asks for the build again"))
                    }
                    _ => ("was skipped", who("a maintainer", format!("makes {builder} run, or accepts it as it is"))),
                };
                (with_detail(format!("{WHAT}, and {builder} {verb}"), says), next)
            }
        }
    }
}

/// Whether a result keeps it from being green until somebody does something.
const fn ends_badly(result: BuildResult) -> bool {
    matches!(result, BuildResult::Failure | BuildResult::Exception | BuildResult::Cancelled | BuildResult::Skipped)
}
