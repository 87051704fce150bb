//! The user's own work tree: folding fragments there, checking and drafting them, installing the merge driver.
//!
//! Runs the user's git on the user's repository, as the user would by hand; nothing here is for what strangers publish. But for a merge,
//! it touches no file that is not a ChangeLog or a fragment (or, for the driver, `.gitattributes`); it changes nothing at all when it refuses.

mod branch;
mod driver;
mod error;
mod fold;
mod found;
mod git;
mod merge;
mod own;
mod parts;
mod repository;
mod settings;
mod stage;

pub use branch::{Against, CheckReport, Preview};
pub use driver::{DriverInstall, DriverRun, Installed, run_driver};
pub use error::WorkTreeError;
pub use fold::{FoldReport, FoldRequest, PlaceReport, Then};
pub use merge::{
    Incoming, MergeEnd, MergeError, MergePlace, MergeReport, MergeRequest, MergeStyle, MergeThen, OfMaster,
};

use changelog::Place;
use git::Git;
use repository::{Found, Repository};
use std::path::{Path, PathBuf};

/// A git work tree of the user's.
#[derive(Clone, Debug)]
pub struct WorkTree {
    git: Git,
    top: PathBuf,
    index: PathBuf,
    merge_head: PathBuf,
    /// The same in this process, where that can be.
    repository: Option<Repository>,
}

impl WorkTree {
    /// The work tree that `dir` is in.
    ///
    /// # Errors
    /// [`WorkTreeError::NoWorkTree`] outside a repository and in a bare one; [`WorkTreeError::NoGit`] without a git program.
    pub fn open(dir: &Path) -> Result<Self, WorkTreeError> {
        if !dir.is_dir() {
            return Err(WorkTreeError::NoWorkTree { dir: dir.to_owned(), said: "no such folder".to_owned() });
        }
        match Repository::of(dir) {
            Some(Found { top, git_folder, repository }) => Ok(Self {
                git: Git::in_folder(&top),
                top,
                index: git_folder.join("index"),
                merge_head: git_folder.join("MERGE_HEAD"),
                repository: Some(repository),
            }),
            None => Self::open_by_git(dir),
        }
    }

    /// The same, with nothing but the git program: slower, and all that git knows.
    ///
    /// # Errors
    /// As [`WorkTree::open`].
    pub fn open_by_git(dir: &Path) -> Result<Self, WorkTreeError> {
        let git = Git::in_folder(dir);
        // Whole paths would have to be asked for by an option that git 2.30 does not know.
        let asked = ["rev-parse", "--show-toplevel", "--git-path", "index", "--git-path", "MERGE_HEAD"];
        let answer = git.run(&asked).map_err(|error| match error {
            WorkTreeError::Git { said, .. } => WorkTreeError::NoWorkTree { dir: dir.to_owned(), said },
            other => other,
        })?;
        let mut lines = answer.split(|&b| b == b'\n').map(git::path_of);
        let (Some(top), Some(index), Some(merge_head)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(WorkTreeError::NoWorkTree {
                dir: dir.to_owned(),
                said: "git did not say where it is".to_owned(),
            });
        };
        let whole = |path: PathBuf| std::path::absolute(dir.join(path));
        let (Ok(index), Ok(merge_head)) = (whole(index), whole(merge_head)) else {
            let said = "there is no current folder any more".to_owned();
            return Err(WorkTreeError::NoWorkTree { dir: dir.to_owned(), said });
        };
        Ok(Self { git: Git::in_folder(&top), top, index, merge_head, repository: None })
    }

    /// Its topmost folder.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// The project's ChangeLogs, at least one, as `.bb.toml` or what files there are says.
    ///
    /// # Errors
    /// [`WorkTreeError::Recipe`] if `.bb.toml` has an error; [`WorkTreeError::File`] if it can't be read.
    pub fn places(&self) -> Result<Vec<Place>, WorkTreeError> {
        settings::places(&self.top)
    }
}
