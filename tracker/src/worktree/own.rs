//! Whose a fragment is: the branch's own, or mainline's, which may keep fragments until its next release. Only the branch's own are
//! folded with the branch.

use super::git::fields;
use super::{WorkTree, WorkTreeError};
use changelog::{Place, Release, Whose, whose};
use std::collections::HashMap;

/// What a branch is merged into, by the names that people give it; the first that is there counts.
pub(super) const USUAL: [&str; 8] = [
    "upstream/HEAD",
    "upstream/main",
    "upstream/master",
    "origin/HEAD",
    "origin/main",
    "origin/master",
    "main",
    "master",
];

/// What the work tree's branch is compared with.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Mainline's commit.
    pub(super) tip: String,
    /// Where the branch leaves it.
    pub(super) base: Option<String>,
}

/// Which fragments are taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Taking<'a> {
    /// Those that the branch brings, compared with what is named, or with mainline.
    Own(Option<&'a str>),
    /// All that are there.
    All,
    /// All that are there, for this release.
    Release(Release<'a>),
}

/// The files that mainline has, now and where the branch left it; nothing is known where there is no mainline.
#[derive(Default)]
pub(super) struct Owner {
    known: Option<Sides>,
}

struct Sides {
    tip: HashMap<Vec<u8>, String>,
    base: HashMap<Vec<u8>, String>,
}

impl Owner {
    /// Whose the file is; `id` is its object in the index, if it has not been changed since.
    pub(super) fn of(&self, path: &[u8], id: Option<&str>, in_folder: bool) -> Whose {
        let Some(Sides { tip, base }) = &self.known else { return Whose::Branch };
        let (tip, base) = (tip.get(path), base.get(path));
        whose(base, tip, id.map(str::to_owned).as_ref(), in_folder)
    }
}

impl WorkTree {
    /// Who owns which files, for these ChangeLogs.
    pub(super) fn owner(&self, places: &[Place], line: Option<&Line>) -> Result<Owner, WorkTreeError> {
        let Some(line) = line else { return Ok(Owner::default()) };
        let tip = self.files_at(&line.tip, places)?;
        let base = match &line.base {
            Some(base) => self.files_at(base, places)?,
            None => HashMap::new(),
        };
        Ok(Owner { known: Some(Sides { tip, base }) })
    }

    fn files_at(&self, commit: &str, places: &[Place]) -> Result<HashMap<Vec<u8>, String>, WorkTreeError> {
        let paths: Vec<String> =
            places.iter().flat_map(|place| place.rules.roots().map(|path| place.rooted(path))).collect();
        if paths.is_empty() {
            return Ok(HashMap::new());
        }
        let mut args = vec!["ls-tree", "-r", "-z", "--full-tree", commit, "--"];
        args.extend(paths.iter().map(String::as_str));
        let listed = self.git.run(&args)?;
        let read = |line: &[u8]| {
            let tab = line.iter().position(|&b| b == b'\t')?;
            let id = line[..tab].rsplit(|&b| b == b' ').next()?;
            Some((line[tab + 1..].to_vec(), String::from_utf8_lossy(id).into_owned()))
        };
        Ok(fields(&listed).filter_map(read).collect())
    }

    /// What the branch is compared with: in the middle of a merge, or right after one, the side that was merged into; else what is named,
    /// or mainline. `None` where there is nothing of the kind: then all that is there is the branch's.
    pub(super) fn line(
        &self,
        against: Option<&str>,
        merge: Option<(&str, &str)>,
    ) -> Result<Option<Line>, WorkTreeError> {
        let Some(head) = self.git.commit("HEAD")? else { return Ok(None) };
        if let Some(name) = against {
            let tip = self.git.commit(name)?.ok_or_else(|| WorkTreeError::NotACommit { name: name.to_owned() })?;
            let base = self.merge_base(&head, &tip)?;
            return Ok(Some(Line { tip, base }));
        }
        let mainline = self.mainline(&head)?;
        if let Some((ours, theirs)) = merge {
            let base = self.merge_base(ours, theirs)?;
            // Mainline is what is merged in, where a branch is brought up to date.
            let is_update = match &mainline {
                Some(line) => self.is_within(theirs, &line.tip)? && !self.is_within(ours, &line.tip)?,
                None => false,
            };
            let tip = if is_update { theirs } else { ours };
            return Ok(Some(Line { tip: tip.to_owned(), base }));
        }
        if mainline.is_some() {
            return Ok(mainline);
        }
        // No mainline but this branch itself: what its newest merge brought is told by its parents, or by where it was before.
        if let (Some(ours), Some(theirs)) = (self.git.commit("HEAD^1")?, self.git.commit("HEAD^2")?) {
            return Ok(Some(Line { base: self.merge_base(&ours, &theirs)?, tip: ours }));
        }
        let newest = self.git.ask(&["log", "--walk-reflogs", "-1", "--format=%gs", "HEAD"])?.unwrap_or_default();
        let is_forward = newest.starts_with(b"merge ") && newest.ends_with(b": Fast-forward\n");
        let before = if is_forward { self.git.commit("HEAD@{1}")? } else { None };
        Ok(before.map(|before| Line { base: Some(before.clone()), tip: before }))
    }

    /// Mainline as this clone knows it, apart from the branch that is checked out.
    fn mainline(&self, head: &str) -> Result<Option<Line>, WorkTreeError> {
        let full = |name: &str| match name.contains('/') {
            true => format!("refs/remotes/{name}"),
            false => format!("refs/heads/{name}"),
        };
        let names: Vec<String> = USUAL.into_iter().map(full).collect();
        let mut args = vec!["for-each-ref", "--format=%(HEAD)%(objectname) %(refname)"];
        args.extend(names.iter().map(String::as_str));
        let listed = String::from_utf8_lossy(&self.git.run(&args)?).into_owned();
        for name in &names {
            // A star stands before the branch that is checked out.
            let tip =
                |line: &'_ str| Some(line.strip_prefix(' ')?.split_once(' ').filter(|(_, n)| n == name)?.0.to_owned());
            let Some(tip) = listed.lines().find_map(tip) else { continue };
            if let Some(base) = self.merge_base(head, &tip)? {
                return Ok(Some(Line { tip, base: Some(base) }));
            }
        }
        Ok(None)
    }

    fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, WorkTreeError> {
        let base = self.git.ask(&["merge-base", one, other])?;
        Ok(base.map(|base| String::from_utf8_lossy(&base).trim().to_owned()))
    }

    fn is_within(&self, commit: &str, other: &str) -> Result<bool, WorkTreeError> {
        Ok(self.git.ask(&["merge-base", "--is-ancestor", commit, other])?.is_some())
    }
}
