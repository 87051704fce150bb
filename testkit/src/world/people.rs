//! Who acts in a World: authors and the maintainer.

use crate::git::Repo;
use crate::world::{Said, World};
use std::path::{Path, PathBuf};

/// A shell command for a step that waits until [`World::release_builds`], wherever the build runs.
pub const WAITS: &str = "touch .waiting; while [ ! -e .released ]; do sleep 0.05; done";

/// An author, with a repository of his own that is published by its path.
pub struct Author<'a> {
    world: &'a World,
    repo: Repo,
    name: String,
}

impl<'a> Author<'a> {
    pub(super) fn of(world: &'a World, name: &str) -> Author<'a> {
        let path = world.folder().join("authors").join(name);
        let repo = if path.exists() { Repo::at(path) } else { Repo::clone(world.mainline().url(), path) };
        Author { world, repo: repo.by(name, &format!("{name}@example.org")), name: name.to_owned() }
    }

    /// The author's repository.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Makes the branch from the mainline of now if it isn't there, and commits these files to it; gives the commit.
    pub fn writes(&self, branch: &str, files: &[(&str, &str)]) -> String {
        self.repo.git(&["fetch", "--quiet", "origin"]);
        if self.repo.try_git(&["switch", "--quiet", branch]).is_err() {
            self.repo.branch(branch, "origin/main");
        }
        self.repo.commit(files, &format!("Work on {branch}"))
    }

    /// The same with a fragment beside them.
    pub fn writes_with_fragment(&self, branch: &str, files: &[(&str, &str)]) -> String {
        let what = files.first().map_or("README", |(name, _)| *name);
        let fragment = format!("2026-01-02  {0}  <{0}@example.org>\n\n\t* {what}: Say more.\n", self.name);
        let mut all = files.to_vec();
        all.push(("repo.ChangeLog", &fragment));
        self.writes(branch, &all)
    }

    /// Publishes the branch, under its own name.
    pub fn publishes(&self, branch: &str) -> Said {
        self.world.run(["publish", self.repo.url(), branch, "--name", branch])
    }
}

/// The maintainer.
pub struct Maintainer<'a> {
    world: &'a World,
}

impl<'a> Maintainer<'a> {
    pub(super) fn of(world: &'a World) -> Maintainer<'a> {
        Maintainer { world }
    }

    /// Accepts the branch's newest revision.
    pub fn accepts(&self, branch: &str) -> Said {
        self.world.run(["accept", branch])
    }
}

/// The folders below `folder` in which a build waits and was not let go.
pub(super) fn waiting(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(waiting(&entry.path()));
        } else if entry.file_name() == ".waiting" && !folder.join(".released").exists() {
            found.push(folder.to_path_buf());
        }
    }
    found
}
