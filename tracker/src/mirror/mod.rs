//! A project's mirror: one bare repository that holds mainline, every revision that was admitted, and the candidates.
//!
//! It follows from what the store says, and it is no cache: of a revision whose source is gone it holds the only copy. What
//! it lacks is found and fetched again ([`Mirror::missing`], [`Mirror::readmit`]). Its refs: `refs/heads/MAINLINE`, the official repository's `refs/tags`, and for each branch `refs/branches/NAME/rN`
//! for each revision, `…/head` for the newest, `…/candidate`. What a stranger publishes gets in only by
//! [`Mirror::admit`]; no hook, no configuration of anybody else's and no replacement object counts here.

mod admission;
mod admit;
mod check;
mod copy;
mod deep;
mod durable;
mod error;
mod fetches;
mod history;
mod locks;
mod mend;
mod objects;
mod official;
mod opened;
mod packed_refs;
mod refusal;
mod scratch;
mod tags;
mod upkeep;
mod walk;

pub use admission::{Admission, AdmissionLimits};
pub use copy::Copied;
pub use deep::{Damage, Standing};
pub use error::MirrorError;
pub use fetches::{FetchBudget, FetchBudgets};
pub use history::Moved;
pub use mend::Named;
pub use objects::{EntryKind, Relation, RootEntry};
pub use official::{OfficialError, OfficialUrl, OfficialUrlRefused};
pub use refusal::{AdmissionError, CommitRefused, Passing};
pub use upkeep::{Still, Upkeep};

pub(crate) use mend::delete_dead_refs;
pub(crate) use objects::{Kept, commit_id, find_commit, kept_at, kept_at_bytes, merge_base, oid, relation, tree_of};
pub(crate) use official::{official_error, official_limits, with_other_side};
pub(crate) use upkeep::{count_packs, pack};

use crate::blocking::blocking;
use crate::git::{Git, RefWriters};
use protocol::{BranchName, CommitId};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The mirror of a project. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mirror {
    git: Git,
    path: PathBuf,
    opened: Arc<opened::Opened>,
}

/// Written at each opening, so that a newer bb's wishes hold in an older mirror.
const CONFIG: &str = "\
# Written by bb at each start; changes here are lost.
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\thooksPath = /dev/null
\tlogAllRefUpdates = false
\tfsync = committed
[receive]
\tfsckObjects = true
\tunpackLimit = 1
\tautogc = false
[fetch]
\tunpackLimit = 1
[gc]
\tauto = 0
[maintenance]
\tauto = false
[uploadpack]
\thideRefs = refs
\thideRefs = !refs/heads
\thideRefs = !refs/branches
\thideRefs = !refs/tags
[http]
\treceivepack = false
[submodule]
\trecurse = false
";

impl Mirror {
    /// Opens the mirror at `path`, or makes an empty one there. What admissions that were killed have left is removed.
    ///
    /// # Errors
    /// When the folder can't be made or holds something else.
    pub async fn open_or_create(git: Git, path: &Path) -> Result<Self, MirrorError> {
        crate::git::ignore_user_settings();
        Self::open_beside_a_user(git, path).await
    }

    /// As [`Mirror::open_or_create`], in a process that works on a user's own clone too, where the user's settings count.
    pub(crate) async fn open_beside_a_user(git: Git, path: &Path) -> Result<Self, MirrorError> {
        let path = path.to_owned();
        blocking(move || {
            let mirror = Self { git, path, opened: Arc::default() };
            mirror.create_if_missing()?;
            mirror.open()?;
            tags::forget_that_they_are_many(&mirror.path);
            scratch::remove_leftovers(&mirror.path);
            mirror.ref_writers().remove_left();
            locks::remove_stale_objects(&mirror.path);
            Ok(mirror)
        })
        .await
    }

    /// Makes an empty repository of what is none any more, around what is left of it: what it held is then missing, and comes
    /// back as anything else that is.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn make_again_if_gone(&self) -> Result<(), MirrorError> {
        let mirror = self.clone();
        blocking(move || if mirror.open().is_err() { mirror.create_if_missing() } else { Ok(()) }).await
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ref of a revision.
    pub fn revision_ref(branch: &BranchName, revision: u32) -> String {
        format!("refs/branches/{branch}/r{revision}")
    }

    /// The ref of a branch's newest revision.
    pub fn head_ref(branch: &BranchName) -> String {
        format!("refs/branches/{branch}/head")
    }

