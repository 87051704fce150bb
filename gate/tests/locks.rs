//! Locks, by the names of what went wrong with them elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{NOW, assigned, build, lock, nothing, reasons, running, slave, wants};
use gate::schedule::{Plan, Scope, Situation, Slave, Waiting, schedule};
use protocol::UnixMs;

/// Builds in the order in which they came, from 1, on slaves of as many slots as there can be.
fn came(wanted: &[&[(&str, u32)]]) -> Vec<Waiting> {
    let of = |(id, wanted): (i64, &&[(&str, u32)])| Waiting {
        locks: wants(wanted),
        since: UnixMs(NOW - 100 + id),
        ..build(id)
    };
    (1..).zip(wanted).map(of).collect()
}

fn hall() -> Vec<Slave> {
    vec![Slave { slots: 99, ..slave(1, "hall") }]
}

fn started(plan: &Plan) -> Vec<i64> {
    plan.assigned.iter().map(|it| it.build.0).collect()
}

/// A lock's line as it is told.
fn line(plan: &Plan, name: &str) -> Vec<i64> {
    plan.lines.iter().find(|line| line.lock == name).unwrap().builds.iter().map(|build| build.0).collect()
}

#[test]
fn a_nested_waiter_behind_an_exclusive_one_holds_neither_lock() {
    // 1 wants all of a, 2 wants a and b, 3 wants only b: 2 must wait behind 1, and may not keep b from 3 meanwhile.
    let locks = vec![lock("a", 2, Scope::Master), lock("b", 2, Scope::Master)];
    let waiting = came(&[&[("a", 0)], &[("a", 1), ("b", 1)], &[("b", 1)], &[("b", 2)]]);
    let held = vec![running(90, 1, &[("a", 1)])];
    let plan = schedule(&Situation {
        waiting: waiting.clone(),
        running: held,
        slaves: hall(),
        locks: locks.clone(),
        ..nothing()
    });
    assert_eq!(started(&plan), [3]);
    insta::assert_snapshot!(reasons(&plan), @r"
    #1 lock-held: lock `a` is held by #90. Next: bb starts it when lock `a` is free.
    #2 lock-held: lock `a` is held by #90 and goes to #1 next. Next: bb starts it when lock `a` is free.
    #4 lock-held: lock `b` is held by #3 and goes to #2 next. Next: bb starts it when lock `b` is free.
    ");
    assert_eq!((line(&plan, "a"), line(&plan, "b")), (vec![1, 2], vec![2, 4]));

    // The exclusive one has it: the nested one still waits for a, and b goes by.
    let held = vec![running(1, 1, &[("a", 0)])];
    let plan = schedule(&Situation {
        waiting: waiting[1..].to_vec(),
        running: held,
        slaves: hall(),
        locks: locks.clone(),
        ..nothing()
    });
    assert_eq!(started(&plan), [3]);
    // It ends: 2 has both at once.
    let held = vec![running(3, 1, &[("b", 1)])];
    let waiting = vec![waiting[1].clone(), waiting[3].clone()];
    let plan = schedule(&Situation { waiting, running: held, slaves: hall(), locks, ..nothing() });
    assert_eq!((started(&plan), line(&plan, "b")), (vec![2], vec![4]));
}

#[test]
fn a_cancelled_waiter_that_held_nothing_frees_nothing() {
    let locks = vec![lock("vm", 2, Scope::Master)];
    let waiting = came(&[&[("vm", 2)], &[("vm", 2)], &[("vm", 2)]]);
    let held = vec![running(90, 1, &[("vm", 1)])];
    let all = Situation { waiting: waiting.clone(), running: held, slaves: hall(), locks, ..nothing() };
    assert_eq!(line(&schedule(&all), "vm"), [1, 2, 3]);
    for gone in 1..=3 {
        let left: Vec<Waiting> = waiting.iter().filter(|it| it.id.0 != gone).cloned().collect();
        let plan = schedule(&Situation { waiting: left, ..all.clone() });
        assert_eq!(assigned(&plan), [], "#{gone} was cancelled");
        assert_eq!(line(&plan, "vm").len(), 2);
    }
    // One that stood before others in the line, though, holds them up no more.
    let small = came(&[&[("vm", 2)], &[("vm", 1)]]);
    let plan = schedule(&Situation { waiting: small.clone(), ..all.clone() });
    assert!(started(&plan).is_empty());
    let plan = schedule(&Situation { waiting: small[1..].to_vec(), ..all });
    assert_eq!(started(&plan), [2]);
}

#[test]
fn a_release_wakes_every_candidate() {
    // All that fit into what is free now start in the same turn, of several locks and several requests.
    let locks = vec![lock("vm", 4, Scope::Master), lock("disk", 1, Scope::Master)];
    let waiting = came(&[&[("vm", 1)], &[("vm", 2)], &[("disk", 1)], &[("vm", 1), ("disk", 1)], &[("vm", 1)]]);
    let held = vec![running(90, 1, &[("vm", 0), ("disk", 0)])];
    let all = Situation { waiting, running: held, slaves: hall(), locks, ..nothing() };
    assert!(started(&schedule(&all)).is_empty());
    let plan = schedule(&Situation { running: vec![], ..all });
    // 4 waits for disk, and stands before 5 for the last share.
    assert_eq!(started(&plan), [1, 2, 3]);
    insta::assert_snapshot!(reasons(&plan), @r"
    #4 lock-held: lock `disk` is held by #3. Next: bb starts it when lock `disk` is free.
    #5 lock-held: lock `vm` is held by #1 and #2 and goes to #4 next. Next: bb starts it when lock `vm` is free.
    ");
}

#[test]
fn no_slave_is_idle_beside_a_build_that_is_bound_to_a_busy_one() {
    // A slave and its locks are bound in one step: the build that waits for a lock of each slave goes to whichever has it.
    let of = |id| Waiting { locks: wants(&[("kvm", 1)]), since: UnixMs(NOW - 100 + id), ..build(id) };
    let locks = vec![lock("kvm", 1, Scope::Slave)];
    let slaves = vec![Slave { slots: 4, ..slave(1, "oak") }, Slave { slots: 4, ..slave(2, "elm") }];
    let held = vec![running(90, 1, &[("kvm", 1)])];
    let plan = schedule(&Situation {
        waiting: vec![of(1), of(2)],
        running: held,
        slaves: slaves.clone(),
        locks: locks.clone(),
        ..nothing()
    });
    assert_eq!(assigned(&plan), [(1, 2)]);
    // Whichever is free first gets the next.
    for (busy, free) in [(1, 2), (2, 1)] {
        let held = vec![running(90, busy, &[("kvm", 1)])];
        let plan = schedule(&Situation {
            waiting: vec![of(2)],
            running: held,
            slaves: slaves.clone(),
            locks: locks.clone(),
            ..nothing()
        });
        assert_eq!(assigned(&plan), [(2, free)]);
    }
    // A slot of the busy one that needs no lock is no reason to wait either.
    let held = vec![running(90, 1, &[("kvm", 1)]), running(91, 2, &[("kvm", 1)])];
    let plan = schedule(&Situation { waiting: vec![of(1), build(2)], running: held, slaves, locks, ..nothing() });
    assert_eq!(started(&plan), [2]);
}

#[test]
fn a_lock_whose_shares_were_lowered_below_what_is_held_is_given_to_nobody_until_enough_is_back() {
    let waiting = came(&[&[("vm", 1)], &[("vm", 0)]]);
    let all = |held: &[i64], shares| Situation {
        waiting: waiting.clone(),
        running: held.iter().map(|&id| running(id, 1, &[("vm", 2)])).collect(),
        slaves: hall(),
        locks: vec![lock("vm", shares, Scope::Master)],
        ..nothing()
    };
    // 4 are held: of 4, of 3, and of 2, of which they are all.
    for shares in 2..=4 {
        assert!(started(&schedule(&all(&[90, 91], shares))).is_empty(), "{shares}");
    }
    assert!(started(&schedule(&all(&[90], 2))).is_empty());
    assert_eq!(started(&schedule(&all(&[90], 3))), [1]);
    // Whoever asks for more than there are by now is told that, and does not hold up the line.
    let mut too_much = all(&[], 1);
    too_much.waiting = came(&[&[("vm", 2)], &[("vm", 1)]]);
    let plan = schedule(&too_much);
    assert_eq!(started(&plan), [2]);
    assert_eq!(plan.waits[0].1.code(), "lock-too-small");
    assert_eq!(line(&plan, "vm"), [] as [i64; 0]);
}
