//! When nothing lands: a stretch of time that begins and ends by dates or by cron, by the clock on a wall of a named zone.

mod clock;

use clock::Clock;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

/// The longest text of a time, a zone or a reason, in characters.
const LONGEST: usize = 200;
/// By whose clock, where nothing is said.
const UTC: &str = "UTC";

/// A stretch of time in which nothing lands, once or again and again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedFreeze")]
pub struct Freeze {
    from: String,
    to: Option<String>,
    zone: String,
    except: Option<i32>,
    reason: String,
}

/// Why something can't be a freeze.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{key}`: {found}; {expected} is expected")]
pub struct BadFreeze {
    /// The key that is at fault.
    pub key: &'static str,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

/// What is written of a freeze, not checked yet.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct UncheckedFreeze {
    /// From when on: cron, or a date with or without a time.
    pub from: String,
    /// Until when, likewise; none: it never ends.
    pub to: Option<String>,
    /// By the clock of this zone; UTC where nothing is said.
    pub zone: Option<String>,
    /// From this priority on branches land all the same.
    pub except: Option<i32>,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

/// A beginning or an end.
enum Edge {
    Once(DateTime),
    Each(Box<Cron>),
}

impl Edge {
    fn read(text: &str) -> Result<Self, String> {
        let is_date = text.trim().get(4..5) == Some("-");
        if is_date {
            return text.trim().parse().map(Self::Once).map_err(|error: jiff::Error| error.to_string());
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser.parse(text).map(|cron| Self::Each(Box::new(cron))).map_err(|error| error.to_string())
    }

    /// When it came last, at this moment or before; in milliseconds.
    fn last(&self, zone: &TimeZone, at: i64) -> Option<i64> {
        match self {
            Self::Once(time) => once(*time, zone).filter(|ms| *ms <= at),
            Self::Each(cron) => Some(ms(&cron.find_previous_occurrence(&clock(zone, at)?, true).ok()?.0)),
        }
    }

    /// When it comes next, after this moment.
    fn next(&self, zone: &TimeZone, at: i64) -> Option<i64> {
        match self {
            Self::Once(time) => once(*time, zone).filter(|ms| *ms > at),
            Self::Each(cron) => Some(ms(&cron.find_next_occurrence(&clock(zone, at)?, false).ok()?.0)),
        }
    }
}

fn zoned(zone: &TimeZone, at: i64) -> Option<ZonedDateTime> {
    Some(Timestamp::from_millisecond(at).ok()?.to_zoned_datetime(zone.clone()))
}

fn clock(zone: &TimeZone, at: i64) -> Option<Clock> {
    zoned(zone, at).map(Clock)
}

fn ms(at: &ZonedDateTime) -> i64 {
    at.timestamp().as_millisecond()
}

fn once(time: DateTime, zone: &TimeZone) -> Option<i64> {
    Some(ms(&zone.to_zoned_datetime(time).ok()?))
}

impl TryFrom<UncheckedFreeze> for Freeze {
    type Error = BadFreeze;
    fn try_from(said: UncheckedFreeze) -> Result<Self, BadFreeze> {
        Self::check(&said)
    }
}

impl Freeze {
    /// Checks what is written.
    ///
    /// # Errors
    /// What is wrong with it, first thing first.
    pub fn check(said: &UncheckedFreeze) -> Result<Self, BadFreeze> {
        let bad = |key, found: String, expected: &str| BadFreeze { key, found, expected: expected.to_owned() };
        let zone = said.zone.as_deref().unwrap_or(UTC);
        let named = TimeZone::get(zone).map_err(|_| {
            bad("zone", format!("there is no zone {}", shown(zone)), "a name such as \"Europe/Berlin\" or \"UTC\"")
        })?;
        for (key, text) in [("from", Some(&said.from)), ("to", said.to.as_ref())] {
            let Some(text) = text else { continue };
            let expected = "cron as in \"0 18 * * FRI\", or a date as in \"2026-12-20\" or \"2026-12-20 18:00\"";
            let long = text.chars().count() > LONGEST;
            let edge = if long { Err("it is too long".to_owned()) } else { Edge::read(text) };
            let edge = edge.map_err(|why| bad(key, format!("{} is no time ({why})", shown(text)), expected))?;
            // 2000 was a leap year: what comes at all has come or comes.
            if edge.next(&named, 0).is_none() {
                return Err(bad(key, format!("{} never comes", shown(text)), expected));
            }
        }
        if said.reason.chars().count() > LONGEST || said.reason.chars().any(char::is_control) {
            return Err(bad("reason", "it is no line of at most 200 characters".to_owned(), "a short line"));
        }
        let it = Self {
            from: said.from.trim().to_owned(),
            to: said.to.as_ref().map(|to| to.trim().to_owned()),
            zone: zone.to_owned(),
            except: said.except,
            reason: said.reason.trim().to_owned(),
        };
        if let (Ok(Edge::Once(from)), Some(Ok(Edge::Once(to)))) =
            (Edge::read(&it.from), it.to.as_deref().map(Edge::read))
            && to <= from
        {
            return Err(bad(
                "to",
                format!("{} is not after {}", shown(&it.to.unwrap_or_default()), shown(&it.from)),
                "a later time",
            ));
        }
        Ok(it)
    }

