//! Rules that fight: each is fine alone, and together they can't mean what was meant.

use super::hours::Calendar;
use super::rules::{Rule, Rules};
use std::fmt;

/// Minutes of a week.
const WEEK: usize = 7 * 24 * 60;

/// Two rules that fight; counted from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fight {
    /// Whenever the milder holds, the stricter does too: the milder never counts.
    Never {
        /// The one that never counts.
        milder: usize,
        /// The one that counts.
        stricter: usize,
    },
    /// Both hold by the clock alone at some time of each week.
    Overlap {
        /// The milder.
        milder: usize,
        /// The stricter, which counts.
        stricter: usize,
        /// The first such time, as `mon 08:00`.
        at: String,
    },
    /// A rule without conditions always holds: what is said otherwise never counts.
    Always {
        /// The rule.
        rule: usize,
    },
}

impl fmt::Display for Fight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never { milder, stricter } => {
                write!(f, "rule {milder} never counts: whenever it holds, rule {stricter} does too, which is stricter")
            }
            Self::Overlap { milder, stricter, at } => write!(
                f,
                "rules {} and {} both hold, first on {at}: the stricter, rule {stricter}, counts then",
                milder.min(stricter),
                milder.max(stricter)
            ),
            Self::Always { rule } => {
                write!(f, "rule {rule} always holds, so that what is said `otherwise` never counts")
            }
        }
    }
}

/// All fights among rules.
pub fn fights(rules: &Rules) -> Vec<Fight> {
    let mut all = Vec::new();
    for (m, milder) in rules.rules.iter().enumerate() {
        for (s, stricter) in rules.rules.iter().enumerate().filter(|(_, it)| it.says > milder.says) {
            let (m, s) = (m + 1, s + 1);
            let Some((covered, first)) = compare(milder, stricter) else { continue };
            if covered && stricter.conditions.iter().all(|it| milder.conditions.iter().any(|o| it.follows_from(o))) {
                all.push(Fight::Never { milder: m, stricter: s });
            } else if let Some(at) = first
                && milder.conditions.is_empty()
                && stricter.conditions.is_empty()
            {
                all.push(Fight::Overlap { milder: m, stricter: s, at: minute(at) });
            }
        }
    }
    let bare = |rule: &Rule| rule.calendar.is_none() && rule.conditions.is_empty();
    if let Some(n) = rules.rules.iter().position(bare) {
        all.push(Fight::Always { rule: n + 1 });
    }
    all
}

/// Whether the times of one rule are all within those of another, and the first minute of the week that they share; none where
/// that can't be told, since their zones differ.
fn compare(milder: &Rule, stricter: &Rule) -> Option<(bool, Option<usize>)> {
    match (&milder.calendar, &stricter.calendar) {
        // Always, and at some time: what is meant by a rule that always holds is only the rest.
        (None, Some(hours)) => Some((week(hours).iter().all(|it| *it), None)),
        (_, None) => Some((true, None)),
        (Some(one), Some(other)) if one.zone == other.zone => {
            let (one, other) = (week(one), week(other));
            let both = one.iter().zip(&other).position(|(a, b)| *a && *b);
            Some((one.iter().zip(&other).all(|(a, b)| !*a || *b), both))
        }
        (Some(_), Some(other)) => week(other).iter().all(|it| *it).then_some((true, None)),
    }
}

/// Which minutes of a week are in a calendar, by the wall's clock, from Monday.
fn week(calendar: &Calendar) -> Vec<bool> {
    let mut minutes = vec![false; WEEK];
    for day in (0..7).filter(|&day| calendar.days.has_nth(day)) {
        for (from, to) in calendar.hours.iter().map(|hours| hours.minutes()) {
            for minute in from..to {
                minutes[(day * 24 * 60 + usize::from(minute)) % WEEK] = true;
            }
        }
    }
    minutes
}

fn minute(of_week: usize) -> String {
    let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][of_week / (24 * 60)];
    format!("{day} {:02}:{:02}", of_week / 60 % 24, of_week % 60)
}
