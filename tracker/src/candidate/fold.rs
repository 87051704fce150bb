//! The fold as a candidate has it: which of a revision's files are its fragments, what becomes of ChangeLog, and what
//! that changes in the merged tree. How entries are folded is `changelog`'s own.

use super::{ChangelogChange, Ingredients, merge};
use crate::mirror::{Kept, MirrorError, find_commit, kept_at, tree_of};
use crate::text::shown;
use changelog::{
    BranchChangeLog, FoldError, FoldOptions, Fragment, FragmentAuthor, FragmentKind, FragmentRules, PathKind, Problem,
    fold_branch,
};
use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Repository, Tree};
use protocol::CommitId;
use protocol::api::{ConflictFile, Refusal};

/// The largest fragment, in bytes.
const MAX_FRAGMENT: u64 = 1 << 20;
/// The largest ChangeLog, in bytes.
const MAX_CHANGELOG: u64 = 128 << 20;
/// The folder whose files are fragments.
const FOLDER: &str = "changelog-fragments";

/// What a fold changes in a merged tree.
pub(super) struct Folding {
    /// The ChangeLog's path.
    path: String,
    /// How it changes; none when it does not, or when it is as git merged it.
    pub(super) change: Option<ChangelogChange>,
    /// What its path must hold in the candidate, if the fold decides that.
    after: Option<Vec<u8>>,
    mode: i32,
    /// The fragments, and what stands at their paths afterwards: nothing, or mainline's own.
    taken: Vec<(String, Option<Kept>)>,
    /// What is worth saying.
    pub(super) notes: Vec<String>,
}

/// Why nothing can be folded.
pub(super) enum NotFolded {
    Refused(Refusal),
    Conflict(ConflictFile),
}

fn refused(code: &str, text: String, hint: &str) -> NotFolded {
    NotFolded::Refused(Refusal { code: code.to_owned(), text, hint: hint.to_owned() })
}

type Tried<T> = Result<Result<T, NotFolded>, MirrorError>;

/// The three trees that a merge is about.
struct Sides<'r> {
    base: Tree<'r>,
    mainline: Tree<'r>,
    branch: Tree<'r>,
}

/// A fragment's path and bytes, and what stands at its path after the fold.
struct Taken {
    path: String,
    bytes: Vec<u8>,
    after: Option<Kept>,
}

impl Folding {
    pub(super) fn of(repository: &Repository, request: &Ingredients, base: &CommitId) -> Tried<Self> {
        let sides = Sides {
            base: tree_of(repository, base)?,
            mainline: tree_of(repository, &request.mainline)?,
            branch: tree_of(repository, &request.commit)?,
        };
        let rules = FragmentRules {
            names: request.fragments.iter().map(|name| name.as_bytes().to_vec()).collect(),
            ..FragmentRules::default()
        };
        let mut notes = Vec::new();
        let taken = match fragments(repository, &sides, &rules, &mut notes)? {
            Ok(taken) => taken,
            Err(refused) => return Ok(Err(refused)),
        };
        fold(repository, request, &sides, &rules, taken, notes)
    }

