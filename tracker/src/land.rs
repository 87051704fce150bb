//! Landing: what was tested is pushed to the official repository, if mainline is still where the test stood.

use crate::Explain;
use crate::blocking::blocking;
use crate::candidate::{CandidateRequest, expected_commit, places_of};
use crate::git::RunError;
use crate::git::told::in_one_line;
use crate::mirror::{
    Mirror, MirrorError, OfficialError, OfficialUrl, Relation, commit_id, find_commit, official_error, official_limits,
    with_other_side,
};
use crate::source::BranchRef;
use crate::text::shown;
use git2::{Delta, Repository};
use protocol::{CommitId, Hint};
use recipe::Project;
use rustix::fs::FlockOperation;
use std::path::{Path, PathBuf};

/// A candidate and what it was made by; what it is checked against before it lands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// What it was made by.
    pub request: CandidateRequest,
    /// The commit that was made and tested.
    pub commit: CommitId,
}

/// Mainline has the commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Landed {
    /// What landed.
    pub commit: CommitId,
}

/// Nothing landed, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum LandError {
    /// Mainline is not where the candidate stands on.
    #[error("mainline of {url} moved to {}", now.as_ref().map_or("nowhere: the branch is gone".to_owned(), ToString::to_string))]
    Moved {
        /// The official repository.
        url: String,
        /// Where it is.
        now: Option<CommitId>,
    },
    /// The official repository does not take it.
    #[error("{url} refused the push: {words}")]
    Refused {
        /// The official repository.
        url: String,
        /// What it says.
        words: String,
    },
    /// The candidate is not what its request gives.
    #[error("the candidate {commit} was not pushed: {why}")]
    Check {
        /// The candidate.
        commit: CommitId,
        /// What is wrong with it.
        why: String,
    },
    /// The official repository can't be reached; whether the push got there must be asked: [`Mirror::where_is`].
    #[error(transparent)]
    Unreachable(#[from] OfficialError),
    /// The mirror is at fault: the candidate could not be checked, and nothing was pushed.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
}

impl Explain for LandError {
    fn code(&self) -> &'static str {
        match self {
            Self::Moved { .. } => "mainline-moved",
            Self::Refused { .. } => "push-refused",
            Self::Check { .. } => "landing-check",
            Self::Unreachable(error) => error.code(),
            Self::Mirror(error) => error.code(),
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Moved { .. } => Hint::by_bb("makes the candidate anew on the new mainline and tests it again"),
            Self::Refused { .. } => Hint::by_admin(
                "mends what the official repository complains of (its hooks, rights, or changes in its work tree); then bb tries again",
            ),
            Self::Check { .. } => Hint::by_admin("reports this to the makers of bb; the branch is tested again"),
            Self::Unreachable(error) => error.hint(),
            Self::Mirror(error) => error.hint(),
        }
    }
}

impl Mirror {
    /// Pushes the last step's commit to mainline, if mainline is at `expected`. Each step stands on the one before it,
    /// the first on `expected`; each is made anew, by the settings of the tree below it as it is read then, and compared
    /// first. Never forced.
    ///
    /// # Errors
    /// See [`LandError`]. After [`LandError::Unreachable`] or a crash, [`Mirror::where_is`] tells whether it landed.
    pub async fn land(
        &self,
        url: &OfficialUrl,
        branch: &BranchRef,
        expected: &CommitId,
        steps: &[Step],
    ) -> Result<Landed, LandError> {
        let top = self.check_steps(expected, steps).await?;
        self.push(url, branch, expected, top).await
    }

