//! The slave's side: what it builds is fetched from the master into a mirror of its own, and written into a work folder.
//!
//! The work folder belongs to the build, which is a stranger's program: no git ever runs by what stands in it. Files are
//! written byte for byte as they were committed: no filters, no line ends changed, no submodules, no hooks. Beside them
//! stands a repository for the build's own git, with history and tags; its objects are the mirror's, which a build in a
//! sandbox can't write.

mod place;
mod reach;
mod repository;

pub use place::{Place, Reach};

use crate::Explain;
use crate::blocking::blocking;
use crate::git::told::in_one_line;
use crate::git::{Git, RefWriters, RunError, RunLimits};
use crate::mirror::{Upkeep, count_packs, delete_dead_refs, init_bare, oid, pack};
use crate::watch::understood;
use protocol::{CommitId, Hint};
use recipe::History;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A project's mirror on a slave. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WorkMirror {
    git: Git,
    path: PathBuf,
    /// Shown to the master.
    token: Option<Shown>,
}

/// A token; it is for the master's eyes alone.
#[derive(Clone)]
struct Shown(String);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(…)")
    }
}

/// What a build is to work on could not be brought to its folder.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The master can't be asked.
    #[error("fetching {commit} from the master failed: {why}")]
    Unreachable {
        /// What was to be fetched.
        commit: CommitId,
        /// Why.
        why: String,
    },
    /// The master has it no more.
    #[error("the master has no commit {commit} at {git_ref}")]
    Gone {
        /// The commit.
        commit: CommitId,
        /// Where it should have been.
        git_ref: String,
    },
    /// It took too long.
    #[error("`{what}` took longer than {} s", after.as_secs())]
    TimedOut {
        /// What was run.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// The slave's disk is full.
    #[error("the slave has no room for it: {what}")]
    DiskFull {
        /// What could not be written.
        what: String,
    },
    /// The URL or ref is none that a master gives.
    #[error("`{text}` is not a {what} that a master gives")]
    BadPlace {
        /// `URL` or `ref`.
        what: &'static str,
        /// The text, shortened.
        text: String,
    },
    /// Files can't be read or written.
    #[error("{what} failed: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// git failed.
    #[error(transparent)]
    Git(RunError),
}

impl CheckoutError {
    /// Whether trying again, here or on another slave, can help.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Gone { .. } | Self::BadPlace { .. })
    }
}

impl Explain for CheckoutError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "master-unreachable",
            Self::Gone { .. } => "candidate-gone",
            Self::TimedOut { .. } => "checkout-timed-out",
            Self::DiskFull { .. } => "slave-disk-full",
            Self::BadPlace { .. } => "bad-assignment",
            Self::Io { .. } => "slave-io",
            Self::Git(error) => error.code(),
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => Hint::by_bb("tries again"),
            Self::Gone { .. } => Hint::by_bb("builds the newer candidate instead"),
            Self::DiskFull { .. } | Self::Io { .. } => {
                Hint::by_admin("makes room on the slave's disk or looks at its rights")
            }
            Self::BadPlace { .. } => Hint::new("update bb on the slave to the master's version"),
            Self::Git(error) => error.hint(),
        }
    }
}

/// What a fetch or checkout may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CheckoutLimits {
    /// Longest run of each.
    pub wall: Duration,
    /// Longest file.
    pub file_bytes: u64,
}

impl Default for CheckoutLimits {
    fn default() -> Self {
        Self { wall: Duration::from_secs(15 * 60), file_bytes: 8 << 30 }
    }
}

impl CheckoutLimits {
    fn run(self) -> RunLimits {
        RunLimits { wall: self.wall, cpu: self.wall, file_bytes: self.file_bytes, ..RunLimits::default() }
    }
}

/// More tags than these are packed.
const MOST_LOOSE: usize = 100;

/// So many packs are left as they came.
const MOST_PACKS: usize = 64;

/// Whether a fetch also brings what the master has of the official repository's names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Names {
    Too,
    Not,
}

/// The official repository's tags, as they are at the master; no others are there.
const OFFICIAL_TAGS: &str = "+refs/tags/*:refs/tags/*";

/// Mainline, which is the only head there.
const MAINLINE: &str = "+refs/heads/*:refs/remotes/origin/*";

