//! Admission of a revision, or of several of one repository together, in two stages: a stranger's objects are fetched into a scratch repository by a bounded
//! process, looked at there, and only then pushed into the mirror, which checks every one of them on its own.

use super::admission::{Admission, Group};
use super::check::{self, Checked};
use super::scratch::Scratch;
use super::{AdmissionError, CommitRefused, Mirror, MirrorError, Passing};
use crate::blocking::blocking;
use crate::git::told::bare;
use crate::git::{RunError, RunLimits, quoted};
use crate::watch::{Head, PollError, Poller, from_run};
use protocol::{BranchName, CommitId};
use std::ffi::OsString;

/// Where the n-th branch of a group is fetched to, in a scratch repository.
fn fetched(n: usize) -> String {
    format!("refs/fetched/{n}")
}

impl Mirror {
    /// Fetches a revision, checks it, and keeps it as `refs/branches/NAME/rN` and `…/head`. Killed at any point and
    /// called again it does the same; nothing of a refused revision stays.
    ///
    /// # Errors
    /// See [`AdmissionError`]. That it has no changes or no history in common with mainline is no error here.
    pub async fn admit(&self, poller: &Poller, admission: &Admission) -> Result<CommitId, AdmissionError> {
        if let Some(expected) = &admission.expected
            && self.has_admitted(admission, expected).await?
        {
            return Ok(expected.clone());
        }
        let commits = self.admit_group(poller, Group::one(admission)).await?;
        commits.into_iter().next().ok_or_else(|| MirrorError::Answer { what: "git fetch" }.into())
    }

    /// The same for branches of one repository, by as many git processes as one of them costs: all or none. Gives their
    /// commits in their order.
    ///
    /// # Errors
    /// When there is anything wrong with any of them, or with all of them together, such as the sum of their objects: an
    /// error says nothing of any single one, and each is to be admitted by itself.
    pub async fn admit_together(
        &self,
        poller: &Poller,
        admissions: &[Admission],
    ) -> Result<Vec<CommitId>, AdmissionError> {
        match Group::of(admissions) {
            Some(group) => self.admit_group(poller, group).await,
            None => Ok(Vec::new()),
        }
    }

    async fn has_admitted(&self, admission: &Admission, expected: &CommitId) -> Result<bool, MirrorError> {
        let (revision_ref, head_ref) =
            (Self::revision_ref(&admission.name, admission.revision), Self::head_ref(&admission.name));
        Ok(self.ref_at(&revision_ref).await?.as_ref() == Some(expected)
            && self.ref_at(&head_ref).await?.as_ref() == Some(expected)
            && self.lacks(expected).await?.is_none())
    }

    async fn admit_group(&self, poller: &Poller, group: Group<'_>) -> Result<Vec<CommitId>, AdmissionError> {
        let scratch = self.scratch(&group.lead.name).await?;
        let done = self.admit_by(&scratch, poller, group).await;
        blocking(move || drop(scratch)).await;
        done
    }

    /// A scratch repository for a branch.
    pub(super) async fn scratch(&self, name: &BranchName) -> Result<Scratch, MirrorError> {
        let (mirror, name) = (self.path().to_owned(), name.to_string());
        blocking(move || Scratch::make(&mirror, &name)).await
    }

    async fn admit_by(
        &self,
        scratch: &Scratch,
        poller: &Poller,
        group: Group<'_>,
    ) -> Result<Vec<CommitId>, AdmissionError> {
        let wanted = Wanted { what: group.iter().map(|one| one.branch.full()).collect(), sees_mirror: true };
        let fetched = match self.fetch_into(scratch, poller, group, &wanted).await {
            Err(error) if group.is_one() && says_objects(&error) => {
                self.whose_fault(scratch, poller, group, &wanted, error).await
            }
            fetched => fetched,
        };
        match fetched {
            // Nothing of it is here to be compared, and the branch may have moved since it was seen.
            Err(AdmissionError::Refused(refused)) if group.is_one() => {
                return Err(still_there(poller, group.lead, refused).await);
            }
            fetched => fetched?,
        }
        let commits = check::fetched_commits(self, scratch, group).await?;
        for (admission, commit) in group.iter().zip(&commits) {
            if admission.expected.as_ref().is_some_and(|expected| expected != commit) {
                return Err(Passing::Moved { branch: admission.branch.display(), now: commit.clone() }.into());
            }
        }
        let checked = check::check(self, scratch, group, commits).await?;
        self.take_over(scratch, group, &checked).await?;
        Ok(checked.commits)
    }

