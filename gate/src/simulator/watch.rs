//! What is promised, looked at after each step. It keeps its own books, and believes nobody.

use super::official::{Content, Official};
use crate::ids::EntryId;
use crate::stacks::{Evidence, Line, Run};
use std::collections::{HashMap, HashSet};

/// A promise that was broken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// The seed of the history.
    pub seed: u64,
    /// What was broken.
    pub what: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "history {}: {}", self.seed, self.what)
    }
}

impl std::error::Error for Broken {}

/// How a content's builds ended.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    passed: u32,
    failed: u32,
}

/// The books.
#[derive(Default)]
pub(super) struct Watch {
    ends: HashMap<(Content, usize), Ends>,
    started: HashSet<Content>,
    left: HashSet<EntryId>,
}

type Promise = Result<(), String>;

fn unless(kept: bool, what: impl FnOnce() -> String) -> Promise {
    if kept { Ok(()) } else { Err(what()) }
}

impl Watch {
    /// A line is started: never the same content twice, none that left, and none twice.
    pub(super) fn starts(&mut self, official: &Official, line: &Line) -> Promise {
        unless(self.started.insert(official.content(line)), || format!("{line:?} was built before"))?;
        let gone = |entry: &&EntryId| self.left.contains(*entry) && !official.has_landed(**entry);
        unless(!line.entries.iter().any(|entry| gone(&entry)), || format!("{line:?} has one that left"))?;
        let once: HashSet<&EntryId> = line.entries.iter().collect();
        unless(once.len() == line.entries.len(), || format!("{line:?} has one twice"))
    }

    /// A build ended.
    pub(super) fn ends(&mut self, content: Content, judge: usize, run: Run) {
        let ends = self.ends.entry((content, judge)).or_default();
        match run {
            Run::Passed => ends.passed += 1,
            Run::Failed => ends.failed += 1,
            Run::Nothing | Run::Running => {}
        }
    }

    /// A stack is pushed: it is mainline and these on top of it, and was built as that, by each.
    pub(super) fn lands(&mut self, official: &Official, line: &Line, entries: &[EntryId], judges: usize) -> Promise {
        let content = official.content(line);
        let now = Line { on: official.now(), entries: entries.to_vec() };
        unless(content == official.content(&now), || format!("{line:?} is not mainline and {entries:?}"))?;
        for judge in 0..judges {
            let passed = self.ends.get(&(content, judge)).is_some_and(|ends| ends.passed > 0);
            unless(passed, || format!("{line:?} did not pass by builder {judge}"))?;
        }
        entries.iter().try_for_each(|entry| self.leaves(*entry))
    }

    /// One is ejected.
    pub(super) fn ejects(
        &mut self,
        official: &Official,
        entry: EntryId,
        evidence: &Evidence,
        line: Option<&Line>,
    ) -> Promise {
        if let Evidence::Failed { with, times, .. } = evidence {
            let line = line.ok_or_else(|| format!("{entry:?} is ejected by a stack that nobody has"))?;
            let member = line.entries.contains(&entry) && *times > 0;
            unless(member, || format!("{entry:?} is ejected by {line:?}, which does not hold it"))?;
            let failed = |judge| self.ends.get(&(official.content(line), judge)).is_some_and(|ends| ends.failed > 0);
            unless((0..8).any(failed), || format!("{entry:?} is ejected by {line:?}, which did not fail"))?;
            let others = line.entries.iter().filter(|other| **other != entry);
            let landed = others.clone().all(|other| official.has_landed(*other)) && others.eq(with.iter());
            unless(landed, || format!("{entry:?} is ejected by {line:?}, of which others wait"))?;
            self.proven(official, line)?;
        }
        self.leaves(entry)
    }

    /// The mainline below some landed part of the line passed.
    fn proven(&self, official: &Official, line: &Line) -> Promise {
        let own = official.content(&Line { on: line.on, entries: Vec::new() });
        let passed = self.ends.get(&(own, 0)).is_some_and(|ends| ends.passed > 0);
        // Or the queue landed it, or a lower part of the line: that was built then.
        let lower = |count: usize| {
            let content = official.content(&Line { on: line.on, entries: line.entries[..count].to_vec() });
            self.ends.get(&(content, 0)).is_some_and(|ends| ends.passed > 0)
        };
        let proven = passed || official.is_by_queue(line.on) || (1..line.entries.len()).any(lower);
        unless(proven, || format!("{line:?} stands on a mainline that nobody built"))
    }

    /// One leaves: only once.
    pub(super) fn leaves(&mut self, entry: EntryId) -> Promise {
        unless(self.left.insert(entry), || format!("{entry:?} leaves twice"))
    }
}
