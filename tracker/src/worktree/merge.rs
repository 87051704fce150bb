//! A merge by hand in a maintainer's clone: the tree and the message that a candidate of the same revision has.
//!
//! The tree is made by [`crate::candidate`] in a repository of its own that shares the clone's objects, so that nothing in the
//! clone's configuration counts. The commit is the user's: by `git commit`, with the user's name, hooks and signature. What is
//! refused changes no file, index or branch.

use super::git::{fields, path_of};
use super::{WorkTree, WorkTreeError};
use crate::candidate::{Combined, CombinedTree, Ingredients, Message};
use crate::git::{Git, GitNotUsable};
use crate::mirror::{Mirror, MirrorError};
use crate::text::shown;
use jiff::civil::Date;
use protocol::CommitId;
use protocol::api::{ConflictFile, Refusal};
use recipe::{FILE_NAME, Project};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is to be merged.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The name that the message says: a registered branch's, or the ref's.
    pub name: String,
    /// The number of the revision of a registered branch.
    pub revision: Option<u32>,
    /// The commit; the clone has it.
    pub commit: CommitId,
    /// What else the message says.
    pub message: Message,
    /// What the master made its candidate of the revision by, if there is one: then the merge is the same.
    pub candidate: Option<OfMaster>,
}

/// A candidate's message, and what the master's recipe says of ChangeLogs; the recipe may stand in the master's configuration alone.
#[derive(Clone, Debug)]
pub struct OfMaster {
    /// The whole message of its commit.
    pub message: Option<String>,
    /// How it was folded.
    pub project: Option<Project>,
}

impl Incoming {
    /// What people know it by: `hello r2`, or the ref.
    pub fn label(&self) -> String {
        match self.revision {
            Some(number) => format!("{} r{number}", shown(self.name.as_bytes())),
            None => shown(self.name.as_bytes()),
        }
    }
}

/// What becomes of the merged tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MergeThen {
    /// Nothing: only say what would be done.
    DryRun,
    /// It is staged, for the user's own `git commit`.
    Stage,
    /// It is committed.
    Commit,
}

/// Which parents the commit has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MergeStyle {
    /// HEAD and the revision, always.
    Merge,
    /// HEAD alone.
    Squash,
}

/// How to merge.
#[derive(Clone, Copy, Debug)]
pub struct MergeRequest {
    /// The day that the ChangeLog entries get.
    pub date: Date,
    /// What becomes of it.
    pub then: MergeThen,
    /// Which parents.
    pub style: MergeStyle,
}

/// How a merge ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum MergeEnd {
    /// It would be clean.
    WouldMerge,
    /// Index and work tree have it; `git commit` concludes it.
    Staged,
    /// It is committed.
    Committed {
        /// The commit.
        commit: CommitId,
    },
    /// There would be conflicts.
    WouldConflict {
        /// Where.
        files: Vec<ConflictFile>,
    },
    /// git's ordinary merge is in progress, with conflicts.
    Conflict {
        /// Where.
        files: Vec<ConflictFile>,
    },
}

/// What came of a merge.
#[derive(Clone, Debug, Serialize)]
pub struct MergeReport {
    /// What was merged, by its name.
    pub name: String,
    /// The revision's number, of a registered branch.
    pub revision: Option<u32>,
    /// Its commit.
    pub commit: CommitId,
    /// The commit that it was merged into.
    pub head: CommitId,
    /// The merged tree, if there is one.
    pub tree: Option<String>,
    /// The commit's message.
    pub message: String,
    /// The fragments that were folded.
    pub fragments: Vec<String>,
    /// Those that stay until the release.
    pub kept: Vec<String>,
    /// Why the branch needs no entry, where one would be missed.
    pub exempt: Option<String>,
    /// What is worth saying.
    pub notes: Vec<String>,
    /// How it ended.
    pub end: MergeEnd,
}

