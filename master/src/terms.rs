//! The terms of a candidate: everything of the commit that people decide, beside what it merges. A branch's candidate is made
//! by those of the moment; an acceptance binds them, so that what lands is what was accepted, to the letter and the day.

use crate::names;
use crate::project::Guarded;
use crate::state::Shared;
use crate::store::{self, Branch};
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;
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
pub(crate) fn today() -> Date {
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
        Self::of_kept(&entry.terms)
    }

    /// The same of what the store keeps.
    pub(crate) fn of_kept(kept: &store::Terms) -> Result<Option<Self>, serde_json::Error> {
        if kept.json.is_empty() { Ok(None) } else { serde_json::from_str(&kept.json).map(Some) }
    }

    /// Those of the place that a branch has in the queue, of all its places.
    pub(crate) fn queued(entries: &[store::Entry]) -> Option<Self> {
        let queued = entries.iter().find(|entry| entry.state == store::EntryState::Queued)?;
        Self::of_entry(queued).ok().flatten()
    }

    /// What somebody is shown of them before he accepts, as one word: all but the day.
    pub(crate) fn words(&self) -> Words {
        let Message { title, bugs, page, trailers } = &self.message;
        let style = match self.style {
            Style::Merge => "merge",
        };
        let trailers: Vec<&str> = trailers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
        let bugs: Vec<&str> = bugs.iter().map(String::as_str).collect();
        let page: Vec<&str> = page.iter().map(String::as_str).collect();
        Words {
            all: hash(&[&[title.as_str(), style], &bugs[..], &page[..], &trailers[..]], 32),
            title: hash(&[&[title.as_str()]], 4),
            bugs: hash(&[&bugs[..]], 4),
        }
    }

    /// As the store keeps them.
    pub(crate) fn kept(&self) -> Result<store::Terms, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        Ok(store::Terms { hash: crate::auth::hash(&json), json })
    }
}

/// The first digits of the hash of lists of texts, each with its length before it: no other texts give the same.
fn hash(lists: &[&[&str]], digits: usize) -> String {
    let mut whole = String::new();
    for list in lists {
        whole.push_str(&format!("{} texts\n", list.len()));
        list.iter().for_each(|text| whole.push_str(&format!("{}:{text}\n", text.len())));
    }
    crate::auth::hash(&whole)[..digits].to_owned()
}

/// The words of terms as a reader carries them from what he was shown to his acceptance. What binds is the hash of all of
/// them; by the few digits behind it is told which of them are others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Words {
    all: String,
    title: String,
    bugs: String,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.all, self.title, self.bugs)
    }
}

impl Words {
    /// Whether these are the ones that somebody was shown.
    pub(crate) fn were_shown(&self, shown: &str) -> bool {
        shown.split('-').next() == Some(self.all.as_str())
    }
}

impl Terms {
    /// How these differ from what somebody was shown, in words.
    pub(crate) fn changed_since(&self, shown: &str) -> String {
        let Message { title, bugs, .. } = &self.message;
        let now = self.words();
        let mut parts = shown.split('-').skip(1);
        let (other_title, other_bugs) = (parts.next() != Some(&now.title), parts.next() != Some(&now.bugs));
        let title = match title.as_str() {
            "" => "it has no title of its own now".to_owned(),
            title => format!("its title is now `{title}`"),
        };
        let bugs = if bugs.is_empty() {
            "it names no bug now".to_owned()
        } else {
            format!("its bugs are now {}", bugs.join(", "))
        };
        match (other_title, other_bugs) {
            (true, true) => format!("{title}, and {bugs}"),
            (true, false) => title,
            (false, true) => bugs,
            (false, false) => "how its message is made is another now".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(title: &str, bugs: &[&str]) -> Terms {
        let bugs = bugs.iter().map(|bug| (*bug).to_owned()).collect();
        let message = Message { title: title.to_owned(), bugs, page: None, trailers: Vec::new() };
        Terms { day: Date::constant(2026, 11, 26), message, style: Style::Merge }
    }

    #[test]
    fn words_are_those_of_all_but_the_day() {
        let one = terms("Say hello", &["7"]);
        let other_day = Terms { day: Date::constant(2026, 11, 27), ..one.clone() };
        assert!(other_day.words().were_shown(&one.words().to_string()));
        let with_page = Message { page: Some("http://x".to_owned()), ..one.message.clone() };
        let others = [
            (terms("Say more", &["7"]), "its title is now `Say more`"),
            (terms("", &["7"]), "it has no title of its own now"),
            (terms("Say hello", &["7", "8"]), "its bugs are now 7, 8"),
            (terms("Say hello", &["78"]), "its bugs are now 78"),
            (terms("Say hello", &[]), "it names no bug now"),
            (terms("Say more", &[]), "its title is now `Say more`, and it names no bug now"),
            (Terms { message: with_page, ..one.clone() }, "how its message is made is another now"),
        ];
        for (other, words) in others {
            assert!(!other.words().were_shown(&one.words().to_string()), "{words}");
            assert_eq!(other.changed_since(&one.words().to_string()), words);
        }
        for nonsense in ["", "-", "x-y-z-1"] {
            assert!(!one.words().were_shown(nonsense));
            assert_eq!(one.changed_since(nonsense), "its title is now `Say hello`, and its bugs are now 7");
        }
    }
}
