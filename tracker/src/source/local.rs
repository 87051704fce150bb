//! Repositories on this machine: only below the folders that the admin lists, and nothing that leads out of them.

use super::{SourcePolicy, UrlRefused};
use crate::text::shortened;
use std::path::{Component, Path, PathBuf};

/// The repository's own place, if it and all that it takes its data from lie below an allowed folder.
pub(super) fn allowed_repository(text: &str, path: &Path, policy: &SourcePolicy) -> Result<PathBuf, UrlRefused> {
    let text = shortened(text, 80);
    let roots: Vec<PathBuf> = policy.allow_local.iter().filter_map(|root| root.canonicalize().ok()).collect();
    let inside = |path: &Path| roots.iter().any(|root| path.starts_with(root));
    // Whether something exists elsewhere is nobody's business: the same answer for both.
    let not_allowed = || UrlRefused::LocalNotAllowed { text: text.clone() };
    if roots.is_empty() || !path.is_absolute() {
        return Err(not_allowed());
    }
    let not_found = |why: &str| UrlRefused::LocalNotFound { text: text.clone(), why: why.to_owned() };
    let real = match path.canonicalize() {
        Ok(real) if inside(&real) => real,
        // `..` leads anywhere, so the words of the path do not say that it would be below an allowed folder.
        Err(_)
            if policy.allow_local.iter().any(|root| path.starts_with(root))
                && path.components().all(|part| part != Component::ParentDir) =>
        {
            return Err(not_found("nothing is there"));
        }
        _ => return Err(not_allowed()),
    };
    let leads_out =
        |to: &Path| UrlRefused::LocalLeadsOut { text: text.clone(), leads_to: shortened(&to.to_string_lossy(), 80) };
    let git_dir = git_dir(&real).ok_or_else(|| not_found("it is not a git repository"))?;
    for place in reads_from(&git_dir) {
        let place = place.canonicalize().map_err(|_| leads_out(&place))?;
        if !inside(&place) {
            return Err(leads_out(&place));
        }
    }
    Ok(real)
}

/// Where the repository's data is: the folder itself, its `.git`, or what a `.git` file names.
fn git_dir(real: &Path) -> Option<PathBuf> {
    let dot_git = real.join(".git");
    if dot_git.is_dir() {
        return Some(dot_git);
    }
    if dot_git.is_file() {
        return Some(real.join(first_line(&dot_git)?.strip_prefix("gitdir: ")?));
    }
    (real.join("objects").exists() && real.join("HEAD").exists()).then(|| real.to_owned())
}

/// Every place that git would read this repository's refs and objects from.
fn reads_from(git_dir: &Path) -> Vec<PathBuf> {
    let common = match first_line(&git_dir.join("commondir")) {
        Some(line) => git_dir.join(line),
        None => git_dir.to_owned(),
    };
    let mut places = vec![git_dir.to_owned(), common.clone()];
    places
        .extend(["objects", "refs", "config", "HEAD"].map(|part| common.join(part)).into_iter().filter(|p| p.exists()));
    let mut stores = vec![common.join("objects")];
    while let Some(store) = stores.pop() {
        for inner in ["pack", "info"].map(|part| store.join(part)).into_iter().filter(|p| p.exists()) {
            places.push(inner);
        }
        let list = std::fs::read_to_string(store.join("info/alternates")).unwrap_or_default();
        for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let other = store.join(line.trim_matches('"'));
            // Two stores that name each other, or a chain without end.
            if !places.contains(&other) && places.len() < 100 {
                places.push(other.clone());
                stores.push(other);
            }
        }
    }
    places
}

fn first_line(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().next().map(|line| line.trim_end().to_owned())
}
