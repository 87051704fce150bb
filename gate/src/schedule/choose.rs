//! The choice itself. See the module above for its rules.

use super::{Assigned, Class, Line, Lock, Plan, Running, Scope, Situation, Slave, Wait, Waiting};
use protocol::wire::Availability;
use protocol::{BuildId, UnixMs};
use recipe::{LockAmount, LockRequest};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Who waited so long goes before fairness, so that nobody waits for ever: a day, in milliseconds.
const STARVING_MS: i64 = 24 * 60 * 60 * 1000;

/// So many of those that stand before a build in a lock's line are named; the others are counted.
const NAMED_BEHIND: usize = 4;

/// Chooses which waiting builds start on which slaves now, and says why each of the others waits.
pub fn schedule(situation: &Situation) -> Plan {
    let mut desk = Desk::new(situation);
    let mut plan = Plan::default();
    let mut turns = Turns::new(&desk);
    while let Some((build, slave)) = turns.next_start(&desk) {
        desk.start(build, slave);
        turns.started(&desk, build);
        plan.assigned.push(Assigned { build: situation.waiting[build].id, slave: situation.slaves[slave].id });
    }
    for (index, build) in situation.waiting.iter().enumerate() {
        if !desk.open[index] {
            continue;
        }
        let wait = desk.reason(index);
        if let Wait::Reluctant { in_ms, .. } = wait {
            let at = UnixMs(situation.now.0.saturating_add(in_ms));
            plan.look_again = Some(plan.look_again.map_or(at, |soonest| soonest.min(at)));
        }
        plan.waits.push((build.id, wait));
    }
    plan.lines = desk.lines();
    plan
}

/// A waiting build that could start if slots and locks were free.
struct Able {
    /// Slaves, by index, that could run it: labels, isolation, connected, taking builds.
    slaves: Vec<usize>,
    /// Shares it needs of each lock, by the lock's index; each lock once.
    shares: Vec<(usize, u64)>,
}

/// The situation while builds are being chosen.
struct Desk<'a> {
    situation: &'a Situation,
    /// For each waiting build: what it needs, or why it can't start whatever gets free.
    able: Vec<Result<Able, Wait>>,
    /// Whether it is still waiting.
    open: Vec<bool>,
    /// Its place in every lock's line; smaller is before.
    place: Vec<usize>,
    /// For each lock the builds that want it, in the order of their places, with the shares they want.
    lines: Vec<Vec<(usize, u64)>>,
    /// Builds by slave.
    used: Vec<u32>,
    /// When each slave was last given a build.
    last_used: Vec<Option<UnixMs>>,
    /// Builds by publisher.
    load: BTreeMap<&'a str, u32>,
    /// When each publisher was last served.
    served: BTreeMap<&'a str, UnixMs>,
    /// Who holds how many shares of which lock: lock, slave (none when the slave is unknown), build, shares.
    held: Vec<(usize, Option<usize>, BuildId, u64)>,
}

impl<'a> Desk<'a> {
    fn new(situation: &'a Situation) -> Self {
        let waiting = &situation.waiting;
        let mut line: Vec<usize> = (0..waiting.len()).collect();
        line.sort_by_key(|&i| {
            let b = &waiting[i];
            (b.class, Reverse(b.priority), b.since, b.id)
        });
        let mut place = vec![0; waiting.len()];
        for (nth, &index) in line.iter().enumerate() {
            place[index] = nth;
        }
        let able: Vec<Result<Able, Wait>> = waiting.iter().map(|b| able(situation, b)).collect();
        let mut lines = vec![vec![]; situation.locks.len()];
        for index in line {
            for &(lock, shares) in able[index].iter().flat_map(|a| &a.shares) {
                lines[lock].push((index, shares));
            }
        }
        let mut desk = Self {
            situation,
            able,
            open: vec![true; waiting.len()],
            place,
            lines,
            used: vec![0; situation.slaves.len()],
            last_used: situation.slaves.iter().map(|s| s.last_used).collect(),
            load: BTreeMap::new(),
            served: situation.served.iter().map(|(publisher, at)| (publisher.as_str(), *at)).collect(),
            held: vec![],
        };
        for build in &situation.running {
            desk.count(build);
        }
        desk
    }

