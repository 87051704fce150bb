//! Days as people write them into headings, and a day written the same way.

use std::ops::Range;

use jiff::civil::Date;

/// A day in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) range: Range<usize>,
    pub(crate) style: Style,
    /// The day, or the first of its month.
    pub(crate) date: Date,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `2024-01-02` with this between, perhaps without zeros.
    YearFirst { between: u8, padded: bool },
    /// `02.01.2024`.
    DayFirst { between: u8, padded: bool },
    /// `01/02/2024`.
    MonthFirst { padded: bool },
    /// `January 2, 2024`.
    MonthName { short: bool, comma: bool, ordinal: bool },
    /// `2 January 2024`, `2-Jan-2024`.
    DayName { short: bool, padded: bool, ordinal: bool, between: u8 },
    /// `January 2024`.
    Month { short: bool },
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The days in a text of small letters, in their order.
pub(crate) fn days_in(text: &[u8]) -> Vec<Day> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let starts = at == 0 || !text[at - 1].is_ascii_alphanumeric() && !matches!(text[at - 1], b'.' | b'-' | b'/');
        let day = if starts && text[at].is_ascii_alphanumeric() { day_at(text, at) } else { None };
        match day {
            Some(day) => {
                at = day.range.end;
                found.push(day);
            }
            None => at += 1,
        }
    }
    found
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// A number of at most four digits, and how many those are.
    fn number(&mut self) -> Option<(i16, usize)> {
        let digits = self.text[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let text = std::str::from_utf8(self.text.get(self.at..self.at + digits)?).ok()?;
        let number = text.parse().ok().filter(|_| (1..=4).contains(&digits))?;
        self.at += digits;
        Some((number, digits))
    }

    fn mark(&mut self, marks: &[u8]) -> Option<u8> {
        let mark = *self.text.get(self.at).filter(|b| marks.contains(b))?;
        self.at += 1;
        Some(mark)
    }

    fn blanks(&mut self) {
        self.at += self.text[self.at..].iter().take_while(|b| **b == b' ').count();
    }

    /// A month's name, its number, and whether it is shortened.
    fn month(&mut self) -> Option<(i8, bool)> {
        let len = self.text[self.at..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let word = std::str::from_utf8(&self.text[self.at..self.at + len]).ok()?;
        let is_month = |name: &str| {
            name.eq_ignore_ascii_case(word)
                || (3..=4).contains(&len) && name.len() > len && name[..len].eq_ignore_ascii_case(word)
        };
        let month = MONTHS.iter().position(|name| is_month(name))?;
        self.at += len;
        let short = len < MONTHS[month].len();
        if short {
            self.mark(b".");
        }
        Some((i8::try_from(month).ok()? + 1, short))
    }

    fn ordinal(&mut self) -> bool {
        let is = [&b"st"[..], b"nd", b"rd", b"th"].iter().any(|end| self.text[self.at..].starts_with(end));
        self.at += if is { 2 } else { 0 };
        is
    }

    fn year(&mut self) -> Option<i16> {
        self.number().filter(|(year, digits)| *digits == 4 && (1970..=2199).contains(year)).map(|(year, _)| year)
    }

    fn ends(&self) -> bool {
        self.text.get(self.at).is_none_or(|b| !b.is_ascii_alphanumeric())
    }
}

fn day_at(text: &[u8], at: usize) -> Option<Day> {
    let made = |cursor: &Cursor<'_>, style, date: Option<Date>| {
        date.filter(|_| cursor.ends()).map(|date| Day { range: at..cursor.at, style, date })
    };
    let mut cursor = Cursor { text, at };
    if text[at].is_ascii_alphabetic() {
        let (month, short) = cursor.month()?;
        cursor.blanks();
        let after = cursor.at;
        if let Some((day, _)) = cursor.number().filter(|(_, digits)| *digits <= 2) {
            let ordinal = cursor.ordinal();
            let comma = cursor.mark(b",").is_some();
            cursor.blanks();
            let year = cursor.year()?;
            let style = Style::MonthName { short, comma, ordinal };
            return made(&cursor, style, date(year, month, day));
        }
        cursor.at = after;
        cursor.mark(b",");
        cursor.blanks();
        let year = cursor.year()?;
        return made(&cursor, Style::Month { short }, date(year, month, 1));
    }
    let (first, digits) = cursor.number()?;
    if digits == 4 {
        let between = cursor.mark(b"-/.")?;
        let (month, wide) = cursor.number().filter(|(_, digits)| *digits <= 2)?;
        cursor.mark(&[between])?;
        let (day, wider) = cursor.number().filter(|(_, digits)| *digits <= 2)?;
        let style = Style::YearFirst { between, padded: wide == 2 && wider == 2 };
        return made(
            &cursor,
            style,
            date((1970..=2199).contains(&first).then_some(first)?, i8::try_from(month).ok()?, day),
        );
    }
    if digits > 2 {
        return None;
    }
    let numbers = cursor.at;
    if let Some(between) = cursor.mark(b"-/.")
        && let Some((second, _)) = cursor.number()
        && cursor.mark(&[between]).is_some()
    {
        let year = cursor.year()?;
        let padded = digits == 2;
        let (by_day, by_month) =
            (date(year, i8::try_from(second).ok()?, first), date(year, i8::try_from(first).ok()?, second));
        // With slashes the month is first where it can be.
        return match (by_month, by_day) {
            (Some(day), _) if between == b'/' => made(&cursor, Style::MonthFirst { padded }, Some(day)),
            (_, Some(day)) => made(&cursor, Style::DayFirst { between, padded }, Some(day)),
            (day, None) => made(&cursor, Style::MonthFirst { padded }, day),
        };
    }
    cursor.at = numbers;
    let ordinal = cursor.ordinal();
    let between = cursor.mark(b"- ")?;
    cursor.blanks();
    let (month, short) = cursor.month()?;
    cursor.mark(b",-");
    cursor.blanks();
    let year = cursor.year()?;
    made(
        &cursor,
        Style::DayName { short, padded: digits == 2 && first < 10, ordinal, between },
        date(year, month, first),
    )
}

