//! Which unit of one version is which unit of another: pairs that never cross, found by keys (equal, alike, same head) from the
//! strictest to the laxest, each only between the pairs already found. n log n in the number of units, whatever they are.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::ops::Range;

const NONE: u32 = u32::MAX;

/// How often a key is tried again in the gaps that its own pairs made.
const ROUNDS: usize = 4;

/// Pairs of units of a base and of one side.
#[derive(Debug)]
pub(super) struct Alignment {
    side_of: Vec<u32>,
    base_of: Vec<u32>,
}

/// A stretch of both versions between two pairs, in which nothing is paired yet.
type Gap = (Range<usize>, Range<usize>);

impl Alignment {
    pub(super) fn new(base: usize, side: usize) -> Self {
        Self { side_of: vec![NONE; base], base_of: vec![NONE; side] }
    }

    /// The side's unit that is the base's unit `b`.
    pub(super) fn side_of(&self, b: usize) -> Option<usize> {
        self.side_of.get(b).filter(|&&s| s != NONE).map(|&s| s as usize)
    }

    /// The base's unit that is the side's unit `s`.
    pub(super) fn base_of(&self, s: usize) -> Option<usize> {
        self.base_of.get(s).filter(|&&b| b != NONE).map(|&b| b as usize)
    }

    /// Pairs units of the same key. Where a key comes several times, they are counted from the bottom, for ChangeLogs grow at the top.
    pub(super) fn by_key(&mut self, base: impl Fn(usize) -> Option<u64>, side: impl Fn(usize) -> Option<u64>) {
        for _ in 0..ROUNDS {
            let mut found = false;
            for (b, s) in self.gaps() {
                // Most of it is the same at both ends, and needs no table.
                let same = |b: usize, s: usize| base(b).is_some_and(|key| Some(key) == side(s));
                let shorter = b.len().min(s.len());
                let below = (1..=shorter).take_while(|n| same(b.end - n, s.end - n)).count();
                let above = (0..shorter - below).take_while(|n| same(b.start + n, s.start + n)).count();
                (0..above).for_each(|n| self.pair(b.start + n, s.start + n));
                (1..=below).for_each(|n| self.pair(b.end - n, s.end - n));
                found |= above + below > 0;
                let (b, s) = (b.start + above..b.end - below, s.start + above..s.end - below);
                if b.is_empty() || s.is_empty() {
                    continue;
                }
                for (x, y) in pairs_of(keyed(b, &base), keyed(s, &side)) {
                    self.pair(x, y);
                    found = true;
                }
            }
            if !found {
                break;
            }
        }
    }

    /// Pairs units by the features that they share with no other unit of the same stretch, if `accepts` says that they are enough.
    pub(super) fn by_votes(
        &mut self,
        base: impl Fn(usize) -> Vec<u64>,
        side: impl Fn(usize) -> Vec<u64>,
        accepts: impl Fn(Votes) -> bool,
    ) {
        for (b, s) in self.gaps() {
            let mut owner: HashMap<u64, Option<usize>> = HashMap::new();
            let mut sizes = Vec::with_capacity(b.len());
            for at in b {
                let features = base(at);
                sizes.push((at, features.len()));
                for feature in features {
                    owner.entry(feature).and_modify(|o| *o = o.filter(|&o| o == at)).or_insert(Some(at));
                }
            }
            let start = sizes.first().map_or(0, |(at, _)| *at);
            // For each unit of the base the best of the side, the lowest of the best.
            let mut best: Vec<Option<(usize, usize)>> = vec![None; sizes.len()];
            for at in s {
                let features = side(at);
                let mut votes: HashMap<usize, usize> = HashMap::new();
                for owner in features.iter().filter_map(|f| *owner.get(f)?) {
                    *votes.entry(owner).or_default() += 1;
                }
                let Some((&of, &shared)) = votes.iter().max_by_key(|(of, n)| (**n, **of)) else { continue };
                let base_size = sizes[of - start].1;
                let votes = Votes { base: of, side: at, shared, base_size, side_size: features.len() };
                let better = best[of - start].is_none_or(|(n, _)| shared >= n);
                if better && accepts(votes) {
                    best[of - start] = Some((shared, at));
                }
            }
            let pairs: Vec<_> =
                best.iter().enumerate().filter_map(|(b, found)| Some((start + b, found.as_ref()?.1))).collect();
            for (b, s) in rising(&pairs) {
                self.pair(b, s);
            }
        }
    }

