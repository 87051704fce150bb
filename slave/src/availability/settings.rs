//! `[availability]` of slave.toml: the rules as their admin writes them.

use gate::availability::{Calendar, Condition, Days, Fight, Hours, Presence, Rule, Rules};
use jiff::tz::TimeZone;
use protocol::wire::Availability;
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// The most rules of a slave.
const MAX_RULES: usize = 100;

/// `[availability]`, read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The zone of all hours; none is the machine's.
    zone: Option<Zone>,
    /// What holds where no rule does.
    otherwise: Availability,
    /// With fewer bytes free where builds work, the slave makes itself unavailable.
    min_free_disk: Size,
    /// How long running builds may go on when the slave is told to end, before they are handed back.
    drain: Span,
    /// The rules.
    rule: Vec<Spanned<RuleText>>,
}

impl Default for Settings {
    fn default() -> Self {
        let (zone, otherwise, rule) = (None, Availability::Eager, Vec::new());
        Self { zone, otherwise, min_free_disk: Size(1 << 30), drain: Span(Duration::ZERO), rule }
    }
}

/// A rule as it is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    say: Availability,
    hours: Option<Several<HoursText>>,
    days: Option<DaysText>,
    zone: Option<Zone>,
    load_above: Option<f64>,
    load_below: Option<f64>,
    user: Option<User>,
    idle: Option<Span>,
    on_battery: Option<bool>,
    free_disk_below: Option<Size>,
    free_memory_below: Option<Size>,
    #[serde(default)]
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum User {
    LoggedIn,
    Active,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Zone(TimeZone);

impl TryFrom<String> for Zone {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        let shown: String = name.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        TimeZone::get(&name).map(Self).map_err(|_| {
            format!("`{shown}` is no time zone that this machine knows; they are called as `Europe/Berlin` or `UTC`")
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct HoursText(Hours);

impl TryFrom<String> for HoursText {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: gate::availability::BadHours| error.to_string())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct DaysText(Days);

impl TryFrom<String> for DaysText {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: gate::availability::BadDays| error.to_string())
    }
}

/// One, or a list: always kept as a list. By hand, since an untagged enum would forget what was wrong, and where.
#[derive(Clone, Debug, PartialEq)]
struct Several<T>(Vec<T>);

impl<'de, T: TryFrom<String, Error = String>> Deserialize<'de> for Several<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: TryFrom<String, Error = String>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
                Ok(vec![T::try_from(text.to_owned()).map_err(E::custom)?])
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    all.push(T::try_from(text).map_err(serde::de::Error::custom)?);
                }
                if all.is_empty() {
                    return Err(serde::de::Error::custom("an empty list of hours never holds"));
                }
                Ok(all)
            }
        }
        from.deserialize_any(Visitor(std::marker::PhantomData)).map(Self)
    }
}

/// A length of time: `90s`, `10m`, `2h`, `1d`, `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        super::time::length(&text).map(Self).map_err(|error| error.to_string())
    }
}

/// A number of bytes: `500MiB`, `5GiB`, `1.5 GiB`, or the plain number.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Size;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a size such as \"5GiB\"")
            }
            fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<Size, E> {
                u64::try_from(n).map(Size).map_err(|_| E::custom("a size is not below 0"))
            }
            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Size, E> {
                Ok(Size(n))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Size, E> {
                size(text).map(Size).ok_or_else(|| E::custom("a size is a number with KiB, MiB, GiB or TiB: `5GiB`"))
            }
        }
        from.deserialize_any(Visitor)
    }
}

fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, power) = ["KiB", "MiB", "GiB", "TiB"]
        .iter()
        .zip([10, 20, 30, 40])
        .find_map(|(unit, power)| Some((text.strip_suffix(unit)?.trim_end(), power)))
        .unwrap_or((text, 0));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 3 || (power == 0 && !part.is_empty()) {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(1 << power)?;
    let thousandths = format!("{part:0<3}").parse::<u64>().ok()?;
    whole.checked_add((u128::from(thousandths) << power).checked_div(1000).and_then(|n| u64::try_from(n).ok())?)
}