    /// The ref of a branch's candidate.
    pub fn candidate_ref(branch: &BranchName) -> String {
        format!("refs/branches/{branch}/candidate")
    }

    /// The ref that holds one candidate for as long as it may be built or landed.
    pub fn kept_candidate_ref(branch: &BranchName, revision: u32, commit: &CommitId) -> String {
        format!("refs/branches/{branch}/candidates/r{revision}-{}", commit.short())
    }

    /// Keeps a candidate that may be built, also when the branch has a newer one. It is durable when this returns.
    ///
    /// # Errors
    /// When the commit is not there or the ref can't be written.
    pub async fn keep_candidate(
        &self,
        branch: &BranchName,
        revision: u32,
        commit: &CommitId,
    ) -> Result<(), MirrorError> {
        self.keep(commit, vec![Self::kept_candidate_ref(branch, revision, commit)]).await
    }

    /// Keeps a candidate by these refs, which may point elsewhere now. It is durable when this returns.
    ///
    /// # Errors
    /// When the commit is not there or a ref can't be written.
    pub async fn keep(&self, commit: &CommitId, references: Vec<String>) -> Result<(), MirrorError> {
        self.keep_all(references.into_iter().map(|reference| Named { reference, commit: commit.clone() }).collect())
            .await
    }

    /// The same for several at once: whatever they bring goes into one pack.
    ///
    /// # Errors
    /// When a commit is not there or a ref can't be written.
    pub async fn keep_all(&self, refs: Vec<Named>) -> Result<(), MirrorError> {
        let mut commits: Vec<CommitId> = refs.iter().map(|it| it.commit.clone()).collect();
        commits.dedup();
        self.make_durable(&commits).await?;
        self.set_refs(refs).await
    }