    /// Counts a build that runs already.
    fn count(&mut self, build: &'a Running) {
        let slave = self.situation.slaves.iter().position(|s| s.id == build.slave);
        if let Some(slave) = slave {
            self.used[slave] += 1;
        }
        *self.load.entry(&build.publisher).or_default() += 1;
        // A lock that was taken out of the configuration since is held by nobody.
        for (lock, shares) in build.locks.iter().filter_map(|r| shares_of(&self.situation.locks, r)) {
            self.held.push((lock, slave, build.id, shares));
        }
    }

    /// Whose turn it is: the smallest goes first.
    fn turn(&self, index: usize) -> Turn {
        let b = &self.situation.waiting[index];
        let publisher = b.publisher.as_str();
        let fair = (self.load.get(publisher).copied().unwrap_or(0), self.served.get(publisher).copied());
        // Without a value comes before any.
        let fair = (self.waited_ms(b) < STARVING_MS).then_some(fair);
        (b.class, Reverse(b.priority), fair, b.since, b.id)
    }

    fn waited_ms(&self, build: &Waiting) -> i64 {
        self.situation.now.0.saturating_sub(build.since.0).max(0)
    }

    /// The slave that would start it now.
    fn best_slave(&self, index: usize) -> Option<usize> {
        let able = self.able[index].as_ref().ok()?;
        let free = able.slaves.iter().copied().filter(|&s| self.has_slot(s) && self.may_use(index, s));
        free.filter(|&s| self.blocking_lock(index, s).is_none()).min_by_key(|&s| self.preference(index, s))
    }

    /// Whether a slave would start it now, but for a lock.
    fn is_locked_out(&self, index: usize) -> bool {
        let usable = |&s: &usize| self.has_slot(s) && self.may_use(index, s);
        self.able[index].as_ref().is_ok_and(|able| able.slaves.iter().any(usable))
    }

    fn has_slot(&self, slave: usize) -> bool {
        self.used[slave] < self.situation.slaves[slave].slots
    }

    /// Whether the slave is eager, or the build has waited long enough for a reluctant one.
    fn may_use(&self, index: usize, slave: usize) -> bool {
        self.situation.slaves[slave].availability == Availability::Eager || self.reluctant_in_ms(index) <= 0
    }

    fn reluctant_in_ms(&self, index: usize) -> i64 {
        self.situation.reluctant_after_ms.saturating_sub(self.waited_ms(&self.situation.waiting[index]))
    }

    /// Which slave is liked best: the smallest.
    fn preference(&self, index: usize, slave: usize) -> impl Ord + use<> {
        let s = &self.situation.slaves[slave];
        let warm = s.warm.contains(&self.situation.waiting[index].project);
        let per_million = u64::from(self.used[slave]) * 1_000_000 / u64::from(s.slots.max(1));
        (s.availability, !warm, per_million, self.last_used[slave], s.id)
    }

    /// The first lock that keeps the build from starting on that slave.
    fn blocking_lock(&self, index: usize, slave: usize) -> Option<usize> {
        let able = self.able[index].as_ref().ok()?;
        let short = able.shares.iter().find(|&&(lock, shares)| {
            let held: u64 = self.holds(lock, slave).map(|(_, shares)| shares).sum();
            let mut left = u64::from(self.situation.locks[lock].shares).checked_sub(held + shares);
            let mut before = self.stand_before(index, lock, slave);
            while let (Some(shares), Some((_, wanted))) = (left, before.next()) {
                left = shares.checked_sub(wanted);
            }
            left.is_none()
        });
        short.map(|&(lock, _)| lock)
    }

    /// Builds that hold shares of a lock as seen from a slave.
    fn holds(&self, lock: usize, slave: usize) -> impl Iterator<Item = (BuildId, u64)> {
        let everywhere = self.situation.locks[lock].scope == Scope::Master;
        let here = self.held.iter().filter(move |(l, s, ..)| *l == lock && (everywhere || *s == Some(slave)));
        here.map(|&(_, _, build, shares)| (build, shares))
    }

