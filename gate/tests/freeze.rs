//! Freezes and acceptances for when it is green: what they let land, over a year with its two turns of the clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use gate::code::Code;
use gate::mainline::Mainline;
use gate::queue::{
    Action, BuildOf, BuildStatus, BuilderOf, Candidate, Entry, EntryId, Frozen, Itself, Judged, Policy, QueueState,
    Stack, StackId, UntilGreen, decide, freezes_now, troubles,
};
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use protocol::{BranchId, BuildResult, CommitId, UnixMs};
use recipe::{Freeze, UncheckedFreeze};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2026-01-01, 00:00 UTC.
const NEW_YEAR: i64 = 1_767_225_600_000;

fn freeze(from: &str, to: Option<&str>, zone: &str, except: Option<i32>) -> Freeze {
    let (from, to) = (from.to_owned(), to.map(str::to_owned));
    let reason = "nobody watches".to_owned();
    Freeze::check(&UncheckedFreeze { from, to, zone: Some(zone.to_owned()), except, reason }).unwrap()
}

fn on(freeze: &Freeze, at: i64) -> Option<Frozen> {
    freezes_now(std::slice::from_ref(freeze), UnixMs(at)).into_iter().next()
}

/// Weekends by the clocks of places that turn them on different days, and of one that does not: told from what the clock shows.
#[test]
fn a_weekend_is_frozen_by_the_clock_on_the_wall_all_year() {
    for zone in ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"] {
        let weekend = freeze("0 18 * * FRI", Some("0 8 * * MON"), zone, None);
        let clock = TimeZone::get(zone).unwrap();
        let mut at = NEW_YEAR;
        while at < NEW_YEAR + 366 * DAY {
            let shown = clock.to_datetime(Timestamp::from_millisecond(at).unwrap());
            let wanted = match shown.weekday() {
                Weekday::Friday => shown.hour() >= 18,
                Weekday::Saturday | Weekday::Sunday => true,
                Weekday::Monday => shown.hour() < 8,
                _ => false,
            };
            let told = on(&weekend, at);
            assert_eq!(told.is_some(), wanted, "{shown} in {zone}");
            if let Some(until) = told.and_then(|it| it.until) {
                assert!(until.0 > at && until.0 - at <= 3 * DAY, "{shown} in {zone}");
                assert!(on(&weekend, until.0 - 1).is_some() && on(&weekend, until.0).is_none(), "{shown} in {zone}");
            }
            at += 3 * HOUR + 7 * 60_000;
        }
        assert!(troubles(std::slice::from_ref(&weekend), UnixMs(NEW_YEAR)).is_empty());
    }
}

/// Hours that one day of the year does not have, and another has twice: it begins and ends on each of them.
#[test]
fn a_freeze_in_the_hour_that_is_not_there_ends_all_the_same() {
    let nightly = freeze("30 2 * * *", Some("15 3 * * *"), "Europe/Berlin", None);
    let mut at = NEW_YEAR;
    let (mut longest, mut since) = (0, None);
    while at < NEW_YEAR + 366 * DAY {
        match (on(&nightly, at), since) {
            (Some(_), None) => since = Some(at),
            (None, Some(from)) => (longest, since) = (longest.max(at - from), None),
            _ => {}
        }
        at += 15 * 60_000;
    }
    assert!((HOUR / 2..=2 * HOUR).contains(&longest), "{longest}");
}

/// A freeze is on when it began after it ended, whatever day it is: by counting through all its beginnings and ends.
#[test]
fn it_is_on_from_each_beginning_to_the_next_end() {
    for (from, to) in [
        ("0 18 * * FRI", "0 8 * * MON"),
        ("0 0 20 12 *", "0 0 7 1 *"),
        ("0 22 * * *", "30 6 * * 1-5"),
        ("0 0 29 2 *", "0 9 1 * *"),
    ] {
        let it = freeze(from, Some(to), "Europe/Berlin", None);
        let (mut at, end) = (NEW_YEAR, NEW_YEAR + 366 * DAY);
        let mut is_on = on(&it, at).is_some();
        loop {
            let (begins, ends) = (it.begins(at).unwrap(), it.ends(at).unwrap());
            let next = begins.min(ends);
            if next > end {
                break;
            }
            assert_eq!(on(&it, next - 1).is_some(), is_on, "{from} {to} before {next}");
            is_on = begins <= ends;
            assert_eq!(on(&it, next).is_some(), is_on, "{from} {to} at {next}");
            assert_eq!(it.began(next), if begins <= ends { Some(next) } else { it.began(at) }, "{from} {next}");
            at = next;
        }
    }
}

