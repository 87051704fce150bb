//! The queue: when does mine land, and what holds it up.

use super::frame::At;
use super::parts::{EntryLine, SteerEntry, sentence};
use super::together::{BuilderWord, LineView, builder_words, look_of};
use super::words::{Commit, Fact, When, capital, count, look, thousands};
use super::{Context, Pages, PagesError};
use gate::code::Code;
use protocol::UnixMs;
use protocol::api::{Look, Queue, QueueEntry, QueueStack};
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
    /// What of the calendar and the recipe deserves a look.
    warnings: Vec<String>,
    stacks: Vec<StackView>,
    entries: Vec<EntryLine>,
    left: Vec<EntryLine>,
}

/// A stack that is being built.
#[derive(Serialize)]
struct StackView {
    key: String,
    look: &'static str,
    purpose: String,
    since: When,
    builders: Vec<BuilderWord>,
    line: LineView,
}

impl StackView {
    fn of(stack: &QueueStack, queue: &Queue, now: UnixMs) -> Self {
        let project = &queue.project.name;
        Self {
            key: format!("stack-{}", stack.line.id),
            look: look_of(&stack.marks),
            purpose: capital(&sentence(&stack.line.purpose)),
            since: When::new(stack.since_ms, now),
            builders: builder_words(project, &stack.marks),
            line: LineView::of(project, &stack.line),
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

/// A place in the queue, with the stack above that it is tested in; `may` says whether the reader may steer it.
fn entry(entry: &QueueEntry, queue: &Queue, now: UnixMs, may: bool) -> EntryLine {
    let stack = entry.tested.as_ref().and_then(|tested| tested.stack);
    let drawn = stack.filter(|id| queue.stacks.iter().any(|stack| stack.line.id == *id));
    let mut line = EntryLine::of(entry, &queue.project.name, now);
    line.stack = drawn.map(|id| id.to_string());
    // What is being pushed is steered by nobody.
    let steerable = may && entry.code != Code::Landing.as_str();
    line.steer = steerable.then(|| SteerEntry {
        held: entry.hold.is_some(),
        expedited: entry.expedite.is_some(),
        priority: entry.priority.to_string(),
    });
    line
}

/// Whether a freeze that ends by itself keeps all from landing.
fn let_be(queue: &Queue) -> bool {
    queue.project.trouble.is_none() && queue.project.frozen.as_ref().is_some_and(|it| it.until_ms.is_some())
}

/// The answer: its look and its first sentence.
fn answer(queue: &Queue) -> (&'static str, String) {
    match queue.entries.first() {
        _ if queue.project.trouble.is_some() => {
            ("exception", format!("Nothing can land: {}", queue.project.trouble.as_deref().unwrap_or_default()))
        }
        _ if queue.project.paused => ("waiting", paused(queue)),
        _ if queue.project.frozen.is_some() => ("waiting", frozen(queue)),
        None => ("passed", "Empty: what is accepted now is tested at once".to_owned()),
        Some(first) => {
            let look = if first.look == Look::Accepted { "running" } else { look(first.look) };
            (look, format!("Running: {} is next, {}", first.branch, first.says))
        }
    }
}

/// That nothing lands by the calendar, until when and why.
fn frozen(queue: &Queue) -> String {
    let says = queue.project.frozen.as_ref().map(|it| it.says.as_str()).unwrap_or_default();
    format!("{}; testing goes on", capital(says))
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
        let (now, project) = (context.now, &shown.project.name);
        let (look, headline) = answer(shown);
        let next = shown.entries.first().map(|e| &e.next).filter(|n| !n.who.is_empty() && n.who != "nobody");
        let (who, what) = match next {
            _ if shown.project.paused => (Some("a maintainer".to_owned()), "resumes it.".to_owned()),
            _ if let_be(shown) => (Some("bb".to_owned()), "lands again when the freeze ends.".to_owned()),
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
            warnings: shown.project.warnings.iter().map(|it| capital(&sentence(it))).collect(),
            stacks: shown.stacks.iter().map(|stack| StackView::of(stack, shown, now)).collect(),
            entries: shown.entries.iter().map(|e| entry(e, shown, now, may)).collect(),
            left: shown.left.iter().map(|e| EntryLine::of(e, project, now)).collect(),
        };
        let frame = context.frame(self, At::Queue, "Queue").renewed_by(&[("project", shown.project.name.as_str())]);
        self.render("queue", frame, view)
    }
}