    /// Pairs what is left in stretches that have as many units on both sides, in order; `counts` says which of the side's units can be meant.
    pub(super) fn by_order(&mut self, counts: impl Fn(usize) -> bool) {
        for (b, s) in self.gaps() {
            let s: Vec<usize> = s.filter(|&s| counts(s)).collect();
            if b.len() == s.len() {
                for (b, s) in b.zip(s) {
                    self.pair(b, s);
                }
            }
        }
    }

    fn pair(&mut self, b: usize, s: usize) {
        if let (Ok(b32), Ok(s32)) = (u32::try_from(b), u32::try_from(s)) {
            self.side_of[b] = s32;
            self.base_of[s] = b32;
        }
    }

    fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let (mut b, mut s) = (0, 0);
        let pairs = self.side_of.iter().enumerate().filter(|(_, s)| **s != NONE).map(|(b, s)| (b, *s as usize));
        for (next_b, next_s) in pairs.chain([(self.side_of.len(), self.base_of.len())]) {
            if b < next_b && s < next_s {
                gaps.push((b..next_b, s..next_s));
            }
            (b, s) = (next_b + 1, next_s + 1);
        }
        gaps
    }
}

/// What two units have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Votes {
    pub(super) base: usize,
    pub(super) side: usize,
    pub(super) shared: usize,
    pub(super) base_size: usize,
    pub(super) side_size: usize,
}

/// Units that have a key, each with it: by key, those of one key from the bottom. Sorted, they take less room than a table would.
fn keyed(units: Range<usize>, key: impl Fn(usize) -> Option<u64>) -> Vec<(u64, Reverse<u32>)> {
    let mut found: Vec<_> = units.filter_map(|at| Some((key(at)?, Reverse(u32::try_from(at).ok()?)))).collect();
    found.sort_unstable();
    found
}

/// Pairs of equal keys that don't cross: the longest run of them that rises.
fn pairs_of(bases: Vec<(u64, Reverse<u32>)>, sides: Vec<(u64, Reverse<u32>)>) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let (mut b, mut s) = (0, 0);
    while let (Some(base), Some(side)) = (bases.get(b), sides.get(s)) {
        match base.0.cmp(&side.0) {
            Ordering::Less => b += 1,
            Ordering::Greater => s += 1,
            Ordering::Equal => {
                pairs.push((base.1.0 as usize, side.1.0 as usize));
                (b, s) = (b + 1, s + 1);
            }
        }
    }
    drop((bases, sides));
    pairs.sort_unstable();
    rising(&pairs)
}

/// The longest run of pairs, sorted by the first, that also rises in the second.
fn rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // `ends[n]`: the pair with the lowest second that ends a run of n + 1.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, pair) in pairs.iter().enumerate() {
        let n = ends.partition_point(|&e| pairs[e].1 < pair.1);
        before.push(n.checked_sub(1).map(|n| ends[n]));
        if n == ends.len() {
            ends.push(at);
        } else {
            ends[n] = at;
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(i) = at {
        run.push(pairs[i]);
        at = before[i];
    }
    run.reverse();
    run
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn aligned(base: &str, side: &str) -> Vec<(usize, usize)> {
        let key = |text: &str| text.bytes().map(u64::from).collect::<Vec<_>>();
        let (b, s) = (key(base), key(side));
        let mut a = Alignment::new(b.len(), s.len());
        a.by_key(|i| Some(b[i]), |i| Some(s[i]));
        (0..b.len()).filter_map(|i| Some((i, a.side_of(i)?))).collect()
    }

    #[test]
    fn equal_keys_pair_from_the_bottom() {
        assert_eq!(aligned("abc", "abc"), [(0, 0), (1, 1), (2, 2)]);
        assert_eq!(aligned("rb", "rorb"), [(0, 2), (1, 3)]);
        assert_eq!(aligned("abcd", "acbd"), [(0, 0), (2, 1), (3, 3)]);
        assert_eq!(aligned("", "abc"), []);
        assert_eq!(aligned("xax", "ya"), [(1, 1)]);
    }

    #[test]
    fn many_equal_keys_stay_linear() {
        let many = "r".repeat(200_000);
        assert_eq!(aligned(&many, &many[1..]).len(), many.len() - 1);
    }
}
