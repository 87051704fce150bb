//! When this slave takes builds: its rules, a person's word, the machine's own, and how the master hears of it.
//!
//! What they come to is decided by [`gate::availability`]; here is what it is decided upon, and when it is looked at again.

mod history;
mod keeper;
mod machine;
mod measure;
mod said;
mod settings;
mod status;
mod time;

pub(crate) use history::History;
pub(crate) use keeper::Keeper;
pub(crate) use machine::{Trouble, Troubles};
pub use measure::measure;
pub use said::{Said, SaidError, say};
pub use settings::{BadRules, Settings};
pub use status::{RuleState, Status, foretell, status};
pub use time::{BadTime, deadline, moment};
