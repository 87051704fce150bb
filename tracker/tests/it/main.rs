//! The tracker against real git: real repositories in temp folders, and servers on loopback, good and hostile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod builds;
mod candidates;
mod changelogs;
mod checkouts;
mod diffs;
mod history;
mod homes;
mod landing;
mod left_locks;
mod local;
mod mending;
mod passing;
mod polling;
mod reading;
mod serving;
mod support;
mod together;
mod touched;