/// Why nothing was merged. But for [`MergeError::CommitRefused`], nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// The work tree can't be asked, or `git merge` failed for another reason than a conflict.
    #[error(transparent)]
    Tree(#[from] WorkTreeError),
    /// There is no git that can make candidates.
    #[error(transparent)]
    Git(#[from] GitNotUsable),
    /// The tree could not be made.
    #[error("{label} could not be merged: {source}")]
    Objects {
        /// What was to be merged.
        label: String,
        /// Why.
        source: MirrorError,
    },
    /// The repository has ids of another kind.
    #[error("this repository's commits have {0} ids; bb merges those with sha1 ids alone")]
    Format(String),
    /// HEAD names no branch.
    #[error("HEAD is detached: no branch is checked out that could be merged into")]
    Detached,
    /// The branch has no commit.
    #[error("{branch} has no commit yet")]
    Unborn {
        /// The branch.
        branch: String,
    },
    /// Something was begun and not ended.
    #[error("{what} is in progress")]
    InProgress {
        /// `a merge`, `a rebase`.
        what: &'static str,
    },
    /// Tracked files with changes.
    #[error("there are changes that are not committed: {}", .0.join(", "))]
    Dirty(Vec<String>),
    /// A word that stands for several refs.
    #[error("`{word}` could be any of {}", found.join(", "))]
    Ambiguous {
        /// The word.
        word: String,
        /// The refs.
        found: Vec<String>,
    },
    /// A text that is no ref's name.
    #[error("`{0}` can't be the name of a ref")]
    BadRef(String),
    /// It can't be fetched.
    #[error("{name} can't be fetched from {url}: {said}")]
    NotFetched {
        /// From where.
        url: String,
        /// What.
        name: String,
        /// What git said.
        said: String,
    },
    /// Candidates of this revision are refused too.
    #[error("{}", .0.text)]
    Refused(Refusal),
    /// git does not want to replace what is there.
    #[error("the work tree can't be brought to the merged tree: {said}")]
    InTheWay {
        /// What git said.
        said: String,
    },
    /// `git commit`, or a hook, said no.
    #[error("the merge is staged, but `git commit` {how}")]
    CommitRefused {
        /// How it ended.
        how: String,
    },
}

impl MergeError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Tree(error) => error.hint(),
            Self::Git(_) => format!("install git {} or newer, and see that it is on PATH", crate::git::OLDEST_TO_MERGE),
            Self::Objects { .. } => {
                "`git fsck` says whether an object is missing here (a partial clone lacks some: `git fetch --refetch`)"
                    .to_owned()
            }
            Self::Format(_) => "merge with `git merge --no-commit`, then `bb merge-changelog`".to_owned(),
            Self::Detached => "`git switch` to the branch that it shall be merged into".to_owned(),
            Self::Unborn { .. } => "go to a clone of the official repository, on its mainline".to_owned(),
            Self::InProgress { .. } => "conclude it or give it up first; `git status` says how".to_owned(),
            Self::Dirty(_) => "commit them, or `git stash` them, then run this again".to_owned(),
            Self::Ambiguous { .. } => {
                "say the whole name, as in refs/heads/NAME; for the master's branch, add --published".to_owned()
            }
            Self::BadRef(_) => "name a branch, a tag, or refs/…".to_owned(),
            Self::NotFetched { .. } => "`git ls-remote URL` says what can be fetched there".to_owned(),
            Self::Refused(refusal) => refusal.hint.to_string(),
            Self::InTheWay { .. } => "move those files away, then run this again".to_owned(),
            Self::CommitRefused { .. } => {
                "what it said stands above: mend it and `git commit`, or give up with `git reset --merge`".to_owned()
            }
        }
    }
}

/// A work tree that was found ready for a merge.
#[derive(Clone, Debug)]
pub struct MergePlace<'w> {
    tree: &'w WorkTree,
    head: CommitId,
}

