//! Admission of a revision, in two stages: a stranger's objects are fetched into a scratch repository by a bounded
//! process, looked at there, and only then pushed into the mirror, which checks every one of them on its own.

use super::check::{self, Checked};
use super::scratch::Scratch;
use super::{Mirror, MirrorError};
use crate::Explain;
use crate::blocking::blocking;
use crate::git::{RunError, RunLimits, quoted};
use crate::source::{BranchRef, SourceUrl};
use crate::watch::{PollError, Poller, from_run};
use protocol::{BranchName, CommitId};
use std::ffi::OsString;
use std::time::Duration;

/// What is to be admitted, and as what.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Where it is published.
    pub source: SourceUrl,
    /// The branch there.
    pub branch: BranchRef,
    /// The commit that was seen there; none takes whatever is there now.
    pub expected: Option<CommitId>,
    /// The name that it is registered under.
    pub name: BranchName,
    /// The revision's number.
    pub revision: u32,
    /// What it may use.
    pub limits: AdmissionLimits,
}

/// How large and how deep a revision may be, and how long its fetch may take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdmissionLimits {
    /// Longest fetch.
    pub wall: Duration,
    /// Most bytes that are fetched for one revision.
    pub pack_bytes: u64,
    /// Most objects that mainline does not have yet.
    pub objects: u64,
    /// Largest file, in bytes.
    pub blob_bytes: u64,
    /// Most files of the whole tree.
    pub paths: u64,
    /// Deepest folder.
    pub depth: u32,
    /// Most parents of a commit.
    pub parents: u32,
    /// Names at the root that must not be symbolic links, because bb or git reads files of these names.
    pub reserved: Vec<String>,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        let reserved = [
            ".gitattributes",
            ".gitmodules",
            ".mailmap",
            recipe::FILE_NAME,
            "ChangeLog",
            "repo.ChangeLog",
            "changelog-fragments",
        ];
        Self {
            wall: Duration::from_secs(10 * 60),
            pack_bytes: 1 << 30,
            objects: 2_000_000,
            blob_bytes: 256 << 20,
            paths: 500_000,
            depth: 128,
            parents: 16,
            reserved: reserved.map(str::to_owned).into(),
        }
    }
}

/// A revision was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The repository answers and has no such branch.
    #[error("the repository {url} has no branch `{branch}`")]
    NoBranch {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
    },
    /// The repository can't be reached, or is none.
    #[error(transparent)]
    Source(#[from] PollError),
    /// It is larger than allowed.
    #[error("{what} of the branch `{branch}`: {} are allowed{}", allowed, found_words(*found))]
    TooLarge {
        /// The branch.
        branch: String,
        /// Which limit: `the size in bytes`.
        what: &'static str,
        /// How much there was, where that is known.
        found: Option<u64>,
        /// How much is allowed.
        allowed: u64,
    },
    /// It took too long to fetch.
    #[error("fetching `{branch}` from {url} took longer than {} s", after.as_secs())]
    TimedOut {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// The limit.
        after: Duration,
    },
    /// An object is not as git wants it.
    #[error("git's check refuses an object of the branch `{branch}`: {what}")]
    Fsck {
        /// The branch.
        branch: String,
        /// The object and what is wrong with it, in git's words.
        what: String,
    },
    /// A path that is dangerous or can't be checked out everywhere.
    #[error("the branch `{branch}` has {what}")]
    Tree {
        /// The branch.
        branch: String,
        /// What, with its path.
        what: String,
    },
    /// The branch does not point to a commit.
    #[error("the branch `{branch}` of {url} does not point to a commit")]
    NotACommit {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
    },
    /// It moved since it was seen.
    #[error("the branch `{branch}` moved to {now} while it was fetched")]
    Moved {
        /// The branch.
        branch: String,
        /// Where it is now.
        now: CommitId,
    },
    /// bb's own disk or git is at fault.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
}

fn found_words(found: Option<u64>) -> String {
    found.map_or_else(|| ", and there is more".to_owned(), |found| format!(", and there are {found}"))
}

impl AdmissionError {
    /// Whether the same admission can succeed later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Source(error) => error.may_pass(),
            Self::TimedOut { .. } | Self::Moved { .. } | Self::Mirror(_) => true,
            Self::NoBranch { .. } | Self::TooLarge { .. } | Self::Fsck { .. } | Self::Tree { .. } => false,
            Self::NotACommit { .. } => false,
        }
    }
}

