//! The fold as a candidate has it: which of a revision's files are fragments, what becomes of each ChangeLog, and what
//! that changes in the merged tree. How entries are folded is `changelog`'s own.

use super::faults::{MAX_CHANGELOG, not_a_file, path_fault, too_large};
use super::message::OwnCommits;
use super::notes::Notes;
use super::{ChangelogChange, Ingredients, Told, merge, refusal};
use crate::mirror::{Kept, MirrorError, find_commit, kept_at, tree_of};
use crate::text::{Budget, shown};
use changelog::{
    BranchChangeLog, FoldAt, FoldError, FoldOptions, Fragment, FragmentAuthor, FragmentKind, PathKind, Place, Problem,
    Whose, fold, fold_branch, has_work, taker_of, whose,
};
use git2::build::TreeUpdateBuilder;
use git2::{DiffDelta, FileMode, Repository, Sort, Tree};
use protocol::CommitId;
use protocol::api::{ConflictFile, Refusal};
use recipe::Project;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// The largest fragment, in bytes.
const MAX_FRAGMENT: u64 = 1 << 20;
/// Most fragments of a branch, and bytes of them.
const MAX_FRAGMENTS: usize = 1000;
const MAX_FRAGMENTS_BYTES: usize = 8 << 20;
/// Most lines of all of them, and lines that a branch's ChangeLog may have more than mainline's: each may be an entry of its own, and
/// costs more than its bytes.
const MAX_LINES: usize = 100_000;
/// The longest name and mail address of a commit's author that a fragment takes, in bytes: each of its entries says them.
const MAX_AUTHOR: usize = 300;
/// Most files of the folder that fragments are in.
const MAX_FOLDER: usize = 10_000;
/// How much longer than mainline's a branch's ChangeLog may be, in bytes.
const MAX_GROWTH: u64 = 8 << 20;
/// Commits of a branch that are searched for who wrote a fragment.
const MAX_COMMITS: usize = 2000;

/// What a fold changes in a merged tree.
#[derive(Default)]
pub(super) struct Folding {
    /// The ChangeLogs whose content the fold decides; what it does not touch is as git merged it.
    files: Vec<FoldedFile>,
    /// The fragments, and what stands at their paths afterwards: nothing, or mainline's own.
    taken: Vec<(String, Option<Kept>)>,
    /// The ChangeLogs as they will read at the release, of projects that fold no sooner.
    coming: Vec<FoldedFile>,
    /// The fragments of those: they stay until then.
    kept: Vec<String>,
    /// ChangeLogs of which the branch says nothing.
    silent: Vec<usize>,
    /// Why the branch needs no entry, if it says so and has none where one is missed.
    exempt: Option<String>,
    /// What is worth saying.
    notes: Notes,
}

/// A ChangeLog with the entries in it.
struct FoldedFile {
    path: String,
    before: Vec<u8>,
    after: Vec<u8>,
    mode: i32,
    /// Whether the branch has an entry for it.
    is_told: bool,
}

/// Why nothing can be folded.
pub(super) enum NotFolded {
    Refused(Refusal),
    /// Old text that both sides changed, in these files; the other ChangeLogs are no matter of git's merge.
    Conflict {
        files: Vec<ConflictFile>,
        settled: Vec<String>,
    },
}

fn refused(code: &str, text: String, hint: &str) -> NotFolded {
    NotFolded::Refused(refusal(code, text, hint))
}

type Tried<T> = Result<Result<T, NotFolded>, MirrorError>;

/// What a fold is made from.
struct Sides<'r> {
    repository: &'r Repository,
    base: Tree<'r>,
    mainline: Tree<'r>,
    branch: Tree<'r>,
}

/// A fragment's path and bytes, and what stands at its path after the fold.
struct Taken {
    path: String,
    bytes: Vec<u8>,
    author: Option<FragmentAuthor>,
    after: Option<Kept>,
}

