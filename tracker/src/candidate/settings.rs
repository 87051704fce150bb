//! What decides how a candidate is folded is read from the very tree that it stands on, and nowhere else: nobody can pass
//! what another commit says. And whether a fault is that tree's own: then it is nobody's who brings a branch.

use super::faults::{MAX_CHANGELOG, not_a_file, path_fault, too_large};
use super::refusal;
use crate::mirror::{Kept, Mirror, MirrorError, commit_id, kept_at, merge_base, oid, tree_of};
use crate::text::shown;
use changelog::{FoldError, Place, fold};
use git2::{Repository, Tree};
use jiff::civil::Date;
use protocol::api::Refusal;
use protocol::{CommitId, Hint};
use recipe::{FILE_NAME, Project};
use std::cell::RefCell;

/// The largest recipe that is read, in bytes.
const MAX_RECIPE: u64 = 1 << 20;

/// An entry that any ChangeLog takes.
const PROBE: &[u8] = b"2026-01-02  A U Thor  <author@example.org>\n\n\t* probe: Say it.\n";

impl Mirror {
    /// The recipe, `.bb.toml`, of a commit: none, its bytes, or why it can't be read as one.
    ///
    /// # Errors
    /// When the commit is not there.
    pub async fn recipe_file(&self, commit: &CommitId) -> Result<Option<Result<Vec<u8>, Refusal>>, MirrorError> {
        let commit = commit.clone();
        self.with_repository(move |repository| recipe_of(repository, &tree_of(repository, &commit)?)).await
    }

    /// Whether a revision brings a recipe of its own: neither that of mainline nor that which it began with. For a revision
    /// of which no candidate can be made; one that is made shows it itself.
    ///
    /// # Errors
    /// When a commit is not there.
    pub async fn brings_recipe(&self, mainline: &CommitId, revision: &CommitId) -> Result<bool, MirrorError> {
        let (mainline, revision) = (mainline.clone(), revision.clone());
        self.with_repository(move |repository| {
            let at = |commit: &CommitId| kept_at(&tree_of(repository, commit)?, FILE_NAME);
            let own = at(&revision)?;
            if own == at(&mainline)? {
                return Ok(false);
            }
            Ok(match merge_base(repository, oid(&mainline)?, oid(&revision)?)? {
                Some(base) => own != at(&commit_id(base)?)?,
                None => true,
            })
        })
        .await
    }
}

fn recipe_of(repository: &Repository, tree: &Tree<'_>) -> Result<Option<Result<Vec<u8>, Refusal>>, MirrorError> {
    let Some(kept) = kept_at(tree, FILE_NAME)? else { return Ok(None) };
    let wrong =
        |what: String| refusal("recipe-error", what, "make .bb.toml a plain file, as the guide to recipes shows");
    if !kept.is_file() {
        return Ok(Some(Err(wrong(format!("{FILE_NAME} is not a plain file")))));
    }
    let bytes = kept.bytes(repository, MAX_RECIPE)?;
    Ok(Some(bytes.ok_or_else(|| wrong(format!("{FILE_NAME} has more than {MAX_RECIPE} bytes")))))
}

/// The settings of the tree at `commit`, or what is wrong with them; `otherwise` are those for a tree without a recipe.
pub(crate) fn settings(
    repository: &Repository,
    commit: &CommitId,
    otherwise: Option<&Project>,
) -> Result<Result<Project, Refusal>, MirrorError> {
    let tree = tree_of(repository, commit)?;
    match (recipe_of(repository, &tree)?, otherwise) {
        (Some(Err(refusal)), _) => return Ok(Err(refusal)),
        (None, Some(said)) if *said != Project::default() => return Ok(Ok(said.clone())),
        _ => {}
    }
    let failed = RefCell::new(None);
    let read = |name: &str| {
        let text = kept_at(&tree, name).and_then(|kept| match kept.filter(|kept| kept.is_file()) {
            Some(kept) => kept.bytes(repository, MAX_RECIPE),
            None => Ok(None),
        });
        text.unwrap_or_else(|error| {
            failed.borrow_mut().get_or_insert(error);
            None
        })
    };
    let project = Project::read(read);
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    Ok(project.map_err(|error| Refusal {
        code: "recipe-error".to_owned(),
        text: error.line(),
        hint: Hint::new(error.hint()),
    }))
}

/// What of mainline's own keeps any entry from being folded there; found by trying one that nobody could blame.
pub(super) fn fault_of_mainline(
    repository: &Repository,
    mainline: &Tree<'_>,
    project: &Project,
    on: Date,
) -> Result<Option<Refusal>, MirrorError> {
    let has = |path: &str| matches!(kept_at(mainline, path), Ok(Some(_)));
    for place in &*project.places(has) {
        if let Some(refusal) = fault_at(repository, mainline, place, on)? {
            return Ok(Some(refusal));
        }
    }
    Ok(None)
}

fn fault_at(
    repository: &Repository,
    mainline: &Tree<'_>,
    place: &Place,
    on: Date,
) -> Result<Option<Refusal>, MirrorError> {
    if let Some(refusal) = path_fault(place) {
        return Ok(Some(refusal));
    }
    if let Some(folder) = place.rules.folder.as_ref().map(|folder| place.rooted(folder))
        && kept_at(mainline, &folder)?.is_some_and(|kept| kept.mode != 0o040_000)
    {
        let text = format!("{} is not a folder", shown(folder.as_bytes()));
        return Ok(Some(refusal("fragments-not-a-folder", text, "make it a folder, or name another in .bb.toml")));
    }
    let kept: Option<Kept> = kept_at(mainline, &place.path)?;
    let before = match kept {
        None => None,
        Some(kept) if !kept.is_file() => return Ok(Some(not_a_file(&place.path, "mainline's "))),
        Some(kept) => match kept.bytes(repository, MAX_CHANGELOG)? {
            None => return Ok(Some(too_large(&place.path, "mainline's ", MAX_CHANGELOG))),
            bytes => bytes,
        },
    };
    let names = place.rules.names.iter().map(|name| place.rooted(name));
    let in_folder = place.rules.folder.iter().map(|folder| place.rooted(&format!("{folder}/probe.ChangeLog")));
    let paths: Vec<String> = names.chain(in_folder).collect();
    let Some(probe) = paths.iter().find_map(|path| place.fragment(path.as_bytes(), PROBE)) else { return Ok(None) };
    Ok(match fold(place.path.as_bytes(), before.as_deref(), &[probe], on, &place.fold_options()) {
        // What a format says of fragments is no fault of the ChangeLog's.
        Ok(_) | Err(FoldError::Fragments(_)) => None,
        Err(error) => {
            let text = crate::text::shown_lines(error.to_string().as_bytes());
            Some(refusal("changelog-unusable", text, error.hint()))
        }
    })
}
