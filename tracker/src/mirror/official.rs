//! The official repository: whose URL the admin gave, so that it may be of any scheme and use the admin's credentials.

use super::durable::sync_folder;
use super::{Mirror, MirrorError, oid, tags};
use crate::Explain;
use crate::blocking::blocking;
use crate::git::{Run, RunError, RunLimits, quoted};
use crate::source::{BranchRef, url_without_secrets};
use crate::text::{is_hidden, shortened};
use crate::watch::{PollError, understood};
use protocol::{CommitId, Hint};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the official repository is, as the admin says. It prints without a password.
#[derive(Clone, Eq, PartialEq)]
pub struct OfficialUrl(String);

/// The text can't be the URL of an official repository.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` can't be the URL of the official repository: it {why}")]
pub struct OfficialUrlRefused {
    text: String,
    why: &'static str,
}

impl Explain for OfficialUrlRefused {
    fn code(&self) -> &'static str {
        "official-url"
    }

    fn hint(&self) -> Hint {
        Hint::new("give the URL or path that `git clone` takes")
    }
}

impl OfficialUrl {
    /// Takes a URL or path; one that git would take for an option is refused.
    ///
    /// # Errors
    /// When it is empty, begins with `-` or has control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, OfficialUrlRefused> {
        let text = text.into();
        let why = if text.is_empty() {
            "is empty"
        } else if text.starts_with('-') {
            "begins with `-`, as an option does"
        } else if text.chars().any(is_hidden) {
            "has control or invisible characters in it"
        } else {
            return Ok(Self(text));
        };
        Err(OfficialUrlRefused { text: shortened(&text, 80), why })
    }

    /// The text as given, for the store; it may hold a password.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The folder, if it is one of this machine.
    pub fn local_path(&self) -> Option<PathBuf> {
        let path = match url::Url::parse(&self.0) {
            Ok(url) if url.scheme() == "file" => url.to_file_path().ok()?,
            _ => PathBuf::from(&self.0),
        };
        path.is_dir().then(|| path.canonicalize().unwrap_or(path))
    }

    /// The option that makes the other side of a local repository run with what the admin's word implies: it is his own
    /// though another user owns it, and a checked-out mainline is updated along with its clean work tree.
    pub(crate) fn other_side(&self, option: &str, program: &Path, command: &str) -> Option<OsString> {
        let path = self.local_path()?;
        let mut arg = OsString::from(option);
        arg.push(quoted(program.as_os_str()));
        for place in [path.clone(), path.join(".git")] {
            arg.push(" -c safe.directory=");
            arg.push(quoted(place.as_os_str()));
        }
        arg.push(" -c receive.denyCurrentBranch=updateInstead ");
        arg.push(command);
        Some(arg)
    }
}

impl fmt::Display for OfficialUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A token may stand in the place of the user's name, which ssh needs and shows anyway.
        match url::Url::parse(&self.0) {
            Ok(mut url) if url.has_host() && url.scheme() != "ssh" => {
                let hidden = url.set_password(None).and_then(|()| url.set_username(""));
                let text = hidden.map_or_else(|()| "(a URL)".to_owned(), |()| url_without_secrets(url.as_str()));
                f.write_str(&text)
            }
            _ if Path::new(&self.0).is_absolute() => f.write_str(&self.0),
            _ => f.write_str(&url_without_secrets(&self.0)),
        }
    }
}

impl fmt::Debug for OfficialUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfficialUrl({self})")
    }
}

/// The official repository can't be read.
#[derive(Debug, thiserror::Error)]
pub enum OfficialError {
    /// It has no such branch.
    #[error("the official repository {url} has no branch `{branch}`")]
    NoBranch {
        /// Where it is.
        url: String,
        /// The branch.
        branch: String,
    },
    /// It does not answer, or not as it should.
    #[error("the official repository: {0}")]
    Reach(#[from] PollError),
    /// The mirror is at fault.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
}

impl Explain for OfficialError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoBranch { .. } => "official-no-branch",
            Self::Reach(error) => error.code(),
            Self::Mirror(error) => error.code(),
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::NoBranch { .. } => {
                Hint::new("name the mainline branch in the project's configuration, or make its first commit")
            }
            Self::Reach(PollError::NeedsPassword { .. }) => {
                Hint::new("give the user that runs the master a key or credential helper for the official repository")
            }
            Self::Reach(error) => error.hint(),
            Self::Mirror(error) => error.hint(),
        }
    }
}

/// What a run against the official repository may use: it is trusted, and may be large.
pub(crate) fn official_limits() -> RunLimits {
    RunLimits {
        wall: Duration::from_secs(60 * 60),
        cpu: Duration::from_secs(60 * 60),
        file_bytes: 64 << 30,
        memory_bytes: 64 << 30,
        output_bytes: 64 << 20,
    }
}

/// What is fetched of the official repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fetch {
    /// What is new of mainline, and all tags as they are there.
    WithTags,
    /// What is new of mainline.
    Mainline,
    /// All of mainline, whatever is here: that can't be relied on.
    Anew,
}

