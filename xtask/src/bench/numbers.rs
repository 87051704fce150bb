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

/// Processor time of a process itself, in milliseconds.
pub(super) fn cpu_ms(pid: u32) -> Result<f64, String> {
    times(pid, &[11, 12])
}

/// The same, with its children that ended.
pub(super) fn cpu_ms_with_children(pid: u32) -> Result<f64, String> {
    times(pid, &[11, 12, 13, 14])
}

/// The sum of these fields of `/proc/PID/stat`, counted from behind the name, in milliseconds.
fn times(pid: u32, fields: &[usize]) -> Result<f64, String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| error.to_string())?;
    // The name may have blanks in it. Times are in hundredths of a second, as Linux tells them on every machine.
    let all: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: &usize| all.get(*at).and_then(|field| field.parse::<f64>().ok());
    let sum: Option<f64> = fields.iter().map(ticks).sum();
    sum.map(|ticks| ticks * 10.0).ok_or_else(|| "the processor time is not told".to_owned())
}
