//! Which steps are run and what a build's result is: pure.

use protocol::BuildResult;
use recipe::{OnFailure, When};

/// How the steps of a build went so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Progress {
    /// The first step that fails the build, and why.
    failed: Option<String>,
    /// The first step that gave a warning, and why.
    warned: Option<String>,
    /// What ended the build before its steps did.
    stopped: Option<(BuildResult, String)>,
    /// Whether a step ran whose word counts. Without one the build says nothing of the candidate.
    evidence: bool,
}

impl Progress {
    /// Whether a step is run now.
    pub(crate) fn wants(&self, when: When) -> bool {
        match when {
            _ if self.stopped.is_some() => false,
            When::Always => true,
            When::OnSuccess => self.failed.is_none(),
            When::OnFailure => self.failed.is_some(),
        }
    }

    /// Why a step that is not run is not.
    pub(crate) fn why_skipped(when: When) -> &'static str {
        match when {
            When::OnFailure => "no step before it failed",
            When::OnSuccess | When::Always => "a step before it failed",
        }
    }

    /// Takes in how getting the candidate ended: no step of the recipe, so its success is no evidence.
    pub(crate) fn fetched(&mut self, result: BuildResult, why: String) {
        if result != BuildResult::Success {
            self.stop(result, why);
        }
    }

    /// Takes in how a step ended; `why` says it for people: `test failed with exit code 2`.
    pub(crate) fn step(&mut self, result: BuildResult, on_failure: OnFailure, why: String) {
        let place = match result {
            BuildResult::Skipped => return,
            BuildResult::Success => {
                self.evidence = true;
                return;
            }
            BuildResult::Warnings => &mut self.warned,
            BuildResult::Failure => match on_failure {
                OnFailure::Fail => &mut self.failed,
                OnFailure::Warn => &mut self.warned,
                OnFailure::Ignore => return,
            },
            BuildResult::Exception | BuildResult::Retry | BuildResult::Cancelled => {
                self.stop(result, why);
                return;
            }
        };
        self.evidence = true;
        place.get_or_insert(why);
    }

    /// Ends the build with this result, whatever its steps did; the first word counts.
    pub(crate) fn stop(&mut self, result: BuildResult, why: String) {
        self.stopped.get_or_insert((result, why));
    }

    /// Whether the build was ended before its steps did.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// The build's result and one line on it.
    pub(crate) fn result(self) -> (BuildResult, String) {
        match self {
            Self { stopped: Some(stopped), .. } => stopped,
            Self { failed: Some(why), .. } => (BuildResult::Failure, why),
            Self { warned: Some(why), .. } => (BuildResult::Warnings, why),
            Self { evidence: true, .. } => (BuildResult::Success, "all steps passed".to_owned()),
            Self { .. } => (BuildResult::Skipped, "no step ran whose result counts".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn whens() -> impl Strategy<Value = When> {
        prop_oneof![Just(When::OnSuccess), Just(When::Always), Just(When::OnFailure)]
    }

    fn on_failures() -> impl Strategy<Value = OnFailure> {
        prop_oneof![Just(OnFailure::Fail), Just(OnFailure::Warn), Just(OnFailure::Ignore)]
    }

    fn results() -> impl Strategy<Value = BuildResult> {
        proptest::sample::select(&BuildResult::ALL[..])
    }

    /// Runs through steps as a build does; gives the results of those that were run and the build's.
    fn play(steps: &[(When, OnFailure, BuildResult)]) -> (Vec<usize>, BuildResult) {
        let mut progress = Progress::default();
        let mut ran = Vec::new();
        for (n, &(when, on_failure, result)) in steps.iter().enumerate() {
            if progress.wants(when) {
                ran.push(n);
                progress.step(result, on_failure, n.to_string());
            }
        }
        (ran, progress.result().0)
    }

    proptest! {
        #[test]
        fn success_means_that_nothing_that_counts_went_wrong(
            steps in proptest::collection::vec((whens(), on_failures(), results()), 0..8)
        ) {
            let (ran, result) = play(&steps);
            let bad = |counts: &[OnFailure]| ran.iter().any(|&n| {
                let (_, on_failure, result) = steps[n];
                result > BuildResult::Failure || result == BuildResult::Failure && counts.contains(&on_failure)
            });
            let evidence = ran.iter().any(|&n| {
                let (_, on_failure, result) = steps[n];
                result.passed() || result == BuildResult::Failure && on_failure == OnFailure::Warn
            });
            prop_assert_eq!(result.passed(), evidence && !bad(&[OnFailure::Fail]));
            prop_assert_eq!(result == BuildResult::Skipped, !evidence && !bad(&[OnFailure::Fail]));
            if result == BuildResult::Success {
                prop_assert!(!bad(&[OnFailure::Fail, OnFailure::Warn]));
                prop_assert!(ran.iter().all(|&n| steps[n].2 != BuildResult::Warnings));
            }
        }

        #[test]
        fn a_step_that_is_always_run_is_left_out_only_when_the_build_was_stopped(
            steps in proptest::collection::vec((whens(), on_failures(), results()), 0..8)
        ) {
            let (ran, _) = play(&steps);
            let stopped = ran.iter().position(|&n| steps[n].2 > BuildResult::Failure);
            prop_assert!(stopped.is_none_or(|at| at + 1 == ran.len()), "nothing runs after a stop");
            if stopped.is_none() {
                for (n, step) in steps.iter().enumerate().filter(|(_, step)| step.0 == When::Always) {
                    prop_assert!(ran.contains(&n), "{:?}", step);
                }
            }
        }

        #[test]
        fn steps_for_failure_and_for_success_exclude_each_other(
            before in proptest::collection::vec((on_failures(), results()), 0..5)
        ) {
            let mut progress = Progress::default();
            before.iter().for_each(|&(on_failure, result)| progress.step(result, on_failure, String::new()));
            prop_assert!(!(progress.wants(When::OnSuccess) && progress.wants(When::OnFailure)));
        }
    }

    #[test]
    fn a_build_without_evidence_is_skipped() {
        let mut progress = Progress::default();
        progress.fetched(BuildResult::Success, String::new());
        assert_eq!(progress.clone().result().0, BuildResult::Skipped, "nothing but the candidate was had");
        progress.step(BuildResult::Failure, OnFailure::Ignore, "lint failed".to_owned());
        progress.step(BuildResult::Skipped, OnFailure::Fail, String::new());
        assert_eq!(progress.clone().result().0, BuildResult::Skipped, "a failure that is ignored proves nothing");
        progress.step(BuildResult::Success, OnFailure::Fail, String::new());
        assert_eq!(progress.result().0, BuildResult::Success);
    }

    #[test]
    fn the_first_failure_is_the_reason() {
        let mut progress = Progress::default();
        progress.step(BuildResult::Failure, OnFailure::Warn, "lint failed".to_owned());
        progress.step(BuildResult::Failure, OnFailure::Fail, "test failed".to_owned());
        progress.step(BuildResult::Failure, OnFailure::Fail, "upload failed".to_owned());
        assert_eq!(progress.clone().result(), (BuildResult::Failure, "test failed".to_owned()));
        progress.stop(BuildResult::Cancelled, "superseded".to_owned());
        progress.stop(BuildResult::Exception, "later".to_owned());
        assert_eq!(progress.result(), (BuildResult::Cancelled, "superseded".to_owned()));
    }
}