    /// All that [`Mirror::land`] does before the push, and whether all that a push reads can be read.
    ///
    /// # Errors
    /// As [`Mirror::land`] would say, as far as that is seen without a push.
    pub async fn could_land(&self, expected: &CommitId, steps: &[Step]) -> Result<(), LandError> {
        let top = self.check_steps(expected, steps).await?;
        match self.own_fault(expected, top).await? {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    async fn check_steps<'s>(&self, expected: &'s CommitId, steps: &'s [Step]) -> Result<&'s CommitId, LandError> {
        let mut below = expected;
        for step in steps {
            self.check_step(step, below).await?;
            below = &step.commit;
        }
        if steps.is_empty() {
            return Err(LandError::Check { commit: expected.clone(), why: "there is nothing to land".to_owned() });
        }
        Ok(below)
    }

    /// Whether a push of this mirror is under way, also one of a master that was killed meanwhile: its processes hold a
    /// lock until the last of them, and a hook of an official repository on this machine, has ended.
    pub async fn is_pushing(&self) -> bool {
        let path = self.push_lock();
        blocking(move || {
            let Ok(file) = std::fs::File::open(&path) else { return false };
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
        })
        .await
    }

    fn push_lock(&self) -> PathBuf {
        self.path().join("bb-push.lock")
    }

    async fn check_step(&self, step: &Step, below: &CommitId) -> Result<(), LandError> {
        let failed = |why: &str| LandError::Check { commit: step.commit.clone(), why: why.to_owned() };
        if step.request.mainline != *below {
            return Err(failed("it does not stand on what lands before it"));
        }
        if expected_commit(self, &step.request).await?.as_ref() != Some(&step.commit) {
            return Err(failed("made anew it is another commit"));
        }
        let Ok(project) = self.settings_at(below, step.request.otherwise.clone()).await? else {
            return Err(failed("the settings of what it stands on can't be read"));
        };
        let (step, commit) = (step.clone(), step.commit.clone());
        let reverted = self.with_repository(move |repository| reverted_path(repository, &step, &project)).await?;
        match reverted {
            Some(path) => {
                Err(LandError::Check { commit, why: format!("it changes `{path}`, which the revision did not touch") })
            }
            None => Ok(()),
        }
    }

    async fn push(
        &self,
        url: &OfficialUrl,
        branch: &BranchRef,
        expected: &CommitId,
        new: &CommitId,
    ) -> Result<Landed, LandError> {
        let name = branch.full();
        let run =
            self.git().as_admin().repository(self.path()).config("push.followTags=false").config("push.gpgSign=false");
        let run = run.config("push.recurseSubmodules=no").args(["push", "--porcelain", "--no-verify"]);
        let run = with_other_side(run, url.other_side("--receive-pack=", self.git().program(), "receive-pack"));
        let run = run.arg(format!("--force-with-lease={name}:{expected}"));
        let run = run.arg("--").unnamed_arg(url.reveal(), &url.to_string()).arg(format!("{new}:{name}"));
        let run = run.holding(self.push_lock());
        let failed = match run.limits(official_limits()).output_if(|exit| exit <= 1).await {
            Ok(said) if said.exit == 0 => return Ok(Landed { commit: new.clone() }),
            Ok(said) => {
                let report = String::from_utf8_lossy(&said.stdout);
                if is_refusal(&report) {
                    LandError::Refused { url: url.to_string(), words: refusal(&report, &said.stderr) }
                } else {
                    // A gateway that gave up, a connection that broke: the other side may be at it still.
                    let what = "git push".to_owned();
                    let error = RunError::Failed { what, exit: Some(said.exit), signal: None, stderr: said.stderr };
                    LandError::Unreachable(official_error(url, branch, error))
                }
            }
            Err(error) => self.push_error(url, branch, error),
        };
        // Its own refs say more surely than its words whether somebody else was there first, or it landed after all.
        match self.where_is(url, branch).await {
            Ok(Some(now)) if now == *expected => Err(self.or_own_fault(expected, new, failed).await?),
            Ok(Some(now)) if now == *new || self.landed_before(url, branch, new).await? => {
                Ok(Landed { commit: new.clone() })
            }
            Ok(now) => Err(LandError::Moved { url: url.to_string(), now }),
            Err(_) => Err(failed),
        }
    }

    /// Why nothing came of a push: where something of the commit is not in the mirror, git here ends in the middle of it, and the
    /// other side calls that a refusal as well.
    async fn or_own_fault(
        &self,
        expected: &CommitId,
        new: &CommitId,
        failed: LandError,
    ) -> Result<LandError, LandError> {
        let is_refused = matches!(failed, LandError::Refused { .. });
        let fault = if is_refused { self.own_fault(expected, new).await? } else { None };
        Ok(fault.map_or(failed, LandError::from))
    }

    /// What a push of a commit could not read.
    async fn own_fault(&self, expected: &CommitId, new: &CommitId) -> Result<Option<MirrorError>, MirrorError> {
        let text = if !self.connected([new], Some(expected)).await? {
            "something of it is not there"
        } else if self.lacks_since(expected, new).await?.is_some() {
            // git's walk reads names alone.
            "something of it can't be read"
        } else {
            return Ok(None);
        };
        let source = git2::Error::new(git2::ErrorCode::NotFound, git2::ErrorClass::Odb, text);
        Ok(Some(MirrorError::Missing { what: format!("pushing {}", new.short()), source }))
    }

    /// Whether mainline has gone on from a commit that landed without our hearing of it.
    async fn landed_before(&self, url: &OfficialUrl, branch: &BranchRef, new: &CommitId) -> Result<bool, LandError> {
        let now = self.update_mainline(url, branch).await?;
        // It was pushed: what the mirror does not tell of it is not known.
        let relation = self.relation(&now, new).await.map_err(OfficialError::Mirror)?;
        Ok(matches!(relation, Relation::Same | Relation::Behind))
    }

    fn push_error(&self, url: &OfficialUrl, branch: &BranchRef, error: RunError) -> LandError {
        let said = error.stderr();
        if said.contains("remote: ") && !said.contains("hung up") {
            return LandError::Refused { url: url.to_string(), words: refusal("", said) };
        }
        official_error(url, branch, error).into()
    }
}

/// Whether a push's own report says that the other side, or git here by what it heard of it, did not take the ref. Git ends
/// alike when the connection broke in the middle, and says so of the ref or says nothing of it.
fn is_refusal(report: &str) -> bool {
    let of_refs = report.lines().filter(|line| line.starts_with("!\t"));
    let mut refused = of_refs.filter(|line| line.contains("[remote rejected]") || line.contains("[rejected]"));
    refused.next().is_some()
}

/// The words of a refusal, a line each: the reason in the push's own report, and what the other side printed.
fn refusal(report: &str, stderr: &str) -> String {
    let mut words: Vec<String> = report
        .lines()
        .filter_map(|line| line.strip_prefix("!\t")?.split_once('\t'))
        .map(|(_, reason)| shown(reason.as_bytes()))
        .collect();
    let of_remote = stderr.lines().filter_map(|line| line.strip_prefix("remote: ")).map(|line| line.trim().to_owned());
    words.extend(of_remote.filter(|line| !line.is_empty()));
    if words.is_empty() { in_one_line(stderr) } else { words.join("\n") }
}

/// A path that the candidate changes though the revision does not: told by libgit2 alone, another way than the merge.
fn reverted_path(repository: &Repository, step: &Step, project: &Project) -> Result<Option<String>, MirrorError> {
    let failed = |source| MirrorError::Objects { what: format!("checking {}", step.commit), source };
    let new = find_commit(repository, &step.commit)?;
    let mainline = find_commit(repository, &step.request.mainline)?;
    let revision = find_commit(repository, &step.request.commit)?;
    let parents: Vec<git2::Oid> = new.parent_ids().collect();
    if parents != [mainline.id(), revision.id()] {
        return Ok(Some(format!("its parents, {}", commit_id(new.id())?)));
    }
    let mut bases = Vec::new();
    for base in repository.merge_bases(mainline.id(), revision.id()).map_err(failed)?.iter() {
        bases.push(repository.find_commit(*base).and_then(|commit| commit.tree()).map_err(failed)?);
    }
    let trees = [&mainline, &new, &revision].map(|commit| commit.tree());
    let [Ok(main_tree), Ok(new_tree), Ok(revision_tree)] = trees else {
        return Err(MirrorError::NoCommit { commit: step.commit.clone() });
    };
    let places = places_of(project, &main_tree, &revision_tree);
    let at = |tree: &git2::Tree<'_>, path: &Path| tree.get_path(path).ok().map(|e| (e.id(), e.filemode()));
    let mut options = git2::DiffOptions::new();
    options.ignore_submodules(false).include_typechange(true).skip_binary_check(true);
    let diff = repository.diff_tree_to_tree(Some(&main_tree), Some(&new_tree), Some(&mut options)).map_err(failed)?;
    for delta in diff.deltas().filter(|delta| delta.status() != Delta::Added) {
        let Some(path) = delta.old_file().path() else { continue };
        let theirs = at(&revision_tree, path);
        let is_changelog = places.iter().any(|place| path == Path::new(&place.path));
        // Where neither side had it, a file was renamed: to compare that is the merge's own art.
        let untouched = bases.iter().all(|base| at(base, path) == theirs) && !bases.is_empty();
        let renamed = theirs.is_none() && delta.status() != Delta::Deleted;
        if untouched && !renamed && !is_changelog {
            return Ok(Some(shown(path.to_string_lossy().as_bytes())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::candidate::{Identity, Message};

    #[test]
    fn a_refusal_is_told_in_the_remote_s_words() {
        let report = "To /srv/r.git\n!\tabc:refs/heads/main\t[remote rejected] (pre-receive hook declined)\nDone\n";
        let said = refusal(report, "remote: no pushes on Friday   \nerror: failed to push some refs");
        assert_eq!(said, "[remote rejected] (pre-receive hook declined)\nno pushes on Friday");
        assert_eq!(refusal("", "fatal: x\n\nadvice\n"), "x");
    }

    /// A commit of these files.
    fn commit(repository: &Repository, parents: &[git2::Oid], files: &[(&str, &str)]) -> git2::Oid {
        let mut tree = repository.treebuilder(None).unwrap();
        for (name, text) in files {
            tree.insert(*name, repository.blob(text.as_bytes()).unwrap(), 0o100_644).unwrap();
        }
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let parents: Vec<_> = parents.iter().map(|id| repository.find_commit(*id).unwrap()).collect();
        let who = git2::Signature::new("A", "a@x", &git2::Time::new(1, 0)).unwrap();
        repository.commit(None, &who, &who, "x", &tree, &parents.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_merge_that_takes_mainline_s_work_back_is_found_whatever_merged_it() {
        let temp = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(temp.path()).unwrap();
        let base = commit(&repository, &[], &[("a", "1"), ("b", "1"), ("ChangeLog", "1")]);
        let mainline = commit(&repository, &[base], &[("a", "2"), ("b", "1"), ("c", "1"), ("ChangeLog", "2")]);
        let revision = commit(&repository, &[base], &[("a", "1"), ("b", "2"), ("ChangeLog", "1")]);
        let check = |parents: &[git2::Oid], files: &[(&str, &str)]| {
            let id = |id: git2::Oid| id.to_string().parse::<CommitId>().unwrap();
            let request = CandidateRequest {
                branch: "x".parse().unwrap(),
                revision: 1,
                mainline: id(mainline),
                commit: id(revision),
                date: jiff::civil::date(2024, 3, 5),
                otherwise: None,
                message: Message::default(),
                committer: Identity { name: "bb".to_owned(), email: "bb@x".to_owned() },
                when: 1,
            };
            let commit = id(commit(&repository, parents, files));
            reverted_path(&repository, &Step { request, commit }, &Project::default()).unwrap()
        };
        let both = [mainline, revision];
        assert_eq!(check(&both, &[("a", "2"), ("b", "2"), ("c", "1"), ("ChangeLog", "3")]), None);
        assert_eq!(check(&both, &[("a", "1"), ("b", "2"), ("c", "1"), ("ChangeLog", "3")]).as_deref(), Some("a"));
        assert_eq!(check(&both, &[("a", "2"), ("b", "2"), ("ChangeLog", "3")]).as_deref(), Some("c"));
        assert!(check(&[revision, mainline], &[("a", "2"), ("b", "2"), ("c", "1")]).is_some());
    }

    #[test]
    fn only_what_the_other_side_says_of_the_ref_is_a_refusal() {
        let line = |how: &str| format!("To http://127.0.0.1/r.git\n!\tabc:refs/heads/main\t{how}\nDone\n");
        assert!(is_refusal(&line("[remote rejected] (pre-receive hook declined)")));
        assert!(is_refusal(&line("[rejected] (stale info)")));
        // As git says it when a gateway answers 504 or the connection breaks while the other side's hook still runs.
        assert!(!is_refusal(&line("[remote failure] (remote failed to report status)")));
        assert!(!is_refusal("To http://127.0.0.1/r.git\nDone\n"));
        assert!(!is_refusal(""));
    }
}
