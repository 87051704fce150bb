//! Which slave takes which build, as stories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{NOW, RELUCTANT_AFTER, assigned, build, lock, nothing, reasons, running, slave, wants};
use gate::schedule::{Class, Running, Scope, Situation, Slave, Waiting, schedule};
use protocol::wire::{Availability, Isolation};
use protocol::{ProjectId, UnixMs};

fn labels(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|l| (*l).to_owned()).collect()
}

/// The order in which builds start when one slave of one slot takes one after the other.
fn order(waiting: &[Waiting], already: &[Running]) -> Vec<i64> {
    let mut situation =
        Situation { waiting: waiting.to_vec(), running: already.to_vec(), slaves: vec![slave(1, "oak")], ..nothing() };
    let mut order = vec![];
    while let Some(&(id, _)) = assigned(&schedule(&situation)).first() {
        order.push(id);
        situation.waiting.retain(|b| b.id.0 != id);
    }
    order
}

#[test]
fn the_queue_goes_first_then_priority_then_age() {
    let of = |id, class, priority, age| Waiting { class, priority, since: UnixMs(NOW - age), ..build(id) };
    let waiting = [
        of(1, Class::Other, 0, 100),
        of(2, Class::Other, 5, 0),
        of(3, Class::Reviewed, 0, 0),
        of(4, Class::Accepted, -1, 0),
        of(5, Class::Queue, -9, 0),
        of(6, Class::Other, 0, 200),
        of(7, Class::Queue, -9, 0),
    ];
    assert_eq!(order(&waiting, &[]), [5, 7, 4, 3, 2, 6, 1]);
}

#[test]
fn who_has_fewest_running_goes_first() {
    let of =
        |id, publisher: &str, age| Waiting { publisher: publisher.to_owned(), since: UnixMs(NOW - age), ..build(id) };
    let waiting = [of(1, "agent", 900), of(2, "agent", 800), of(3, "priya", 0)];
    let agents = [Running { publisher: "agent".to_owned(), ..running(90, 77, &[]) }];
    assert_eq!(order(&waiting, &agents), [3, 1, 2]);
}

#[test]
fn who_was_served_longest_ago_goes_first() {
    let of =
        |id, publisher: &str, age| Waiting { publisher: publisher.to_owned(), since: UnixMs(NOW - age), ..build(id) };
    let plan = schedule(&Situation {
        waiting: vec![of(1, "agent", 900), of(2, "priya", 500), of(3, "olga", 100), of(4, "olga", 200)],
        served: [("agent".to_owned(), UnixMs(NOW - 5)), ("priya".to_owned(), UnixMs(NOW - 50))].into(),
        slaves: vec![Slave { slots: 3, ..slave(1, "oak") }],
        ..nothing()
    });
    assert_eq!(assigned(&plan), [(4, 1), (2, 1), (1, 1)]);
}

#[test]
fn who_is_served_now_has_had_a_turn() {
    let of = |id, publisher: &str| Waiting { publisher: publisher.to_owned(), ..build(id) };
    let plan = schedule(&Situation {
        waiting: vec![of(1, "agent"), of(2, "agent"), of(3, "priya")],
        running: vec![Running { publisher: "priya".to_owned(), ..running(90, 77, &[]) }],
        served: [("priya".to_owned(), UnixMs(NOW - 50))].into(),
        slaves: vec![Slave { slots: 2, ..slave(1, "oak") }],
        ..nothing()
    });
    assert_eq!(assigned(&plan), [(1, 1), (3, 1)]);
}

#[test]
fn builds_chosen_now_count_for_fairness() {
    let of = |id, publisher: &str| Waiting { publisher: publisher.to_owned(), ..build(id) };
    let plan = schedule(&Situation {
        waiting: vec![of(1, "agent"), of(2, "agent"), of(3, "agent"), of(4, "priya"), of(5, "olga")],
        slaves: vec![Slave { slots: 3, ..slave(1, "oak") }],
        ..nothing()
    });
    assert_eq!(assigned(&plan), [(1, 1), (4, 1), (5, 1)]);
}

