//! Listings of branches: live ones first, then those that ended, by pages.

use super::branch::summary;
use super::facts::{Known, know_all};
use super::sizes::Change;
use super::{Moment, ReadError};
use crate::project::Guarded;
use crate::store::{After, Sought};
use protocol::api::{BranchPage, BranchSummary, Turns};
use protocol::{BranchId, UnixMs};
use std::fmt;
use std::str::FromStr;

/// The most branches of a page, and how many it has when nobody says.
pub(crate) const MOST: usize = 200;
const USUAL: usize = 100;

/// Which branches a page of a listing has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    /// Only those with this text in name, title, author, publisher, bugs or state.
    pub(crate) sought: Option<Sought>,
    /// Those that ended, too.
    pub(crate) ended: bool,
    /// After this place.
    pub(crate) after: Option<Place>,
    /// So many; the usual number when not given.
    pub(crate) limit: Option<usize>,
}

/// A place in a listing, as the last page gave it: a page begins after it whatever came and went meanwhile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// After this live branch.
    Live(After),
    /// After this branch that ended; before the first without one.
    Ended(Option<After>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live(After { changed, id }) => write!(f, "live-{changed}-{id}"),
            Self::Ended(Some(After { changed, id })) => write!(f, "ended-{changed}-{id}"),
            Self::Ended(None) => f.write_str("ended"),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        let bad = || format!("`after` is what a page before said as `next`, not `{shown}`");
        let mut parts = text.split('-');
        let (kind, changed, id, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
        let number = |part: &str| part.parse::<i64>().ok();
        let after = match (changed, id, rest) {
            (None, None, None) => None,
            (Some(changed), Some(id), None) => Some(After {
                changed: UnixMs(number(changed).ok_or_else(bad)?),
                id: BranchId(number(id).ok_or_else(bad)?),
            }),
            _ => return Err(bad()),
        };
        match (kind, after) {
            (Some("live"), Some(after)) => Ok(Self::Live(after)),
            (Some("ended"), after) => Ok(Self::Ended(after)),
            _ => Err(bad()),
        }
    }
}

/// A branch's line, its place among those of its kind, and what would land.
pub(super) struct Line {
    at: After,
    pub(super) summary: BranchSummary,
    pub(super) change: Option<Change>,
}

impl Line {
    fn of(project: &Guarded, known: &Known) -> Self {
        let at = After { changed: known.branch.changed, id: known.branch.id };
        Self { at, summary: summary(project, known), change: Change::of(known) }
    }
}

/// All live branches of a project, last changed first. Whose turn each is can be told of all of them only.
pub(super) async fn live(at: &Moment<'_>, project: &Guarded) -> Result<Vec<Line>, ReadError> {
    let branches = at.store.branches(project.id, 0).await?;
    Ok(know_all(at, project, branches).await?.iter().map(|known| Line::of(project, known)).collect())
}

/// The branches of which mainline does not hold any more what had landed, the latest first.
pub(super) async fn taken_out(at: &Moment<'_>, project: &Guarded) -> Result<Vec<Line>, ReadError> {
    let branches = at.store.taken_out(project.id).await?;
    Ok(know_all(at, project, branches).await?.iter().map(|known| Line::of(project, known)).collect())
}

/// How many wait for whom.
pub(super) fn turns<'a>(branches: impl Iterator<Item = &'a BranchSummary>) -> Turns {
    let mut turns = Turns::default();
    for branch in branches {
        match branch.verdict.next.who.as_str() {
            "bb" | "nobody" => turns.bb += 1,
            who if is_maintainer(who) => turns.maintainer += 1,
            _ => turns.author += 1,
        }
    }
    turns
}

/// Whether it is a maintainer's or an admin's turn.
pub(super) fn is_maintainer(who: &str) -> bool {
    matches!(who, "a maintainer" | "an admin")
}

fn mentions(line: &BranchSummary, sought: &Sought) -> bool {
    let texts = [line.name.as_str(), &line.title, &line.publisher, &line.verdict.state, &line.branch];
    let more = line.bugs.iter().map(String::as_str).chain(line.author.as_deref());
    texts.into_iter().chain(more).any(|text| sought.is_in(text))
}

/// A page of the listing.
pub(crate) async fn branch_page(at: &Moment<'_>, project: &Guarded, asked: &Listed) -> Result<BranchPage, ReadError> {
    let sought = asked.sought.as_ref();
    let limit = asked.limit.unwrap_or(USUAL).clamp(1, MOST);
    let mut live = live(at, project).await?;
    live.retain(|line| sought.is_none_or(|sought| mentions(&line.summary, sought)));
    let mut page = BranchPage {
        branches: Vec::new(),
        next: None,
        live: live.len() as u64,
        ended: at.store.count_ended(project.id, sought).await?,
        turns: turns(live.iter().map(|line| &line.summary)),
    };
    let before = |at: After, line: &Line| (line.at.changed.0, line.at.id.0) < (at.changed.0, at.id.0);
    let mut last = None;
    match asked.after {
        Some(Place::Ended(_)) => {}
        after => {
            let later = |line: &Line| match after {
                Some(Place::Live(at)) => before(at, line),
                _ => true,
            };
            let mut lines = live.into_iter().filter(later);
            for line in lines.by_ref().take(limit) {
                last = Some(Place::Live(line.at));
                page.branches.push(line.summary);
            }
            if lines.next().is_some() {
                page.next = last.map(|place| place.to_string());
                return Ok(page);
            }
        }
    }
    if !asked.ended {
        return Ok(page);
    }
    let room = limit - page.branches.len();
    let after = match asked.after {
        Some(Place::Ended(after)) => after,
        _ => None,
    };
    let mut ended = at.store.ended_branches(project.id, sought, after, room + 1).await?;
    if ended.len() > room {
        ended.truncate(room);
        let place = ended.last().map(|b| After { changed: b.changed, id: b.id });
        page.next = Some(Place::Ended(place.or(after)).to_string());
    }
    let ended = know_all(at, project, ended).await?;
    page.branches.extend(ended.iter().map(|known| summary(project, known)));
    Ok(page)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let at = After { changed: UnixMs(1_795_516_920_000), id: BranchId(77) };
        for place in [Place::Live(at), Place::Ended(Some(at)), Place::Ended(None)] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for wrong in ["", "live", "live-1", "ended-1", "ended-x-1", "live-1-2-3", "gone-1-2", "live--1-2", "ended-1-"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
