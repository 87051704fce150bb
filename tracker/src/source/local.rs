//! Repositories on this machine: only below the folders that the admin lists, and nothing that leads out of them.
//!
//! They are other users' data, and may be exchanged while they are looked at. So every place is opened below an allowed
//! folder without following a link, what is read here is read through that, and git later sees these open folders alone.

use super::{SourcePolicy, UrlRefused, url_without_secrets};
use crate::git::View;
use crate::text::shortened;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Stores that take from each other; more are not followed.
const MAX_STORES: usize = 100;
/// Places that one repository takes its data from, each of which is held open; honest ones are one or two.
const MAX_PLACES: usize = 64;
/// Entries of one repository that are looked at for links; git's view holds for the rest.
const MAX_LOOKED_AT: usize = 20_000;
/// The longest file that names another place, in bytes.
const MAX_NAMING_FILE: u64 = 64 << 10;

/// The repository's own place, if it and all that it takes its data from lie below an allowed folder.
pub(super) fn allowed_repository(text: &str, path: &Path, policy: &SourcePolicy) -> Result<PathBuf, UrlRefused> {
    look(text, path, policy).map(|(real, _)| real)
}

/// The same look, and what git may see of it.
pub(super) fn view(text: &str, path: &Path, policy: &SourcePolicy) -> Result<View, UrlRefused> {
    let (_, places) = look(text, path, policy)?;
    let ours = rustix::process::geteuid().as_raw();
    let is_ours = |place: &OwnedFd| fstat(place).is_ok_and(|stat| stat.st_uid == ours);
    if !View::can_be_held() && !places.values().all(is_ours) {
        return Err(UrlRefused::LocalNotHeld { text: shortened(text, 80) });
    }
    Ok(View::of(places.into_values().collect()))
}

type Places = BTreeMap<PathBuf, OwnedFd>;

/// Whatever is wrong, the answer is the same: whoever asks learns nothing of places that are none of their business, also
/// not by a link or a file of their own that names one. What it was stands in the log.
fn look(text: &str, path: &Path, policy: &SourcePolicy) -> Result<(PathBuf, Places), UrlRefused> {
    find(path, policy).map_err(|unfit| {
        tracing::debug!(path = %path.display(), %unfit, "a repository of this machine is not taken");
        UrlRefused::LocalNotAllowed { text: shortened(&url_without_secrets(text), 80) }
    })
}

/// Why a place of this machine is not taken; for the log alone.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("nothing is there")]
    Nothing,
    #[error("no allowed folder holds it")]
    Outside,
    #[error("it is not a git repository")]
    NoRepository,
    #[error("it takes data from {}, which no allowed folder holds", .0.display())]
    LeadsTo(PathBuf),
    #[error("it takes data from more than {MAX_PLACES} places")]
    TooMany,
}

fn find(path: &Path, policy: &SourcePolicy) -> Result<(PathBuf, Places), Unfit> {
    let roots = Roots::of(policy);
    let real = path.canonicalize().map_err(|_| Unfit::Nothing)?;
    if !roots.hold(&real) {
        return Err(Unfit::Outside);
    }
    let places = Repository { roots: &roots, places: Places::new(), looked_at: 0 }.look(&real)?;
    Ok((real, places))
}

/// The allowed folders. One that is given as `FOLDER/*` allows the repositories that stand in it, not those deeper down.
struct Roots {
    whole: Vec<PathBuf>,
    parents: Vec<PathBuf>,
}

impl Roots {
    fn of(policy: &SourcePolicy) -> Self {
        let mut roots = Self { whole: Vec::new(), parents: Vec::new() };
        for folder in &policy.allow_local {
            let (folder, of) = match folder.file_name() {
                Some(star) if star == "*" => (folder.parent().unwrap_or(folder), &mut roots.parents),
                _ => (folder.as_path(), &mut roots.whole),
            };
            of.extend(folder.canonicalize());
        }
        roots
    }

    /// The allowed folder that holds this path, which has no links in it.
    fn root_of(&self, real: &Path) -> Option<PathBuf> {
        if let Some(root) = self.whole.iter().find(|root| real.starts_with(root)) {
            return Some(root.clone());
        }
        self.parents.iter().find_map(|parent| {
            let first = real.strip_prefix(parent).ok()?.components().next()?;
            // What begins with a dot is somebody's settings.
            (!first.as_os_str().as_bytes().starts_with(b".")).then(|| parent.join(first))
        })
    }

