//! A stranger's tree, counted without being written out.
//!
//! What is kept is of the size of the folders that were read, never of their paths: a path is a chain of names, put
//! together only to be shown. A folder is read once however often it occurs, and counts each time.

use super::admission::AdmissionLimits;
use crate::text::Budget;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// The longest name of a file, in bytes: no file system takes longer ones.
const MAX_NAME: usize = 255;
/// The longest path, in bytes: no system opens a longer one.
const MAX_PATH: u32 = 4096;
/// Doubtful entries that are kept to be compared with mainline's.
const MAX_DOUBTFUL: usize = 1000;
/// Bytes of a path in a message.
const SHOWN_PATH: usize = 200;

pub(super) type Id = [u8; 20];

/// A folder that was met, by the order in which they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FolderAt(u32);

/// A tree that is not admitted.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// Too much of something: which, how much there is, how much is allowed.
    TooMuch { what: &'static str, found: u64, allowed: u64 },
    /// Something that is not allowed, with its path.
    Tree(String),
}

/// What the walk found that is allowed only where mainline has the same.
#[derive(Debug, Default)]
pub(super) struct Doubtful {
    /// Names of one folder that differ in case only.
    pub(super) twins: Vec<(FolderAt, Vec<u8>, Vec<u8>)>,
    /// Symbolic links at reserved names, in the root.
    pub(super) links: Vec<Vec<u8>>,
}

struct Folder {
    id: Id,
    parent: u32,
    name: Vec<u8>,
    /// Bytes of its path where it was met first, and how deep that is.
    path_bytes: u32,
    depth: u32,
    files: u64,
    /// Bytes of the names of its files.
    file_bytes: u64,
    /// Its folders, each with the bytes of its name there.
    folders: Vec<(u32, u8)>,
}

/// The walk: folders that were met, of which the first `read` were read.
pub(super) struct Walk<'l> {
    limits: &'l AdmissionLimits,
    folders: Vec<Folder>,
    known: HashMap<Id, u32>,
    entries: u64,
    read: usize,
    hashes: RandomState,
    pub(super) doubtful: Doubtful,
}

impl<'l> Walk<'l> {
    pub(super) fn from(root: Id, limits: &'l AdmissionLimits) -> Self {
        let mut walk = Self {
            limits,
            folders: Vec::new(),
            known: HashMap::new(),
            entries: 0,
            read: 0,
            hashes: RandomState::new(),
            doubtful: Doubtful::default(),
        };
        walk.meet(root, 0, &[]);
        walk
    }

    /// The next folders to be read, at most so many.
    pub(super) fn next(&self, most: usize) -> Vec<Id> {
        self.folders[self.read..].iter().take(most).map(|folder| folder.id).collect()
    }

