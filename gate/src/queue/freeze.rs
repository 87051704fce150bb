//! Freezes: stretches of a calendar in which nothing lands, though testing goes on.

use super::decide::{bb, who, with_detail};
use protocol::UnixMs;
use protocol::api::Next;
use recipe::Freeze;

/// A freeze that is on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frozen {
    /// When it ends; none: never by itself.
    pub until: Option<UnixMs>,
    /// The same by its own clock, for people.
    pub until_says: String,
    /// From this priority on branches land all the same.
    pub except: Option<i32>,
    /// Why, for people; may be empty.
    pub reason: String,
}

impl Frozen {
    /// Whether a branch of this priority lands all the same.
    pub fn lets_by(&self, priority: i32) -> bool {
        self.except.is_some_and(|least| priority >= least)
    }

    /// What it says of one that would land: `nothing lands until Mon 2026-11-30 08:00 (UTC): the release is cut`.
    pub fn says(&self) -> String {
        let until = match self.until {
            Some(_) => format!("mainline is frozen until {}", self.until_says),
            None => "mainline is frozen, and the freeze never ends by itself".to_owned(),
        };
        let but = self.except.map_or_else(String::new, |least| format!("; priority {least} and above lands"));
        with_detail(format!("{until}{but}"), &self.reason)
    }

    /// Who does what next about one that would land.
    pub fn next(&self) -> Next {
        match self.until {
            Some(_) => bb(&format!("lands it after {}", self.until_says)),
            None => who("a maintainer", "gives the freeze an end, in .bb.toml of mainline or in master.toml"),
        }
    }
}

/// Of those that are on, the one that keeps a branch of this priority from landing for longest.
pub fn last_to_end(on: &[Frozen], priority: i32) -> Option<&Frozen> {
    let ends = |frozen: &&Frozen| frozen.until.map_or(i64::MAX, |until| until.0);
    on.iter().filter(|frozen| !frozen.lets_by(priority)).max_by_key(ends)
}

/// How many ends of a freeze that begins anew at the same moment are passed over; then it never ends.
const ENDS: u32 = 100;

/// Those of a calendar that are on at a moment.
pub fn freezes_now(calendar: &[Freeze], now: UnixMs) -> Vec<Frozen> {
    let on = |freeze: &Freeze| {
        let until = frozen(freeze, now.0)?;
        Some(Frozen {
            until: until.map(UnixMs),
            until_says: until.map_or_else(String::new, |at| freeze.clock(at)),
            except: freeze.except(),
            reason: freeze.reason().to_owned(),
        })
    };
    calendar.iter().filter_map(on).collect()
}

/// Until when a freeze is on at a moment, for ever if it never ends; none while it is off.
fn frozen(freeze: &Freeze, now: i64) -> Option<Option<i64>> {
    let began = freeze.began(now)?;
    if freeze.ended(now).is_some_and(|ended| ended > began) {
        return None;
    }
    let mut at = now;
    for _ in 0..ENDS {
        let Some(end) = freeze.ends(at) else { break };
        if freeze.began(end) != Some(end) {
            return Some(Some(end));
        }
        at = end;
    }
    Some(None)
}

/// What of a calendar can't be meant so, a line each: what never ends, and what is over for ever.
pub fn troubles(calendar: &[Freeze], now: UnixMs) -> Vec<String> {
    let trouble = |freeze: &Freeze| {
        let named = with_detail(format!("the freeze {}", freeze.written()), freeze.reason());
        if let Some(why) = freeze.never_ends() {
            return Some(format!("{named}: it never ends ({why})"));
        }
        match frozen(freeze, now.0) {
            Some(None) => Some(format!("{named}: it is on, and never ends")),
            None if freeze.begins(now.0).is_none() => {
                Some(format!("{named}: it is over for ever, and can be taken out"))
            }
            Some(Some(_)) | None => None,
        }
    };
    calendar.iter().filter_map(trouble).collect()
}
