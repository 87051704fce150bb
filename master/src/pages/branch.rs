//! A branch: would it land, if not why, and who is next; then the evidence.

mod evidence;
mod files;

use super::frame::At;
use super::parts::{DiffRow, EntryLine, VerdictView, diff_rows};
use super::together::TestedView;
use super::words::{Commit, Fact, Link, When, count};
use super::{Context, Pages, PagesError};
pub(super) use evidence::RevisionLine;
use evidence::{AsOf, BuilderLine, CandidateLine, ChangelogsView, CommitLine, ConflictView, EventLine, RefusalView};
use files::FileView;
use protocol::api::{BranchDetail, CandidateOutcome, Look, WouldLand};
use serde::Serialize;

/// What the reader may do with a branch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct May {
    /// Accept it.
    pub(crate) accept: bool,
    /// Withdraw it.
    pub(crate) withdraw: bool,
    /// Ask for its builds again.
    pub(crate) rebuild: bool,
}

/// What the API gives of a timeline at most.
const TIMELINE: usize = 200;

#[derive(Serialize)]
struct View {
    branches: String,
    page: String,
    name: String,
    title: String,
    author: String,
    publisher: String,
    bugs: Vec<Link>,
    revision: Option<u32>,
    seen: Option<When>,
    mainline: Option<Commit>,
    commit_count: String,
    file_count: String,
    added: u64,
    removed: u64,
    verdict: VerdictView,
    accept: Option<Accept>,
    acts: bool,
    rebuild: bool,
    withdraw: bool,
    sign_in: bool,
    facts: Vec<Fact>,
    changes_recipe: bool,
    recipe_lines: Vec<DiffRow>,
    jump: Vec<Jump>,
    conflicts: Vec<ConflictView>,
    conflict_count: String,
    refusal: Option<RefusalView>,
    columns: Vec<String>,
    builders: Vec<BuilderLine>,
    no_builds: &'static str,
    candidate: Option<CandidateLine>,
    as_of: Option<AsOf>,
    changelogs: ChangelogsView,
    commits: Vec<CommitLine>,
    commits_note: String,
    fetch: Option<String>,
    refs: Vec<String>,
    files: Vec<FileView>,
    diff_note: String,
    files_left_out: Option<String>,
    diff_trouble: Option<String>,
    whole_diff: Option<String>,
    review: ReviewLink,
    revisions: Vec<RevisionLine>,
    older_revisions: Option<String>,
    claim: Option<String>,
    queue: Vec<EntryLine>,
    /// What is tested of it now.
    being_tested: Option<TestedView>,
    timeline: Vec<EventLine>,
    timeline_note: Option<String>,
    url: Link,
    source_ref: String,
    looked: Option<When>,
    next_look: Option<When>,
    trouble: Option<String>,
    trusted: &'static str,
    published: When,
    changed: When,
    cli: String,
}

/// The button that accepts.
#[derive(Serialize)]
struct Accept {
    commit: Commit,
    words: String,
    label: String,
    /// The other button, where it has not passed yet: accepts for when it has.
    when_green: Option<String>,
}

/// Where it is spoken of, and what counts of that.
#[derive(Serialize)]
struct ReviewLink {
    page: String,
    tally: String,
}

/// A link to a section of the page.
#[derive(Serialize)]
struct Jump {
    id: &'static str,
    label: &'static str,
    count: Option<usize>,
}

fn jumps(detail: &BranchDetail, conflicts: usize) -> Vec<Jump> {
    let jump = |id, label, count: Option<usize>| Jump { id, label, count: count.filter(|n| *n > 0) };
    let mut jumps = Vec::new();
    if conflicts > 0 {
        jumps.push(jump("conflict", "Conflicts", Some(conflicts)));
    }
    jumps.push(jump("review", "Review", Some(detail.review.open as usize)));
    jumps.push(jump("builds", "Builds", None));
    jumps.push(jump("changelog", "ChangeLog", None));
    jumps.push(jump("commits", "Commits", Some(detail.commits.len())));
    jumps.push(jump("fetch", "Fetch", None));
    jumps.push(jump("diff", "Diff", Some(detail.diff.files.len())));
    jumps.push(jump("revisions", "Revisions", Some(detail.revisions.len())));
    if !detail.queue.is_empty() {
        jumps.push(jump("queue", "Queue", None));
    }
    jumps.push(jump("timeline", "Timeline", None));
    jumps
}

/// Whether accepting makes sense as the branch stands: it can be merged, nothing says that it would not land, and it is not
/// accepted already.
fn acceptable(detail: &BranchDetail) -> bool {
    let admitted = detail.revisions.first().is_some_and(|r| r.refused.is_none());
    let made = matches!(detail.candidate.as_ref().map(|c| &c.outcome), Some(CandidateOutcome::Made { .. }));
    let queued = detail.queue.iter().any(|entry| entry.place.is_some());
    admitted && made && !queued && detail.summary.verdict.would_land != WouldLand::No && live(detail)
}

/// Whether it is watched: it has not landed, and was neither withdrawn nor retired.
fn live(detail: &BranchDetail) -> bool {
    detail.watch.next_ms.is_some()
}