    /// Takes the content of the next folder.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let at = u32::try_from(self.read).unwrap_or(u32::MAX);
        self.read += 1;
        let (depth, path_bytes) = (self.folders[at as usize].depth, self.folders[at as usize].path_bytes);
        if depth > self.limits.depth {
            return Err(self.refused(at, &format!("folders more than {} deep:", self.limits.depth), b""));
        }
        let mut lower: HashMap<u64, Vec<u32>> = HashMap::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let from = u32::try_from(bytes.len() - rest.len()).unwrap_or(u32::MAX);
            let Some((entry, next)) = TreeEntry::first_of(rest) else {
                return Err(self.refused(at, "a folder that can't be read at", b""));
            };
            rest = next;
            self.entries += 1;
            if self.entries > self.limits.paths.saturating_mul(2) {
                return Err(self.too_many_paths(self.entries));
            }
            if entry.name.len() > MAX_NAME {
                return Err(self.refused(at, &format!("a name of more than {MAX_NAME} bytes:"), entry.name));
            }
            let name_bytes = u32::try_from(entry.name.len()).unwrap_or(u32::MAX);
            if path_bytes.saturating_add(name_bytes) > MAX_PATH {
                return Err(self.refused(at, &format!("a path of more than {MAX_PATH} bytes:"), entry.name));
            }
            self.look_for_twin(at, bytes, from, &entry, &mut lower)?;
            let is_reserved = || self.limits.reserved.iter().any(|reserved| reserved.as_bytes() == entry.name);
            if entry.mode == b"120000" && at == 0 && is_reserved() {
                self.doubtful.links.push(entry.name.to_vec());
            }
            if entry.is_folder() {
                let inner = self.meet(entry.id, at, entry.name);
                let name_bytes = u8::try_from(entry.name.len()).unwrap_or(u8::MAX);
                self.folders[at as usize].folders.push((inner, name_bytes));
            } else {
                let folder = &mut self.folders[at as usize];
                folder.files += 1;
                folder.file_bytes += u64::from(name_bytes);
            }
        }
        Ok(())
    }

    /// The folder of this id, met before or now.
    fn meet(&mut self, id: Id, parent: u32, name: &[u8]) -> u32 {
        if let Some(&known) = self.known.get(&id) {
            return known;
        }
        let at = u32::try_from(self.folders.len()).unwrap_or(u32::MAX);
        let (path_bytes, depth) = match self.folders.get(parent as usize) {
            Some(above) => (above.path_bytes + u32::try_from(name.len()).unwrap_or(u32::MAX) + 1, above.depth + 1),
            None => (0, 1),
        };
        let (files, file_bytes, folders) = (0, 0, Vec::new());
        self.folders.push(Folder { id, parent, name: name.to_vec(), path_bytes, depth, files, file_bytes, folders });
        self.known.insert(id, at);
        at
    }

    fn look_for_twin(
        &mut self,
        at: u32,
        bytes: &[u8],
        from: u32,
        entry: &TreeEntry<'_>,
        lower: &mut HashMap<u64, Vec<u32>>,
    ) -> Result<(), Refused> {
        let folded = folded(entry.name);
        let same = lower.entry(self.hashes.hash_one(&folded)).or_default();
        let name_of = |from: u32| TreeEntry::first_of(bytes.get(from as usize..)?).map(|(entry, _)| entry.name);
        let twin = same.iter().filter_map(|&from| name_of(from)).find(|other| self::folded(other) == folded);
        if let Some(twin) = twin {
            if self.doubtful.twins.len() >= MAX_DOUBTFUL {
                return Err(self.refused(at, "too many names that differ in case only, such as", entry.name));
            }
            self.doubtful.twins.push((FolderAt(at), twin.to_vec(), entry.name.to_vec()));
        } else {
            same.push(from);
        }
        Ok(())
    }

    /// What it would be when every folder is written out as often as it occurs.
    pub(super) fn end(&self) -> Result<(), Refused> {
        let whole = written_out(&self.folders);
        if whole.files > self.limits.paths {
            return Err(self.too_many_paths(whole.files));
        }
        if whole.depth > self.limits.depth {
            return Err(Refused::Tree(format!("folders more than {} deep", self.limits.depth)));
        }
        if whole.longest > u64::from(MAX_PATH) {
            return Err(Refused::Tree(format!("paths of more than {MAX_PATH} bytes")));
        }
        if whole.path_bytes > self.limits.path_bytes {
            let what = "the size in bytes of the names of all files, with their folders,";
            return Err(Refused::TooMuch { what, found: whole.path_bytes, allowed: self.limits.path_bytes });
        }
        Ok(())
    }

    fn too_many_paths(&self, found: u64) -> Refused {
        Refused::TooMuch { what: "the number of files", found, allowed: self.limits.paths }
    }

    fn refused(&self, at: u32, why: &str, name: &[u8]) -> Refused {
        let path = self.shown_path(FolderAt(at), name);
        Refused::Tree(format!("{why} `{path}`"))
    }

    /// The names that lead to a folder, from the root on.
    pub(super) fn names(&self, at: FolderAt) -> Vec<&[u8]> {
        let mut names = Vec::new();
        let mut at = at.0;
        while let Some(folder) = self.folders.get(at as usize).filter(|_| at != 0) {
            names.push(folder.name.as_slice());
            at = folder.parent;
        }
        names.reverse();
        names
    }

    /// A name in a folder, as it is shown: from the front, as far as there is room.
    pub(super) fn shown_path(&self, at: FolderAt, name: &[u8]) -> String {
        let mut budget = Budget::of(SHOWN_PATH * 4);
        let mut path = String::new();
        for folder in self.names(at) {
            if path.len() > SHOWN_PATH {
                return format!("{path}…");
            }
            path.push_str(&budget.line(folder, SHOWN_PATH));
            path.push('/');
        }
        path.push_str(&budget.line(name, SHOWN_PATH));
        path
    }
}

