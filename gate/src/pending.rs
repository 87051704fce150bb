//! How many builds of strangers may wait at once: so many of each publisher, and so many of each host's repositories.
//!
//! Those beyond are not asked for until there is room, and nothing is lost by that: first come, first served. The builds of
//! one revision are asked for together; so whoever has none that waits may always ask for those of one, however many
//! builders the recipe has.
//!
//! ```
//! use gate::pending::{Most, Of, Pending, Stranger};
//!
//! let ann = Stranger { publisher: "ann".to_owned(), host: "git.example.org:443".to_owned() };
//! let mut pending = Pending::new(Most { publisher: 3, host: 9 });
//! assert_eq!(pending.ask(&ann, 2), Ok(()));
//! assert_eq!(pending.ask(&ann, 2).map_err(|crowded| crowded.of), Err(Of::Publisher));
//! assert_eq!(pending.held(&ann).map(|crowded| crowded.most), Some(3));
//! ```

use protocol::api::Next;
use std::collections::BTreeMap;
use std::fmt;

/// Whose builds are counted together.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Of {
    /// Those of one publisher's branches.
    Publisher,
    /// Those of branches at one host.
    Host,
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publisher => "this publisher",
            Self::Host => "this host",
        })
    }
}

/// How many may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Most {
    /// Of one publisher.
    pub publisher: u32,
    /// Of one host's repositories.
    pub host: u32,
}

/// Who stands behind a branch whose publisher is not trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stranger {
    /// The publisher, as one who can't be many: a token, or an address.
    pub publisher: String,
    /// The host and port of the repository; empty for a folder of the master's own machine, which is bounded by its publisher
    /// alone.
    pub host: String,
}

/// As many wait as may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Crowded {
    /// Whose.
    pub of: Of,
    /// How many that is.
    pub most: u32,
}

impl Crowded {
    /// Why a build is not asked for yet, in words, without a full stop.
    pub fn text(&self) -> String {
        format!("no more than {} builds of {} may wait at once, and others do", self.most, self.of)
    }

    /// Whose turn it is.
    pub fn next(&self) -> Next {
        Next { who: "bb".to_owned(), what: "asks for its builds when some of those that wait have begun".to_owned() }
    }
}

/// The builds that wait, and those whose turn to ask comes later.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pending {
    most: Most,
    waiting: BTreeMap<(Of, String), u32>,
    held: BTreeMap<(Of, String), Crowded>,
}

impl Pending {
    /// None yet.
    pub const fn new(most: Most) -> Self {
        Self { most, waiting: BTreeMap::new(), held: BTreeMap::new() }
    }

    fn keys(&self, who: &Stranger) -> Vec<((Of, String), u32)> {
        let mut keys = vec![((Of::Publisher, who.publisher.clone()), self.most.publisher)];
        if !who.host.is_empty() {
            keys.push(((Of::Host, who.host.clone()), self.most.host));
        }
        keys
    }

    /// Counts builds that wait already.
    pub fn count(&mut self, who: &Stranger, builds: u32) {
        for (key, _) in self.keys(who) {
            let waiting = self.waiting.entry(key).or_default();
            *waiting = waiting.saturating_add(builds);
        }
    }

    /// Asks for so many more, all or none; then they are counted. Whoever came later of the same publisher or host waits, too,
    /// once one was held: small requests don't overtake a large one.
    ///
    /// # Errors
    /// When as many wait as may.
    pub fn ask(&mut self, who: &Stranger, builds: u32) -> Result<(), Crowded> {
        if builds == 0 {
            return Ok(());
        }
        for (key, most) in self.keys(who) {
            if let Some(crowded) = self.held.get(&key) {
                return Err(*crowded);
            }
            let waiting = self.waiting.get(&key).copied().unwrap_or_default();
            if waiting > 0 && waiting.saturating_add(builds) > most {
                let crowded = Crowded { of: key.0, most };
                self.held.insert(key, crowded);
                return Err(crowded);
            }
        }
        self.count(who, builds);
        Ok(())
    }

    /// Why builds of theirs that were not asked for wait, if they do.
    pub fn held(&self, who: &Stranger) -> Option<Crowded> {
        self.keys(who).iter().find_map(|(key, _)| self.held.get(key).copied())
    }

    /// Whether anybody's are.
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether the same are held, for the same reasons.
    pub fn holds_as(&self, other: &Self) -> bool {
        self.held == other.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: Most = Most { publisher: 5, host: 20 };

    fn stranger(publisher: &str, host: &str) -> Stranger {
        Stranger { publisher: publisher.to_owned(), host: host.to_owned() }
    }

    #[test]
    fn so_many_of_a_publisher_and_of_a_host() {
        let mut pending = Pending::new(MOST);
        for n in 0..7 {
            let who = stranger(&format!("p{n}"), "one");
            let asked: Vec<_> = (0..3).map(|_| pending.ask(&who, 2)).collect();
            let of = if n < 5 { Of::Publisher } else { Of::Host };
            assert_eq!(asked[2].map_err(|crowded| crowded.of), Err(of), "{n}: {asked:?}");
            assert_eq!(asked[0].is_ok(), n < 5, "{n}: {asked:?}");
        }
        assert_eq!(pending.ask(&stranger("p9", "other"), 2), Ok(()), "nobody else is held up");
        assert_eq!(pending.held(&stranger("p9", "other")), None);
    }

    #[test]
    fn one_revision_s_builds_are_asked_for_whatever_their_number() {
        let mut pending = Pending::new(MOST);
        let ann = stranger("ann", "");
        assert_eq!(pending.ask(&ann, 40), Ok(()));
        assert_eq!(pending.ask(&ann, 1), Err(Crowded { of: Of::Publisher, most: 5 }));
        assert_eq!(pending.ask(&ann, 0), Ok(()), "what is there already needs no room");
    }

    #[test]
    fn small_requests_do_not_overtake() {
        let mut pending = Pending::new(MOST);
        let ann = stranger("ann", "");
        assert_eq!(pending.ask(&ann, 4), Ok(()));
        assert!(pending.ask(&ann, 2).is_err() && pending.ask(&ann, 1).is_err());
    }

    proptest! {
        #[test]
        fn never_more_wait_than_may_but_one_revision_s(asks in prop::collection::vec((0..4u8, 0..3u8, 1..9u32), 0..60)) {
            let mut pending = Pending::new(MOST);
            let mut waiting: BTreeMap<String, Vec<u32>> = BTreeMap::new();
            for (publisher, host, builds) in asks {
                let who = stranger(&format!("p{publisher}"), &format!("h{host}"));
                if pending.ask(&who, builds).is_ok() {
                    waiting.entry(who.publisher).or_default().push(builds);
                    waiting.entry(who.host).or_default().push(builds);
                }
            }
            for (who, builds) in waiting {
                let most = if who.starts_with('p') { MOST.publisher } else { MOST.host };
                prop_assert!(builds.len() == 1 || builds.iter().sum::<u32>() <= most, "{}: {:?}", who, builds);
            }
        }
    }
}