    /// The refs that hold candidates, each with its commit, of each branch that has any: read at once, because to find those of
    /// one branch all are gone through.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn candidates(&self) -> Result<HashMap<BranchName, Vec<Named>>, MirrorError> {
        self.with_repository(|repository| {
            let failed = |source| MirrorError::Objects { what: "reading the refs of candidates".to_owned(), source };
            let mut found: HashMap<BranchName, Vec<Named>> = HashMap::new();
            for reference in repository.references_glob("refs/branches/*/candidates/*").map_err(failed)? {
                let reference = reference.map_err(failed)?;
                let (Ok(name), Some(id)) = (reference.name(), reference.target()) else { continue };
                let of = name.strip_prefix("refs/branches/").and_then(|rest| rest.rsplit_once("/candidates/"));
                if let Some(Ok(branch)) = of.map(|(branch, _)| branch.parse()) {
                    let named = Named { reference: name.to_owned(), commit: commit_id(id)? };
                    found.entry(branch).or_default().push(named);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Deletes refs that are still where they were seen; the others belong to somebody by now.
    ///
    /// # Errors
    /// When a ref can't be read or deleted.
    pub async fn forget(&self, refs: Vec<Named>) -> Result<(), MirrorError> {
        self.with_repository(move |repository| {
            for Named { reference: name, commit } in refs {
                let failed = |source| MirrorError::Objects { what: format!("deleting {name}"), source };
                let mut reference = match repository.find_reference(&name) {
                    Ok(reference) => reference,
                    Err(error) if error.code() == git2::ErrorCode::NotFound => continue,
                    Err(error) => return Err(failed(error)),
                };
                if reference.target() == Some(oid(&commit)?) {
                    // It compares once more, under its lock.
                    reference.delete().map_err(failed)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Makes `refs/branches/NAME/candidate` point to a commit of the mirror, so that it can be fetched.
    ///
    /// # Errors
    /// When the commit is not there or the ref can't be written.
    pub async fn set_candidate(&self, branch: &BranchName, commit: &CommitId) -> Result<(), MirrorError> {
        self.set_ref(Self::candidate_ref(branch), commit).await
    }

    async fn set_ref(&self, name: String, commit: &CommitId) -> Result<(), MirrorError> {
        self.set_refs(vec![Named { reference: name, commit: commit.clone() }]).await
    }

    async fn set_refs(&self, refs: Vec<Named>) -> Result<(), MirrorError> {
        self.with_durable_repository(move |repository| {
            let folders = refs.iter().flat_map(|it| durable::folders_of(repository.path(), &it.reference));
            let new: BTreeSet<PathBuf> = folders.filter(|folder| !folder.exists()).collect();
            for Named { reference, commit } in refs {
                let id = oid(&commit)?;
                repository.find_commit(id).map_err(|_| MirrorError::NoCommit { commit })?;
                let failed = |source| MirrorError::Objects { what: format!("setting {reference}"), source };
                repository.reference(&reference, id, true, "").map_err(failed)?;
            }
            // A ref waits for the disk, its folder's own name does not.
            for above in new.iter().filter_map(|folder| folder.parent()) {
                let io = |source| MirrorError::Io { what: "syncing the mirror's refs".to_owned(), source };
                durable::sync_folder(above).map_err(io)?;
            }
            Ok(())
        })
        .await
    }

    /// Where a ref of the mirror points.
    ///
    /// # Errors
    /// When the mirror can't be read.
    pub async fn ref_at(&self, name: &str) -> Result<Option<CommitId>, MirrorError> {
        let name = name.to_owned();
        self.with_repository(move |repository| match repository.refname_to_id(&name) {
            Ok(id) => Ok(Some(commit_id(id)?)),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(source) => Err(MirrorError::Objects { what: format!("reading {name}"), source }),
        })
        .await
    }

    /// Who writes refs here.
    pub(crate) fn ref_writers(&self) -> RefWriters {
        RefWriters::of(&self.git, &self.path)
    }

    pub(crate) fn git(&self) -> &Git {
        &self.git
    }

    fn open(&self) -> Result<git2::Repository, MirrorError> {
        git2::Repository::open_bare(&self.path)
            .map_err(|source| MirrorError::Objects { what: format!("opening {}", named(&self.path)), source })
    }

    fn create_if_missing(&self) -> Result<(), MirrorError> {
        let io = |source| MirrorError::Io { what: format!("making {}", named(&self.path)), source };
        if !self.path.join("HEAD").exists() || self.open().is_err() {
            if let Some(parent) = self.path.parent() {
                std::fs::create_dir_all(parent).map_err(io)?;
            }
            // Made beside it and moved there, so that it is whole or not there at all.
            let new = self.path.with_extension("new");
            let _ = std::fs::remove_dir_all(&new);
            init_bare(&new)
                .map_err(|source| MirrorError::Objects { what: format!("making {}", named(&new)), source })?;
            if let Err(error) = std::fs::rename(&new, &self.path) {
                if error.kind() != std::io::ErrorKind::DirectoryNotEmpty {
                    return Err(io(error));
                }
                // What is left of a damaged one may hold the only copy of something; or a git that outlived an earlier
                // master made folders for its files. What is missing is made around it.
                complete(&new, &self.path).map_err(io)?;
            }
            if let Some(parent) = self.path.parent() {
                durable::sync_folder(parent).map_err(io)?;
            }
        }
        durable::prepare(&self.path).map_err(io)?;
        let config = self.path.join("config");
        if std::fs::read(&config).ok().as_deref() != Some(CONFIG.as_bytes()) {
            let new = self.path.join("config.new");
            std::fs::write(&new, CONFIG).map_err(io)?;
            std::fs::rename(&new, &config).map_err(io)?;
        }
        Ok(())
    }
}

/// Moves into `old` what it lacks of the empty repository `new`, `HEAD` last: as long as that is missing, it is not whole.
fn complete(new: &Path, old: &Path) -> std::io::Result<()> {
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(new)? {
        let entry = entry?;
        let there = old.join(entry.file_name());
        if there.symlink_metadata().is_err() {
            inside.push((entry.path(), there));
        } else if entry.file_type()?.is_dir() {
            complete(&entry.path(), &there)?;
        }
    }
    inside.sort_by_key(|(_, there)| there.file_name().is_some_and(|name| name == "HEAD"));
    inside.into_iter().try_for_each(|(from, there)| std::fs::rename(from, there))?;
    match std::fs::remove_dir_all(new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A place of ours in a message: not where it is.
fn named(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| format!("…/{}", name.to_string_lossy()))
}

/// An empty bare repository, with nothing of any template.
pub(crate) fn init_bare(path: &Path) -> Result<(), git2::Error> {
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).external_template(false).initial_head("main").no_reinit(true).mkpath(true);
    git2::Repository::init_opts(path, &options)?;
    Ok(())
}
