//! Finding what the mirror should have and has not, and getting it back.
//!
//! Rows name commits; the mirror may hold the only copy of them, and disks lose things. What is looked at here is a
//! commit, its parents, and what it changes: the rest is mainline's or its revision's, and each is looked at by itself.

use super::admission::Group;
use super::admit::Wanted;
use super::durable::new_objects;
use super::packed_refs;
use super::scratch::Scratch;
use super::{Admission, AdmissionError, Mirror, MirrorError, Passing, oid};
use crate::blocking::blocking;
use crate::git::RunLimits;
use crate::watch::{PollError, Poller};
use git2::{Oid, Repository};
use protocol::CommitId;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Duration;

/// A commit that a row names, and the ref that is to hold it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// The ref.
    pub reference: String,
    /// The commit.
    pub commit: CommitId,
}

/// Objects of a commit that are read to see whether it is whole; those of larger ones are believed.
const MOST: usize = 2000;

impl Mirror {
    /// The object of a commit that can't be read here: itself, a parent, or something that it brings. None when all can.
    ///
    /// # Errors
    /// When the mirror can't be opened.
    pub async fn lacks(&self, commit: &CommitId) -> Result<Option<String>, MirrorError> {
        let commit = commit.clone();
        self.with_fresh_repository(move |repository| Ok(lacking(repository, oid(&commit)?).map(|id| id.to_string())))
            .await
    }

    /// The object that can't be read here of what `new` has and `old` has not: of its first commits, from the newest.
    ///
    /// # Errors
    /// When the mirror can't be opened.
    pub(crate) async fn lacks_since(&self, old: &CommitId, new: &CommitId) -> Result<Option<String>, MirrorError> {
        let (old, new) = (oid(old)?, oid(new)?);
        self.with_fresh_repository(move |repository| {
            let walk = || {
                let mut walk = repository.revwalk()?;
                walk.push(new)?;
                walk.hide(old)?;
                walk.take(MOST).collect::<Result<Vec<Oid>, git2::Error>>()
            };
            let Ok(commits) = walk() else { return Ok(Some(new.to_string())) };
            Ok(commits.into_iter().find_map(|commit| lacking(repository, commit)).map(|id| id.to_string()))
        })
        .await
    }

    /// Those of the commits that are not whole here, in themselves and in what mainline does not have of their history. A
    /// ref that is not where its row says is set again when its commit is whole; what of a commit is there and can't be read
    /// is put out of the way of another copy.
    ///
    /// # Errors
    /// When the mirror can't be opened, or a ref can't be set.
    pub async fn missing(&self, named: Vec<Named>) -> Result<Vec<Named>, MirrorError> {
        let mainline = self.whole_mainline().await?;
        let torn = self.torn(named.iter().map(|named| named.commit.clone()).collect(), mainline.as_ref()).await?;
        let missing = self
            .with_fresh_repository(move |repository| {
                let mut missing = Vec::new();
                for named in named {
                    let id = oid(&named.commit)?;
                    if clear(repository, id).is_some() || torn.contains(&named.commit) {
                        missing.push(named);
                        continue;
                    }
                    if repository.refname_to_id(&named.reference).ok() != Some(id) {
                        let what = || format!("setting {}", named.reference);
                        let set = repository.reference(&named.reference, id, true, "");
                        set.map_err(|source| MirrorError::Objects { what: what(), source })?;
                        tracing::warn!(
                            reference = named.reference,
                            commit = named.commit.short(),
                            "a lost ref is set again"
                        );
                    }
                }
                Ok(missing)
            })
            .await?;
        if !missing.is_empty() {
            self.opened.close();
        }
        Ok(missing)
    }

    /// Those of the commits of which something can't be read that mainline does not have: by asking for all of them, and for each
    /// half where that fails, so that few among many cost few questions.
    async fn torn(
        &self,
        commits: BTreeSet<CommitId>,
        mainline: Option<&CommitId>,
    ) -> Result<HashSet<CommitId>, MirrorError> {
        let (mut torn, mut parts) = (HashSet::new(), vec![commits.into_iter().collect::<Vec<_>>()]);
        while let Some(mut part) = parts.pop() {
            if part.is_empty() || self.connected(&part, mainline).await? {
                continue;
            }
            match part.len() {
                1 => torn.extend(part),
                more => {
                    parts.push(part.split_off(more / 2));
                    parts.push(part);
                }
            }
        }
        Ok(torn)
    }

