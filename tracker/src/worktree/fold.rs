//! The fold in a work tree: which fragments are there, the ChangeLogs with them folded, and both staged.

use super::found::{Found, Listing};
use super::git::Git;
use super::own::{Owner, Taking};
use super::stage::{Changes, Deleted, Journal, Written};
use super::{WorkTree, WorkTreeError};
use changelog::{
    BranchChangeLog, FoldAt, FoldError, FoldOptions, Folded, LeftOut, Markers, MergeOptions, Note, Nothing, Place,
    Release, fold, fold_branch, merge, merge_as_text, release,
};
use jiff::civil::Date;
use serde::Serialize;
use std::fs;

/// What to do after the fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// Nothing: only say what would be done.
    DryRun,
    /// Stage it.
    #[default]
    Stage,
    /// Stage and commit it; in the middle of a merge, that commit concludes the merge.
    Commit,
    /// Stage it and put it into the newest commit.
    Amend,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct FoldRequest {
    /// The date of the entries.
    pub date: Date,
    /// What to do after it.
    pub then: Then,
    /// Take files as they are in the work tree, staged or not.
    pub force: bool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct FoldReport {
    /// The date that was asked for.
    pub date: String,
    /// The ChangeLogs that fragments were found for.
    pub places: Vec<PlaceReport>,
    /// Files in the fragments' folders that no ChangeLog takes.
    pub stray: Vec<String>,
    /// Fragments that mainline keeps; they are not the branch's.
    pub kept: Vec<String>,
    /// The branch's own, where the project folds at its releases only: they stay until then.
    pub waiting: Vec<String>,
    /// Whether a fold that had been killed was brought to its end first.
    pub finished: bool,
    /// Whether files were changed.
    pub changed: bool,
    /// The commit that was made.
    pub commit: Option<String>,
}

/// What came of the fold for one ChangeLog.
#[derive(Clone, Debug, Serialize)]
pub struct PlaceReport {
    /// The ChangeLog's path.
    pub path: String,
    /// How many entries were added.
    pub entries: usize,
    /// How many were lifted out of what the branch wrote into the ChangeLog itself.
    pub lifted: usize,
    /// The new text.
    pub added: String,
    /// The fragments that were folded and are deleted.
    pub removed: Vec<String>,
    /// Entries that were there already.
    pub left_out: Vec<LeftOut>,
    /// What else there is to say.
    pub notes: Vec<Note>,
    /// The file as it was and as it is now.
    #[serde(skip)]
    pub before: Vec<u8>,
    /// The file with the entries in it.
    #[serde(skip)]
    pub after: Vec<u8>,
}

impl WorkTree {
    /// Folds the branch's fragments.
    ///
    /// # Errors
    /// See [`WorkTreeError`]; nothing is changed then.
    pub fn merge_changelog(&self, places: &[Place], request: &FoldRequest) -> Result<FoldReport, WorkTreeError> {
        self.fold(places, request, Taking::Own(None))
    }

    /// The same, compared with this commit in place of mainline.
    ///
    /// # Errors
    /// See [`WorkTreeError`]; nothing is changed then.
    pub fn merge_changelog_against(
        &self,
        places: &[Place],
        request: &FoldRequest,
        against: &str,
    ) -> Result<FoldReport, WorkTreeError> {
        self.fold(places, request, Taking::Own(Some(against)))
    }

    /// Folds all fragments that are there, those too that mainline keeps.
    ///
    /// # Errors
    /// See [`WorkTreeError`]; nothing is changed then.
    pub fn fold_all(&self, places: &[Place], request: &FoldRequest) -> Result<FoldReport, WorkTreeError> {
        self.fold(places, request, Taking::All)
    }

    /// Folds all fragments that are there, and heads what is not released yet with this version; `nothing` says what to do if it says nothing.
    ///
    /// # Errors
    /// See [`WorkTreeError`]; nothing is changed then.
    pub fn release(
        &self,
        places: &[Place],
        request: &FoldRequest,
        version: &str,
        nothing: Nothing,
    ) -> Result<FoldReport, WorkTreeError> {
        let of = Release { version, on: request.date, nothing };
        self.fold(places, request, Taking::Release(of))
    }

    fn fold(&self, places: &[Place], request: &FoldRequest, taking: Taking<'_>) -> Result<FoldReport, WorkTreeError> {
        if request.then == Then::DryRun && self.is_half_changed() {
            return Err(WorkTreeError::HalfChanged);
        }
        let finished = self.finish_killed()?;
        let listing = self.list(places)?;
        if !listing.unmerged.is_empty() {
            return Err(WorkTreeError::Unmerged(listing.unmerged.iter().cloned().collect()));
        }
        let in_progress = self.merge_in_progress()?;
        let merging = in_progress.is_some();
        let branch = match in_progress {
            None if request.then == Then::Amend => self.merge_just_made()?,
            other => other,
        };
        let owner = match taking {
            Taking::Own(against) if listing.has_any(places) => {
                let merge = branch.as_ref().map(|sides| (sides.ours.as_str(), sides.theirs.as_str()));
                self.owner(places, self.line(against, merge)?.as_ref())?
            }
            _ => Owner::default(),
        };
        let (mut reports, mut stray, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
        let (mut kept, mut waiting) = (Vec::new(), Vec::new());
        for place in places {
            let mut found = self.fragments_of(place, places, &listing, &owner, request.force)?;
            stray.extend(found.stray.iter().map(|(path, _)| path.clone()));
            kept.append(&mut found.kept);
            if place.when == FoldAt::Release && matches!(taking, Taking::Own(_)) {
                waiting.extend(found.fragments.into_iter().map(|fragment| fragment.path));
                continue;
            }
            let folded = match taking {
                Taking::Release(of) => self.release_place(place, found, &listing, of, request)?,
                _ => self.fold_place(place, found, &listing, branch.as_ref(), request)?,
            };
            let Some((report, fragments)) = folded else { continue };
            deleted.extend(fragments);
            reports.push(report);
        }
        let changed = reports.iter().filter(|it| it.after != it.before);
        let written = changed.map(|it| Written {
            path: it.path.clone(),
            before: listing.has(it.path.as_bytes()).then_some(it.before.as_slice()),
            bytes: &it.after,
            mode: listing.mode(&it.path),
        });
        let changes = Changes { written: written.collect(), deleted };
        let nothing = changes.written.is_empty() && changes.deleted.is_empty();
        let is_done = (nothing && finished.is_none()) || request.then == Then::DryRun;
        let mut commit = None;
        if let (Taking::Release(_), true) = (taking, reports.is_empty()) {
            let paths = places.iter().map(|place| place.path.as_str()).collect::<Vec<_>>();
            return Err(changelog::FoldError::NothingToRelease { path: paths.join(", ") }.into());
        }
        if !is_done {
            if request.then == Then::Amend && self.git.commit("HEAD")?.is_none() {
                return Err(WorkTreeError::NothingToAmend);
            }
            if !nothing {
                self.apply(&changes)?;
            }
            let (mut names, mut gone) = finished.as_ref().map(Journal::paths).unwrap_or_default();
            names.extend(changes.written.iter().map(|it| it.path.as_str()));
            gone.extend(changes.deleted.iter().map(|it| it.path.as_str()));
            commit = self.commit(&names, &gone, request.then, merging)?;
        }
        Ok(FoldReport {
            date: request.date.to_string(),
            places: reports,
            stray,
            kept,
            waiting,
            finished: finished.is_some(),
            changed: !is_done,
            commit,
        })
    }

    /// The merge that is in progress: its two sides and where they part.
    fn merge_in_progress(&self) -> Result<Option<Sides>, WorkTreeError> {
        // Most of the time there is none, and a look at the file is cheaper than asking git.
        if !self.merge_head.exists() {
            return Ok(None);
        }
        let Some(theirs) = self.git.commit("MERGE_HEAD")? else { return Ok(None) };
        let Some(ours) = self.git.commit("HEAD")? else { return Ok(None) };
        self.sides(ours, theirs)
    }

    /// The merge that HEAD is, if it is one of two.
    fn merge_just_made(&self) -> Result<Option<Sides>, WorkTreeError> {
        let said = self.git.ask(&["rev-parse", "--quiet", "--verify", "--end-of-options", "HEAD^3"])?;
        let (None, Some(ours), Some(theirs)) = (said, self.git.commit("HEAD^1")?, self.git.commit("HEAD^2")?) else {
            return Ok(None);
        };
        self.sides(ours, theirs)
    }

    fn sides(&self, ours: String, theirs: String) -> Result<Option<Sides>, WorkTreeError> {
        let bases = self.git.ask(&["merge-base", &ours, &theirs])?;
        let base = bases.map(|b| String::from_utf8_lossy(&b).trim().to_owned());
        Ok(base.map(|base| Sides { base, ours, theirs }))
    }

    fn fold_place(
        &self,
        place: &Place,
        mut found: Found,
        listing: &Listing,
        branch: Option<&Sides>,
        request: &FoldRequest,
    ) -> Result<Option<(PlaceReport, Vec<Deleted>)>, WorkTreeError> {
        let before = self.changelog_of(place, listing, request.force)?;
        self.name_authors(place, before.as_deref(), &mut found)?;
        let fragments = found.for_place(place);
        let versions = match branch {
            Some(sides) => Some(sides.versions(&self.git, &place.path)?),
            None => None,
        };
        if fragments.is_empty() && versions.as_ref().is_none_or(|v| v.branch == v.base) {
            return Ok(None);
        }
        let base = versions.as_ref().map(|v| v.base.as_deref().unwrap_or_default());
        let options = FoldOptions { base, ..place.fold_options() };
        let folded = match &versions {
            Some(v) if v.explains(before.as_deref()) => {
                let file = BranchChangeLog {
                    path: place.path.as_bytes(),
                    base: v.base.as_deref(),
                    mainline: v.mainline.as_deref(),
                    branch: v.branch.as_deref(),
                };
                fold_branch(&file, &fragments, request.date, &options)?
            }
            _ => fold(place.path.as_bytes(), before.as_deref(), &fragments, request.date, &options)?,
        };
        let deleted = found.fragments.into_iter().map(|f| Deleted { path: f.path, bytes: f.bytes }).collect();
        Ok(Some((report_of(place, before.unwrap_or_default(), folded), deleted)))
    }

    /// The same for a release; a ChangeLog in which nothing is to be released is passed over.
    fn release_place(
        &self,
        place: &Place,
        mut found: Found,
        listing: &Listing,
        of: Release<'_>,
        request: &FoldRequest,
    ) -> Result<Option<(PlaceReport, Vec<Deleted>)>, WorkTreeError> {
        let before = self.changelog_of(place, listing, request.force)?;
        self.name_authors(place, before.as_deref(), &mut found)?;
        let (path, fragments) = (place.path.as_bytes(), found.for_place(place));
        let folded = match release(path, before.as_deref(), &fragments, of, &place.fold_options()) {
            Err(FoldError::NothingToRelease { .. }) => return Ok(None),
            folded => folded?,
        };
        let deleted = found.fragments.into_iter().map(|f| Deleted { path: f.path, bytes: f.bytes }).collect();
        Ok(Some((report_of(place, before.unwrap_or_default(), folded), deleted)))
    }

    /// The ChangeLog as it is in the work tree.
    fn changelog_of(&self, place: &Place, listing: &Listing, force: bool) -> Result<Option<Vec<u8>>, WorkTreeError> {
        listing.see_that_it_is_there(&place.path)?;
        let path = self.top.join(&place.path);
        if !self.is_plain_file(&place.path)? {
            return Ok(None);
        }
        if !force && listing.is_unstaged(&place.path) {
            return Err(WorkTreeError::NotStaged { path: place.path.clone() });
        }
        fs::read(&path).map(Some).map_err(WorkTreeError::file(path))
    }

    fn commit(
        &self,
        names: &[&str],
        gone: &[&str],
        then: Then,
        merging: bool,
    ) -> Result<Option<String>, WorkTreeError> {
        let message = format!(
            "Fold fragments into {}",
            if names.is_empty() { "ChangeLog".to_owned() } else { names.join(" and ") }
        );
        let only = ["--only", "--pathspec-from-file=-", "--pathspec-file-nul"];
        let mut args = vec!["commit", "--quiet"];
        let mut paths = Vec::new();
        match then {
            Then::DryRun | Then::Stage => return Ok(None),
            Then::Commit if merging => args.push("--no-edit"),
            Then::Commit => args.extend(["-m", message.as_str()]),
            Then::Amend => args.extend(["--amend", "--no-edit"]),
        }
        if !merging {
            args.extend(only);
            for path in names.iter().chain(gone) {
                paths.extend_from_slice(path.as_bytes());
                paths.push(0);
            }
        }
        self.git.run_with(&args, &paths)?;
        self.git.commit("HEAD")
    }
}

/// The commits of a merge.
struct Sides {
    base: String,
    ours: String,
    theirs: String,
}

/// A ChangeLog at those commits.
struct Versions {
    base: Option<Vec<u8>>,
    mainline: Option<Vec<u8>>,
    branch: Option<Vec<u8>>,
}

impl Sides {
    fn versions(&self, git: &Git, path: &str) -> Result<Versions, WorkTreeError> {
        Ok(Versions {
            base: git.file_at(&self.base, path)?,
            mainline: git.file_at(&self.ours, path)?,
            branch: git.file_at(&self.theirs, path)?,
        })
    }
}

impl Versions {
    /// Whether the file is what a merge of these made, so that it can be made anew; else a person had a hand in it.
    fn explains(&self, file: Option<&[u8]>) -> bool {
        if file == self.mainline.as_deref() {
            return true;
        }
        let [base, ours, theirs] = [&self.base, &self.mainline, &self.branch].map(|v| v.as_deref().unwrap_or_default());
        let merged = merge(base, ours, theirs, &MergeOptions::default());
        let lines = merge_as_text(base, ours, theirs, &Markers::default());
        [merged, lines].iter().any(|m| m.conflicts == 0 && file == Some(m.bytes.as_slice()))
    }
}

fn report_of(place: &Place, before: Vec<u8>, folded: Folded) -> PlaceReport {
    PlaceReport {
        path: place.path.clone(),
        entries: folded.entries,
        lifted: folded.lifted,
        added: String::from_utf8_lossy(&folded.changelog[folded.added.clone()]).into_owned(),
        removed: folded.removed.iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect(),
        left_out: folded.left_out,
        notes: folded.notes,
        before,
        after: folded.changelog,
    }
}