    /// Whether a repository may be here.
    fn hold(&self, real: &Path) -> bool {
        self.root_of(real).is_some_and(|root| self.whole.contains(&root) || root == real)
    }

    /// Opens what stands at a path, which must not have become a link meanwhile.
    fn open(&self, real: &Path, flags: OFlags) -> Option<OwnedFd> {
        let root = self.root_of(real)?;
        let below = real.strip_prefix(&root).ok()?;
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        // The admin's own folder may be a link; what is below it may not.
        let root = File::open(&root).ok()?;
        openat2(root.as_fd(), below, flags | OFlags::CLOEXEC, Mode::empty(), resolve).ok()
    }
}

/// One look at a repository.
struct Repository<'r> {
    roots: &'r Roots,
    places: Places,
    looked_at: usize,
}

impl Repository<'_> {
    fn look(mut self, real: &Path) -> Result<Places, Unfit> {
        self.add(real)?;
        let git_dir = self.git_dir(real).ok_or(Unfit::NoRepository)?;
        let git_dir = self.add(&git_dir)?;
        let common = match self.first_line(&git_dir.join("commondir")) {
            Some(line) => self.add(&git_dir.join(line))?,
            None => git_dir.clone(),
        };
        for folder in [&git_dir, &common] {
            for name in ["objects", "refs", "config", "HEAD", "packed-refs", "shallow", "worktrees", "reftable"] {
                self.follow(&folder.join(name))?;
            }
            self.look_below(&folder.join("refs"))?;
        }
        let mut stores = vec![common.join("objects")];
        let mut known = BTreeSet::from_iter(stores.iter().cloned());
        while let Some(store) = stores.pop() {
            self.look_below(&store)?;
            let list = self.read(&store.join("info/alternates")).unwrap_or_default();
            for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let other = self.add(&store.join(line.trim_matches('"')))?;
                // Two stores that name each other, or a chain without end.
                if known.len() < MAX_STORES && known.insert(other.clone()) {
                    stores.push(other);
                }
            }
        }
        Ok(self.places)
    }

    /// Adds a place to what may be read, if it is below an allowed folder; gives it without links.
    fn add(&mut self, place: &Path) -> Result<PathBuf, Unfit> {
        let leads_to = || Unfit::LeadsTo(place.to_owned());
        let real = place.canonicalize().map_err(|_| leads_to())?;
        if !self.places.keys().any(|known| real.starts_with(known)) {
            if self.places.len() >= MAX_PLACES {
                return Err(Unfit::TooMany);
            }
            let open = self.roots.open(&real, OFlags::PATH).ok_or_else(leads_to)?;
            self.places.insert(real.clone(), open);
        }
        Ok(real)
    }

    /// Adds what a link leads to.
    fn follow(&mut self, path: &Path) -> Result<(), Unfit> {
        if path.is_symlink() {
            self.add(path)?;
        }
        Ok(())
    }

    /// Follows every link below a folder, one to a folder too; as far as they are not more than too many.
    fn look_below(&mut self, folder: &Path) -> Result<(), Unfit> {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                self.looked_at += 1;
                if self.looked_at > MAX_LOOKED_AT {
                    return Ok(());
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(kind) if kind.is_symlink() => _ = self.add(&entry.path())?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Where the repository's data is: the folder itself, its `.git`, or what a `.git` file names.
    fn git_dir(&self, real: &Path) -> Option<PathBuf> {
        let dot_git = real.join(".git");
        if dot_git.is_dir() {
            return Some(dot_git);
        }
        if dot_git.is_file() {
            return Some(real.join(self.first_line(&dot_git)?.strip_prefix("gitdir: ")?));
        }
        (real.join("objects").exists() && real.join("HEAD").exists()).then(|| real.to_owned())
    }

    /// A file's first line, if the file is a short one below an allowed folder.
    fn first_line(&self, file: &Path) -> Option<String> {
        self.read(file)?.lines().next().map(|line| line.trim_end().to_owned())
    }

    fn read(&self, file: &Path) -> Option<String> {
        let open = self.roots.open(&file.canonicalize().ok()?, OFlags::RDONLY | OFlags::NONBLOCK)?;
        if FileType::from_raw_mode(fstat(&open).ok()?.st_mode) != FileType::RegularFile {
            return None;
        }
        let mut bytes = Vec::new();
        File::from(open).take(MAX_NAMING_FILE).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}
