//! A project that this master guards, and what is worked out of it alone: its recipes, what is built of a candidate, how much
//! changes.

mod assignment;
mod guarded;
pub(crate) mod recipes;
mod requests;
mod troubles;
mod views;

pub(crate) use assignment::assignment;
pub(crate) use guarded::{Guarded, RecipeInUse, RecipeState, lock};
pub(crate) use requests::requests;
pub(crate) use views::{Asked, NoView, raw, room};
