//! What several pages show: the verdict, a row of marks, a diff, a build's line.

use super::together::{Names, TestedView};
use super::words::{self, Commit, When, look, would};
use protocol::api::{BuildSummary, DiffKind, DiffLine, Look, Mark, Next, Verdict, listed};
use protocol::{ProjectName, UnixMs};
use serde::Serialize;

/// The answer of a page.
#[derive(Debug, Serialize)]
pub(super) struct VerdictView {
    pub(super) look: &'static str,
    pub(super) headline: String,
    pub(super) who: Option<String>,
    pub(super) what: String,
    pub(super) needs: Vec<NeedView>,
}

/// One thing that must be met.
#[derive(Debug, Serialize)]
pub(super) struct NeedView {
    look: &'static str,
    text: String,
    page: Option<String>,
}

impl VerdictView {
    /// A branch's.
    pub(super) fn of(verdict: &Verdict) -> Self {
        let because = &verdict.because;
        let headline = if verdict.look == Look::Landed {
            format!("Landed: {}", because.trim_start_matches("because "))
        } else if because.is_empty() {
            format!("Would land: {}", would(verdict.would_land))
        } else {
            format!("Would land: {}, {because}", would(verdict.would_land))
        };
        let needs = verdict.needs.iter().map(|need| NeedView {
            look: look(need.look),
            text: need.text.clone(),
            page: need.page.clone().filter(|page| page.starts_with('#') || page.starts_with("/p/")),
        });
        Self {
            look: look(verdict.look),
            headline,
            who: Some(verdict.next.who.clone()).filter(|w| !w.is_empty()),
            what: sentence(&verdict.next.what),
            needs: needs.collect(),
        }
    }
}

impl VerdictView {
    /// The same, where this page has a section of its own for what conflicts.
    pub(super) fn conflicts_at(mut self, section: &str) -> Self {
        let of_conflict = self.needs.iter_mut().filter(|need| need.look == "conflict");
        of_conflict.for_each(|need| need.page = Some(section.to_owned()));
        self
    }
}

/// A text with a full stop at its end.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.is_empty() || text.ends_with(['.', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}

/// Whose turn it is, one line; none when nobody's.
pub(super) fn next_line(next: &Next) -> Option<String> {
    (!next.who.is_empty() && next.who != "nobody").then(|| sentence(&format!("{} {}", next.who, next.what)))
}

/// Marks that are shown one by one; from more builders on, those that did not pass, and a count.
const MARKS: usize = 8;
/// Of those that did not pass, so many are shown.
const UNWELL: usize = 5;

/// A row of builders' marks: one image whose label says it all.
#[derive(Debug, Serialize)]
pub(super) struct Marks {
    label: String,
    looks: Vec<&'static str>,
    more: Option<String>,
}

impl Marks {
    pub(super) fn of(marks: &[Mark]) -> Self {
        let mut ordered: Vec<&Mark> = marks.iter().collect();
        let mut more = None;
        if marks.len() > MARKS {
            // Stable, so that builders keep the recipe's order within each kind.
            ordered.sort_by_key(|m| urgency(m.look));
            let passed = marks.iter().filter(|m| m.look == Look::Passed).count();
            let unwell = marks.len() - passed;
            let others = if unwell > UNWELL { format!("+{}, ", unwell - UNWELL) } else { String::new() };
            more = Some(format!("{others}{passed} of {} passed", marks.len()));
        }
        let label = ordered.iter().map(|m| {
            let optional = if m.required { "" } else { " (optional)" };
            format!("{}{optional} {}", m.builder, m.word)
        });
        let label = label.collect::<Vec<_>>().join(", ");
        let shown = ordered.iter().filter(|m| more.is_none() || m.look != Look::Passed);
        let most = if more.is_some() { UNWELL } else { MARKS };
        let mut looks: Vec<&str> = shown.take(most).map(|m| look(m.look)).collect();
        if looks.is_empty() && !marks.is_empty() {
            looks.push(look(Look::Passed));
        }
        Self { label, looks, more }
    }
}

/// What needs somebody comes first.
const fn urgency(look: Look) -> u8 {
    match look {
        Look::Failed => 0,
        Look::Exception | Look::Conflict => 1,
        Look::Warnings => 2,
        Look::Cancelled | Look::Skipped => 3,
        Look::Running => 4,
        Look::Waiting => 5,
        Look::Passed | Look::Accepted | Look::Landed | Look::Retired => 6,
    }
}

/// A line of a diff.
#[derive(Debug, Serialize)]
pub(super) struct DiffRow {
    hunk: bool,
    class: &'static str,
    id: Option<String>,
    old: Option<u32>,
    new: Option<u32>,
    /// The minus is in the template: as text, it would be marked as taken for a hyphen.
    gone: bool,
    sign: &'static str,
    text: String,
}

