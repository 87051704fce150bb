//! Which files differ between two trees: found in the trees alone, without reading any file.

use super::cost::Meter;
use crate::mirror::Kept;
use git2::{Tree, TreeEntry};
use std::cmp::Ordering;

/// A file that differs: where it is, and what stands there before and now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Change {
    pub(super) path: Vec<u8>,
    /// Where it was before, if that was elsewhere.
    pub(super) from: Option<Vec<u8>>,
    pub(super) old: Option<Kept>,
    pub(super) new: Option<Kept>,
}

/// The first files that differ, in git's order, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) first: Vec<Change>,
    pub(super) count: u64,
    /// Whether the budget sufficed to find all.
    pub(super) are_all_counted: bool,
}

/// Bytes of the paths that are kept; those beyond are counted.
const MAX_PATHS: usize = 2 << 20;

/// Where the walk is in two folders of the same name, or in one that the other side does not have.
struct Folder<'r> {
    old: Option<Tree<'r>>,
    new: Option<Tree<'r>>,
    at_old: usize,
    at_new: usize,
    /// Bytes of the path above it.
    above: usize,
}

impl Changes {
    /// Compares two trees; at most the first `most` files that differ are kept.
    pub(super) fn between(
        meter: &mut Meter<'_>,
        old: git2::Oid,
        new: git2::Oid,
        most: usize,
    ) -> Result<Self, git2::Error> {
        let mut changes = Self::default();
        let mut path: Vec<u8> = Vec::new();
        let mut paths = 0;
        let (Some(old), Some(new)) = (meter.tree(old)?, meter.tree(new)?) else { return Ok(changes) };
        // A stack of folders, and not of calls: a stranger decides how deep it is.
        let mut folders = vec![Folder { old: Some(old), new: Some(new), at_old: 0, at_new: 0, above: 0 }];
        while let Some(folder) = folders.last_mut() {
            if !meter.entry() {
                return Ok(changes);
            }
            let Some((before, after)) = folder.next() else {
                path.truncate(folder.above);
                folders.pop();
                continue;
            };
            let Some((name, is_folder)) =
                before.as_ref().or(after.as_ref()).map(|it| (it.name.clone(), it.is_folder()))
            else {
                continue;
            };
            let above = path.len();
            path.extend_from_slice(&name);
            if is_folder {
                path.push(b'/');
                let mut tree = |side: Option<&Entry>| side.map(|it| meter.tree(it.kept.id)).transpose();
                let (old, new) = (tree(before.as_ref())?, tree(after.as_ref())?);
                if matches!(old, Some(None)) || matches!(new, Some(None)) {
                    return Ok(changes);
                }
                folders.push(Folder { old: old.flatten(), new: new.flatten(), at_old: 0, at_new: 0, above });
                continue;
            }
            changes.count += 1;
            if changes.first.len() < most && paths + path.len() <= MAX_PATHS {
                paths += path.len();
                let kept = |it: Entry| it.kept;
                let change = Change { path: path.clone(), from: None, old: before.map(kept), new: after.map(kept) };
                changes.first.push(change);
            }
            path.truncate(above);
        }
        changes.are_all_counted = true;
        Ok(changes)
    }
}

/// An entry of a folder.
struct Entry {
    name: Vec<u8>,
    kept: Kept,
}

impl Entry {
    fn of(entry: &TreeEntry<'_>) -> Self {
        Self { name: entry.name_bytes().to_vec(), kept: Kept { id: entry.id(), mode: entry.filemode() } }
    }

    fn is_folder(&self) -> bool {
        self.kept.mode == FOLDER
    }
}

const FOLDER: i32 = 0o040_000;

impl Folder<'_> {
    /// The next entries: of one side, or of both where they have the same name and are both folders or both none. Nothing of either
    /// where they are equal; none at the end.
    fn next(&mut self) -> Option<(Option<Entry>, Option<Entry>)> {
        let old = self.old.as_ref().and_then(|tree| tree.get(self.at_old));
        let new = self.new.as_ref().and_then(|tree| tree.get(self.at_new));
        let order = match (&old, &new) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => in_order(old, new),
        };
        let old = old.filter(|_| order != Ordering::Greater);
        let new = new.filter(|_| order != Ordering::Less);
        self.at_old += usize::from(old.is_some());
        self.at_new += usize::from(new.is_some());
        match (&old, &new) {
            (Some(old), Some(new)) if (old.id(), old.filemode()) == (new.id(), new.filemode()) => Some((None, None)),
            _ => Some((old.as_ref().map(Entry::of), new.as_ref().map(Entry::of))),
        }
    }
}

/// How git sorts: a folder as if its name ended with a slash.
pub(crate) fn in_order(a: &TreeEntry<'_>, b: &TreeEntry<'_>) -> Ordering {
    let key = |entry: &TreeEntry<'_>| (entry.filemode() == FOLDER).then_some(b'/');
    let (ends_a, ends_b) = (key(a), key(b));
    a.name_bytes().iter().copied().chain(ends_a).cmp(b.name_bytes().iter().copied().chain(ends_b))
}
