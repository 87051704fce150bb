//! What can go wrong in a user's work tree.

use std::path::PathBuf;

/// Why something was not done in a work tree. Unless it says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkTreeError {
    /// There is no git program.
    #[error("git can't be started: {0}")]
    NoGit(#[source] std::io::Error),
    /// Outside a repository, or in one without a work tree.
    #[error("{} is in no git work tree: {said}", dir.display())]
    NoWorkTree {
        /// Where it was looked for.
        dir: PathBuf,
        /// What git said.
        said: String,
    },
    /// A git command failed.
    #[error("`git {what}` failed: {said}")]
    Git {
        /// The command.
        what: String,
        /// What it said.
        said: String,
    },
    /// A file can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `.bb.toml` has an error.
    #[error(transparent)]
    Recipe(#[from] recipe::RecipeError),
    /// A merge with conflicts is not resolved.
    #[error("the index has unmerged paths: {}", .0.join(", "))]
    Unmerged(Vec<String>),
    /// Something else than a file stands in the place of one.
    #[error("{path} is {what}, not a file")]
    NotAFile {
        /// The path.
        path: String,
        /// `a symbolic link`, `a folder`.
        what: &'static str,
    },
    /// Local changes that are not in the index.
    #[error("{path} has changes that are not staged")]
    NotStaged {
        /// The path.
        path: String,
    },
    /// Another git process has the index.
    #[error("the index is locked: {} exists", .0.display())]
    Locked(PathBuf),
    /// Another bb changes this work tree just now.
    #[error("another bb is folding in this work tree")]
    Busy,
    /// A fold was killed.
    #[error("a fold that was killed is half done here")]
    HalfChanged,
    /// A file that the index has and a sparse checkout leaves out.
    #[error("{path} is not checked out here: this is a sparse checkout without it")]
    NotCheckedOut {
        /// The path.
        path: String,
    },
    /// Another git process changed the index while it was being changed here.
    #[error("another git command changed the index meanwhile")]
    IndexChanged,
    /// The fold refused.
    #[error(transparent)]
    Fold(#[from] changelog::FoldError),
    /// A name that stands for no commit, or for one that has nothing in common with the branch.
    #[error("there is no commit `{name}` that this branch could be merged into")]
    NotACommit {
        /// The name.
        name: String,
    },
    /// No commit yet to amend.
    #[error("there is no commit to amend yet")]
    NothingToAmend,
}

impl WorkTreeError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NoGit(_) => "install git, and see that it is on PATH".to_owned(),
            Self::NoWorkTree { .. } => "go into a clone of the project, or name one with -C".to_owned(),
            Self::Git { .. } => "run that command yourself to see more".to_owned(),
            Self::File { .. } => "see to its permissions and to the disk".to_owned(),
            Self::Recipe(_) => "mend that line; the guide says what may stand there".to_owned(),
            Self::Unmerged(_) => "resolve them, `git add` them, then run this again (before `git commit`)".to_owned(),
            Self::NotAFile { path, .. } => {
                format!("put a plain file in its place, or name another path than {path} in .bb.toml")
            }
            Self::NotStaged { path } => format!("`git add {path}` it first, or take it as it is with --force"),
            Self::Locked(_) => {
                "wait for the other git command to end; if there is none, delete that file and run this again"
                    .to_owned()
            }
            Self::Busy => "wait for it to end".to_owned(),
            Self::IndexChanged => "nothing was changed here: run it again".to_owned(),
            Self::HalfChanged => "run it without --dry-run: it does the rest first".to_owned(),
            Self::NotCheckedOut { path } => {
                let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
                format!("`git sparse-checkout add {folder}`, or `git sparse-checkout disable`, then run this again")
            }
            Self::Fold(error) => error.hint().to_owned(),
            Self::NotACommit { .. } => {
                "fetch it, or name the branch that it will be merged into with --against".to_owned()
            }
            Self::NothingToAmend => "commit with --commit instead".to_owned(),
        }
    }

    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
