//! Who writes refs in a repository of bb's, and the locks that such a writer left when it was killed: a ref that has one can't be
//! written by anybody.
//!
//! How old a lock is tells little: a killed master is started again within a second, and a git that it had started may live on. So every
//! writer holds a share of one lock of the kernel's, which is let go with the last process that has it. Whoever gets that lock alone
//! knows that nobody writes: then all locks of refs are left ones.

use super::Git;
use rustix::fs::FlockOperation;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Refs are locked for milliseconds; only packing a great many takes a second or two. Whoever held one this long is dead.
const STALE: Duration = Duration::from_secs(60);

/// The writers of the refs of one repository.
#[derive(Clone, Debug)]
pub(crate) struct RefWriters {
    repository: PathBuf,
    /// Whether git's processes can hold their share.
    all_hold: bool,
}

/// A share of a writer in this process.
pub(crate) struct Share(#[expect(dead_code, reason = "held")] File);

impl RefWriters {
    pub(crate) fn of(git: &Git, repository: &Path) -> Self {
        Self { repository: repository.to_owned(), all_hold: git.flock().is_some() }
    }

    /// The file that they hold their shares of.
    pub(crate) fn lock(&self) -> PathBuf {
        self.repository.join("bb-refs.lock")
    }

    /// A share, for as long as it is kept. Blocks, for no longer than it takes to remove locks.
    ///
    /// # Errors
    /// When the file can't be made or locked.
    pub(crate) fn share(&self) -> std::io::Result<Share> {
        self.locked(FlockOperation::LockShared)
    }

    /// Removes the locks that killed processes left, of refs, of the packed refs and of HEAD: all that are there if nobody writes, else
    /// those that are too old to be anybody's. Done where a repository is opened, and whenever writing a ref failed: so the next one
    /// finds none.
    pub(crate) fn remove_left(&self) {
        let alone = self.all_hold.then(|| self.locked(FlockOperation::NonBlockingLockExclusive).ok()).flatten();
        let older_than = if alone.is_some() { Duration::ZERO } else { STALE };
        for name in ["packed-refs.lock", "HEAD.lock"] {
            remove_if_older(&self.repository.join(name), older_than);
        }
        let mut folders = vec![self.repository.join("refs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "lock") {
                    remove_if_older(&path, older_than);
                }
            }
        }
    }

    fn locked(&self, operation: FlockOperation) -> std::io::Result<Share> {
        let file = File::options().create(true).append(true).open(self.lock())?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation))?;
        Ok(Share(file))
    }
}

/// Removes what a killed process left, if it was written longer ago than this.
pub(crate) fn remove_if_older(path: &Path, than: Duration) {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return };
    let Ok(written) = meta.modified() else { return };
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    let removed =
        age >= than && if meta.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.is_ok();
    if removed {
        tracing::warn!(path = %path.display(), "removed what a process left that was killed");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn repository(temp: &tempfile::TempDir) -> (Git, PathBuf) {
        let path = temp.path().join("x.git");
        git2::Repository::init_bare(&path).unwrap();
        std::fs::create_dir_all(path.join("refs/branches/ann")).unwrap();
        (Git::find(None).unwrap(), path)
    }

    fn leave(at: &Path, age: Duration) {
        File::create(at).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn all_locks_go_when_nobody_writes_and_refs_stay() {
        let temp = tempfile::tempdir().unwrap();
        let (git, path) = repository(&temp);
        for name in ["packed-refs.lock", "HEAD.lock", "refs/branches/ann/r1.lock", "refs/branches/ann/r1"] {
            leave(&path.join(name), Duration::ZERO);
        }
        RefWriters::of(&git, &path).remove_left();
        assert!(!path.join("packed-refs.lock").exists() && !path.join("HEAD.lock").exists());
        assert!(!path.join("refs/branches/ann/r1.lock").exists() && path.join("refs/branches/ann/r1").exists());
    }

    #[test]
    fn beside_a_writer_of_this_process_only_old_ones_go() {
        let temp = tempfile::tempdir().unwrap();
        let (git, path) = repository(&temp);
        let (old, new) = (path.join("refs/branches/ann/r1.lock"), path.join("refs/branches/ann/r2.lock"));
        leave(&old, Duration::from_secs(3600));
        leave(&new, Duration::ZERO);
        let writers = RefWriters::of(&git, &path);
        let share = writers.share().unwrap();
        writers.remove_left();
        assert!(!old.exists() && new.exists());
        drop(share);
        writers.remove_left();
        assert!(!new.exists());
    }

    #[test]
    fn where_git_can_not_hold_its_share_only_old_ones_go() {
        let temp = tempfile::tempdir().unwrap();
        let (_, path) = repository(&temp);
        let new = path.join("refs/branches/ann/r2.lock");
        leave(&new, Duration::ZERO);
        RefWriters { repository: path.clone(), all_hold: false }.remove_left();
        assert!(new.exists());
    }

    #[tokio::test]
    async fn a_git_that_writes_refs_holds_its_share_until_it_has_ended() {
        let temp = tempfile::tempdir().unwrap();
        let (git, path) = repository(&temp);
        let writers = RefWriters::of(&git, &path);
        let run = git.bounded().repository(&path).writing_refs(&writers).args(["update-ref", "--stdin"]);
        let mut running = run.start(true).unwrap();
        // It answers when it has begun; then it waits for more.
        let mut answer = running.stdout.take().unwrap();
        let stdin = running.stdin.as_mut().unwrap();
        tokio::io::AsyncWriteExt::write_all(stdin, b"start\n").await.unwrap();
        let mut said = [0; 9];
        tokio::io::AsyncReadExt::read_exact(&mut answer, &mut said).await.unwrap();
        assert_eq!(&said, b"start: ok");
        let new = path.join("refs/branches/ann/r2.lock");
        leave(&new, Duration::ZERO);
        writers.remove_left();
        assert!(new.exists(), "somebody writes");
        running.finish().await.unwrap();
        writers.remove_left();
        assert!(!new.exists());
    }
}
