//! A branch's revisions beyond those that its page shows; and the page by which somebody claims a branch.

use super::branch::RevisionLine;
use super::frame::At;
use super::login::Told;
use super::{Context, Pages, PagesError};
use crate::names;
use protocol::BranchName;
use protocol::api::{Claimed, Problem, Revisions};
use serde::Serialize;

#[derive(Serialize)]
struct RevisionsView {
    name: String,
    page: String,
    revisions: Vec<RevisionLine>,
    older: Option<String>,
}

#[derive(Serialize)]
struct ClaimView {
    name: String,
    page: String,
    may: bool,
    problem: Option<Told>,
    proved: bool,
    repository: String,
    push: Option<String>,
}

impl Pages {
    /// Revisions, a page of them.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn revisions(
        &self,
        context: &Context,
        name: &BranchName,
        page: &str,
        listed: &Revisions,
    ) -> Result<String, PagesError> {
        let view = RevisionsView {
            name: name.to_string(),
            page: page.to_owned(),
            revisions: listed.revisions.iter().map(|r| RevisionLine::of(r, context.now)).collect(),
            older: listed.older.map(|before| names::older_revisions(page, before)),
        };
        self.render("revisions", context.frame(self, At::Branches, name.as_str()), view)
    }

    /// The page by which a branch is claimed; with what came of it, or what was wrong.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn claim(
        &self,
        context: &Context,
        name: &BranchName,
        page: &str,
        claimed: Option<&Claimed>,
        problem: Option<&Problem>,
    ) -> Result<String, PagesError> {
        let view = ClaimView {
            name: name.to_string(),
            page: page.to_owned(),
            may: context.known(),
            problem: problem.map(|p| Told::new(p, None)),
            proved: claimed.is_some_and(|it| it.proved),
            repository: claimed.map(|it| it.repository.clone()).unwrap_or_default(),
            push: claimed.filter(|it| !it.proved).map(|it| it.push.clone()),
        };
        self.render("claim", context.frame(self, At::Branches, &format!("Claim {name}")), view)
    }
}
