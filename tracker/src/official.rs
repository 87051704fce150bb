//! What `bb up` must find out of an official repository before anything is kept of it: where it is, and its mainline.

use crate::Explain;
use crate::git::{Git, RunError, RunLimits};
use crate::mirror::{OfficialUrl, with_other_side};
use crate::text::shortened;
use std::path::Path;
use std::time::Duration;

/// A repository can't be guarded as it was named.
#[derive(Debug, thiserror::Error)]
pub enum NotOfficial {
    /// A path that is in no repository.
    #[error("{0} is not in a git repository")]
    NoRepository(String),
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
    /// It has no branch at all.
    #[error("{0} has no branch yet")]
    Empty(String),
}

impl Explain for NotOfficial {
    fn code(&self) -> &'static str {
        match self {
            Self::NoRepository(_) => "official-no-repository",
            Self::NotText(_) => "official-path",
            Self::Unreadable { .. } => "official-unreadable",
            Self::NoHead { .. } => "official-no-head",
            Self::Empty(_) => "official-empty",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoRepository(_) => "run it in a git work tree, or name one with --repository PATH_OR_URL".to_owned(),
            Self::NotText(_) => "move the repository to a path that is UTF-8".to_owned(),
            Self::Unreadable { source, .. } => source.hint(),
            Self::NoHead { .. } => "name it with --mainline".to_owned(),
            Self::Empty(_) => "make the first commit, or name the branch with --mainline".to_owned(),
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
    let repository = git2::Repository::discover(place).map_err(|_| NotOfficial::NoRepository(place.to_owned()))?;
    let path = repository.workdir().unwrap_or_else(|| repository.path());
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.to_str().map(ToOwned::to_owned).ok_or_else(|| NotOfficial::NotText(path.display().to_string()))
}

/// The branch that is mainline, as far as the repository says: `main`, else `master`, else what its HEAD names.
///
/// `main` and `master` go first, because the HEAD of a work tree is whatever its owner works on.
///
/// # Errors
/// When it does not answer or has no branch.
pub async fn default_branch(git: &Git, url: &OfficialUrl) -> Result<String, NotOfficial> {
    let run = git.as_admin().args(["ls-remote", "-q", "--symref"]);
    let run = with_other_side(run, url.other_side("--upload-pack=", git.program(), "upload-pack"));
    let run = run.arg("--").unnamed_arg(url.reveal(), &url.to_string()).args(["HEAD", "refs/heads/*"]);
    let limits = RunLimits { wall: Duration::from_secs(60), ..RunLimits::default() };
    let said =
        run.limits(limits).output().await.map_err(|source| NotOfficial::Unreadable { url: url.to_string(), source })?;
    let text = String::from_utf8_lossy(&said.stdout);
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    let there = |name: &str| lines.iter().any(|(_, at)| *at == format!("refs/heads/{name}"));
    if let Some(usual) = ["main", "master"].into_iter().find(|name| there(name)) {
        return Ok(usual.to_owned());
    }
    let head =
        lines.iter().find(|(_, at)| *at == "HEAD").and_then(|(target, _)| target.strip_prefix("ref: refs/heads/"));
    // A HEAD that is detached names none; the only branch there is needs no name.
    let branches: Vec<&str> = lines.iter().filter_map(|(_, at)| at.strip_prefix("refs/heads/")).collect();
    match (head, branches.as_slice()) {
        (Some(head), _) => Ok(head.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(NotOfficial::Empty(url.to_string())),
        (None, several) => {
            let some: Vec<String> = several.iter().take(5).map(|b| shortened(b, 60)).collect();
            Err(NotOfficial::NoHead { url: url.to_string(), branches: some.join(", ") })
        }
    }
}
