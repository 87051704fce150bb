//! The difference between two commits, as people read it, cut where it gets too long.
//!
//! Two steps: which files differ, by the trees alone; and how, of those files alone that are shown, by what they hold. Both
//! within one budget, so that what a stranger publishes decides what is shown of it, and not how long that takes.

use super::changes::{Change, Changes};
use super::cost::{Cost, Meter};
use super::hunks::{Content, Left, compare, leave_out, too_large};
use super::limits::DiffLimits;
use super::renames;
use crate::blocking::Waiting;
use crate::mirror::{Kept, Mirror, MirrorError, tree_of};
use crate::text::Budget;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use protocol::CommitId;
use protocol::api::{Diff, DiffFile};

/// A diff, and what it has cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The diff.
    pub diff: Diff,
    /// What was read for it.
    pub cost: Cost,
}

/// Above so many files, renames are not looked for.
const MAX_RENAMES: usize = 1000;
/// Characters of a path, and of what is said of a file.
const MAX_PATH: usize = 1000;
/// The longest target of a link that is read, in bytes.
const MAX_TARGET: u64 = 64 << 10;

impl Mirror {
    /// What changes from `old` to `new`.
    ///
    /// # Errors
    /// When one of them is not in the mirror.
    pub async fn diff(&self, old: &CommitId, new: &CommitId, limits: DiffLimits) -> Result<Diff, MirrorError> {
        self.compare(old, new, limits, ()).await.map(|compared| compared.diff)
    }

    /// The same with what it has cost. It stops when nobody waits for it any more, and has `held` until it has stopped: a place, say,
    /// that somebody else can have only then.
    ///
    /// # Errors
    /// When one of them is not in the mirror.
    pub async fn compare<H: Send + 'static>(
        &self,
        old: &CommitId,
        new: &CommitId,
        limits: DiffLimits,
        held: H,
    ) -> Result<Compared, MirrorError> {
        let (old, new) = (old.clone(), new.clone());
        let waiting = Waiting::new();
        let wanted = waiting.wanted();
        self.with_repository(move |repository| {
            let _held = held;
            let trees = (tree_of(repository, &old)?.id(), tree_of(repository, &new)?.id());
            let mut meter = Meter::new(repository, limits.cost, wanted);
            let diff = diff(&mut meter, trees, limits)?;
            Ok(Compared { diff: Diff { old: Some(old), new: Some(new), ..diff }, cost: meter.cost() })
        })
        .await
    }
}

pub(super) fn diff(
    meter: &mut Meter<'_>,
    (old, new): (git2::Oid, git2::Oid),
    limits: DiffLimits,
) -> Result<Diff, MirrorError> {
    let failed = |source| MirrorError::of_objects(format!("comparing the trees {old} and {new}"), source);
    let changes = Changes::between(meter, old, new, limits.files.max(MAX_RENAMES)).map_err(failed)?;
    let Changes { mut first, mut count, are_all_counted } = changes;
    meter.begin_files();
    if are_all_counted && count == first.len() as u64 && first.len() <= MAX_RENAMES {
        renames::join(meter, &mut first)?;
        count = first.len() as u64;
    }
    first.truncate(limits.files);
    let mut told = Diff { files_left_out: count - first.len() as u64, has_more: !are_all_counted, ..Diff::default() };
    let mut paths = Paths { shown: Budget::of(limits.path_bytes), exact: Budget::of(limits.path_bytes) };
    let mut left = Left::of(limits);
    let mut later = Vec::new();
    for change in &first {
        if paths.shown.is_spent() {
            break;
        }
        let mut file = head(meter, change, &mut paths)?;
        if Hunks::of(meter, change, limits, &mut file)?.add(Which::Text, limits, &mut left, &mut file)? == Added::Later
        {
            later.push((told.files.len(), change));
        }
        told.files.push(file);
    }
    told.files_left_out += (first.len() - told.files.len()) as u64;
    // Whoever adds a picture takes no room from a script, and whoever calls a script a picture is shown it all the same.
    for (at, change) in later {
        let file = &mut told.files[at];
        Hunks::again(meter, change, file)?.add(Which::All, limits, &mut left, file)?;
    }
    told.added = told.files.iter().map(|file| file.added).sum();
    told.removed = told.files.iter().map(|file| file.removed).sum();
    Ok(told)
}

/// What is read of a file, or nothing where its lines are not compared.
struct Hunks<'r>(Option<[Option<git2::Blob<'r>>; 2]>);

/// Which files' lines are added.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Which {
    Text,
    All,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Added {
    Done,
    Later,
}

