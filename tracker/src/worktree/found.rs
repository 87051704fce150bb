//! Which fragments a work tree has, and how they and the ChangeLogs stand to the index. One call of git lists them all.

use super::git::fields;
use super::own::Owner;
use super::{WorkTree, WorkTreeError, parts};
use changelog::{Format, Fragment, FragmentAuthor, FragmentKind, PathKind, Place, Whose, detect, taker_of};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

/// The files that can matter, as the index and the work tree have them.
#[derive(Default)]
pub(super) struct Listing {
    files: BTreeMap<Vec<u8>, Listed>,
    /// The objects that the index has for them.
    ids: HashMap<Vec<u8>, String>,
    /// All paths with an unresolved conflict, whether they matter or not.
    pub(super) unmerged: BTreeSet<String>,
}

/// A file that can matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listed {
    /// The mode that the index has; none for a file that is only in the work tree.
    pub(super) mode: Option<u32>,
    /// Whether the file is not what the index has, or the index does not have it.
    pub(super) is_unstaged: bool,
    /// Whether a sparse checkout leaves it out.
    pub(super) is_left_out: bool,
    /// Whether it was seen to be a plain file in the work tree; else that is to be looked at.
    pub(super) is_plain: bool,
}

impl Listing {
    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.files.contains_key(path)
    }

    pub(super) fn add(&mut self, path: &[u8], listed: Listed) {
        self.files.insert(path.to_vec(), listed);
    }

    pub(super) fn add_id(&mut self, path: &[u8], id: String) {
        self.ids.insert(path.to_vec(), id);
    }

    /// The object that the file is, as far as the index knows.
    fn id(&self, path: &[u8]) -> Option<&str> {
        let is_it = self.files.get(path).is_some_and(|it| !it.is_unstaged);
        self.ids.get(path).filter(|_| is_it).map(String::as_str)
    }

    /// Whether anything is there that could be a fragment.
    pub(super) fn has_any(&self, places: &[Place]) -> bool {
        self.files.keys().any(|path| taker_of(places, path).is_some())
    }

    /// Whether the file is not what the index has, or the index does not have it.
    pub(super) fn is_unstaged(&self, path: &str) -> bool {
        self.files.get(path.as_bytes()).is_some_and(|it| it.is_unstaged)
    }

    /// The mode that the index has for it, or that of a plain file.
    pub(super) fn mode(&self, path: &str) -> u32 {
        self.files.get(path.as_bytes()).and_then(|it| it.mode).unwrap_or(0o100_644)
    }

    /// A sparse checkout's missing file is refused: it has something to say, and can't be read.
    pub(super) fn see_that_it_is_there(&self, path: &str) -> Result<(), WorkTreeError> {
        match self.files.get(path.as_bytes()) {
            Some(it) if it.is_left_out => Err(WorkTreeError::NotCheckedOut { path: path.to_owned() }),
            _ => Ok(()),
        }
    }

    /// Reads a line of `ls-files -t -s -o -m -d -z`.
    fn read(&mut self, line: &[u8]) {
        let (Some(tag), Some(rest)) = (line.first(), line.get(2..)) else { return };
        let (mode, path) = match (tag, rest.iter().position(|&b| b == b'\t')) {
            (b'?', _) => (None, rest),
            (_, Some(tab)) => (rest.get(..6), &rest[tab + 1..]),
            _ => return,
        };
        if let (Some(_), Some(id)) = (mode, rest.get(7..).and_then(|rest| rest.split(|&b| b == b' ').next())) {
            self.add_id(path, String::from_utf8_lossy(id).into_owned());
        }
        // A file is listed once as the index has it, and once more if it is not that any longer.
        let listed = self.files.entry(path.to_vec()).or_default();
        listed.mode =
            mode.and_then(|mode| u32::from_str_radix(std::str::from_utf8(mode).ok()?, 8).ok()).or(listed.mode);
        listed.is_unstaged |= matches!(tag, b'?' | b'C' | b'R' | b'K');
        listed.is_left_out |= *tag == b'S';
    }
}

