//! The dates that ChangeLog headers start with, in all the styles that are found. Reads and writes them; knows no clock.

use jiff::civil::{Date, Time};

const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// How the date of a header is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateStyle {
    /// `2007-01-22`, perhaps with a time.
    Iso,
    /// `Sun Jul 29 20:02:41 2007`, perhaps with a zone before the year.
    Ctime,
    /// `Sat,  6 May 2000 13:31:34 +0200`.
    Mail,
    /// `11 Feb 1998`.
    DayMonthYear,
}

/// The date at the start of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderDate {
    /// The day, or `None` if it does not exist (`2009-18-02`) or was left open (`2012-08-??`).
    pub day: Option<Date>,
    /// The time of day, if one is given.
    pub time: Option<Time>,
    /// How it is written.
    pub style: DateStyle,
    /// How many bytes it takes from the start of the line, time and zone included.
    pub len: usize,
}

impl HeaderDate {
    /// Reads the date at the start of a line; `None` if the line is no header.
    pub fn at_start_of(line: &[u8]) -> Option<Self> {
        match line.first()? {
            b'0'..=b'9' => iso(line).or_else(|| day_month_year(line)),
            b'M' | b'T' | b'W' | b'F' | b'S' => ctime(line).or_else(|| mail(line)),
            _ => None,
        }
    }
}

/// Writes `day` in the given style. A style that has a time gets the one given, or midnight.
pub(crate) fn write(day: Date, time: Option<Time>, style: DateStyle) -> String {
    let time = time.unwrap_or_default();
    let name = |names: &[&[u8]], at: i8| {
        names.get(usize::try_from(at).unwrap_or_default()).map_or(String::new(), |n| super::lines::lossy(n))
    };
    let weekday = name(&WEEKDAYS, day.weekday().to_monday_zero_offset());
    let month = name(&MONTHS, day.month() - 1);
    let clock = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    match style {
        DateStyle::Iso => format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day()),
        DateStyle::Ctime => format!("{weekday} {month} {:>2} {clock} {:04}", day.day(), day.year()),
        DateStyle::Mail => format!("{weekday}, {:02} {month} {:04} {clock} +0000", day.day(), day.year()),
        DateStyle::DayMonthYear => format!("{} {month} {:04}", day.day(), day.year()),
    }
}

fn iso(line: &[u8]) -> Option<HeaderDate> {
    let mut s = Scan::new(line);
    let year = s.digits(4, 4)?;
    s.byte(b'-')?;
    let month = s.digits_or_open()?;
    s.byte(b'-')?;
    let day = s.digits_or_open()?;
    let mut at = s.at;
    // What only starts like a time is the author's.
    let time = s.iso_time().filter(|_| ends_word(line, s.at));
    if time.is_some() {
        at = s.at;
    }
    ends_word(line, at).then(|| HeaderDate { day: civil(Some(year), month, day), time, style: DateStyle::Iso, len: at })
}

fn ctime(line: &[u8]) -> Option<HeaderDate> {
    let mut s = Scan::new(line);
    s.name(&WEEKDAYS)?;
    s.blanks()?;
    let month = s.name(&MONTHS)?;
    s.blanks()?;
    let day = s.digits(1, 2)?;
    s.blanks()?;
    let time = s.time();
    if time.is_some() {
        s.blanks()?;
    }
    let year = match s.year() {
        Some(year) => year,
        None => {
            s.zone()?;
            s.blanks()?;
            s.year()?
        }
    };
    // Git writes the zone after the year.
    let mut len = s.at;
    if time.is_some() && s.blanks().is_some() && s.numeric_zone().is_some() && ends_word(line, s.at) {
        len = s.at;
    }
    ends_word(line, len).then(|| HeaderDate {
        day: civil(Some(year), Some(month), Some(day)),
        time,
        style: DateStyle::Ctime,
        len,
    })
}

fn mail(line: &[u8]) -> Option<HeaderDate> {
    let mut s = Scan::new(line);
    s.name(&WEEKDAYS)?;
    s.byte(b',')?;
    s.blanks()?;
    let rest = day_month_year(&line[s.at..])?;
    s.at += rest.len;
    let mut len = s.at;
    let mut time = None;
    if s.blanks().is_some() {
        time = s.time();
        if time.is_some() {
            len = s.at;
            if s.blanks().is_some() && s.numeric_zone().is_some() {
                len = s.at;
            }
        }
    }
    ends_word(line, len).then_some(HeaderDate { day: rest.day, time, style: DateStyle::Mail, len })
}

