//! What holds for the scheduler's every answer, and for a world that follows it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{NOW, RELUCTANT_AFTER, build, lock, nothing, slave, wants};
use gate::schedule::{Class, Plan, Running, Scope, Situation, Slave, Wait, Waiting, schedule};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use protocol::wire::{Availability, Isolation};
use protocol::{BuildId, ProjectId, SlaveId, UnixMs};
use recipe::{LockAmount, LockRequest};
use std::cmp::Reverse;
use std::collections::BTreeMap;

const LABELS: [&str; 3] = ["linux", "kvm", "arm64"];
const LOCKS: [&str; 3] = ["vm", "disk", "net"];

fn some_labels() -> impl Strategy<Value = Vec<String>> {
    btree_set(prop::sample::select(&LABELS[..]), 0..3).prop_map(|s| s.into_iter().map(str::to_owned).collect())
}

fn some_locks() -> impl Strategy<Value = Vec<LockRequest>> {
    let one = (prop::sample::select(&LOCKS[..]), 0u32..4);
    let some = vec(one, 1..3).prop_map(|l| wants(&l));
    prop_oneof![2 => Just(vec![]), 3 => some]
}

fn availability() -> impl Strategy<Value = Availability> {
    prop_oneof![4 => Just(Availability::Eager), 2 => Just(Availability::Reluctant), 1 => Just(Availability::Unavailable)]
}

fn isolation() -> impl Strategy<Value = Isolation> {
    prop_oneof![3 => Just(Isolation::None), 1 => Just(Isolation::Bubblewrap)]
}

fn waiting() -> impl Strategy<Value = Waiting> {
    let class = prop_oneof![1 => Just(Class::Queue), 1 => Just(Class::Accepted), 1 => Just(Class::Reviewed), 3 => Just(Class::Other)];
    let age = prop_oneof![0..RELUCTANT_AFTER * 2, 0..200_000_000i64];
    let who = prop::sample::select(&["ines", "tomas", "agent"][..]);
    (class, -1i32..2, who, age, some_labels(), some_locks(), isolation(), 0i64..3).prop_map(
        |(class, priority, who, age, labels, locks, isolation, project)| Waiting {
            project: ProjectId(project),
            class,
            priority,
            publisher: who.to_owned(),
            since: UnixMs(NOW - age),
            labels,
            locks,
            isolation,
            ..build(0)
        },
    )
}

fn some_slave() -> impl Strategy<Value = Slave> {
    let used = prop::option::of(0i64..5).prop_map(|used| used.map(UnixMs));
    (prop::bool::weighted(0.9), availability(), some_labels(), 0u32..4, isolation(), 0i64..3, used).prop_map(
        |(connected, availability, labels, slots, isolation, warm, last_used)| Slave {
            connected,
            availability,
            labels,
            slots,
            isolation,
            warm: vec![ProjectId(warm)],
            last_used,
            ..slave(0, "x")
        },
    )
}

fn some_running() -> impl Strategy<Value = Running> {
    let who = prop::sample::select(&["ines", "tomas", "agent"][..]);
    (0i64..7, some_locks(), who).prop_map(|(on, locks, who)| Running {
        id: BuildId(0),
        slave: SlaveId(on),
        publisher: who.to_owned(),
        locks,
    })
}

/// Any situation; also ones that can't come about, such as more builds than slots.
fn situation() -> impl Strategy<Value = Situation> {
    let scope = || prop_oneof![Just(Scope::Master), Just(Scope::Slave)];
    let locks = (0u32..4, scope(), 1u32..3, scope(), any::<bool>()).prop_map(|(a, sa, b, sb, both)| {
        let mut locks = vec![lock("vm", a, sa), lock("disk", b, sb)];
        locks.truncate(if both { 2 } else { 1 });
        locks.push(lock("net", 2, Scope::Master));
        locks
    });
    (vec(waiting(), 0..14), vec(some_slave(), 0..6), vec(some_running(), 0..5), locks).prop_map(
        |(mut waiting, mut slaves, mut running, locks)| {
            (1..).zip(&mut waiting).for_each(|(id, b)| b.id = BuildId(id));
            (100..).zip(&mut running).for_each(|(id, b)| b.id = BuildId(id));
            for (id, s) in (1..).zip(&mut slaves) {
                s.id = SlaveId(id);
                s.name = format!("slave{id}").parse().unwrap();
            }
            Situation { waiting, slaves, running, locks, ..nothing() }
        },
    )
}