/// Rules that can't be: where in the text, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadRules {
    /// The byte at which the rule begins.
    pub at: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Settings {
    /// The rules that they are.
    ///
    /// # Errors
    /// When something in a rule does not go with the rest of it.
    pub fn rules(&self) -> Result<Rules, BadRules> {
        if let Some(rule) = self.rule.get(MAX_RULES) {
            return Err(BadRules { at: rule.span().start, why: format!("more than {MAX_RULES} rules") });
        }
        let rules = self.rule.iter().enumerate().map(|(n, text)| {
            let bad = |why| BadRules { at: text.span().start, why: format!("rule {}: {why}", n + 1) };
            self.rule(text.get_ref()).map_err(bad)
        });
        Ok(Rules { otherwise: self.otherwise, rules: rules.collect::<Result<_, _>>()? })
    }

    fn rule(&self, text: &RuleText) -> Result<Rule, String> {
        let mut conditions = Vec::new();
        match (text.load_above, text.load_below) {
            (None, None) => {}
            (None, Some(_)) => return Err("`load_below` says where `load_above` ends, which is missing".to_owned()),
            (Some(above), below) => {
                let below = below.unwrap_or(above * 0.75);
                if !(above.is_finite() && above > 0.0 && below.is_finite() && below >= 0.0) {
                    return Err("a load is a number above 0".to_owned());
                }
                if below > above {
                    return Err(format!("it would end at a load under {below} before it begins at {above}"));
                }
                conditions.push(Condition::Load { above, below });
            }
        }
        conditions.extend(match (text.user, text.idle) {
            (None, None) => None,
            (Some(User::LoggedIn), None) => Some(Condition::User(Presence::LoggedIn)),
            (Some(User::Active), idle) => {
                let within_s = idle.map_or(10 * 60, |idle| idle.0.as_secs());
                Some(Condition::User(Presence::Active { within_s }))
            }
            (_, Some(_)) => return Err("`idle` goes with `user = \"active\"`".to_owned()),
        });
        match text.on_battery {
            None => {}
            Some(true) => conditions.push(Condition::OnBattery),
            Some(false) => return Err("`on_battery` is true or not there".to_owned()),
        }
        conditions.extend(text.free_disk_below.map(|size| Condition::FreeDisk { below: size.0 }));
        conditions.extend(text.free_memory_below.map(|size| Condition::FreeMemory { below: size.0 }));
        let by_the_clock = text.hours.is_some() || text.days.is_some();
        if text.zone.is_some() && !by_the_clock {
            return Err("`zone` goes with `hours` or `days`".to_owned());
        }
        let calendar = by_the_clock.then(|| Calendar {
            days: text.days.map_or(Days::EVERY, |days| days.0),
            hours: text.hours.as_ref().map_or(vec![Hours::ALL], |all| all.0.iter().map(|it| it.0).collect()),
            zone: text.zone.as_ref().map_or_else(|| self.zone(), |zone| zone.0.clone()),
        });
        Ok(Rule { says: text.say, calendar, conditions, reason: text.reason.chars().take(200).collect() })
    }

    /// The zone in which hours are meant.
    pub fn zone(&self) -> TimeZone {
        self.zone.as_ref().map_or_else(TimeZone::system, |zone| zone.0.clone())
    }

    /// With fewer bytes free where builds work, the slave is out of disk.
    pub(crate) fn min_free_disk(&self) -> u64 {
        self.min_free_disk.0
    }

    /// How long running builds may go on when the slave is told to end.
    pub(crate) fn drain(&self) -> Duration {
        self.drain.0
    }

    /// Rules that fight.
    pub fn fights(&self) -> Vec<Fight> {
        self.rules().map(|rules| gate::availability::fights(&rules)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("5GiB", 5 << 30), ("1.5 GiB", 3 << 29), ("500MiB", 500 << 20), ("17", 17), ("0", 0)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["", "GiB", "5 GB", "-1", "1.5", "99999999TiB", "1..5GiB", "1.2345GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
