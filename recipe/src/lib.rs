//! What to build and how: the recipe, `.bb.toml` at the root of a repository.
//!
//! A recipe names builders and, for each, a short list of steps that anyone can run by hand. This crate holds the
//! checked form of it ([`Recipe`]), reads it from TOML with errors that point at line and column ([`RecipeError`]), prints
//! it, and guesses one for a project that has none ([`guess`]). It never reads a file and never runs anything: text and
//! file names come in, data goes out. No input makes it panic.
//!
//! ```
//! use recipe::{Recipe, Run};
//!
//! let text = "
//! [[builder]]
//! name = 'linux'
//! slaves = ['linux']
//! locks = { vm = 2 }
//!
//! [[builder.step]]
//! name = 'test'
//! run = 'make check'
//! timeout = '20m'
//! ";
//! let (recipe, warnings) = Recipe::parse(text.as_bytes(), ".bb.toml")?;
//! assert!(warnings.is_empty());
//! let step = &recipe.builders[0].steps[0];
//! assert_eq!((&step.run, step.timeout_s), (&Run::Shell("make check".to_owned()), Some(1200)));
//!
//! let misspelt = text.replace("timeout", "timout");
//! let error = Recipe::parse(misspelt.as_bytes(), ".bb.toml").unwrap_err();
//! let first = &error.problems[0];
//! assert_eq!((first.place.line, first.place.column), (10, 1));
//! assert_eq!(first.hint.as_deref(), Some("did you mean `timeout`?"));
//! # Ok::<(), recipe::RecipeError>(())
//! ```

mod builder;
mod error;
mod fields;
mod guess;
mod matrix;
mod names;
mod parse;
mod print;
mod project;
mod recipe;
mod step;
mod towncrier;
mod words;

pub use builder::{Builder, History, LockAmount, LockRequest};
pub use error::{Place, Problem, RecipeError};
pub use fields::{FILE_NAME, MAX_BYTES};
pub use guess::{Guess, guess};
pub use matrix::MAX_MATRIX;
pub use parse::{MAX_BUILDERS, MAX_STEPS, MAX_TIMEOUT_S, Warning};
pub use project::Project;
pub use recipe::{Queue, Recipe};
pub use step::{OnFailure, Run, Step, When};
