//! What happened.

use super::Look;
use crate::{BranchName, BuildId, EventId, ProjectName, UnixMs};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where a follower of the event stream is: it has seen all up to an event, as the store's history was. It is the `id` of the
/// stream, and a follower shows it again as `Last-Event-ID` or `since`. Numbers alone go back when a store is restored from a
/// backup; the epoch tells by which history a number was seen.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventMark {
    /// The event; 0 before the first.
    pub event: EventId,
    /// The epoch's word; empty where it is not known.
    pub epoch: String,
}

/// The text says no place in the event stream.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no place in the event stream: give the `id` of an event as the stream said it, or 0 for all events")]
pub struct NoEventMark(pub String);

impl fmt::Display for EventMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch.is_empty() { self.event.fmt(f) } else { write!(f, "{}-{}", self.event, self.epoch) }
    }
}

impl FromStr for EventMark {
    type Err = NoEventMark;

    fn from_str(text: &str) -> Result<Self, NoEventMark> {
        let bad = || NoEventMark(text.chars().take(60).collect());
        let (event, epoch) = text.split_once('-').unwrap_or((text, ""));
        let well = epoch.len() <= 64 && epoch.bytes().all(|b| b.is_ascii_alphanumeric());
        let event: EventId = event.parse().map_err(|_| bad())?;
        if well && event.0 >= 0 { Ok(Self { event, epoch: epoch.to_owned() }) } else { Err(bad()) }
    }
}

impl TryFrom<String> for EventMark {
    type Error = NoEventMark;

    fn try_from(text: String) -> Result<Self, NoEventMark> {
        text.parse()
    }
}

impl From<EventMark> for String {
    fn from(mark: EventMark) -> Self {
        mark.to_string()
    }
}

/// Something that happened; the event stream, the timeline and the audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: EventId,
    /// When.
    pub at_ms: UnixMs,
    /// The project.
    pub project: Option<ProjectName>,
    /// The branch.
    pub branch: Option<BranchName>,
    /// The build.
    pub build: Option<BuildId>,
    /// The stable word: `published`, `revision`, `candidate`, `build-finished`, `accepted`, `landed`, …; `reset` where what a
    /// follower saw before is not this store's history any more, so that it reads everything anew.
    pub kind: String,
    /// Its look.
    pub look: Look,
    /// What happened, a sentence without its end.
    pub text: String,
    /// Who did it.
    pub actor: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is_one() {
        for text in ["0", "812", "812-0af3"] {
            assert_eq!(text.parse().map(|mark: EventMark| mark.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "-", "x", "-1", "1-a-b", "1-ä", "9999999999999999999", "1 ", &format!("1-{}", "a".repeat(65))]
        {
            assert!(wrong.parse::<EventMark>().is_err(), "{wrong}");
        }
    }
}
