//! Where a branch stands: would it land, if not why, and whose turn is it. Pages, API and command show what [`judge`]
//! says, so that they never disagree. Nothing is decided here that is acted upon: the queue lands, not the verdict.

mod judge;
mod needs;
mod shape;
mod turn;

pub use crate::trouble::Trouble;
pub use judge::judge;
use protocol::BuildResult;
use protocol::api::{Look, Next};
pub use shape::{Brief, Shape, Surroundings, Whose};
pub use turn::{ended_at, turn};

/// Everything that a verdict depends on, as the store has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// Whose branch it is, for "Next: NAME"; empty when not known.
    pub author: String,
    /// Whether it is live.
    pub life: Life,
    /// What the last look at its source said.
    pub source: Source,
    /// What the last look at mainline said.
    pub mainline: crate::mainline::Mainline,
    /// The newest revision, admitted or refused.
    pub revision: Option<Revision>,
    /// The recipe that it is built by.
    pub recipe: Recipe,
    /// The candidate of the newest revision that counts: it was made on the mainline of now, or nothing that it touches has moved
    /// since, or it is being made again.
    pub candidate: Candidate,
    /// Whether that candidate has another recipe than mainline, so that its builds so far say nothing of how it would be
    /// built.
    pub changes_recipe: bool,
    /// What of that recipe deserves a look, a line each, if it is another than mainline's.
    pub recipe_warnings: Vec<String>,
    /// The builders in the recipe's order, each with its latest build for the newest revision.
    pub builders: Vec<Builder>,
    /// Its place in the queue, now or last.
    pub queue: Queue,
}

impl Facts {
    /// The builders of which there is something to be said: those that have a build; and where builds are still to be asked for,
    /// the others. Of a branch that has ended, and of one that is not made a candidate, none is to come.
    pub fn told_builders(&self) -> impl Iterator<Item = &Builder> {
        let come = self.life == Life::Live && matches!(self.candidate, Candidate::NotMade | Candidate::Made);
        let is_asked = |builder: &&Builder| !matches!(builder.build, Build::NotAsked | Build::Held(_));
        self.builders.iter().filter(move |builder| come || is_asked(builder))
    }
}

/// Whether a branch is live, or what ended it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Life {
    /// It is watched.
    Live,
    /// bb landed it.
    Landed {
        /// As this commit of mainline, shortened for people.
        commit: String,
        /// The number of a newer revision, which has not landed, if there is one.
        newer: Option<u32>,
        /// Set when a push took it out of mainline again.
        taken_out: Option<TakenOut>,
    },
    /// Taken back.
    Withdrawn {
        /// By this person; empty when not known.
        by: String,
    },
    /// Its source was gone for too long.
    Gone,
    /// Nothing happened for too long.
    Quiet,
    /// It was found in mainline.
    InMainline,
}

/// A push that took out of mainline what had landed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TakenOut {
    /// The day on which that was seen.
    pub day: String,
    /// Who the tip is by that it left, the best that is known of whoever pushed; empty when not known.
    pub tip_by: String,
}

/// What the last look at a branch's source said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// It was read, or not looked at yet.
    Fine,
    /// It could not be read.
    Trouble(Trouble),
    /// The branch, or its repository, is not there.
    Gone(Trouble),
}

/// A revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revision {
    /// Its number: 4 for r4.
    pub number: u32,
    /// Why it was not admitted, if it was not.
    pub refused: Option<Trouble>,
    /// Why its commit is not at hand any more, if it was admitted and is not.
    pub lost: Option<Trouble>,
}

/// The recipe that a branch is built by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recipe {
    /// It can be used.
    Fine,
    /// Mainline's was not read yet.
    Unknown,
    /// There is none, and none could be guessed.
    Missing,
    /// Mainline's, or the master's own for the project, has an error.
    Broken(Trouble),
    /// The branch's own has an error.
    BrokenInBranch(Trouble),
}

/// A branch's candidate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Candidate {
    /// Not made yet.
    NotMade,
    /// It can be built.
    Made,
    /// The revision conflicts with mainline in these files.
    Conflict(Vec<String>),
    /// It would change nothing.
    Superseded,
    /// It can't be made, and the fault is mainline's own.
    MainlineTrouble(Trouble),
    /// It can't be made for another reason.
    Refused(Trouble),
}

/// A builder and its latest build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Builder {
    /// Its name.
    pub name: String,
    /// Whether landing needs it.
    pub required: bool,
    /// The build.
    pub build: Build,
    /// Its page, a path on the master.
    pub page: Option<String>,
}

/// Where a build is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Build {
    /// None was asked for.
    NotAsked,
    /// None was asked for yet: as many of its publisher's, or its host's, wait as may.
    Held(crate::pending::Crowded),
    /// Nobody has it yet: what [`crate::schedule::Wait`] says, if it was asked.
    Waiting(Option<crate::schedule::Wait>),
    /// A slave has it, in this step if one began.
    Running {
        /// The step's name.
        step: Option<String>,
    },
    /// It ended.
    Finished {
        /// How.
        result: BuildResult,
        /// The step that was the reason, if one was.
        step: Option<String>,
        /// What was wrong, without a full stop: `exit code 1`; may be empty.
        says: String,
        /// The program that the slave lacks, if that is the reason.
        lacks: Option<String>,
    },
}

impl Build {
    /// Its look and its word: `passed`, `failed`, `running`, `waiting`, …
    pub const fn mark(&self) -> (Look, &'static str) {
        match self {
            Self::NotAsked | Self::Held(_) => (Look::Waiting, "not asked for"),
            Self::Waiting(_) => (Look::Waiting, "waiting"),
            Self::Running { .. } => (Look::Running, "running"),
            Self::Finished { result, .. } => result_mark(*result),
        }
    }
}

/// The look and the word of a result.
pub const fn result_mark(result: BuildResult) -> (Look, &'static str) {
    match result {
        BuildResult::Success => (Look::Passed, "passed"),
        BuildResult::Warnings => (Look::Warnings, "passed with warnings"),
        BuildResult::Skipped => (Look::Skipped, "skipped"),
        BuildResult::Failure => (Look::Failed, "failed"),
        BuildResult::Exception => (Look::Exception, "exception"),
        BuildResult::Retry => (Look::Exception, "interrupted"),
        BuildResult::Cancelled => (Look::Cancelled, "cancelled"),
    }
}

/// A branch's place in the queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Queue {
    /// It was never accepted, or was taken back.
    None,
    /// It is in the queue; what [`crate::queue::decide`] says.
    In {
        /// Its place, from 1.
        place: u32,
        /// The accepted revision's number.
        revision: u32,
        /// How it stands.
        code: crate::code::Code,
        /// How it stands, in words.
        says: String,
        /// Who does what next.
        next: Next,
    },
    /// It left the queue without landing.
    Ejected {
        /// The revision that was accepted then.
        revision: u32,
        /// Why, in words.
        says: String,
        /// Who does what next.
        next: Next,
    },
}