    /// Whether it never ends once it has begun for the last time, whenever that is asked; in words.
    pub fn never_ends(&self) -> Option<&'static str> {
        match (Edge::read(&self.from), self.to.as_deref().map(Edge::read)) {
            (_, None) => Some("it has no `to`"),
            (Ok(Edge::Each(_)), Some(Ok(Edge::Once(_)))) => Some("it begins again and again, and its `to` comes once"),
            (Ok(Edge::Each(_)), Some(Ok(Edge::Each(_)))) if self.to.as_deref() == Some(&self.from) => {
                Some("it ends only where it begins again")
            }
            _ => None,
        }
    }

    /// When it began last, at this moment or before; in milliseconds since 1970, as all of these.
    pub fn began(&self, at: i64) -> Option<i64> {
        Edge::read(&self.from).ok()?.last(&self.time_zone()?, at)
    }

    /// When it begins next, after this moment.
    pub fn begins(&self, at: i64) -> Option<i64> {
        Edge::read(&self.from).ok()?.next(&self.time_zone()?, at)
    }

    /// When it ended last, at this moment or before.
    pub fn ended(&self, at: i64) -> Option<i64> {
        Edge::read(self.to.as_deref()?).ok()?.last(&self.time_zone()?, at)
    }

    /// When it ends next, after this moment.
    pub fn ends(&self, at: i64) -> Option<i64> {
        Edge::read(self.to.as_deref()?).ok()?.next(&self.time_zone()?, at)
    }

    /// From this priority on branches land all the same.
    pub fn except(&self) -> Option<i32> {
        self.except
    }

    /// Why, for people; may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// A moment as its own clock shows it: `Mon 2026-11-30 08:00 (Europe/Berlin)`.
    pub fn clock(&self, at: i64) -> String {
        let shown = self.time_zone().and_then(|zone| zoned(&zone, at));
        shown.map_or_else(String::new, |at| format!("{} ({})", at.strftime("%a %Y-%m-%d %H:%M"), self.zone))
    }

    /// As it is written, for people: `from 0 18 * * FRI to 0 8 * * MON (Europe/Berlin)`.
    pub fn written(&self) -> String {
        let to = self.to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
        format!("from {}{to} ({})", self.from, self.zone)
    }

    /// What is written of it, key by key, without what is usual.
    pub(crate) fn keys(&self) -> Vec<(&'static str, Said<'_>)> {
        let mut keys = vec![("from", Said::Text(&self.from))];
        keys.extend(self.to.as_deref().map(|to| ("to", Said::Text(to))));
        keys.extend((self.zone != UTC).then_some(("zone", Said::Text(&self.zone))));
        keys.extend(self.except.map(|priority| ("except", Said::Number(priority))));
        keys.extend((!self.reason.is_empty()).then_some(("reason", Said::Text(&self.reason))));
        keys
    }

    fn time_zone(&self) -> Option<TimeZone> {
        TimeZone::get(&self.zone).ok()
    }
}

/// A value of a freeze's key.
pub(crate) enum Said<'f> {
    Text(&'f str),
    Number(i32),
}

fn shown(text: &str) -> String {
    crate::error::quoted(text)
}