impl WorkTree {
    /// Sees that a merge can begin: a branch with a commit, no changes, nothing else in progress.
    ///
    /// # Errors
    /// See [`MergeError`].
    pub fn ready_to_merge(&self) -> Result<MergePlace<'_>, MergeError> {
        let format = text(&self.git.run(&["rev-parse", "--show-object-format"])?);
        if format != "sha1" {
            return Err(MergeError::Format(format));
        }
        let begun = [
            ("MERGE_HEAD", "a merge"),
            ("CHERRY_PICK_HEAD", "a cherry-pick"),
            ("REVERT_HEAD", "a revert"),
            ("rebase-merge", "a rebase"),
            ("rebase-apply", "a rebase"),
        ];
        for (name, what) in begun {
            if self.git_path(name)?.exists() {
                return Err(MergeError::InProgress { what });
            }
        }
        let branch = self.branch_name()?.ok_or(MergeError::Detached)?;
        let head = self.commit_id("HEAD")?.ok_or(MergeError::Unborn { branch })?;
        let status =
            ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=dirty"];
        let status = self.git.run(&status)?;
        let changed: Vec<String> = fields(&status).filter_map(|line| Some(shown(line.get(3..)?))).collect();
        if changed.is_empty() { Ok(MergePlace { tree: self, head }) } else { Err(MergeError::Dirty(changed)) }
    }

    fn git_path(&self, name: &str) -> Result<PathBuf, WorkTreeError> {
        let said = self.git.run(&["rev-parse", "--path-format=absolute", "--git-path", name])?;
        Ok(path_of(said.strip_suffix(b"\n").unwrap_or(&said)))
    }

    fn commit_id(&self, name: &str) -> Result<Option<CommitId>, WorkTreeError> {
        Ok(self.git.commit(name)?.and_then(|id| id.parse().ok()))
    }

    fn unmerged(&self) -> Result<BTreeSet<String>, WorkTreeError> {
        let listed = self.git.run(&["diff", "--name-only", "-z", "--diff-filter=U"])?;
        Ok(fields(&listed).map(shown).collect())
    }
}