fn day_month_year(line: &[u8]) -> Option<HeaderDate> {
    let mut s = Scan::new(line);
    let day = s.digits(1, 2)?;
    s.blanks()?;
    let month = s.name(&MONTHS)?;
    s.blanks()?;
    let year = s.year()?;
    ends_word(line, s.at).then(|| HeaderDate {
        day: civil(Some(year), Some(month), Some(day)),
        time: None,
        style: DateStyle::DayMonthYear,
        len: s.at,
    })
}

fn civil(year: Option<i16>, month: Option<i16>, day: Option<i16>) -> Option<Date> {
    Date::new(year?, i8::try_from(month?).ok()?, i8::try_from(day?).ok()?).ok()
}

/// A date is followed by a blank, a colon or nothing.
fn ends_word(line: &[u8], at: usize) -> bool {
    line.get(at).is_none_or(|&b| b == b':' || b == b'\n' || super::lines::is_space(b))
}

/// A place in a line, and what can be read from there. A reader that finds nothing leaves the place as it was.
struct Scan<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn new(line: &'a [u8]) -> Self {
        Self { line, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.line[self.at..]
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.rest().first() == Some(&wanted)).then(|| self.at += 1)
    }

    fn blanks(&mut self) -> Option<()> {
        let n = self.rest().iter().take_while(|&&b| b == b' ' || b == b'\t').count();
        self.at += n;
        (n > 0).then_some(())
    }

    fn digits(&mut self, min: usize, max: usize) -> Option<i16> {
        let n = self.rest().iter().take(max).take_while(|b| b.is_ascii_digit()).count();
        if n < min {
            return None;
        }
        let value = self.rest()[..n].iter().fold(0i16, |v, b| v * 10 + i16::from(b - b'0'));
        self.at += n;
        Some(value)
    }

    /// One or two digits, or with `?` for those that nobody knew: `??`, `2?`.
    fn digits_or_open(&mut self) -> Option<Option<i16>> {
        if let Some([b'?' | b'0'..=b'9', b'?']) = self.rest().first_chunk() {
            self.at += 2;
            return Some(None);
        }
        self.digits(1, 2).map(Some)
    }

    /// Four digits that no further digit follows.
    fn year(&mut self) -> Option<i16> {
        let before = self.at;
        let year = self.digits(4, 4)?;
        if self.rest().first().is_some_and(u8::is_ascii_digit) {
            self.at = before;
            return None;
        }
        Some(year)
    }

    /// One of `names`, as its number from 1.
    fn name(&mut self, names: &[&[u8]]) -> Option<i16> {
        let at = names.iter().position(|n| self.rest().starts_with(n))?;
        self.at += 3;
        i16::try_from(at + 1).ok()
    }

    /// `hh:mm` or `hh:mm:ss`.
    fn time(&mut self) -> Option<Time> {
        let before = self.at;
        let found = self.try_time();
        if found.is_none() {
            self.at = before;
        }
        found
    }

    fn try_time(&mut self) -> Option<Time> {
        let hour = self.digits(1, 2)?;
        self.byte(b':')?;
        let minute = self.digits(2, 2)?;
        let second = if self.byte(b':').is_some() { self.digits(2, 2)? } else { 0 };
        Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second.min(59)).ok()?, 0).ok()
    }

    /// A time after an ISO date, with its zone: ` 02:37`, `T02:37:11Z`, ` 02:37 +0100`, ` 02:37-EDT`.
    fn iso_time(&mut self) -> Option<Time> {
        if self.byte(b'T').is_none() {
            self.blanks()?;
        }
        let time = self.time()?;
        let end = self.at;
        if self.byte(b'Z').is_some() {
            return Some(time);
        }
        if self.byte(b'-').is_some() {
            let n = self.rest().iter().take_while(|b| b.is_ascii_uppercase()).count();
            if n > 0 {
                self.at += n;
                return Some(time);
            }
            self.at = end;
        }
        // Without a blank `+01:00`, with one `+0100`; a word could as well be the author.
        let _ = self.blanks();
        if self.numeric_zone().is_none() {
            self.at = end;
        }
        Some(time)
    }

    fn numeric_zone(&mut self) -> Option<()> {
        let before = self.at;
        let found = (|| {
            if !matches!(self.rest().first(), Some(b'+' | b'-')) {
                return None;
            }
            self.at += 1;
            self.digits(2, 2)?;
            let _ = self.byte(b':');
            self.digits(2, 2).map(|_| ())
        })();
        if found.is_none() {
            self.at = before;
        }
        found
    }

    /// Any word, perhaps in brackets, or `±hhmm`.
    fn zone(&mut self) -> Option<()> {
        if self.numeric_zone().is_some() {
            return Some(());
        }
        let bracket = self.byte(b'(');
        let n = self.rest().iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        self.at += n;
        if bracket.is_some() {
            self.byte(b')')?;
        }
        (n > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(line: &str) -> Option<(String, Option<String>, DateStyle, usize)> {
        HeaderDate::at_start_of(line.as_bytes()).map(|d| {
            let day = d.day.map_or("unknown".to_owned(), |d| d.to_string());
            (day, d.time.map(|t| t.to_string()), d.style, d.len)
        })
    }

    #[test]
    fn every_style_is_read() {
        use DateStyle::{Ctime, DayMonthYear, Iso, Mail};
        let cases = [
            ("2007-01-22  A B  <a@b>", "2007-01-22", None, Iso, 10),
            ("2002-6-13\tA", "2002-06-13", None, Iso, 9),
            ("2020-05-29: Zed", "2020-05-29", None, Iso, 10),
            ("2022-08-25", "2022-08-25", None, Iso, 10),
            ("1997-09-15 02:37  U D", "1997-09-15", Some("02:37:00"), Iso, 16),
            ("1997-09-15 02:37 +0100  U D", "1997-09-15", Some("02:37:00"), Iso, 22),
            ("1997-09-15 02:37-EDT U D", "1997-09-15", Some("02:37:00"), Iso, 20),
            ("1997-09-15 02:37-0500 U D", "1997-09-15", Some("02:37:00"), Iso, 21),
            ("1997-09-15 02:37am U D", "1997-09-15", None, Iso, 10),
            ("1997-09-2?  U D", "unknown", None, Iso, 10),
            ("Wed Feb 24 05:27:44 (UTC) 1999 S A", "1999-02-24", Some("05:27:44"), Ctime, 30),
            ("2009-18-02  D K", "unknown", None, Iso, 10),
            ("2012-08-??  F V", "unknown", None, Iso, 10),
            ("Sun Jul 29 20:02:41 2007  B W", "2007-07-29", Some("20:02:41"), Ctime, 24),
            ("Thu Mar  1 01:02:03 2001  B W", "2001-03-01", Some("01:02:03"), Ctime, 24),
            ("Wed Feb 24 05:27:44 CST 1999 S A", "1999-02-24", Some("05:27:44"), Ctime, 28),
            ("Tue Nov 20 15:59:55 2007 +0100 T J", "2007-11-20", Some("15:59:55"), Ctime, 30),
            ("Sat,  6 May 2000 13:31:34 +0200 P M", "2000-05-06", Some("13:31:34"), Mail, 31),
            ("Mon, 17 Nov 1997 Michael", "1997-11-17", None, Mail, 16),
            ("11 Feb 1998  Andy", "1998-02-11", None, DayMonthYear, 11),
        ];
        for (line, day, time, style, len) in cases {
            assert_eq!(read(line), Some((day.to_owned(), time.map(str::to_owned), style, len)), "{line}");
        }
    }

    #[test]
    fn text_is_no_date() {
        for line in [
            "2 files changed",
            "2.40 release point",
            "20070122 x",
            "2007-01-22x",
            "Sunday Jul 29",
            "Sat, we met",
            "* Sun Jul 26 2015",
            "Mon",
            "\t2022-11-23  M P",
            "2007",
            "12 Monkeys",
            "",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let day = Date::constant(2007, 7, 1);
        for style in [DateStyle::Iso, DateStyle::Ctime, DateStyle::Mail, DateStyle::DayMonthYear] {
            let text = write(day, None, style);
            let back = HeaderDate::at_start_of(text.as_bytes()).unwrap();
            assert_eq!((back.day, back.style, back.len), (Some(day), style, text.len()), "{text}");
        }
        assert_eq!(write(day, None, DateStyle::Ctime), "Sun Jul  1 00:00:00 2007");
    }
}