impl Folding {
    pub(super) fn of(
        repository: &Repository,
        request: &Ingredients,
        base: &CommitId,
        budget: &mut Budget,
    ) -> Tried<Self> {
        let sides = Sides {
            repository,
            base: tree_of(repository, base)?,
            mainline: tree_of(repository, &request.mainline)?,
            branch: tree_of(repository, &request.commit)?,
        };
        let places = places_of(&request.project, &sides.mainline, &sides.branch);
        let mut folding = Self::default();
        let (mut conflicts, mut in_conflict) = (Vec::new(), Vec::new());
        for (at, place) in places.iter().enumerate() {
            match folding.add(&sides, request, &places, (place, base), budget)? {
                Ok(true) => {}
                Ok(false) => folding.silent.push(at),
                Err(NotFolded::Conflict { files, .. }) => {
                    conflicts.extend(files);
                    in_conflict.push(place.path.clone());
                }
                Err(refused) => return Ok(Err(refused)),
            }
        }
        if !conflicts.is_empty() {
            let settled = folding.settles().into_iter().chain(in_conflict).collect();
            return Ok(Err(NotFolded::Conflict { files: conflicts, settled }));
        }
        folding.miss(&sides, request, &places)?;
        Ok(Ok(folding))
    }

    /// Says what the branch should have an entry for and has none, unless a commit of it says that none is needed.
    fn miss(&mut self, sides: &Sides<'_>, request: &Ingredients, places: &[Place]) -> Result<(), MirrorError> {
        let silent = self.silent.iter().filter_map(|at| places.get(*at));
        let kept: Vec<&Place> =
            silent.filter(|place| matches!(kept_at(&sides.mainline, &place.path), Ok(Some(_)))).collect();
        if kept.is_empty() {
            return Ok(());
        }
        let changed = sides.changed()?;
        let changed = || changed.iter().map(Vec::as_slice);
        let missing: Vec<&Place> = kept.into_iter().filter(|place| has_work(place, places, changed())).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.exempt = OwnCommits::of(sides.repository, &request.mainline, &request.commit)?.exempt;
        if self.exempt.is_none() {
            for place in missing {
                self.notes.add(&Problem::Missing { changelog: shown(place.path.as_bytes()) }.to_string());
            }
        }
        Ok(())
    }

    /// Folds what the branch brings for one ChangeLog, and says whether that is anything.
    fn add(
        &mut self,
        sides: &Sides<'_>,
        request: &Ingredients,
        places: &[Place],
        (place, base): (&Place, &CommitId),
        budget: &mut Budget,
    ) -> Tried<bool> {
        if let Some(refusal) = path_fault(place) {
            return Ok(Err(NotFolded::Refused(refusal)));
        }
        let (mut taken, corrects) = match sides.fragments(places, place, &mut self.notes)? {
            Ok(found) => found,
            Err(refused) => return Ok(Err(refused)),
        };
        sides.name_authors(&mut taken, place, request, base)?;
        if place.when == FoldAt::Release {
            return Ok(self.keep(sides, request, place, &taken, budget)?.map(|is_told| is_told || corrects));
        }
        let folded = sides.fold(place, request, &taken, &mut self.notes, budget)?;
        self.taken.extend(taken.into_iter().map(|one| (one.path, one.after)));
        Ok(folded.map(|file| {
            let is_told = file.as_ref().is_some_and(|file| file.is_told);
            self.files.extend(file);
            is_told || corrects
        }))
    }

    /// Leaves the fragments where they are, and says how the ChangeLog will read once they are folded.
    fn keep(
        &mut self,
        sides: &Sides<'_>,
        request: &Ingredients,
        place: &Place,
        taken: &[Taken],
        budget: &mut Budget,
    ) -> Tried<bool> {
        if taken.is_empty() {
            return Ok(Ok(false));
        }
        let folded = sides.fold_as_at_release(place, request, taken, &mut self.notes, budget)?;
        self.kept.extend(taken.iter().map(|one| shown(one.path.as_bytes())));
        Ok(folded.map(|file| {
            let is_told = file.is_told;
            self.coming.push(file);
            is_told
        }))
    }

    /// The paths whose content does not come from git's merge.
    pub(super) fn settles(&self) -> Vec<String> {
        self.fragments().into_iter().chain(self.files.iter().map(|file| file.path.clone())).collect()
    }

    pub(super) fn fragments(&self) -> Vec<String> {
        self.taken.iter().map(|(path, _)| path.clone()).collect()
    }

