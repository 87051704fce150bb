//! What benchmarks give back, and how it is shown.

use super::rows::Row;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What a benchmark gives back: its rows, or why it could not be run.
pub(super) type Rows = Result<Vec<Row>, String>;

/// The workspace's root.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// What `command` printed, without its last line's end; empty when it can't be run.
pub(super) fn first_words_of(command: &mut Command) -> String {
    let out = command.output().map(|out| out.stdout).unwrap_or_default();
    String::from_utf8_lossy(&out).trim().to_owned()
}
