//! Listings of branches: live ones first, then those that ended, by pages.

use super::branch::summary;
use super::facts::{know_all, surroundings};
use super::{Moment, ReadError};
use crate::project::Guarded;
use crate::store::{After, Branch, Counted, Kind, Narrow, Sought};
use gate::verdict::{Brief, Surroundings, Whose};
use protocol::api::{BranchPage, Turns};
use protocol::{BranchId, UnixMs};
use std::fmt;
use std::str::FromStr;

/// The most branches of a page, and how many it has when nobody says.
pub(crate) const MOST: usize = 200;
const USUAL: usize = 40;

/// Which branches a page of a listing has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    /// Only those with this text in name, title, author, publisher, source, bugs or state.
    pub(crate) sought: Option<Sought>,
    /// Only those with this publisher or author.
    pub(crate) owner: Option<String>,
    /// Only those with this reference to a bug.
    pub(crate) bug: Option<String>,
    /// Only those whose verdict has this code, whether they ended or not.
    pub(crate) code: Option<gate::code::Code>,
    /// Only live ones whose turn it is so.
    pub(crate) turn: Option<Whose>,
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

/// How the branches of a project stand, by shapes: each is looked at once, however many branches have it.
pub(super) struct Standings {
    around: Surroundings,
    /// Of live branches.
    live: Vec<(Counted, Brief)>,
}

impl Standings {
    pub(super) async fn of(at: &Moment<'_>, project: &Guarded) -> Result<Self, ReadError> {
        let around = surroundings(at, project).await?;
        let live = at.store.shapes(project.id, Kind::Live, &Narrow::default()).await?;
        Ok(Self { live: stand(live, &around), around })
    }

    /// How many live branches wait for whom.
    pub(super) fn turns(&self) -> Turns {
        turns(&self.live)
    }

    /// The shapes of live branches that stand so.
    pub(super) fn that(&self, stands: impl Fn(&Brief) -> bool) -> Vec<i64> {
        numbers(self.live.iter().filter(|(_, brief)| stands(brief)))
    }
}

fn stand(counted: Vec<Counted>, around: &Surroundings) -> Vec<(Counted, Brief)> {
    let stands = |counted: Counted| {
        let brief = counted.shape.within(around);
        (counted, brief)
    };
    counted.into_iter().map(stands).collect()
}

fn numbers<'c>(counted: impl Iterator<Item = &'c (Counted, Brief)>) -> Vec<i64> {
    counted.map(|(counted, _)| counted.number).collect()
}

fn sum(counted: &[(Counted, Brief)]) -> u64 {
    counted.iter().map(|(counted, _)| counted.branches).sum()
}

fn turns(counted: &[(Counted, Brief)]) -> Turns {
    let mut turns = Turns::default();
    for (counted, brief) in counted {
        let count = match brief.whose {
            Whose::Bb => &mut turns.bb,
            Whose::Maintainer => &mut turns.maintainer,
            Whose::Author => &mut turns.author,
        };
        *count = count.saturating_add(u32::try_from(counted.branches).unwrap_or(u32::MAX));
    }
    turns
}

impl Listed {
    /// What the store narrows them by, beside shapes.
    fn narrow(&self, standings: &Standings) -> Narrow {
        let said = |sought: &Sought| standings.that(|brief| sought.is_in(&brief.state));
        Narrow {
            said: self.sought.as_ref().map(said).unwrap_or_default(),
            sought: self.sought.clone(),
            owner: self.owner.clone(),
            bug: self.bug.clone(),
            shapes: None,
        }
    }

    fn is_code(&self, brief: &Brief) -> bool {
        self.code.is_none_or(|code| code.as_str() == brief.code)
    }
}

/// A page of the listing.
pub(crate) async fn branch_page(at: &Moment<'_>, project: &Guarded, asked: &Listed) -> Result<BranchPage, ReadError> {
    let limit = asked.limit.unwrap_or(USUAL).clamp(1, MOST);
    let standings = Standings::of(at, project).await?;
    let narrow = asked.narrow(&standings);
    let Standings { around, mut live } = standings;
    if narrow != Narrow::default() {
        live = stand(at.store.shapes(project.id, Kind::Live, &narrow).await?, &around);
    }
    live.retain(|(_, brief)| asked.is_code(brief));
    let turns = turns(&live);
    live.retain(|(_, brief)| asked.turn.is_none_or(|whose| whose == brief.whose));
    let is_some = asked.code.is_some() || asked.turn.is_some();
    let of_live = Narrow { shapes: is_some.then(|| numbers(live.iter())), ..narrow.clone() };
    let (of_ended, count_ended) = match asked {
        Listed { turn: Some(_), .. } => (None, 0),
        Listed { code: Some(_), .. } => {
            let mut ended = stand(at.store.shapes(project.id, Kind::Ended, &narrow).await?, &around);
            ended.retain(|(_, brief)| asked.is_code(brief));
            (Some(Narrow { shapes: Some(numbers(ended.iter())), ..narrow }), sum(&ended))
        }
        _ => {
            let count = at.store.count_listed(project.id, Kind::Ended, &narrow).await?;
            (asked.ended.then_some(narrow), count)
        }
    };
    let mut page = BranchPage { branches: Vec::new(), next: None, live: sum(&live), ended: count_ended, turns };
    let mut rows = Vec::new();
    let place = |branch: &Branch| After { changed: branch.changed, id: branch.id };
    if !matches!(asked.after, Some(Place::Ended(_))) {
        let after = match asked.after {
            Some(Place::Live(after)) => Some(after),
            _ => None,
        };
        rows = at.store.listed(project.id, Kind::Live, &of_live, after, limit + 1).await?;
        if rows.len() > limit {
            rows.truncate(limit);
            page.next = rows.last().map(|branch| Place::Live(place(branch)).to_string());
        }
    }
    if let (Some(narrow), None) = (of_ended, &page.next) {
        let room = limit - rows.len();
        let after = match asked.after {
            Some(Place::Ended(after)) => after,
            _ => None,
        };
        let mut ended = at.store.listed(project.id, Kind::Ended, &narrow, after, room + 1).await?;
        if ended.len() > room {
            ended.truncate(room);
            page.next = Some(Place::Ended(ended.last().map(place).or(after)).to_string());
        }
        rows.append(&mut ended);
    }
    let known = know_all(at, project, rows).await?;
    page.branches = known.iter().map(|known| summary(project, known)).collect();
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
