//! What benchmarks give back, and how it is shown.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What a benchmark gives back: its numbers, or why it could not be run.
pub(super) type Numbers = Result<Value, String>;

/// The workspace's root.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Prints rows of a name and a value, the values in a column.
pub(super) fn table(rows: &[(&str, String)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in rows {
        println!("   {name:<width$}  {value}");
    }
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// What `command` printed, without its last line's end; empty when it can't be run.
pub(super) fn first_words_of(command: &mut Command) -> String {
    let out = command.output().map(|out| out.stdout).unwrap_or_default();
    String::from_utf8_lossy(&out).trim().to_owned()
}

/// Seconds as a number of JSON, to the millisecond.
pub(super) fn in_seconds(time: Duration) -> Value {
    json!((time.as_secs_f64() * 1e3).round() / 1e3)
}
