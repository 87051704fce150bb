//! What `bb up` must find out of an official repository before anything is kept of it: where it is, and its mainline.

use crate::Explain;
use crate::git::{Git, RunError, RunLimits};
use crate::mirror::{OfficialUrl, with_other_side};
use crate::text::shortened;
use protocol::Hint;
use std::path::Path;
use std::time::Duration;

/// A repository can't be guarded as it was named.
#[derive(Debug, thiserror::Error)]
pub enum NotOfficial {
    /// A path that is in no repository.
    #[error("{0} is not in a git repository")]
    NoRepository(String),
    /// A repository that belongs to another user, which git does not trust.
    #[error("{0} is a repository of another user's, and git does not open such ones unasked")]
    OtherOwner(String),
    /// Its path can't be written in a settings file.
    #[error("the path {0} is not UTF-8")]
    NotText(String),
    /// It does not answer.
    #[error("{url} can't be read: {source}")]
    Unreadable {
        /// Where it is.
        url: String,
        /// Why.
        source: RunError,
    },
    /// Its HEAD names no branch, and there are several.
    #[error("{url} does not say which of its branches is mainline: {branches}")]
    NoHead {
        /// Where it is.
        url: String,
        /// Some of the branches.
        branches: String,
    },
    /// It has branches, but not the one that was named.
    #[error("{url} has no branch `{wanted}`; it has: {branches}")]
    NoSuchBranch {
        /// Where it is.
        url: String,
        /// What was named.
        wanted: String,
        /// Some of the branches.
        branches: String,
    },
    /// It has no branch at all.
    #[error("{0} has no branch yet")]
    Empty(String),
}

impl Explain for NotOfficial {
    fn code(&self) -> &'static str {
        match self {
            Self::NoRepository(_) => "official-no-repository",
            Self::OtherOwner(_) => "official-other-owner",
            Self::NotText(_) => "official-path",
            Self::Unreadable { .. } => "official-unreadable",
            Self::NoHead { .. } => "official-no-head",
            Self::NoSuchBranch { .. } => "official-no-such-branch",
            Self::Empty(_) => "official-empty",
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::NoRepository(_) => Hint::new("run it in a git work tree, or name one with --repository PATH_OR_URL"),
            Self::OtherOwner(path) => {
                let path = crate::git::quoted(path.as_ref());
                let path = path.to_string_lossy();
                Hint::new(format!("if you trust what is in it: `git config --global --add safe.directory {path}`"))
            }
            Self::NotText(_) => Hint::new("move the repository to a path that is UTF-8"),
            Self::Unreadable { source, .. } => source.hint(),
            Self::NoHead { .. } => Hint::new("name it with --mainline"),
            Self::NoSuchBranch { .. } => Hint::new("name one of them with --mainline, or make that branch first"),
            Self::Empty(_) => Hint::new("make the first commit"),
        }
    }
}

/// Where a repository is: a URL as it is; of a path the whole path of the work tree, or of the bare repository.
///
/// # Errors
/// When the path is in no repository.
pub fn locate(place: &str) -> Result<String, NotOfficial> {
    if place.contains("://") || (!Path::new(place).exists() && place.contains(':')) {
        return Ok(place.to_owned());
    }
    let repository = git2::Repository::discover(place).map_err(|error| {
        if error.code() != git2::ErrorCode::Owner {
            return NotOfficial::NoRepository(place.to_owned());
        }
        let found = git2::Repository::discover_path(place, std::iter::empty::<&str>()).ok();
        // git wants the work tree's folder named, not its `.git`.
        let named = found.map(|path| match path.file_name() == Some(".git".as_ref()) {
            true => path.parent().map(Path::to_owned).unwrap_or_default(),
            false => path,
        });
        NotOfficial::OtherOwner(named.map_or_else(|| place.to_owned(), |path| path.to_string_lossy().into_owned()))
    })?;
    let path = repository.workdir().unwrap_or_else(|| repository.path());
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| NotOfficial::NotText(path.display().to_string()))
}

/// The branch that is mainline: the one that is `named`, if it is there; else as far as the repository says: `main`, else
/// `master`, else what its HEAD names.
///
/// `main` and `master` go first, because the HEAD of a work tree is whatever its owner works on.
///
/// # Errors
/// When it does not answer, has no branch, or not the one that is named.
pub async fn mainline(git: &Git, url: &OfficialUrl, named: Option<&str>) -> Result<String, NotOfficial> {
    let run = git.as_admin().args(["ls-remote", "-q", "--symref"]);
    let run = with_other_side(run, url.other_side("--upload-pack=", git.program(), "upload-pack"));
    let run = run.arg("--").unnamed_arg(url.reveal(), &url.to_string()).args(["HEAD", "refs/heads/*"]);
    let limits = RunLimits { wall: Duration::from_secs(60), ..RunLimits::default() };
    let said =
        run.limits(limits).output().await.map_err(|source| NotOfficial::Unreadable { url: url.to_string(), source })?;
    let text = String::from_utf8_lossy(&said.stdout);
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    let branches: Vec<&str> = lines.iter().filter_map(|(_, at)| at.strip_prefix("refs/heads/")).collect();
    let there = |name: &str| branches.contains(&name);
    let some = || branches.iter().take(5).map(|b| shortened(b, 60)).collect::<Vec<_>>().join(", ");
    if let Some(wanted) = named {
        return match branches.is_empty() {
            true => Err(NotOfficial::Empty(url.to_string())),
            false if there(wanted) => Ok(wanted.to_owned()),
            false => {
                let wanted = shortened(wanted, 60);
                Err(NotOfficial::NoSuchBranch { url: url.to_string(), wanted, branches: some() })
            }
        };
    }
    if let Some(usual) = ["main", "master"].into_iter().find(|name| there(name)) {
        return Ok(usual.to_owned());
    }
    let head =
        lines.iter().find(|(_, at)| *at == "HEAD").and_then(|(target, _)| target.strip_prefix("ref: refs/heads/"));
    // A HEAD that is detached names none; the only branch there is needs no name.
    match (head, branches.as_slice()) {
        (Some(head), _) => Ok(head.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(NotOfficial::Empty(url.to_string())),
        (None, _) => Err(NotOfficial::NoHead { url: url.to_string(), branches: some() }),
    }
}