#[test]
fn who_waited_a_day_goes_before_fairness() {
    let day = 24 * 60 * 60 * 1000;
    let of =
        |id, publisher: &str, age| Waiting { publisher: publisher.to_owned(), since: UnixMs(NOW - age), ..build(id) };
    let agents = [Running { publisher: "agent".to_owned(), ..running(90, 77, &[]) }];
    assert_eq!(order(&[of(1, "agent", day), of(2, "priya", 0)], &agents), [1, 2]);
    assert_eq!(order(&[of(1, "agent", day - 1), of(2, "priya", 0)], &agents), [2, 1]);
}

#[test]
fn slaves_are_liked_by_eagerness_warmth_load_and_rest() {
    let waiting = vec![Waiting { since: UnixMs(NOW - RELUCTANT_AFTER), ..build(1) }];
    let reluctant = Slave { availability: Availability::Reluctant, warm: vec![ProjectId(1)], ..slave(1, "idle") };
    let busy = Slave { slots: 4, last_used: Some(UnixMs(5)), ..slave(2, "busy") };
    let rested = Slave { slots: 8, last_used: Some(UnixMs(10)), ..slave(3, "rested") };
    let tired = Slave { slots: 8, last_used: Some(UnixMs(20)), ..slave(4, "tired") };
    let warm = Slave { slots: 2, warm: vec![ProjectId(9), ProjectId(1)], ..slave(5, "warm") };
    let running = vec![running(91, 2, &[]), running(92, 3, &[]), running(93, 4, &[]), running(94, 5, &[])];
    let mut slaves = vec![reluctant, busy, tired, rested, warm];
    let mut liked = vec![];
    while !slaves.is_empty() {
        let situation =
            Situation { waiting: waiting.clone(), running: running.clone(), slaves: slaves.clone(), ..nothing() };
        let (_, chosen) = assigned(&schedule(&situation))[0];
        liked.push(chosen);
        slaves.retain(|s| s.id.0 != chosen);
    }
    assert_eq!(liked, [5, 3, 4, 2, 1]);
}

#[test]
fn a_slave_never_used_comes_before_one_that_was() {
    let slaves = vec![Slave { last_used: Some(UnixMs(1)), ..slave(1, "oak") }, slave(2, "elm")];
    let plan = schedule(&Situation { waiting: vec![build(1)], slaves, ..nothing() });
    assert_eq!(assigned(&plan), [(1, 2)]);
}

#[test]
fn a_reluctant_slave_takes_a_build_that_waited() {
    let at = |age| {
        let reluctant = Slave { availability: Availability::Reluctant, ..slave(1, "idle") };
        let waiting = vec![Waiting { since: UnixMs(NOW - age), ..build(1) }];
        schedule(&Situation { waiting, slaves: vec![reluctant], ..nothing() })
    };
    let early = at(RELUCTANT_AFTER - 1500);
    assert_eq!(early.look_again, Some(UnixMs(NOW + 1500)));
    insta::assert_snapshot!(reasons(&early), @"#1 reluctant-soon: slave idle is reluctant; it takes it in 2 s. Next: bb gives it to idle, or sooner to an eager slave.");
    let late = at(RELUCTANT_AFTER);
    assert_eq!((assigned(&late), late.look_again), (vec![(1, 1)], None));
}

#[test]
fn a_clock_that_went_back_only_makes_a_build_wait() {
    let reluctant = Slave { availability: Availability::Reluctant, ..slave(1, "idle") };
    for since in [NOW + 1_000_000, i64::MAX] {
        let waiting = vec![Waiting { since: UnixMs(since), ..build(1) }];
        let plan = schedule(&Situation { waiting, slaves: vec![reluctant.clone()], ..nothing() });
        assert_eq!(plan.look_again, Some(UnixMs(NOW + RELUCTANT_AFTER)));
    }
}

