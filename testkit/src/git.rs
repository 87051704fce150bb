//! Repositories made quickly, the same every time: authors and dates are given, nobody's configuration is read.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};

/// The time of a repository's first commit, seconds since 1970: 2026-01-01 12:00 UTC. Each further one is a minute later.
const FIRST_COMMIT_S: i64 = 1_767_268_800;

/// A repository, with a work tree or bare.
pub struct Repo {
    path: PathBuf,
    author: (String, String),
    commits: AtomicI64,
}

impl Repo {
    /// A new repository with a work tree, on branch `main`, without a commit.
    #[must_use]
    pub fn init(path: impl Into<PathBuf>) -> Repo {
        let path = path.into();
        make(&["init", "--quiet", "--initial-branch=main"], &path);
        Repo::at(path)
    }

    /// A new bare repository whose mainline is `main`.
    #[must_use]
    pub fn init_bare(path: impl Into<PathBuf>) -> Repo {
        let path = path.into();
        make(&["init", "--quiet", "--bare", "--initial-branch=main"], &path);
        Repo::at(path)
    }

    /// A clone of `url`, with a work tree.
    #[must_use]
    pub fn clone(url: &str, path: impl Into<PathBuf>) -> Repo {
        let path = path.into();
        make(&["clone", "--quiet", "--no-hardlinks", "--", url], &path);
        Repo::at(path)
    }

    /// The repository that is at `path` already.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Repo {
        Repo { path: path.into(), author: ("A U Thor".into(), "author@example.org".into()), commits: AtomicI64::new(0) }
    }

    /// The same repository, whose next commits are this author's.
    #[must_use]
    pub fn by(mut self, name: &str, email: &str) -> Repo {
        self.author = (name.to_owned(), email.to_owned());
        self
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its folder as a URL or path that git takes.
    ///
    /// # Panics
    /// When the path is not UTF-8.
    #[must_use]
    pub fn url(&self) -> &str {
        self.path.to_str().expect("test folders are UTF-8")
    }

    /// Writes these files, adds all changes of the work tree, and commits; gives the commit's id. A commit without any
    /// change is made too.
    pub fn commit(&self, files: &[(&str, &str)], message: &str) -> String {
        let bytes: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        self.commit_bytes(&bytes, message)
    }

    /// As [`Repo::commit`], for files that are not text.
    ///
    /// # Panics
    /// When a file can't be written.
    pub fn commit_bytes(&self, files: &[(&str, &[u8])], message: &str) -> String {
        for (name, bytes) in files {
            let file = self.path.join(name);
            std::fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("folders can be made");
            std::fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message", message]);
        self.head()
    }

    /// Begins branch `name` at `start` and goes there.
    pub fn branch(&self, name: &str, start: &str) {
        self.git(&["switch", "--quiet", "--force-create", name, start]);
    }

    /// The commit that is checked out; of a bare repository, mainline's.
    #[must_use]
    pub fn head(&self) -> String {
        self.resolve("HEAD")
    }

    /// The commit that `name` stands for.
    #[must_use]
    pub fn resolve(&self, name: &str) -> String {
        self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])
    }

    /// The text of `path` in the commit `name`.
    #[must_use]
    pub fn show(&self, name: &str, path: &str) -> String {
        self.git(&["show", &format!("{name}:{path}")]) + "\n"
    }

    /// The paths in the commit `name`.
    #[must_use]
    pub fn files(&self, name: &str) -> Vec<String> {
        self.git(&["ls-tree", "-r", "--name-only", name]).lines().map(str::to_owned).collect()
    }

    /// The first lines of the messages of `name` and its first parents, newest first.
    #[must_use]
    pub fn log(&self, name: &str) -> Vec<String> {
        self.git(&["log", "--first-parent", "--format=%s", name]).lines().map(str::to_owned).collect()
    }

    /// Runs git here; gives what it printed, without the last line's end.
    ///
    /// # Panics
    /// When it fails.
    pub fn git(&self, args: &[&str]) -> String {
        self.try_git(args).unwrap_or_else(|said| panic!("git {} in {}: {said}", args.join(" "), self.path.display()))
    }

    /// Runs git here; gives what it printed.
    ///
    /// # Errors
    /// What it said when it fails.
    pub fn try_git(&self, args: &[&str]) -> Result<String, String> {
        let mut command = command();
        let (name, email) = &self.author;
        if args.first() == Some(&"commit") || args.first() == Some(&"merge") || args.first() == Some(&"rebase") {
            let date = FIRST_COMMIT_S + 60 * self.commits.fetch_add(1, Ordering::Relaxed);
            let date = format!("{date} +0000");
            command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        }
        command
            .env("GIT_AUTHOR_NAME", name)
            .env("GIT_AUTHOR_EMAIL", email)
            .env("GIT_COMMITTER_NAME", name)
            .env("GIT_COMMITTER_EMAIL", email);
        let out = command.current_dir(&self.path).args(args).output().map_err(|error| error.to_string())?;
        if out.status.success() {
            Ok(String::from_utf8_lossy(&out.stdout).trim_end_matches('\n').to_owned())
        } else {
            Err(String::from_utf8_lossy(&out.stderr).into_owned())
        }
    }
}

/// Git, reading no configuration but the repository's.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command
        .args(["-c", "core.fsync=none", "-c", "gc.auto=0", "-c", "core.autocrlf=false"])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC0");
    command
}

fn make(args: &[&str], path: &Path) {
    let out = command().args(args).arg(path).output().expect("git can be run");
    assert!(
        out.status.success(),
        "git {} {}: {}",
        args.join(" "),
        path.display(),
        String::from_utf8_lossy(&out.stderr)
    );
}

#[cfg(test)]
mod tests {
    use super::Repo;

    #[test]
    fn the_same_commits_have_the_same_ids() {
        let folder = crate::folder();
        let make = |name: &str| {
            let repo = Repo::init(folder.path().join(name)).by("Ann", "ann@example.org");
            repo.commit(&[("a/b", "text\n")], "First");
            repo.branch("feature", "main");
            repo.commit(&[("c", "more\n")], "Second")
        };
        assert_eq!(make("one"), make("other"));
    }

    #[test]
    fn a_bare_repository_takes_a_push() {
        let folder = crate::folder();
        let official = Repo::init_bare(folder.path().join("official.git"));
        let work = Repo::init(folder.path().join("work"));
        let commit = work.commit(&[("README", "hello\n")], "Begin");
        work.git(&["push", "--quiet", official.url(), "main"]);
        assert_eq!(official.head(), commit);
        assert_eq!(official.log("main"), ["Begin"]);
        assert_eq!(official.files("main"), ["README"]);
        assert_eq!(official.show("main", "README"), "hello\n");
    }
}
