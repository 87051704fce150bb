//! Where a candidate's files come from.

use protocol::wire::Assignment;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;

/// A future that owns or borrows what it needs.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Puts a candidate's files into a work folder: git in earnest, files in a test.
pub trait Source: Send + Sync + 'static {
    /// Fills `folder`, which is there and empty, with the files of the assignment's commit. When the future is dropped,
    /// everything that it started ends.
    ///
    /// The text is for the log of step 0.
    ///
    /// # Errors
    /// When the files can't be had; nothing in the folder is used then.
    fn checkout<'a>(&'a self, assignment: &'a Assignment, folder: &'a Path) -> Boxed<'a, Result<String, NoSource>>;
}

/// A candidate's files can't be had.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoSource(pub String);