fn accept(detail: &BranchDetail) -> Option<Accept> {
    let (revision, commit) = (detail.summary.revision?, detail.summary.commit.as_ref()?);
    let green =
        detail.summary.marks.iter().filter(|m| m.required).all(|m| matches!(m.look, Look::Passed | Look::Warnings));
    let what = if detail.changes_recipe { format!("r{revision} and its recipe") } else { format!("r{revision}") };
    let when_green = (!green).then(|| format!("Accept {what} when green"));
    let words = detail.summary.words.clone();
    Some(Accept { commit: Commit::from(commit), words, label: format!("Accept {what}"), when_green })
}

fn fetch(context: &Context, detail: &BranchDetail) -> Option<String> {
    let head = detail.refs.iter().find(|r| r.ends_with("/head"))?;
    Some(format!("git fetch {}{} {head}\ngit switch --detach FETCH_HEAD", context.url, detail.git_path))
}

impl Pages {
    /// A branch's page.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn branch(&self, context: &Context, detail: &BranchDetail, may: May) -> Result<String, PagesError> {
        let (summary, now) = (&detail.summary, context.now);
        let live = live(detail);
        let outcome = detail.candidate.as_ref().map(|c| &c.outcome);
        let conflicts = evidence::conflicts(detail);
        let sections = jumps(detail, conflicts.len());
        let acceptable = acceptable(detail);
        let newest = detail.revisions.first();
        let view = View {
            branches: format!("{}/branches", context.base()),
            page: summary.page.clone(),
            name: summary.name.to_string(),
            title: summary.title.clone(),
            author: summary.author.clone().unwrap_or_else(|| summary.publisher.clone()),
            publisher: summary.publisher.clone(),
            bugs: summary.bugs.iter().map(|bug| Link::bug(bug)).collect(),
            revision: summary.revision,
            seen: newest.map(|r| When::new(r.seen_ms, now)),
            mainline: detail.candidate.as_ref().map(|c| Commit::from(&c.mainline)),
            commit_count: count(detail.commits.len(), "commit", "commits"),
            file_count: count(detail.diff.files.len(), "file", "files"),
            added: detail.diff.added,
            removed: detail.diff.removed,
            verdict: VerdictView::of(&summary.verdict).conflicts_at("#conflict"),
            accept: if may.accept && acceptable { accept(detail) } else { None },
            acts: live && (may.withdraw || (may.rebuild && !detail.builders.is_empty())),
            rebuild: live && may.rebuild && !detail.builders.is_empty(),
            withdraw: live && may.withdraw,
            sign_in: live && !context.known(),
            facts: evidence::facts(detail, now),
            changes_recipe: detail.changes_recipe,
            recipe_lines: detail.recipe_diff.as_ref().map(|file| diff_rows(&file.lines, None)).unwrap_or_default(),
            jump: sections,
            conflict_count: count(conflicts.len(), "file", "files"),
            conflicts,
            refusal: evidence::refusal(outcome),
            columns: evidence::columns(detail),
            builders: evidence::builders(detail, now),
            no_builds: if live { "a candidate comes first." } else { "it ended before any was made." },
            candidate: evidence::candidate(detail, now),
            as_of: evidence::as_of(detail),
            changelogs: evidence::changelogs(outcome),
            commits: detail.commits.iter().map(|c| CommitLine::of(c, now)).collect(),
            commits_note: evidence::commits_note(detail),
            fetch: fetch(context, detail),
            refs: detail.refs.clone(),
            files: files::files(&detail.diff, &summary.page),
            diff_note: evidence::diff_note(detail),
            files_left_out: files::files_left_out(&detail.diff),
            diff_trouble: detail.diff.trouble.clone(),
            whole_diff: Some(detail.diff.whole.join("\n")).filter(|lines| !lines.is_empty()),
            review: ReviewLink {
                page: crate::names::review_page(&summary.page),
                tally: super::review::tally(&detail.review),
            },
            revisions: detail.revisions.iter().map(|r| RevisionLine::of(r, now)).collect(),
            older_revisions: detail.older_revisions.map(|before| crate::names::older_revisions(&summary.page, before)),
            claim: (live && context.known() && !may.withdraw).then(|| format!("{}/claim", summary.page)),
            being_tested: detail
                .queue
                .iter()
                .find(|entry| entry.place.is_some())
                .and_then(|entry| entry.tested.as_ref())
                .map(|tested| TestedView::of(&summary.project, tested)),
            queue: detail.queue.iter().map(|e| EntryLine::of(e, &summary.project, now)).collect(),
            timeline: detail.timeline.iter().map(|e| EventLine::of(e, &summary.project, now)).collect(),
            timeline_note: (detail.timeline.len() >= TIMELINE).then(|| format!("the newest {TIMELINE}")),
            url: Link::new(&summary.url, &summary.url),
            source_ref: summary.branch.clone(),
            looked: detail.watch.looked_ms.map(|at| When::new(at, now)),
            next_look: detail.watch.next_ms.map(|at| When::new(at, now)),
            trouble: detail.watch.trouble.clone(),
            trusted: if summary.trusted {
                "yes: its builds may run without isolation"
            } else {
                "no: its builds run isolated"
            },
            published: When::new(summary.published_ms, now),
            changed: When::new(summary.changed_ms, now),
            cli: format!("bb show {}", summary.name),
        };
        let frame = context.frame(self, At::Branches, summary.name.as_str());
        let query = [("project", summary.project.as_str()), ("branch", summary.name.as_str())];
        self.render("branch", frame.renewed_by(&query), view)
    }
}
