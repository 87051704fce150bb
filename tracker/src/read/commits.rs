//! Commits as people read them.

use crate::mirror::{Mirror, MirrorError, commit_id, find_commit, tree_of};
use crate::text::Budget;
use git2::Repository;
use protocol::api::Commit;
use protocol::{CommitId, UnixMs};

/// Commits that a revision has and mainline lacks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Commits {
    /// The newest ones, newest first by the order of history.
    pub newest: Vec<Commit>,
    /// How many there are.
    pub count: u32,
}

/// Whom a commit names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Who {
    /// Its author.
    pub author: String,
    /// Who committed it.
    pub committer: String,
}

/// Commits whose trailers are read, and how much of them.
const TRAILERS_OF: usize = 1000;
const MAX_TRAILERS: usize = 100;
const MAX_TRAILER: usize = 400;

/// Longest message that is shown, in characters.
const MAX_BODY: usize = 20_000;
/// Bytes of a list of commits.
const MAX_LIST: usize = 1 << 20;
/// Bytes of one commit.
const MAX_COMMIT: usize = 128 << 10;

impl Mirror {
    /// The commits that `revision` has and `mainline` lacks, at most `limit` of them told, and no more than a page has room for.
    ///
    /// # Errors
    /// When one of them is not in the mirror.
    pub async fn commits_between(
        &self,
        mainline: &CommitId,
        revision: &CommitId,
        limit: usize,
    ) -> Result<Commits, MirrorError> {
        let (mainline, revision) = (mainline.clone(), revision.clone());
        self.with_repository(move |repository| between(repository, &mainline, &revision, limit)).await
    }

    /// One commit.
    ///
    /// # Errors
    /// When it is not in the mirror.
    pub async fn commit(&self, commit: &CommitId) -> Result<Commit, MirrorError> {
        let commit = commit.clone();
        self.with_repository(move |repository| told(&find_commit(repository, &commit)?, &mut Budget::of(MAX_COMMIT)))
            .await
    }

    /// Whom a commit names.
    ///
    /// # Errors
    /// When it is not in the mirror.
    pub async fn who(&self, commit: &CommitId) -> Result<Who, MirrorError> {
        let commit = commit.clone();
        self.with_repository(move |repository| {
            let commit = find_commit(repository, &commit)?;
            let mut budget = Budget::of(MAX_COMMIT);
            let mut name = |it: git2::Signature<'_>| budget.line(it.name_bytes().trim_ascii(), 200);
            Ok(Who { author: name(commit.author()), committer: name(commit.committer()) })
        })
        .await
    }

    /// What the commits that `revision` has and `mainline` lacks say in trailers of this name, oldest commit first: of at most 1000
    /// commits at most 100 values, each one line. The name's case does not matter.
    ///
    /// # Errors
    /// When one of them is not in the mirror.
    pub async fn trailers(
        &self,
        mainline: &CommitId,
        revision: &CommitId,
        name: &'static str,
    ) -> Result<Vec<String>, MirrorError> {
        let (mainline, revision) = (mainline.clone(), revision.clone());
        self.with_repository(move |repository| trailers(repository, &mainline, &revision, name)).await
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// When it is not in the mirror.
    pub async fn tree_id(&self, commit: &CommitId) -> Result<CommitId, MirrorError> {
        let commit = commit.clone();
        self.with_repository(move |repository| commit_id(tree_of(repository, &commit)?.id())).await
    }

    /// When a commit was made, in seconds, as it says itself.
    ///
    /// # Errors
    /// When it is not in the mirror.
    pub async fn made_at(&self, commit: &CommitId) -> Result<i64, MirrorError> {
        let commit = commit.clone();
        self.with_repository(move |repository| Ok(find_commit(repository, &commit)?.time().seconds())).await
    }
}

/// See [`Mirror::commits_between`].
fn trailers(
    repository: &Repository,
    mainline: &CommitId,
    revision: &CommitId,
    name: &str,
) -> Result<Vec<String>, MirrorError> {
    let failed = |source| MirrorError::Objects { what: "reading what commits say in trailers".to_owned(), source };
    let mut walk = repository.revwalk().map_err(failed)?;
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::REVERSE).map_err(failed)?;
    walk.push(find_commit(repository, revision)?.id()).map_err(failed)?;
    walk.hide(find_commit(repository, mainline)?.id()).map_err(failed)?;
    let mut values = Vec::new();
    for id in walk.take(TRAILERS_OF) {
        let commit = repository.find_commit(id.map_err(failed)?).map_err(failed)?;
        // What libgit2 can't take apart says nothing.
        let Ok(said) = git2::message_trailers_bytes(commit.message_bytes()) else { continue };
        let named = said.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
        for (_, value) in named {
            if values.len() < MAX_TRAILERS {
                values.push(Budget::of(MAX_TRAILER).line(value.trim_ascii(), MAX_TRAILER));
            }
        }
    }
    Ok(values)
}

