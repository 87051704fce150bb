//! Which recipe counts: the project's `.bb.toml`, else the master's for it, else a guessed one.

use crate::state::{Guarded, RecipeInUse, RecipeState, Shared};
use gate::verdict::Trouble;
use protocol::CommitId;
use recipe::{FILE_NAME, Recipe, RecipeError};
use std::sync::Arc;
use tracker::mirror::{EntryKind, MirrorError};

/// The largest file that is read to guess a recipe, in bytes.
const GUESS_BYTES: u64 = 1 << 20;

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

/// Mainline's recipe at a commit.
pub(crate) async fn of_mainline(
    shared: &Shared,
    project: &Guarded,
    tip: &CommitId,
) -> Result<RecipeState, MirrorError> {
    if let RecipeState::Fine(it) = project.recipe()
        && it.commit == *tip
    {
        return Ok(RecipeState::Fine(it));
    }
    read(shared, project, tip).await
}

/// The recipe that a candidate itself brings: what the queue builds by, once it is accepted.
pub(crate) async fn of_candidate(
    shared: &Shared,
    project: &Guarded,
    commit: &CommitId,
) -> Result<RecipeState, MirrorError> {
    read(shared, project, commit).await
}

async fn read(shared: &Shared, project: &Guarded, commit: &CommitId) -> Result<RecipeState, MirrorError> {
    let in_use = |recipe, from: &str| {
        RecipeState::Fine(Arc::new(RecipeInUse { recipe, from: from.to_owned(), commit: commit.clone() }))
    };
    if let Some(text) = project.mirror.recipe_at(commit).await? {
        return Ok(match Recipe::parse(&text, FILE_NAME) {
            Ok((recipe, _)) => in_use(recipe, FILE_NAME),
            Err(error) => RecipeState::Broken(trouble(&error)),
        });
    }
    if let Some(file) = &project.config.recipe {
        let path = shared.basedir.root().join(file);
        let shown = path.display().to_string();
        return Ok(match std::fs::read(&path) {
            Ok(text) => match Recipe::parse(&text, &shown) {
                Ok((recipe, _)) => in_use(recipe, "the master's configuration"),
                Err(error) => RecipeState::Broken(trouble(&error)),
            },
            Err(error) => RecipeState::Broken(Trouble {
                code: "recipe-unreadable".to_owned(),
                text: format!("{shown}: {error}"),
                hint: "an admin mends `recipe` in master.toml".to_owned(),
            }),
        });
    }
    Ok(match guess(project, commit).await? {
        Some(guess) => in_use(guess.recipe, &format!("guessed from {}", guess.why)),
        None => RecipeState::Missing,
    })
}

fn trouble(error: &RecipeError) -> Trouble {
    Trouble { code: "recipe-error".to_owned(), text: error.line(), hint: error.to_string() }
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