    /// Builds that stand before this one in a lock's line as seen from a slave, the first first.
    fn stand_before(&self, index: usize, lock: usize, slave: usize) -> impl Iterator<Item = (BuildId, u64)> {
        let everywhere = self.situation.locks[lock].scope == Scope::Master;
        let line = self.lines[lock].iter().take_while(move |(i, _)| self.place[*i] < self.place[index]);
        let stands = move |i: usize| {
            self.open[i] && (everywhere || self.able[i].as_ref().is_ok_and(|able| able.slaves.contains(&slave)))
        };
        line.filter(move |(i, _)| stands(*i)).map(|&(i, shares)| (self.situation.waiting[i].id, shares))
    }

    /// Who still stands in each lock's line.
    fn lines(&self) -> Vec<Line> {
        let stand = |line: &[(usize, u64)]| {
            line.iter().filter(|(i, _)| self.open[*i]).map(|(i, _)| self.situation.waiting[*i].id).collect()
        };
        let all = self.situation.locks.iter().zip(&self.lines);
        all.map(|(lock, line)| Line { lock: lock.name.clone(), builds: stand(line) }).collect()
    }

    fn start(&mut self, index: usize, slave: usize) {
        let build = &self.situation.waiting[index];
        self.open[index] = false;
        self.used[slave] += 1;
        self.last_used[slave] = Some(self.situation.now);
        *self.load.entry(&build.publisher).or_default() += 1;
        self.served.insert(&build.publisher, self.situation.now);
        if let Ok(able) = &self.able[index] {
            self.held.extend(able.shares.iter().map(|&(lock, shares)| (lock, Some(slave), build.id, shares)));
        }
    }

    /// Why a build that was not chosen waits.
    fn reason(&self, index: usize) -> Wait {
        let able = match &self.able[index] {
            Ok(able) => able,
            Err(wait) => return wait.clone(),
        };
        let mut free: Vec<usize> = able.slaves.iter().copied().filter(|&s| self.has_slot(s)).collect();
        free.sort_by_key(|&s| (!self.may_use(index, s), self.preference(index, s)));
        // A free slave whose locks are free was not taken only because it is reluctant.
        if let Some(&slave) = free.iter().find(|&&s| self.blocking_lock(index, s).is_none()) {
            let name = self.situation.slaves[slave].name.clone();
            return Wait::Reluctant { slave: name, in_ms: self.reluctant_in_ms(index) };
        }
        let blocked = free.first().and_then(|&s| self.blocking_lock(index, s).map(|lock| (s, lock)));
        let Some((slave, lock)) = blocked else {
            return Wait::Full { slaves: names(self.situation, able.slaves.iter().copied()) };
        };
        let mut behind = self.stand_before(index, lock, slave).map(|(build, _)| build);
        Wait::Lock {
            lock: self.situation.locks[lock].name.clone(),
            held_by: self.holds(lock, slave).map(|(build, _)| build).collect(),
            behind: behind.by_ref().take(NAMED_BEHIND).collect(),
            behind_more: behind.count(),
        }
    }
}

/// Class, priority, fairness (builds of its publisher, and when that was last served; none for who is starving), age.
type Turn = (Class, Reverse<i32>, Option<(u32, Option<UnixMs>)>, UnixMs, BuildId);

/// The waiting builds in the order of their turns. A turn can only become later while builds are being chosen, because its
/// publisher was served; so the order is mended where it is looked at.
struct Turns {
    line: BinaryHeap<Reverse<(Turn, usize)>>,
    /// Those that a free slave could take but for a lock.
    locked: Vec<usize>,
}

impl Turns {
    fn new(desk: &Desk<'_>) -> Self {
        let able = (0..desk.able.len()).filter(|&i| desk.able[i].is_ok());
        Self { line: able.map(|i| Reverse((desk.turn(i), i))).collect(), locked: vec![] }
    }

    /// The next build that can start, and the slave for it.
    fn next_start(&mut self, desk: &Desk<'_>) -> Option<(usize, usize)> {
        if !(0..desk.used.len()).any(|s| desk.has_slot(s)) {
            return None;
        }
        while let Some(Reverse((turn, index))) = self.line.pop() {
            let now = desk.turn(index);
            if now > turn {
                self.line.push(Reverse((now, index)));
            } else if let Some(slave) = desk.best_slave(index) {
                return Some((index, slave));
            } else if desk.is_locked_out(index) {
                self.locked.push(index);
            }
            // Slots are only taken while builds are being chosen: who found none will find none.
        }
        None
    }

