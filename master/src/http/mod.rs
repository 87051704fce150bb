//! The one listener: pages, API, event streams, slaves' connections and git, read only.

mod admission;
mod api;
mod artifacts;
mod caller;
mod doors;
mod events;
mod extract;
mod face;
mod git;
mod health;
mod hosts;
mod logs;
mod packed;
mod pages;
mod range;
mod raw;
mod router;
mod serve;
mod slave;
mod visit;
mod watch;
mod who;

pub(crate) use serve::serve;
