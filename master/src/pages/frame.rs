//! What surrounds every page: who reads it, of which project it is, and what is said on each.

use super::Pages;
use protocol::api::EventMark;
use protocol::{ProjectName, UnixMs};
use serde::Serialize;

/// Events after which a page may read otherwise.
const KINDS: &str = "published revision candidate build-requested build-started build-finished build-cancelled accepted \
                     ejected landed taken-out moved-on missing withdrawn retired reset paused resumed held released moved expedited green source-trouble source-fine recipe-missing slaves-away";

/// For whom a page is made, and where.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The project that the page is of.
    pub(crate) project: Option<ProjectName>,
    /// Who reads.
    pub(crate) reader: Reader,
    /// The word that forms carry; empty without a session.
    pub(crate) csrf: String,
    /// The path and query of this page: where signing in leads back to.
    pub(crate) path: String,
    /// The master's URL.
    pub(crate) url: String,
    /// The time now.
    pub(crate) now: UnixMs,
    /// The newest event when the page began to be made: what comes after it may change the page.
    pub(crate) since: Option<EventMark>,
    /// What is said on every page.
    pub(crate) notices: Vec<Notice>,
}

/// Who reads a page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reader {
    /// Nobody in particular.
    Anonymous,
    /// Whoever signed in.
    Known {
        /// The name of their token.
        name: String,
        /// `maintainer` or `publisher`.
        role: String,
    },
}

/// Something said on every page of a project.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Notice {
    pub(crate) look: &'static str,
    pub(crate) text: String,
}

/// The frame as its template is filled.
#[derive(Debug, Serialize)]
pub(super) struct Frame {
    title: String,
    css: String,
    js: String,
    icon: String,
    home: String,
    home_label: String,
    project: Option<String>,
    nav: Vec<Nav>,
    search: Option<String>,
    publish: Option<String>,
    publish_first: bool,
    events: Option<String>,
    #[serde(skip)]
    since: Option<EventMark>,
    kinds: &'static str,
    awaits: Option<String>,
    notices: Vec<Notice>,
    name: Option<String>,
    role: Option<String>,
    csrf: String,
    login: String,
    host: String,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Nav {
    label: &'static str,
    href: String,
    current: bool,
}

/// Which of the frame's links is this page's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum At {
    Overview,
    Branches,
    Builds,
    Queue,
    Slaves,
    /// None of them.
    Elsewhere,
}

impl Context {
    /// The path of this project's pages; of all projects without one.
    pub(super) fn base(&self) -> String {
        self.project.as_ref().map_or_else(|| "/".to_owned(), crate::names::project_page)
    }

    /// Whether the reader signed in.
    pub(super) fn known(&self) -> bool {
        self.reader != Reader::Anonymous
    }

    /// The frame of a page with this title.
    pub(super) fn frame(&self, pages: &Pages, at: At, title: &str) -> Frame {
        let project = self.project.as_ref().map(ToString::to_string);
        let base = self.base();
        let mut nav = Vec::new();
        if project.is_some() {
            let mut add = |label, tail: &str, current| nav.push(Nav { label, href: format!("{base}{tail}"), current });
            add("Overview", "", at == At::Overview);
            add("Branches", "/branches", at == At::Branches);
            add("Builds", "/builds", at == At::Builds);
            add("Queue", "/queue", at == At::Queue);
        } else {
            nav.push(Nav { label: "Projects", href: "/".to_owned(), current: at == At::Overview });
        }
        nav.push(Nav { label: "Slaves", href: "/slaves".to_owned(), current: at == At::Slaves });
        let (name, role) = match &self.reader {
            Reader::Anonymous => (None, None),
            Reader::Known { name, role } => (Some(name.clone()), Some(role.clone())),
        };
        let parts = [Some(title), project.as_deref().filter(|p| *p != title), Some("bb")];
        let path: String = url::form_urlencoded::byte_serialize(self.path.as_bytes()).collect();
        Frame {
            title: parts.into_iter().flatten().collect::<Vec<_>>().join(" · "),
            css: pages.asset_path("bb.css").to_owned(),
            js: pages.asset_path("bb.js").to_owned(),
            icon: pages.asset_path("bb.svg").to_owned(),
            home_label: project
                .as_ref()
                .map_or_else(|| "bb: projects".to_owned(), |p| format!("bb, project {p}: overview")),
            search: project.as_ref().map(|_| format!("{base}/branches")),
            publish: project.as_ref().map(|_| format!("{base}/publish")),
            publish_first: false,
            events: None,
            since: self.since.clone(),
            kinds: KINDS,
            awaits: None,
            notices: self.notices.clone(),
            name,
            role,
            csrf: self.csrf.clone(),
            login: format!("/login?next={path}"),
            host: host(&self.url),
            version: env!("CARGO_PKG_VERSION"),
            home: base,
            project,
            nav,
        }
    }
}

impl Frame {
    /// The page is read again when something of this happens.
    pub(super) fn renewed_by(mut self, query: &[(&str, &str)]) -> Self {
        let since = self.since.as_ref().map(ToString::to_string);
        let since = since.as_deref().map(|since| ("since", since));
        let query = query.iter().copied().chain(since);
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.events = Some(format!("/api/v1/events?{query}"));
        self
    }

    /// The page is read again when this stream says so.
    pub(super) fn watching(mut self, events: &str) -> Self {
        self.events = Some(events.to_owned());
        self.kinds = "changed";
        self
    }

    /// The page is read again when something comes of this stream.
    pub(super) fn awaiting(mut self, stream: Option<String>) -> Self {
        self.awaits = stream;
        self
    }

    /// Publishing is what this page leads to.
    pub(super) fn publish_first(mut self, yes: bool) -> Self {
        self.publish_first = yes;
        self
    }
}

fn host(url: &str) -> String {
    url.split_once("://").map_or(url, |(_, rest)| rest).to_owned()
}
