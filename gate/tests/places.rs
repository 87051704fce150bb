//! What holds of places, whoever takes and gives them back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gate::looks::{Look, Pace, Size, Standing, begin};
use gate::places::{Full, Places, Rank};
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::{BranchId, UnixMs};
use std::collections::BTreeMap;

/// What somebody does to places.
#[derive(Clone, Debug)]
enum Step {
    Take(Rank, Vec<(u8, usize)>),
    GiveBack(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rank = prop_oneof![3 => Just(Rank::Ordinary), 1 => Just(Rank::Preferred)];
    // Different sorts of shares: the first of one sort, the second of another.
    let shares = (prop::option::of(0u8..4), prop::option::of(10u8..13))
        .prop_map(|(a, b)| a.map(|a| (a, 3)).into_iter().chain(b.map(|b| (b, 4))).collect::<Vec<_>>());
    let step = prop_oneof![
        2 => (rank, shares).prop_map(|(rank, shares)| Step::Take(rank, shares)),
        1 => any::<prop::sample::Index>().prop_map(|i| Step::GiveBack(i.index(1000))),
    ];
    vec(step, 0..80)
}

proptest! {
    /// No share and no rank ever holds more than it may, a refusal changes nothing and is true, and nothing is left of
    /// those who went.
    #[test]
    fn nobody_holds_more_than_its_share(all in 0usize..12, kept in 0usize..14, steps in steps()) {
        let mut places = Places::new(all, kept);
        let mut held: Vec<Vec<u8>> = Vec::new();
        for step in steps {
            let by = |key: u8| held.iter().filter(|keys| keys.contains(&key)).count();
            match step {
                Step::GiveBack(i) if !held.is_empty() => {
                    let i = i % held.len();
                    let keys = held.swap_remove(i);
                    places.give_back(&keys);
                }
                Step::GiveBack(_) => {}
                Step::Take(rank, shares) => {
                    let most = if rank == Rank::Preferred { all } else { all.saturating_sub(kept) };
                    match places.take(rank, &shares) {
                        Ok(()) => {
                            prop_assert!(held.len() < most);
                            prop_assert!(shares.iter().all(|(key, most)| by(*key) < *most));
                            held.push(shares.into_iter().map(|(key, _)| key).collect());
                        }
                        Err(Full::All) => prop_assert!(held.len() >= most),
                        Err(Full::Share(i)) => prop_assert!(by(shares[i].0) >= shares[i].1),
                    }
                }
            }
            prop_assert_eq!(places.held(), held.len());
        }
        for keys in &held {
            places.give_back(keys);
        }
        prop_assert_eq!((places.held(), places.shares()), (0, 0));
    }
}

fn look() -> impl Strategy<Value = Look> {
    let standing = prop_oneof![
        1 => Just(Standing::Accepted),
        3 => Just(Standing::Steady),
        3 => Just(Standing::Doubtful),
    ];
    (standing, any::<bool>(), 0u8..6, prop::option::of(0u8..6), 0i64..50).prop_map(
        |(standing, asked, publisher, host, due)| Look {
            branch: BranchId(0),
            standing,
            asked,
            publisher: format!("p{publisher}"),
            host: host.map(|h| format!("h{h}")),
            due: UnixMs(due),
        },
    )
}

fn numbered(mut looks: Vec<Look>) -> Vec<Look> {
    for (id, look) in (1..).zip(&mut looks) {
        look.branch = BranchId(id);
    }
    looks
}

/// What a look counts for, and how many of that there may be.
fn counted(look: &Look, size: Size) -> Vec<(String, usize)> {
    let mut all = vec![(look.publisher.clone(), size.publisher)];
    if let Some(host) = &look.host {
        all.push((host.clone(), size.at_host()));
        all.push((format!("{} at {host}", look.publisher), size.of_one_at_host()));
    }
    all
}

fn counts<'a>(looks: impl Iterator<Item = &'a Look>, size: Size) -> BTreeMap<(String, usize), usize> {
    let mut counts = BTreeMap::new();
    for key in looks.flat_map(|look| counted(look, size)) {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

proptest! {
    /// From any begin, with looks that end in any order: no publisher and no host holds more than its share, the doubtful
    /// and the not accepted leave room, and what was not begun had none.
    #[test]
    fn looks_are_shared(
        looks in vec(look(), 0..80),
        all in 1usize..20,
        publisher in 1usize..6,
        host in 1usize..6,
        ends in vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let size = Size { all, publisher, host };
        let mut waiting = numbered(looks);
        let mut under_way: Vec<Look> = Vec::new();
        let mut ends = ends.into_iter();
        loop {
            let chosen = begin(size, &under_way, &waiting);
            let (begun, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|look| chosen.contains(&look.branch));
            prop_assert_eq!(begun.len(), chosen.len(), "each is chosen once");
            waiting = rest;
            under_way.extend(begun);
            let held = counts(under_way.iter(), size);
            prop_assert!(under_way.len() <= size.all);
            prop_assert!(held.iter().all(|((_, most), held)| held <= most), "{held:?}");
            let doubtful = under_way.iter().filter(|l| l.standing == Standing::Doubtful).count();
            prop_assert!(doubtful <= size.doubtful());
            let room = |look: &Look| {
                let most = if look.standing == Standing::Accepted { size.all } else { size.all - size.kept() };
                let free = |key: &(String, usize)| held.get(key).copied().unwrap_or(0) < key.1;
                under_way.len() < most
                    && counted(look, size).iter().all(free)
                    && (look.standing != Standing::Doubtful || doubtful < size.doubtful())
            };
            prop_assert!(!waiting.iter().any(room), "whoever can be looked at is");
            match ends.next() {
                Some(end) if !under_way.is_empty() => _ = under_way.swap_remove(end.index(under_way.len())),
                _ => break,
            }
        }
    }

    /// Whatever one publisher has due, at however many hosts, all of them dripping: another's look begins at once.
    #[test]
    fn one_publisher_delays_nobody(mine in vec(look(), 0..200), hosts in 1u8..100) {
        let size = Size { all: 16, publisher: 4, host: 3 };
        let mine: Vec<Look> = (0..hosts).cycle().zip(mine).map(|(host, look)| Look {
            publisher: "eve".to_owned(),
            host: Some(format!("evil-{host}")),
            standing: if look.standing == Standing::Accepted { Standing::Steady } else { look.standing },
            ..look
        }).collect();
        let mine = numbered(mine);
        let begun = begin(size, &[], &mine);
        let under_way: Vec<Look> = mine.iter().filter(|l| begun.contains(&l.branch)).cloned().collect();
        let other = |standing| Look {
            branch: BranchId(1000),
            standing,
            asked: false,
            publisher: "ann".to_owned(),
            host: Some("good".to_owned()),
            due: UnixMs(i64::MAX),
        };
        for standing in [Standing::Steady, Standing::Doubtful, Standing::Accepted] {
            let mut due: Vec<Look> = mine.iter().filter(|l| !begun.contains(&l.branch)).cloned().collect();
            due.push(other(standing));
            prop_assert_eq!(begin(size, &under_way, &due), vec![BranchId(1000)], "{:?}", standing);
        }
    }

    /// However many publishers conspire, with sources that failed before: what did well and what was accepted is looked at.
    #[test]
    fn failing_sources_leave_room_for_good_ones(mine in vec(look(), 0..200)) {
        let size = Size { all: 16, publisher: 4, host: 3 };
        let mine = (0..).zip(mine).map(|(i, look)| Look {
            publisher: format!("eve-{i}"), host: Some(format!("evil-{i}")), standing: Standing::Doubtful, ..look
        }).collect();
        let mut due = numbered(mine);
        let good = [Standing::Steady, Standing::Accepted].map(|standing| Look {
            branch: BranchId(1000 + i64::from(standing == Standing::Accepted)),
            standing,
            asked: false,
            publisher: "ann".to_owned(),
            host: Some("good".to_owned()),
            due: UnixMs(i64::MAX),
        });
        due.extend(good);
        let begun = begin(size, &[], &due);
        prop_assert!(begun.contains(&BranchId(1000)) && begun.contains(&BranchId(1001)), "{begun:?}");
        prop_assert_eq!(begun.first(), Some(&BranchId(1001)), "what was accepted goes first");
    }
}

/// A host that drips: its publisher's branches elsewhere are looked at, and so are others' at a host that his fill.
#[test]
fn a_host_has_less_than_a_publisher_and_one_publisher_s_looks_there_less_yet() {
    let size = Size { all: 16, publisher: 4, host: 3 };
    let it = |id, publisher: &str, host: &str| Look {
        branch: BranchId(id),
        standing: Standing::Steady,
        asked: false,
        publisher: publisher.to_owned(),
        host: Some(host.to_owned()),
        due: UnixMs(id),
    };
    let dripping: Vec<Look> = (1..20).map(|id| it(id, "eve", "drips")).collect();
    assert_eq!(begin(size, &[], &dripping), [1, 2].map(BranchId));
    let under_way = &dripping[..2];
    let due = [&dripping[2..], &[it(30, "eve", "good"), it(31, "ann", "drips"), it(32, "ann", "good")]].concat();
    assert_eq!(begin(size, under_way, &due), [31, 32, 30].map(BranchId));
    for (publisher, host) in [(1, 1), (2, 9), (4, 4), (9, 1)] {
        let size = Size { all: 16, publisher, host };
        let (at, of_one) = (size.at_host(), size.of_one_at_host());
        assert!(1 <= of_one && of_one <= at && at <= publisher && at <= host, "{size:?}");
        assert!(at < publisher || publisher == 1, "{size:?}");
    }
}

#[test]
fn of_one_publisher_what_was_asked_for_comes_first() {
    let it = |id, asked, due| Look {
        branch: BranchId(id),
        standing: Standing::Steady,
        asked,
        publisher: "ann".to_owned(),
        host: None,
        due: UnixMs(due),
    };
    let due = [it(1, false, 10), it(2, false, 5), it(3, true, 20), it(4, false, 1)];
    let size = Size { all: 16, publisher: 3, host: 2 };
    assert_eq!(begin(size, &[], &due), [3, 4, 2].map(BranchId));
}

proptest! {
    /// However a branch moves: of any time span, no more moves are taken than the burst and one for each interval in it; one
    /// that may not move may after the wait that it was told; and one that moves seldom never waits.
    #[test]
    fn a_branch_moves_at_a_pace(burst in 1u32..6, interval in 1i64..50, steps in vec(0i64..40, 1..80)) {
        let pace = Pace { burst, interval_ms: interval };
        let (mut spent, mut now, mut moves) = (UnixMs(0), 1000, Vec::new());
        for step in steps {
            now += step;
            match pace.wait_ms(spent, UnixMs(now)) {
                Some(wait) => {
                    prop_assert!(wait <= interval);
                    prop_assert_eq!(pace.wait_ms(spent, UnixMs(now + wait)), None);
                }
                None => {
                    if let Some(seldom) = moves.last().map(|last| now - last) {
                        prop_assert!(seldom >= 0);
                    }
                    spent = pace.moved(spent, UnixMs(now));
                    moves.push(now);
                }
            }
        }
        for (i, from) in moves.iter().enumerate() {
            for (n, to) in (1i64..).zip(&moves[i..]) {
                prop_assert!(n <= i64::from(burst) + (to - from) / interval, "{n} moves in {}", to - from);
            }
        }
        // A clock that was set back.
        prop_assert!(pace.wait_ms(UnixMs(i64::MAX / 2), UnixMs(0)).unwrap() <= interval);
    }
}