#[test]
fn every_reason_names_what_is_missing() {
    let with = |id, wanted: &[&str]| Waiting { labels: labels(wanted), ..build(id) };
    let lock_of = |id, requests: &[(&str, u32)]| Waiting { locks: wants(requests), ..build(id) };
    let waiting = vec![
        with(1, &["arm64"]),
        with(2, &["arm64", "linux", "gpu"]),
        with(3, &["linux", "freebsd"]),
        Waiting { isolation: Isolation::Bubblewrap, ..with(4, &["plain"]) },
        with(5, &["freebsd"]),
        with(6, &["away"]),
        with(7, &["mixed"]),
        with(8, &["linux"]),
        lock_of(9, &[("wm", 1)]),
        lock_of(10, &[("vm", 3)]),
        Waiting { labels: labels(&["roomy"]), ..lock_of(11, &[("vm", 0)]) },
        Waiting { labels: labels(&["roomy"]), ..lock_of(12, &[("vm", 1)]) },
        Waiting { labels: labels(&["roomy"]), ..lock_of(13, &[("disk", 1)]) },
    ];
    let is = |id, name: &str, has: &[&str]| Slave { labels: labels(has), ..slave(id, name) };
    let slaves = vec![
        is(1, "oak", &["linux"]),
        Slave { connected: false, ..is(2, "fjord", &["freebsd"]) },
        Slave { isolation: Isolation::None, ..is(3, "bare", &["plain"]) },
        Slave { availability: Availability::Unavailable, ..is(4, "kvm1", &["away"]) },
        Slave { availability: Availability::Unavailable, ..is(5, "kvm2", &["mixed"]) },
        Slave { connected: false, ..is(6, "kvm3", &["mixed"]) },
        Slave { slots: 9, ..is(7, "hall", &["roomy"]) },
    ];
    let locks = vec![lock("vm", 2, Scope::Master), lock("disk", 1, Scope::Slave)];
    let running = vec![running(90, 1, &[]), running(91, 7, &[("vm", 1), ("disk", 1)])];
    let plan = schedule(&Situation { waiting, slaves, locks, running, ..nothing() });
    assert_eq!(plan.assigned, []);
    insta::assert_snapshot!(reasons(&plan));
}

#[test]
fn a_master_without_slaves_or_locks_says_so() {
    let plan = schedule(&Situation { waiting: vec![build(1)], ..nothing() });
    insta::assert_snapshot!(reasons(&plan), @"#1 no-slave: the master has no slave. Next: an admin adds a slave with `bb slave create`.");
    let waiting = vec![Waiting { locks: wants(&[("vm", 1)]), ..build(1) }];
    let plan = schedule(&Situation { waiting, slaves: vec![slave(1, "oak")], ..nothing() });
    insta::assert_snapshot!(reasons(&plan), @"#1 unknown-lock: there is no lock `vm`; the master has no locks. Next: an admin defines lock `vm` on the master, or a maintainer takes it out of the recipe.");
}

#[test]
fn a_slave_without_slots_is_unavailable() {
    let plan = schedule(&Situation {
        waiting: vec![build(1)],
        slaves: vec![Slave { slots: 0, ..slave(1, "oak") }],
        ..nothing()
    });
    assert_eq!(plan.waits[0].1.code(), "slaves-away");
}

/// Slaves enough that only locks matter; builds by age, oldest first.
fn by_locks(requests: &[&[(&str, u32)]], held: &[&[(&str, u32)]]) -> (Vec<i64>, String) {
    let waiting = (1..)
        .zip(requests)
        .map(|(id, wanted)| Waiting { locks: wants(wanted), since: UnixMs(NOW - 100 + id), ..build(id) })
        .collect();
    let locks = vec![lock("vm", 2, Scope::Master), lock("disk", 1, Scope::Master)];
    let running = (90..).zip(held).map(|(id, held)| running(id, 1, held)).collect();
    let slaves = vec![Slave { slots: 9, ..slave(1, "hall") }];
    let plan = schedule(&Situation { waiting, slaves, locks, running, ..nothing() });
    (plan.assigned.iter().map(|a| a.build.0).collect(), reasons(&plan))
}

#[test]
fn shares_are_counted() {
    assert_eq!(by_locks(&[&[("vm", 1)], &[("vm", 1)], &[("vm", 1)]], &[]).0, [1, 2]);
    assert_eq!(by_locks(&[&[("vm", 2)], &[("vm", 1)]], &[]).0, [1]);
    assert_eq!(by_locks(&[&[("vm", 0)], &[("disk", 1)]], &[]).0, [1, 2]);
    assert_eq!(by_locks(&[&[("vm", 1), ("vm", 1)], &[("vm", 1)]], &[]).0, [1], "requests for one lock add up");
}

