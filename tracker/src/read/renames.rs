//! Files that went elsewhere: of those that are gone and those that are new, which are the same.

use super::changes::Change;
use super::cost::Meter;
use crate::mirror::{Kept, MirrorError};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

/// Files of each kind that are compared by what they hold; more would cost the square.
const MOST: usize = 50;
/// Bytes of one that is compared, and of all of them.
const MAX_FILE: u64 = 512 << 10;
const MAX_ALL: u64 = 4 << 20;
/// Of a hundred bytes, so many at least must be the same.
const ALIKE: u64 = 50;

/// Joins what is gone to what is new, where that is the same file: first those that did not change, then those that are most alike.
pub(super) fn join(meter: &mut Meter<'_>, changes: &mut Vec<Change>) -> Result<(), MirrorError> {
    let mut found = unchanged(changes);
    found.extend(alike(meter, changes, &found)?);
    for (gone, new) in &found {
        let (from, old) = (changes[*gone].path.clone(), changes[*gone].old);
        changes[*new].from = Some(from);
        changes[*new].old = old;
    }
    let mut at = 0;
    changes.retain(|_| {
        at += 1;
        found.iter().all(|(gone, _)| *gone != at - 1)
    });
    Ok(())
}

fn is_gone(change: &Change) -> Option<Kept> {
    change.old.filter(|old| change.new.is_none() && old.is_file())
}

fn is_new(change: &Change) -> Option<Kept> {
    change.new.filter(|new| change.old.is_none() && new.is_file())
}

fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// Pairs that hold the same, those of one name first. Pairs are of what is gone and what is new, by their places.
fn unchanged(changes: &[Change]) -> Vec<(usize, usize)> {
    let mut gone: HashMap<git2::Oid, Vec<usize>> = HashMap::new();
    for (at, change) in changes.iter().enumerate() {
        if let Some(old) = is_gone(change) {
            gone.entry(old.id).or_default().push(at);
        }
    }
    let mut pairs = Vec::new();
    for of_one_name in [true, false] {
        for (at, change) in changes.iter().enumerate() {
            let Some(new) = is_new(change).filter(|_| pairs.iter().all(|(_, new)| *new != at)) else { continue };
            let Some(those) = gone.get_mut(&new.id) else { continue };
            let fits = |gone: &usize| !of_one_name || name(&changes[*gone].path) == name(&change.path);
            if let Some(found) = those.iter().position(fits) {
                pairs.push((those.remove(found), at));
            }
        }
    }
    pairs
}

/// Pairs that hold nearly the same, the nearest first.
fn alike(
    meter: &mut Meter<'_>,
    changes: &[Change],
    found: &[(usize, usize)],
) -> Result<Vec<(usize, usize)>, MirrorError> {
    let of = |is: fn(&Change) -> Option<Kept>| -> Vec<(usize, Kept)> {
        let free = |at: &usize| found.iter().all(|(gone, new)| gone != at && new != at);
        changes.iter().enumerate().filter(|(at, _)| free(at)).filter_map(|(at, it)| Some((at, is(it)?))).collect()
    };
    let (gone, new) = (of(is_gone), of(is_new));
    if gone.is_empty() || new.is_empty() || gone.len() > MOST || new.len() > MOST {
        return Ok(Vec::new());
    }
    let hashes = RandomState::new();
    let mut left = MAX_ALL;
    let mut read = |those: Vec<(usize, Kept)>| -> Result<Vec<(usize, Pieces)>, MirrorError> {
        let mut all = Vec::new();
        for (at, kept) in those {
            let size = kept.size(meter.repository())?;
            if size == 0 || size > MAX_FILE.min(left) {
                continue;
            }
            left -= size;
            let Some(blob) = meter.blob(kept)? else { break };
            all.push((at, Pieces::of(blob.content(), &hashes)));
        }
        Ok(all)
    };
    let (gone, new) = (read(gone)?, read(new)?);
    let mut pairs: Vec<(u64, usize, usize)> = Vec::new();
    for (from, old) in &gone {
        for (to, now) in &new {
            if !meter.may_go_on() {
                return Ok(Vec::new());
            }
            pairs.push((old.alike(now), *from, *to));
        }
    }
    pairs.retain(|(alike, ..)| *alike >= ALIKE);
    pairs.sort_by_key(|(alike, gone, new)| (std::cmp::Reverse(*alike), *gone, *new));
    let mut taken: Vec<(usize, usize)> = Vec::new();
    for (_, gone, new) in pairs {
        if taken.iter().all(|(g, n)| *g != gone && *n != new) {
            taken.push((gone, new));
        }
    }
    Ok(taken)
}

/// A file as its lines, in no order: how many bytes there are of each.
struct Pieces {
    bytes: u64,
    /// By hash, in order.
    pieces: Vec<(u64, u64)>,
}

/// The longest piece; a file without lines is cut into such.
const PIECE: usize = 64;

impl Pieces {
    fn of(content: &[u8], hashes: &RandomState) -> Self {
        let mut pieces: Vec<(u64, u64)> = content
            .split_inclusive(|b| *b == b'\n')
            .flat_map(|line| line.chunks(PIECE))
            .map(|piece| (hashes.hash_one(piece), piece.len() as u64))
            .collect();
        pieces.sort_unstable();
        pieces.dedup_by(|again, first| {
            let is_same = again.0 == first.0;
            if is_same {
                first.1 += again.1;
            }
            is_same
        });
        Self { bytes: content.len() as u64, pieces }
    }

    /// How many of a hundred bytes of the larger one are in both.
    fn alike(&self, other: &Self) -> u64 {
        let larger = self.bytes.max(other.bytes);
        if larger == 0 || self.bytes.min(other.bytes) * 100 < larger * ALIKE {
            return 0;
        }
        let mut others = other.pieces.iter().peekable();
        let mut same = 0;
        for (hash, bytes) in &self.pieces {
            while others.next_if(|(other, _)| other < hash).is_some() {}
            if let Some((_, also)) = others.next_if(|(other, _)| other == hash) {
                same += bytes.min(also);
            }
        }
        same * 100 / larger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_two_files_are_alike() {
        let hashes = RandomState::new();
        let alike = |a: &str, b: &str| Pieces::of(a.as_bytes(), &hashes).alike(&Pieces::of(b.as_bytes(), &hashes));
        assert_eq!(alike("a\nb\nc\nd\n", "a\nb\nc\nd\n"), 100);
        assert_eq!(alike("a\nb\nc\nd\n", "d\nc\nb\nx\n"), 75);
        assert_eq!(alike("a\na\na\nb\n", "a\nx\ny\nz\n"), 25, "each once only");
        assert_eq!(alike("a\n", &"a\n".repeat(10)), 0, "they can't be");
        assert_eq!(alike("", ""), 0);
        let long = "x".repeat(1000);
        assert!(alike(&long, &format!("{long}y")) > 90);
    }
}
