//! What tests gave, on a build's page: those that failed first, by name and with what they say.

use super::words::{count, thousands};
use protocol::api::{Look, StepDetail};
use serde::Serialize;

/// A step's tests.
#[derive(Serialize)]
pub(super) struct TestsLine {
    number: u32,
    look: Look,
    step: String,
    says: String,
    failing: Vec<Failing>,
    /// How many failed beside those.
    more: Option<String>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Failing {
    name: String,
    text: String,
}

/// The tests of a step that has some.
pub(super) fn tests_of(step: &StepDetail) -> Option<TestsLine> {
    let tests = step.tests.as_ref()?;
    let counted = |count: u64, what: &str| (count > 0).then(|| format!("{} {what}", thousands(count)));
    let all = [counted(tests.failed, "failed"), counted(tests.passed, "passed"), counted(tests.skipped, "skipped")];
    let says: Vec<String> = all.into_iter().flatten().collect();
    let failing: Vec<Failing> =
        tests.failing.iter().map(|test| Failing { name: test.name.clone(), text: test.text.clone() }).collect();
    let more = tests.failed.saturating_sub(failing.len() as u64);
    Some(TestsLine {
        number: step.number,
        look: match (tests.failed, tests.notes.is_empty()) {
            (0, true) => Look::Passed,
            (0, false) => Look::Warnings,
            _ => Look::Failed,
        },
        step: step.name.clone(),
        says: if says.is_empty() { "no tests".to_owned() } else { says.join(", ") },
        more: (more > 0).then(|| {
            let more = count(usize::try_from(more).unwrap_or(usize::MAX), "more failed", "more failed");
            format!("{more}; the log and the JUnit files have them all.")
        }),
        failing,
        notes: tests.notes.clone(),
    })
}