impl WorkMirror {
    /// Opens the mirror at `path`, or makes an empty one. One that can't be opened is made anew: it is only a cache.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub async fn open_or_create(git: Git, path: &Path) -> Result<Self, CheckoutError> {
        crate::git::ignore_user_settings();
        let path = path.to_owned();
        blocking(move || {
            let io = |source| CheckoutError::Io { what: format!("making the mirror {}", path.display()), source };
            if git2::Repository::open_bare(&path).is_err() {
                remove_all(&path).map_err(io)?;
                init_bare(&path).map_err(|error| io(std::io::Error::other(error)))?;
            }
            std::fs::create_dir_all(path.join("info")).map_err(io)?;
            std::fs::write(path.join("info/attributes"), repository::ATTRIBUTES).map_err(io)?;
            let mirror = Self { git, path, token: None };
            mirror.ref_writers().remove_left();
            Ok(mirror)
        })
        .await
    }

    /// The same, with a token that is shown to the master, which serves those that it knows before strangers.
    #[must_use]
    pub fn showing(mut self, token: &str) -> Self {
        self.token = Some(Shown(token.to_owned()));
        self
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fetches `commit`, which the master has at `git_ref`, from the git URL of a project there, and with it mainline and
    /// the official repository's tags as the master has them now. When the commit is here already nothing is asked for.
    ///
    /// # Errors
    /// See [`CheckoutError`].
    pub async fn fetch(
        &self,
        url: &str,
        git_ref: &str,
        commit: &CommitId,
        limits: CheckoutLimits,
    ) -> Result<(), CheckoutError> {
        let bad = |what, text: &str| CheckoutError::BadPlace { what, text: crate::text::shortened(text, 80) };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(bad("URL", url));
        }
        if !git2::Reference::is_valid_name(git_ref) || !git_ref.starts_with("refs/") {
            return Err(bad("ref", git_ref));
        }
        if self.has(commit).await? {
            return Ok(());
        }
        match self.fetch_by_any_name(url, git_ref, commit, limits).await {
            // One ref that this disk has spoiled, of whatever build, has git refuse all that comes.
            Err(CheckoutError::Git(_)) if self.forget_dead_refs().await? => {
                self.fetch_by_any_name(url, git_ref, commit, limits).await
            }
            done => done,
        }
    }

    async fn forget_dead_refs(&self) -> Result<bool, CheckoutError> {
        let path = self.path.clone();
        let deleted = blocking(move || delete_dead_refs(&git2::Repository::open_bare(path)?)).await;
        deleted.map_err(|error| CheckoutError::Io {
            what: format!("deleting dead refs of {}", self.path.display()),
            source: std::io::Error::other(error),
        })
    }

    async fn fetch_by_any_name(
        &self,
        url: &str,
        git_ref: &str,
        commit: &CommitId,
        limits: CheckoutLimits,
    ) -> Result<(), CheckoutError> {
        // By its id: the candidate's ref may have moved on since the build was given out. A server that speaks only
        // the older protocol gives nothing but what refs point to.
        let (by_id, named) = (format!("+{commit}:{git_ref}"), format!("+{git_ref}:{git_ref}"));
        let mut last = CheckoutError::Gone { commit: commit.clone(), git_ref: git_ref.to_owned() };
        for (refspec, names) in [(&by_id, Names::Too), (&named, Names::Too), (&by_id, Names::Not)] {
            // Tags that can't be had are no reason not to build.
            if names == Names::Not && !matches!(last, CheckoutError::Git(_)) {
                break;
            }
            match self.run_fetch(url, refspec, names, commit, limits).await {
                Ok(()) if self.has(commit).await? => {
                    self.pack_tags().await?;
                    return self.join_packs().await;
                }
                Err(error @ (CheckoutError::TimedOut { .. } | CheckoutError::DiskFull { .. })) => return Err(error),
                Err(error) => last = error,
                Ok(()) => {}
            }
        }
        Err(last)
    }

    fn ref_writers(&self) -> RefWriters {
        RefWriters::of(&self.git, &self.path)
    }

    /// Each fetch brings a pack, and whatever is looked for is looked for in all of them. Nothing is deleted that a running build
    /// may read.
    async fn join_packs(&self) -> Result<(), CheckoutError> {
        let folder = self.path.join("objects/pack");
        let packs = blocking(move || count_packs(&folder));
        if packs.await > MOST_PACKS {
            pack(&self.git, &self.path, Upkeep::Recent).await.map_err(CheckoutError::Git)?;
        }
        Ok(())
    }

    /// Each build reads all tags, which come as one file each.
    async fn pack_tags(&self) -> Result<(), CheckoutError> {
        let folder = self.path.join(repository::TAGS);
        let loose = blocking(move || std::fs::read_dir(folder).map_or(0, |tags| tags.take(MOST_LOOSE + 1).count()));
        if loose.await > MOST_LOOSE {
            let run = self.git.bounded().repository(&self.path).args(["pack-refs", "--all"]);
            run.writing_refs(&self.ref_writers()).output().await.map_err(CheckoutError::Git)?;
        }
        Ok(())
    }

    async fn run_fetch(
        &self,
        url: &str,
        refspec: &str,
        names: Names,
        commit: &CommitId,
        limits: CheckoutLimits,
    ) -> Result<(), CheckoutError> {
        let run = self.git.bounded().repository(&self.path).env("GIT_ALLOW_PROTOCOL", "http:https");
        // The master may be behind a slow line, and its packs were checked when they were admitted there.
        let run = run.config("transfer.fsckObjects=false").config("http.lowSpeedTime=120");
        // In the environment, which other users can't see, and not among the arguments, which they can.
        let run = match &self.token {
            Some(Shown(token)) => run.secret_config("http.extraHeader", &format!("Authorization: Bearer {token}")),
            None => run,
        };
        let run = run.args(["fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]);
        let run = run.arg("--no-auto-maintenance");
        let run = match names {
            Names::Too => run.args(["--prune", "--", url, refspec, OFFICIAL_TAGS, MAINLINE]),
            Names::Not => run.args(["--", url, refspec]),
        };
        match run.limits(limits.run()).writing_refs(&self.ref_writers()).output().await {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(commit, refspec, error)),
        }
    }

    /// Whether a commit is here whole: a fetch leaves none behind that is not.
    async fn has(&self, commit: &CommitId) -> Result<bool, CheckoutError> {
        let (path, commit) = (self.path.clone(), commit.clone());
        blocking(move || {
            let open = git2::Repository::open_bare(&path);
            let repository = open.map_err(|error| CheckoutError::Io {
                what: format!("opening {}", path.display()),
                source: std::io::Error::other(error),
            })?;
            Ok(oid(&commit).is_ok_and(|id| repository.find_commit(id).is_ok()))
        })
        .await
    }

    /// Packs what was fetched since the last time, and forgets all refs but those of the official repository and the `keep`
    /// newest; not beside a fetch, nor beside builds, which read the mirror's objects.
    ///
    /// # Errors
    /// When git fails.
    pub async fn upkeep(&self, keep: usize) -> Result<(), CheckoutError> {
        let list = self.git.bounded().repository(&self.path);
        let list = list.args(["for-each-ref", "--sort=-committerdate", "--format=%(refname)"]);
        let said = list.output().await.map_err(CheckoutError::Git)?;
        let said = String::from_utf8_lossy(&said.stdout);
        let is_official = |name: &&str| name.starts_with(repository::TAGS) || name.starts_with(repository::MAINLINE);
        for name in said.lines().filter(|name| !is_official(name)).skip(keep) {
            let run = self.git.bounded().repository(&self.path).args(["update-ref", "-d", name]);
            run.writing_refs(&self.ref_writers()).output().await.map_err(CheckoutError::Git)?;
        }
        pack(&self.git, &self.path, Upkeep::Whole).await.map_err(CheckoutError::Git)
    }

    /// Writes the files of a fetched commit into a work folder, which is emptied first (or made), and a `.git` that knows its
    /// history, or the part of it that is wanted.
    ///
    /// # Errors
    /// See [`CheckoutError`].
    pub async fn checkout(
        &self,
        commit: &CommitId,
        place: &Place,
        history: History,
        limits: CheckoutLimits,
    ) -> Result<(), CheckoutError> {
        let (place, into) = (place.clone(), place.files.clone());
        let io = |source| CheckoutError::Io { what: format!("emptying {}", into.display()), source };
        let begun = blocking({
            let place = place.clone();
            move || empty(&place.files).and_then(|()| repository::begin(&place))
        });
        begun.await.map_err(io)?;
        let mut work_tree = std::ffi::OsString::from("--work-tree=");
        work_tree.push(&into);
        // The repository is the mirror, which no build can write; of the build's own this is the first index.
        let run = self.git.bounded().repository(&self.path).config("core.bare=false").config("core.symlinks=true");
        let run = run.config("core.autocrlf=false").config("core.fileMode=true").arg(work_tree);
        // Into an empty folder by an index that is not there yet: nothing is compared, all is written.
        let run =
            run.env("GIT_INDEX_FILE", into.join(".git/index")).args(["read-tree", "--reset", "-u", commit.as_str()]);
        run.limits(limits.run()).output().await.map_err(|error| failed(commit, "", error))?;
        let (mirror, commit) = (self.path.clone(), commit.clone());
        let made = blocking(move || {
            remove_all(&place.objects)?;
            reach::reach(&mirror.join("objects"), &place.objects, place.reach)?;
            repository::complete(&mirror, &commit, &place, history)
        })
        .await;
        made.map_err(|source| CheckoutError::Io { what: format!("writing {}/.git", into.display()), source })
    }
}

fn failed(commit: &CommitId, git_ref: &str, error: RunError) -> CheckoutError {
    let said = error.stderr().to_owned();
    if said.contains("No space left on device") || said.contains("Disk quota exceeded") || error.hit_file_limit() {
        return CheckoutError::DiskFull { what: in_one_line(&said) };
    }
    if said.contains("couldn't find remote ref") || said.contains("not our ref") {
        return CheckoutError::Gone { commit: commit.clone(), git_ref: git_ref.to_owned() };
    }
    match error {
        RunError::TimedOut { what, after } => CheckoutError::TimedOut { what, after },
        error => match understood("the master", error.stderr()) {
            Some(understood) => CheckoutError::Unreachable { commit: commit.clone(), why: understood.to_string() },
            None => CheckoutError::Git(error),
        },
    }
}

/// Leaves an empty folder. Links are removed, never followed.
fn empty(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for entry in std::fs::read_dir(folder)? {
        remove_all(&entry?.path())?;
    }
    Ok(())
}

/// Removes whatever is there. A build may have taken the rights to its folders away; they are its user's, so they come back.
fn remove_all(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !meta.is_dir() {
        return std::fs::remove_file(path);
    }
    if std::fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    std::fs::remove_dir_all(path)
}