    /// The paths whose content does not come from git's merge.
    pub(super) fn settles(&self) -> Vec<&str> {
        let changelog = self.after.is_some().then_some(self.path.as_str());
        self.taken.iter().map(|(path, _)| path.as_str()).chain(changelog).collect()
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
        if let Some(after) = &self.after {
            let id = repository.blob(after).map_err(failed)?;
            updates.upsert(self.path.as_str(), id, mode(self.mode));
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
}

fn mode(mode: i32) -> FileMode {
    if mode == 0o100_755 { FileMode::BlobExecutable } else { FileMode::Blob }
}

/// The fragments that the branch brings: changed since the merge base, and not the same on mainline.
fn fragments(
    repository: &Repository,
    sides: &Sides<'_>,
    rules: &FragmentRules,
    notes: &mut Vec<String>,
) -> Tried<Vec<Taken>> {
    let mut paths: Vec<String> = rules.names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    paths.extend(folder_files(repository, &sides.branch)?);
    let mut taken = Vec::new();
    for path in paths {
        let Some(ours) = kept_at(&sides.branch, &path)? else { continue };
        let (before, mainline) = (kept_at(&sides.base, &path)?, kept_at(&sides.mainline, &path)?);
        if Some(ours) == before || Some(ours) == mainline {
            continue;
        }
        match rules.classify(path.as_bytes()) {
            PathKind::Fragment(_) => {}
            PathKind::Stray => {
                notes.push(format!("{}: not folded, its name is not one of a fragment", shown(path.as_bytes())));
                continue;
            }
            PathKind::Other | PathKind::Kept => continue,
        }
        if !ours.is_file() {
            let text = format!("{}: a fragment must be a plain file", shown(path.as_bytes()));
            return Ok(Err(refused("fragment-not-a-file", text, "commit a file with the entries in its place")));
        }
        let Some(bytes) = ours.bytes(repository, MAX_FRAGMENT)? else {
            let text = format!("{}: a fragment may have at most {MAX_FRAGMENT} bytes", shown(path.as_bytes()));
            return Ok(Err(refused("fragment-too-large", text, "say less, or split the branch")));
        };
        // One that mainline has got meanwhile for itself is not this branch's to delete.
        let after = mainline.filter(|_| mainline != before);
        taken.push(Taken { path, bytes, after });
    }
    Ok(Ok(taken))
}

fn folder_files(repository: &Repository, tree: &Tree<'_>) -> Result<Vec<String>, MirrorError> {
    let Some(kept) = kept_at(tree, FOLDER)?.filter(|kept| kept.mode == 0o040_000) else {
        return Ok(Vec::new());
    };
    let failed = |source| MirrorError::Objects { what: format!("reading {FOLDER}"), source };
    let folder = repository.find_tree(kept.id).map_err(failed)?;
    let names = folder.iter().filter_map(|entry| entry.name().ok().map(|name| format!("{FOLDER}/{name}")));
    Ok(names.collect())
}

fn fold(
    repository: &Repository,
    request: &Ingredients,
    sides: &Sides<'_>,
    rules: &FragmentRules,
    taken: Vec<Taken>,
    mut notes: Vec<String>,
) -> Tried<Folding> {
    let path = request.changelog.as_str();
    if !is_path_in_tree(path) {
        let text = format!("`changelog` names `{}`, which can't be a file of the repository", shown(path.as_bytes()));
        return Ok(Err(refused(
            "changelog-path",
            text,
            "name the file as `git ls-files` does, in `changelog` of .bb.toml",
        )));
    }
    let at = |tree| kept_at(tree, path);
    let (base, mainline, branch) = (at(&sides.base)?, at(&sides.mainline)?, at(&sides.branch)?);
    let is_untouched = branch == base || branch == mainline;
    let nothing = |notes, taken: Vec<Taken>| Folding {
        path: path.to_owned(),
        change: None,
        after: None,
        mode: 0o100_644,
        taken: taken.into_iter().map(|one| (one.path, one.after)).collect(),
        notes,
    };
    if taken.is_empty() && is_untouched {
        if mainline.is_some() {
            notes.push("the branch brings no ChangeLog entry".to_owned());
        }
        return Ok(Ok(nothing(notes, taken)));
    }
    let mut versions = Vec::new();
    for (whose, kept) in [("", base), ("mainline's ", mainline), ("the branch's ", branch)] {
        let bytes = match kept {
            None => None,
            Some(kept) if !kept.is_file() => {
                let text = format!("{whose}{path} is not a plain file");
                return Ok(Err(refused(
                    "changelog-not-a-file",
                    text,
                    "make it a file, or name another in `changelog` of .bb.toml",
                )));
            }
            Some(kept) => match kept.bytes(repository, MAX_CHANGELOG)? {
                Some(bytes) => Some(bytes),
                None => {
                    let text = format!("{whose}{path} has more than {MAX_CHANGELOG} bytes");
                    return Ok(Err(refused("changelog-too-large", text, "move old entries to another file")));
                }
            },
        };
        versions.push(bytes);
    }
    let [base_bytes, mainline_bytes, branch_bytes] = [0, 1, 2].map(|at| versions[at].as_deref());
    let file = BranchChangeLog {
        path: path.as_bytes(),
        base: base_bytes,
        mainline: mainline_bytes,
        branch: if branch == mainline { base_bytes } else { branch_bytes },
    };
    let author = author(repository, request)?;
    let fragments: Vec<Fragment<'_>> = taken.iter().filter_map(|one| fragment(rules, one, &author)).collect();
    match fold_branch(&file, &fragments, request.date, &FoldOptions::default()) {
        Ok(folded) => {
            notes.extend(folded.left_out.iter().map(|left| shown(left.to_string().as_bytes())));
            notes.extend(folded.notes.iter().map(|note| shown(note.to_string().as_bytes())));
            let before = mainline_bytes.unwrap_or_default().to_vec();
            let decides = mainline.is_some() || !folded.changelog.is_empty();
            let change =
                (before != folded.changelog).then(|| ChangelogChange { before, after: folded.changelog.clone() });
            let after = decides.then_some(folded.changelog);
            let mode = mainline.or(branch).map_or(0o100_644, |kept| kept.mode);
            Ok(Ok(Folding { change, after, mode, ..nothing(notes, taken) }))
        }
        Err(error) => Ok(Err(not_folded(&error))),
    }
}

/// Whether git would take this for the path of a file: nothing absolute, nothing that leads out, nothing of its own.
fn is_path_in_tree(path: &str) -> bool {
    !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"))
}

fn fragment<'a>(rules: &FragmentRules, taken: &'a Taken, author: &FragmentAuthor) -> Option<Fragment<'a>> {
    let fragment = rules.fragment(taken.path.as_bytes(), &taken.bytes)?;
    Some(match fragment.kind {
        FragmentKind::Gnu => fragment,
        FragmentKind::Typed { .. } => Fragment { author: Some(author.clone()), ..fragment },
    })
}

/// Who is named for a fragment that names nobody: the author of the revision's commit.
fn author(repository: &Repository, request: &Ingredients) -> Result<FragmentAuthor, MirrorError> {
    let commit = find_commit(repository, &request.commit)?;
    let author = commit.author();
    let day = jiff::Timestamp::from_second(author.when().seconds())
        .map_or(request.date, |at| jiff::tz::TimeZone::UTC.to_datetime(at).date());
    Ok(FragmentAuthor { name: author.name_bytes().to_vec(), mail: author.email_bytes().to_vec(), day })
}

fn not_folded(error: &FoldError) -> NotFolded {
    let (text, hint) = (crate::text::shown_lines(error.to_string().as_bytes()), error.hint());
    match error {
        FoldError::Conflict { path, bytes, .. } => NotFolded::Conflict(ConflictFile {
            path: shown(path.as_bytes()),
            hunks: merge::marked_parts(bytes),
            message: text,
        }),
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