/// A tree with every folder in it as often as it occurs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Whole {
    files: u64,
    depth: u32,
    /// Bytes of all paths of files.
    path_bytes: u64,
    /// The longest path of a folder.
    longest: u64,
}

/// Adds up from the inside out; folders are met before what is in them, but may be met again further in.
fn written_out(folders: &[Folder]) -> Whole {
    let mut known: Vec<Option<Whole>> = vec![None; folders.len()];
    let mut stack: Vec<u32> = vec![0];
    while let Some(&at) = stack.last() {
        let Some(folder) = folders.get(at as usize) else {
            stack.pop();
            continue;
        };
        let is_open = |inner: &u32| known.get(*inner as usize).is_some_and(Option::is_none);
        if let Some((inner, _)) = folder.folders.iter().find(|(inner, _)| is_open(inner)) {
            // One at a time, so that the stack is as long as the tree is deep.
            stack.push(*inner);
            continue;
        }
        let mut sum = Whole { files: folder.files, depth: 0, path_bytes: folder.file_bytes, longest: 0 };
        for (inner, name) in &folder.folders {
            let whole = known.get(*inner as usize).copied().flatten().unwrap_or_default();
            let name = u64::from(*name) + 1;
            sum.files = sum.files.saturating_add(whole.files);
            sum.path_bytes = sum.path_bytes.saturating_add(whole.path_bytes);
            sum.path_bytes = sum.path_bytes.saturating_add(name.saturating_mul(whole.files));
            sum.depth = sum.depth.max(whole.depth);
            sum.longest = sum.longest.max(whole.longest + name);
        }
        sum.depth += 1;
        if let Some(slot) = known.get_mut(at as usize) {
            *slot = Some(sum);
        }
        stack.pop();
    }
    known.first().copied().flatten().unwrap_or_default()
}

fn folded(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_lowercase()
}

/// An entry of a tree object: mode, blank, name, NUL, 20 bytes of id.
struct TreeEntry<'a> {
    mode: &'a [u8],
    name: &'a [u8],
    id: Id,
}

impl<'a> TreeEntry<'a> {
    /// The first entry, and what comes after it.
    fn first_of(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let nul = memchr::memchr(0, bytes)?;
        let blank = memchr::memchr(b' ', &bytes[..nul])?;
        let id = bytes.get(nul + 1..nul + 21)?.try_into().ok()?;
        Some((Self { mode: &bytes[..blank], name: &bytes[blank + 1..nul], id }, &bytes[nul + 21..]))
    }

