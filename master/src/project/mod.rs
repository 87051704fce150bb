//! A project that this master guards, and what is worked out of it alone: its recipes, what is built of a candidate, how much
//! changes.

mod diffs;
mod guarded;
pub(crate) mod recipes;
mod requests;
mod sizes;
mod troubles;

pub(crate) use guarded::{Guarded, RecipeInUse, RecipeState, lock};
pub(crate) use requests::requests;