#[test]
fn locks_are_taken_all_together_or_not_at_all() {
    // 1 can't have disk, so it takes no share of vm, and 2, which came later, does not take what 1 waits for.
    let (started, why) = by_locks(&[&[("vm", 1), ("disk", 1)], &[("vm", 1)]], &[&[("disk", 1)]]);
    assert_eq!(started, [2], "{why}");
    let (started, why) = by_locks(&[&[("vm", 2), ("disk", 1)], &[("vm", 1)]], &[&[("disk", 1)]]);
    assert!(started.is_empty());
    insta::assert_snapshot!(why, @r"
    #1 lock-held: lock `disk` is held by #90. Next: bb starts it when lock `disk` is free.
    #2 lock-held: lock `vm` goes to #1 first. Next: bb starts it when lock `vm` is free.
    ");
}

#[test]
fn nobody_overtakes_on_a_lock() {
    let (started, why) = by_locks(&[&[("vm", 0)], &[("vm", 1)], &[]], &[&[("vm", 1)]]);
    assert_eq!(started, [3], "{why}");
}

#[test]
fn a_higher_class_stands_before_on_a_lock() {
    let of = |id, class| Waiting { class, locks: wants(&[("vm", 0)]), since: UnixMs(NOW - 10 * id), ..build(id) };
    let plan = schedule(&Situation {
        waiting: vec![of(2, Class::Other), of(1, Class::Queue)],
        slaves: vec![Slave { slots: 2, ..slave(1, "hall") }],
        locks: vec![lock("vm", 2, Scope::Master)],
        ..nothing()
    });
    assert_eq!(assigned(&plan), [(1, 1)]);
}

#[test]
fn what_can_not_run_holds_nobody_up() {
    let on_freebsd = Waiting { labels: labels(&["freebsd"]), locks: wants(&[("vm", 0)]), since: UnixMs(0), ..build(1) };
    let here = Waiting { locks: wants(&[("vm", 1)]), ..build(2) };
    let fjord = Slave { connected: false, labels: labels(&["freebsd"]), ..slave(1, "fjord") };
    let plan = schedule(&Situation {
        waiting: vec![on_freebsd, here],
        slaves: vec![fjord, slave(2, "oak")],
        locks: vec![lock("vm", 2, Scope::Master)],
        ..nothing()
    });
    assert_eq!(assigned(&plan), [(2, 2)]);
}

#[test]
fn a_build_whose_slaves_are_full_keeps_its_place_in_the_line() {
    let on_freebsd = Waiting { labels: labels(&["freebsd"]), locks: wants(&[("vm", 0)]), since: UnixMs(0), ..build(1) };
    let here = Waiting { locks: wants(&[("vm", 1)]), ..build(2) };
    let plan = schedule(&Situation {
        waiting: vec![on_freebsd, here],
        slaves: vec![Slave { labels: labels(&["freebsd"]), ..slave(1, "fjord") }, slave(2, "oak")],
        running: vec![running(90, 1, &[])],
        locks: vec![lock("vm", 2, Scope::Master)],
        ..nothing()
    });
    assert_eq!(assigned(&plan), []);
    insta::assert_snapshot!(reasons(&plan), @r"
    #1 slaves-full: slave fjord is full. Next: bb gives it to the first free slot.
    #2 lock-held: lock `vm` goes to #1 first. Next: bb starts it when lock `vm` is free.
    ");
}

#[test]
fn a_lock_of_each_slave_is_counted_there() {
    let of = |id| Waiting { locks: wants(&[("kvm", 0)]), ..build(id) };
    let plan = schedule(&Situation {
        waiting: vec![of(1), of(2), of(3)],
        slaves: vec![Slave { slots: 4, ..slave(1, "oak") }, Slave { slots: 4, ..slave(2, "elm") }],
        running: vec![running(90, 3, &[("kvm", 1)])],
        locks: vec![lock("kvm", 1, Scope::Slave)],
        ..nothing()
    });
    assert_eq!(assigned(&plan), [(1, 1), (2, 2)]);
}

#[test]
fn a_lock_that_was_made_smaller_or_removed_is_waited_for() {
    let of = |id, name: &str| Waiting { locks: wants(&[(name, 1)]), ..build(id) };
    let plan = schedule(&Situation {
        waiting: vec![of(1, "vm"), build(2)],
        slaves: vec![Slave { slots: 4, ..slave(1, "oak") }],
        running: vec![running(90, 1, &[("vm", 5), ("gone", 1)])],
        locks: vec![lock("vm", 2, Scope::Master)],
        ..nothing()
    });
    assert_eq!(assigned(&plan), [(2, 1)]);
}