    fn is_folder(&self) -> bool {
        matches!(self.mode, b"40000" | b"040000")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn id(n: u8) -> Id {
        [n; 20]
    }

    fn tree(entries: &[(&str, &[u8], u8)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (mode, name, of) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend(id(*of));
        }
        bytes
    }

    /// Walks trees that are known by the number of their id; others are empty.
    fn walk(root: u8, limits: &AdmissionLimits, trees: impl Fn(u8) -> Vec<u8>) -> Result<Whole, Refused> {
        let mut walk = Walk::from(id(root), limits);
        loop {
            let next = walk.next(4);
            if next.is_empty() {
                break;
            }
            for id in next {
                walk.take(&trees(id[0]))?;
            }
        }
        walk.end().map(|()| written_out(&walk.folders))
    }

    #[test]
    fn a_tree_bomb_is_counted_without_being_written_out() {
        // Each folder holds the next one ten times.
        let bomb = |n: u8| match n {
            30 => tree(&[("100644", b"f", 99)]),
            n => {
                let names: Vec<Vec<u8>> = (0..10u8).map(|i| vec![b'a' + i]).collect();
                tree(&names.iter().map(|name| ("40000", name.as_slice(), n + 1)).collect::<Vec<_>>())
            }
        };
        let limits = AdmissionLimits::default();
        let refused = walk(0, &limits, bomb).unwrap_err();
        assert!(matches!(refused, Refused::TooMuch { what: "the number of files", .. }), "{refused:?}");
        // A thousand files, each at `x/y/z/f`.
        let whole = walk(27, &limits, bomb).unwrap();
        assert_eq!(whole, Whole { files: 1000, depth: 4, path_bytes: 7000, longest: 6 });
    }

    #[test]
    fn paths_have_a_length_one_by_one_and_all_together() {
        let limits = AdmissionLimits { path_bytes: 10_000, depth: 200, ..AdmissionLimits::default() };
        let long = vec![1_u8; 255];
        // A chain of folders: 16 of them make a path of 4096 bytes.
        let chain = |n: u8| match n {
            40 => tree(&[("100644", b"f", 99)]),
            n => tree(&[("40000", &long, n + 1)]),
        };
        assert!(walk(25, &limits, chain).is_ok());
        let Refused::Tree(words) = walk(20, &limits, chain).unwrap_err() else { panic!("another refusal") };
        assert!(words.starts_with("a path of more than 4096 bytes: `<U+0001><U+0001>"), "{words}");
        assert!(words.len() < 1000, "{words}");
        // Forty files below a path of some hundred bytes.
        let names: Vec<String> = (0..40).map(|n| format!("f{n:02}")).collect();
        let many = |n: u8| match n {
            2 => tree(&names.iter().map(|name| ("100644", name.as_bytes(), 99)).collect::<Vec<_>>()),
            n => tree(&[("40000", &long, n + 1)]),
        };
        let refused = walk(0, &limits, many).unwrap_err();
        let Refused::TooMuch { found, allowed, .. } = refused else { panic!("another refusal") };
        assert_eq!((found, allowed), (40 * (2 * 256 + 3), 10_000));
    }

    #[test]
    fn a_folder_that_is_met_near_the_root_first_is_as_deep_as_where_it_is_deepest() {
        // 1 holds 9 at once, and by 2, 3, …, 8 once more.
        let trees = |n: u8| match n {
            1 => tree(&[("40000", b"near", 9), ("40000", b"x", 2)]),
            9 => tree(&[("100644", b"f", 99)]),
            n => tree(&[("40000", b"x", n + 1)]),
        };
        let limits = AdmissionLimits { depth: 8, ..AdmissionLimits::default() };
        assert_eq!(walk(1, &limits, trees).unwrap_err(), Refused::Tree("folders more than 8 deep".to_owned()));
        assert_eq!(walk(1, &AdmissionLimits { depth: 9, ..limits }, trees).unwrap().depth, 9);
    }

    #[test]
    fn entries_are_read_as_git_writes_them() {
        let bytes = tree(&[("100644", b"a b", 7), ("40000", b"dir", 8)]);
        let (first, rest) = TreeEntry::first_of(&bytes).unwrap();
        let (second, end) = TreeEntry::first_of(rest).unwrap();
        assert_eq!((first.name, first.is_folder(), first.id), (&b"a b"[..], false, id(7)));
        assert_eq!((second.name, second.is_folder(), end.len()), (&b"dir"[..], true, 0));
        assert!(TreeEntry::first_of(b"100644 a\0short").is_none());
    }

    proptest! {
        #[test]
        fn any_tree_is_survived(bytes: Vec<u8>) {
            let limits = AdmissionLimits::default();
            let mut walk = Walk::from(id(0), &limits);
            let _ = walk.take(&bytes);
            let _ = walk.end();
        }
    }
}
