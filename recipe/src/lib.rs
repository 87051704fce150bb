//! What to build and how: the recipe, `.bb.toml` at the root of a repository.
//!
//! A recipe names builders and, for each, a short list of steps that anyone can run by hand. This crate holds the
//! checked form of it ([`Recipe`]), reads it from TOML with errors that point at line and column, and guesses one for a
//! project that has none. It never reads a file and never runs anything: text and file names come in, data goes out.

mod builder;
mod step;

pub use builder::{Builder, LockAmount, LockRequest};
use serde::{Deserialize, Serialize};
pub use step::{OnFailure, Run, Step, When};

/// The name of the recipe's file, at the root of a repository.
pub const FILE_NAME: &str = ".bb.toml";

/// A whole, checked recipe: at least one builder, each with at least one step, names unique.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// What the recipe says of the project as a whole.
    pub project: Project,
    /// The builders, in the order in which every page shows them.
    pub builders: Vec<Builder>,
}

/// The `[project]` table.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Path of the official ChangeLog, from the repository's root.
    pub changelog: String,
    /// File names at the root that are taken for a branch's fragment, beside `changelog-fragments/*.ChangeLog`.
    pub fragments: Vec<String>,
}

impl Default for Project {
    fn default() -> Self {
        Self { changelog: "ChangeLog".to_owned(), fragments: vec!["repo.ChangeLog".to_owned()] }
    }
}
