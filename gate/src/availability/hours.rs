//! Days and hours by a clock on the wall of a named zone.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use protocol::UnixMs;
use std::fmt;
use std::str::FromStr;

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// How many days are looked back and ahead for the beginning and the end of a stretch: a week, and a day for the zone and the hour
/// that passes midnight on each side.
const FAR: i64 = 9;

/// Days of the week, at least one: `mon-fri`, `sat,sun`, `fri-mon`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Days(u8);

/// A text that names no days.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadDays(pub String);

impl fmt::Display for BadDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` names no days; write them as `mon-fri`, `sat,sun` or `every`", shown(&self.0))
    }
}

impl std::error::Error for BadDays {}

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Days {
    /// All seven.
    pub const EVERY: Self = Self(0b111_1111);

    fn has(self, day: Weekday) -> bool {
        self.0 & (1 << day.to_monday_zero_offset()) != 0
    }

    /// Whether it has day so many, 0 for Monday.
    pub(super) fn has_nth(self, day: usize) -> bool {
        self.0 & (1 << day) != 0
    }
}

impl FromStr for Days {
    type Err = BadDays;
    fn from_str(text: &str) -> Result<Self, BadDays> {
        let bad = || BadDays(text.to_owned());
        let lower = text.to_ascii_lowercase();
        if lower.trim() == "every" {
            return Ok(Self::EVERY);
        }
        let day = |name: &str| {
            let name = name.trim();
            let full = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
            NAMES.iter().position(|known| *known == name).or_else(|| full.iter().position(|known| *known == name))
        };
        let mut bits = 0u8;
        for part in lower.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first).ok_or_else(bad)?, day(last).ok_or_else(bad)?);
            let mut at = first;
            loop {
                bits |= 1 << at;
                if at == last {
                    break;
                }
                at = (at + 1) % 7;
            }
        }
        Ok(Self(bits))
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = (0..7).filter(|&day| self.has_nth(day)).map(|day| NAMES[day]).collect();
        match *self {
            Self::EVERY => f.write_str("every day"),
            Self(0b001_1111) => f.write_str("mon-fri"),
            _ => f.write_str(&names.join(",")),
        }
    }
}

/// A stretch of each day, in minutes: `08:00-18:00`; `22:00-06:00` passes midnight and belongs to the day on which it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hours {
    from: u16,
    /// At most a day after `from`; beyond [`DAY`] it is on the next day.
    to: u16,
}

/// A text that is no stretch of a day.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadHours {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for BadHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` are no hours ({}); write them as `08:00-18:00`", shown(&self.text), self.why)
    }
}

impl std::error::Error for BadHours {}

impl Hours {
    /// The whole day.
    pub const ALL: Self = Self { from: 0, to: DAY };

    /// Minutes from midnight of its first day: from, and up to.
    pub(super) fn minutes(self) -> (u16, u16) {
        (self.from, self.to)
    }
}

impl FromStr for Hours {
    type Err = BadHours;
    fn from_str(text: &str) -> Result<Self, BadHours> {
        let bad = |why| BadHours { text: text.to_owned(), why };
        let (from, to) = text.split_once('-').ok_or_else(|| bad("there is no `-` between two times"))?;
        let minutes = |time: &str| {
            let time = time.trim();
            let (hour, minute) = time.split_once(':').ok_or_else(|| bad("a time is an hour, `:` and a minute"))?;
            let number = |text: &str| {
                let fine = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
                fine.then(|| text.parse::<u16>().ok()).flatten()
            };
            let (Some(hour), Some(minute)) = (number(hour), number(minute)) else {
                return Err(bad("a time is an hour, `:` and a minute"));
            };
            match (hour, minute) {
                (24, 0) => Ok(DAY),
                (0..=23, 0..=59) => Ok(hour * 60 + minute),
                (0..=23, _) => Err(bad("an hour has the minutes 00 to 59")),
                _ => Err(bad("a day has the hours 00 to 24")),
            }
        };
        let (from, to) = (minutes(from)?, minutes(to)?);
        if from == DAY {
            return Err(bad("24:00 can only be an end"));
        }
        if from == to {
            return Err(bad("it ends when it begins; the whole day is 00:00-24:00"));
        }
        Ok(Self { from, to: if to > from { to } else { to + DAY } })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = if self.to > DAY { self.to - DAY } else { self.to };
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, to / 60, to % 60)
    }
}