    /// After a fetch that ended at an object, by `error`: where the same comes whole when nothing of the mirror is used, it was
    /// made of something here that can't be read, or it was broken on its way that once. So it is fetched once more.
    async fn whose_fault(
        &self,
        scratch: &Scratch,
        poller: &Poller,
        group: Group<'_>,
        wanted: &Wanted,
        error: AdmissionError,
    ) -> Result<(), AdmissionError> {
        let (mirror, name) = (self.path().to_owned(), format!("{}.alone", group.lead.name));
        let alone = blocking(move || Scratch::make(&mirror, &name)).await?;
        let wanted_alone = Wanted { what: wanted.what.clone(), sees_mirror: false };
        let is_whole = self.fetch_into(&alone, poller, group, &wanted_alone).await.is_ok();
        blocking(move || drop(alone)).await;
        if !is_whole {
            return Err(error);
        }
        match self.fetch_into(scratch, poller, group, wanted).await {
            Err(error) if says_objects(&error) => {
                let text = "something that the mirror has already can't be read";
                let source = git2::Error::new(git2::ErrorCode::GenericError, git2::ErrorClass::Odb, text);
                Err(MirrorError::Objects { what: format!("fetching `{}`", group.lead.branch.display()), source }.into())
            }
            fetched => fetched,
        }
    }

    /// Fetches without a look at the objects: only their hashes, and that all are there, are checked on the way. So what
    /// is found wrong with them later is wrong at its source, and nothing that happened on the way.
    pub(super) async fn fetch_into(
        &self,
        scratch: &Scratch,
        poller: &Poller,
        group: Group<'_>,
        wanted: &Wanted,
    ) -> Result<(), AdmissionError> {
        let Admission { source, limits, .. } = group.lead;
        let route = poller.route(source).await?;
        let before = scratch.bytes().await;
        let taken = match &limits.look {
            Some(look) => Some(look.take(limits.pack_bytes).await),
            None => None,
        };
        let bytes = taken.as_ref().map_or(limits.pack_bytes, |taken| taken.bytes);
        if bytes == 0 {
            return Err(spent(group.lead).into());
        }
        let run = route.prepare(self.git().bounded().repository(&scratch.path()));
        let run = if wanted.sees_mirror { self.sees_mirror(run, group) } else { run };
        // Nothing here outlives a power failure, or need.
        let run = run.config("fetch.fsckObjects=false").config("core.fsync=none");
        let run = run.args(["fetch", "-q", "--no-tags", "--no-write-fetch-head"]);
        let run = route.add_options(run.args(["--no-recurse-submodules", "--no-auto-maintenance"]));
        let what = wanted.what.iter().enumerate().map(|(n, what)| format!("+{what}:{}", fetched(n)));
        let run = run.args(["--", &route.url]).args(what);
        let run = run.grows(scratch.path(), before.saturating_add(bytes.saturating_mul(2))).limits(RunLimits {
            wall: limits.wall,
            cpu: limits.wall,
            file_bytes: bytes,
            ..RunLimits::default()
        });
        let came = run.output().await;
        if let Some(taken) = taken {
            taken.spent(scratch.bytes().await.saturating_sub(before));
        }
        match came {
            Ok(_) => Ok(()),
            Err(error) if bytes < limits.pack_bytes && (error.hit_file_limit() || scratch.has_file_of(bytes).await) => {
                Err(spent(group.lead).into())
            }
            // What index-pack dies of is not among git's words, but the file that it wrote is as long as it may be.
            Err(_) if scratch.has_file_of(bytes).await => Err(too_many_bytes(group.lead).into()),
            Err(error) => Err(with_address(poller, group.lead, fetch_error(group.lead, error)).await),
        }
    }

