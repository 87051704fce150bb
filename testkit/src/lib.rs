//! What tests need of the outside world, real and thrown away afterwards: [`postgres`], a [`browser`], [`git`]
//! repositories and [`git_server`]s, and the [`World`](world::World) of a master, its slaves and its authors.
//!
//! Only tests and `xtask` use it; nothing of it is in the program. It is blocking and light, so that it costs a test
//! little to start and a clone little to build. It never fakes what it can run, never uses a port that it chose itself,
//! and never skips: what is not to be had is an error that says how to get it.
//!
//! ```
//! let folder = testkit::folder();
//! let official = testkit::git::Repo::init(folder.path().join("official"));
//! let first = official.commit(&[("README", "hello\n")], "Begin");
//! assert_eq!(official.head(), first);
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod browser;
pub mod git;
pub mod git_server;
pub mod history;
pub mod http;
pub mod postgres;
pub mod process;
pub mod watch;
pub mod world;

/// A temporary folder that goes away with the value.
#[must_use]
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("bb-test-").tempdir().expect("a temporary folder can be made")
}

/// The same in memory, where there is room for it: for tests that play hundreds of worlds, in which nothing outlives the
/// machine anyway.
///
/// # Panics
/// When no folder can be made.
#[must_use]
pub fn quick_folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("bb-test-").tempdir_in("/dev/shm").unwrap_or_else(|_| folder())
}
