//! The branches of a project: whose turn it is, branch by branch.

use super::frame::At;
use super::parts::Marks;
use super::words::{Fact, Link, When, look, of_branches};
use super::{Context, Pages, PagesError};
use protocol::UnixMs;
use protocol::api::{BranchSummary, Look};
use serde::Serialize;

/// What the listing is narrowed by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Narrowed {
    /// The text looked for.
    pub(crate) q: String,
    /// Whether branches that ended are listed, too.
    pub(crate) ended: bool,
}

#[derive(Serialize)]
struct View {
    page: String,
    look: &'static str,
    headline: String,
    then: Option<String>,
    turns: Vec<Fact>,
    count_note: String,
    q: String,
    live: bool,
    all: bool,
    live_query: String,
    all_query: String,
    builders: String,
    branches: Vec<Line>,
    none: String,
}

#[derive(Serialize)]
struct Line {
    name: String,
    title: String,
    page: String,
    look: &'static str,
    state: String,
    marks: Marks,
    next_who: String,
    next_what: String,
    bugs: Vec<Link>,
    author: String,
    revision: Option<u32>,
    changed: When,
}

fn line(branch: &BranchSummary, now: UnixMs) -> Line {
    let next = &branch.verdict.next;
    Line {
        name: branch.name.to_string(),
        title: branch.title.clone(),
        page: branch.page.clone(),
        look: look(branch.verdict.look),
        state: branch.verdict.state.clone(),
        marks: Marks::of(&branch.marks),
        next_who: next.who.clone(),
        next_what: next.what.clone(),
        bugs: branch.bugs.iter().map(|bug| Link::bug(bug)).collect(),
        author: branch.author.clone().unwrap_or_else(|| branch.publisher.clone()),
        revision: branch.revision,
        changed: When::new(branch.changed_ms, now),
    }
}

fn ended(branch: &BranchSummary) -> bool {
    matches!(branch.verdict.look, Look::Landed)
        || matches!(branch.verdict.state.as_str(), "landed" | "withdrawn" | "retired")
}

/// Whose turn it is, in three counts: bb's, a maintainer's, an author's.
fn turns(branches: &[&BranchSummary]) -> [usize; 3] {
    let mut turns = [0; 3];
    for branch in branches {
        match branch.verdict.next.who.as_str() {
            "bb" | "nobody" => turns[0] += 1,
            "a maintainer" | "an admin" => turns[1] += 1,
            _ => turns[2] += 1,
        }
    }
    turns
}

impl Pages {
    /// The listing.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn branches(
        &self,
        context: &Context,
        branches: &[BranchSummary],
        narrowed: &Narrowed,
    ) -> Result<String, PagesError> {
        let live: Vec<&BranchSummary> = branches.iter().filter(|b| !ended(b)).collect();
        let [bb, maintainer, author] = turns(&live);
        let (look, headline, then) = match (live.len(), maintainer, author) {
            (0, ..) if narrowed.q.is_empty() => ("waiting", "No branch is live".to_owned(), None),
            (0, ..) => ("waiting", "No live branch has this in it".to_owned(), None),
            (_, 0, 0) => ("running", "All go on by themselves".to_owned(), None),
            (_, 0, n) => ("waiting", format!("{} for their authors; nothing waits for a maintainer", wait(n)), None),
            (_, n, _) => {
                let then = Some("Next: a maintainer looks at those whose turn is theirs.".to_owned());
                ("waiting", format!("{} for a maintainer or an admin", wait(n)), then)
            }
        };
        let builders: Vec<&str> =
            live.first().map(|b| b.marks.iter().map(|m| m.builder.as_str()).collect()).unwrap_or_default();
        let encoded: String = url::form_urlencoded::byte_serialize(narrowed.q.as_bytes()).collect();
        let query = |state: &str| match (encoded.is_empty(), state.is_empty()) {
            (true, true) => String::new(),
            (true, false) => format!("?state={state}"),
            (false, true) => format!("?q={encoded}"),
            (false, false) => format!("?q={encoded}&state={state}"),
        };
        let view = View {
            page: format!("{}/branches", context.base()),
            look,
            headline,
            then,
            turns: vec![
                Fact::new("By themselves", of_branches(bb)),
                Fact::new("Need a maintainer", of_branches(maintainer)),
                Fact::new("Need their author", of_branches(author)),
            ],
            count_note: if narrowed.ended {
                format!("{} live, {} ended", live.len(), branches.len() - live.len())
            } else {
                format!("{} live", live.len())
            },
            live: !narrowed.ended,
            all: narrowed.ended,
            live_query: query(""),
            all_query: query("all"),
            builders: builders.join(", "),
            branches: branches.iter().map(|b| line(b, context.now)).collect(),
            none: if narrowed.q.is_empty() {
                "None yet: publish one.".to_owned()
            } else {
                format!("None with `{}` in its name, title, bugs, author or state.", narrowed.q)
            },
            q: narrowed.q.clone(),
        };
        let frame = context.frame(self, At::Branches, "Branches");
        let frame = match &context.project {
            Some(project) => frame.renewed_by(&[("project", project.as_str())]),
            None => frame,
        };
        self.render("branches", frame, view)
    }
}

fn wait(n: usize) -> String {
    if n == 1 { "1 branch waits".to_owned() } else { format!("{n} branches wait") }
}
