//! A stack: what it is made of, and what its builds say.

use crate::ids::{EntryId, StackId};
use protocol::UnixMs;

/// A commit that mainline was at, as the store numbers them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct MainlineId(pub i64);

/// A line of commits: entries merged one after the other onto a commit of mainline. The same line is the same content.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct Line {
    /// The commit of mainline.
    pub on: MainlineId,
    /// The entries, first merged first; of none it is mainline itself.
    pub entries: Vec<EntryId>,
}

/// A line that was asked for, and what came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stack {
    /// The stack.
    pub id: StackId,
    /// What it is made of.
    pub line: Line,
    /// What came of it.
    pub candidate: Candidate,
    /// When the builds that run now were asked for.
    pub begun: UnixMs,
}

/// What came of making a stack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Candidate {
    /// It was asked for.
    Asked,
    /// It can't be made: two entries conflict, which is told apart from this. It says nothing of anybody.
    Unmade,
    /// It was made, and these judge it. One that nobody judges never lands.
    Made(Vec<Judge>),
}

/// A required builder, and how often it built the stack's top.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judge {
    /// The builder's name.
    pub builder: String,
    /// Its builds of this content, whoever asked for them, in order.
    pub runs: Vec<Run>,
}

/// A build.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Run {
    /// It waits or runs.
    Running,
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It ended without a result: an exception, lost, cancelled. It says nothing of anybody.
    Nothing,
}

/// What the builds of a stack say of it so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colour {
    /// Every builder passed.
    Green,
    /// A builder failed so often, and did not pass.
    Red {
        /// So often.
        times: u32,
        /// Which of the judges.
        judge: usize,
    },
    /// Nothing yet.
    Open,
}

impl Stack {
    /// What its builds say of it so far.
    pub fn colour(&self) -> Colour {
        let Candidate::Made(judges) = &self.candidate else { return Colour::Open };
        let failed = judges.iter().map(Judge::failed).enumerate().filter(|(_, times)| *times > 0);
        // The first of those that failed most often.
        if let Some((judge, times)) = failed.rev().max_by_key(|(_, times)| *times) {
            return Colour::Red { times, judge };
        }
        let green = !judges.is_empty() && judges.iter().all(Judge::passed);
        if green { Colour::Green } else { Colour::Open }
    }

    /// Whether something of it is being made or built.
    pub fn runs(&self) -> bool {
        match &self.candidate {
            Candidate::Asked => true,
            Candidate::Unmade => false,
            Candidate::Made(judges) => judges.iter().any(|judge| judge.runs.contains(&Run::Running)),
        }
    }
}

impl Judge {
    fn passed(&self) -> bool {
        self.runs.contains(&Run::Passed)
    }

    /// How often it failed, if it never passed.
    fn failed(&self) -> u32 {
        let failed = self.runs.iter().filter(|run| **run == Run::Failed).count();
        if self.passed() { 0 } else { u32::try_from(failed).unwrap_or(u32::MAX) }
    }
}
