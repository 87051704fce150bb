//! Places: of something that there is only so much of, how many may be held at once, by whom, and for whom the last ones
//! are kept.
//!
//! One kind of counting for all that strangers could fill: looks at branches, connections, event streams, fetches by git,
//! forms. Whoever wants a place names the shares that it counts to (its address, its publisher, its host, …), each with
//! the most that this share may hold; so nobody takes all, however patient.
//!
//! ```
//! use gate::places::{Full, Places, Rank};
//!
//! let mut places = Places::new(4, 1);
//! assert_eq!(places.take(Rank::Ordinary, &[("ann", 2)]), Ok(()));
//! assert_eq!(places.take(Rank::Ordinary, &[("ann", 2)]), Ok(()));
//! assert_eq!(places.take(Rank::Ordinary, &[("ann", 2)]), Err(Full::Share(0)));
//! assert_eq!(places.take(Rank::Ordinary, &[("ben", 2)]), Ok(()));
//! assert_eq!(places.take(Rank::Ordinary, &[("eve", 2)]), Err(Full::All));
//! assert_eq!(places.take(Rank::Preferred, &[("mia", 2)]), Ok(()));
//! places.give_back([&"ann"]);
//! ```

use std::collections::BTreeMap;

/// For whom a place is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rank {
    /// For anybody; the kept places are not for them.
    Ordinary,
    /// For those whom the last places are kept for.
    Preferred,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Full {
    /// All places that this rank may have are taken.
    All,
    /// This share, by its index among those named, holds as many as it may.
    Share(usize),
}

/// The places, and who holds how many of them.
#[derive(Clone, Debug)]
pub struct Places<K> {
    all: usize,
    kept: usize,
    held: usize,
    shares: BTreeMap<K, usize>,
}

impl<K: Ord + Clone> Places<K> {
    /// So many places, of which the last `kept` are only for the preferred.
    pub const fn new(all: usize, kept: usize) -> Self {
        Self { all, kept, held: 0, shares: BTreeMap::new() }
    }

    /// Takes a place that counts to these shares, each with the most that it may hold; or says why there is none, and
    /// then nothing has changed. One who names no share is bounded by the places alone.
    ///
    /// # Errors
    /// When a share or all places are full.
    pub fn take(&mut self, rank: Rank, shares: &[(K, usize)]) -> Result<(), Full> {
        if let Some(full) = shares.iter().position(|(key, most)| self.held_by(key) >= *most) {
            return Err(Full::Share(full));
        }
        let most = match rank {
            Rank::Ordinary => self.all.saturating_sub(self.kept),
            Rank::Preferred => self.all,
        };
        if self.held >= most {
            return Err(Full::All);
        }
        self.hold(shares.iter().map(|(key, _)| key));
        Ok(())
    }

    /// Counts a place that is held already, however full it is.
    pub fn hold<'a>(&mut self, shares: impl IntoIterator<Item = &'a K>)
    where
        K: 'a,
    {
        self.held += 1;
        for key in shares {
            *self.shares.entry(key.clone()).or_default() += 1;
        }
    }

    /// Gives a place back that was taken for these shares.
    pub fn give_back<'a>(&mut self, shares: impl IntoIterator<Item = &'a K>)
    where
        K: 'a,
    {
        self.held = self.held.saturating_sub(1);
        for key in shares {
            if let Some(count) = self.shares.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.shares.remove(key);
                }
            }
        }
    }

    /// How many places are held.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// How many of them count to a share.
    pub fn held_by(&self, key: &K) -> usize {
        self.shares.get(key).copied().unwrap_or(0)
    }

    /// How many shares hold any: nothing is kept of those that hold none.
    pub fn shares(&self) -> usize {
        self.shares.len()
    }
}
