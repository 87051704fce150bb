//! The reconcilers: loops that read what the store says, do the next thing that is missing, and write down that it was
//! done. Each can be killed at any instruction and begins again from the store.
//!
//! A loop is woken by the writes to the store that concern it and also by a slow tick, so that a lost wake-up costs time, never
//! correctness. What is to be done is decided by `gate`; how is done by `tracker`; here the two are joined.

mod afterwards;
mod board;
mod builds;
mod candidates;
mod claims;
mod each;
mod expire;
mod follow;
mod hearing;
mod landing;
mod look;
mod loops;
mod mainline;
mod mend;
mod pack;
mod queue;
mod schedule;
mod seen;
mod stacking;
mod step;
mod together;
mod upkeep;
mod watch;

pub(crate) use candidates::{KeptRequest, stacked};
pub(crate) use mainline::look as look_at_mainline;

pub(crate) use claims::claim_all;
pub(crate) use look::{GONE, bring_branch_back};
pub use loops::Loop;
pub(crate) use loops::{start, turn};
pub(crate) use mainline::mainline_of;
pub(crate) use mend::{mend_candidate, named};
pub(crate) use step::StepError;

use step::{Again, TICK};
