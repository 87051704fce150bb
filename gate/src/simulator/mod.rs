//! A world for [`crate::stacks`] to be played in: branches that are bad or not, builds that take their time, and everything
//! that goes wrong. And the queues of others, on the same draws.
//!
//! The policy has no randomness; the draws are made here, from a seed that the caller gives: the same seed is the same
//! history, on every machine. Time is counted in lengths of a build. No clock is read, and nothing outside is touched.
//!
//! - [`Setting`]: what is drawn; [`World`]: one draw of it;
//! - [`play`]: the queue of [`crate::stacks::decide`], with every promise looked at after each step;
//! - [`peers`]: one after the other, bors' batches, and Zuul's window;
//! - [`optimal`]: the fewest builds that are possible in halves of halves, one at a time, when the rate is known.
//!
//! ```
//! use gate::simulator::{Game, Setting, World, peers, play};
//!
//! let setting = Setting { branches: 20, bad: 0.1, slots: 4, ..Setting::default() };
//! let world = World::drawn(&setting, 7);
//! let ours = play(&world, &Game::default())?;
//! assert_eq!(ours.decided.len(), 20);
//! assert!(ours.mean() < peers::zuul(&world).mean());
//! # Ok::<(), gate::simulator::Broken>(())
//! ```

mod draws;
mod events;
mod faults;
mod official;
pub mod optimal;
pub mod peers;
mod player;
mod score;
mod watch;
mod world;

pub use draws::Draws;
pub use faults::Faults;
pub use player::{Game, play, play_told};
pub use score::{Decided, Score};
pub use watch::Broken;
pub use world::{Setting, World};
