//! The fold in a work tree: which fragments are there, the ChangeLogs with them folded, and both staged.

use super::git::{Git, fields};
use super::stage::Changes;
use super::{Settings, WorkTree, WorkTreeError};
use changelog::{
    BranchChangeLog, FoldOptions, Folded, Fragment, FragmentAuthor, FragmentKind, LeftOut, Markers, MergeOptions, Note,
    PathKind, Place, fold, fold_branch, merge, merge_as_text,
};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

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
    /// Folds all fragments of the work tree.
    ///
    /// # Errors
    /// See [`WorkTreeError`]; nothing is changed then.
    pub fn merge_changelog(&self, settings: &Settings, request: &FoldRequest) -> Result<FoldReport, WorkTreeError> {
        self.refuse_unmerged()?;
        let branch = self.merge_in_progress()?;
        let mut report = FoldReport {
            date: request.date.to_string(),
            places: Vec::new(),
            stray: Vec::new(),
            changed: false,
            commit: None,
        };
        let mut changes = Changes::default();
        for place in &settings.places {
            let found = self.fragments_of(place, settings, request.force)?;
            report.stray.extend(found.stray.iter().cloned());
            let Some(folded) = self.fold_place(place, &found, branch.as_ref(), request)? else { continue };
            if folded.after != folded.before {
                changes.written.push((place.path.clone(), folded.after.clone()));
            }
            changes.deleted.extend(folded.removed.iter().cloned());
            report.places.push(folded);
        }
        let nothing = changes.written.is_empty() && changes.deleted.is_empty();
        if nothing || request.then == Then::DryRun {
            return Ok(report);
        }
        if request.then == Then::Amend && self.git.commit("HEAD")?.is_none() {
            return Err(WorkTreeError::NothingToAmend);
        }
        self.apply(&changes)?;
        report.changed = true;
        report.commit = self.commit(&changes, request.then, branch.is_some())?;
        Ok(report)
    }

    fn refuse_unmerged(&self) -> Result<(), WorkTreeError> {
        let listed = self.git.run(&["ls-files", "--unmerged", "-z"])?;
        let paths: BTreeSet<String> = fields(&listed).filter_map(path_in_stage_line).collect();
        if paths.is_empty() { Ok(()) } else { Err(WorkTreeError::Unmerged(paths.into_iter().collect())) }
    }

    /// The merge that is in progress, or was just made: its two sides and where they part.
    fn merge_in_progress(&self) -> Result<Option<Sides>, WorkTreeError> {
        let Some(theirs) = self.git.commit("MERGE_HEAD")? else { return Ok(None) };
        let Some(ours) = self.git.commit("HEAD")? else { return Ok(None) };
        let bases = self.git.ask(&["merge-base", &ours, &theirs])?;
        let base = bases.map(|b| String::from_utf8_lossy(&b).trim().to_owned());
        Ok(base.map(|base| Sides { base, ours, theirs }))
    }

    fn fold_place(
        &self,
        place: &Place,
        found: &Found,
        branch: Option<&Sides>,
        request: &FoldRequest,
    ) -> Result<Option<PlaceReport>, WorkTreeError> {
        let before = self.changelog_of(place, request.force)?;
        let fragments = found.for_place(place);
        let versions = match branch {
            Some(sides) => Some(sides.versions(&self.git, &place.path)?),
            None => None,
        };
        if fragments.is_empty() && versions.as_ref().is_none_or(|v| v.branch == v.base) {
            return Ok(None);
        }
        let options = FoldOptions {
            date: place.date,
            indent: place.indent,
            base: versions.as_ref().map(|v| v.base.as_deref().unwrap_or_default()),
            format: place.format,
            issue_url: place.issue_url.as_deref(),
        };
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
        Ok(Some(report_of(place, before.unwrap_or_default(), folded)))
    }

    /// The ChangeLog as it is in the work tree.
    fn changelog_of(&self, place: &Place, force: bool) -> Result<Option<Vec<u8>>, WorkTreeError> {
        let path = self.top.join(&place.path);
        if !self.is_plain_file(&place.path)? {
            return Ok(None);
        }
        if !force && self.has_unstaged(std::slice::from_ref(&place.path))?.contains(&place.path) {
            return Err(WorkTreeError::NotStaged { path: place.path.clone() });
        }
        fs::read(&path).map(Some).map_err(WorkTreeError::file(path))
    }

    /// The fragments of one ChangeLog, with what they say.
    pub(super) fn fragments_of(&self, place: &Place, settings: &Settings, force: bool) -> Result<Found, WorkTreeError> {
        let names = place.rules.names.iter().map(|n| String::from_utf8_lossy(n).into_owned());
        let folder = place.rules.folder.as_ref().map(|f| place.rooted(&String::from_utf8_lossy(f)));
        let mut specs: Vec<String> = names.map(|n| place.rooted(&n)).collect();
        for path in &specs {
            self.is_plain_file(path)?;
        }
        specs.extend(folder);
        let mut found = Found::default();
        if specs.is_empty() {
            return Ok(found);
        }
        let mut args = vec!["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"];
        args.extend(specs.iter().map(String::as_str));
        let listed = self.git.run(&args)?;
        let unstaged = self.has_unstaged(&specs)?;
        let paths: BTreeSet<&[u8]> = fields(&listed).collect();
        for path in paths {
            let own = settings.place_of(path).is_some_and(|p| p.path == place.path);
            let kind = place.within(path).map(|p| place.rules.classify(p));
            match (&kind, std::str::from_utf8(path)) {
                (Some(PathKind::Fragment(_)), Ok(path)) if own => {
                    if unstaged.contains(path) && !force {
                        return Err(WorkTreeError::NotStaged { path: path.to_owned() });
                    }
                    if self.is_plain_file(path)? {
                        let file = self.top.join(path);
                        let bytes = fs::read(&file).map_err(WorkTreeError::file(file))?;
                        let is_typed = matches!(kind, Some(PathKind::Fragment(FragmentKind::Typed { .. })));
                        let is_untracked = unstaged.contains(path);
                        found.fragments.push(FoundFragment {
                            path: path.to_owned(),
                            bytes,
                            author: None,
                            is_typed,
                            is_untracked,
                        });
                    }
                }
                (Some(PathKind::Fragment(_) | PathKind::Stray), _) if own => {
                    found.stray.push(String::from_utf8_lossy(path).into_owned());
                }
                _ => {}
            }
        }
        self.name_authors(&mut found)?;
        Ok(found)
    }

    /// Who wrote the typed fragments: who committed them first, else whoever runs this.
    fn name_authors(&self, found: &mut Found) -> Result<(), WorkTreeError> {
        let typed: Vec<&str> = found.fragments.iter().filter(|f| f.is_typed).map(|f| f.path.as_str()).collect();
        if typed.is_empty() {
            return Ok(());
        }
        let mut folders: BTreeSet<&str> = typed.iter().filter_map(|p| Some(p.rsplit_once('/')?.0)).collect();
        if folders.is_empty() {
            folders.extend(typed);
        }
        let mut authors: HashMap<Vec<u8>, FragmentAuthor> = HashMap::new();
        if self.git.commit("HEAD")?.is_some() {
            let log = [
                "log",
                "--diff-filter=A",
                "--no-renames",
                "--name-only",
                "-z",
                "--format=%x01%an%x02%ae%x02%as",
                "HEAD",
                "--",
            ];
            let args: Vec<&str> = log.into_iter().chain(folders).collect();
            let mut current = None;
            for field in fields(&self.git.run(&args)?) {
                let field = field.strip_prefix(b"\n").unwrap_or(field);
                match field.strip_prefix(b"\x01") {
                    Some(author) => current = read_author(author),
                    // The oldest commit that added it comes last.
                    None => authors.extend(current.clone().map(|author| (field.to_vec(), author))),
                }
            }
        }
        let own = self.own_name()?;
        for fragment in found.fragments.iter_mut().filter(|f| f.is_typed) {
            fragment.author = Some(authors.remove(fragment.path.as_bytes()).unwrap_or_else(|| own.clone()));
        }
        Ok(())
    }

    /// Who git takes the user for.
    pub(super) fn own_name(&self) -> Result<FragmentAuthor, WorkTreeError> {
        let said = self.git.run(&["var", "GIT_AUTHOR_IDENT"])?;
        let said = String::from_utf8_lossy(&said);
        let (name, rest) = said.split_once(" <").unwrap_or((said.trim(), ""));
        let mail = rest.split('>').next().unwrap_or_default();
        let day = jiff::ZonedDateTime::now().date();
        Ok(FragmentAuthor { name: name.as_bytes().to_vec(), mail: mail.as_bytes().to_vec(), day })
    }

    /// Those of the paths whose file is not what the index has, or that the index does not have.
    fn has_unstaged(&self, specs: &[String]) -> Result<BTreeSet<String>, WorkTreeError> {
        let with = |args: &[&'static str]| -> Result<Vec<u8>, WorkTreeError> {
            let args: Vec<&str> = args.iter().copied().chain(specs.iter().map(String::as_str)).collect();
            self.git.run(&args)
        };
        // `diff-files` goes by the stat data alone when they say "changed"; a plain `diff` looks at the content.
        let changed = with(&["diff", "--no-ext-diff", "--name-only", "-z", "--"])?;
        let new = with(&["ls-files", "-z", "--others", "--exclude-standard", "--"])?;
        Ok(fields(&changed).chain(fields(&new)).map(|p| String::from_utf8_lossy(p).into_owned()).collect())
    }

    /// Whether a file is there; something else in its place, or in the place of a folder above it, is refused.
    pub(super) fn is_plain_file(&self, path: &str) -> Result<bool, WorkTreeError> {
        let refuse =
            |path: &Path, what| Err(WorkTreeError::NotAFile { path: path.to_string_lossy().into_owned(), what });
        let above = Path::new(path).ancestors().skip(1).filter(|p| !p.as_os_str().is_empty());
        for folder in above {
            match fs::symlink_metadata(self.top.join(folder)) {
                Ok(found) if found.is_symlink() => return refuse(folder, "a symbolic link"),
                Ok(found) if !found.is_dir() => return refuse(Path::new(path), "below a file"),
                _ => {}
            }
        }
        match fs::symlink_metadata(self.top.join(path)) {
            Ok(found) if found.is_file() => Ok(true),
            Ok(found) if found.is_symlink() => refuse(Path::new(path), "a symbolic link"),
            Ok(found) if found.is_dir() => refuse(Path::new(path), "a folder"),
            Ok(_) => refuse(Path::new(path), "a device or socket"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(WorkTreeError::file(self.top.join(path))(error)),
        }
    }

    fn commit(&self, changes: &Changes, then: Then, merging: bool) -> Result<Option<String>, WorkTreeError> {
        let paths: Vec<&str> =
            changes.written.iter().map(|(p, _)| p.as_str()).chain(changes.deleted.iter().map(String::as_str)).collect();
        let names: Vec<&str> = changes.written.iter().map(|(p, _)| p.as_str()).collect();
        let message = format!(
            "Fold fragments into {}",
            if names.is_empty() { "ChangeLog".to_owned() } else { names.join(" and ") }
        );
        let mut args = vec!["commit", "--quiet"];
        match then {
            Then::DryRun | Then::Stage => return Ok(None),
            Then::Commit if merging => args.push("--no-edit"),
            Then::Commit => args.extend(["-m", message.as_str(), "--only", "--"]),
            Then::Amend => args.extend(["--amend", "--no-edit", "--only", "--"]),
        }
        if args.last() == Some(&"--") {
            args.extend(paths);
        }
        self.git.run(&args)?;
        self.git.commit("HEAD")
    }
}

