//! The branches of a project: whose turn it is, branch by branch.

use super::frame::At;
use super::parts::Marks;
use super::words::{Fact, Link, When, count, look, of_branches, thousands};
use super::{Context, Pages, PagesError};
use gate::verdict::Whose;
use protocol::UnixMs;
use protocol::api::{BranchPage, BranchSummary, Turns};
use serde::Serialize;

/// What the listing is narrowed by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Narrowed {
    /// The text looked for.
    pub(crate) q: String,
    /// `all`, the code of a verdict, or empty for those that are live.
    pub(crate) state: String,
    /// Whose turn it is, if that is asked for.
    pub(crate) turn: String,
    /// Whose they are, if that is asked for.
    pub(crate) owner: String,
    /// The bug, if one is asked for.
    pub(crate) bug: String,
    /// Whether it is a later page than the first.
    pub(crate) later: bool,
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
    narrowed: Vec<Given>,
    whose: Vec<Tab>,
    builders: String,
    branches: Vec<Line>,
    none: String,
    first: Option<String>,
    next: Option<String>,
}

/// What the form sends along.
#[derive(Serialize)]
struct Given {
    name: &'static str,
    value: String,
}

/// Those whose turn it is so.
#[derive(Serialize)]
struct Tab {
    label: &'static str,
    count: String,
    query: String,
    is_shown: bool,
}

#[derive(Serialize)]
struct Line {
    name: String,
    title: String,
    page: String,
    look: &'static str,
    state: String,
    changes_recipe: bool,
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
        changes_recipe: branch.changes_recipe,
        marks: Marks::of(&branch.marks),
        next_who: next.who.clone(),
        next_what: next.what.clone(),
        bugs: branch.bugs.iter().map(|bug| Link::bug(bug)).collect(),
        author: branch.author.clone().unwrap_or_else(|| branch.publisher.clone()),
        revision: branch.revision,
        changed: When::new(branch.changed_ms, now),
    }
}

impl Pages {
    /// The listing.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn branches(
        &self,
        context: &Context,
        listed: &BranchPage,
        narrowed: &Narrowed,
    ) -> Result<String, PagesError> {
        let Turns { bb, maintainer, author } = listed.turns;
        let (look, headline, then) = match (listed.live, maintainer, author) {
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
            listed.branches.first().map(|b| b.marks.iter().map(|m| m.builder.as_str()).collect()).unwrap_or_default();
        let query = |state: &str, turn: &str, after: Option<&str>| {
            let given = [
                ("q", narrowed.q.as_str()),
                ("state", state),
                ("turn", turn),
                ("owner", narrowed.owner.as_str()),
                ("bug", narrowed.bug.as_str()),
                ("after", after.unwrap_or_default()),
            ];
            let given = given.into_iter().filter(|(_, value)| !value.is_empty());
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
            if query.is_empty() { query } else { format!("?{query}") }
        };
        let (state, turn) = (narrowed.state.as_str(), narrowed.turn.as_str());
        let tab = |label, whose: Whose, n: u32| Tab {
            label,
            count: thousands(u64::from(n)),
            query: query(if state == "all" { "" } else { state }, whose.as_str(), None),
            is_shown: turn == whose.as_str(),
        };
        let is_all = turn.is_empty() && state == "all";
        let view = View {
            page: format!("{}/branches", context.base()),
            look,
            headline,
            then,
            turns: vec![
                Fact::new("By themselves", of_branches(bb as usize)),
                Fact::new("Need a maintainer", of_branches(maintainer as usize)),
                Fact::new("Need their author", of_branches(author as usize)),
            ],
            count_note: format!("{} live, {} ended", thousands(listed.live), thousands(listed.ended)),
            live: turn.is_empty() && state.is_empty(),
            all: is_all,
            live_query: query("", "", None),
            all_query: query("all", "", None),
            narrowed: [("state", state), ("turn", turn), ("owner", &narrowed.owner), ("bug", &narrowed.bug)]
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| Given { name, value: value.to_owned() })
                .collect(),
            whose: vec![
                tab("A maintainer’s turn", Whose::Maintainer, maintainer),
                tab("Their author’s", Whose::Author, author),
                tab("bb’s", Whose::Bb, bb),
            ],
            builders: builders.join(", "),
            branches: listed.branches.iter().map(|b| line(b, context.now)).collect(),
            none: match (narrowed.q.as_str(), narrowed.later) {
                (_, true) => "No more.".to_owned(),
                ("", false) => "None yet: publish one.".to_owned(),
                (q, false) if listed.ended > 0 => {
                    let ended = usize::try_from(listed.ended).unwrap_or(usize::MAX);
                    let n = count(ended, "branch that ended has", "branches that ended have");
                    format!("None that is live with `{q}` in its name, title, bugs, author or state; {n} it.")
                }
                (q, false) => format!("None with `{q}` in its name, title, bugs, author or state."),
            },
            first: narrowed.later.then(|| query(state, turn, None)),
            next: listed.next.as_deref().map(|next| query(state, turn, Some(next))),
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

fn wait(n: u32) -> String {
    if n == 1 { "1 branch waits".to_owned() } else { format!("{n} branches wait") }
}