/// What the fragments' places of one ChangeLog hold.
#[derive(Default)]
pub(super) struct Found {
    /// Those that are to be folded.
    pub(super) fragments: Vec<FoundFragment>,
    /// Those that mainline keeps.
    pub(super) kept: Vec<String>,
    /// Those of them that the branch corrects.
    pub(super) corrected: Vec<String>,
    /// Files that are no fragments, each with whether the branch brings it.
    pub(super) stray: Vec<(String, bool)>,
}

/// A fragment's file.
pub(super) struct FoundFragment {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
    author: Option<FragmentAuthor>,
    is_typed: bool,
    is_unstaged: bool,
}

impl Found {
    /// The fragments, as the ChangeLog of this place takes them.
    pub(super) fn for_place(&self, place: &Place) -> Vec<Fragment<'_>> {
        self.fragments
            .iter()
            .filter_map(|found| {
                let fragment = place.fragment(found.path.as_bytes(), &found.bytes)?;
                Some(Fragment { author: found.author.clone(), ..fragment })
            })
            .collect()
    }

    /// Whether the index does not have this file as it is.
    pub(super) fn is_unstaged(&self, path: &[u8]) -> bool {
        self.fragments.iter().any(|f| f.is_unstaged && f.path.as_bytes() == path)
    }
}

impl WorkTree {
    /// Lists the ChangeLogs and whatever stands where fragments can be.
    pub(super) fn list(&self, places: &[Place]) -> Result<Listing, WorkTreeError> {
        match self.repository.as_ref().and_then(|repository| repository.list(&self.top, places)) {
            Some(listing) => Ok(listing),
            None => self.list_by_git(places),
        }
    }

    fn list_by_git(&self, places: &[Place]) -> Result<Listing, WorkTreeError> {
        let mut args = vec!["ls-files", "-t", "-s", "-o", "-m", "-d", "--exclude-standard", "-z", "--"];
        let specs: Vec<String> = places.iter().flat_map(Place::paths).collect();
        args.extend(specs.iter().map(String::as_str));
        let (unmerged, listed) = std::thread::scope(|scope| {
            let other = scope.spawn(|| self.git.run(&["ls-files", "--unmerged", "-z"]));
            let listed = self.git.run(&args);
            (other.join(), listed)
        });
        let unmerged = unmerged.unwrap_or_else(|_| self.git.run(&["ls-files", "--unmerged", "-z"]))?;
        let mut listing = Listing::default();
        for line in fields(&listed?) {
            listing.read(line);
        }
        for line in fields(&unmerged) {
            let path = line.iter().position(|&b| b == b'\t').map_or(line, |tab| &line[tab + 1..]);
            listing.unmerged.insert(String::from_utf8_lossy(path).into_owned());
        }
        Ok(listing)
    }

    /// The fragments of one ChangeLog, with what they say.
    pub(super) fn fragments_of(
        &self,
        place: &Place,
        places: &[Place],
        listing: &Listing,
        owner: &Owner,
        force: bool,
    ) -> Result<Found, WorkTreeError> {
        for name in &place.rules.names {
            self.is_plain_file(&place.rooted(name))?;
        }
        let mut found = Found::default();
        // Whatever stands in the folders' places is looked at once.
        let mut folders: HashMap<&Path, Result<(), WorkTreeError>> = HashMap::new();
        for (path, listed) in &listing.files {
            if taker_of(places, path).is_none_or(|p| p.path != place.path) {
                continue;
            }
            let whose = owner.of(path, listing.id(path), !place.is_single(path));
            let stray = || (String::from_utf8_lossy(path).into_owned(), whose == Whose::Branch);
            let kind = match place.classify(path) {
                PathKind::Fragment(kind) => kind,
                PathKind::Stray => {
                    found.stray.push(stray());
                    continue;
                }
                _ => continue,
            };
            let Ok(path) = std::str::from_utf8(path) else {
                found.stray.push(stray());
                continue;
            };
            if whose != Whose::Branch {
                found.kept.push(path.to_owned());
                found.corrected.extend((whose == Whose::Corrected).then(|| path.to_owned()));
                continue;
            }
            listing.see_that_it_is_there(path)?;
            // Something else in its place is told before that it is not staged.
            let folder = Path::new(path).parent().unwrap_or(Path::new(""));
            let looked = folders.entry(folder).or_insert_with(|| self.see_folders_above(path));
            let is_there = match std::mem::replace(looked, Ok(())) {
                Ok(()) => listed.is_plain || self.is_plain_file(path)?,
                Err(error) => return Err(error),
            };
            if listed.is_unstaged && !force {
                return Err(WorkTreeError::NotStaged { path: path.to_owned() });
            }
            if is_there {
                found.fragments.push(FoundFragment {
                    path: path.to_owned(),
                    bytes: Vec::new(),
                    author: None,
                    is_typed: matches!(kind, FragmentKind::Typed { .. }),
                    is_unstaged: listed.is_unstaged,
                });
            }
        }
        self.read_all(&mut found.fragments)?;
        Ok(found)
    }