/// What the fragments' places hold.
#[derive(Default)]
pub(super) struct Found {
    pub(super) fragments: Vec<FoundFragment>,
    pub(super) stray: Vec<String>,
}

/// A fragment's file.
pub(super) struct FoundFragment {
    pub(super) path: String,
    bytes: Vec<u8>,
    author: Option<FragmentAuthor>,
    is_typed: bool,
    is_untracked: bool,
}

impl Found {
    /// The fragments, as the ChangeLog of this place takes them.
    pub(super) fn for_place(&self, place: &Place) -> Vec<Fragment<'_>> {
        self.fragments
            .iter()
            .filter_map(|found| {
                let fragment = place.rules.fragment_at(place, found.path.as_bytes(), &found.bytes)?;
                Some(Fragment { author: found.author.clone(), ..fragment })
            })
            .collect()
    }

    /// Whether the index does not have this file as it is.
    pub(super) fn is_untracked(&self, path: &[u8]) -> bool {
        self.fragments.iter().any(|f| f.is_untracked && f.path.as_bytes() == path)
    }
}

fn read_author(text: &[u8]) -> Option<FragmentAuthor> {
    let mut parts = text.split(|&b| b == 2);
    let (name, mail, day) = (parts.next()?.to_vec(), parts.next()?.to_vec(), parts.next()?);
    let day = std::str::from_utf8(day).ok()?.trim().parse().ok()?;
    Some(FragmentAuthor { name, mail, day })
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

fn path_in_stage_line(line: &[u8]) -> Option<String> {
    let tab = line.iter().position(|&b| b == b'\t')?;
    Some(String::from_utf8_lossy(&line[tab + 1..]).into_owned())
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
