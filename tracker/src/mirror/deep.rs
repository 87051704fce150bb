//! The whole mirror read, object by object: what is damaged on the disk, and getting it out of the way.

use super::{Mirror, MirrorError, Named, mend, oid};
use crate::blocking::blocking;
use crate::git::{RunError, RunLimits};
use protocol::CommitId;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is wrong with a mirror's files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Damage {
    /// Files that can't be read, below the mirror: loose objects, packs and their indexes.
    pub files: BTreeSet<PathBuf>,
    /// Objects that others need and that are nowhere, as git names them: `blob 1234…`.
    pub missing: BTreeSet<String>,
}

impl Damage {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.files.is_empty() && self.missing.is_empty()
    }
}

/// How what a row names stands in the mirror.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The commit is whole, and its ref holds it.
    Held,
    /// The commit is whole, and its ref is elsewhere or not there.
    NoRef,
    /// The commit is not whole.
    Missing,
}

impl Mirror {
    /// Reads everything. It takes as long as that takes.
    ///
    /// # Errors
    /// When git can't be run.
    pub async fn damage(&self) -> Result<Damage, MirrorError> {
        let run = self.git().bounded().repository(self.path());
        let run = run.args(["fsck", "--full", "--no-dangling", "--no-progress", "--no-reflogs"]).limits(limits());
        // Its words for what is missing are answers, those for damage errors; the exit code says only that there is some.
        let said = run.output_if(|_| true).await?;
        Ok(read(&format!("{}{}", String::from_utf8_lossy(&said.stdout), said.stderr)))
    }

    /// Puts damaged files aside, into `damaged/`, after what can be read of a pack was taken out of it. So another copy
    /// of an object can come in: git never writes one that seems to be there.
    ///
    /// # Errors
    /// When a file can't be moved.
    pub async fn put_aside(&self, damage: &Damage) -> Result<(), MirrorError> {
        if damage.files.is_empty() {
            return Ok(());
        }
        let (mirror, files) = (self.path().to_owned(), damage.files.clone());
        let packs = blocking(move || move_away(&mirror, &files)).await?;
        self.opened.close();
        for pack in packs {
            let run = self.git().bounded().repository(self.path()).args(["unpack-objects", "-r", "-q"]);
            let mut running = run.limits(limits()).start(true)?;
            // It ends with an error, of course; what it could read is there.
            let fed = running.feed_file(&pack).await;
            let ended = tokio::time::timeout(limits().wall, running.finish()).await;
            tracing::warn!(pack = %pack.display(), ?fed, ?ended, "what could be read of a damaged pack was taken out");
        }
        Ok(())
    }

    /// Whether files can't be read, and were put aside: all of them are read, and it takes as long as that takes. What they held
    /// is missing then, and comes back as anything else that is. None while somebody holds the mirror still.
    ///
    /// # Errors
    /// When git can't be run, or a file can't be moved.
    pub async fn puts_aside(&self) -> Result<Option<bool>, MirrorError> {
        let Some(_held) = self.begin_upkeep().await? else { return Ok(None) };
        let damage = self.damage().await?;
        if damage.files.is_empty() {
            return Ok(Some(false));
        }
        tracing::warn!(files = damage.files.len(), "damaged files of the mirror are put aside");
        self.put_aside(&damage).await?;
        Ok(Some(true))
    }