/// There while what the mirror has of mainline is not to be relied on: all of it is fetched at the next look.
const DISTRUSTED: &str = "mainline.distrusted";

impl Mirror {
    /// Has all of mainline fetched at the next look, whatever is here, also after a restart: something of its history is
    /// missing.
    ///
    /// # Errors
    /// When that can't be written down.
    pub async fn distrust_mainline(&self) -> Result<(), MirrorError> {
        let mirror = self.path().to_owned();
        blocking(move || {
            let file = mirror.join(DISTRUSTED);
            let written = std::fs::write(&file, "All of mainline is fetched again: something of it is missing here.\n");
            written
                .and_then(|()| std::fs::File::open(&file)?.sync_all())
                .and_then(|()| sync_folder(&mirror))
                .map_err(|source| MirrorError::Io { what: format!("writing {}", file.display()), source })
        })
        .await
    }

    /// Fetches mainline, and the official repository's tags as they are there now, and says where mainline is. Trouble with
    /// the tags is no trouble of mainline's: then those that are here stay.
    ///
    /// # Errors
    /// See [`OfficialError`].
    pub async fn update_mainline(&self, url: &OfficialUrl, branch: &BranchRef) -> Result<CommitId, OfficialError> {
        let name = branch.full();
        // What can't be read here must not be taken for what need not be fetched.
        let relied_on = match self.ref_at(&name).await {
            _ if self.path().join(DISTRUSTED).exists() => false,
            Ok(Some(tip)) => self.lacks(&tip).await?.is_none(),
            Ok(None) => true,
            Err(_) => false,
        };
        if relied_on {
            let fetched = self.fetch_with_tags(url, branch).await;
            match fetched {
                Ok(tip) if self.lacks(&tip).await?.is_none() => return Ok(tip),
                Err(error) if !says_damage(&error) => return Err(error),
                _ => {}
            }
        }
        self.fetch_all_of_mainline(url, branch).await
    }

    /// Mainline is at `to` now, where it was pushed from here when it was at `from`: the mirror follows, without a fetch. Says
    /// whether it did; not where the mirror has mainline elsewhere, of which a look tells more.
    ///
    /// # Errors
    /// When the mirror can't be read or written.
    pub async fn mainline_came_to(
        &self,
        branch: &BranchRef,
        from: &CommitId,
        to: &CommitId,
    ) -> Result<bool, MirrorError> {
        let name = branch.full();
        let (from, to) = (oid(from)?, oid(to)?);
        self.with_durable_repository(move |repository| match repository.reference_matching(&name, to, true, from, "") {
            Ok(_) => Ok(true),
            Err(error) if [git2::ErrorCode::Modified, git2::ErrorCode::NotFound].contains(&error.code()) => Ok(false),
            Err(source) => Err(MirrorError::Objects { what: format!("setting {name}"), source }),
        })
        .await
    }

    /// Fetches all of mainline, whatever is here, and says where it is.
    ///
    /// # Errors
    /// See [`OfficialError`].
    pub async fn fetch_all_of_mainline(
        &self,
        url: &OfficialUrl,
        branch: &BranchRef,
    ) -> Result<CommitId, OfficialError> {
        self.forget_dead_refs().await?;
        let tip = match self.fetch_mainline(url, branch, Fetch::Anew).await {
            // Git compares what comes with what seems to be there.
            Err(error) if says_damage(&error) && self.puts_aside().await? == Some(true) => {
                self.fetch_mainline(url, branch, Fetch::Anew).await?
            }
            fetched => fetched?,
        };
        // Fetched anew at each look it would not get more.
        let _ = std::fs::remove_file(self.path().join(DISTRUSTED));
        Ok(tip)
    }