/// Who holds what on which slave, running and assigned: shares by lock and slave (no slave for locks of the master).
fn held(s: &Situation, plan: &Plan) -> BTreeMap<(String, Option<SlaveId>), u64> {
    let running = s.running.iter().map(|r| (r.slave, &r.locks));
    let started = plan.assigned.iter().map(|a| (a.slave, &s.waiting.iter().find(|w| w.id == a.build).unwrap().locks));
    let mut held = BTreeMap::new();
    for (slave, locks) in running.chain(started) {
        for (name, scope, shares) in locks.iter().filter_map(|r| shares(s, r)) {
            *held.entry((name, (scope == Scope::Slave).then_some(slave))).or_default() += shares;
        }
    }
    held
}

fn shares(s: &Situation, request: &LockRequest) -> Option<(String, Scope, u64)> {
    let lock = s.locks.iter().find(|l| l.name == request.name)?;
    let shares = match request.amount {
        LockAmount::Shares(n) => n,
        LockAmount::Exclusive => lock.shares,
    };
    Some((lock.name.clone(), lock.scope, u64::from(shares.max(1))))
}

fn used(s: &Situation, plan: &Plan, slave: SlaveId) -> usize {
    s.running.iter().filter(|r| r.slave == slave).count() + plan.assigned.iter().filter(|a| a.slave == slave).count()
}

/// Whether the slave could run it if it were free, by a plain reading of the rules.
fn could(slave: &Slave, b: &Waiting) -> bool {
    slave.connected
        && slave.availability != Availability::Unavailable
        && slave.isolation >= b.isolation
        && b.labels.iter().all(|l| slave.labels.contains(l))
}

/// The order on locks.
fn before(a: &Waiting, b: &Waiting) -> bool {
    let key = |w: &Waiting| (w.class, Reverse(w.priority), w.since, w.id);
    key(a) < key(b)
}

proptest! {
    #[test]
    fn every_build_is_assigned_once_or_has_a_reason(s in situation()) {
        let plan = schedule(&s);
        let mut told: Vec<i64> = plan.assigned.iter().map(|a| a.build.0).chain(plan.waits.iter().map(|w| w.0.0)).collect();
        told.sort_unstable();
        prop_assert_eq!(told, (1..=i64::try_from(s.waiting.len()).unwrap()).collect::<Vec<_>>());
        for (_, wait) in &plan.waits {
            prop_assert!(!wait.text().is_empty() && !wait.next().what.is_empty());
        }
    }

    #[test]
    fn no_slave_gets_what_it_can_not_run(s in situation()) {
        for a in schedule(&s).assigned {
            let b = s.waiting.iter().find(|w| w.id == a.build).unwrap();
            let slave = s.slaves.iter().find(|x| x.id == a.slave).unwrap();
            prop_assert!(could(slave, b), "{:?} on {:?}", b, slave);
            let waited = s.now.0 - b.since.0;
            prop_assert!(slave.availability == Availability::Eager || waited >= RELUCTANT_AFTER);
        }
    }

    #[test]
    fn neither_slots_nor_shares_are_exceeded(s in situation()) {
        let plan = schedule(&s);
        let held = held(&s, &plan);
        for a in &plan.assigned {
            let slave = s.slaves.iter().find(|x| x.id == a.slave).unwrap();
            prop_assert!(used(&s, &plan, a.slave) <= slave.slots as usize);
            for request in &s.waiting.iter().find(|w| w.id == a.build).unwrap().locks {
                let (name, scope, _) = shares(&s, request).unwrap();
                let there = u64::from(s.locks.iter().find(|l| l.name == name).unwrap().shares);
                prop_assert!(held[&(name, (scope == Scope::Slave).then_some(a.slave))] <= there);
            }
        }
    }

    #[test]
    fn nobody_is_overtaken_on_a_lock(s in situation()) {
        let plan = schedule(&s);
        let held = held(&s, &plan);
        for a in &plan.assigned {
            let b = s.waiting.iter().find(|w| w.id == a.build).unwrap();
            let slave = s.slaves.iter().find(|x| x.id == a.slave).unwrap();
            for lock in &s.locks {
                if !b.locks.iter().any(|r| r.name == lock.name) {
                    continue;
                }
                // Those who stand before b for this lock, could run where it is counted, and still wait.
                let line = s.waiting.iter().filter(|w| before(w, b) && !plan.assigned.iter().any(|x| x.build == w.id));
                let line = line.filter(|w| {
                    let wait = &plan.waits.iter().find(|x| x.0 == w.id).unwrap().1;
                    let stands = matches!(wait, Wait::Full { .. } | Wait::Lock { .. } | Wait::Reluctant { .. });
                    stands && (lock.scope == Scope::Master || could(slave, w))
                });
                let claimed: u64 = line
                    .flat_map(|w| w.locks.iter().filter(|r| r.name == lock.name))
                    .map(|r| shares(&s, r).unwrap().2)
                    .sum();
                let taken = held[&(lock.name.clone(), (lock.scope == Scope::Slave).then_some(a.slave))];
                prop_assert!(taken + claimed <= u64::from(lock.shares), "{:?} overtook on {}", b, lock.name);
            }
        }
    }

    #[test]
    fn nothing_waits_beside_a_free_slave_without_a_reason(s in situation()) {
        let plan = schedule(&s);
        for (id, wait) in &plan.waits {
            let b = s.waiting.iter().find(|w| w.id == *id).unwrap();
            let free = |x: &&Slave| could(x, b) && used(&s, &plan, x.id) < x.slots as usize;
            let free: Vec<&Slave> = s.slaves.iter().filter(free).collect();
            match wait {
                Wait::Full { .. } | Wait::Away { .. } | Wait::Isolation { .. } | Wait::NoLabel { .. }
                | Wait::NoSlaveWithAll { .. } | Wait::NoSlave => prop_assert!(free.is_empty(), "{:?} {:?}", b, wait),
                Wait::Reluctant { in_ms, .. } => {
                    prop_assert!(*in_ms > 0 && plan.look_again.is_some());
                    let all_reluctant = free.iter().all(|x| x.availability == Availability::Reluctant);
                    prop_assert!(!free.is_empty() && (all_reluctant || !b.locks.is_empty()));
                }
                Wait::Lock { held_by, behind, .. } => prop_assert!(!held_by.is_empty() || !behind.is_empty()),
                Wait::UnknownLock { lock, .. } => prop_assert!(s.locks.iter().all(|l| l.name != *lock)),
                Wait::LockTooSmall { asked, shares, .. } => prop_assert!(*asked > u64::from(*shares)),
            }
        }
    }

    #[test]
    fn the_same_question_gets_the_same_answer_in_whatever_order_it_is_put(s in situation(), turn in 0usize..14) {
        let plan = schedule(&s);
        prop_assert_eq!(&plan, &schedule(&s));
        let mut turned = s.clone();
        turned.waiting.reverse();
        turned.slaves.reverse();
        turned.running.reverse();
        let waiting = turned.waiting.len().max(1);
        turned.waiting.rotate_left(turn % waiting);
        let other = schedule(&turned);
        prop_assert_eq!(plan.assigned, other.assigned);
        prop_assert_eq!(plan.look_again, other.look_again);
    }
}