#[test]
fn what_never_ends_and_what_is_over_is_told() {
    let told = |it: &Freeze, day: i64| troubles(std::slice::from_ref(it), UnixMs(NEW_YEAR + day * DAY)).join("\n");
    let once = freeze("2026-03-01", Some("2026-03-08 12:00"), "Europe/Berlin", None);
    assert_eq!(told(&once, 0), "");
    assert_eq!(told(&once, 62), "");
    assert!(
        told(&once, 90)
            .contains("from 2026-03-01 to 2026-03-08 12:00 (Europe/Berlin): nobody watches: it is over for ever")
    );
    assert!(
        on(&once, NEW_YEAR + 62 * DAY).is_some_and(
            |it| it.says() == "mainline is frozen until Sun 2026-03-08 12:00 (Europe/Berlin): nobody watches"
        )
    );

    for (from, to) in [
        ("2026-03-01", None),
        ("0 18 * * FRI", Some("2026-03-08")),
        ("0 18 * * FRI", Some("0 18 * * FRI")),
        ("0 18 * * FRI", None),
    ] {
        let never = freeze(from, to, "UTC", None);
        assert!(told(&never, 90).contains("never ends"), "{from} {to:?}");
        let frozen = on(&never, NEW_YEAR + 90 * DAY).unwrap();
        assert_eq!((frozen.until, frozen.next().who.as_str()), (None, "a maintainer"), "{from} {to:?}");
        assert!(frozen.says().contains("never ends"));
    }
}

#[test]
fn what_can_not_be_a_freeze_is_refused_with_its_key() {
    let refused = |from: &str, to: Option<&str>, zone: &str| {
        let (from, to) = (from.to_owned(), to.map(str::to_owned));
        let said = UncheckedFreeze { from, to, zone: Some(zone.to_owned()), except: None, reason: String::new() };
        Freeze::check(&said).unwrap_err().key
    };
    assert_eq!(refused("at noon", None, "UTC"), "from");
    assert_eq!(refused("0 0 30 2 *", Some("0 8 * * MON"), "UTC"), "from");
    assert_eq!(refused("0 0 18 * * FRI", Some("0 8 * * MON"), "UTC"), "from");
    assert_eq!(refused("2026-02-30", None, "UTC"), "from");
    assert_eq!(refused("2026-03-08", Some("2026-03-01"), "UTC"), "to");
    assert_eq!(refused("2026-03-08", Some("soon"), "UTC"), "to");
    assert_eq!(refused("0 18 * * FRI", None, "Europe/Atlantis"), "zone");
}

fn commit(n: u32) -> CommitId {
    format!("{n:040x}").parse().unwrap()
}

fn entry(id: i64, priority: i32) -> Entry {
    Entry {
        id: EntryId(id),
        branch: BranchId(id),
        revision: commit(1000),
        author: "Ines".to_owned(),
        expedited: false,
        priority,
        accepted_at: UnixMs(id),
        hold: None,
        green: None,
        needs: vec![],
        hindrance: None,
    }
}

/// One entry whose candidate passed.
fn passed(priority: i32, frozen: Vec<Frozen>) -> QueueState {
    let build = BuildOf {
        builder: "linux".to_owned(),
        commit: commit(11),
        attempt: 1,
        for_queue: true,
        status: BuildStatus::Finished { result: BuildResult::Success, says: String::new(), lacks: None },
        wait: None,
    };
    let linux = BuilderOf { name: "linux".to_owned(), required: true, of_mainline: true };
    let candidate = Candidate::Made { commit: commit(11), builders: vec![linux], builds: vec![build] };
    let (on, entries) = (commit(1), vec![EntryId(1)]);
    let stack = Stack { id: StackId(5), on, entries, candidate, push_refused: None, check_failed: 0 };
    QueueState {
        now: UnixMs(NEW_YEAR),
        mainline: commit(1),
        itself: Itself::Passes,
        paused: None,
        frozen,
        official: Mainline::Fine,
        landing: None,
        entries: vec![entry(1, priority), entry(2, -9)],
        stacks: vec![stack],
        capacity: 1,
        policy: Policy::default(),
    }
}

