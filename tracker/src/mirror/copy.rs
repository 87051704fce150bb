//! A copy of a mirror for a backup, made beside everything that goes on in it.

use super::{Mirror, MirrorError};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Copied {
    /// Refs.
    pub refs: u64,
    /// Bytes of objects.
    pub bytes: u64,
}

impl Mirror {
    /// Copies refs and objects into a new folder, which is a repository then. What is there when this begins is in the copy,
    /// as long as the caller holds the mirror still: refs are read first, and their objects are there before them. Nothing
    /// is synced: the caller does that for all that it copies.
    ///
    /// # Errors
    /// When something can't be read or written.
    pub async fn copy_to(&self, to: &Path) -> Result<Copied, MirrorError> {
        let (from, to) = (self.path().to_owned(), to.to_owned());
        let refs = self
            .with_repository(|repository| {
                let failed = |source| MirrorError::Objects { what: "reading all refs".to_owned(), source };
                let mut all = BTreeMap::new();
                for reference in repository.references().map_err(failed)? {
                    let reference = reference.map_err(failed)?;
                    if let (Ok(name), Some(id)) = (reference.name(), reference.target()) {
                        all.insert(name.to_owned(), id);
                    }
                }
                Ok::<_, MirrorError>(all)
            })
            .await?;
        crate::blocking::blocking(move || {
            let io = |source| MirrorError::Io { what: format!("copying the mirror to {}", to.display()), source };
            copy(&from, &to, &refs).map_err(io)
        })
        .await
    }
}

fn copy(from: &Path, to: &Path, refs: &BTreeMap<String, git2::Oid>) -> io::Result<Copied> {
    fs::create_dir_all(to.join("refs"))?;
    let lines: String = refs.iter().map(|(name, id)| format!("{id} {name}\n")).collect();
    fs::write(to.join("packed-refs"), format!("# pack-refs with: sorted \n{lines}"))?;
    for file in ["HEAD", "config"] {
        fs::copy(from.join(file), to.join(file))?;
    }
    let mut copied = Copied { refs: refs.len() as u64, bytes: 0 };
    fs::create_dir_all(to.join("objects/info"))?;
    fs::create_dir_all(to.join("objects/pack"))?;
    for entry in fs::read_dir(from.join("objects"))? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        // Loose objects are in folders of two digits.
        if name.len() == 2 && path.is_dir() {
            let folder = to.join("objects").join(&name);
            fs::create_dir_all(&folder)?;
            for object in fs::read_dir(&path)? {
                let object = object?;
                if object.file_name().len() >= 38 {
                    copied.bytes += fs::copy(object.path(), folder.join(object.file_name()))?;
                }
            }
        }
    }
    let packs = from.join("objects/pack");
    for entry in fs::read_dir(&packs)? {
        let index = entry?.path();
        // A pack's index is there last; indexes over several packs are made anew.
        let is_pack = index.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pack-"));
        if !is_pack || index.extension().is_none_or(|end| end != "idx") {
            continue;
        }
        for end in ["pack", "rev", "mtimes", "idx"] {
            let file = index.with_extension(end);
            let Some(name) = file.file_name() else { continue };
            match fs::copy(&file, to.join("objects/pack").join(name)) {
                Ok(bytes) => copied.bytes += bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound && (end == "rev" || end == "mtimes") => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(copied)
}
