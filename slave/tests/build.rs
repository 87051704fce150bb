//! One build from assignment to last report, with real processes.
#![allow(clippy::unwrap_used)]

mod support;

use protocol::BuildResult::{Failure, Success};
use support::*;

#[tokio::test]
async fn a_build_runs_and_its_log_arrives() {
    let steps = vec![sh("look", "cat README; pwd"), sh("test", "echo to stdout; echo to stderr >&2; exit 3")];
    for seen in run_both(|_| {}, steps).await {
        assert_eq!(seen.log(0), "got 0123456789012345678901234567890123456789\n");
        assert!(seen.log(1).starts_with("a candidate\n/"), "{}", seen.log(1));
        assert_eq!(seen.step(1), (Success, Some(0), None));
        assert_eq!(seen.log(2), "to stdout\nto stderr\n");
        assert_eq!(seen.step(2), (Failure, Some(3), None));
        assert_eq!(result(&seen), (Failure, "test failed with exit code 3".to_owned()));
    }
}
