//! Whether mainline lets anybody go on. What stops everybody is said here, once, of branches and of the queue alike: no
//! answer names bb as the next where bb can do nothing.

use crate::code::Code;
use crate::trouble::Trouble;
use protocol::api::Next;

/// What the last look at mainline said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Mainline {
    /// It was read, or not looked at yet.
    #[default]
    Fine,
    /// The official repository can't be read.
    Away(Trouble),
    /// The official repository has no such branch any more.
    Gone(Trouble),
}

/// What stops everybody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stop {
    /// As it is said of a branch.
    pub branch: Code,
    /// As it is said of a place in the queue.
    pub queue: Code,
    /// In words, without a full stop.
    pub says: String,
    /// Who does what next.
    pub next: Next,
}

impl Mainline {
    /// What stops everybody, if anything does.
    pub fn stop(&self) -> Option<Stop> {
        let (branch, queue, says, what) = match self {
            Self::Fine => return None,
            Self::Away(trouble) => (
                Code::MainlineAway,
                Code::OfficialAway,
                format!("the official repository can't be read: {}", trouble.text),
                "sees to the official repository; bb tries again, ever more seldom",
            ),
            Self::Gone(trouble) => (
                Code::MainlineGone,
                Code::OfficialWithout,
                format!("mainline's branch is gone: {}", trouble.text),
                "names mainline's branch in master.toml, or brings it back; bb tries again, ever more seldom",
            ),
        };
        let next = Next { who: "an admin".to_owned(), what: what.to_owned() };
        Some(Stop { branch, queue, says, next })
    }

    /// What is said instead of an answer that bb is next.
    pub fn instead(&self, next: &Next) -> Option<Stop> {
        self.stop().filter(|_| next.who == "bb")
    }
}
