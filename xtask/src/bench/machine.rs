//! The machine that the numbers are of.

use super::numbers::first_words_of;
use serde_json::{Value, json};
use std::process::Command;

/// The machine, in what matters to the numbers.
pub(super) fn describe() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    json!({
        "processor": field(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "git": first_words_of(Command::new("git").arg("--version")),
        "rustc": first_words_of(Command::new("rustc").arg("--version")),
        "commit": first_words_of(Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(super::root())),
    })
}
