//! The pure decisions: which slave builds what, what the queue does next, where a branch stands.
//!
//! Every function here takes plain data and returns plain data. The loops in `master` read that data from the store,
//! call, and carry the answer out. This crate never reads a clock, a file or the network, never waits and holds no state:
//! time is an argument, and the same question always gets the same answer, so that properties and simulators can ask
//! it by the million.
//!
//! - [`schedule::schedule`]: which waiting build goes to which slave now, and why the others wait; locks are part of it;
//! - [`queue::decide`]: which candidates to make and to build, what lands, who is ejected and why;
//! - [`stacks::decide`]: the same with several branches tested at once, which is not wired into the master yet;
//!   [`simulator`]: worlds to play it in, drawn from a seed;
//! - [`verdict::judge`]: would this branch land, if not why, and whose turn is it;
//! - [`availability`]: what a slave's rules say at a moment, whose word counts, and rules that fight;
//! - [`looks::begin`]: which branches are looked at now; [`places`]: who may hold how many of what there is only so much of;
//! - [`pending::Pending`]: how many builds of strangers may wait at once;
//! - [`builders::builders_for`]: which builders judge a branch, alone or in a stack;
//! - [`review`]: which votes count, and which lines can be spoken of;
//! - [`mainline`]: what of mainline stops everybody;
//! - [`code`]: every stable code that these answers carry, with its meaning.
//!
//! ```
//! use gate::schedule::{Class, Situation, Slave, Waiting, schedule};
//! use protocol::wire::{Availability, Isolation};
//! use protocol::{BuildId, ProjectId, SlaveId, UnixMs};
//!
//! let build = |id: i64, label: &str| Waiting {
//!     id: BuildId(id),
//!     project: ProjectId(1),
//!     class: Class::Other,
//!     priority: 0,
//!     publisher: "ines".to_owned(),
//!     since: UnixMs(1_000),
//!     labels: vec![label.to_owned()],
//!     locks: vec![],
//!     isolation: Isolation::Bubblewrap,
//! };
//! let birch = Slave {
//!     id: SlaveId(7),
//!     name: "birch".parse()?,
//!     connected: true,
//!     availability: Availability::Eager,
//!     labels: vec!["linux".to_owned()],
//!     slots: 2,
//!     isolation: Isolation::Bubblewrap,
//!     warm: vec![],
//!     last_used: None,
//! };
//! let plan = schedule(&Situation {
//!     now: UnixMs(2_000),
//!     reluctant_after_ms: 60_000,
//!     waiting: vec![build(1, "linux"), build(2, "arm64")],
//!     running: vec![],
//!     served: Default::default(),
//!     slaves: vec![birch],
//!     locks: vec![],
//! });
//! assert_eq!((plan.assigned[0].build, plan.assigned[0].slave), (BuildId(1), SlaveId(7)));
//! assert_eq!(plan.waits[0].1.code(), "no-label");
//! assert_eq!(plan.waits[0].1.text(), "no slave has the label `arm64`");
//! # Ok::<(), protocol::name::BadName>(())
//! ```

pub mod availability;
pub mod builders;
pub mod code;
mod ids;
pub mod looks;
pub mod mainline;
pub mod pending;
pub mod places;
pub mod queue;
pub mod registrations;
pub mod review;
pub mod schedule;
pub mod simulator;
pub mod stacks;
mod trouble;
pub mod verdict;
mod words;
