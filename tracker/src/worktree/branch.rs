//! A branch as it stands in the work tree, against the one that it will be merged into: checking it, drafting its fragment, and
//! showing the ChangeLog as it will read.

use super::found::Found;
use super::git::fields;
use super::own::{Line, Owner, USUAL};
use super::{WorkTree, WorkTreeError};
use changelog::{
    BranchChangeLog, Change, Complaint, Draft, FoldAt, FoldError, FoldOptions, Folded, Fragment, PathKind, Place,
    Problem, check_names, exemption, fold, fold_branch, has_work, not_in_diff, would_not_fold,
};
use jiff::civil::Date;
use serde::Serialize;
use std::fs;

/// What a branch will be merged into.
#[derive(Clone, Debug, Serialize)]
pub struct Against {
    /// Its name.
    pub name: String,
    /// Its commit.
    pub tip: String,
    /// The commit where the branch leaves it.
    pub base: String,
}

/// What there is to say against a branch.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// What it was compared with.
    pub against: Against,
    /// The fragments that were found.
    pub fragments: Vec<String>,
    /// Why the branch needs none, if a commit says so.
    pub exempt: Option<String>,
    /// All complaints.
    pub complaints: Vec<Complaint>,
}

/// A ChangeLog before and after the branch's merge.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The ChangeLog's path.
    pub path: String,
    /// As it is where the branch will be merged.
    pub before: Vec<u8>,
    /// What the merge will give.
    pub folded: Folded,
}

impl WorkTree {
    /// Finds what the branch is compared with: the one named, else the upstream's main branch.
    ///
    /// # Errors
    /// [`WorkTreeError::NotACommit`] if it does not exist or has nothing in common with the branch.
    pub fn against(&self, name: Option<&str>) -> Result<Against, WorkTreeError> {
        let head = self.git.commit("HEAD")?.ok_or_else(|| WorkTreeError::NotACommit { name: "HEAD".to_owned() })?;
        let names: Vec<&str> = name.map_or_else(|| USUAL.to_vec(), |name| vec![name]);
        for name in names {
            let Some(tip) = self.git.commit(name)? else { continue };
            let Some(base) = self.git.ask(&["merge-base", &head, &tip])? else { continue };
            let base = String::from_utf8_lossy(&base).trim().to_owned();
            return Ok(Against { name: name.to_owned(), tip, base });
        }
        Err(WorkTreeError::NotACommit { name: name.unwrap_or("main").to_owned() })
    }

    /// Checks the branch: that it has a fragment, that each is well formed and names what the branch changes, and that it would fold.
    ///
    /// # Errors
    /// See [`WorkTreeError`]; what is wrong with the branch is in the report.
    pub fn check(&self, places: &[Place], against: Against, date: Date) -> Result<CheckReport, WorkTreeError> {
        let changed = self.changed_since(&against.base)?;
        let exempt = self.exemption(&against)?;
        let mut report = CheckReport { against, fragments: Vec::new(), exempt, complaints: Vec::new() };
        let listing = self.list(places)?;
        let owner = self.owner_against(places, &report.against)?;
        for place in places {
            let mut found = self.fragments_of(place, places, &listing, &owner, true)?;
            // What mainline has lying there is not this branch's to move.
            for (path, _) in found.stray.iter().filter(|(_, is_own)| *is_own) {
                report.complaints.push(at_start(path, Problem::Stray));
            }
            let names: Vec<&[u8]> =
                found.fragments.iter().map(|f| &f.path).chain(&found.kept).map(|path| path.as_bytes()).collect();
            report.complaints.extend(check_names(&names));
            self.check_place(place, places, &mut found, &changed, date, &mut report)?;
            report.fragments.extend(found.fragments.into_iter().map(|f| f.path));
        }
        Ok(report)
    }