    /// Fetches mainline and the tags; mainline alone when those can't be had.
    async fn fetch_with_tags(&self, url: &OfficialUrl, branch: &BranchRef) -> Result<CommitId, OfficialError> {
        if !self.has_too_many_tags().await {
            match self.fetch_mainline(url, branch, Fetch::WithTags).await {
                Ok(tip) => {
                    if let Err(error) = self.bound_tags().await {
                        tracing::warn!("counting the official repository's tags: {error}");
                    }
                    return Ok(tip);
                }
                Err(OfficialError::Reach(error @ PollError::Git { .. })) => {
                    tracing::warn!("the official repository's tags are left out: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        self.fetch_mainline(url, branch, Fetch::Mainline).await
    }

    async fn fetch_mainline(
        &self,
        url: &OfficialUrl,
        branch: &BranchRef,
        what: Fetch,
    ) -> Result<CommitId, OfficialError> {
        let name = branch.full();
        let before = self.ref_at(&name).await.ok().flatten();
        let tags = self.tag_folders().await;
        // Old projects have objects that a strict check would refuse; whoever has the official repository is trusted with it.
        let run = self.git().as_admin().repository(self.path()).config("fetch.fsckObjects=false");
        // A broken ref of a branch is that branch's trouble: git would look at it, and take what it fetched for broken. Before 2.40
        // it does so all the same; then what is broken goes, and all is fetched anew.
        let run = run.config("fetch.hideRefs=refs").config(format!("fetch.hideRefs=!{name}"));
        let run = run.args(["fetch", "-q", "--no-tags", "--no-write-fetch-head"]);
        // Whether mainline was rewritten is found out afterwards: git would fall into a hole in what mainline was before.
        let run = run.args(["--no-recurse-submodules", "--no-auto-maintenance", "--no-show-forced-updates"]);
        let run = match what {
            Fetch::WithTags => run.arg("--prune"),
            Fetch::Mainline => run,
            Fetch::Anew => run.arg("--refetch"),
        };
        let run = with_other_side(run, url.other_side("--upload-pack=", self.git().program(), "upload-pack"));
        let run = run.arg("--").unnamed_arg(url.reveal(), &url.to_string()).arg(format!("+{name}:{name}"));
        let run = if what == Fetch::WithTags { run.arg(tags::ALL) } else { run };
        let run = run.limits(official_limits()).writing_refs(&self.ref_writers());
        run.output().await.map_err(|error| official_error(url, branch, error))?;
        let tip = self.ref_at(&name).await?;
        let new_tags = self.new_tags_since(tags).await;
        if tip != before || !new_tags.is_empty() {
            self.sync_names(new_tags.into_iter().chain([name.clone()])).await?;
        }
        let tip = tip.ok_or_else(|| no_branch(url, branch))?;
        self.with_durable_repository(move |repository| {
            let is_head = repository.find_reference("HEAD").ok();
            if is_head.and_then(|head| head.symbolic_target().ok().flatten().map(|t| t == name)) != Some(true) {
                let what = || "naming mainline".to_owned();
                repository.set_head(&name).map_err(|source| MirrorError::Objects { what: what(), source })?;
            }
            Ok::<_, MirrorError>(())
        })
        .await?;
        Ok(tip)
    }

    /// Where mainline is in the official repository now; none when there is no such branch. Fetches nothing.
    ///
    /// # Errors
    /// See [`OfficialError`].
    pub async fn where_is(&self, url: &OfficialUrl, branch: &BranchRef) -> Result<Option<CommitId>, OfficialError> {
        let name = branch.full();
        let run = self.git().as_admin().repository(self.path()).args(["ls-remote", "-q", "--heads"]);
        let run = with_other_side(run, url.other_side("--upload-pack=", self.git().program(), "upload-pack"));
        let run = run.arg("--").unnamed_arg(url.reveal(), &url.to_string()).arg(&name);
        let limits = RunLimits { wall: Duration::from_secs(60), ..official_limits() };
        let said = run.limits(limits).output().await.map_err(|error| official_error(url, branch, error))?;
        let text = String::from_utf8_lossy(&said.stdout);
        Ok(text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(_, n)| *n == name)
            .and_then(|(id, _)| id.parse().ok()))
    }
}

/// Whether a fetch may have failed by what is wrong here: git looks at what it has when something comes.
fn says_damage(error: &OfficialError) -> bool {
    let OfficialError::Reach(PollError::Git { source, .. }) = error else { return false };
    [
        "bad object",
        "did not send all necessary objects",
        "unable to read",
        "packed-refs",
        "broken ref",
        "unresolved delta",
        "index-pack",
        "inflate",
        "is corrupt",
        "SHA1 COLLISION",
    ]
    .iter()
    .any(|words| source.stderr().contains(words))
}

pub(crate) fn with_other_side(run: Run, option: Option<OsString>) -> Run {
    option.into_iter().fold(run, |run, option| run.unnamed_arg(option, "--…-pack=…"))
}

fn no_branch(url: &OfficialUrl, branch: &BranchRef) -> OfficialError {
    OfficialError::NoBranch { url: url.to_string(), branch: branch.display() }
}

pub(crate) fn official_error(url: &OfficialUrl, branch: &BranchRef, error: RunError) -> OfficialError {
    if error.stderr().contains("couldn't find remote ref") {
        return no_branch(url, branch);
    }
    let named = url.to_string();
    if let RunError::TimedOut { after, .. } = error {
        return PollError::NoAnswer { url: named, after }.into();
    }
    match understood(&named, error.stderr()) {
        Some(understood) => understood.into(),
        None => PollError::Git { url: named, source: error }.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::OfficialUrl;

    #[test]
    fn an_official_url_is_shown_without_what_may_be_a_secret() {
        for (given, shown) in [
            ("https://ann:s3cret@example.org/r.git", "https://example.org/r.git"),
            ("https://s3cret@example.org/r.git", "https://example.org/r.git"),
            ("https://example.org/r.git;token=s3cret", "https://example.org/r.git;…"),
            ("https://example.org/r.git?token=s3cret", "https://example.org/r.git?…"),
            ("ssh://git@example.org/r.git", "ssh://git@example.org/r.git"),
            ("ssh://git:s3cret@example.org/r.git", "ssh://…@example.org/r.git"),
            ("git@example.org:r.git", "git@example.org:r.git"),
            ("git:s3cret@example.org:r.git", "…@example.org:r.git"),
            ("/srv/a=b/r.git", "/srv/a=b/r.git"),
        ] {
            assert_eq!(OfficialUrl::new(given).unwrap().to_string(), shown);
        }
    }
}
