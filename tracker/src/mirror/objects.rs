//! Reading what is in the mirror: ids, files, how commits stand to each other.

use super::{Mirror, MirrorError};
use crate::text::shown;
use protocol::CommitId;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// How a revision stands to mainline.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Relation {
    /// They have no commit in common.
    Unrelated,
    /// They are the same commit.
    Same,
    /// Mainline contains the revision.
    Behind,
    /// The revision has commits that mainline lacks.
    Ahead {
        /// The newest commit that both have.
        merge_base: CommitId,
        /// How many commits mainline lacks.
        commits: u32,
    },
}

/// Something at the root of a commit's tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RootEntry {
    /// Its name; what is not UTF-8 replaced.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What a tree's entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A submodule.
    Submodule,
}

impl Mirror {
    /// How `revision` stands to `mainline`.
    ///
    /// # Errors
    /// When one of them is not in the mirror.
    pub async fn relation(&self, mainline: &CommitId, revision: &CommitId) -> Result<Relation, MirrorError> {
        let (mainline, revision) = (mainline.clone(), revision.clone());
        self.with_repository(move |repository| relation(repository, &mainline, &revision)).await
    }

    /// The file at `path` in a commit, if there is one and it is a file of at most `limit` bytes.
    ///
    /// # Errors
    /// When the commit is not there.
    pub async fn file_at(&self, commit: &CommitId, path: &str, limit: u64) -> Result<Option<Vec<u8>>, MirrorError> {
        let (commit, path) = (commit.clone(), path.to_owned());
        self.with_repository(move |repository| match kept_at(&tree_of(repository, &commit)?, &path)? {
            Some(kept) if kept.is_file() => kept.bytes(repository, limit),
            _ => Ok(None),
        })
        .await
    }

    /// The recipe, `.bb.toml`, of a commit; at most 1 MiB of it is taken.
    ///
    /// # Errors
    /// When the commit is not there.
    pub async fn recipe_at(&self, commit: &CommitId) -> Result<Option<Vec<u8>>, MirrorError> {
        self.file_at(commit, recipe::FILE_NAME, 1 << 20).await
    }

    /// What is at the root of a commit's tree, at most 10,000 entries, for guessing a recipe.
    ///
    /// # Errors
    /// When the commit is not there.
    pub async fn root_entries(&self, commit: &CommitId) -> Result<Vec<RootEntry>, MirrorError> {
        let commit = commit.clone();
        self.with_repository(move |repository| {
            let tree = tree_of(repository, &commit)?;
            let entries = tree.iter().take(10_000).map(|entry| RootEntry {
                name: String::from_utf8_lossy(entry.name_bytes()).into_owned(),
                kind: match entry.filemode() {
                    0o040_000 => EntryKind::Folder,
                    0o120_000 => EntryKind::Link,
                    0o160_000 => EntryKind::Submodule,
                    _ => EntryKind::File,
                },
            });
            Ok(entries.collect())
        })
        .await
    }
}

pub(crate) fn oid(commit: &CommitId) -> Result<git2::Oid, MirrorError> {
    git2::Oid::from_str(commit.as_str()).map_err(|_| MirrorError::NoCommit { commit: commit.clone() })
}

pub(crate) fn commit_id(id: git2::Oid) -> Result<CommitId, MirrorError> {
    id.to_string().parse().map_err(|_| MirrorError::Answer { what: "git" })
}

pub(crate) fn find_commit<'r>(
    repository: &'r git2::Repository,
    commit: &CommitId,
) -> Result<git2::Commit<'r>, MirrorError> {
    repository.find_commit(oid(commit)?).map_err(|source| match source.code() {
        git2::ErrorCode::NotFound => MirrorError::NoCommit { commit: commit.clone() },
        _ => MirrorError::of_objects(format!("reading the commit {commit}"), source),
    })
}

pub(crate) fn tree_of<'r>(repository: &'r git2::Repository, commit: &CommitId) -> Result<git2::Tree<'r>, MirrorError> {
    find_commit(repository, commit)?
        .tree()
        .map_err(|source| MirrorError::of_objects(format!("reading the tree of {commit}"), source))
}

pub(crate) fn relation(
    repository: &git2::Repository,
    mainline: &CommitId,
    revision: &CommitId,
) -> Result<Relation, MirrorError> {
    let (m, r) = (find_commit(repository, mainline)?.id(), find_commit(repository, revision)?.id());
    if m == r {
        return Ok(Relation::Same);
    }
    let Some(base) = merge_base(repository, m, r)? else { return Ok(Relation::Unrelated) };
    if base == r {
        return Ok(Relation::Behind);
    }
    let failed = |source| MirrorError::of_objects(format!("comparing {mainline} and {revision}"), source);
    let (ahead, _) = repository.graph_ahead_behind(r, m).map_err(failed)?;
    let commits = u32::try_from(ahead).unwrap_or(u32::MAX);
    Ok(Relation::Ahead { merge_base: commit_id(base)?, commits })
}

/// A newest commit that both descend from, if there is one.
pub(crate) fn merge_base(
    repository: &git2::Repository,
    one: git2::Oid,
    other: git2::Oid,
) -> Result<Option<git2::Oid>, MirrorError> {
    match repository.merge_base(one, other) {
        Ok(base) => Ok(Some(base)),
        // Only that there is none says so; an object that is not there is not found either.
        Err(error) if error.code() == git2::ErrorCode::NotFound && error.class() == git2::ErrorClass::Merge => Ok(None),
        Err(error) => Err(MirrorError::of_objects(format!("comparing {one} and {other}"), error)),
    }
}

/// What stands at a path of a tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    pub(crate) id: git2::Oid,
    pub(crate) mode: i32,
}

impl Kept {
    pub(crate) fn is_file(self) -> bool {
        matches!(self.mode, 0o100_644 | 0o100_755 | 0o100_664)
    }

    pub(crate) fn is_link(self) -> bool {
        self.mode == 0o120_000
    }

    /// How many bytes it has.
    pub(crate) fn size(self, repository: &git2::Repository) -> Result<u64, MirrorError> {
        let failed = |source| MirrorError::of_objects(format!("reading the object {}", self.id), source);
        let (size, _) = repository.odb().and_then(|odb| odb.read_header(self.id)).map_err(failed)?;
        Ok(size as u64)
    }

    /// Its bytes, unless there are more than `limit`.
    pub(crate) fn bytes(self, repository: &git2::Repository, limit: u64) -> Result<Option<Vec<u8>>, MirrorError> {
        let failed = |source| MirrorError::of_objects(format!("reading the object {}", self.id), source);
        if self.size(repository)? > limit {
            return Ok(None);
        }
        Ok(Some(repository.find_blob(self.id).map_err(failed)?.content().to_vec()))
    }
}

pub(crate) fn kept_at(tree: &git2::Tree<'_>, path: &str) -> Result<Option<Kept>, MirrorError> {
    kept_at_bytes(tree, path.as_bytes())
}

pub(crate) fn kept_at_bytes(tree: &git2::Tree<'_>, path: &[u8]) -> Result<Option<Kept>, MirrorError> {
    // What no tree has is a mistake of the program for libgit2, or meant for something else.
    let may_be = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
    if !path.split(|b| *b == b'/').all(may_be) {
        return Ok(None);
    }
    match tree.get_path(Path::new(OsStr::from_bytes(path))) {
        Ok(entry) => Ok(Some(Kept { id: entry.id(), mode: entry.filemode() })),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(source) => Err(MirrorError::of_objects(format!("looking for {}", shown(path)), source)),
    }
}
