//! A slave's availability: what its rules say at a moment, what a person or the machine itself says of it, and the stricter
//! of all that and of what an admin says on the master.
//!
//! **Rules.** Each says a word (eager, reluctant, unavailable) while all its conditions hold: days and hours in a named time
//! zone, and what was measured (load, who is there, power, free disk and memory). Of those that hold the strictest counts;
//! where none does, what the rules say otherwise. What is measured has two thresholds, one at which a condition begins and
//! one at which it ends, so that a slave does not change its mind with every sample. What can't be measured on a machine
//! does not hold, and is said to be unknown.
//!
//! **Voices.** A person's word stands in the place of the rules, until its expiry if it has one, else until it is taken back.
//! The machine's own word (out of disk, a failed self-test) and an admin's can only make it stricter.
//!
//! **Clocks.** Hours are what a clock on the wall shows: an hour that daylight saving leaves out does not come, one that it
//! repeats comes twice. The time is an argument here, and so is what was measured.

mod fights;
mod hours;
mod measures;
mod rules;
mod voices;

pub use fights::{Fight, fights};
pub use hours::{BadDays, BadHours, Calendar, Days, Hours, Stretch};
pub use measures::{Condition, Measured, Presence};
pub use rules::{Held, Memory, Rule, Rules, Ruling};
pub use voices::{Own, effective, own, stricter, word};
