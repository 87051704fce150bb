//! A slave's availability: examples by name, and weeks that are lived through minute by minute.
#![allow(clippy::unwrap_used)]

use gate::availability::*;
use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use protocol::UnixMs;
use protocol::wire::Availability::{self, Eager, Reluctant, Unavailable};
use protocol::wire::{Voice, Word};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn calendar(hours: &str, days: &str, name: &str) -> Calendar {
    Calendar { days: days.parse().unwrap(), hours: vec![hours.parse().unwrap()], zone: zone(name) }
}

fn rule(says: Availability, calendar: Option<Calendar>, conditions: &[Condition]) -> Rule {
    Rule { says, calendar, conditions: conditions.to_vec(), reason: String::new() }
}

fn rules(otherwise: Availability, rules: Vec<Rule>) -> Rules {
    Rules { otherwise, rules }
}

/// A moment by the clock of a zone.
fn at(text: &str, name: &str) -> UnixMs {
    let moment = zone(name).to_timestamp(text.parse::<DateTime>().unwrap()).unwrap();
    UnixMs(moment.as_millisecond())
}

fn shown(at: Option<UnixMs>, name: &str) -> String {
    at.map_or_else(
        || "never".to_owned(),
        |at| Timestamp::from_millisecond(at.0).unwrap().in_tz(name).unwrap().strftime("%a %F %H:%M %:z").to_string(),
    )
}

fn look(rules: &Rules, now: UnixMs, measured: &Measured, memory: &mut Memory) -> Ruling {
    let ruling = rules.look(now, measured, memory);
    *memory = ruling.memory.clone();
    ruling
}

#[test]
fn hours_and_days_are_read_as_people_write_them() {
    for (text, shown) in [
        ("08:00-18:00", "08:00-18:00"),
        ("8:00 - 18:30", "08:00-18:30"),
        ("22:00-06:00", "22:00-06:00"),
        ("00:00-24:00", "00:00-24:00"),
        ("18:00-24:00", "18:00-24:00"),
    ] {
        assert_eq!(text.parse::<Hours>().unwrap().to_string(), shown);
    }
    for (text, shown) in
        [("mon-fri", "mon-fri"), ("Sat,Sun", "sat,sun"), ("fri-mon", "mon,fri,sat,sun"), ("every", "every day")]
    {
        assert_eq!(text.parse::<Days>().unwrap().to_string(), shown);
    }
}

#[test]
fn an_impossible_hour_is_refused_with_its_reason() {
    let said: Vec<String> = [
        "08:00",
        "25:00-26:00",
        "08:60-09:00",
        "24:00-08:00",
        "08:00-08:00",
        "8-18",
        "a:b-c:d",
        "-1:00-2:00",
        "24:01-8:00",
    ]
    .iter()
    .map(|text| text.parse::<Hours>().unwrap_err().to_string())
    .chain(["", "mon-", "funday", "mon;tue"].iter().map(|text| text.parse::<Days>().unwrap_err().to_string()))
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    `08:00` are no hours (there is no `-` between two times); write them as `08:00-18:00`
    `25:00-26:00` are no hours (a day has the hours 00 to 24); write them as `08:00-18:00`
    `08:60-09:00` are no hours (an hour has the minutes 00 to 59); write them as `08:00-18:00`
    `24:00-08:00` are no hours (24:00 can only be an end); write them as `08:00-18:00`
    `08:00-08:00` are no hours (it ends when it begins; the whole day is 00:00-24:00); write them as `08:00-18:00`
    `8-18` are no hours (a time is an hour, `:` and a minute); write them as `08:00-18:00`
    `a:b-c:d` are no hours (a time is an hour, `:` and a minute); write them as `08:00-18:00`
    `-1:00-2:00` are no hours (a time is an hour, `:` and a minute); write them as `08:00-18:00`
    `24:01-8:00` are no hours (a day has the hours 00 to 24); write them as `08:00-18:00`
    `` names no days; write them as `mon-fri`, `sat,sun` or `every`
    `mon-` names no days; write them as `mon-fri`, `sat,sun` or `every`
    `funday` names no days; write them as `mon-fri`, `sat,sun` or `every`
    `mon;tue` names no days; write them as `mon-fri`, `sat,sun` or `every`
    ");
}

