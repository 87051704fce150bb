//! What differs between two trees, folders with it, told one by one until there is enough.

use crate::read::in_order;
use git2::{Repository, Tree, TreeEntry};
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// Something that differs: a file, or a folder in which something does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Difference<'p> {
    /// From the root, without a slash at the end.
    pub(super) path: &'p [u8],
    pub(super) is_folder: bool,
    pub(super) in_old: bool,
    pub(super) in_new: bool,
}

/// Where the walk is in two folders of the same name, or in one that the other side does not have.
struct Folder<'r> {
    old: Option<Tree<'r>>,
    new: Option<Tree<'r>>,
    at_old: usize,
    at_new: usize,
    /// Bytes of the path to it.
    path: usize,
}

impl Folder<'_> {
    /// The next entry of one side, or one of each that have the same name and are both folders or both none.
    fn next(&mut self) -> Option<(Option<TreeEntry<'static>>, Option<TreeEntry<'static>>)> {
        let a = self.old.as_ref().and_then(|tree| tree.get(self.at_old));
        let b = self.new.as_ref().and_then(|tree| tree.get(self.at_new));
        let order = match (&a, &b) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => in_order(a, b),
        };
        let a = a.filter(|_| order != Ordering::Greater).map(|entry| entry.to_owned());
        let b = b.filter(|_| order != Ordering::Less).map(|entry| entry.to_owned());
        self.at_old += usize::from(a.is_some());
        self.at_new += usize::from(b.is_some());
        Some((a, b))
    }
}

/// Tells each difference, a folder before what is in it, until `told` has enough. A file where the other tree has a folder
/// is two of them.
pub(super) fn each_difference(
    repository: &Repository,
    old: &Tree<'_>,
    new: &Tree<'_>,
    told: &mut dyn FnMut(Difference<'_>) -> ControlFlow<()>,
) -> Result<(), git2::Error> {
    let tree = |id| repository.find_tree(id).map(Some);
    let mut path: Vec<u8> = Vec::new();
    // A stack of folders, and not of calls: a stranger decides how deep it is.
    let root = Folder { old: tree(old.id())?, new: tree(new.id())?, at_old: 0, at_new: 0, path: 0 };
    let mut folders = vec![root];
    while let Some(folder) = folders.last_mut() {
        path.truncate(folder.path);
        let Some((before, after)) = folder.next() else {
            folders.pop();
            continue;
        };
        let Some(one) = before.as_ref().or(after.as_ref()) else { continue };
        if let (Some(a), Some(b)) = (&before, &after)
            && (a.id(), a.filemode()) == (b.id(), b.filemode())
        {
            continue;
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(one.name_bytes());
        let is_folder = is_folder(one);
        let (in_old, in_new) = (before.is_some(), after.is_some());
        if told(Difference { path: &path, is_folder, in_old, in_new }).is_break() {
            return Ok(());
        }
        if is_folder {
            let tree = |entry: Option<TreeEntry<'_>>| entry.map(|it| repository.find_tree(it.id())).transpose();
            let (old, new) = (tree(before)?, tree(after)?);
            folders.push(Folder { old, new, at_old: 0, at_new: 0, path: path.len() });
        }
    }
    Ok(())
}

fn is_folder(entry: &TreeEntry<'_>) -> bool {
    entry.filemode() == 0o040_000
}
