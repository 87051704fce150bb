//! Small repositories made from values, for `bb demo` and for tests: no work tree, no git process, no configuration of
//! the user's.

use protocol::CommitId;
use std::path::{Path, PathBuf};

/// A sample can't be made.
#[derive(Debug, thiserror::Error)]
#[error("the sample repository {} can't be made: {source}", path.display())]
pub struct SampleError {
    path: PathBuf,
    source: git2::Error,
}

/// Who writes a commit, and when.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// The name.
    pub name: &'a str,
    /// The mail address.
    pub email: &'a str,
    /// In seconds since 1970 UTC.
    pub when: i64,
}

/// A bare repository to be filled.
pub struct Sample {
    repository: git2::Repository,
    path: PathBuf,
}

impl Sample {
    /// Makes an empty bare repository whose branch is `main`.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn create(path: &Path) -> Result<Self, SampleError> {
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).initial_head("main").external_template(false).mkpath(true);
        let repository = git2::Repository::init_opts(path, &options);
        let repository = repository.map_err(|source| SampleError { path: path.to_owned(), source })?;
        Ok(Self { repository, path: path.to_owned() })
    }

    /// Another author's copy of a repository.
    ///
    /// # Errors
    /// When it can't be read or the copy can't be made.
    pub fn copy(from: &Path, to: &Path) -> Result<Self, SampleError> {
        let sample = Self::create(to)?;
        let copied = || {
            let url = from.to_string_lossy();
            let mut remote = sample.repository.remote_anonymous(&url)?;
            remote.fetch(&["+refs/heads/*:refs/heads/*"], None, None)
        };
        copied().map_err(|source| SampleError { path: to.to_owned(), source })?;
        Ok(sample)
    }

    /// Commits files to a branch, which begins at `main` when it is not there yet. A file without text is removed.
    ///
    /// # Errors
    /// When an object can't be written.
    pub fn commit(
        &self,
        branch: &str,
        author: Author<'_>,
        message: &str,
        files: &[(&str, Option<&str>)],
    ) -> Result<CommitId, SampleError> {
        let failed = |source| SampleError { path: self.path.clone(), source };
        let id = self.write(branch, author, message, files).map_err(failed)?;
        id.to_string().parse().map_err(|_| failed(git2::Error::from_str("git gave an id of an unknown form")))
    }

    fn write(
        &self,
        branch: &str,
        author: Author<'_>,
        message: &str,
        files: &[(&str, Option<&str>)],
    ) -> Result<git2::Oid, git2::Error> {
        let repository = &self.repository;
        let at =
            |name: &str| repository.find_reference(&format!("refs/heads/{name}")).and_then(|r| r.peel_to_commit()).ok();
        let parent = at(branch).or_else(|| at("main"));
        let mut update = git2::build::TreeUpdateBuilder::new();
        for (path, text) in files {
            match text {
                Some(text) => {
                    let mode =
                        if text.starts_with("#!") { git2::FileMode::BlobExecutable } else { git2::FileMode::Blob };
                    update.upsert(*path, repository.blob(text.as_bytes())?, mode);
                }
                None => {
                    update.remove(*path);
                }
            }
        }
        let base = match &parent {
            Some(parent) => parent.tree()?,
            None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
        };
        let tree = repository.find_tree(update.create_updated(repository, &base)?)?;
        let who = git2::Signature::new(author.name, author.email, &git2::Time::new(author.when, 0))?;
        let id = repository.commit(None, &who, &who, message, &tree, &parent.iter().collect::<Vec<_>>())?;
        repository.reference(&format!("refs/heads/{branch}"), id, true, "")?;
        Ok(id)
    }
}
