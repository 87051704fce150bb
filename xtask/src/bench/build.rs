//! From a fresh clone to the program that `cargo run -- demo` runs: what a user waits for first.

use super::numbers::{Rows, root};
use super::rows::{Row, Wanted};
use std::process::Command;
use std::time::Instant;

/// Clones this repository, and builds bb there from nothing but a warm package cache.
pub(super) fn measure() -> Rows {
    let folder = testkit::folder();
    let clone = folder.path().join("bb");
    let cloned =
        Command::new("git").args(["clone", "--quiet", "--no-hardlinks", "--"]).arg(root()).arg(&clone).status();
    if !cloned.is_ok_and(|status| status.success()) {
        return Err("git can't clone this repository".to_owned());
    }
    let start = Instant::now();
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--locked", "--quiet"])
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(&clone)
        .status();
    let took = start.elapsed();
    if !built.is_ok_and(|status| status.success()) {
        return Err("the clone can't be built".to_owned());
    }
    let row = Row::number("build", "clone to built, dev profile, warm package cache", took.as_secs_f64(), "s");
    Ok(vec![row.wanting(Wanted::AtMost(150.0))])
}