/// A build that will come.
#[derive(Clone, Debug)]
struct Arrival {
    build: Waiting,
    at: i64,
    runs_ms: i64,
}

/// A world that starts what the scheduler says, and in which builds take their time. Answers when each started.
fn live(mut s: Situation, mut arrivals: Vec<Arrival>) -> BTreeMap<BuildId, i64> {
    let runs: BTreeMap<BuildId, i64> = arrivals.iter().map(|a| (a.build.id, a.runs_ms)).collect();
    let mut ends: Vec<(i64, BuildId)> = vec![];
    let mut started = BTreeMap::new();
    arrivals.sort_by_key(|a| Reverse(a.at));
    loop {
        let plan = schedule(&s);
        for a in &plan.assigned {
            let place = s.waiting.iter().position(|w| w.id == a.build).unwrap();
            let b = s.waiting.remove(place);
            s.slaves.iter_mut().find(|x| x.id == a.slave).unwrap().last_used = Some(s.now);
            s.served.insert(b.publisher.clone(), s.now);
            s.running.push(Running { id: b.id, slave: a.slave, publisher: b.publisher, locks: b.locks });
            ends.push((s.now.0 + runs[&b.id], b.id));
            started.insert(b.id, s.now.0);
        }
        // The next thing that happens: an end, an arrival, or time enough for a reluctant slave.
        let next_end = ends.iter().min().copied();
        let times = [next_end.map(|e| e.0), arrivals.last().map(|a| a.at), plan.look_again.map(|t| t.0)];
        let Some(next) = times.into_iter().flatten().min() else {
            let stuck: Vec<_> = plan.waits.iter().filter(|(_, w)| w.passes_by_itself()).collect();
            assert!(stuck.is_empty(), "nothing runs and nothing will, but these wait: {stuck:?}");
            return started;
        };
        s.now = UnixMs(next.max(s.now.0));
        ends.retain(|(at, id)| {
            let ended = *at <= s.now.0;
            if ended {
                s.running.retain(|r| r.id != *id);
            }
            !ended
        });
        while arrivals.last().is_some_and(|a| a.at <= s.now.0) {
            let arrival = arrivals.pop().unwrap();
            s.waiting.push(Waiting { since: s.now, ..arrival.build });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whatever comes, everything that can run at all does run: no deadlock.
    #[test]
    fn a_world_comes_to_its_end(
        mut s in situation(),
        builds in vec((waiting(), 0i64..500_000, 1i64..100_000), 1..60),
    ) {
        s.waiting.clear();
        s.running.clear();
        s.slaves.iter_mut().for_each(|x| {
            x.connected = true;
            if x.availability == Availability::Unavailable { x.availability = Availability::Reluctant; }
            x.slots = x.slots.max(1);
        });
        let arrivals: Vec<Arrival> = (1..)
            .zip(builds)
            .map(|(id, (build, at, runs_ms))| Arrival { build: Waiting { id: BuildId(id), ..build }, at: NOW + at, runs_ms })
            .collect();
        let ever = |b: &Waiting| s.slaves.iter().any(|x| could(x, b)) && {
            let mut asked: BTreeMap<&str, u64> = BTreeMap::new();
            b.locks.iter().all(|r| {
                let Some((_, _, n)) = shares(&s, r) else { return false };
                let all = asked.entry(&r.name).or_default();
                *all += n;
                *all <= u64::from(s.locks.iter().find(|l| l.name == r.name).unwrap().shares)
            })
        };
        let runnable: Vec<BuildId> = arrivals.iter().filter(|a| ever(&a.build)).map(|a| a.build.id).collect();
        let started = live(s.clone(), arrivals);
        prop_assert_eq!(started.keys().copied().collect::<Vec<_>>(), runnable);
    }

    /// A stream of small requests that never ends does not starve a large one: it starts when those that ran when it came
    /// have ended, whatever comes after it in its class.
    #[test]
    fn a_large_request_is_not_starved(gap in 100i64..1_000, runs in 1_000i64..5_000, shares in 2u32..5) {
        let mut arrivals: Vec<Arrival> = (1..80)
            .map(|n| Arrival {
                build: Waiting { locks: wants(&[("vm", 1)]), publisher: format!("agent{n}"), ..build(n) },
                at: NOW + n * gap,
                runs_ms: runs + n % 7,
            })
            .collect();
        let came = NOW + 30 * gap + 1;
        arrivals.push(Arrival { build: Waiting { locks: wants(&[("vm", 0)]), ..build(1000) }, at: came, runs_ms: runs });
        let s = Situation {
            slaves: vec![Slave { slots: 8, ..slave(1, "hall") }],
            locks: vec![lock("vm", shares, Scope::Master)],
            ..nothing()
        };
        let started = live(s, arrivals)[&BuildId(1000)];
        // Behind those that came before it and still waited, at `shares` a time, and those running.
        let ahead = 30 / i64::from(shares) + 2;
        prop_assert!(started - came <= ahead * (runs + 7), "waited {} ms", started - came);
    }

    /// Two publishers share a slave evenly, however many builds one of them brings.
    #[test]
    fn a_flood_leaves_room_for_others(flood in 20i64..80, runs in 1_000i64..9_000, slots in 1u32..4) {
        let mut arrivals: Vec<Arrival> = (1..=flood)
            .map(|n| Arrival { build: Waiting { publisher: "agent".to_owned(), ..build(n) }, at: NOW, runs_ms: runs })
            .collect();
        arrivals.push(Arrival { build: Waiting { publisher: "priya".to_owned(), ..build(1000) }, at: NOW + 1, runs_ms: 1 });
        let s = Situation { slaves: vec![Slave { slots, ..slave(1, "oak") }], ..nothing() };
        let started = live(s, arrivals)[&BuildId(1000)];
        prop_assert!(started <= NOW + runs, "priya's one build waited behind the flood");
    }

    /// A build for one slave only is not starved by a stream that prefers that slave and could go elsewhere.
    #[test]
    fn the_choosy_are_not_starved(runs in 1_000i64..5_000) {
        let mut arrivals: Vec<Arrival> = (1..300)
            .map(|n| Arrival {
                build: Waiting { publisher: format!("agent{n}"), ..build(n) },
                at: NOW + n * runs / 2,
                runs_ms: runs,
            })
            .collect();
        let came = NOW + 20 * runs;
        arrivals.push(Arrival {
            build: Waiting { labels: vec!["arm64".to_owned()], publisher: "priya".to_owned(), ..build(1000) },
            at: came,
            runs_ms: runs,
        });
        let arm = Slave { labels: vec!["arm64".to_owned()], warm: vec![ProjectId(1)], ..slave(1, "arm") };
        let s = Situation { slaves: vec![arm, slave(2, "oak")], ..nothing() };
        let started = live(s, arrivals)[&BuildId(1000)];
        prop_assert!(started - came <= 2 * runs, "waited {} ms", started - came);
    }
}
