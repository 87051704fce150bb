//! What was said of a branch, and the forms by which more is said.

use super::frame::At;
use super::words::{Commit, When, count};
use super::{Context, Pages, PagesError};
use crate::names;
use protocol::api::{Place, Review, ReviewTally, Side, Thread, Vote};
use serde::Serialize;

/// The lines that the form is about, as a link to it says.
#[derive(Debug, Default)]
pub(crate) struct About {
    /// The file; empty for the whole.
    pub(crate) path: String,
    /// Which side of it.
    pub(crate) side: Side,
    /// The first line.
    pub(crate) line: Option<u32>,
}

#[derive(Serialize)]
struct View {
    name: String,
    page: String,
    action: String,
    tally: String,
    form: Option<FormView>,
    may: bool,
    votes: Vec<VoteLine>,
    threads: Vec<ThreadView>,
    later: Option<String>,
}

#[derive(Serialize)]
struct FormView {
    revision: u32,
    commit: Commit,
    path: String,
    is_old: bool,
    line: Option<u32>,
}

#[derive(Serialize)]
struct VoteLine {
    look: &'static str,
    word: &'static str,
    by: String,
    revision: u32,
    at: When,
    why_not: &'static str,
}

#[derive(Serialize)]
struct ThreadView {
    id: i64,
    look: &'static str,
    state: String,
    place: String,
    line: String,
    is_open: bool,
    comments: Vec<CommentView>,
}

#[derive(Serialize)]
struct CommentView {
    id: i64,
    by: String,
    at: When,
    text: String,
}

/// What counts, in a sentence.
pub(super) fn tally(tally: &ReviewTally) -> String {
    let n = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let votes = match (tally.up, tally.down) {
        (0, 0) => "no votes that count".to_owned(),
        (up, 0) => format!("{} for it", count(n(up), "vote", "votes")),
        (0, down) => format!("{} against it", count(n(down), "vote", "votes")),
        (up, down) => format!("{} for it, {down} against", count(n(up), "vote", "votes")),
    };
    match (tally.threads, tally.open) {
        (0, _) => format!("{votes}; no comments"),
        (all, open) => format!("{votes}; {} open of {all}", count(n(open), "thread", "threads")),
    }
}

fn place(revision: u32, on: Option<&Place>) -> String {
    match on {
        None => format!("r{revision} as a whole"),
        Some(Place { path, side, from, to, .. }) => {
            let lines = if from == to { format!("line {from}") } else { format!("lines {from} to {to}") };
            let side = if *side == Side::Old { ", as it was before" } else { "" };
            format!("r{revision}, {path}, {lines}{side}")
        }
    }
}

impl VoteLine {
    fn of(vote: &Vote, context: &Context) -> Self {
        let (look, word) = match vote.value {
            1 => ("passed", "+1"),
            -1 => ("failed", "-1"),
            _ => ("waiting", "0"),
        };
        let (revision, at, why_not) = (vote.revision, When::new(vote.at_ms, context.now), vote.standing.words());
        Self { look, word, by: vote.by.clone(), revision, at, why_not }
    }
}

impl ThreadView {
    fn of(thread: &Thread, context: &Context) -> Self {
        let comments = thread.comments.iter().map(|it| CommentView {
            id: it.id,
            by: it.by.clone(),
            at: When::new(it.at_ms, context.now),
            text: it.text.clone(),
        });
        let resolved = thread.resolved_by.as_ref();
        Self {
            id: thread.id,
            look: if resolved.is_some() { "passed" } else { "waiting" },
            state: resolved.map_or_else(|| "Open".to_owned(), |by| format!("Resolved by {by}")),
            place: place(thread.revision, thread.on.as_ref()),
            line: thread.on.as_ref().map(|on| on.line.clone()).unwrap_or_default(),
            is_open: resolved.is_none(),
            comments: comments.collect(),
        }
    }
}

impl Pages {
    /// What was said of a branch.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn review(
        &self,
        context: &Context,
        page: &str,
        review: &Review,
        about: &About,
        may: bool,
    ) -> Result<String, PagesError> {
        let action = names::review_page(page);
        let form = review.revision.zip(review.commit.as_ref()).filter(|_| may).map(|(revision, commit)| FormView {
            revision,
            commit: Commit::from(commit),
            path: about.path.chars().take(4096).collect(),
            is_old: about.side == Side::Old,
            line: about.line,
        });
        let view = View {
            name: review.branch.to_string(),
            page: page.to_owned(),
            tally: tally(&review.tally),
            form,
            may,
            votes: review.votes.iter().map(|vote| VoteLine::of(vote, context)).collect(),
            threads: review.threads.iter().map(|thread| ThreadView::of(thread, context)).collect(),
            later: review.next.map(|next| format!("{action}?before={next}")),
            action,
        };
        self.render("review", context.frame(self, At::Branches, &format!("Review of {}", review.branch)), view)
    }
}
