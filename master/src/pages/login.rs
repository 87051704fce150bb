//! Signing in by a token.

use super::frame::At;
use super::{Context, Pages, PagesError};
use protocol::api::Problem;
use serde::Serialize;

#[derive(Serialize)]
struct View {
    problem: Option<Told>,
    next: String,
}

/// What was wrong.
#[derive(Serialize)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) hint: Option<String>,
    pub(super) code: String,
    /// The field to mend.
    pub(super) field: Option<&'static str>,
}

impl Told {
    pub(super) fn new(problem: &Problem, field: Option<&'static str>) -> Self {
        Self {
            text: super::words::capital(&super::parts::sentence(&problem.detail)),
            hint: problem.hint.as_deref().map(|hint| super::words::capital(&super::parts::sentence(hint))),
            code: problem.code.clone(),
            field,
        }
    }
}

impl Pages {
    /// The form that takes a token; `next` is the path that signing in leads to.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn login(&self, context: &Context, next: &str, problem: Option<&Problem>) -> Result<String, PagesError> {
        let view = View { problem: problem.map(|p| Told::new(p, None)), next: next.to_owned() };
        self.render("login", context.frame(self, At::Elsewhere, "Sign in"), view)
    }
}
