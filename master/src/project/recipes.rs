//! Which recipe counts: the project's `.bb.toml`, else the master's for it, else a guessed one.

use super::{Guarded, RecipeInUse, RecipeState};
use gate::verdict::Trouble;
use protocol::{CommitId, Hint};
use recipe::{FILE_NAME, Freeze, Recipe, RecipeError, Warning};
use std::sync::Arc;
use tracker::mirror::{EntryKind, MirrorError};

/// The largest file that is read to guess a recipe, in bytes.
const GUESS_BYTES: u64 = 1 << 20;

/// Before what a recipe was guessed from.
const GUESSED: &str = "guessed from ";

/// Files whose text a guess may depend on.
const GUESS_FILES: [&str; 10] = [
    "Makefile",
    "makefile",
    "GNUmakefile",
    "package.json",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
    "Cargo.toml",
    "noxfile.py",
    "composer.json",
];

/// The recipe at a commit, mainline's or a candidate's own: what its tree says, else the master for the project, else a
/// guess. What a tree says is the same for ever, so that it may be remembered by its commit, and by nothing else.
pub(crate) async fn at(project: &Guarded, commit: &CommitId) -> Result<RecipeState, MirrorError> {
    if let Some(known) = project.known_recipe(commit) {
        return Ok(known);
    }
    let in_use = |recipe, warnings, from: &str| {
        let (from, commit) = (from.to_owned(), commit.clone());
        RecipeState::Fine(Arc::new(RecipeInUse { recipe, from, warnings, commit }))
    };
    let found = match project.mirror.recipe_file(commit).await? {
        Some(Err(refusal)) => {
            RecipeState::Broken(Trouble { code: refusal.code, text: refusal.text, hint: refusal.hint })
        }
        Some(Ok(text)) => match Recipe::parse(&text, FILE_NAME) {
            Ok((recipe, warnings)) => in_use(recipe, warned(FILE_NAME, &warnings), FILE_NAME),
            Err(error) => RecipeState::Broken(trouble(&error)),
        },
        None if project.own_recipe.is_some() => {
            // A file that can change at any time is read each time.
            return Ok(match of_master(project) {
                Ok(Some((recipe, warnings))) => in_use(recipe, warnings, "the master's configuration"),
                Ok(None) => RecipeState::Missing,
                Err(trouble) => RecipeState::Broken(trouble),
            });
        }
        None => match guess(project, commit).await? {
            Some(guess) => in_use(guess.recipe, Vec::new(), &format!("{GUESSED}{}", guess.why)),
            None => RecipeState::Missing,
        },
    };
    project.know_recipe(commit, &found);
    Ok(found)
}

/// When nothing lands: by the master's settings, and by the recipe of mainline at this commit.
pub(crate) async fn calendar(project: &Guarded, tip: Option<&CommitId>) -> Vec<Freeze> {
    let mut freezes = project.config.freezes.clone();
    let at_tip = match tip {
        Some(tip) => at(project, tip).await.ok(),
        None => None,
    };
    // What can't be read now was read before, as a rule.
    if let RecipeState::Fine(it) = at_tip.unwrap_or_else(|| project.recipe()) {
        freezes.extend(it.recipe.queue.freezes.iter().cloned());
    }
    freezes
}

/// Whether a recipe was guessed: then it hangs on more files of the tree than one.
pub(crate) fn is_guessed(recipe: &RecipeInUse) -> bool {
    recipe.from.starts_with(GUESSED)
}

/// Warnings as they are shown: where, what, and what to do.
fn warned(file: &str, warnings: &[Warning]) -> Vec<String> {
    let line = |it: &Warning| match &it.hint {
        Some(hint) => format!("{file}:{}; {hint}", it.line()),
        None => format!("{file}:{}", it.line()),
    };
    warnings.iter().map(line).collect()
}

/// The master's own recipe for a project, for trees that have none, and what of it deserves a look.
fn of_master(project: &Guarded) -> Result<Option<(Recipe, Vec<String>)>, Trouble> {
    let Some(path) = &project.own_recipe else { return Ok(None) };
    // Where it stands on this machine is nobody's business who reads a page.
    let shown = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let text = std::fs::read(path).map_err(|error| Trouble {
        code: "recipe-unreadable".to_owned(),
        text: format!("{shown}: {error}"),
        hint: Hint::by_admin("mends `recipe` in master.toml"),
    })?;
    let read = Recipe::parse(&text, &shown);
    read.map(|(recipe, warnings)| Some((recipe, warned(&shown, &warnings)))).map_err(|error| {
        let what = match error.hint() {
            "" => format!("mends {shown}"),
            hint => format!("mends {shown}: {hint}"),
        };
        Trouble { hint: Hint::by_admin(&what), ..trouble(&error) }
    })
}

/// The master's own recipe for what stands on a commit: none where the tree has its own, or where the master has none.
pub(crate) async fn otherwise(
    project: &Guarded,
    commit: &CommitId,
) -> Result<Result<Option<recipe::Project>, Trouble>, MirrorError> {
    if project.own_recipe.is_none() || project.mirror.recipe_file(commit).await?.is_some() {
        return Ok(Ok(None));
    }
    Ok(of_master(project).map(|recipe| recipe.map(|(recipe, _)| recipe.project)))
}

fn trouble(error: &RecipeError) -> Trouble {
    Trouble { code: "recipe-error".to_owned(), text: error.line(), hint: Hint::new(error.hint()) }
}

/// Guesses a recipe from what stands at the root of a commit.
pub(crate) async fn guess(project: &Guarded, commit: &CommitId) -> Result<Option<recipe::Guess>, MirrorError> {
    let entries = project.mirror.root_entries(commit).await?;
    let files: Vec<&str> = entries.iter().filter(|e| e.kind == EntryKind::File).map(|e| e.name.as_str()).collect();
    let mut texts = Vec::new();
    for name in GUESS_FILES.iter().filter(|name| files.contains(name)) {
        let bytes = project.mirror.file_at(commit, name, GUESS_BYTES).await?;
        if let Some(text) = bytes.and_then(|b| String::from_utf8(b).ok()) {
            texts.push((*name, text));
        }
    }
    Ok(recipe::guess(&files, &|name| texts.iter().find(|(n, _)| *n == name).map(|(_, text)| text.clone())))
}
