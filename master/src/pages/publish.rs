//! The form by which a branch is published.

use super::frame::At;
use super::login::Told;
use super::{Context, Pages, PagesError};
use protocol::api::Problem;
use serde::{Deserialize, Serialize};

/// What stands in the form.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Filled {
    #[serde(default)]
    pub(crate) csrf: String,
    #[serde(default)]
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) branch: String,
    #[serde(default)]
    pub(crate) bugs: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) title: String,
}

impl Filled {
    /// The same without passwords, which somebody may have sent in any of the fields: they are not sent back.
    pub(crate) fn without_secrets(&self) -> Self {
        let clean = |text: &String| tracker::source::without_secrets(text);
        Self {
            csrf: self.csrf.clone(),
            url: tracker::source::url_without_secrets(&self.url),
            branch: clean(&self.branch),
            bugs: clean(&self.bugs),
            name: clean(&self.name),
            title: clean(&self.title),
        }
    }
}

#[derive(Serialize)]
struct View {
    page: String,
    overview: String,
    may: bool,
    problem: Option<Told>,
    fields: Vec<Field>,
}

#[derive(Serialize)]
struct Field {
    id: &'static str,
    label: &'static str,
    value: String,
    optional: bool,
    bad: bool,
    help: &'static str,
}

/// The field that a code is about.
fn field_of(code: &str) -> Option<&'static str> {
    match code {
        code if code.starts_with("url") || code.contains("address") || code.contains("local") => Some("url"),
        code if code.starts_with("ref") || code.contains("branch") || code == "is-mainline" => Some("branch"),
        "bad-name" | "name-taken" => Some("name"),
        _ => None,
    }
}

impl Pages {
    /// The form; with what was wrong with it, if it was sent before. `may` says whether the reader may publish.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn publish(
        &self,
        context: &Context,
        may: bool,
        filled: &Filled,
        problem: Option<&Problem>,
    ) -> Result<String, PagesError> {
        let base = context.base();
        let bad = problem.and_then(|p| field_of(&p.code));
        let field = |id, label, value: &str, optional, help| Field {
            id,
            label,
            value: value.to_owned(),
            optional,
            bad: bad == Some(id),
            help,
        };
        let fields = vec![
            field(
                "url",
                "URL of your repository",
                &filled.url,
                false,
                "Readable without a password. A plain folder on a web server will do, after `git update-server-info`.",
            ),
            field("branch", "Branch", &filled.branch, false, "Its name in that repository."),
            field("bugs", "Bugs", &filled.bugs, true, "References or URLs, with spaces between them."),
            field("name", "Name", &filled.name, true, "How it is called here; made from the branch when left empty."),
            field("title", "Title", &filled.title, true, "One line; the newest commit's subject when left empty."),
        ];
        let view = View {
            page: format!("{base}/publish"),
            overview: base,
            may,
            problem: problem.map(|p| Told::new(p, bad)),
            fields,
        };
        self.render("publish", context.frame(self, At::Elsewhere, "Publish a branch"), view)
    }
}
