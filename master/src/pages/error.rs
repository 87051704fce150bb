//! A refusal or a failure, as a page: what happened, what to do, and the code.

use super::frame::At;
use super::words::When;
use super::{Context, Pages, PagesError};
use protocol::api::Problem;
use serde::Serialize;

#[derive(Serialize)]
struct View {
    look: &'static str,
    title: String,
    detail: String,
    hint: Option<String>,
    code: String,
    status: u16,
    asked: String,
    request: String,
    at: When,
    back: Back,
    sign_in: bool,
}

#[derive(Serialize)]
struct Back {
    href: String,
    label: &'static str,
}

/// Back to what the form stood on, or to the top.
fn back(context: &Context) -> Back {
    let base = context.base();
    let path = context.path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.strip_prefix(base.as_str()).unwrap_or_default().split('/').skip(1).collect();
    let (tail, label) = match (&context.project, parts.as_slice()) {
        (None, _) => return Back { href: "/".to_owned(), label: "Projects" },
        (_, ["branches", _]) => ("/branches".to_owned(), "Branches"),
        (_, ["branches", name, _]) => (format!("/branches/{name}"), "Back to the branch"),
        (_, ["builds", id, _, ..]) => (format!("/builds/{id}"), "Back to the build"),
        (_, ["queue", _]) => ("/queue".to_owned(), "Back to the queue"),
        _ => (String::new(), "Overview"),
    };
    Back { href: base + &tail, label }
}

impl Pages {
    /// A problem as a page. `asked` is what was asked for, `request` the word by which an admin finds it in the log.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn error(
        &self,
        context: &Context,
        problem: &Problem,
        asked: &str,
        request: &str,
    ) -> Result<String, PagesError> {
        let view = View {
            look: match problem.status {
                500.. => "exception",
                401 => "waiting",
                _ => "failed",
            },
            title: problem.title.clone(),
            detail: problem.detail.clone(),
            hint: problem.hint.as_deref().map(super::parts::sentence),
            code: problem.code.clone(),
            status: problem.status,
            asked: asked.to_owned(),
            request: request.to_owned(),
            at: When::new(context.now, context.now),
            back: back(context),
            sign_in: matches!(problem.status, 401 | 403) && !context.known(),
        };
        self.render("error", context.frame(self, At::Elsewhere, &problem.title), view)
    }
}