    /// Mends the file of all packed refs, if one of its lines keeps the others from being read; whether it was so. What it named
    /// besides is set again as anything else that is missing.
    ///
    /// # Errors
    /// When it can't be read or written.
    pub async fn mend_packed_refs(&self) -> Result<bool, MirrorError> {
        self.with_fresh_repository(|repository| {
            let failed = |source| MirrorError::Io { what: "mending packed-refs".to_owned(), source };
            packed_refs::mend(repository.path()).map_err(failed)
        })
        .await
    }

    /// Lets go of refs to commits that can't be read: git takes such a ref for a promise, and does nothing any more that
    /// looks at all of them. Which commit it was, the rows know.
    ///
    /// # Errors
    /// When the mirror can't be opened, or a ref can't be deleted.
    pub async fn forget_dead_refs(&self) -> Result<(), MirrorError> {
        self.with_fresh_repository(|repository| {
            let failed = |source| MirrorError::Objects { what: "deleting refs to nothing".to_owned(), source };
            delete_dead_refs(repository).map(drop).map_err(failed)
        })
        .await
    }

    /// Gets a commit back that was admitted before and is not here any more: `admission.expected`, from where it was
    /// published, also when the branch has moved on there. It is kept under its ref; `…/head` stays as it is.
    ///
    /// The same id is the same commit, which was found good, so that it is not looked at again.
    ///
    /// # Errors
    /// See [`AdmissionError`]; [`Passing::Gone`] when the source answers and does not have it.
    pub async fn readmit(&self, poller: &Poller, admission: &Admission) -> Result<(), AdmissionError> {
        let Some(commit) = &admission.expected else {
            return Err(MirrorError::Answer { what: "a revision without a commit" }.into());
        };
        let reference = Self::revision_ref(&admission.name, admission.revision);
        let scratch = self.scratch(&admission.name).await?;
        let done = self.fetch_again(&scratch, poller, admission, commit).await;
        blocking(move || drop(scratch)).await;
        done?;
        self.sync_names([reference.clone()]).await?;
        Ok(self.set_ref(reference, commit).await?)
    }

    async fn fetch_again(
        &self,
        scratch: &Scratch,
        poller: &Poller,
        admission: &Admission,
        commit: &CommitId,
    ) -> Result<(), AdmissionError> {
        let mut answered = false;
        // First with what the mirror has; if that lacks more than the commit itself, everything comes anew.
        for sees_mirror in [true, false] {
            // By its id: it may not be the branch's head any more. Older servers give only what has a name.
            for what in [commit.to_string(), admission.branch.full()] {
                match self
                    .fetch_into(scratch, poller, Group::one(admission), &Wanted { what: vec![what], sees_mirror })
                    .await
                {
                    Ok(()) => answered = true,
                    Err(AdmissionError::Passing(Passing::NoBranch { .. } | Passing::Broken { .. })) => answered = true,
                    Err(AdmissionError::Passing(Passing::Source(PollError::Git { source, .. })))
                        if NOT_GIVEN.iter().any(|words| source.stderr().contains(words)) =>
                    {
                        answered = true;
                    }
                    Err(error) => return Err(error),
                }
                if self.take_again(scratch, admission, commit, sees_mirror).await? {
                    return Ok(());
                }
            }
        }
        let (url, branch) = (admission.source.to_string(), admission.branch.display());
        match answered {
            true => Err(Passing::Gone { url, branch, commit: commit.clone() }.into()),
            false => Err(MirrorError::NoCommit { commit: commit.clone() }.into()),
        }
    }

    /// Brings a commit from the scratch repository into the mirror; false when it is not whole there.
    async fn take_again(
        &self,
        scratch: &Scratch,
        admission: &Admission,
        commit: &CommitId,
        sees_mirror: bool,
    ) -> Result<bool, AdmissionError> {
        let run = self.git().bounded().repository(&scratch.path());
        let run = if sees_mirror { self.sees_mirror(run, Group::one(admission)) } else { run };
        let run = run.args(["pack-objects", "--revs", "-q", "--delta-base-offset"]);
        let limits = limits(admission);
        let mut running =
            run.arg(scratch.path().join("again")).limits(limits).start(true).map_err(MirrorError::from)?;
        let mainline = if sees_mirror { self.whole_mainline().await? } else { None };
        let wanted = mainline.iter().fold(format!("{commit}\n"), |all, tip| format!("{all}^{tip}\n"));
        running.feed(wanted.as_bytes()).await.map_err(MirrorError::from)?;
        let ended = tokio::time::timeout(limits.wall, running.finish()).await;
        if !matches!(ended, Ok(Ok((Some(0), _, _)))) {
            return Ok(false);
        }
        let folder = scratch.path();
        for pack in blocking(move || packs_named(&folder, "again-")).await {
            let run = self.git().bounded().repository(self.path()).args(["index-pack", "--stdin", "--fix-thin"]);
            let mut running = run.limits(limits).start(true).map_err(MirrorError::from)?;
            running.feed_file(&pack).await.map_err(MirrorError::from)?;
            let ended = tokio::time::timeout(limits.wall, running.finish()).await;
            if !matches!(ended, Ok(Ok((Some(0), _, _)))) {
                return Ok(false);
            }
        }
        Ok(self.lacks(commit).await?.is_none() && self.connected([commit], mainline.as_ref()).await?)
    }