    /// Lets a run in the scratch repository use what the mirror has, so that only what is new travels.
    pub(super) fn sees_mirror(&self, run: crate::git::Run, group: Group<'_>) -> crate::git::Run {
        let own: String = group.iter().map(|one| format!(" refs/branches/{}/", one.name)).collect();
        run.own(self.path())
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.path().join("objects"))
            .config(format!("core.alternateRefsPrefixes=refs/heads/{own}"))
    }

    /// The second stage: the mirror's own receiving side checks every object before any of it is kept.
    async fn take_over(&self, scratch: &Scratch, group: Group<'_>, checked: &Checked) -> Result<(), AdmissionError> {
        let limits = &group.lead.limits;
        let kept: Vec<(String, &CommitId)> = group
            .iter()
            .zip(&checked.commits)
            .flat_map(|(Admission { name, revision, .. }, commit)| {
                [Self::revision_ref(name, *revision), Self::head_ref(name)].map(|kept| (kept, commit))
            })
            .collect();
        let mut receive = OsString::from("--receive-pack=");
        receive.push(quoted(self.git().program().as_os_str()));
        receive.push(format!(" -c receive.maxInputSize={}", limits.pack_bytes));
        // It looks at mainline and at what is written, and at no other branch's refs: one of those that is broken would have
        // it refuse this.
        receive.push(
            " -c core.alternateRefsPrefixes=refs/heads/ -c receive.hideRefs=refs -c receive.hideRefs='!refs/heads'",
        );
        kept.iter().for_each(|(name, _)| receive.push(format!(" -c receive.hideRefs='!{name}'")));
        receive.push(" receive-pack");
        let run = self.git().bounded().repository(&scratch.path()).env("GIT_ALLOW_PROTOCOL", "file");
        let run = self.sees_mirror(run, group).args(["push", "-q", "--atomic"]).arg(receive).arg("--").arg(self.path());
        // A number that is used again belongs to an admission that was killed before anybody heard of it.
        let refs = kept.iter().map(|(name, commit)| format!("+{commit}:{name}"));
        let limits =
            RunLimits { wall: limits.wall, cpu: limits.wall, file_bytes: limits.pack_bytes, ..RunLimits::default() };
        match run.args(refs).limits(limits).writing_refs(&self.ref_writers()).output().await {
            Ok(_) => Ok(self.sync_names(group.iter().map(|one| Self::head_ref(&one.name))).await?),
            Err(error) => Err(take_over_error(group.lead, error)),
        }
    }
}

/// What is asked of a source.
pub(super) struct Wanted {
    /// A ref, or a commit id, for each of a group.
    pub(super) what: Vec<String>,
    /// Whether what the mirror has need not come: not so where the mirror itself may lack something.
    pub(super) sees_mirror: bool,
}

/// Whether a fetch ended at an object: one that came, or one that was here and that it was made whole with.
fn says_objects(error: &AdmissionError) -> bool {
    matches!(
        error,
        AdmissionError::Passing(Passing::Broken { .. }) | AdmissionError::Refused(CommitRefused::Fsck { .. })
    )
}

/// A refusal of what came from a branch, if the branch is still where it was seen.
async fn still_there(poller: &Poller, admission: &Admission, refused: CommitRefused) -> AdmissionError {
    let Some(expected) = &admission.expected else { return refused.into() };
    match poller.head(&admission.source, &admission.branch).await {
        Ok(Head::At(now)) if now == *expected => refused.into(),
        Ok(Head::At(now)) => Passing::Moved { branch: admission.branch.display(), now }.into(),
        Ok(Head::Absent) => no_branch(admission).into(),
        Err(error) => error.into(),
    }
}

/// git tells that it met a redirect, and not where to; a look by ourselves tells it, if it is still met.
async fn with_address(poller: &Poller, admission: &Admission, error: AdmissionError) -> AdmissionError {
    if !matches!(&error, AdmissionError::Passing(Passing::Source(PollError::RedirectRefused { .. }))) {
        return error;
    }
    match poller.head(&admission.source, &admission.branch).await {
        Err(told @ PollError::RedirectRefused { .. }) => told.into(),
        _ => error,
    }
}

fn too_many_bytes(admission: &Admission) -> CommitRefused {
    CommitRefused::TooLarge {
        branch: admission.branch.display(),
        what: "the size in bytes",
        found: None,
        allowed: admission.limits.pack_bytes,
    }
}

