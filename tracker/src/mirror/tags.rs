//! The official repository's tags: they come with mainline, and builds see them. Nobody else's are ever fetched.

use super::{Mirror, MirrorError};
use crate::blocking::blocking;
use crate::git::{RunError, RunLimits};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

/// What fetches them, as they are there now.
pub(super) const ALL: &str = "+refs/tags/*:refs/tags/*";

/// More than any project has that means them for people. Each look at mainline asks for them all, and so does each slave.
const MOST: usize = if cfg!(test) { 5 } else { 50_000 };

/// There while they are not fetched, as there are more than that; gone at the next start.
const TOO_MANY: &str = "tags.too-many";

/// The folders of tags, and when something last came into each or went from it.
pub(super) type TagFolders = BTreeMap<PathBuf, SystemTime>;

impl Mirror {
    /// The folders that tags are in now.
    pub(super) async fn tag_folders(&self) -> TagFolders {
        let mirror = self.path().to_owned();
        blocking(move || {
            let (mut all, mut left) = (TagFolders::new(), vec![mirror.join("refs/tags")]);
            while let Some(folder) = left.pop() {
                let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
                left.extend(entries.filter(|it| it.file_type().is_ok_and(|of| of.is_dir())).map(|it| it.path()));
                if let Ok(changed) = folder.metadata().and_then(|of| of.modified()) {
                    all.insert(folder, changed);
                }
            }
            all
        })
        .await
    }

    /// One name, of no tag in particular, in each folder in which tags changed since; what is to be made durable.
    pub(super) async fn new_tags_since(&self, before: TagFolders) -> Vec<String> {
        let now = self.tag_folders().await;
        let changed = now.into_iter().filter(|(folder, at)| before.get(folder) != Some(at));
        let names = changed.filter_map(|(folder, _)| Some(folder.strip_prefix(self.path()).ok()?.join("any")));
        names.filter_map(|name| name.into_os_string().into_string().ok()).collect()
    }

    /// Whether there are more of them than bb takes, as far as was seen since the start.
    pub(super) async fn has_too_many_tags(&self) -> bool {
        let file = self.path().join(TOO_MANY);
        blocking(move || file.exists()).await
    }

    /// Lets go of all of them when there are too many: some of them would make a wrong version.
    pub(super) async fn bound_tags(&self) -> Result<(), MirrorError> {
        let names = self.with_repository(|repository| {
            let failed = |source| MirrorError::Objects { what: "reading all tags".to_owned(), source };
            let mut names = Vec::new();
            for tag in repository.references_glob("refs/tags/*").map_err(failed)? {
                names.push(tag.map_err(failed)?.name_bytes().to_vec());
            }
            Ok::<_, MirrorError>(names)
        });
        let names = names.await?;
        if names.len() <= MOST {
            return Ok(());
        }
        tracing::warn!("the official repository has {} tags; builds see none, as {MOST} are the most", names.len());
        let file = self.path().join(TOO_MANY);
        let io = |source| MirrorError::Io { what: format!("writing {TOO_MANY} of the mirror"), source };
        blocking(move || std::fs::write(file, "The official repository has too many tags.\n")).await.map_err(io)?;
        let run = self
            .git()
            .bounded()
            .repository(self.path())
            .args(["update-ref", "--stdin", "-z"])
            .writing_refs(&self.ref_writers());
        let mut running = run.limits(RunLimits::default()).start(true)?;
        let lines: Vec<u8> = names.iter().flat_map(|name| [b"delete ", &name[..], b"\0\0"].concat()).collect();
        running.feed(&lines).await?;
        let (what, after) = ("git update-ref", RunLimits::default().wall);
        match tokio::time::timeout(after, running.finish()).await {
            Ok(Ok((Some(0), _, _))) => Ok(()),
            Ok(Ok(_)) => Err(MirrorError::Answer { what }),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(RunError::TimedOut { what: what.to_owned(), after }.into()),
        }
    }
}

/// Has them looked at anew.
pub(super) fn forget_that_they_are_many(mirror: &std::path::Path) {
    let _ = std::fs::remove_file(mirror.join(TOO_MANY));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::git::Git;
    use crate::mirror::OfficialUrl;
    use crate::source::BranchRef;
    use std::path::Path;

    fn git(at: &Path, args: &[&str]) -> String {
        let mut command = std::process::Command::new("git");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.org");
        }
        let said = command.arg("-C").arg(at).args(args).output().unwrap();
        assert!(said.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    }

    #[tokio::test]
    async fn more_tags_than_are_taken_are_none_until_the_next_start() {
        let temp = tempfile::tempdir().unwrap();
        let official = temp.path().join("official");
        git(temp.path(), &["init", "-q", "-b", "main", "official"]);
        git(&official, &["commit", "-q", "--allow-empty", "-m", "First"]);
        let tag = |n: usize| git(&official, &["tag", &format!("v{n}")]);
        (0..MOST).map(tag).for_each(drop);
        let open = async || Mirror::open_or_create(Git::find(None).unwrap(), &temp.path().join("m.git")).await.unwrap();
        let url = OfficialUrl::new(official.to_str().unwrap()).unwrap();
        let branch: BranchRef = "main".parse().unwrap();
        let look = async |mirror: &Mirror| {
            mirror.update_mainline(&url, &branch).await.unwrap();
            git(mirror.path(), &["tag", "-l"]).lines().count()
        };
        let mirror = open().await;
        assert_eq!(look(&mirror).await, MOST);
        tag(MOST);
        assert_eq!(look(&mirror).await, 0, "not some of them");
        git(&official, &["tag", "-d", "v1"]);
        assert_eq!(look(&mirror).await, 0, "they are not asked for again and again");
        let mirror = open().await;
        assert_eq!(look(&mirror).await, MOST);
    }
}
