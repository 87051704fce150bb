//! All that touches git: sources, watching, fetching, admission, candidates, landing.
//!
//! A library of mechanisms. It knows nothing of the master's store: it is told what to do by values, does it so that
//! it can be killed at any point and done again, and says what came of it. What it never does: run a command that a
//! branch names, follow a branch's path out of its place, show a byte of git without escaping it, or keep state in
//! memory that matters.
//!
//! The rooms, in the order a published branch passes them: [`source`] checks what a stranger typed, [`watch`] asks
//! where the branch is, [`mirror`] fetches and admits, [`candidate`] merges and folds, [`read`] shows, [`serve`] and
//! [`checkout`] bring it to the slaves, [`land`] pushes it. [`git`] is the one place that starts a git process for all of
//! these. [`worktree`] is apart: the user's own work tree, with the user's own git.
//!
//! ```
//! use tracker::source::{SourcePolicy, SourceUrl, UncheckedUrl};
//! use tracker::Explain;
//!
//! let policy = SourcePolicy::default();
//! let url = SourceUrl::check(&UncheckedUrl::new("https://git.example.org/ann/r.git"), &policy)?;
//! assert_eq!(url.as_str(), "https://git.example.org/ann/r.git");
//!
//! let refused = SourceUrl::check(&UncheckedUrl::new("ext::sh -c touch% x"), &policy).unwrap_err();
//! assert_eq!(refused.code(), "url-scheme");
//! # Ok::<(), tracker::source::UrlRefused>(())
//! ```

pub mod candidate;
pub mod checkout;
pub mod git;
pub mod land;
pub mod mirror;
pub mod official;
pub mod read;
pub mod sample;
pub mod serve;
pub mod source;
pub mod text;
pub mod watch;
pub mod worktree;

mod blocking;

use protocol::Hint;
use protocol::api::Refusal;

/// An error that says, beside what was wrong, by what stable word it is known and what to do about it.
pub trait Explain: std::error::Error {
    /// The stable word, such as `url-scheme`.
    fn code(&self) -> &'static str;

    /// What to do next, and who does it.
    fn hint(&self) -> Hint;

    /// The whole as the API says it.
    fn refusal(&self) -> Refusal {
        Refusal { code: self.code().to_owned(), text: self.to_string(), hint: self.hint() }
    }
}
