//! Which files differ between two trees, counted without a list of all of them.

use git2::{Repository, Tree, TreeEntry};
use std::cmp::Ordering;

/// The first files that differ, in git's order, and how many there are.
pub(super) struct Changes<'r> {
    repository: &'r Repository,
    /// The way to where the walk is, as a stack of names.
    path: Vec<u8>,
    most: usize,
    pub(super) first: Vec<Vec<u8>>,
    pub(super) count: u64,
}

impl<'r> Changes<'r> {
    pub(super) fn between(
        repository: &'r Repository,
        old: &Tree<'_>,
        new: &Tree<'_>,
        most: usize,
    ) -> Result<Self, git2::Error> {
        let mut changes = Self { repository, path: Vec::new(), most, first: Vec::new(), count: 0 };
        changes.compare(Some(old), Some(new))?;
        Ok(changes)
    }

    fn compare(&mut self, old: Option<&Tree<'_>>, new: Option<&Tree<'_>>) -> Result<(), git2::Error> {
        let (mut at_old, mut at_new) = (0, 0);
        loop {
            let (a, b) = (old.and_then(|tree| tree.get(at_old)), new.and_then(|tree| tree.get(at_new)));
            let order = match (&a, &b) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => in_order(a, b),
            };
            let a = a.filter(|_| order != Ordering::Greater);
            let b = b.filter(|_| order != Ordering::Less);
            at_old += usize::from(a.is_some());
            at_new += usize::from(b.is_some());
            if let (Some(a), Some(b)) = (&a, &b)
                && (a.id(), a.filemode()) == (b.id(), b.filemode())
            {
                continue;
            }
            self.differs(a.as_ref(), b.as_ref())?;
        }
    }

    /// An entry of one side, or one of each that have the same name and are both folders or both none.
    fn differs(&mut self, old: Option<&TreeEntry<'_>>, new: Option<&TreeEntry<'_>>) -> Result<(), git2::Error> {
        let Some(one) = old.or(new) else { return Ok(()) };
        let before = self.path.len();
        self.path.extend_from_slice(one.name_bytes());
        if is_folder(one) {
            self.path.push(b'/');
            let tree = |entry: Option<&TreeEntry<'_>>| entry.map(|it| self.repository.find_tree(it.id())).transpose();
            let (old, new) = (tree(old)?, tree(new)?);
            self.compare(old.as_ref(), new.as_ref())?;
        } else {
            self.count += 1;
            if self.first.len() < self.most {
                self.first.push(self.path.clone());
            }
        }
        self.path.truncate(before);
        Ok(())
    }
}

fn is_folder(entry: &TreeEntry<'_>) -> bool {
    entry.filemode() == 0o040_000
}

/// How git sorts: a folder as if its name ended with a slash.
fn in_order(a: &TreeEntry<'_>, b: &TreeEntry<'_>) -> Ordering {
    let key = |entry: &TreeEntry<'_>| is_folder(entry).then_some(b'/');
    let (ends_a, ends_b) = (key(a), key(b));
    a.name_bytes().iter().copied().chain(ends_a).cmp(b.name_bytes().iter().copied().chain(ends_b))
}