    /// How each of these stands. Nothing is changed. A commit is whole when all that it needs is there, down to the first.
    ///
    /// # Errors
    /// When the mirror can't be opened.
    pub async fn standings(&self, named: &[Named]) -> Result<Vec<Standing>, MirrorError> {
        let whole = self.connected(named.iter().map(|named| &named.commit), None).await?;
        let each = named.to_vec();
        let mut found = self
            .with_fresh_repository(move |repository| {
                let of = |named: &Named| -> Result<Standing, MirrorError> {
                    let id = oid(&named.commit)?;
                    Ok(match mend::lacking(repository, id) {
                        Some(_) => Standing::Missing,
                        None if repository.refname_to_id(&named.reference).ok() == Some(id) => Standing::Held,
                        None => Standing::NoRef,
                    })
                };
                each.iter().map(of).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        if !whole {
            // Which of them it is, is found one by one.
            for (standing, named) in found.iter_mut().zip(named) {
                if *standing != Standing::Missing && !self.connected([&named.commit], None).await? {
                    *standing = Standing::Missing;
                }
            }
        }
        Ok(found)
    }

    /// Whether all that a commit needs is there, down to the first.
    ///
    /// # Errors
    /// When git can't be run.
    pub async fn is_whole(&self, commit: &CommitId) -> Result<bool, MirrorError> {
        self.connected([commit], None).await
    }

    /// Whether all that these commits need is there, but for what `but` has.
    pub(crate) async fn connected<'c>(
        &self,
        commits: impl IntoIterator<Item = &'c CommitId>,
        but: Option<&CommitId>,
    ) -> Result<bool, MirrorError> {
        let names: String = commits.into_iter().map(|commit| format!("{commit}\n")).collect();
        let names = but.iter().fold(names, |names, but| format!("{names}^{but}\n"));
        let run = self.git().bounded().repository(self.path());
        let mut running = run.args(["rev-list", "--objects", "--quiet", "--stdin"]).limits(limits()).start(true)?;
        // What it does not read to the end it ends for: the exit code says why.
        let _ = running.feed(names.as_bytes()).await;
        let (code, signal, _) = tokio::time::timeout(limits().wall, running.finish())
            .await
            .map_err(|_| RunError::TimedOut { what: "git rev-list".to_owned(), after: limits().wall })??;
        match (code, signal) {
            (Some(code), None) => Ok(code == 0),
            _ => Err(MirrorError::Answer { what: "git rev-list" }),
        }
    }
}

fn limits() -> RunLimits {
    let hours = Duration::from_secs(6 * 60 * 60);
    RunLimits { wall: hours, cpu: hours, file_bytes: 64 << 30, memory_bytes: 16 << 30, output_bytes: 256 << 20 }
}

/// What git's words say. What it complains of in old objects that are whole is not damage.
fn read(words: &str) -> Damage {
    let mut damage = Damage::default();
    for line in words.lines() {
        if let Some(object) = line.strip_prefix("missing ") {
            damage.missing.insert(object.trim().to_owned());
        }
        if line.starts_with("error: ") || line.starts_with("fatal: ") {
            damage.files.extend(line.split([' ', '\'', '"', ',']).filter_map(file_of));
        }
    }
    damage
}

/// A loose object, pack or index among a line's words, as a path below the mirror.
fn file_of(word: &str) -> Option<PathBuf> {
    let at = word.rfind("objects/")?;
    let path = word[at..].trim_end_matches([':', ')', '.']);
    let name = path.strip_prefix("objects/")?;
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let is_one = match name.split_once('/')? {
        ("pack", pack) => {
            let (stem, end) = pack.rsplit_once('.')?;
            is_hex(stem.strip_prefix("pack-")?) && ["pack", "idx", "rev"].contains(&end)
        }
        (folder, rest) => folder.len() == 2 && is_hex(folder) && rest.len() >= 38 && is_hex(rest),
    };
    is_one.then(|| PathBuf::from(path))
}

/// Moves them, and what was made of them; gives the packs among them, where they are now.
fn move_away(mirror: &Path, files: &BTreeSet<PathBuf>) -> Result<Vec<PathBuf>, MirrorError> {
    let aside = mirror.join("damaged");
    let io = |source| MirrorError::Io { what: format!("putting damaged files into {}", aside.display()), source };
    std::fs::create_dir_all(&aside).map_err(io)?;
    let mut packs = Vec::new();
    let mut all: BTreeSet<PathBuf> = BTreeSet::new();
    for file in files {
        if file.starts_with("objects/pack") {
            all.extend(["pack", "idx", "rev", "bitmap"].map(|end| file.with_extension(end)));
        } else {
            all.insert(file.clone());
        }
    }
    for file in all {
        let (Some(folder), Some(name)) = (file.parent().and_then(Path::file_name), file.file_name()) else { continue };
        let to = aside.join(format!("{}-{}", folder.to_string_lossy(), name.to_string_lossy()));
        match std::fs::rename(mirror.join(&file), &to) {
            Ok(()) if to.extension().is_some_and(|end| end == "pack") => packs.push(to),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
    }
    // Indexes over several packs and over commits are made anew.
    let _ = std::fs::remove_file(mirror.join("objects/pack/multi-pack-index"));
    let _ = std::fs::remove_file(mirror.join("objects/info/commit-graph"));
    let _ = std::fs::remove_dir_all(mirror.join("objects/info/commit-graphs"));
    Ok(packs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_damaged_files_and_missing_objects_are_read_from_git_s_words() {
        let (a, b) = ("ab".repeat(20), "cd".repeat(20));
        let words = format!(
            "error: object file /m/p.git/objects/ab/{0} is empty\n\
             error: {a}: object corrupt or missing: ./objects/ab/{0}\n\
             error: packfile ./objects/pack/pack-{b}.pack SHA1 checksum mismatch\n\
             error: cannot unpack {a} from /m/p.git/objects/pack/pack-{b}.pack at offset 12\n\
             error in tree {a}: zeroPaddedFilemode: contains zero-padded file modes\n\
             warning in commit {b}: nulInCommit: x\n\
             error: refs/branches/objects/ab: invalid sha1 pointer {a}\n\
             missing blob {b}\n\
             broken link from    tree {a}\n",
            &a[2..]
        );
        let damage = read(&words);
        let files = [format!("objects/ab/{}", &a[2..]), format!("objects/pack/pack-{b}.pack")];
        assert_eq!(damage.files, files.iter().map(PathBuf::from).collect());
        assert_eq!(damage.missing, BTreeSet::from([format!("blob {b}")]));
        assert!(read("error in commit x: missingEmail: y\n").is_none());
    }
}