#[test]
fn of_rules_that_hold_the_strictest_counts_with_its_since_and_until() {
    let zone = "Europe/Berlin";
    let rules = rules(
        Eager,
        vec![
            rule(Reluctant, Some(calendar("08:00-18:00", "mon-fri", zone)), &[]),
            rule(Unavailable, Some(calendar("12:00-13:00", "every", zone)), &[]),
        ],
    );
    let said = |time: &str| {
        let word = rules.look(at(time, zone), &Measured::default(), &Memory::default()).word;
        format!(
            "{time}: {} by {:?} {} since {} until {}",
            word.says.as_str(),
            word.voice,
            word.who,
            shown(Some(word.since), zone),
            shown(word.until, zone)
        )
    };
    // Thursday the 24th of December.
    let all: Vec<String> =
        ["2026-12-24T09:30", "2026-12-24T12:30", "2026-12-24T22:10", "2026-12-26T12:00"].map(said).to_vec();
    insta::assert_snapshot!(all.join("\n"), @r"
    2026-12-24T09:30: reluctant by Rule rule 1 since Thu 2026-12-24 08:00 +01:00 until Thu 2026-12-24 18:00 +01:00
    2026-12-24T12:30: unavailable by Rule rule 2 since Thu 2026-12-24 12:00 +01:00 until Thu 2026-12-24 13:00 +01:00
    2026-12-24T22:10: eager by Nobody  since Thu 2026-12-24 22:10 +01:00 until never
    2026-12-26T12:00: unavailable by Rule rule 2 since Sat 2026-12-26 12:00 +01:00 until Sat 2026-12-26 13:00 +01:00
    ");
}

#[test]
fn hours_that_pass_midnight_belong_to_the_day_on_which_they_begin() {
    let nights = calendar("22:00-06:00", "fri", "UTC");
    for (time, has) in [
        ("2026-11-27T21:59", false),
        ("2026-11-27T22:00", true),
        ("2026-11-28T05:59", true),
        ("2026-11-28T06:00", false),
        ("2026-11-27T03:00", false),
    ] {
        assert_eq!(nights.has(at(time, "UTC")), has, "{time}");
    }
    let stretch = nights.stretch(at("2026-11-28T01:00", "UTC"));
    assert_eq!(
        (shown(stretch.since, "UTC"), shown(stretch.until, "UTC")),
        ("Fri 2026-11-27 22:00 +00:00".to_owned(), "Sat 2026-11-28 06:00 +00:00".to_owned())
    );
}

#[test]
fn an_hour_that_is_left_out_does_not_come_and_one_that_is_repeated_comes_twice() {
    let berlin = "Europe/Berlin";
    let hour = calendar("02:00-03:00", "every", berlin);
    // In the night to Sunday, the 28th of March 2027, clocks go from 02:00 to 03:00.
    let stretch = hour.stretch(at("2027-03-28T01:30", berlin));
    assert_eq!(shown(stretch.until, berlin), "Mon 2027-03-29 02:00 +02:00");
    // In that to the 31st of October, from 03:00 back to 02:00.
    let stretch = hour.stretch(at("2027-10-31T02:30", berlin));
    assert_eq!(shown(stretch.since, berlin), "Sun 2027-10-31 02:00 +02:00");
    assert_eq!(shown(stretch.until, berlin), "Sun 2027-10-31 03:00 +01:00");
    // A stretch around the gap is an hour shorter.
    let night = calendar("22:00-06:00", "every", berlin).stretch(at("2027-03-28T01:00", berlin));
    assert_eq!(night.until.unwrap().0 - night.since.unwrap().0, 7 * HOUR);
}

#[test]
fn a_load_has_two_thresholds() {
    let rules = rules(Eager, vec![rule(Unavailable, None, &[Condition::Load { above: 4.0, below: 2.0 }])]);
    let mut memory = Memory::default();
    let mut said = Vec::new();
    for (n, load) in [1.0, 3.9, 4.0, 3.0, 2.0, 1.9, 3.0, 5.0].into_iter().enumerate() {
        let measured = Measured { load: Some(load), ..Measured::default() };
        let word = look(&rules, UnixMs(n as i64), &measured, &mut memory).word;
        said.push((word.says, word.since.0));
    }
    let (free, busy) = (Eager, Unavailable);
    assert_eq!(said, [(free, 0), (free, 0), (busy, 2), (busy, 2), (busy, 2), (free, 5), (free, 5), (busy, 7)]);
}

#[test]
fn what_a_machine_does_not_tell_does_not_hold_and_is_said_to_be_unknown() {
    let rules = rules(Eager, vec![rule(Unavailable, None, &[Condition::OnBattery])]);
    let held = |on_battery| {
        let ruling = rules.look(UnixMs(7), &Measured { on_battery, ..Measured::default() }, &Memory::default());
        (ruling.held[0], ruling.word.says)
    };
    assert_eq!(held(None), (Held::Unknown, Eager));
    assert_eq!(held(Some(false)), (Held::No, Eager));
    assert_eq!(held(Some(true)), (Held::Yes { since: UnixMs(7), until: None }, Unavailable));
}

#[test]
fn scarce_disk_and_memory_must_become_clearly_less_scarce() {
    for (scarce, of) in [
        (
            Condition::FreeDisk { below: 1000 },
            (|n| Measured { free_disk: Some(n), ..Measured::default() }) as fn(u64) -> Measured,
        ),
        (Condition::FreeMemory { below: 1000 }, |n| Measured { free_memory: Some(n), ..Measured::default() }),
    ] {
        let holds = |n, before| scarce.holds(&of(n), before).unwrap();
        assert!(holds(999, false) && !holds(1000, false) && holds(1099, true) && !holds(1100, true));
    }
}

#[test]
fn a_person_stands_in_for_the_rules_and_the_machine_can_only_make_it_stricter() {
    let rules = rules(Eager, vec![rule(Unavailable, Some(calendar("08:00-18:00", "every", "UTC")), &[])]);
    let noon = at("2026-11-26T12:00", "UTC");
    let person = |says, until| Word {
        says,
        voice: Voice::Person,
        who: "ann".to_owned(),
        reason: String::new(),
        since: noon,
        until,
    };
    let full = Word { voice: Voice::Machine, says: Unavailable, ..Word::nobody(noon) };
    let (measured, memory) = (Measured::default(), Memory::default());
    let said = |now, word: Option<&Word>, machine: &[Word]| own(now, (&rules, &measured, &memory), word, machine);
    assert_eq!(said(noon, None, &[]).word.says, Unavailable);
    let soon = UnixMs(noon.0 + HOUR);
    let eager = person(Eager, Some(soon));
    assert_eq!(said(noon, Some(&eager), &[]).word, eager);
    assert_eq!(said(noon, Some(&eager), &[]).look_again, Some(soon));
    assert_eq!(said(soon, Some(&eager), &[]).word.says, Unavailable, "it has ended, and the rules hold");
    assert_eq!(said(noon, Some(&eager), std::slice::from_ref(&full)).word, full);
    // A person's word without an end never ends.
    let for_ever = person(Reluctant, None);
    assert_eq!(said(UnixMs(noon.0 + 1000 * 24 * HOUR), Some(&for_ever), &[]).word, for_ever);
}

#[test]
fn rules_that_fight_are_found() {
    let hours = |says, hours: &str, days: &str| rule(says, Some(calendar(hours, days, "Europe/Berlin")), &[]);
    let load = |above| Condition::Load { above, below: 1.0 };
    let said = |list: Vec<Rule>| {
        let all: Vec<String> = fights(&rules(Eager, list)).iter().map(ToString::to_string).collect();
        all.join("; ")
    };
    let all = [
        said(vec![hours(Reluctant, "09:00-17:00", "mon-fri"), hours(Unavailable, "08:00-18:00", "mon-fri")]),
        said(vec![hours(Eager, "18:00-08:00", "every"), hours(Unavailable, "20:00-21:00", "sun")]),
        said(vec![hours(Reluctant, "08:00-12:00", "mon"), hours(Unavailable, "12:00-18:00", "mon")]),
        said(vec![rule(Reluctant, None, &[load(4.0)]), rule(Unavailable, None, &[load(2.0)])]),
        said(vec![rule(Reluctant, None, &[load(2.0)]), rule(Unavailable, None, &[load(4.0)])]),
        said(vec![rule(Unavailable, None, &[]), hours(Reluctant, "08:00-12:00", "mon")]),
        said(vec![
            hours(Reluctant, "08:00-12:00", "mon"),
            rule(Unavailable, Some(calendar("08:00-12:00", "mon", "Asia/Tokyo")), &[]),
        ]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    rule 1 never counts: whenever it holds, rule 2 does too, which is stricter
    rules 1 and 2 both hold, first on sun 20:00: the stricter, rule 2, counts then

    rule 1 never counts: whenever it holds, rule 2 does too, which is stricter

    rule 2 never counts: whenever it holds, rule 1 does too, which is stricter; rule 1 always holds, so that what is said `otherwise` never counts
    ");
}

/// Whether a moment is in a calendar, in the simplest way there is.
fn plainly(zone: &TimeZone, days: [bool; 7], (from, to): (i32, i32), now: i64) -> bool {
    let wall = zone.to_datetime(Timestamp::from_millisecond(now).unwrap());
    let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
    let day = |day: Weekday| days[usize::try_from(day.to_monday_zero_offset()).unwrap()];
    if from < to {
        day(wall.weekday()) && from <= minute && minute < to
    } else {
        (day(wall.weekday()) && from <= minute) || (day(wall.weekday().previous()) && minute < to)
    }
}

/// Zones whose clocks change in different ways: an hour, half an hour, at midnight, in the south, a day left out, never.
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "UTC",
];

/// A moment from which a change of clocks is a few days away, in most of the zones.
const BEGINS: [&str; 5] =
    ["2027-03-10T00:00Z", "2027-03-24T00:00Z", "2027-10-27T00:00Z", "2011-12-27T00:00Z", "2027-04-01T00:00Z"];

fn days_of(days: [bool; 7]) -> String {
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    names.iter().zip(days).filter(|(_, on)| *on).map(|(name, _)| *name).collect::<Vec<_>>().join(",")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Weeks in steps of some minutes: it is in the calendar when the wall says so, and a stretch is as it was foretold.
    #[test]
    fn weeks_are_as_the_wall_shows(
        zone_name in proptest::sample::select(&ZONES[..]),
        begin in proptest::sample::select(&BEGINS[..]),
        days in any::<[bool; 7]>().prop_filter("no days", |days| days.iter().any(|on| *on)),
        from in 0i32..1440, length in 1i32..1440,
        step in 3i64..40,
    ) {
        let to = (from + length) % 1440;
        let zone = zone(zone_name);
        let hours = format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60);
        let calendar = calendar(&hours, &days_of(days), zone_name);
        let begin = begin.parse::<Timestamp>().unwrap().as_millisecond();
        let mut stretch = calendar.stretch(UnixMs(begin));
        let mut before = calendar.has(UnixMs(begin));
        for now in (0..21 * 24 * 60 / step).map(|n| begin + n * step * MINUTE) {
            let has = calendar.has(UnixMs(now));
            prop_assert_eq!(has, plainly(&zone, days, (from, to), now), "{}", Timestamp::from_millisecond(now).unwrap());
            if stretch.until.is_some_and(|until| until.0 <= now) {
                let until = stretch.until.unwrap();
                prop_assert_eq!(calendar.has(UnixMs(until.0 - 1)), before, "until {}", until);
                prop_assert_eq!(calendar.has(until), !before, "at {}", until);
                // Stretches that are shorter than a step are gone through one by one.
                while stretch.until.is_some_and(|until| until.0 <= now) {
                    let next = calendar.stretch(stretch.until.unwrap());
                    prop_assert_eq!(next.since, stretch.until);
                    prop_assert_ne!(next.until, stretch.until);
                    before = !before;
                    stretch = next;
                }
            }
            prop_assert_eq!(has, before, "nothing changes within a stretch: {}", now);
        }
    }

}

proptest! {
    // Each is thousands of looks.
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// A simulated month of rules, people and machines: nobody works against his word, and what is foretold comes.
    #[test]
    fn a_month_of_rules_and_people(
        seed in proptest::collection::vec((0usize..6, 0i64..30 * 24 * 60, 0i64..300), 0..40),
        loads in proptest::collection::vec(0u8..80, 64),
        otherwise in proptest::sample::select(&Availability::ALL[..]),
    ) {
        let zone = "Europe/Berlin";
        let rules = rules(otherwise, vec![
            rule(Unavailable, Some(calendar("08:00-18:00", "mon-fri", zone)), &[]),
            rule(Reluctant, Some(calendar("18:00-22:00", "every", zone)), &[]),
            rule(Unavailable, None, &[Condition::Load { above: 6.0, below: 3.0 }]),
        ]);
        let begin = at("2027-03-15T00:00", zone).0;
        let mut words: Vec<(i64, Option<Word>)> = seed.iter().map(|(says, minute, length)| {
            let now = begin + minute * MINUTE;
            let until = (*length > 0).then_some(UnixMs(now + length * MINUTE));
            let word = |says| Word { says, voice: Voice::Person, until, ..Word::nobody(UnixMs(now)) };
            (now, Availability::ALL.get(*says).copied().map(word))
        }).collect();
        words.sort_by_key(|(now, _)| *now);
        let (mut memory, mut person, mut next, mut busy) = (Memory::default(), None, 0, false);
        let mut promised: Option<(Word, Option<UnixMs>)> = None;
        for minute in (0..30 * 24 * 60).step_by(11) {
            let now = begin + minute * MINUTE;
            let mut changed = false;
            while next < words.len() && words[next].0 <= now {
                person.clone_from(&words[next].1);
                next += 1;
                changed = true;
            }
            let load = f64::from(loads[usize::try_from(minute / 90).unwrap() % loads.len()]) / 10.0;
            let was_busy = busy;
            busy = if busy { load >= 3.0 } else { load >= 6.0 };
            let measured = Measured { load: Some(load), ..Measured::default() };
            let it = own(UnixMs(now), (&rules, &measured, &memory), person.as_ref(), &[]);
            memory = it.ruling.memory.clone();
            match person.as_ref().filter(|word| word.holds(UnixMs(now))) {
                Some(word) => prop_assert_eq!(&it.word, word),
                None => {
                    let days = rules.rules[0].calendar.as_ref().unwrap().has(UnixMs(now));
                    let evening = rules.rules[1].calendar.as_ref().unwrap().has(UnixMs(now));
                    let wanted = if days || busy { Unavailable } else if evening { Reluctant } else { otherwise };
                    prop_assert_eq!(it.word.says, wanted);
                }
            }
            prop_assert!(it.word.since.0 <= now && it.word.holds(UnixMs(now)));
            prop_assert!(it.look_again.is_none_or(|at| at.0 > now));
            // Before the clock was to be looked at again, nothing but people and loads changed it.
            if let Some((word, again)) = promised && !changed && busy == was_busy && again.is_none_or(|at| now < at.0) {
                prop_assert_eq!(word.says, it.word.says);
            }
            promised = Some((it.word, it.look_again));
        }
    }
}

proptest! {
    #[test]
    fn the_stricter_word_is_one_of_both_and_no_milder_than_either(a in 0usize..3, b in 0usize..3, ends: Option<i64>) {
        let word = |says: usize, until: Option<i64>| Word { says: Availability::ALL[says], until: until.map(UnixMs), ..Word::nobody(UnixMs(0)) };
        let (one, other) = (word(a, ends), word(b, None));
        let it = stricter(one.clone(), other.clone());
        prop_assert!(it == one || it == other);
        prop_assert_eq!(it.says, one.says.max(other.says));
    }

    #[test]
    fn any_text_is_survived(text: String) {
        let _ = (text.parse::<Hours>(), text.parse::<Days>());
    }
}
