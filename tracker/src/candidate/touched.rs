//! What a candidate touches, and what moved on mainline: where the two have nothing in common, making the candidate again
//! on the new mainline gives what it gave on the old one, and nothing has to be done.
//!
//! Both are sets of numbers, hashes of a kind and a name, so that a store finds by an index whom a move concerns. That two
//! names may have one number is no harm: a candidate is then made again without need.
//!
//! What git's merge of a revision depends on, beside the revision itself:
//! - the files that it changes since the merge base, what is above them, and what their merge changes on mainline;
//! - which commits both have: the revision's own commits are watched for;
//! - folders that one side renamed, into which the other adds: folders that come and go, and those that the revision let go;
//! - renames on mainline of what the revision changes. What git takes for one depends on all that mainline added and removed;
//!   a revision whose files have gone from under it watches for all of that.

use super::differences::{Difference, each_difference};
use super::settings::{fault_of_mainline, settings};
use super::{CandidateOutcome, CandidateRequest};
use crate::mirror::{Mirror, MirrorError, find_commit, kept_at, oid, tree_of};
use git2::{ObjectType, Oid, Repository, Tree};
use jiff::civil::Date;
use protocol::CommitId;
use recipe::Project;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Files and folders that differ, and commits, that are watched for one by one; with more, everything is.
const MOST_TOUCHED: usize = 2000;
/// The same of a move of mainline: with more, everybody is concerned.
const MOST_MOVED: usize = 5000;

/// In what a move has if anything moved at all, and in what is touched by a candidate that may depend on anything.
const ANYTHING: i64 = 0;
/// In what every candidate touches, and in a move of what all depend on.
const ALL: i64 = 1;

/// The file that merges heed wherever it is.
const ATTRIBUTES: &[u8] = b".gitattributes";

/// What a candidate touches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Touched(BTreeSet<i64>);

/// What moved on mainline from one commit to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moved(BTreeSet<i64>);

/// What a number is made of, beside a name.
#[derive(Clone, Copy)]
enum Kind {
    /// A file that is touched; a file that moved, and each folder above it: there may be a file in its place.
    File = b'f' as isize,
    /// A folder above a file that is touched; a folder that came or went, and a file that moved: there may be a folder.
    Folder = b'd' as isize,
    /// A folder that the revision let go; a folder in which something moved.
    LetGo = b'v' as isize,
    /// A commit of the revision's own; a commit that mainline got.
    Commit = b'c' as isize,
    /// Files of the revision have gone from under it; a file came or went.
    Renames = b'r' as isize,
}

fn number(kind: Kind, name: &[u8]) -> Result<i64, git2::Error> {
    let hash = Oid::hash_object(ObjectType::Blob, &[&[kind as u8], name].concat())?;
    let first: [u8; 8] = hash.as_bytes().get(..8).and_then(|it| it.try_into().ok()).unwrap_or_default();
    Ok(i64::from_be_bytes(first))
}

/// The folders above a path.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memrchr_iter(b'/', path).map(|end| &path[..end])
}

impl Touched {
    /// It may depend on anything.
    pub fn everything() -> Self {
        Self(BTreeSet::from([ANYTHING, ALL]))
    }

    /// The numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = i64> {
        self.0.iter().copied()
    }

    /// Whether the candidate is to be made again after this move.
    pub fn is_met_by(&self, moved: &Moved) -> bool {
        !self.0.is_disjoint(&moved.0)
    }
}

impl Moved {
    /// It may concern everybody.
    pub fn everything() -> Self {
        Self(BTreeSet::from([ANYTHING, ALL]))
    }

    /// The numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = i64> {
        self.0.iter().copied()
    }

    /// Whether it concerns everybody.
    pub fn is_everything(&self) -> bool {
        self.0.contains(&ALL)
    }
}

/// Numbers that are gathered, as long as they are not too many.
struct Gathered<'r> {
    repository: &'r Repository,
    numbers: BTreeSet<i64>,
    left: usize,
}

/// What is gathered of all differences of two trees; none when there are too many, or when `told` does not want more.
type Enough = Option<()>;

impl<'r> Gathered<'r> {
    fn new(repository: &'r Repository, most: usize) -> Self {
        Self { repository, numbers: BTreeSet::new(), left: most }
    }

    fn add(&mut self, kind: Kind, name: &[u8]) -> Result<(), git2::Error> {
        self.numbers.insert(number(kind, name)?);
        Ok(())
    }

    /// A file that is touched.
    fn file(&mut self, path: &[u8]) -> Result<(), git2::Error> {
        self.add(Kind::File, path)?;
        above(path).try_for_each(|folder| self.add(Kind::Folder, folder))
    }

