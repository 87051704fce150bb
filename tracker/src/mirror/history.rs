//! What mainline's history holds. A missing object is [`MirrorError::Missing`], never a statement about history.

use super::objects::{commit_id, find_commit, relation, tree_of};
use super::{Mirror, MirrorError, Relation};
use crate::git::{RunError, RunLimits};
use protocol::CommitId;
use std::collections::HashSet;

/// What a move of mainline did with some commits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Moved {
    /// Those that it holds, and is not known to have held before.
    pub came: HashSet<CommitId>,
    /// Those that it does not hold any more.
    pub went: HashSet<CommitId>,
}

impl Mirror {
    /// Which of `wanted` mainline has got, and which it has lost, since it was at `before`: by one walk over what the two
    /// tips don't share, however many are wanted. Where `before` is not known, or can't be walked any more, all that
    /// mainline holds came, and all that it does not hold went.
    ///
    /// # Errors
    /// When mainline's history is not whole in the mirror.
    pub async fn moved(
        &self,
        before: Option<&CommitId>,
        tip: &CommitId,
        wanted: HashSet<CommitId>,
    ) -> Result<Moved, MirrorError> {
        if wanted.is_empty() {
            return Ok(Moved::default());
        }
        let named = |id: &str| id.parse::<CommitId>().ok().filter(|id| wanted.contains(id));
        if let Some(before) = before
            && let Ok(walked) = self.walk(&["--left-right", &format!("{before}...{tip}")]).await
        {
            let mut moved = Moved::default();
            for line in walked.lines() {
                let side = if line.starts_with('<') { &mut moved.went } else { &mut moved.came };
                side.extend(line.get(1..).and_then(named));
            }
            return Ok(moved);
        }
        let walked = self.walk(&[tip.as_str()]).await?;
        let came: HashSet<CommitId> = walked.lines().filter_map(named).collect();
        let went = wanted.difference(&came).cloned().collect();
        Ok(Moved { came, went })
    }

    /// Whether mainline at `tip` holds a commit. One that is not in the mirror it does not hold: all that it holds is here.
    ///
    /// # Errors
    /// When mainline's own history is not whole in the mirror.
    pub async fn holds(&self, tip: &CommitId, commit: &CommitId) -> Result<bool, MirrorError> {
        match self.relation(tip, commit).await {
            Ok(Relation::Same | Relation::Behind) => Ok(true),
            Ok(Relation::Ahead { .. } | Relation::Unrelated) => Ok(false),
            Err(MirrorError::NoCommit { commit: it }) if it == *commit => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What git's walk over commits prints.
    async fn walk(&self, args: &[&str]) -> Result<String, MirrorError> {
        // 42 bytes a commit: more of them than any project has.
        let limits = RunLimits { output_bytes: 1 << 30, ..RunLimits::default() };
        let run = self.git().bounded().repository(self.path()).arg("rev-list").args(args).limits(limits);
        Ok(String::from_utf8_lossy(&run.output().await?.stdout).into_owned())
    }

    /// Whether mainline has the patches of what `revision` is ahead by: that of each of its commits, as after a cherry-pick,
    /// or that of all of them together in one commit, as after a squash by hand. False when it is ahead by none. A
    /// comparison that would take too long is not known to be true.
    ///
    /// # Errors
    /// When one of them is not in the mirror.
    pub async fn has_patches(&self, mainline: &CommitId, revision: &CommitId) -> Result<bool, MirrorError> {
        if self.has_patch_of_each(mainline, revision).await? {
            return Ok(true);
        }
        let (tip, head) = (mainline.clone(), revision.clone());
        let whole = self.with_repository(move |repository| as_one(repository, &tip, &head)).await?;
        match whole {
            Some(whole) => self.has_patch_of_each(mainline, &whole).await,
            None => Ok(false),
        }
    }

    async fn has_patch_of_each(&self, mainline: &CommitId, revision: &CommitId) -> Result<bool, MirrorError> {
        let run =
            self.git().bounded().repository(self.path()).arg("cherry").args([mainline.as_str(), revision.as_str()]);
        match run.output().await {
            Ok(said) => {
                let text = String::from_utf8_lossy(&said.stdout);
                Ok(!text.is_empty() && text.lines().all(|line| line.starts_with("- ")))
            }
            Err(RunError::TimedOut { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A commit that changes what all that `revision` is ahead by changes together; none when that is nothing. No ref holds it.
fn as_one(
    repository: &git2::Repository,
    mainline: &CommitId,
    revision: &CommitId,
) -> Result<Option<CommitId>, MirrorError> {
    let Relation::Ahead { merge_base, .. } = relation(repository, mainline, revision)? else { return Ok(None) };
    let (base, tree) = (find_commit(repository, &merge_base)?, tree_of(repository, revision)?);
    if base.tree_id() == tree.id() {
        return Ok(None);
    }
    let failed = |source| MirrorError::Objects { what: format!("putting the changes of {revision} together"), source };
    // The same each time, so that it is one object however often it is asked for.
    let nobody = git2::Signature::new("bb", "bb", &git2::Time::new(0, 0)).map_err(failed)?;
    let id = repository.commit(None, &nobody, &nobody, "", &tree, &[&base]).map_err(failed)?;
    commit_id(id).map(Some)
}
