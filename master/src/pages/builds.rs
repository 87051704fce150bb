//! The builds of a project, newest first: what was built, where, and how it ended.

use super::frame::At;
use super::parts::BuildLine;
use super::words::When;
use super::{Context, Pages, PagesError};
use protocol::api::{BuildPage, BuildSummary};
use protocol::{BuildResult, UnixMs};
use serde::Serialize;

/// What the listing is narrowed by; empty where it is not.
#[derive(Clone, Debug, Default)]
pub(crate) struct AskedBuilds {
    /// The branch.
    pub(crate) branch: String,
    /// The builder.
    pub(crate) builder: String,
    /// The slave.
    pub(crate) slave: String,
    /// `waiting`, `running` or a result.
    pub(crate) state: String,
    /// Whether it is a later page than the first.
    pub(crate) later: bool,
}

#[derive(Serialize)]
struct View {
    page: String,
    branch: String,
    builder: String,
    slave: String,
    states: Vec<Choice>,
    builds: Vec<Line>,
    none: &'static str,
    first: Option<String>,
    next: Option<String>,
}

/// A state that can be chosen.
#[derive(Serialize)]
struct Choice {
    value: &'static str,
    label: &'static str,
    chosen: bool,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    build: BuildLine,
    asked: When,
}

fn line(build: &BuildSummary, now: UnixMs) -> Line {
    Line { build: BuildLine::of(build, now), asked: When::new(build.requested_ms, now) }
}

impl AskedBuilds {
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all =
            [("branch", &self.branch), ("builder", &self.builder), ("slave", &self.slave), ("state", &self.state)];
        all.into_iter().map(|(name, value)| (name, value.as_str())).filter(|(_, value)| !value.is_empty())
    }

    /// The query of a page of the same listing.
    fn query(&self, before: Option<&str>) -> String {
        let pairs = self.pairs().chain(before.map(|before| ("before", before)));
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }

    fn states(&self) -> Vec<Choice> {
        let open = [("", "any state"), ("waiting", "waiting"), ("running", "running")];
        let ended = BuildResult::ALL.map(|result| (result.as_str(), gate::verdict::result_mark(result).1));
        let choice = |(value, label)| Choice { value, label, chosen: value == self.state };
        open.into_iter().chain(ended).map(choice).collect()
    }
}

impl Pages {
    /// The listing.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn builds(
        &self,
        context: &Context,
        listed: &BuildPage,
        asked: &AskedBuilds,
    ) -> Result<String, PagesError> {
        let next = listed.next.map(|next| asked.query(Some(&next.to_string())));
        let narrowed = asked.pairs().next().is_some();
        let view = View {
            page: format!("{}/builds", context.base()),
            branch: asked.branch.clone(),
            builder: asked.builder.clone(),
            slave: asked.slave.clone(),
            states: asked.states(),
            builds: listed.builds.iter().map(|build| line(build, context.now)).collect(),
            none: match (&next, narrowed, asked.later) {
                (Some(_), ..) => "None of those that were looked through is all of that; older ones may be.",
                (None, true, _) | (None, _, true) => "No build is all of that.",
                (None, false, false) => "Nothing was built yet.",
            },
            first: asked.later.then(|| asked.query(None)),
            next,
        };
        let frame = context.frame(self, At::Builds, "Builds");
        let frame = match &context.project {
            Some(project) if !asked.later => frame.renewed_by(&[("project", project.as_str())]),
            _ => frame,
        };
        self.render("builds", frame, view)
    }
}
