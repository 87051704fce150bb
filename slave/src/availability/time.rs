//! Times and lengths of time as people type them.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use protocol::UnixMs;
use std::time::Duration;

/// The longest that a word may be given for: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// A text that is no time.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no {what}")]
pub struct BadTime {
    /// The text, shortened.
    pub text: String,
    /// What was expected.
    pub what: &'static str,
}

fn bad(text: &str, what: &'static str) -> BadTime {
    BadTime { text: text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(), what }
}

/// A length of time: `90s`, `10m`, `2h`, `1d`, `1h30m`.
///
/// # Errors
/// When it is none, or longer than ten years.
pub(crate) fn length(text: &str) -> Result<Duration, BadTime> {
    let wrong = || bad(text, "length of time, such as 90s, 10m, 2h, 1d or 1h30m");
    let (mut sum, mut rest) = (0u64, text.trim());
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[digits..digits + letters] {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            "w" => 7 * 24 * 60 * 60,
            _ => return Err(wrong()),
        };
        sum = number.checked_mul(unit).and_then(|n| sum.checked_add(n)).ok_or_else(wrong)?;
        rest = rest[digits + letters..].trim_start();
    }
    let length = Duration::from_secs(sum);
    if length > LONGEST { Err(bad(text, "length of time up to ten years")) } else { Ok(length) }
}

/// When a word ends that is given now `for` a length of time.
///
/// # Errors
/// When that is no length of time.
pub fn deadline(length_text: &str, now: UnixMs) -> Result<UnixMs, BadTime> {
    let length = length(length_text)?;
    if length.is_zero() {
        return Err(bad(length_text, "length of time above nothing"));
    }
    Ok(UnixMs(now.0.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))))
}

/// A moment: `18:00` is the next such time by the clock of the zone, `2026-12-24 22:10` that day's; or with an offset or zone of its
/// own. A time that daylight saving leaves out is the one that comes instead of it; of one that comes twice it is the first.
///
/// # Errors
/// When it is none.
pub fn moment(text: &str, now: UnixMs, zone: &TimeZone) -> Result<UnixMs, BadTime> {
    let wrong = || bad(text, "time, such as 18:00 or \"2026-12-24 18:00\"");
    let text = text.trim();
    let of = |at: Timestamp| UnixMs(at.as_millisecond());
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(of(at));
    }
    if let Ok(date) = text.parse::<DateTime>().or_else(|_| text.replacen(' ', "T", 1).parse()) {
        return zone.to_timestamp(date).map(of).map_err(|_| wrong());
    }
    let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.to_owned() };
    let plain = padded.len() == 5 && padded.bytes().all(|b| b.is_ascii_digit() || b == b':');
    let time: Time = Some(padded).filter(|_| plain).and_then(|t| t.parse().ok()).ok_or_else(wrong)?;
    let today = zone.to_datetime(Timestamp::from_millisecond(now.0).map_err(|_| wrong())?).date();
    for day in 0..3 {
        let date = today.checked_add(day.days()).map_err(|_| wrong())?;
        let at = zone.to_timestamp(date.to_datetime(time)).map_err(|_| wrong())?;
        if of(at) > now {
            return Ok(of(at));
        }
    }
    Err(wrong())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lengths_are_read() {
        for (text, s) in [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("1h30m", 5400), ("1h 30min", 5400)]
        {
            assert_eq!(length(text).unwrap().as_secs(), s, "{text}");
        }
        for text in ["", "h", "2", "2 hours", "-1h", "1h!", "99999999999999999999s", "9999w", "ü"] {
            assert!(length(text).is_err(), "{text}");
        }
        assert!(deadline("0s", UnixMs(0)).is_err());
    }

    #[test]
    fn a_time_of_day_is_the_next_one_also_over_a_change_of_clocks() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| UnixMs(text.parse::<Timestamp>().unwrap().as_millisecond());
        let now = at("2027-03-27T16:30Z"); // 17:30, the evening before clocks are put on
        for (text, wanted) in [
            ("18:00", "2027-03-27T17:00Z"),
            ("17:30", "2027-03-28T15:30Z"),
            ("8:00", "2027-03-28T06:00Z"),
            ("02:30", "2027-03-28T01:30Z"), // there is none; 03:30 comes instead
            ("2026-12-24 22:10", "2026-12-24T21:10Z"),
            ("2026-12-24T22:10:00+05:00", "2026-12-24T17:10Z"),
        ] {
            assert_eq!(moment(text, now, &berlin).unwrap(), at(wanted), "{text}");
        }
        for text in ["", "25:00", "18", "tomorrow", "2026-13-01 10:00", "18:00:00:00"] {
            assert!(moment(text, now, &berlin).is_err(), "{text}");
        }
    }
}