pub(super) fn between(
    repository: &Repository,
    mainline: &CommitId,
    revision: &CommitId,
    limit: usize,
) -> Result<Commits, MirrorError> {
    let failed = |source| MirrorError::of_objects(format!("listing the commits of {revision}"), source);
    let (from, to) = (find_commit(repository, mainline)?.id(), find_commit(repository, revision)?.id());
    let mut walk = repository.revwalk().map_err(failed)?;
    walk.set_sorting(git2::Sort::TOPOLOGICAL).map_err(failed)?;
    walk.push(to).map_err(failed)?;
    walk.hide(from).map_err(failed)?;
    let mut commits = Commits { newest: Vec::new(), count: 0 };
    let mut budget = Budget::of(MAX_LIST);
    for id in walk {
        let id = id.map_err(failed)?;
        commits.count = commits.count.saturating_add(1);
        if commits.newest.len() < limit && !budget.is_spent() {
            commits.newest.push(told(&repository.find_commit(id).map_err(failed)?, &mut budget)?);
        }
    }
    Ok(commits)
}

/// The newest commits of a revision's own line, whose count is known to be beyond what is looked through for a page: no
/// commit is read that is not told.
pub(super) fn newest(repository: &Repository, revision: &CommitId, limit: usize) -> Result<Vec<Commit>, MirrorError> {
    let failed = |source| MirrorError::of_objects(format!("listing the commits of {revision}"), source);
    let mut walk = repository.revwalk().map_err(failed)?;
    walk.simplify_first_parent().map_err(failed)?;
    walk.push(find_commit(repository, revision)?.id()).map_err(failed)?;
    let mut budget = Budget::of(MAX_LIST);
    let mut commits = Vec::new();
    for id in walk.take(limit) {
        if budget.is_spent() {
            break;
        }
        let commit = repository.find_commit(id.map_err(failed)?).map_err(failed)?;
        commits.push(told(&commit, &mut budget)?);
    }
    Ok(commits)
}

/// A commit with nothing in it that could not be seen. Its message may be in any encoding; what is not UTF-8 is replaced.
fn told(commit: &git2::Commit<'_>, budget: &mut Budget) -> Result<Commit, MirrorError> {
    let message = commit.message_bytes();
    let message = message.strip_prefix(b"\n").unwrap_or(message);
    let (subject, body) = match message.iter().position(|&b| b == b'\n') {
        Some(end) => (&message[..end], &message[end + 1..]),
        None => (message, &[][..]),
    };
    let author = commit.author();
    Ok(Commit {
        id: commit_id(commit.id())?,
        subject: budget.line(subject.trim_ascii(), 500),
        author: budget.line(author.name_bytes(), 200),
        email: budget.line(author.email_bytes(), 200),
        body: budget.lines(body.trim_ascii(), MAX_BODY),
        authored_ms: UnixMs(author.when().seconds().saturating_mul(1000)),
    })
}
