//! What is written so that a power failure does not take it back: objects first, then the refs to them, then the row.
//!
//! git's own processes are told so by the mirror's configuration. What libgit2 writes one by one, a candidate's trees and
//! its commit, is not worth a wait for the disk each; before a ref holds it, all of it goes into one pack.

use super::{Mirror, MirrorError, oid};
use crate::blocking::blocking;
use git2::{Config, ConfigLevel, Oid, Repository, Tree};
use protocol::CommitId;
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// The file that makes libgit2 wait for the disk. git itself, which knows that setting by another name, never reads it.
const FILE: &str = "libgit2.config";
const SETTINGS: &str = "# Written by bb at each start.\n[core]\n\tfsyncObjectFiles = true\n";

/// Writes the settings where they are not there yet.
pub(super) fn prepare(mirror: &Path) -> std::io::Result<()> {
    let file = mirror.join(FILE);
    if std::fs::read(&file).ok().as_deref() != Some(SETTINGS.as_bytes()) {
        std::fs::write(file, SETTINGS)?;
    }
    Ok(())
}

/// Makes what happened in a folder durable: a new name, a name that is gone.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// The folders in which a ref stands, up to that of all refs: a new one is as durable as its name in the one above it.
pub(super) fn folders_of(mirror: &Path, reference: &str) -> Vec<PathBuf> {
    let file = mirror.join(reference);
    file.ancestors().skip(1).take_while(|folder| *folder != mirror).map(Path::to_owned).collect()
}

impl Mirror {
    /// Makes names durable that git gave to what it had synced: new packs, refs, and the folders of these, which may be new too.
    pub(super) async fn sync_names(&self, references: impl IntoIterator<Item = String>) -> Result<(), MirrorError> {
        let mut folders = BTreeSet::from([self.path().join("objects/pack")]);
        folders.extend(references.into_iter().flat_map(|it| folders_of(self.path(), &it)));
        blocking(move || {
            for folder in folders {
                match sync_folder(&folder) {
                    // All refs may be packed.
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(MirrorError::Io { what: "syncing the mirror's files".to_owned(), source: error });
                    }
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    /// Makes commits durable that were just made here: all that they bring goes into one pack.
    ///
    /// # Errors
    /// When one is not there, or the pack can't be written.
    pub async fn make_durable(&self, commits: &[CommitId]) -> Result<(), MirrorError> {
        let commits = commits.to_vec();
        self.with_durable_repository(move |repository| {
            let mut ids = Vec::with_capacity(commits.len());
            for commit in &commits {
                let id = oid(commit)?;
                match new_objects(repository, id, usize::MAX) {
                    Ok(objects) => ids.extend(objects),
                    Err(lost) if lost.id == id => return Err(MirrorError::NoCommit { commit: commit.clone() }),
                    Err(Lost { id, source }) => {
                        return Err(MirrorError::Objects { what: format!("reading the object {id}"), source });
                    }
                }
            }
            pack(repository, &ids)
                .map_err(|source| MirrorError::Objects { what: "packing new candidates".to_owned(), source })
        })
        .await
    }
}

/// Has a repository that was just opened wait for the disk whenever it writes a pack or a ref.
pub(super) fn wait_for_disk(repository: &Repository) -> Result<(), MirrorError> {
    let add = || {
        // The configuration is the repository's own, not a copy; it is looked at when the first object or ref is written.
        let mut config: Config = repository.config()?;
        config.add_file(&repository.path().join(FILE), ConfigLevel::App, true)
    };
    add().map_err(|source| MirrorError::Objects { what: format!("reading {FILE} of the mirror"), source })
}

fn pack(repository: &Repository, ids: &[Oid]) -> Result<(), git2::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut pack = repository.packbuilder()?;
    pack.set_threads(1);
    let mut seen = HashSet::new();
    for id in ids.iter().filter(|id| seen.insert(**id)) {
        pack.insert_object(*id, None)?;
    }
    let folder: PathBuf = repository.path().join("objects/pack");
    pack.write(&folder, 0)
}

/// An object that can't be read.
pub(super) struct Lost {
    pub(super) id: Oid,
    pub(super) source: git2::Error,
}

/// A commit and what it brings: the folders and files that none of its parents has in the same place. At most `most` are
/// told.
pub(super) fn new_objects(repository: &Repository, commit: Oid, most: usize) -> Result<Vec<Oid>, Lost> {
    let lost = |id: Oid| move |source: git2::Error| Lost { id, source };
    let of = repository.find_commit(commit).map_err(lost(commit))?;
    let tree = repository.find_tree(of.tree_id()).map_err(lost(of.tree_id()))?;
    let mut parents = Vec::new();
    for id in of.parent_ids() {
        let parent = repository.find_commit(id).map_err(lost(id))?;
        parents.push(repository.find_tree(parent.tree_id()).map_err(lost(parent.tree_id()))?);
    }
    let mut ids = vec![commit];
    if parents.iter().any(|parent| parent.id() == tree.id()) {
        return Ok(ids);
    }
    ids.push(tree.id());
    let mut level = vec![(tree, parents)];
    while let Some((tree, parents)) = level.pop() {
        for entry in &tree {
            let theirs = |parent: &Tree<'_>| parent.get_name_bytes(entry.name_bytes()).map(|e| (e.id(), e.kind()));
            let is_old = parents.iter().any(|parent| theirs(parent).is_some_and(|(id, _)| id == entry.id()));
            if is_old || entry.kind() == Some(git2::ObjectType::Commit) {
                continue;
            }
            if ids.len() >= most {
                return Ok(ids);
            }
            ids.push(entry.id());
            if entry.kind() == Some(git2::ObjectType::Tree) {
                let inner = repository.find_tree(entry.id()).map_err(lost(entry.id()))?;
                let folders = parents.iter().filter_map(theirs);
                let folders = folders.filter(|(_, kind)| *kind == Some(git2::ObjectType::Tree));
                let below: Result<Vec<_>, Lost> =
                    folders.map(|(id, _)| repository.find_tree(id).map_err(lost(id))).collect();
                level.push((inner, below?));
            }
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::git::Git;

    #[test]
    fn a_ref_s_folders_are_all_of_them() {
        let all = folders_of(Path::new("/m.git"), "refs/branches/ann/candidates/r1-abc");
        let said: Vec<_> = all.iter().map(|folder| folder.to_str().unwrap()).collect();
        let wanted = ["candidates", ""]
            .map(|below| format!("/m.git/refs/branches/ann/{below}").trim_end_matches('/').to_owned());
        assert_eq!(said[..2], wanted);
        assert_eq!(said[2..], ["/m.git/refs/branches", "/m.git/refs"]);
    }

    #[tokio::test]
    async fn libgit2_is_told_to_wait_for_the_disk_and_git_is_not_told_by_a_name_that_it_dislikes() {
        let temp = tempfile::tempdir().unwrap();
        let mirror = Mirror::open_or_create(Git::find(None).unwrap(), &temp.path().join("m.git")).await.unwrap();
        let synced = mirror.with_durable_repository(|repository| {
            let config = repository.config().and_then(|mut config| config.snapshot());
            Ok(config.and_then(|config| config.get_bool("core.fsyncobjectfiles")).unwrap())
        });
        assert!(synced.await.unwrap());
        let run = mirror.git().bounded().repository(mirror.path()).args(["config", "--list"]);
        let said = run.output().await.unwrap();
        let settings = String::from_utf8(said.stdout).unwrap();
        assert!(settings.contains("core.fsync=committed") && !settings.contains("fsyncobjectfiles"), "{settings}");
        assert_eq!(said.stderr, "");
    }
}
