//! The queue: when does mine land, and what holds it up.

use super::frame::At;
use super::parts::{EntryLine, Marks, sentence};
use super::words::{Commit, Fact, When, count, look, thousands};
use super::{Context, Pages, PagesError};
use crate::names;
use protocol::api::{Look, Queue, QueueStack};
use protocol::{BranchName, UnixMs};
use serde::Serialize;

#[derive(Serialize)]
struct View {
    page: String,
    count_note: String,
    steer: Option<Steer>,
    look: &'static str,
    headline: String,
    who: Option<String>,
    what: String,
    facts: Vec<Fact>,
    tip: Option<Commit>,
    tip_seen: Option<When>,
    trouble: Option<String>,
    stacks: Vec<StackLine>,
    entries: Vec<EntryLine>,
    left: Vec<EntryLine>,
}

/// A stack that is being built.
#[derive(Serialize)]
struct StackLine {
    key: String,
    purpose: String,
    id: Commit,
    branches: Vec<Named>,
    marks: Marks,
    since: When,
}

#[derive(Serialize)]
struct Named {
    name: String,
    page: String,
}

impl StackLine {
    fn of(stack: &QueueStack, queue: &Queue, now: UnixMs) -> Self {
        let named = |name: &BranchName| {
            let page = names::branch_page(&queue.project.name, name);
            Named { name: name.to_string(), page }
        };
        Self {
            key: format!("stack-{}", stack.id),
            purpose: stack.purpose.clone(),
            id: Commit::from(&stack.commit),
            branches: stack.branches.iter().map(named).collect(),
            marks: Marks::of(&stack.marks),
            since: When::new(stack.since_ms, now),
        }
    }
}

#[derive(Serialize)]
struct Steer {
    verb: &'static str,
    label: &'static str,
    /// Whether a reason may be given.
    why: bool,
}

/// The answer: its look and its first sentence.
fn answer(queue: &Queue) -> (&'static str, String) {
    match queue.entries.first() {
        _ if queue.project.trouble.is_some() => {
            ("exception", format!("Nothing can land: {}", queue.project.trouble.as_deref().unwrap_or_default()))
        }
        _ if queue.project.paused => ("waiting", paused(queue)),
        None => ("passed", "Empty: what is accepted now is tested at once".to_owned()),
        Some(first) => {
            let look = if first.look == Look::Accepted { "running" } else { look(first.look) };
            (look, format!("Running: {} is next, {}", first.branch, first.says))
        }
    }
}

/// That it is paused, by whom and why.
fn paused(queue: &Queue) -> String {
    match &queue.project.pause {
        Some(it) if it.reason.is_empty() => format!("Paused by {}: nothing lands until a maintainer resumes it", it.by),
        Some(it) => format!("Paused by {}, nothing lands until a maintainer resumes it: {}", it.by, it.reason),
        None => "Paused: nothing lands until a maintainer resumes it".to_owned(),
    }
}

impl Pages {
    /// The queue's page; `may` says whether the reader may pause and resume it.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn queue(&self, context: &Context, shown: &Queue, may: bool) -> Result<String, PagesError> {
        let now = context.now;
        let (look, headline) = answer(shown);
        let next = shown.entries.first().map(|e| &e.next).filter(|n| !n.who.is_empty() && n.who != "nobody");
        let (who, what) = match next {
            _ if shown.project.paused => (Some("a maintainer".to_owned()), "resumes it.".to_owned()),
            Some(next) => (Some(next.who.clone()), sentence(&next.what)),
            None => (None, String::new()),
        };
        let landed = shown.left.iter().filter(|e| e.look == Look::Landed).count();
        let view = View {
            page: format!("{}/queue", context.base()),
            count_note: match shown.project.queued as usize {
                0 => "Nothing is accepted that has not landed".to_owned(),
                n if n > shown.entries.len() => {
                    let first = thousands(shown.entries.len() as u64);
                    format!("{} accepted; these are the first {first}", count(n, "branch is", "branches are"))
                }
                n => format!("{} accepted", count(n, "branch is", "branches are")),
            },
            steer: may.then_some(if shown.project.paused {
                Steer { verb: "resume", label: "Resume", why: false }
            } else {
                Steer { verb: "pause", label: "Pause", why: true }
            }),
            look,
            headline,
            who,
            what,
            facts: vec![
                Fact::new("In the queue", thousands(u64::from(shown.project.queued))),
                Fact::new("Landed lately", landed.to_string()),
                Fact::new("Left unlanded", (shown.left.len() - landed).to_string()),
            ],
            tip: shown.project.tip.as_ref().map(Commit::from),
            tip_seen: shown.project.tip_seen_ms.map(|at| When::new(at, now)),
            trouble: shown.project.trouble.clone(),
            stacks: shown.stacks.iter().map(|stack| StackLine::of(stack, shown, now)).collect(),
            entries: shown.entries.iter().map(|e| EntryLine::of(e, now)).collect(),
            left: shown.left.iter().map(|e| EntryLine::of(e, now)).collect(),
        };
        let frame = context.frame(self, At::Queue, "Queue").renewed_by(&[("project", shown.project.name.as_str())]);
        self.render("queue", frame, view)
    }
}