    fn check_place(
        &self,
        place: &Place,
        places: &[Place],
        found: &mut Found,
        changed: &[Vec<u8>],
        date: Date,
        report: &mut CheckReport,
    ) -> Result<(), WorkTreeError> {
        // A new file that is not added yet may be named, but alone it asks for no fragment.
        let new = self.git.run(&["ls-files", "-z", "--others", "--exclude-standard"])?;
        let own: Vec<&[u8]> =
            changed.iter().map(Vec::as_slice).chain(fields(&new)).filter_map(|path| place.within(path)).collect();
        let versions = self.versions(place, &report.against)?;
        self.name_authors(place, versions.1.as_deref(), found)?;
        let fragments = found.for_place(place);
        // What keeps a fragment out is the fold's own word, here as for whoever merges.
        let folded = match fold_versions(place, &versions, &fragments, date) {
            Ok(folded) => Some(folded),
            Err(FoldError::Fragments(more)) => {
                report.complaints.extend(more);
                None
            }
            Err(error) => {
                let bytes = versions.1.as_deref().unwrap_or_default();
                report.complaints.push(would_not_fold(place.path.as_bytes(), bytes, &error));
                None
            }
        };
        for fragment in &fragments {
            // A fragment that the branch did not touch is another's, and speaks of other changes.
            let is_new = changed.iter().any(|path| path == fragment.path) || found.is_unstaged(fragment.path);
            if is_new {
                report.complaints.extend(not_in_diff(fragment, &own));
            }
        }
        let works = has_work(place, places, changed.iter().map(Vec::as_slice));
        let says_nothing = |it: &Folded| it.tells_nothing() && found.corrected.is_empty();
        if works && report.exempt.is_none() && folded.as_ref().is_some_and(says_nothing) {
            let path = place.rules.names.first().map_or("repo.ChangeLog", String::as_str);
            let problem = Problem::Missing { changelog: place.path.clone() };
            report.complaints.push(at_start(&place.rooted(path), problem));
        }
        Ok(())
    }

    /// The ChangeLogs as they will read once the branch is merged.
    ///
    /// # Errors
    /// See [`WorkTreeError`]; [`WorkTreeError::Fold`] if it would not fold.
    pub fn preview(&self, places: &[Place], against: &Against, date: Date) -> Result<Vec<Preview>, WorkTreeError> {
        let mut all = Vec::new();
        let listing = self.list(places)?;
        let owner = self.owner_against(places, against)?;
        for place in places {
            let mut found = self.fragments_of(place, places, &listing, &owner, true)?;
            let versions = self.versions(place, against)?;
            self.name_authors(place, versions.1.as_deref(), &mut found)?;
            let folded = fold_versions(place, &versions, &found.for_place(place), date)?;
            let before = versions.1.unwrap_or_default();
            if before != folded.changelog {
                all.push(Preview { path: place.path.clone(), before, folded });
            }
        }
        Ok(all)
    }

    /// Who owns which fragments, as against this commit. On mainline itself, with no other in sight, all are the branch's.
    fn owner_against(&self, places: &[Place], against: &Against) -> Result<Owner, WorkTreeError> {
        let is_own = self.branch_name()?.as_ref() == Some(&against.name);
        let line = match is_own {
            true => self.line(None, None)?,
            false => Some(Line { tip: against.tip.clone(), base: Some(against.base.clone()) }),
        };
        self.owner(places, line.as_ref())
    }

    /// What the branch changes, as the draft of its fragment: commit by commit, then what is not committed yet.
    ///
    /// # Errors
    /// See [`WorkTreeError`].
    pub fn draft(&self, places: &[Place], against: &Against) -> Result<Draft, WorkTreeError> {
        let range = format!("{}..HEAD", against.base);
        let shown = ["-c", "core.quotePath=false", "-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false"];
        let patch = ["-U0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames"];
        let log = ["log", "--reverse", "--no-merges", "--format=%x01%an%x00%ae%x00%s", "-p"];
        let committed = self.git.run(&[&shown[..], &log, &patch, &[&range, "--"]].concat())?;
        let open = self.git.run(&[&shown[..], &["diff"], &patch, &["HEAD", "--"]].concat())?;
        let mut draft = Draft::default();
        read_patches(&committed, &mut draft);
        draft.changes.push(Change::default());
        read_patches(&open, &mut draft);
        for change in &mut draft.changes {
            change.files.retain(|(path, _)| is_work(places, path.as_bytes()));
        }
        draft.changes.retain(|c| !c.files.is_empty());
        // The newest author first: it is most likely the one who writes this.
        draft.authors.reverse();
        if draft.authors.is_empty() {
            let author = self.own_name()?;
            draft.authors.push((
                String::from_utf8_lossy(&author.name).into_owned(),
                String::from_utf8_lossy(&author.mail).into_owned(),
            ));
        }
        Ok(draft)
    }