    /// Mainline's tip, if it is whole.
    async fn whole_mainline(&self) -> Result<Option<CommitId>, MirrorError> {
        match self.ref_at("HEAD").await {
            Ok(Some(tip)) if self.lacks(&tip).await?.is_none() => Ok(Some(tip)),
            _ => Ok(None),
        }
    }
}

/// What a server says that does not give a commit by its id.
const NOT_GIVEN: [&str; 3] = ["not our ref", "unadvertised object", "no such remote ref"];

fn limits(admission: &Admission) -> RunLimits {
    let wall = admission.limits.wall.max(Duration::from_secs(600));
    RunLimits { wall, cpu: wall, file_bytes: admission.limits.pack_bytes.max(4 << 30), ..RunLimits::default() }
}

fn packs_named(folder: &std::path::Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "pack")
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    entries.filter(is_one).collect()
}

/// Deletes the refs of a repository that name no object that is there; whether there were any.
///
/// # Errors
/// When a ref can't be deleted.
pub(crate) fn delete_dead_refs(repository: &Repository) -> Result<bool, git2::Error> {
    let mut any = remove_nonsense(repository);
    let mut dead = Vec::new();
    for reference in repository.references()?.flatten() {
        // A tag may be of anything.
        if reference.target().is_some() && reference.peel(git2::ObjectType::Any).is_err() {
            dead.push(reference);
        }
    }
    for mut reference in dead {
        tracing::warn!(reference = reference.name().unwrap_or_default(), "a ref to a lost commit is deleted");
        reference.delete()?;
        any = true;
    }
    Ok(any)
}

/// Removes files of refs that name no object, as those that were cut short; whether there were any.
fn remove_nonsense(repository: &Repository) -> bool {
    let mut any = false;
    let is_name = |text: &str| text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut folders = vec![repository.path().join("refs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|extension| extension != "lock")
                && std::fs::read(&path).is_ok_and(|text| !is_name(String::from_utf8_lossy(&text).trim()))
            {
                tracing::warn!(path = %path.display(), "a damaged ref is deleted");
                any |= std::fs::remove_file(path).is_ok();
            }
        }
    }
    any | packed_refs::mend(repository.path()).unwrap_or_else(|error| {
        tracing::warn!(%error, "damaged refs can't be mended");
        false
    })
}

/// The first object of a commit that can't be read.
pub(super) fn lacking(repository: &Repository, commit: Oid) -> Option<Oid> {
    let objects = match new_objects(repository, commit, MOST) {
        Ok(objects) => objects,
        Err(lost) => return Some(lost.id),
    };
    let Ok(odb) = repository.odb() else { return Some(commit) };
    let parents = repository.find_commit(commit).map(|c| c.parent_ids().collect::<Vec<_>>()).unwrap_or_default();
    parents.into_iter().find(|parent| repository.find_commit(*parent).is_err()).or_else(|| {
        // All of it is read, so that what was cut short or changed on the disk is seen; libgit2 compares the hash.
        objects.into_iter().find(|id| odb.read(*id).is_err())
    })
}

/// The same; files of loose objects that are there and can't be read are removed: git would take them for the object,
/// and never write it again.
fn clear(repository: &Repository, commit: Oid) -> Option<Oid> {
    let mut first = None;
    for _ in 0..MOST {
        let Some(lost) = lacking(repository, commit) else { break };
        first = first.or(Some(lost));
        let hex = lost.to_string();
        let file = repository.path().join("objects").join(&hex[..2]).join(&hex[2..]);
        if std::fs::remove_file(&file).is_err() {
            break;
        }
        tracing::warn!(object = hex, "removed a damaged object of the mirror");
        let _ = repository.odb().and_then(|odb| odb.refresh());
    }
    if first.is_some() { lacking(repository, commit) } else { None }
}
