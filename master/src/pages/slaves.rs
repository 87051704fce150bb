//! The slaves and the locks: who builds now, who does not, and by whose word.

use super::frame::At;
use super::parts::BuildLine;
use super::words::{Fact, When, look};
use super::{Context, Pages, PagesError};
use protocol::api::{Lock, LockUse, Slave};
use protocol::wire::{Availability, Voice, Word};
use protocol::{SlaveName, UnixMs};
use serde::Serialize;

#[derive(Serialize)]
struct View {
    look: &'static str,
    headline: String,
    who: Option<&'static str>,
    what: &'static str,
    facts: Vec<Fact>,
    slaves: Vec<Line>,
    /// How many there are besides.
    others: usize,
    first: Option<&'static str>,
    next: Option<String>,
    steer: bool,
    url: String,
    locks: Vec<LockLine>,
}

/// As many as people read, and as a page has room for.
const MOST: usize = 25;
/// As many builds that wait for a lock.
pub(crate) const LOCK_WAITERS: usize = 25;

/// What the page shows.
pub(crate) struct Shown<'s> {
    /// All slaves, by name.
    pub(crate) slaves: &'s [Slave],
    /// All locks.
    pub(crate) locks: &'s [Lock],
    /// The name of the slave that the page begins with; of none for the first.
    pub(crate) from: &'s str,
}

/// Where slaves stand: those that take no builds before the others, so that what is wrong is seen first; each by name.
fn place(slave: &Slave) -> (bool, &str) {
    (takes(slave), slave.name.as_str())
}

fn takes(slave: &Slave) -> bool {
    matches!(slave.word.as_str(), "eager" | "reluctant")
}

/// The slaves of a page that begins with this one, and with which the next one begins. Where there are few, they stay by name.
fn page<'s>(slaves: &'s [Slave], from: &str) -> (Vec<&'s Slave>, Option<&'s SlaveName>) {
    let mut all: Vec<&Slave> = slaves.iter().collect();
    if all.len() <= MOST {
        return (all, None);
    }
    all.sort_by(|one, other| place(one).cmp(&place(other)));
    let begin = all.iter().position(|slave| slave.name.as_str() == from).unwrap_or(0);
    let next = all.get(begin + MOST).map(|slave| &slave.name);
    (all.into_iter().skip(begin).take(MOST).collect(), next)
}

#[derive(Serialize)]
struct Line {
    name: String,
    labels: String,
    look: &'static str,
    word: String,
    own: String,
    own_by: Option<Voiced>,
    admin: String,
    admin_by: Option<Voiced>,
    choices: Vec<Choice>,
    since: Option<When>,
    slots: u32,
    taken: usize,
    isolation: &'static str,
    isolation_notes: Vec<String>,
    builds: Vec<BuildLine>,
    machine: String,
    bb: String,
}

/// Whose a word is, why, since when and until when.
#[derive(Serialize)]
struct Voiced {
    because: String,
    since: Option<When>,
    until: Option<When>,
}

/// None where nobody said anything.
fn voiced(word: Option<&Word>, now: UnixMs) -> Option<Voiced> {
    let word = word.filter(|word| word.voice != Voice::Nobody || !word.reason.is_empty())?;
    Some(Voiced {
        because: word.because(),
        // Not known of words of before.
        since: (word.since.0 > 0).then(|| When::new(word.since, now)),
        until: word.until.map(|until| When::new(until, now)),
    })
}

#[derive(Serialize)]
struct Choice {
    word: &'static str,
    chosen: bool,
}

#[derive(Serialize)]
struct LockLine {
    name: String,
    page: String,
    scope: &'static str,
    shares: String,
    held: Vec<Holder>,
    waiting: Vec<Holder>,
    /// How many wait besides.
    others: usize,
}

#[derive(Serialize)]
struct Holder {
    id: String,
    page: String,
}