    /// The merged tree with the fold in it.
    pub(super) fn apply(&self, repository: &Repository, merged: git2::Oid) -> Result<git2::Oid, MirrorError> {
        let failed = |source| MirrorError::Objects { what: "writing the candidate's tree".to_owned(), source };
        let tree = repository.find_tree(merged).map_err(failed)?;
        let mut updates = TreeUpdateBuilder::new();
        let mut any = false;
        for file in &self.files {
            let id = repository.blob(&file.after).map_err(failed)?;
            updates.upsert(file.path.as_str(), id, mode(file.mode));
            any = true;
        }
        for (path, after) in &self.taken {
            match after {
                Some(kept) => _ = updates.upsert(path.as_str(), kept.id, mode(kept.mode)),
                None if kept_at(&tree, path)?.is_some() => _ = updates.remove(path.as_str()),
                None => continue,
            }
            any = true;
        }
        if any { updates.create_updated(repository, &tree).map_err(failed) } else { Ok(merged) }
    }

    /// What is to be told of it.
    pub(super) fn end(self) -> Told {
        let fragments = self.fragments();
        let changes = |files: Vec<FoldedFile>| {
            let changed = files.into_iter().filter(|file| file.before != file.after);
            changed.map(|it| ChangelogChange { path: it.path, before: it.before, after: it.after }).collect()
        };
        Told {
            changelogs: changes(self.files),
            fragments,
            coming: changes(self.coming),
            kept: self.kept,
            exempt: self.exempt,
            notes: self.notes.end(),
        }
    }
}

/// A project's ChangeLogs; one that the recipe does not name is looked for on mainline, then on the branch.
pub(crate) fn places_of<'p>(project: &'p Project, mainline: &Tree<'_>, branch: &Tree<'_>) -> Cow<'p, [Place]> {
    let has = |tree: &Tree<'_>, path: &str| matches!(kept_at(tree, path), Ok(Some(_)));
    let on_mainline = project.places(|path| has(mainline, path));
    if on_mainline.iter().any(|place| has(mainline, &place.path)) {
        on_mainline
    } else {
        project.places(|path| has(branch, path))
    }
}

fn mode(mode: i32) -> FileMode {
    if mode == 0o100_755 { FileMode::BlobExecutable } else { FileMode::Blob }
}

