//! What master and slave say to each other ([`wire`]), and what the API says ([`api`]).
//!
//! Only data: identifiers, names, results and messages, each with its JSON form. This crate decides nothing and does no
//! I/O; it is the only thing that `master` and `slave` know of each other, and the `bb` command knows the master by it.

pub mod api;
pub mod artifacts;
pub mod hint;
pub mod id;
pub mod name;
pub mod result;
pub mod tested;
pub mod wire;
pub mod word;

pub use hint::{Acts, Hint};
pub use id::{
    BranchId, BuildId, CandidateId, CommitId, EventId, Fence, ProjectId, RevisionId, SlaveId, TokenId, UnixMs,
};
pub use name::{BranchName, ProjectName, SlaveName};
pub use result::BuildResult;