fn line(slave: &Slave, now: UnixMs) -> Line {
    let all = [Availability::Eager, Availability::Reluctant, Availability::Unavailable];
    Line {
        name: slave.name.to_string(),
        labels: slave.labels.join(" "),
        look: look(slave.look),
        word: slave.word.clone(),
        own: if slave.connected { slave.said.as_str().to_owned() } else { "offline".to_owned() },
        own_by: voiced(slave.said_word.as_ref(), now),
        admin: slave.admin.as_str().to_owned(),
        admin_by: voiced(slave.admin_word.as_ref(), now),
        choices: all.iter().map(|a| Choice { word: a.as_str(), chosen: *a == slave.admin }).collect(),
        since: slave.since_ms.map(|at| When::new(at, now)),
        slots: slave.slots,
        taken: slave.builds.len(),
        isolation: slave.isolation.as_str(),
        isolation_notes: slave.isolation_notes.clone(),
        builds: slave.builds.iter().map(|b| BuildLine::of(b, now)).collect(),
        machine: slave.machine.clone(),
        bb: slave.bb.clone(),
    }
}

/// Builds that hold or wait for a lock.
fn lock(lock: &Lock) -> LockLine {
    let holder = |it: &LockUse| Holder { id: it.build.id.to_string(), page: it.build.page.clone() };
    LockLine {
        name: lock.name.clone(),
        page: crate::names::lock(&lock.name),
        scope: scope(lock),
        shares: shares(lock),
        held: lock.held.iter().map(holder).collect(),
        waiting: lock.waiting.iter().take(LOCK_WAITERS).map(holder).collect(),
        others: (lock.waiting_count as usize).saturating_sub(LOCK_WAITERS),
    }
}

/// Where a lock is counted.
fn scope(lock: &Lock) -> &'static str {
    if lock.scope == "slave" { "on each slave" } else { "of the master" }
}

/// How many of its shares are taken.
fn shares(lock: &Lock) -> String {
    if lock.scope == "slave" {
        format!("{} taken, {} on each", lock.taken, lock.shares)
    } else {
        format!("{} of {}", lock.taken, lock.shares)
    }
}

impl Pages {
    /// The slaves and the locks; `may` says whether the reader may steer slaves, `events` which stream says when it would
    /// read otherwise.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn slaves(
        &self,
        context: &Context,
        shown: &Shown<'_>,
        may: bool,
        events: &str,
    ) -> Result<String, PagesError> {
        let Shown { slaves, locks, from } = *shown;
        let able = |slave: &&Slave| takes(slave);
        let (these, next) = page(slaves, from);
        let takers = slaves.iter().filter(able).count();
        let slots: u32 = slaves.iter().filter(able).map(|s| s.slots).sum();
        let taken: usize = slaves.iter().map(|s| s.builds.len()).sum();
        let (look, headline) = match (slaves.len(), takers) {
            (0, _) => ("warnings", "No slave has ever connected: nothing can be built".to_owned()),
            (_, 0) => ("failed", "No slave takes builds".to_owned()),
            (all, n) if n == all && n == 1 => ("passed", "The one slave takes builds".to_owned()),
            (all, n) if n == all => ("passed", format!("All {n} take builds")),
            (all, n) => ("warnings", format!("{n} of {all} take builds")),
        };
        let (who, what) = match takers {
            0 => (Some("an admin"), "connects a slave, or makes one available."),
            _ => (None, ""),
        };
        let view = View {
            look,
            headline,
            who,
            what,
            facts: vec![
                Fact::new("Slots", format!("{taken} of {slots} taken")),
                Fact::new("Offline", slaves.iter().filter(|s| !s.connected).count().to_string()),
                Fact::new("Locks", locks.len().to_string()),
            ],
            others: slaves.len() - these.len(),
            slaves: these.into_iter().map(|s| line(s, context.now)).collect(),
            first: (!from.is_empty()).then_some("/slaves"),
            next: next.map(crate::names::slave_page),
            steer: may,
            url: context.url.clone(),
            locks: locks.iter().map(lock).collect(),
        };
        self.render("slaves", context.frame(self, At::Slaves, "Slaves").watching(events), view)
    }
}