fn lands(state: &QueueState) -> bool {
    decide(state).actions.iter().any(|action| matches!(action, Action::Land { .. }))
}

proptest! {
    /// Nothing lands in a freeze but what each of those that are on lets by; and it is said until when.
    #[test]
    fn a_freeze_keeps_from_landing_what_it_does_not_let_by(
        excepts in proptest::collection::vec(proptest::option::of(-3..4_i32), 0..4),
        priority in -4..5_i32,
    ) {
        let frozen: Vec<Frozen> = (1..)
            .zip(&excepts)
            .map(|(n, except)| Frozen {
                until: Some(UnixMs(NEW_YEAR + n * HOUR)),
                until_says: format!("hour {n}"),
                except: *except,
                reason: String::new(),
            })
            .collect();
        let state = passed(priority, frozen);
        let free = excepts.iter().all(|except| except.is_some_and(|least| priority >= least));
        prop_assert_eq!(lands(&state), free);
        let decision = decide(&state);
        if !free {
            let last = (1..).zip(&excepts).filter(|(_, e)| e.is_none_or(|least| priority < least)).map(|(n, _)| n).max();
            prop_assert_eq!(decision.look_again, Some(UnixMs(NEW_YEAR + last.unwrap() * HOUR)));
            let first = &decision.standings[0];
            prop_assert_eq!(first.code, Code::Frozen);
        }
    }

    /// It is green when all that are required passed, and there is one; it waits for bb only while none ended otherwise.
    #[test]
    fn green_is_when_all_passed(results in proptest::collection::vec(proptest::option::of(0..7_usize), 0..5)) {
        use BuildResult::{Cancelled, Exception, Failure, Retry, Skipped, Success, Warnings};
        let all = [Success, Warnings, Failure, Skipped, Exception, Retry, Cancelled];
        let judged: Vec<Judged> = results
            .iter()
            .enumerate()
            .map(|(n, result)| Judged { builder: format!("b{n}"), result: result.map(|at| all[at]), says: String::new() })
            .collect();
        let passed = !results.is_empty() && results.iter().all(|it| matches!(it, Some(0 | 1)));
        let left = UntilGreen::of(&judged);
        prop_assert_eq!(left.is_none(), passed);
        let open = results.iter().all(|it| matches!(it, None | Some(0 | 1 | 5)));
        prop_assert_eq!(matches!(left, Some(UntilGreen::Open(_))), open && !passed);

        // Whoever waits so is neither made nor built, and others go by.
        if let Some(left) = left {
            let mut state = passed_two();
            state.entries[0].green = Some(left);
            let decision = decide(&state);
            let touches = |action: &Action| match action {
                Action::Make { entries, .. } | Action::Land { entries, .. } => entries.contains(&EntryId(1)),
                Action::Build { stack, .. } => *stack == StackId(5),
                _ => false,
            };
            prop_assert!(!decision.actions.iter().any(touches), "{:?}", decision);
            let makes = decision.actions.iter().any(|it| matches!(it, Action::Make { entries, .. } if entries == &[EntryId(2)]));
            prop_assert!(makes, "{:?}", decision);
            prop_assert_eq!(decision.standings[0].code, Code::WhenGreen);
            prop_assert_eq!(decision.standings[0].next.who == "bb", open);
        }
    }
}

/// One that is expedited is made and tested alone while another could land, and a freeze that keeps it from landing lets others by.
#[test]
fn the_expedited_goes_before_all_others_unless_it_is_frozen() {
    let mut state = passed(5, vec![]);
    assert!(lands(&state));
    state.entries[1].expedited = true;
    let decision = decide(&state);
    assert!(!lands(&state) && decision.actions.contains(&Action::Make { on: commit(1), entries: vec![EntryId(2)] }));
    assert_eq!((decision.standings[0].entry, decision.standings[1].code), (EntryId(2), Code::Behind));
    let (until, until_says, reason) = (None, String::new(), String::new());
    state.frozen = vec![Frozen { until, until_says, except: Some(3), reason }];
    assert!(lands(&state), "it has priority 0, and the other 5");
}

fn passed_two() -> QueueState {
    passed(0, vec![])
}