impl Explain for AdmissionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoBranch { .. } => "no-such-branch",
            Self::Source(error) => error.code(),
            Self::TooLarge { .. } => "too-large",
            Self::TimedOut { .. } => "fetch-timed-out",
            Self::Fsck { .. } => "fsck-refused",
            Self::Tree { .. } => "tree-refused",
            Self::NotACommit { .. } => "not-a-commit",
            Self::Moved { .. } => "moved",
            Self::Mirror(error) => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::NoBranch { .. } => "push the branch there, or publish it by the name that it has".to_owned(),
            Self::Source(error) => error.hint(),
            Self::TooLarge { .. } => {
                "take large files out of all commits of the branch (git rebase -i), or an admin raises the limit"
                    .to_owned()
            }
            Self::TimedOut { .. } => "it is tried again; publish from a faster server if that goes on".to_owned(),
            Self::Fsck { .. } => "make the commit anew with a current git: `git fsck` names the object".to_owned(),
            Self::Tree { .. } => "rename or remove it in a new commit".to_owned(),
            Self::NotACommit { .. } => "push a commit to the branch".to_owned(),
            Self::Moved { .. } => "nothing: the new revision is fetched instead".to_owned(),
            Self::Mirror(error) => error.hint(),
        }
    }
}

const FETCHED: &str = "refs/fetched/revision";

impl Mirror {
    /// Fetches a revision, checks it, and keeps it as `refs/branches/NAME/rN` and `…/head`. Killed at any point and
    /// called again it does the same; nothing of a refused revision stays.
    ///
    /// # Errors
    /// See [`AdmissionError`]. That it has no changes or no history in common with mainline is no error here.
    pub async fn admit(&self, poller: &Poller, admission: &Admission) -> Result<CommitId, AdmissionError> {
        let Admission { expected, name, revision, .. } = admission;
        let (revision_ref, head_ref) = (Self::revision_ref(name, *revision), Self::head_ref(name));
        if let Some(expected) = expected
            && self.ref_at(&revision_ref).await?.as_ref() == Some(expected)
            && self.ref_at(&head_ref).await?.as_ref() == Some(expected)
        {
            return Ok(expected.clone());
        }
        self.remove_stale_locks(&revision_ref).await;
        let scratch = {
            let (mirror, name) = (self.path().to_owned(), name.to_string());
            blocking(move || Scratch::make(&mirror, &name)).await?
        };
        let done = self.admit_by(&scratch, poller, admission).await;
        blocking(move || drop(scratch)).await;
        done
    }

    async fn admit_by(
        &self,
        scratch: &Scratch,
        poller: &Poller,
        admission: &Admission,
    ) -> Result<CommitId, AdmissionError> {
        self.fetch_into(scratch, poller, admission).await?;
        let commit = check::fetched_commit(self, scratch, admission).await?;
        if let Some(expected) = &admission.expected
            && *expected != commit
        {
            return Err(AdmissionError::Moved { branch: admission.branch.display(), now: commit });
        }
        let checked = check::check(self, scratch, admission, commit).await?;
        self.take_over(scratch, admission, &checked).await?;
        Ok(checked.commit)
    }

    async fn fetch_into(
        &self,
        scratch: &Scratch,
        poller: &Poller,
        admission: &Admission,
    ) -> Result<(), AdmissionError> {
        let Admission { source, branch, limits, .. } = admission;
        let route = poller.route(source).await?;
        let run = route.prepare(self.git().bounded().repository(&scratch.path()));
        let run = self.sees_mirror(run, admission);
        let run = run.args(["fetch", "-q", "--no-tags", "--no-write-fetch-head"]);
        let run = route.add_options(run.args(["--no-recurse-submodules", "--no-auto-maintenance"]));
        let run = run.args(["--", &route.url, &format!("+{}:{FETCHED}", branch.full())]);
        let run = run.grows(scratch.path(), limits.pack_bytes.saturating_mul(2)).limits(RunLimits {
            wall: limits.wall,
            cpu: limits.wall,
            file_bytes: limits.pack_bytes,
            ..RunLimits::default()
        });
        match run.output().await {
            Ok(_) => Ok(()),
            // What index-pack dies of is not among git's words, but the file that it wrote is as long as it may be.
            Err(_) if scratch.has_file_of(limits.pack_bytes).await => Err(too_many_bytes(admission)),
            Err(error) => Err(fetch_error(admission, error)),
        }
    }