/// What is left of a look's bytes is no measure of the commit.
fn spent(admission: &Admission) -> Passing {
    let (url, branch) = (admission.source.to_string(), admission.branch.display());
    Passing::Spent { url, branch, allowed: admission.limits.pack_bytes }
}

fn no_branch(admission: &Admission) -> Passing {
    Passing::NoBranch { url: admission.source.to_string(), branch: admission.branch.display() }
}

/// An object that is small in the pack and does not fit into memory when it is unpacked.
fn out_of_memory(admission: &Admission, error: &RunError) -> Option<CommitRefused> {
    let is_so = error.stderr().contains("Out of memory") || error.stderr().contains("out of memory");
    is_so.then(|| CommitRefused::TooLarge {
        branch: admission.branch.display(),
        what: "the memory in bytes for unpacking",
        found: None,
        allowed: RunLimits::default().memory_bytes,
    })
}

fn fetch_error(admission: &Admission, error: RunError) -> AdmissionError {
    let Admission { source, branch, .. } = admission;
    let (url, branch) = (source.to_string(), branch.display());
    if error.hit_file_limit() {
        return too_many_bytes(admission).into();
    }
    if error.stderr().contains("couldn't find remote ref") {
        return no_branch(admission).into();
    }
    if let Some(error) = out_of_memory(admission, &error) {
        return error.into();
    }
    if let Some(what) = line_with(error.stderr(), &MALFORMED) {
        return CommitRefused::Fsck { branch, what }.into();
    }
    match error {
        RunError::TimedOut { after, .. } => Passing::TimedOut { url, branch, after }.into(),
        error => match from_run(source, error) {
            PollError::Git { source, .. } if line_with(source.stderr(), &BROKEN).is_some() => {
                let why = line_with(source.stderr(), &BROKEN).unwrap_or_default();
                Passing::Broken { url, branch, why }.into()
            }
            error => error.into(),
        },
    }
}

fn take_over_error(admission: &Admission, error: RunError) -> AdmissionError {
    let branch = admission.branch.display();
    if error.hit_file_limit() || error.stderr().contains("exceeds maximum allowed size") {
        return too_many_bytes(admission).into();
    }
    if let Some(error) = out_of_memory(admission, &error) {
        return error.into();
    }
    if let Some(what) = fsck_words(error.stderr()) {
        return CommitRefused::Fsck { branch, what }.into();
    }
    match error {
        RunError::TimedOut { after, .. } => {
            Passing::TimedOut { url: admission.source.to_string(), branch, after }.into()
        }
        error => MirrorError::from(error).into(),
    }
}

/// What git says of an object that came whole, by its hash, and can't be read: it was made so.
const MALFORMED: [&str; 8] = [
    "too-short tree",
    "malformed mode in tree entry",
    "empty filename in tree entry",
    "bad tree pointer in commit",
    "bogus commit object",
    "bad parents in commit",
    "bad tree object",
    "not a tree",
];

/// What git says when a pack did not come as it was made.
const BROKEN: [&str; 16] = [
    "bad pack header",
    "pack signature mismatch",
    "pack is corrupted",
    "pack has ",
    "pack version",
    "inflate",
    "unresolved delta",
    "early EOF",
    "bad object",
    "did not receive expected object",
    "did not send all necessary objects",
    "object corrupt",
    "hash mismatch",
    "index-pack",
    "fetch-pack",
    "unexpected disconnect",
];

/// The first line with one of these words, without git's own.
fn line_with(stderr: &str, words: &[&str]) -> Option<String> {
    // What the other side says of itself is no proof of anything.
    let mut lines = stderr.lines().filter(|line| !line.starts_with("remote: ") && !line.contains("remote error: "));
    lines.find(|line| words.iter().any(|word| line.contains(word))).map(|line| bare(line).to_owned())
}

/// What git's check of objects found: `error: object ID: badTree: …`, also behind `remote: `.
fn fsck_words(stderr: &str) -> Option<String> {
    let names_object = |line: &str| {
        let rest = line.split_once("error: object ").map_or("", |(_, rest)| rest);
        rest.split_once(':').is_some_and(|(id, _)| id.len() >= 40 && id.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let line = stderr.lines().find(|line| names_object(line) || line.contains("fsck error"))?;
    Some(bare(line).to_owned())
}
