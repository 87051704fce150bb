//! What the API says, `/api/v1`: the JSON forms that the master answers with and the `bb` command reads.
//!
//! The pages are made of the same values, so that a page, the command and the API never disagree. Times are
//! milliseconds since 1970 UTC (`…_ms`), `page` is a path on the master, commit ids are whole.

mod branch;
mod build;
mod by_hand;
mod claim;
mod diff;
mod event;
mod machine;
mod names;
mod overview;
mod problem;
mod project;
mod queue;
mod review;
mod token;
mod verdict;

pub use branch::{
    Accept, BranchDetail, BranchPage, BranchSummary, BuilderRow, Candidate, CandidateOutcome, Commit, ConflictFile,
    Publish, Refusal, Revision, Revisions, Size, Waiting, Watch,
};
pub use build::{
    ArtifactsState, BuildDetail, BuildPage, BuildState, BuildSummary, KeptFile, StepArtifacts, StepDetail,
};
pub use by_hand::ByHand;
pub use claim::{Claim, Claimed};
pub use diff::{Diff, DiffFile, DiffKind, DiffLine};
pub use event::{Event, EventMark, NoEventMark};
pub use machine::{Lock, LockUse, SetAvailability, Slave, SlaveOfBuild};
pub use names::listed;
pub use overview::{Landing, Overview};
pub use problem::Problem;
pub use project::{Frozen, Project, Turns};
pub use queue::{
    Expedite, FailedStep, Priority, Queue, QueueEntry, QueueStack, Reason, StackLine, Tested, TestedBuild,
};
pub use review::{Comment, Place, Review, ReviewTally, Reviewing, Side, Thread, Vote, VoteStanding};
pub use token::{MadeToken, NewToken, Token};
pub use verdict::{Look, Mark, Need, Next, Verdict, WouldLand};