    /// Lets a run in the scratch repository use what the mirror has, so that only what is new travels.
    pub(super) fn sees_mirror(&self, run: crate::git::Run, admission: &Admission) -> crate::git::Run {
        run.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.path().join("objects"))
            .config(format!("core.alternateRefsPrefixes=refs/heads/ refs/branches/{}/", admission.name))
    }

    /// The second stage: the mirror's own receiving side checks every object before any of it is kept.
    async fn take_over(
        &self,
        scratch: &Scratch,
        admission: &Admission,
        checked: &Checked,
    ) -> Result<(), AdmissionError> {
        let Admission { name, revision, limits, .. } = admission;
        let mut receive = OsString::from("--receive-pack=");
        receive.push(quoted(self.git().program().as_os_str()));
        receive.push(format!(" -c receive.maxInputSize={} receive-pack", limits.pack_bytes));
        let commit = &checked.commit;
        let run = self.git().bounded().repository(&scratch.path()).env("GIT_ALLOW_PROTOCOL", "file");
        let run =
            self.sees_mirror(run, admission).args(["push", "-q", "--atomic"]).arg(receive).arg("--").arg(self.path());
        // A number that is used again belongs to an admission that was killed before anybody heard of it.
        let run = run.arg(format!("+{commit}:{}", Self::revision_ref(name, *revision)));
        let run = run.arg(format!("+{commit}:{}", Self::head_ref(name)));
        let limits =
            RunLimits { wall: limits.wall, cpu: limits.wall, file_bytes: limits.pack_bytes, ..RunLimits::default() };
        match run.limits(limits).output().await {
            Ok(_) => Ok(()),
            Err(error) => Err(take_over_error(admission, error)),
        }
    }
}

fn too_many_bytes(admission: &Admission) -> AdmissionError {
    AdmissionError::TooLarge {
        branch: admission.branch.display(),
        what: "the size in bytes",
        found: None,
        allowed: admission.limits.pack_bytes,
    }
}

/// An object that is small in the pack and does not fit into memory when it is unpacked.
fn out_of_memory(admission: &Admission, error: &RunError) -> Option<AdmissionError> {
    let is_so = error.stderr().contains("Out of memory") || error.stderr().contains("out of memory");
    is_so.then(|| AdmissionError::TooLarge {
        branch: admission.branch.display(),
        what: "the memory in bytes for unpacking",
        found: None,
        allowed: RunLimits::default().memory_bytes,
    })
}

fn fetch_error(admission: &Admission, error: RunError) -> AdmissionError {
    let Admission { source, branch, .. } = admission;
    let (url, branch) = (source.to_string(), branch.display());
    if error.hit_file_limit() {
        return too_many_bytes(admission);
    }
    if error.stderr().contains("couldn't find remote ref") {
        return AdmissionError::NoBranch { url, branch };
    }
    if let Some(error) = out_of_memory(admission, &error) {
        return error;
    }
    if let Some(what) = fsck_words(error.stderr()) {
        return AdmissionError::Fsck { branch, what };
    }
    match error {
        RunError::TimedOut { after, .. } => AdmissionError::TimedOut { url, branch, after },
        error => from_run(source, error).into(),
    }
}

fn take_over_error(admission: &Admission, error: RunError) -> AdmissionError {
    let branch = admission.branch.display();
    if error.hit_file_limit() || error.stderr().contains("exceeds maximum allowed size") {
        return too_many_bytes(admission);
    }
    if let Some(error) = out_of_memory(admission, &error) {
        return error;
    }
    if let Some(what) = fsck_words(error.stderr()) {
        return AdmissionError::Fsck { branch, what };
    }
    match error {
        RunError::TimedOut { after, .. } => {
            AdmissionError::TimedOut { url: admission.source.to_string(), branch, after }
        }
        error => MirrorError::Run(error).into(),
    }
}

/// What git's check of objects found: `error: object ID: badTree: …`, also behind `remote: `.
fn fsck_words(stderr: &str) -> Option<String> {
    let line = stderr.lines().find(|line| {
        (line.contains("error: object ") || line.contains("error in object") || line.contains("error in "))
            || line.contains("fsck error")
            || line.contains("not a valid object")
    })?;
    let words = line.trim_start_matches("remote: ").trim_start_matches("fatal: ").trim_start_matches("error: ");
    Some(words.trim().to_owned())
}
