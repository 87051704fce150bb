//! The machine's own word: what keeps it from building, each for as long as its cause lasts.

use protocol::UnixMs;
use protocol::wire::{Availability, MAX_WORD, Voice, Word};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// What keeps the machine from building.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) enum Trouble {
    /// Too little is free where builds work.
    Disk,
    /// The self-test of the isolation that is demanded failed.
    SelfTest,
    /// The file with a person's word can't be read: it may say that nothing is to be built here.
    Said,
    /// The slave was told to end, and its builds go on to their ends.
    Stopping,
}

/// All there is of that now.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    all: Mutex<BTreeMap<Trouble, Word>>,
    changed: Notify,
}

impl Troubles {
    /// Says that there is this trouble, and why, or (none) that it is over. Since when it is stays as it was.
    pub(crate) fn set(&self, trouble: Trouble, why: Option<String>, now: UnixMs) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = match why {
            None => all.remove(&trouble).is_some(),
            Some(why) => {
                let reason: String = why.chars().take(MAX_WORD).collect();
                let since = all.get(&trouble).map_or(now, |word| word.since);
                let (says, voice, who) = (Availability::Unavailable, Voice::Machine, "the machine".to_owned());
                all.insert(trouble, Word { says, voice, who, reason, since, until: None }).is_none()
            }
        };
        drop(all);
        if changed {
            self.changed.notify_one();
        }
    }

    /// Whether there is this trouble now.
    pub(crate) fn has(&self, trouble: Trouble) -> bool {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&trouble)
    }

    /// The words of all of it.
    pub(crate) fn words(&self) -> Vec<Word> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Has it looked at again.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Why nothing is to be built here, if the machine says so.
    pub(crate) fn why(&self) -> Option<String> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().next().map(Word::because)
    }

    /// Waits until there is more or less of it.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