fn date(year: i16, month: i8, day: i16) -> Option<Date> {
    Date::new(year, month, i8::try_from(day).ok()?).ok()
}

/// A day in this style.
pub(crate) fn written(day: Date, style: Style) -> String {
    let (year, month, number) = (day.year(), day.month(), day.day());
    let name = |short: bool| {
        let name = usize::try_from(month - 1).ok().and_then(|n| MONTHS.get(n)).copied().unwrap_or_default();
        if short { name.get(..3).unwrap_or(name) } else { name }
    };
    let two = |padded: bool, n: i8| if padded { format!("{n:02}") } else { n.to_string() };
    let end = |ordinal: bool| match number {
        _ if !ordinal => "",
        1 | 21 | 31 => "st",
        2 | 22 => "nd",
        3 | 23 => "rd",
        _ => "th",
    };
    match style {
        Style::YearFirst { between, padded } => {
            let between = char::from(between);
            format!("{year}{between}{}{between}{}", two(padded, month), two(padded, number))
        }
        Style::DayFirst { between, padded } => {
            let between = char::from(between);
            format!("{}{between}{}{between}{year}", two(padded, number), two(padded, month))
        }
        Style::MonthFirst { padded } => format!("{}/{}/{year}", two(padded, month), two(padded, number)),
        Style::MonthName { short, comma, ordinal } => {
            format!("{} {number}{}{} {year}", name(short), end(ordinal), if comma { "," } else { "" })
        }
        Style::DayName { short, padded, ordinal, between } => {
            let between = char::from(between);
            format!("{}{}{between}{}{between}{year}", two(padded, number), end(ordinal), name(short))
        }
        Style::Month { short } => format!("{} {year}", name(short)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_day_is_written_as_it_was_read() {
        let all = [
            "2024-01-02",
            "2024/01/02",
            "2024.01.02",
            "2024-1-2",
            "02.01.2024",
            "02-01-2024",
            "01/02/2024",
            "13/12/2023",
            "January 2, 2024",
            "Jan 2, 2024",
            "January 2 2024",
            "Jan 2nd, 2024",
            "2 January 2024",
            "02 Jan 2024",
            "2nd January 2024",
            "2-Jan-2024",
            "January 2024",
        ];
        for text in all {
            let found = days_in(text.to_ascii_lowercase().as_bytes());
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].range, 0..text.len(), "{text}");
            assert_eq!(written(found[0].date, found[0].style), text);
        }
        for text in
            ["2024-13-02", "1.2.3", "2024", "march of progress", "12024-01-02", "2024-01-023", "may be 2024", "1.2024"]
        {
            assert_eq!(days_in(text.as_bytes()), [], "{text}");
        }
    }
}