/// Days and hours in a zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// On which days they begin.
    pub days: Days,
    /// Which hours, at least one stretch.
    pub hours: Vec<Hours>,
    /// By whose clock.
    pub zone: TimeZone,
}

/// From when to when something is so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stretch {
    /// Since when; none for longer than the calendar repeats itself.
    pub since: Option<UnixMs>,
    /// Until when; none for ever.
    pub until: Option<UnixMs>,
}

impl Calendar {
    /// Whether a moment is in it.
    pub fn has(&self, now: UnixMs) -> bool {
        Timestamp::from_millisecond(now.0).is_ok_and(|at| self.has_civil(self.zone.to_datetime(at)))
    }

    fn has_civil(&self, at: DateTime) -> bool {
        let minute = u16::try_from(i32::from(at.hour()) * 60 + i32::from(at.minute())).unwrap_or(0);
        let (today, yesterday) = (at.weekday(), at.weekday().previous());
        self.hours.iter().any(|hours| {
            (self.days.has(today) && hours.from <= minute && minute < hours.to)
                || (self.days.has(yesterday) && minute + DAY < hours.to)
        })
    }

    /// The stretch around a moment within which it is always in the calendar, or always out of it.
    pub fn stretch(&self, now: UnixMs) -> Stretch {
        let nothing = Stretch { since: None, until: None };
        let Ok(at) = Timestamp::from_millisecond(now.0) else { return nothing };
        let within = self.has(now);
        let turns = self.turns(at);
        let differs = |ms: i64| self.has(UnixMs(ms)) != within;
        let until = turns.iter().copied().find(|&ms| ms > now.0 && differs(ms)).map(UnixMs);
        // Of the turns before, the last just before which it was otherwise.
        let since = turns.iter().rev().copied().find(|&ms| ms <= now.0 && differs(ms - 1)).map(UnixMs);
        Stretch { since, until }
    }

    /// All moments around `at` at which being in the calendar can begin or end, sorted, in milliseconds.
    fn turns(&self, at: Timestamp) -> Vec<i64> {
        let today = self.zone.to_datetime(at).date();
        let mut turns = Vec::new();
        for day in -FAR..=FAR {
            let Ok(date) = today.checked_add(day.days()) else { continue };
            for hours in &self.hours {
                for minute in [hours.from, hours.to] {
                    self.push(&mut turns, date, minute);
                }
            }
        }
        // Where clocks are put on or back the hours of the wall jump.
        let (first, last) = (turns.iter().min().copied(), turns.iter().max().copied());
        if let (Some(first), Some(last)) = (first, last)
            && let Ok(from) = Timestamp::from_millisecond(first)
        {
            let jumps = self.zone.following(from).map(|jump| jump.timestamp().as_millisecond());
            turns.extend(jumps.take_while(|&ms| ms <= last));
        }
        turns.sort_unstable();
        turns
    }

    fn push(&self, turns: &mut Vec<i64>, date: Date, minute: u16) {
        let over = minute / DAY;
        let Ok(date) = date.checked_add(i64::from(over).days()) else { return };
        let minute = minute % DAY;
        let (hour, minute) = (i8::try_from(minute / 60).unwrap_or(0), i8::try_from(minute % 60).unwrap_or(0));
        let Ok(time) = Time::new(hour, minute, 0, 0) else { return };
        let moment = self.zone.to_ambiguous_timestamp(date.to_datetime(time));
        // An hour that comes twice begins twice.
        turns.extend([moment.earlier(), moment.later()].into_iter().flatten().map(Timestamp::as_millisecond));
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hours != [Hours::ALL] {
            let hours: Vec<_> = self.hours.iter().map(ToString::to_string).collect();
            write!(f, "{} ", hours.join(", "))?;
        }
        write!(f, "{} ({})", self.days, self.zone.iana_name().unwrap_or("this machine's time"))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
