//! The terms of a candidate: everything of the commit that people decide, beside what it merges. A branch's candidate is made
//! by those of the moment; an acceptance binds them, so that what lands is what was accepted, to the letter and the day.

use crate::names;
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{self, Branch};
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use tracker::candidate::Message;

/// The terms.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// The day that its ChangeLog entries get.
    pub(crate) day: Date,
    /// What its message says.
    pub(crate) message: Message,
    /// How it is joined to mainline.
    pub(crate) style: Style,
}

/// How a candidate is joined to mainline.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Style {
    /// By a merge commit.
    Merge,
}

/// The day that entries folded now are dated, in UTC.
fn today() -> Date {
    Timestamp::now().to_zoned_datetime(TimeZone::UTC).date()
}

impl Terms {
    /// Those of the moment.
    pub(crate) fn of_now(shared: &Shared, project: &Guarded, branch: &Branch) -> Self {
        let page = names::branch_page(&project.name, &branch.name);
        let message = Message {
            // Where it has none, the accepted commits say it.
            title: branch.title.clone(),
            bugs: branch.bugs.clone(),
            page: Some(format!("{}{page}", shared.url)),
            trailers: Vec::new(),
        };
        Self { day: today(), message, style: Style::Merge }
    }

    /// Those that an acceptance binds; none when it was made before they were kept.
    pub(crate) fn of_entry(entry: &store::Entry) -> Result<Option<Self>, serde_json::Error> {
        if entry.terms.json.is_empty() { Ok(None) } else { serde_json::from_str(&entry.terms.json).map(Some) }
    }

    /// As the store keeps them.
    pub(crate) fn kept(&self) -> Result<store::Terms, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        Ok(store::Terms { hash: crate::auth::hash(&json), json })
    }
}