impl MergePlace<'_> {
    /// The commit that will be merged into.
    pub fn head(&self) -> &CommitId {
        &self.head
    }

    /// Whether a word is the name of a ref here, not only of a commit.
    ///
    /// # Errors
    /// When git can't be asked.
    pub fn is_ref(&self, word: &str) -> Result<bool, MergeError> {
        Ok(!self.refs_named(word)?.is_empty())
    }

    /// What a word stands for in this clone: a ref, or any other name that git has for a commit.
    ///
    /// # Errors
    /// [`MergeError::Ambiguous`] if several refs have the name, and stand for different commits.
    pub fn local(&self, word: &str) -> Result<Option<Incoming>, MergeError> {
        let refs = self.refs_named(word)?;
        let commits: BTreeSet<&CommitId> = refs.iter().map(|(_, commit)| commit).collect();
        if commits.len() > 1 {
            let found = refs.into_iter().map(|(name, _)| name).collect();
            return Err(MergeError::Ambiguous { word: shown(word.as_bytes()), found });
        }
        let (name, commit) = match refs.into_iter().next() {
            Some((name, commit)) => (short_name(&name), commit),
            None => match self.tree.commit_id(word)? {
                Some(commit) => (word.to_owned(), commit),
                None => return Ok(None),
            },
        };
        Ok(Some(self.unregistered(name, commit)?))
    }

    /// Fetches a ref with the user's git. No ref of the clone is changed by it.
    ///
    /// # Errors
    /// [`MergeError::BadRef`] and [`MergeError::NotFetched`].
    pub fn fetch(&self, url: &str, name: &str) -> Result<Incoming, MergeError> {
        let is_name = self.tree.git.ask(&["check-ref-format", "--allow-onelevel", name])?.is_some();
        if !is_name || name.starts_with(['-', '+']) {
            return Err(MergeError::BadRef(shown(name.as_bytes())));
        }
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--refmap=", "--", url, name];
        let failed = |said| MergeError::NotFetched {
            url: shown(without_secret(url).as_bytes()),
            name: shown(name.as_bytes()),
            said,
        };
        self.tree.git.run(&fetch).map_err(|error| match error {
            WorkTreeError::Git { said, .. } => failed(said),
            other => other.into(),
        })?;
        let commit = self.tree.commit_id("FETCH_HEAD")?.ok_or_else(|| failed("it is no commit".to_owned()))?;
        self.unregistered(short_name(name), commit)
    }

    /// Something that no master knows: its title is that of its first own commit that is no merge.
    fn unregistered(&self, name: String, commit: CommitId) -> Result<Incoming, MergeError> {
        let own = format!("{}..{commit}", self.head);
        let log = ["log", "--reverse", "--topo-order", "--no-merges", "--format=%s", &own, "--"];
        let said = self.tree.git.run(&log)?;
        let title = said.split(|&b| b == b'\n').map(text).find(|title| !title.is_empty()).unwrap_or_default();
        Ok(Incoming { name, revision: None, commit, message: Message { title, ..Message::default() }, candidate: None })
    }

    /// The refs that git would look through for a word, with their commits.
    fn refs_named(&self, word: &str) -> Result<Vec<(String, CommitId)>, MergeError> {
        let names = match word {
            _ if word.starts_with("refs/") => vec![word.to_owned()],
            _ => ["heads", "tags", "remotes"].map(|kind| format!("refs/{kind}/{word}")).to_vec(),
        };
        let mut found = Vec::new();
        for name in names {
            let is_there = self.tree.git.ask(&["show-ref", "--verify", "--quiet", "--", &name])?.is_some();
            if is_there && let Some(commit) = self.tree.commit_id(&name)? {
                found.push((name, commit));
            }
        }
        Ok(found)
    }

    /// Merges.
    ///
    /// # Errors
    /// See [`MergeError`]; conflicts are in the report.
    pub async fn merge(&self, incoming: &Incoming, request: &MergeRequest) -> Result<MergeReport, MergeError> {
        let mut notes = Vec::new();
        let of_master = incoming.candidate.clone();
        let (message, project) = of_master.map_or((None, None), |it| (it.message, it.project));
        let project = match project {
            Some(project) => project,
            None => self.project(&mut notes)?,
        };
        let of = Ingredients {
            label: incoming.label(),
            mainline: self.head.clone(),
            commit: incoming.commit.clone(),
            date: request.date,
            project,
        };
        let message = message.unwrap_or_else(|| incoming.message.text(&incoming.name, incoming.revision));
        let mut report = MergeReport {
            name: incoming.name.clone(),
            revision: incoming.revision,
            commit: incoming.commit.clone(),
            head: self.head.clone(),
            tree: None,
            message,
            fragments: Vec::new(),
            kept: Vec::new(),
            exempt: None,
            notes,
            end: MergeEnd::WouldMerge,
        };
        match self.combine(&of).await? {
            Combined::Refused(refusal) | Combined::MainlineTrouble(refusal) => {
                return Err(MergeError::Refused(refusal));
            }
            Combined::Conflict { files, .. } if request.then == MergeThen::DryRun => {
                report.end = MergeEnd::WouldConflict { files };
            }
            Combined::Conflict { files, .. } => {
                let files = self.begin_by_git(files, &report, request.style)?;
                report.end = MergeEnd::Conflict { files };
            }
            Combined::Made(CombinedTree { tree, told }) => {
                report.tree = Some(tree.to_string());
                report.fragments = told.fragments;
                report.kept = told.kept;
                report.exempt = told.exempt;
                report.notes.extend(told.notes);
                report.end = self.finish(&tree.to_string(), &report, request)?;
            }
        }
        Ok(report)
    }

    /// What HEAD's recipe says of ChangeLogs, which needs no builder; what is wrong there says nothing, on a master too.
    fn project(&self, notes: &mut Vec<String>) -> Result<Project, WorkTreeError> {
        let recipe = self.tree.git.file_at(self.head.as_str(), FILE_NAME)?;
        let read = |path: &str| match path {
            FILE_NAME => recipe.clone(),
            other => self.tree.git.file_at(self.head.as_str(), other).ok()?,
        };
        Ok(Project::read(read).unwrap_or_else(|error| {
            notes.push(format!("{} has an error and does not count: {}", error.file, shown(error.line().as_bytes())));
            Project::default()
        }))
    }

    /// Makes the candidate's tree in a repository of its own, whose objects are the clone's.
    async fn combine(&self, of: &Ingredients) -> Result<Combined, MergeError> {
        let failed = |source| MergeError::Objects { label: of.label.clone(), source };
        let what = || "making a folder for the merge".to_owned();
        let io = |source| failed(MirrorError::Io { what: what(), source });
        let folder = tempfile::tempdir().map_err(io)?;
        let mirror = Mirror::open_beside_a_user(Git::find(None)?, &folder.path().join("merge.git")).await;
        let mirror = mirror.map_err(failed)?;
        let (objects, shallow) = (self.tree.git_path("objects")?, self.tree.git_path("shallow")?);
        let share = || -> std::io::Result<()> {
            let own = mirror.path().join("objects");
            fs::remove_dir_all(&own)?;
            std::os::unix::fs::symlink(&objects, &own)?;
            if shallow.exists() {
                fs::copy(&shallow, mirror.path().join("shallow"))?;
            }
            Ok(())
        };
        share().map_err(io)?;
        mirror.combine(of).await.map_err(failed)
    }

    /// Brings index and work tree to the tree, and commits it or leaves it to `git commit`.
    fn finish(&self, tree: &str, report: &MergeReport, request: &MergeRequest) -> Result<MergeEnd, MergeError> {
        if request.then == MergeThen::DryRun {
            return Ok(MergeEnd::WouldMerge);
        }
        let git = &self.tree.git;
        git.ask(&["update-index", "-q", "--refresh"])?;
        git.run(&["read-tree", "-m", "-u", self.head.as_str(), tree]).map_err(|error| match error {
            WorkTreeError::Git { said, .. } => MergeError::InTheWay { said },
            other => other.into(),
        })?;
        git.run(&["update-ref", "ORIG_HEAD", self.head.as_str()])?;
        match request.style {
            MergeStyle::Merge => {
                self.leave("SQUASH_MSG", None)?;
                self.leave("MERGE_MSG", Some(&report.message))?;
                // Else git would leave HEAD out of the parents when the revision contains it.
                self.leave("MERGE_MODE", Some("no-ff"))?;
                self.leave("MERGE_HEAD", Some(&format!("{}\n", report.commit)))?;
            }
            MergeStyle::Squash => {
                self.leave("MERGE_MSG", None)?;
                self.leave("SQUASH_MSG", Some(&report.message))?;
            }
        }
        if request.then == MergeThen::Stage {
            return Ok(MergeEnd::Staged);
        }
        self.commit()
    }

    /// The user's `git commit`: hooks may print, and a signature's program may ask.
    fn commit(&self) -> Result<MergeEnd, MergeError> {
        let mut command = Command::new("git");
        command.args(["commit", "--quiet", "--no-edit", "--cleanup=whitespace"]).current_dir(&self.tree.top);
        let status = command.stdout(Stdio::null()).status().map_err(WorkTreeError::NoGit)?;
        if !status.success() {
            return Err(MergeError::CommitRefused { how: format!("ended with {status}") });
        }
        match self.tree.commit_id("HEAD")? {
            Some(commit) => Ok(MergeEnd::Committed { commit }),
            None => Err(MergeError::CommitRefused { how: "left no commit".to_owned() }),
        }
    }

    /// The user's plain `git merge`, which stops in the conflict; gives the files, those that git alone sees added.
    fn begin_by_git(
        &self,
        mut files: Vec<ConflictFile>,
        report: &MergeReport,
        style: MergeStyle,
    ) -> Result<Vec<ConflictFile>, MergeError> {
        let (message, commit) = (report.message.trim_end(), report.commit.as_str());
        let begun = match style {
            MergeStyle::Merge => {
                self.tree.git.run(&["merge", "--quiet", "--no-commit", "--no-ff", "--no-log", "-m", message, commit])
            }
            MergeStyle::Squash => self.tree.git.run(&["merge", "--quiet", "--squash", commit]),
        };
        let unmerged = self.tree.unmerged()?;
        if let Err(error) = begun
            && unmerged.is_empty()
        {
            return Err(error.into());
        }
        if style == MergeStyle::Squash {
            self.leave("SQUASH_MSG", Some(&report.message))?;
        }
        for path in unmerged {
            if files.iter().all(|file| file.path != path) {
                files.push(ConflictFile { path, hunks: String::new(), message: String::new() });
            }
        }
        Ok(files)
    }

    /// Writes or removes a file of git's own.
    fn leave(&self, name: &str, text: Option<&str>) -> Result<(), WorkTreeError> {
        let path = self.tree.git_path(name)?;
        match text {
            Some(text) => write(&path, text),
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(WorkTreeError::file(path)(error)),
                _ => Ok(()),
            },
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), WorkTreeError> {
    fs::write(path, text).map_err(WorkTreeError::file(path))
}

fn text(said: &[u8]) -> String {
    String::from_utf8_lossy(said).trim().to_owned()
}

/// A ref's name as people say it, without the remote that it was fetched from.
fn short_name(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("refs/remotes/") {
        return rest.split_once('/').map_or(rest, |(_, branch)| branch).to_owned();
    }
    ["refs/heads/", "refs/tags/"].iter().find_map(|kind| name.strip_prefix(kind)).unwrap_or(name).to_owned()
}

/// A URL without what stands before its `@`, which may be a password.
fn without_secret(url: &str) -> String {
    match url.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('/').unwrap_or((rest, "")))) {
        Some((scheme, (place, path))) => {
            let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => url.to_owned(),
    }
}