/// The rows of a diff; new lines get an id after `prefix`, if there is one.
pub(super) fn diff_rows(lines: &[DiffLine], prefix: Option<&str>) -> Vec<DiffRow> {
    let row = |line: &DiffLine| {
        let (class, sign) = match line.kind {
            DiffKind::Hunk => ("hunk", ""),
            DiffKind::Context => ("ctx", ""),
            DiffKind::Add => ("add", "+"),
            DiffKind::Delete => ("del", ""),
        };
        DiffRow {
            hunk: line.kind == DiffKind::Hunk,
            class,
            id: prefix.zip(line.new).filter(|_| line.kind != DiffKind::Hunk).map(|(p, n)| format!("{p}-{n}")),
            old: line.old,
            new: line.new,
            gone: line.kind == DiffKind::Delete,
            sign,
            text: line.text.clone(),
        }
    };
    lines.iter().map(row).collect()
}

/// A build, one line.
#[derive(Debug, Serialize)]
pub(super) struct BuildLine {
    id: String,
    builder: String,
    branch: String,
    branch_page: String,
    /// The branches of a stack of several.
    together: Option<Names>,
    stack: Option<String>,
    /// What it is of, in words.
    of: String,
    revision: u32,
    look: &'static str,
    word: String,
    says: String,
    slave: Option<String>,
    for_queue: bool,
    page: String,
    ran: Option<String>,
}

impl BuildLine {
    pub(super) fn of(build: &BuildSummary, now: UnixMs) -> Self {
        Self {
            id: build.id.to_string(),
            builder: build.builder.clone(),
            branch: build.branch.to_string(),
            branch_page: crate::names::branch_page(&build.project, &build.branch),
            together: if build.with.is_empty() { None } else { Names::of(&build.project, build.branches()) },
            stack: build.stack.map(|stack| stack.to_string()),
            of: if build.with.is_empty() {
                format!("{} r{}", build.branch, build.revision)
            } else {
                format!("{} together", listed(build.branches()))
            },
            revision: build.revision,
            look: look(build.look),
            word: build.word.clone(),
            says: build.says.clone(),
            slave: build.slave.as_ref().map(ToString::to_string),
            for_queue: build.for_queue,
            page: build.page.clone(),
            ran: ran(build, now),
        }
    }
}

/// How long a build ran, until now if it still does.
pub(super) fn ran(build: &BuildSummary, now: UnixMs) -> Option<String> {
    words::between(build.started_ms, Some(build.finished_ms.unwrap_or(now)))
}

/// What may be done about a place in the queue.
#[derive(Debug, Serialize)]
pub(super) struct SteerEntry {
    /// Whether it is held, so that it can be released.
    pub(super) held: bool,
    /// Whether it goes before all others.
    pub(super) expedited: bool,
    /// Its priority, as a number that a form may hold.
    pub(super) priority: String,
}

/// A place in the queue, now or before.
#[derive(Debug, Serialize)]
pub(super) struct EntryLine {
    /// Its id on the page: a branch may have left the queue several times.
    key: String,
    changes_recipe: bool,
    branch: String,
    title: String,
    page: String,
    look: &'static str,
    revision: u32,
    id: Commit,
    accepted_by: String,
    accepted: When,
    place: Option<u32>,
    /// A priority that is not the usual one.
    priority: Option<i64>,
    /// Who put it before all others, and why.
    expedite: Option<String>,
    /// What the reader may do about it, on the queue's page.
    pub(super) steer: Option<SteerEntry>,
    code: String,
    says: String,
    next: Option<String>,
    marks: Marks,
    tested: Option<TestedView>,
    /// The stack that is drawn on the same page in which it is tested.
    pub(super) stack: Option<String>,
    landed: Option<Commit>,
    left: Option<When>,
}

impl EntryLine {
    pub(super) fn of(entry: &protocol::api::QueueEntry, project: &ProjectName, now: UnixMs) -> Self {
        let key = match entry.left_ms {
            None => format!("q-{}", entry.branch),
            Some(left) => format!("left-{}-{}-{left}", entry.branch, entry.revision),
        };
        Self {
            key,
            changes_recipe: entry.changes_recipe,
            branch: entry.branch.to_string(),
            title: entry.title.clone(),
            page: entry.page.clone(),
            look: look(entry.look),
            revision: entry.revision,
            id: Commit::from(&entry.commit),
            accepted_by: entry.accepted_by.clone(),
            accepted: When::new(entry.accepted_ms, now),
            place: entry.place,
            priority: Some(entry.priority).filter(|priority| *priority != 0),
            expedite: entry.expedite.as_ref().map(|it| {
                let why = if it.reason.is_empty() { String::new() } else { format!(": {}", it.reason) };
                format!("before all others, by {}{why}", it.by)
            }),
            steer: None,
            code: entry.code.clone(),
            says: words::capital(&sentence(&entry.says)),
            next: next_line(&entry.next),
            marks: Marks::of(&entry.marks),
            tested: entry.tested.as_ref().map(|tested| TestedView::of(project, tested)),
            stack: None,
            landed: entry.landed.as_ref().map(Commit::from),
            left: entry.left_ms.map(|at| When::new(at, now)),
        }
    }
}