    fn differences(
        &mut self,
        old: &Tree<'_>,
        new: &Tree<'_>,
        mut told: impl FnMut(&mut Self, Difference<'_>) -> Result<ControlFlow<()>, git2::Error>,
    ) -> Result<Enough, git2::Error> {
        let (mut enough, mut failed) = (Some(()), None);
        let repository = self.repository;
        each_difference(repository, old, new, &mut |it| {
            if self.left == 0 {
                enough = None;
                return ControlFlow::Break(());
            }
            self.left -= 1;
            match told(self, it) {
                Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                Ok(ControlFlow::Break(())) => {
                    enough = None;
                    ControlFlow::Break(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(enough), Err)
    }

    /// The commits that `of` has and `without` lacks.
    fn commits(&mut self, of: Oid, without: Oid) -> Result<Enough, git2::Error> {
        let mut walk = self.repository.revwalk()?;
        walk.push(of)?;
        walk.hide(without)?;
        for commit in walk {
            if self.left == 0 {
                return Ok(None);
            }
            self.left -= 1;
            self.add(Kind::Commit, commit?.as_bytes())?;
        }
        Ok(Some(()))
    }
}

impl Touched {
    /// What making a candidate depended on; `merged` is the tree that git's merge gave, also with conflicts in it.
    pub(super) fn of(
        repository: &Repository,
        request: &CandidateRequest,
        outcome: &CandidateOutcome,
        merged: Option<Oid>,
    ) -> Result<Self, MirrorError> {
        let numbers = match outcome {
            CandidateOutcome::MainlineTrouble(_) => None,
            // Whether mainline has the same patches is asked of its commits.
            CandidateOutcome::Refused(it) if it.code == "no-changes" => None,
            _ => gather(repository, request, outcome, merged)?,
        };
        let Some(mut numbers) = numbers else { return Ok(Self::everything()) };
        numbers.insert(ALL);
        Ok(Self(numbers))
    }
}

fn gather(
    repository: &Repository,
    request: &CandidateRequest,
    outcome: &CandidateOutcome,
    merged: Option<Oid>,
) -> Result<Option<BTreeSet<i64>>, MirrorError> {
    let what = || format!("seeing what {} r{} touches", request.branch, request.revision);
    let failed = |source| MirrorError::Objects { what: what(), source };
    let (tip, commit) = (oid(&request.mainline)?, oid(&request.commit)?);
    let mut all = Gathered::new(repository, MOST_TOUCHED);
    if all.commits(commit, tip).map_err(failed)?.is_none() {
        return Ok(None);
    }
    let base = match repository.merge_bases(tip, commit) {
        Ok(bases) if bases.len() > 1 => return Ok(None),
        Ok(bases) => bases.first().copied(),
        Err(error) if error.code() == git2::ErrorCode::NotFound => None,
        Err(source) => return Err(failed(source)),
    };
    // Without a common commit there is no merge, nor is there when mainline has it all.
    let Some(base) = base.filter(|base| *base != commit) else { return Ok(Some(all.numbers)) };
    let tree = |id| repository.find_commit(id).and_then(|commit| commit.tree()).map_err(failed);
    let trees = Trees { base: tree(base)?, mainline: tree(tip)?, revision: tree(commit)? };
    let merged = merged.map(|id| repository.find_tree(id)).transpose().map_err(failed)?;
    let enough = of_merge(&mut all, &trees, merged.as_ref(), outcome).map_err(failed)?;
    Ok(enough.map(|()| all.numbers))
}

struct Trees<'r> {
    base: Tree<'r>,
    mainline: Tree<'r>,
    revision: Tree<'r>,
}

fn of_merge(
    all: &mut Gathered<'_>,
    trees: &Trees<'_>,
    merged: Option<&Tree<'_>>,
    outcome: &CandidateOutcome,
) -> Result<Enough, git2::Error> {
    let folded: &[String] = match outcome {
        CandidateOutcome::Made(made) => &made.told.fragments,
        _ => &[],
    };
    let (mut bereft, mut only_folded) = (false, true);
    let own = all.differences(&trees.base, &trees.revision, |all, it| {
        if it.is_folder {
            if it.in_old && !it.in_new {
                all.add(Kind::LetGo, it.path)?;
            }
            return Ok(ControlFlow::Continue(()));
        }
        all.file(it.path)?;
        only_folded &= folded.iter().any(|fragment| fragment.as_bytes() == it.path);
        bereft |= trees.have_gone_from_under(it)?;
        Ok(ControlFlow::Continue(()))
    })?;
    let Some(()) = own else { return Ok(None) };
    if let Some(merged) = merged {
        let on_mainline = all.differences(&trees.mainline, merged, |all, it| {
            if !it.is_folder {
                all.file(it.path)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let Some(()) = on_mainline else { return Ok(None) };
    }
    // A ChangeLog that only the fold writes takes any entry; whether anything changes at all depends on what is in it.
    if let (CandidateOutcome::Made(made), true) = (outcome, only_folded) {
        made.told.changelogs.iter().try_for_each(|changelog| all.file(changelog.path.as_bytes()))?;
    }
    if bereft {
        all.add(Kind::Renames, b"")?;
        let added = all.differences(&trees.base, &trees.mainline, |all, it| {
            if !it.is_folder && !it.in_old {
                all.file(it.path)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let Some(()) = added else { return Ok(None) };
    }
    Ok(Some(()))
}

impl Trees<'_> {
    /// Whether mainline let go, since the merge base, of a file that the revision changes, or of a folder that it adds to.
    fn have_gone_from_under(&self, it: Difference<'_>) -> Result<bool, git2::Error> {
        if it.in_old {
            return Ok(!is_there(&self.mainline, it.path, false)?);
        }
        for folder in above(it.path) {
            if is_there(&self.base, folder, true)? && !is_there(&self.mainline, folder, true)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn is_there(tree: &Tree<'_>, path: &[u8], folder: bool) -> Result<bool, git2::Error> {
    match tree.get_path(Path::new(OsStr::from_bytes(path))) {
        Ok(entry) => Ok((entry.filemode() == 0o040_000) == folder),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What settings a project has that no tree says, for a commit whose tree says none.
type Otherwise = Option<Project>;

impl Mirror {
    /// What moved on mainline between two commits. Of what can't be compared everything did. `otherwise` are the master's own
    /// settings on either side; `day` is one of now.
    ///
    /// # Errors
    /// When one of them is not in the mirror.
    pub async fn what_moved(
        &self,
        (old, new): (&CommitId, &CommitId),
        otherwise: [Otherwise; 2],
        day: Date,
    ) -> Result<Moved, MirrorError> {
        let (old, new) = (old.clone(), new.clone());
        self.with_repository(move |repository| {
            let found = moved(repository, (&old, &new), &otherwise, day)?;
            Ok(found.map_or_else(Moved::everything, Moved))
        })
        .await
    }
}

fn moved(
    repository: &Repository,
    (old, new): (&CommitId, &CommitId),
    otherwise: &[Otherwise; 2],
    day: Date,
) -> Result<Option<BTreeSet<i64>>, MirrorError> {
    let failed = |source| MirrorError::Objects { what: format!("comparing {old} and {new}"), source };
    let (from, to) = (find_commit(repository, old)?.id(), find_commit(repository, new)?.id());
    if from == to {
        return Ok(Some(BTreeSet::new()));
    }
    if !repository.graph_descendant_of(to, from).map_err(failed)? {
        return Ok(None);
    }
    let [before, after] = [(old, &otherwise[0]), (new, &otherwise[1])]
        .map(|(commit, otherwise)| Decides::at(repository, commit, otherwise.as_ref(), day));
    let (Some(before), Some(after)) = (before?, after?) else { return Ok(None) };
    if before != after {
        return Ok(None);
    }
    let mut all = Gathered::new(repository, MOST_MOVED);
    all.numbers.insert(ANYTHING);
    let Some(()) = all.commits(to, from).map_err(failed)? else { return Ok(None) };
    let trees = (tree_of(repository, old)?, tree_of(repository, new)?);
    let enough = all.differences(&trees.0, &trees.1, of_move).map_err(failed)?;
    Ok(enough.map(|()| all.numbers))
}

/// Gathers a difference of two mainlines; it has enough when everybody is concerned.
fn of_move(all: &mut Gathered<'_>, it: Difference<'_>) -> Result<ControlFlow<()>, git2::Error> {
    let came_or_went = it.in_old != it.in_new;
    if it.is_folder {
        if came_or_went {
            all.add(Kind::Folder, it.path)?;
        }
        return Ok(ControlFlow::Continue(()));
    }
    if it.path.rsplit(|&byte| byte == b'/').next() == Some(ATTRIBUTES) {
        return Ok(ControlFlow::Break(()));
    }
    all.add(Kind::File, it.path)?;
    all.add(Kind::Folder, it.path)?;
    for folder in above(it.path) {
        all.add(Kind::File, folder)?;
        all.add(Kind::LetGo, folder)?;
    }
    if came_or_went {
        all.add(Kind::Renames, b"")?;
    }
    Ok(ControlFlow::Continue(()))
}

/// What of a mainline decides how every candidate on it is folded.
#[derive(Eq, PartialEq)]
struct Decides {
    settings: Project,
    /// Its ChangeLogs, and which of them are there.
    changelogs: Vec<(String, bool)>,
}

impl Decides {
    /// None when no candidate can be made there.
    fn at(
        repository: &Repository,
        commit: &CommitId,
        otherwise: Option<&Project>,
        day: Date,
    ) -> Result<Option<Self>, MirrorError> {
        let Ok(settings) = settings(repository, commit, otherwise)? else { return Ok(None) };
        let tree = tree_of(repository, commit)?;
        if fault_of_mainline(repository, &tree, &settings, day)?.is_some() {
            return Ok(None);
        }
        let has = |path: &str| matches!(kept_at(&tree, path), Ok(Some(_)));
        let changelogs = settings.places(has).iter().map(|place| (place.path.clone(), has(&place.path))).collect();
        Ok(Some(Self { settings, changelogs }))
    }
}
