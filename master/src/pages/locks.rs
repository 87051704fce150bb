//! The locks: who holds which, who waits for which, and since when.

use super::frame::At;
use super::parts::BuildLine;
use super::words::{Fact, When, count};
use super::{Context, Pages, PagesError};
use protocol::UnixMs;
use protocol::api::{Lock, LockUse};
use serde::Serialize;

#[derive(Serialize)]
struct View {
    look: &'static str,
    headline: String,
    next: Option<&'static str>,
    facts: Vec<Fact>,
    locks: Vec<Section>,
}

#[derive(Serialize)]
struct Section {
    name: String,
    shares: String,
    /// What is to be said of it besides.
    note: Option<String>,
    /// Those who hold shares, then those who wait.
    rows: Vec<Row>,
    others: usize,
}

#[derive(Serialize)]
struct Row {
    /// Its id on the page.
    key: String,
    look: &'static str,
    /// `holds it`, `waits, 1st in line`, `stands in no line`.
    word: String,
    shares: String,
    since: When,
    build: BuildLine,
    /// Why it waits.
    says: Option<String>,
}

impl Pages {
    /// The locks; `events` says which stream says when the page would read otherwise.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn locks(&self, context: &Context, locks: &[Lock], events: &str) -> Result<String, PagesError> {
        let holders: usize = locks.iter().map(|lock| lock.held.len()).sum();
        let waiters: u64 = locks.iter().map(|lock| u64::from(lock.waiting_count)).sum();
        let (look, headline) = match (locks.is_empty(), holders, waiters) {
            (true, ..) => ("waiting", "No lock is defined".to_owned()),
            (_, 0, 0) => ("passed", "All locks are free".to_owned()),
            (_, _, 0) => ("passed", "Nobody waits for a lock".to_owned()),
            (_, _, 1) => ("waiting", "One build asks for a lock and has it not".to_owned()),
            (_, _, n) => ("waiting", format!("{n} times a build asks for a lock and has it not")),
        };
        let view = View {
            look,
            headline,
            next: (waiters > 0).then_some("starts each when all of its locks, and a slave, are free"),
            facts: vec![
                Fact::new("Locks", locks.len().to_string()),
                Fact::new("Held by", count(holders, "build", "builds")),
            ],
            locks: locks.iter().map(|lock| section(lock, context.now)).collect(),
        };
        self.render("locks", context.frame(self, At::Slaves, "Locks").watching(events), view)
    }
}

fn section(lock: &Lock, now: UnixMs) -> Section {
    let waiting = lock.waiting.iter().map(|it| row(lock, it, now, "w"));
    // Of those of each slave nobody knows here where they are too many.
    let too_many = lock.scope != "slave" && lock.taken > u64::from(lock.shares);
    Section {
        name: lock.name.clone(),
        shares: if lock.scope == "slave" {
            format!("{} taken, {} on each slave", lock.taken, lock.shares)
        } else {
            format!("{} of {} shares taken", lock.taken, lock.shares)
        },
        note: too_many
            .then(|| "More are held than there are by now: nobody gets any until enough of them are back.".to_owned()),
        rows: lock.held.iter().map(|it| row(lock, it, now, "h")).chain(waiting).collect(),
        others: (lock.waiting_count as usize).saturating_sub(lock.waiting.len()),
    }
}

fn row(lock: &Lock, it: &LockUse, now: UnixMs, kind: &str) -> Row {
    let (look, word, says) = match (kind, it.place) {
        ("h", _) => ("running", "holds it".to_owned(), None),
        (_, Some(place)) => ("waiting", format!("place {place} in its line"), Some(it.build.says.clone())),
        (_, None) => ("waiting", "in no line, can't run now".to_owned(), Some(it.build.says.clone())),
    };
    Row {
        key: format!("{kind}-{}-{}", lock.name, it.build.id),
        look,
        word,
        shares: if it.shares == 1 { "1 share".to_owned() } else { format!("{} shares", it.shares) },
        since: When::new(it.since_ms, now),
        build: BuildLine::of(&it.build, now),
        says: says.filter(|says| !says.is_empty()),
    }
}