impl Sides<'_> {
    /// The fragments that the branch brings for a ChangeLog: changed since the merge base, and not the same on mainline.
    /// Also whether it corrects one that mainline keeps.
    fn fragments(&self, places: &[Place], place: &Place, notes: &mut Notes) -> Tried<(Vec<Taken>, bool)> {
        let mut listed = BTreeMap::new();
        for path in place.rules.names.iter().map(|name| place.rooted(name)) {
            let [branch, base, mainline] = [&self.branch, &self.base, &self.mainline].map(|tree| kept_at(tree, &path));
            listed.insert(path, [branch?, base?, mainline?]);
        }
        for folder in place.rules.folders() {
            match self.files_of_branch(&place.rooted(folder), notes)? {
                Ok(files) => listed.extend(files),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        let (mut taken, mut all, mut lines, mut corrects) = (Vec::new(), 0, 0, false);
        for (path, [ours, before, mainline]) in listed {
            let Some(ours) = ours else { continue };
            if taker_of(places, path.as_bytes()).is_none_or(|taker| taker.path != place.path) {
                continue;
            }
            match whose(before.as_ref(), mainline.as_ref(), Some(&ours), !place.is_single(path.as_bytes())) {
                Whose::Branch => {}
                Whose::Mainline => continue,
                Whose::Corrected => {
                    corrects = true;
                    notes.add(&format!("{}: corrected, and kept as mainline keeps it", shown(path.as_bytes())));
                    continue;
                }
            }
            match place.classify(path.as_bytes()) {
                PathKind::Fragment(_) => {}
                // Of a folder within, what matters is told by its own files.
                PathKind::Stray if place.rules.folders().any(|folder| place.rooted(folder) == path) => continue,
                PathKind::Stray => {
                    notes.add(&format!("{}: not folded, its name is not one of a fragment", shown(path.as_bytes())));
                    continue;
                }
                PathKind::Other | PathKind::Kept => continue,
            }
            if !ours.is_file() {
                let text = format!("{}: a fragment must be a plain file", shown(path.as_bytes()));
                return Ok(Err(refused("fragment-not-a-file", text, "commit a file with the entries in its place")));
            }
            let Some(bytes) = ours.bytes(self.repository, MAX_FRAGMENT)? else {
                let text = format!("{}: a fragment may have at most {MAX_FRAGMENT} bytes", shown(path.as_bytes()));
                return Ok(Err(refused("fragment-too-large", text, "say less, or split the branch")));
            };
            all += bytes.len();
            lines += lines_of(&bytes);
            if taken.len() >= MAX_FRAGMENTS || all > MAX_FRAGMENTS_BYTES || lines > MAX_LINES {
                let text = format!(
                    "{}: the branch brings more than {MAX_FRAGMENTS} fragments, or more than {MAX_FRAGMENTS_BYTES} bytes or \
                     {MAX_LINES} lines of them",
                    shown(path.as_bytes())
                );
                return Ok(Err(refused("fragments-too-many", text, "say less, or split the branch")));
            }
            // One that mainline has got meanwhile for itself is not this branch's to delete.
            let after = mainline.filter(|_| mainline != before);
            taken.push(Taken { path, bytes, author: None, after });
        }
        Ok(Ok((taken, corrects)))
    }

    /// The paths that the branch changes.
    fn changed(&self) -> Result<Vec<Vec<u8>>, MirrorError> {
        let failed = |source| MirrorError::Objects { what: "listing what a branch changes".to_owned(), source };
        let diff = self.repository.diff_tree_to_tree(Some(&self.base), Some(&self.branch), None).map_err(failed)?;
        let path =
            |delta: DiffDelta<'_>| delta.new_file().path_bytes().or(delta.old_file().path_bytes()).map(<[u8]>::to_vec);
        Ok(diff.deltas().filter_map(path).collect())
    }

    /// The files of a folder of the branch, each as the branch, the merge base and mainline have it.
    fn files_of_branch(&self, folder: &str, notes: &mut Notes) -> Tried<Vec<(String, [Option<Kept>; 3])>> {
        let Some(branch) = folder_at(self.repository, &self.branch, folder)? else { return Ok(Ok(Vec::new())) };
        if branch.len() > MAX_FOLDER {
            let text = format!("{}: at most {MAX_FOLDER} files may be there", shown(folder.as_bytes()));
            return Ok(Err(refused("fragments-too-many", text, "take out what belongs to no change")));
        }
        let base = folder_at(self.repository, &self.base, folder)?;
        let mainline = folder_at(self.repository, &self.mainline, folder)?;
        let mut files = Vec::new();
        for entry in &branch {
            let Ok(name) = entry.name() else {
                notes.add(&format!("{folder}/{}: not folded, its name is not UTF-8", shown(entry.name_bytes())));
                continue;
            };
            let kept = Kept { id: entry.id(), mode: entry.filemode() };
            let others = [&base, &mainline].map(|tree| kept_in(tree.as_ref(), name));
            files.push((format!("{folder}/{name}"), [Some(kept), others[0], others[1]]));
        }
        Ok(Ok(files))
    }

    /// Names the authors of fragments that name nobody: of each, who committed it to the branch first.
    fn name_authors(
        &self,
        taken: &mut [Taken],
        place: &Place,
        request: &Ingredients,
        base: &CommitId,
    ) -> Result<(), MirrorError> {
        let is_typed =
            |path: &str| matches!(place.classify(path.as_bytes()), PathKind::Fragment(FragmentKind::Typed { .. }));
        let mut open: Vec<(&mut Taken, Option<Kept>)> = Vec::new();
        for one in taken.iter_mut().filter(|one| is_typed(&one.path)) {
            let before = kept_at(&self.base, &one.path)?;
            open.push((one, before));
        }
        if open.is_empty() {
            return Ok(());
        }
        let tip = find_commit(self.repository, &request.commit)?;
        let failed = |source| MirrorError::Objects { what: "looking for who wrote a fragment".to_owned(), source };
        let mut walk = self.repository.revwalk().map_err(failed)?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE).map_err(failed)?;
        walk.push(tip.id()).map_err(failed)?;
        walk.hide(find_commit(self.repository, base)?.id()).map_err(failed)?;
        let mut seen: HashMap<String, Option<git2::Oid>> = HashMap::new();
        for id in walk.take(MAX_COMMITS) {
            let commit = self.repository.find_commit(id.map_err(failed)?).map_err(failed)?;
            let tree = commit.tree().map_err(failed)?;
            // A folder is read once for all that are in it, and not at all where it is as it was found before.
            let mut read: HashMap<String, Option<Tree<'_>>> = HashMap::new();
            for (one, before) in open.iter_mut().filter(|(one, _)| one.author.is_none()) {
                let (at, name) = one.path.rsplit_once('/').unwrap_or(("", &one.path));
                if !read.contains_key(at) {
                    let now = folder_at(self.repository, &tree, at)?;
                    let is_known =
                        seen.insert(at.to_owned(), now.as_ref().map(Tree::id)) == now.as_ref().map(|it| Some(it.id()));
                    read.insert(at.to_owned(), now.filter(|_| !is_known));
                }
                if let Some(Some(folder)) = read.get(at)
                    && kept_in(Some(folder), name) != *before
                {
                    one.author = Some(author(&commit, request));
                }
            }
        }
        for (one, _) in open {
            one.author.get_or_insert_with(|| author(&tip, request));
        }
        Ok(())
    }

    /// One ChangeLog with these fragments in it, if the branch changes it, and what is worth saying.
    fn fold(
        &self,
        place: &Place,
        request: &Ingredients,
        taken: &[Taken],
        notes: &mut Notes,
        budget: &mut Budget,
    ) -> Tried<Option<FoldedFile>> {
        let path = place.path.as_str();
        let at = |tree| kept_at(tree, path);
        let (base, mainline, branch) = (at(&self.base)?, at(&self.mainline)?, at(&self.branch)?);
        if taken.is_empty() && (branch == base || branch == mainline) {
            return Ok(Ok(None));
        }
        let mut versions: Vec<Option<Vec<u8>>> = Vec::new();
        for (whose, kept) in [("", base), ("mainline's ", mainline), ("the branch's ", branch)] {
            // The branch's is a stranger's, and may be little longer than what it comes from.
            let known = versions.iter().flatten().map(|bytes| bytes.len() as u64).max().unwrap_or_default();
            let allowed = if versions.len() < 2 { MAX_CHANGELOG } else { known + MAX_GROWTH };
            match self.version(path, whose, kept, allowed.min(MAX_CHANGELOG))? {
                Ok(bytes) => versions.push(bytes),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        let [base_bytes, mainline_bytes, branch_bytes] = [0, 1, 2].map(|at| versions[at].as_deref());
        let known = [base_bytes, mainline_bytes].into_iter().flatten().map(lines_of).max().unwrap_or_default();
        if branch_bytes.is_some_and(|bytes| lines_of(bytes) > known + MAX_LINES) {
            let text = format!("the branch's {path} has more than {MAX_LINES} lines that mainline's has not");
            return Ok(Err(refused("changelog-too-large", text, "say less, or split the branch")));
        }
        let file = BranchChangeLog {
            path: path.as_bytes(),
            base: base_bytes,
            mainline: mainline_bytes,
            branch: if branch == mainline { base_bytes } else { branch_bytes },
        };
        let fragments = as_fragments(place, taken);
        let folded = match fold_branch(&file, &fragments, request.date, &place.fold_options()) {
            Ok(folded) => folded,
            Err(error) => return Ok(Err(not_folded(&error, budget))),
        };
        folded.left_out.iter().for_each(|left| notes.add(&left.to_string()));
        folded.notes.iter().for_each(|note| notes.add(&note.to_string()));
        let decides = mainline.is_some() || !folded.changelog.is_empty();
        let before = mainline_bytes.unwrap_or_default().to_vec();
        let mode = mainline.or(branch).map_or(0o100_644, |kept| kept.mode);
        let is_told = !folded.tells_nothing();
        let file = FoldedFile { path: path.to_owned(), before, after: folded.changelog, mode, is_told };
        Ok(Ok(decides.then_some(file)))
    }

    /// Mainline's ChangeLog with these fragments in it, as a release would fold them; whatever else the branch does to it is merged as text.
    fn fold_as_at_release(
        &self,
        place: &Place,
        request: &Ingredients,
        taken: &[Taken],
        notes: &mut Notes,
        budget: &mut Budget,
    ) -> Tried<FoldedFile> {
        let path = place.path.as_str();
        let mut versions = Vec::new();
        for (whose, tree) in [("", &self.base), ("mainline's ", &self.mainline)] {
            match self.version(path, whose, kept_at(tree, path)?, MAX_CHANGELOG)? {
                Ok(bytes) => versions.push(bytes),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        let [base, before] = [0, 1].map(|at| versions[at].as_deref());
        let fragments = as_fragments(place, taken);
        let options = FoldOptions { base: Some(base.unwrap_or_default()), ..place.fold_options() };
        let folded = match fold(path.as_bytes(), before, &fragments, request.date, &options) {
            Ok(folded) => folded,
            Err(error) => return Ok(Err(not_folded(&error, budget))),
        };
        folded.left_out.iter().for_each(|left| notes.add(&left.to_string()));
        let before = before.unwrap_or_default().to_vec();
        let is_told = !folded.tells_nothing();
        Ok(Ok(FoldedFile { path: path.to_owned(), before, after: folded.changelog, mode: 0o100_644, is_told }))
    }

    /// A ChangeLog's bytes; `None` if there is none.
    fn version(&self, path: &str, whose: &str, kept: Option<Kept>, allowed: u64) -> Tried<Option<Vec<u8>>> {
        let Some(kept) = kept else { return Ok(Ok(None)) };
        if !kept.is_file() {
            return Ok(Err(NotFolded::Refused(not_a_file(path, whose))));
        }
        Ok(match kept.bytes(self.repository, allowed)? {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(NotFolded::Refused(too_large(path, whose, allowed))),
        })
    }
}

fn as_fragments<'t>(place: &Place, taken: &'t [Taken]) -> Vec<Fragment<'t>> {
    let as_one = |one: &'t Taken| {
        let fragment = place.fragment(one.path.as_bytes(), &one.bytes)?;
        Some(Fragment { author: one.author.clone(), ..fragment })
    };
    taken.iter().filter_map(as_one).collect()
}

/// The folder at a path; the root at an empty one.
fn folder_at<'r>(repository: &'r Repository, root: &Tree<'r>, folder: &str) -> Result<Option<Tree<'r>>, MirrorError> {
    if folder.is_empty() {
        return Ok(Some(root.clone()));
    }
    let failed = |source| MirrorError::Objects { what: format!("reading {folder}"), source };
    let kept = kept_at(root, folder)?.filter(|kept| kept.mode == 0o040_000);
    kept.map(|kept| repository.find_tree(kept.id).map_err(failed)).transpose()
}

/// What stands under a name in a folder that was read.
fn kept_in(folder: Option<&Tree<'_>>, name: &str) -> Option<Kept> {
    folder?.get_name(name).map(|entry| Kept { id: entry.id(), mode: entry.filemode() })
}

/// The author of a commit, as one that a fragment names.
fn author(commit: &git2::Commit<'_>, request: &Ingredients) -> FragmentAuthor {
    let author = commit.author();
    let day = jiff::Timestamp::from_second(author.when().seconds())
        .map_or(request.date, |at| jiff::tz::TimeZone::UTC.to_datetime(at).date());
    let cut = |bytes: &[u8]| bytes[..bytes.len().min(MAX_AUTHOR)].to_vec();
    FragmentAuthor { name: cut(author.name_bytes()), mail: cut(author.email_bytes()), day }
}

fn lines_of(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count() + 1
}

fn not_folded(error: &FoldError, budget: &mut Budget) -> NotFolded {
    let (text, hint) = (crate::text::shown_lines(error.to_string().as_bytes()), error.hint());
    match error {
        FoldError::Conflict { path, bytes, .. } => NotFolded::Conflict {
            files: vec![ConflictFile {
                path: shown(path.as_bytes()),
                hunks: merge::marked_parts(bytes, budget),
                message: text,
            }],
            settled: Vec::new(),
        },
        FoldError::Deleted { .. } => refused("changelog-deleted", text, hint),
        FoldError::Fragments(complaints) => {
            let code = match complaints.first().map(|complaint| &complaint.problem) {
                Some(Problem::Empty) => "fragment-empty",
                Some(Problem::Binary) => "fragment-binary",
                Some(Problem::NotUtf8) => "fragment-not-utf8",
                Some(Problem::ConflictMarker) => "fragment-conflict-marker",
                _ => "fragment-malformed",
            };
            refused(code, text, hint)
        }
        _ => refused("fragment-malformed", text, hint),
    }
}