    /// The name of the branch that is checked out.
    ///
    /// # Errors
    /// See [`WorkTreeError`].
    pub fn branch_name(&self) -> Result<Option<String>, WorkTreeError> {
        let name = self.git.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        Ok(name.map(|n| String::from_utf8_lossy(&n).trim().to_owned()))
    }

    /// Opens a file in the user's editor, as git would.
    ///
    /// # Errors
    /// [`WorkTreeError::Git`] if there is none or it fails.
    pub fn edit(&self, path: &str) -> Result<(), WorkTreeError> {
        let editor = String::from_utf8_lossy(&self.git.run(&["var", "GIT_EDITOR"])?).trim().to_owned();
        let mut command = std::process::Command::new("sh");
        command.arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(path).current_dir(&self.top);
        let failed = |said: String| WorkTreeError::Git { what: "var GIT_EDITOR".to_owned(), said };
        let status = command.status().map_err(|e| failed(e.to_string()))?;
        if status.success() { Ok(()) } else { Err(failed(format!("the editor `{editor}` ended with {status}"))) }
    }

    /// Writes a new file; one that is there is never replaced.
    ///
    /// # Errors
    /// [`WorkTreeError::File`] if it exists or can't be written.
    pub fn write_new(&self, path: &str, text: &str) -> Result<(), WorkTreeError> {
        use std::io::Write as _;
        self.is_plain_file(path)?;
        let path = self.top.join(path);
        let write = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::File::create_new(&path)?.write_all(text.as_bytes())
        };
        write().map_err(WorkTreeError::file(&path))
    }

    fn changed_since(&self, base: &str) -> Result<Vec<Vec<u8>>, WorkTreeError> {
        let listed = self.git.run(&["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", base, "--"])?;
        Ok(fields(&listed).map(<[u8]>::to_vec).collect())
    }

    /// The reason that a commit of the branch gives for having no fragment.
    fn exemption(&self, against: &Against) -> Result<Option<String>, WorkTreeError> {
        let range = format!("{}..HEAD", against.base);
        let said = self.git.run(&["log", "--format=%B%x00", &range, "--"])?;
        Ok(said.split(|&b| b == 0).find_map(exemption))
    }

    /// The ChangeLog at the base, at the tip, and in the work tree.
    fn versions(&self, place: &Place, against: &Against) -> Result<Versions, WorkTreeError> {
        let base = self.git.file_at(&against.base, &place.path)?;
        let tip = self.git.file_at(&against.tip, &place.path)?;
        let own = if self.is_plain_file(&place.path)? {
            let path = self.top.join(&place.path);
            Some(fs::read(&path).map_err(WorkTreeError::file(path))?)
        } else {
            None
        };
        Ok((base, tip, own))
    }
}

type Versions = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);

