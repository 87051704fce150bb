//! What a step's tests gave, as its JUnit files say. A stranger's words: all is bounded, and checked again by the master.

use serde::{Deserialize, Serialize};

/// Failing tests that are told by name.
pub const MAX_FAILING: usize = 50;
/// Bytes of a test's name.
pub const MAX_TEST_NAME: usize = 500;
/// Bytes of what is told of a failure.
pub const MAX_TEST_TEXT: usize = 4 << 10;
/// What could not be read, at most, and bytes of each.
pub const MAX_NOTES: usize = 10;
/// See [`MAX_NOTES`].
pub const MAX_NOTE: usize = 500;
/// Names of failing tests in a sentence.
const NAMED: usize = 3;

/// What a step's tests gave.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed or could not be run to their end; not all of them are told by name.
    pub failed: u64,
    /// Tests that were passed over.
    pub skipped: u64,
    /// The first that failed, at most [`MAX_FAILING`].
    pub failing: Vec<FailingTest>,
    /// What could not be read, for people; at most [`MAX_NOTES`].
    pub notes: Vec<String>,
}

/// A test that failed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FailingTest {
    /// Its name, with its class or suite where that is told.
    pub name: String,
    /// What it says of the failure; cut.
    pub text: String,
}

impl TestReport {
    /// How many tests there were.
    pub const fn all(&self) -> u64 {
        self.passed + self.failed + self.skipped
    }

    /// Its failures in a sentence, if there are any: `2 of 120 tests failed: spool::full, spool::empty`.
    pub fn failures(&self) -> Option<String> {
        if self.failed == 0 {
            return None;
        }
        let names: Vec<&str> = self.failing.iter().take(NAMED).map(|test| test.name.as_str()).collect();
        let more = self.failed - (names.len() as u64).min(self.failed);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let (tests, all) = (if self.all() == 1 { "test" } else { "tests" }, self.all());
        Some(format!("{} of {all} {tests} failed: {}{more}", self.failed, names.join(", ")))
    }

    /// Why it can't be one that a slave made, if so.
    ///
    /// # Errors
    /// What is longer than it may be.
    pub fn check(&self) -> Result<(), String> {
        let most = 1 << 40;
        if [self.passed, self.failed, self.skipped].iter().any(|count| *count > most) {
            return Err("more tests than there can be".to_owned());
        }
        if self.failing.len() > MAX_FAILING || self.failing.len() as u64 > self.failed {
            return Err(format!("{} failing tests by name, of {}", self.failing.len(), self.failed));
        }
        if self.notes.len() > MAX_NOTES || self.notes.iter().any(|note| note.len() > MAX_NOTE) {
            return Err("more notes on tests than may be".to_owned());
        }
        let long = |test: &&FailingTest| test.name.len() > MAX_TEST_NAME || test.text.len() > MAX_TEST_TEXT;
        match self.failing.iter().find(long) {
            Some(test) => Err(format!("the test `{}` has more text than may be", cut(&test.name, 100))),
            None => Ok(()),
        }
    }
}

/// The beginning of a text, at most so many bytes.
pub fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn report(failed: u64, names: &[&str]) -> TestReport {
        let failing = names.iter().map(|name| FailingTest { name: (*name).to_owned(), text: String::new() });
        TestReport { passed: 7, failed, failing: failing.collect(), ..TestReport::default() }
    }

    #[test]
    fn failures_are_a_sentence() {
        assert_eq!(report(0, &[]).failures(), None);
        assert_eq!(report(2, &["a::b", "c"]).failures().unwrap(), "2 of 9 tests failed: a::b, c");
        assert_eq!(report(60, &["a", "b", "c", "d"]).failures().unwrap(), "60 of 67 tests failed: a, b, c and 57 more");
    }

    #[test]
    fn what_is_longer_than_it_may_be_is_refused() {
        assert_eq!(report(2, &["a", "b"]).check(), Ok(()));
        let mut text = report(1, &["a"]);
        text.failing[0].text = "x".repeat(MAX_TEST_TEXT + 1);
        let notes = TestReport { notes: vec![String::new(); MAX_NOTES + 1], ..TestReport::default() };
        let more = TestReport { passed: u64::MAX, ..TestReport::default() };
        for bad in [report(1, &["a", "b"]), report(99, &["a"; MAX_FAILING + 1]), text, notes, more] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        assert_eq!(cut("aä", 2), "a");
    }
}
