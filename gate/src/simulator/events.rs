//! What happens in a world while the queue is played: builds end, branches come and go, others push.

use super::player::{Entry, LENGTH_MS, PERSON, Player, Promise};
use super::score::Decided;
use crate::ids::{EntryId, StackId};
use crate::stacks::{Accepted, By, Candidate, Evidence, Fate, Line, Run, Stack};
use protocol::UnixMs;

impl Player<'_> {
    /// The next thing happens; false when nothing is left that could.
    pub(super) fn happens(&mut self) -> bool {
        let arrival = self.world.arrives.get(self.clock.arrival).copied().unwrap_or(f64::INFINITY);
        let ends = self.running.iter().map(|one| one.ends).fold(f64::INFINITY, f64::min);
        let held = self.held.values().copied().fold(f64::INFINITY, f64::min);
        let waits = !self.situation.entries.is_empty() || arrival.is_finite();
        let faults = [self.clock.push, self.clock.mend, self.clock.taken_back, self.clock.force_pushed];
        let fault = faults.into_iter().fold(f64::INFINITY, f64::min);
        let next = [arrival, ends, held, self.clock.landed].into_iter().fold(f64::INFINITY, f64::min);
        let next = if waits { next.min(fault) } else { next };
        if next.is_infinite() {
            return false;
        }
        self.time = next;
        self.situation.now = UnixMs((self.time * LENGTH_MS as f64) as i64);
        self.arrive();
        self.end_builds();
        self.persons();
        if waits {
            self.faults();
        }
        true
    }

    fn arrive(&mut self) {
        while let Some(arrives) = self.world.arrives.get(self.clock.arrival)
            && *arrives <= self.time
        {
            let branch = self.clock.arrival;
            self.clock.arrival += 1;
            self.accept(branch, self.world.bad[branch]);
        }
    }

    /// A maintainer accepts a branch.
    fn accept(&mut self, branch: usize, bad: bool) {
        let id = EntryId(i64::try_from(self.accepted.len()).unwrap_or(i64::MAX));
        self.accepted.push(Entry { branch, since: self.time, bad });
        let waiting = |other: usize, this: &Self| {
            let entry = this.newest.get(&other).copied();
            entry.filter(|entry| this.situation.entries.iter().any(|one| one.id == *entry))
        };
        let needs = self.world.needs[branch].and_then(|other| waiting(other, self));
        let mut conflicts = false;
        for (one, two) in &self.world.conflicts {
            let Some(other) = (if *one == branch { Some(*two) } else { (*two == branch).then_some(*one) }) else {
                continue;
            };
            if let Some(entry) = waiting(other, self) {
                self.situation.conflicts.push((entry, id));
            }
            conflicts |= self.newest.get(&other).is_some_and(|entry| self.official.has_landed(*entry));
        }
        self.newest.insert(branch, id);
        let (since, needs) = (self.situation.now, needs.into_iter().collect());
        let priority = self.world.priority[branch];
        self.situation.entries.push(Accepted { id, priority, since, needs, risk: 1.0, conflicts });
    }

    fn end_builds(&mut self) {
        let time = self.time;
        let (ended, run) = std::mem::take(&mut self.running).into_iter().partition(|one| one.ends <= time);
        self.running = run;
        let ended: Vec<super::player::Running> = ended;
        for one in ended {
            let Some(stack) = self.stack(one.stack) else { continue };
            let line = stack.line.clone();
            let Candidate::Made(judges) = &mut stack.candidate else { continue };
            if let Some(run) = judges[one.judge].runs.iter_mut().find(|run| **run == Run::Running) {
                *run = one.result;
            }
            self.watch.ends(self.official.content(&line), one.judge, one.result);
        }
        if self.clock.landed <= self.time {
            self.clock.landed = f64::INFINITY;
            if let Some(stack) = self.situation.landing {
                // What is broken is found by the next step, which looks at the same books.
                self.broken = self.lands(stack).err();
            }
        }
    }

    /// People look after what is held.
    fn persons(&mut self) {
        let due: Vec<EntryId> = self.held.iter().filter(|(_, at)| **at <= self.time).map(|(entry, _)| *entry).collect();
        for entry in due {
            self.held.remove(&entry);
            if self.draws.happens(0.5) {
                self.take_back(entry);
            } else if let Some(one) = self.situation.entries.iter_mut().find(|one| one.id == entry) {
                one.needs.clear();
            }
        }
    }

    fn faults(&mut self) {
        let faults = self.world.setting.faults;
        if self.clock.push <= self.time || self.clock.mend <= self.time {
            let breaks = self.clock.mend > self.time && self.draws.happens(faults.breaks);
            self.clock.push = self.time + self.draws.wait(faults.pushes);
            self.clock.mend = if breaks { self.time + PERSON } else { f64::INFINITY };
            self.official.push(&mut self.situation.mainline, breaks);
            for entry in &mut self.situation.entries {
                entry.conflicts |= self.draws.happens(faults.conflicts);
            }
        }
        if self.clock.taken_back <= self.time {
            self.clock.taken_back = self.time + self.draws.wait(faults.taken_back);
            if let Some(entry) = self.somebody() {
                self.take_back(entry);
            }
        }
        if self.clock.force_pushed <= self.time {
            self.clock.force_pushed = self.time + self.draws.wait(faults.force_pushed);
            if let Some(entry) = self.somebody() {
                let branch = self.entry(entry).branch;
                self.take_back(entry);
                let bad = self.draws.happens(self.world.setting.bad);
                self.accept(branch, bad);
            }
        }
    }

    /// Somebody who waits, and is not being landed: what is pushed can't be taken back.
    fn somebody(&mut self) -> Option<EntryId> {
        let landing = self.situation.landing.and_then(|id| self.stack(id)).map(|stack| stack.line.entries.clone());
        let landing = landing.unwrap_or_default();
        let free: Vec<EntryId> =
            self.situation.entries.iter().map(|one| one.id).filter(|entry| !landing.contains(entry)).collect();
        if free.is_empty() { None } else { Some(free[self.draws.below(free.len())]) }
    }

    fn take_back(&mut self, entry: EntryId) {
        let left = self.watch.leaves(entry);
        self.broken = self.broken.take().or(left.err());
        self.leave(entry, false, false);
    }

    /// The push of a stack ended: it moved mainline, or mainline had moved.
    pub(super) fn lands(&mut self, id: StackId) -> Promise {
        self.situation.landing = None;
        let Some(stack) = self.stack(id) else { return Ok(()) };
        let (line, judges) = (stack.line.clone(), stack.candidate.clone());
        // What of it is in mainline already, when nobody else pushed since.
        let since = self.situation.mainline.moves.iter().skip_while(|one| one.from != line.on);
        let below = since.map(|one| match &one.by {
            By::Landing(entries) => Some(entries.len()),
            By::Others => None,
        });
        let Some(entries) = below.sum::<Option<usize>>().and_then(|below| line.entries.get(below..)) else {
            return Ok(());
        };
        let entries = entries.to_vec();
        let judges = if let Candidate::Made(judges) = judges { judges.len() } else { 0 };
        self.watch.lands(&self.official, &line, &entries, judges)?;
        self.official.land(&mut self.situation.mainline, &entries);
        self.situation.experience.landed(entries.len());
        for entry in &entries {
            self.leave(*entry, true, false);
        }
        Ok(())
    }

    pub(super) fn ejects(&mut self, entry: EntryId, evidence: &Evidence) -> Promise {
        let mut wronged = false;
        let mut line: Option<Line> = None;
        if let Evidence::Failed { stack, passed_before, .. } = evidence {
            line = self.stack(*stack).map(|stack| stack.line.clone());
            let branch = self.entry(entry).branch;
            let has = |other: usize| {
                other == branch || self.newest.get(&other).is_some_and(|entry| self.official.has_landed(*entry))
            };
            let clashes = self.world.clashes.iter().any(|(one, two)| has(*one) && has(*two));
            wronged = !self.entry(entry).bad && !clashes;
            self.situation.experience.ejected(*passed_before);
        }
        self.watch.ejects(&self.official, entry, evidence, line.as_ref())?;
        self.leave(entry, false, wronged);
        Ok(())
    }

    fn leave(&mut self, entry: EntryId, landed: bool, wronged: bool) {
        let Entry { branch, since, .. } = *self.entry(entry);
        let waited = self.time - since;
        self.score.decided.push(Decided { branch, waited, at: self.time, landed, wronged });
        self.situation.entries.retain(|one| one.id != entry);
        self.held.remove(&entry);
        let pairs = std::mem::take(&mut self.situation.conflicts);
        for (one, two) in pairs {
            let other = if one == entry { Some(two) } else { (two == entry).then_some(one) };
            match other {
                None => self.situation.conflicts.push((one, two)),
                Some(other) if landed => {
                    let waits = self.situation.entries.iter_mut().find(|one| one.id == other);
                    waits.into_iter().for_each(|one| one.conflicts = true);
                }
                Some(_) => {}
            }
        }
        if landed {
            for one in &mut self.situation.entries {
                one.needs.retain(|need| *need != entry);
            }
        }
    }

    /// Forgets stacks that say nothing any more, and moves of mainline that none of the others stands below.
    pub(super) fn forget(&mut self) {
        let waiting: std::collections::HashSet<EntryId> = self.situation.entries.iter().map(|one| one.id).collect();
        let now = self.situation.mainline.at;
        let mut kept = Vec::new();
        for stack in std::mem::take(&mut self.situation.stacks) {
            let own = stack.line.entries.is_empty();
            let used = stack.line.entries.iter().any(|entry| waiting.contains(entry));
            if stack.runs() || used || own {
                kept.push(stack);
                continue;
            }
            let official = &self.official;
            let fate = |entry| match official.has_landed(entry) {
                true => Fate::Landed,
                false => Fate::Gone,
            };
            self.situation.experience.forgot(&stack, fate);
        }
        let stands = |at| kept.iter().any(|stack: &Stack| stack.line.on == at && !stack.line.entries.is_empty());
        let moves = &mut self.situation.mainline.moves;
        let old = moves.iter().take_while(|one| !stands(one.from)).count();
        if let Some(last) = moves.drain(..old).next_back() {
            self.situation.mainline.began_by_queue = matches!(last.by, By::Landing(_));
        }
        let moves = &self.situation.mainline.moves;
        let known = |at| at == now || moves.iter().any(|one| one.from == at);
        kept.retain(|stack| !stack.line.entries.is_empty() || known(stack.line.on) || stack.runs());
        self.situation.stacks = kept;
    }
}