fn fold_versions(
    place: &Place,
    (base, tip, own): &Versions,
    fragments: &[Fragment<'_>],
    date: Date,
) -> Result<Folded, FoldError> {
    if place.when == FoldAt::Release {
        // Until then nothing but fragments counts.
        let options = FoldOptions { base: base.as_deref(), ..place.fold_options() };
        return fold(place.path.as_bytes(), tip.as_deref(), fragments, date, &options);
    }
    let file = BranchChangeLog {
        path: place.path.as_bytes(),
        base: base.as_deref(),
        mainline: tip.as_deref(),
        branch: own.as_deref(),
    };
    fold_branch(&file, fragments, date, &place.fold_options())
}

/// Whether a path is what fragments speak of: neither a fragment nor a ChangeLog.
fn is_work(places: &[Place], path: &[u8]) -> bool {
    places.iter().all(|place| place.classify(path) == PathKind::Other && place.path.as_bytes() != path)
}

fn at_start(path: &str, problem: Problem) -> Complaint {
    Complaint { path: path.to_owned(), line: 1, column: 1, text: String::new(), problem }
}

/// Reads what `git log -p` and `git diff` print into changes.
fn read_patches(text: &[u8], draft: &mut Draft) {
    let mut in_hunks = false;
    for line in text.split(|&b| b == b'\n') {
        if let Some(rest) = line.strip_prefix(b"\x01") {
            let mut parts = rest.splitn(3, |&b| b == 0).map(|p| String::from_utf8_lossy(p).into_owned());
            let author = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            draft.authors.retain(|a| *a != author);
            draft.authors.push(author);
            draft.changes.push(Change { subject: parts.next().unwrap_or_default(), files: Vec::new() });
            in_hunks = false;
        } else if line.starts_with(b"diff --git ") {
            in_hunks = false;
        } else if !in_hunks && let Some(path) = path_in(line) {
            if let Some(change) = draft.changes.last_mut()
                && change.files.iter().all(|(p, _)| *p != path)
            {
                change.files.push((path, Vec::new()));
            }
        } else if line.starts_with(b"@@ ") {
            in_hunks = true;
            let file = draft.changes.last_mut().and_then(|c| c.files.last_mut());
            if let (Some((_, functions)), Some(name)) = (file, function_in(line))
                && !functions.contains(&name)
            {
                functions.push(name);
            }
        }
    }
}

/// The path in `--- a/path` or `+++ b/path`; of a file that was deleted or added, the line that names it.
fn path_in(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"--- ").or_else(|| line.strip_prefix(b"+++ "))?;
    let text = String::from_utf8_lossy(rest);
    let text = text.trim_end_matches('\t').trim_matches('"');
    text.strip_prefix("a/").or_else(|| text.strip_prefix("b/")).map(str::to_owned)
}

/// What git shows behind `@@ … @@`, as the name of a function or type.
fn function_in(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let head = text.strip_prefix("@@ ")?.split_once(" @@")?.1.trim();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '~' | '.' | '-' | '$' | '!' | '?');
    let head = head.replacen("pub(crate) ", "", 1).replacen("pub(super) ", "", 1);
    let before = head.split('(').next().unwrap_or(&head).trim_end();
    // `(defun name (args)` starts with the bracket that others have behind the name.
    let before = if before.is_empty() { head.trim_start_matches('(').split_once(' ')?.1 } else { before };
    let words: Vec<&str> = before.split(|c: char| !is_name(c)).filter(|w| w.chars().any(char::is_alphabetic)).collect();
    const KINDS: [&str; 13] = [
        "class",
        "struct",
        "enum",
        "trait",
        "impl",
        "interface",
        "module",
        "mod",
        "def",
        "fn",
        "func",
        "function",
        "type",
    ];
    let named = words.iter().position(|w| KINDS.contains(w)).and_then(|n| words.get(n + 1));
    let name = named.or(if head.starts_with('(') { words.first() } else { words.last() })?;
    let name = name.trim_end_matches([':', '.']);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn functions_are_named_by_hunk_headers() {
        let cases = [
            ("@@ -1 +1 @@ int main(int argc, char **argv)", Some("main")),
            ("@@ -1 +1 @@ static void *hello (void)", Some("hello")),
            ("@@ -1 +1 @@ impl Foo {", Some("Foo")),
            ("@@ -1 +1 @@ pub(crate) fn run(x: u8) -> u8 {", Some("run")),
            ("@@ -1 +1 @@ class Bzr(SourceBase):", Some("Bzr")),
            ("@@ -1 +1 @@     def dovc(self):", Some("dovc")),
            ("@@ -1 +1 @@ (defun org-info (x)", Some("org-info")),
            ("@@ -0,0 +1,9 @@", None),
        ];
        for (line, want) in cases {
            assert_eq!(function_in(line.as_bytes()).as_deref(), want, "{line}");
        }
    }
}