    /// Notes that a build was started. Where it claimed a lock on several slaves, it now holds it on one, so that others may
    /// have it on the rest.
    fn started(&mut self, desk: &Desk<'_>, index: usize) {
        let of_slaves = |&(lock, _): &(usize, u64)| desk.situation.locks[lock].scope == Scope::Slave;
        if desk.able[index].as_ref().is_ok_and(|able| able.shares.iter().any(of_slaves)) {
            self.line.extend(self.locked.drain(..).map(|i| Reverse((desk.turn(i), i))));
        }
    }
}

fn names(situation: &Situation, slaves: impl Iterator<Item = usize>) -> Vec<protocol::SlaveName> {
    slaves.map(|s| situation.slaves[s].name.clone()).collect()
}

/// What a build needs, or why it can't start whatever gets free.
fn able(situation: &Situation, build: &Waiting) -> Result<Able, Wait> {
    let shares = lock_shares(&situation.locks, &build.locks)?;
    let slaves = able_slaves(situation, build)?;
    Ok(Able { slaves, shares })
}

/// Shares needed of each lock; requests for the same lock add up.
fn lock_shares(locks: &[Lock], requests: &[LockRequest]) -> Result<Vec<(usize, u64)>, Wait> {
    let mut needed: BTreeMap<usize, u64> = BTreeMap::new();
    for request in requests {
        let Some((lock, shares)) = shares_of(locks, request) else {
            let known = locks.iter().map(|l| l.name.clone()).collect();
            return Err(Wait::UnknownLock { lock: request.name.clone(), known });
        };
        *needed.entry(lock).or_default() += shares;
    }
    let too_much = needed.iter().find(|&(&lock, &asked)| asked > u64::from(locks[lock].shares));
    if let Some((&lock, &asked)) = too_much {
        return Err(Wait::LockTooSmall { lock: locks[lock].name.clone(), asked, shares: locks[lock].shares });
    }
    Ok(needed.into_iter().collect())
}

/// A request as the lock's index and shares; none when there is no such lock.
pub(super) fn shares_of(locks: &[Lock], request: &LockRequest) -> Option<(usize, u64)> {
    let index = locks.iter().position(|l| l.name == request.name)?;
    let shares = match request.amount {
        LockAmount::Shares(shares) => shares,
        LockAmount::Exclusive => locks[index].shares,
    };
    // At least one, so that a lock of no shares can't be held.
    Some((index, u64::from(shares.max(1))))
}

/// Slaves that could run it now if they had a free slot.
fn able_slaves(situation: &Situation, build: &Waiting) -> Result<Vec<usize>, Wait> {
    let slaves = &situation.slaves;
    if slaves.is_empty() {
        return Err(Wait::NoSlave);
    }
    let has = |s: &Slave, label: &String| s.labels.contains(label);
    let labelled: Vec<usize> = (0..slaves.len()).filter(|&s| slaves[s].has_labels(&build.labels)).collect();
    if labelled.is_empty() {
        let nobody_has = |label: &&String| !slaves.iter().any(|s| has(s, label));
        let missing: Vec<String> = build.labels.iter().filter(nobody_has).cloned().collect();
        return Err(if missing.is_empty() {
            Wait::NoSlaveWithAll { labels: build.labels.clone() }
        } else {
            Wait::NoLabel { missing }
        });
    }
    let isolated: Vec<usize> = labelled.iter().copied().filter(|&s| slaves[s].isolation >= build.isolation).collect();
    if isolated.is_empty() {
        let slaves = names(situation, labelled.into_iter());
        return Err(Wait::Isolation { needed: build.isolation, slaves });
    }
    let ready: Vec<usize> =
        isolated.iter().copied().filter(|&s| slaves[s].connected && slaves[s].takes_builds()).collect();
    if ready.is_empty() {
        let (online, offline): (Vec<usize>, Vec<usize>) = isolated.into_iter().partition(|&s| slaves[s].connected);
        return Err(Wait::Away {
            offline: names(situation, offline.into_iter()),
            unavailable: names(situation, online.into_iter()),
        });
    }
    Ok(ready)
}
