//! One step of a builder: a command, its limits, and what its end means.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One step: a command and what its end means.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name, unique in its builder.
    pub name: String,
    /// The command.
    pub run: Run,
    /// The longest it may run, in seconds; none when only the slave's own limit holds.
    pub timeout_s: Option<u64>,
    /// When it is run at all.
    pub when: When,
    /// What its failure does to the build.
    pub on_failure: OnFailure,
    /// Variables added to the step's environment.
    pub env: BTreeMap<String, String>,
    /// Globs of JUnit files that it leaves behind.
    pub junit: Vec<String>,
    /// Globs of files to keep.
    pub artifacts: Vec<String>,
}

/// A step's command.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Run {
    /// Text for `sh -eu`.
    Shell(String),
    /// A program and its arguments, started without a shell; never empty.
    Argv(Vec<String>),
}

/// When a step is run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// While no step before it failed.
    #[default]
    OnSuccess,
    /// In any case.
    Always,
    /// Only after a step before it failed.
    OnFailure,
}

/// What a step's failure does to the build.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The build fails.
    #[default]
    Fail,
    /// The build passes with warnings at best.
    Warn,
    /// Nothing.
    Ignore,
}
