//! All projects that a master guards.

use super::frame::At;
use super::words::{Commit, count};
use super::{Context, Pages, PagesError};
use protocol::api::Project;
use serde::Serialize;

#[derive(Serialize)]
struct View {
    look: &'static str,
    headline: String,
    then: Option<String>,
    projects: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    page: String,
    url: String,
    mainline: String,
    tip: Option<Commit>,
    look: &'static str,
    says: String,
    live: u32,
    queued: u32,
}

fn line(project: &Project) -> Line {
    let (look, says) = match (&project.trouble, project.paused) {
        (Some(trouble), _) => ("exception", trouble.clone()),
        (None, true) => ("waiting", "its queue is paused".to_owned()),
        (None, false) if project.frozen.is_some() => {
            ("waiting", project.frozen.as_ref().map(|it| it.says.clone()).unwrap_or_default())
        }
        (None, false) if project.tip.is_none() => ("waiting", "mainline is not read yet".to_owned()),
        (None, false) => ("passed", "well".to_owned()),
    };
    Line {
        name: project.name.to_string(),
        page: project.page.clone(),
        url: project.url.clone(),
        mainline: project.mainline.clone(),
        tip: project.tip.as_ref().map(Commit::from),
        look,
        says,
        live: project.live,
        queued: project.queued,
    }
}

impl Pages {
    /// The list of projects; `events` is the stream that says when it would read otherwise.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn projects(&self, context: &Context, projects: &[Project], events: &str) -> Result<String, PagesError> {
        let lines: Vec<Line> = projects.iter().map(line).collect();
        let troubled: Vec<&str> = lines.iter().filter(|l| l.look == "exception").map(|l| l.name.as_str()).collect();
        let (look, headline, then) = match (lines.len(), troubled.as_slice()) {
            (0, _) => ("waiting", "No project is guarded here".to_owned(), None),
            (n, []) => ("passed", format!("{} guarded, all well", count(n, "project is", "projects are")), None),
            (_, bad) => (
                "exception",
                format!("{} in trouble: {}", count(bad.len(), "project is", "projects are"), bad.join(", ")),
                Some("Next: an admin looks after it; what is wrong stands in its line.".to_owned()),
            ),
        };
        let view = View { look, headline, then, projects: lines };
        self.render("projects", context.frame(self, At::Overview, "Projects").watching(events), view)
    }
}