    /// Reads the fragments' files.
    fn read_all(&self, fragments: &mut [FoundFragment]) -> Result<(), WorkTreeError> {
        let size = parts::size(fragments.len());
        parts::all(fragments.chunks_mut(size), |part| {
            for fragment in part {
                let file = self.top.join(&fragment.path);
                fragment.bytes = fs::read(&file).map_err(WorkTreeError::file(file))?;
            }
            Ok(())
        })
    }

    /// Who wrote the typed fragments, where the ChangeLog's format names authors: who committed them first, else whoever runs this.
    pub(super) fn name_authors(
        &self,
        place: &Place,
        changelog: Option<&[u8]>,
        found: &mut Found,
    ) -> Result<(), WorkTreeError> {
        let format = place.format.or_else(|| detect(place.path.as_bytes(), changelog.unwrap_or_default()).ok());
        if !matches!(format, Some(Format::Gnu | Format::Debian)) {
            return Ok(());
        }
        let typed: Vec<&str> = found.fragments.iter().filter(|f| f.is_typed).map(|f| f.path.as_str()).collect();
        if typed.is_empty() {
            return Ok(());
        }
        let folders: BTreeSet<&str> = typed.iter().filter_map(|p| Some(p.rsplit_once('/')?.0)).collect();
        let mut authors: HashMap<Vec<u8>, FragmentAuthor> = HashMap::new();
        if self.git.commit("HEAD")?.is_some() {
            let format = "--format=%x01%an%x02%ae%x02%as";
            let log = ["log", "--diff-filter=A", "--no-renames", "--name-only", "-z", format, "HEAD", "--"];
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

    /// Something else than folders above a file is refused.
    fn see_folders_above(&self, path: &str) -> Result<(), WorkTreeError> {
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
        Ok(())
    }

    /// Whether a file is there; something else in its place, or in the place of a folder above it, is refused.
    pub(super) fn is_plain_file(&self, path: &str) -> Result<bool, WorkTreeError> {
        self.see_folders_above(path)?;
        let refuse =
            |path: &Path, what| Err(WorkTreeError::NotAFile { path: path.to_string_lossy().into_owned(), what });
        match fs::symlink_metadata(self.top.join(path)) {
            Ok(found) if found.is_file() => Ok(true),
            Ok(found) if found.is_symlink() => refuse(Path::new(path), "a symbolic link"),
            Ok(found) if found.is_dir() => refuse(Path::new(path), "a folder"),
            Ok(_) => refuse(Path::new(path), "a device or socket"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(WorkTreeError::file(self.top.join(path))(error)),
        }
    }
}

fn read_author(text: &[u8]) -> Option<FragmentAuthor> {
    let mut parts = text.split(|&b| b == 2);
    let (name, mail, day) = (parts.next()?.to_vec(), parts.next()?.to_vec(), parts.next()?);
    let day = std::str::from_utf8(day).ok()?.trim().parse().ok()?;
    Some(FragmentAuthor { name, mail, day })
}
