//! The merge driver for git: one run on three files, and its installation in a repository.

use super::git::bytes_of;
use super::stage::replacement;
use super::{Settings, WorkTree, WorkTreeError};
use changelog::{Markers, MergeOptions, merge};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// The driver's name in `.gitattributes` and in git's configuration.
const NAME: &str = "bb-changelog";

/// What git tells its driver.
#[derive(Clone, Debug)]
pub struct DriverRun {
    /// `%O`.
    pub base: PathBuf,
    /// `%A`: read, and replaced by the result.
    pub ours: PathBuf,
    /// `%B`.
    pub theirs: PathBuf,
    /// `%L`, `%X`, `%Y`.
    pub markers: Markers,
    /// `%P`: the file's path in the repository.
    pub path: Option<String>,
}

/// Merges, writes the result to `ours`, and says how many conflicts are marked in it. The folder's `.bb.toml` says the order.
///
/// # Errors
/// [`WorkTreeError::File`] if a file can't be read or written; `ours` is as it was then.
pub fn run_driver(run: &DriverRun, folder: &Path) -> Result<usize, WorkTreeError> {
    let read = |path: &Path| fs::read(path).map_err(WorkTreeError::file(path));
    let (base, ours, theirs) = (read(&run.base)?, read(&run.ours)?, read(&run.theirs)?);
    // A mistake elsewhere in the recipe is no reason to fail a merge: then the default order it is.
    let settings = Settings::of_folder(folder).or_else(|_| Settings::of_text(""))?;
    let place = run.path.as_ref().and_then(|path| settings.places.iter().find(|p| p.path == *path));
    let order = place.or(settings.places.first()).map_or_else(Default::default, |p| p.order);
    let merged = merge(&base, &ours, &theirs, &MergeOptions { order, markers: run.markers.clone() });
    drop((base, theirs));
    if merged.bytes != ours {
        let file = replacement(&run.ours, &merged.bytes)?;
        file.persist(&run.ours).map_err(|e| WorkTreeError::File { path: run.ours.clone(), source: e.error })?;
    }
    Ok(merged.conflicts)
}

/// How to install the driver.
#[derive(Clone, Debug)]
pub struct DriverInstall {
    /// The command that git shall run, quoted for a shell: `bb`, or a whole path.
    pub command: String,
}

/// What was written or removed.
#[derive(Clone, Debug, Serialize)]
pub struct Installed {
    /// Lines added to or removed from `.gitattributes`.
    pub attributes: Vec<String>,
    /// Settings in the repository's git configuration.
    pub config: Vec<String>,
}

impl WorkTree {
    /// Makes git merge the project's ChangeLogs by this driver.
    ///
    /// # Errors
    /// See [`WorkTreeError`].
    pub fn install_driver(&self, install: &DriverInstall) -> Result<Installed, WorkTreeError> {
        let lines = self.attribute_lines()?;
        let path = self.top.join(".gitattributes");
        let mut text = read_or_empty(&path)?;
        let mut added = Vec::new();
        for line in lines {
            if !has_line(&text, &line) {
                if !text.is_empty() && !text.ends_with(b"\n") {
                    text.push(b'\n');
                }
                text.extend_from_slice(line.as_bytes());
                text.push(b'\n');
                added.push(line);
            }
        }
        let driver = format!("{} changelog driver %O %A %B %L %P %X %Y", install.command);
        let config = [("name", "ChangeLog entries, newest first (bb)".to_owned()), ("driver", driver)];
        let mut set = Vec::new();
        for (key, value) in config {
            let key = format!("merge.{NAME}.{key}");
            self.git.run(&["config", "--local", &key, &value])?;
            set.push(format!("{key} = {value}"));
        }
        if !added.is_empty() {
            write(&path, &text)?;
        }
        Ok(Installed { attributes: added, config: set })
    }

    /// Takes away what [`WorkTree::install_driver`] wrote.
    ///
    /// # Errors
    /// See [`WorkTreeError`].
    pub fn uninstall_driver(&self) -> Result<Installed, WorkTreeError> {
        let path = self.top.join(".gitattributes");
        let text = read_or_empty(&path)?;
        let ours = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            let mut words = line.split_whitespace();
            words.next().is_some() && words.collect::<Vec<_>>() == [format!("merge={NAME}").as_str()]
        };
        let mut kept = Vec::new();
        let mut attributes = Vec::new();
        for line in text.split_inclusive(|&b| b == b'\n') {
            if ours(line) {
                attributes.push(String::from_utf8_lossy(line).trim_end().to_owned());
            } else {
                kept.extend_from_slice(line);
            }
        }
        if !attributes.is_empty() {
            if kept.is_empty() {
                fs::remove_file(&path).map_err(WorkTreeError::file(&path))?;
            } else {
                write(&path, &kept)?;
            }
        }
        let section = format!("merge.{NAME}");
        let had = self.git.ask(&["config", "--local", "--get", &format!("{section}.driver")])?;
        let mut config = Vec::new();
        if had.is_some() {
            self.git.run(&["config", "--local", "--remove-section", &section])?;
            config.push(section);
        }
        Ok(Installed { attributes, config })
    }

    /// A line of `.gitattributes` for each ChangeLog, and for fragments: two branches can have one of the same name. A ChangeLog at the root stands
    /// for those of its name in all folders.
    fn attribute_lines(&self) -> Result<Vec<String>, WorkTreeError> {
        let settings = self.settings()?;
        let mut lines: Vec<String> = Vec::new();
        for place in &settings.places {
            let mut patterns = vec![place.path.clone()];
            patterns.extend(place.rules.names.iter().map(|n| place.rooted(&String::from_utf8_lossy(n))));
            if let Some(folder) = &place.rules.folder {
                patterns.push(format!("{}/*.ChangeLog", place.rooted(&String::from_utf8_lossy(folder))));
            }
            for pattern in patterns {
                let line = format!("{} merge={NAME}", quoted(&pattern));
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        Ok(lines)
    }
}

/// A pattern with a blank is written as a C string; one with a slash is rooted.
fn quoted(pattern: &str) -> String {
    let pattern = if pattern.contains('/') { format!("/{pattern}") } else { pattern.to_owned() };
    if pattern.contains([' ', '\t', '"']) {
        format!("\"{}\"", pattern.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t"))
    } else {
        pattern
    }
}

fn has_line(text: &[u8], line: &str) -> bool {
    text.split(|&b| b == b'\n').any(|l| String::from_utf8_lossy(l).trim_end() == line)
}

fn read_or_empty(path: &Path) -> Result<Vec<u8>, WorkTreeError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(WorkTreeError::file(path)(error)),
        Ok(found) if !found.is_file() => {
            let what = if found.is_dir() { "a folder" } else { "a symbolic link" };
            Err(WorkTreeError::NotAFile { path: String::from_utf8_lossy(bytes_of(path)).into_owned(), what })
        }
        Ok(_) => fs::read(path).map_err(WorkTreeError::file(path)),
    }
}

fn write(path: &Path, text: &[u8]) -> Result<(), WorkTreeError> {
    let file = replacement(path, text)?;
    file.persist(path).map_err(|e| WorkTreeError::File { path: path.to_owned(), source: e.error })?;
    Ok(())
}