impl<'r> Hunks<'r> {
    /// Reads both sides, if they are to be compared, and says what they are.
    fn of(
        meter: &mut Meter<'r>,
        change: &Change,
        limits: DiffLimits,
        file: &mut DiffFile,
    ) -> Result<Self, MirrorError> {
        let sides = [change.old, change.new];
        let is_text = |kept: &Option<Kept>| kept.is_none_or(Kept::is_file);
        if !sides.iter().all(is_text) {
            return Ok(Self(None));
        }
        let ids = sides.map(|side| side.map(|kept| kept.id));
        if ids[0] == ids[1] {
            return Ok(Self(None));
        }
        for kept in sides.into_iter().flatten() {
            let bytes = kept.size(meter.repository())?;
            if bytes > u64::from(limits.file_bytes) {
                leave_out(file, too_large(bytes));
                return Ok(Self(None));
            }
        }
        let read = Self::again(meter, change, file)?;
        let Some(blobs) = &read.0 else { return Ok(read) };
        let contents = blobs.each_ref().map(|blob| Content::of(blob.as_ref().map_or(&[], |blob| blob.content())));
        if let Some(note) = contents.iter().find_map(|side| side.too_much(limits)) {
            leave_out(file, note);
            return Ok(Self(None));
        }
        if contents.iter().any(|side| side.is_binary) {
            file.is_binary = true;
            let [was, is] = contents.map(|side| side.bytes);
            file.notes.push(match (change.old, change.new) {
                (Some(_), Some(_)) => format!("binary, {was} to {is} bytes"),
                _ => format!("binary, {} bytes", was.max(is)),
            });
        } else if contents.iter().any(|side| side.has_nul) {
            file.notes.push("has NUL characters in it".to_owned());
        }
        Ok(read)
    }

    fn again(meter: &mut Meter<'r>, change: &Change, file: &mut DiffFile) -> Result<Self, MirrorError> {
        let mut read = [None, None];
        for (side, kept) in read.iter_mut().zip([change.old, change.new]) {
            let Some(kept) = kept else { continue };
            let Some(blob) = meter.blob(kept)? else {
                leave_out(file, "not compared: the diff is too large to compare all of it here".to_owned());
                return Ok(Self(None));
            };
            *side = Some(blob);
        }
        Ok(Self(Some(read)))
    }

    fn add(self, which: Which, limits: DiffLimits, left: &mut Left, file: &mut DiffFile) -> Result<Added, MirrorError> {
        let Some(blobs) = &self.0 else { return Ok(Added::Done) };
        if which == Which::Text && file.is_binary {
            return Ok(Added::Later);
        }
        let [old, new] = blobs.each_ref().map(|blob| blob.as_ref().map_or(&[][..], |blob| blob.content()));
        compare(old, new, limits, left, file)?;
        Ok(Added::Done)
    }
}

/// What paths may still get: to be read, with what is said of them; and to be addressed by.
struct Paths {
    shown: Budget,
    exact: Budget,
}

/// A file without its lines.
fn head(meter: &mut Meter<'_>, change: &Change, paths: &mut Paths) -> Result<DiffFile, MirrorError> {
    let path = paths.shown.line(&change.path, MAX_PATH);
    let old_path = change.from.as_ref().map(|from| paths.shown.line(from, MAX_PATH));
    let notes = notes(meter, change, &mut paths.shown)?;
    let mut address = |path: &[u8], kept: Option<Kept>| {
        // A submodule's commit is elsewhere.
        kept.filter(|kept| kept.mode != SUBMODULE)?;
        let address = percent_encode(path, IN_ADDRESS).to_string();
        paths.exact.take_bytes(address.len()).then_some(address)
    };
    Ok(DiffFile {
        old_at: address(change.from.as_ref().unwrap_or(&change.path), change.old),
        new_at: address(&change.path, change.new),
        path,
        old_path,
        notes,
        ..DiffFile::default()
    })
}

/// What is not written as it is in an address's path.
const IN_ADDRESS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;

/// What happened besides lines; always told, whatever is cut.
fn notes(meter: &mut Meter<'_>, change: &Change, paths: &mut Budget) -> Result<Vec<String>, MirrorError> {
    let mut notes = Vec::new();
    match (change.old, change.new) {
        (None, Some(new)) if new.mode == 0o100_644 => notes.push("new file".to_owned()),
        (None, Some(new)) => notes.push(format!("new file, mode {:o}", new.mode)),
        (Some(_), None) => notes.push("deleted".to_owned()),
        (Some(old), Some(new)) if old.mode != new.mode => notes.push(format!("mode {:o} to {:o}", old.mode, new.mode)),
        _ => {}
    }
    if let (Some(_), Some(old), Some(new)) = (&change.from, change.old, change.new)
        && old.id == new.id
    {
        notes.push("renamed, content unchanged".to_owned());
    }
    for (kept, when) in [(change.old, "was "), (change.new, "")] {
        match kept.map(|kept| (kept, kept.mode)) {
            Some((kept, LINK)) => {
                let is_short = kept.size(meter.repository())? <= MAX_TARGET;
                let target = if is_short { meter.blob(kept)? } else { None };
                let target = target.as_ref().map_or(&[][..], |target| target.content());
                notes.push(format!("{when}symbolic link to {}", paths.line(target, 300)));
            }
            Some((kept, SUBMODULE)) => notes.push(format!("{when}submodule at {}", kept.id)),
            _ => {}
        }
    }
    Ok(notes)
}
