//! What stands below a branch's verdict.

use super::files::{FileView, views};
use crate::pages::parts::{DiffRow, diff_rows, ran};
use crate::pages::words::{Commit, Fact, When, count, look};
use protocol::api::{self, BranchDetail, CandidateOutcome, Diff, DiffKind, DiffLine, Event, Look, Refusal, Revision};
use protocol::{ProjectName, UnixMs};
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Serialize)]
pub(super) struct RefusalView {
    code: String,
    text: String,
    hint: String,
}

impl From<&Refusal> for RefusalView {
    fn from(refusal: &Refusal) -> Self {
        Self { code: refusal.code.clone(), text: refusal.text.clone(), hint: refusal.hint.to_string() }
    }
}

#[derive(Serialize)]
pub(super) struct ConflictView {
    id: String,
    path: String,
    message: String,
    lines: Vec<DiffRow>,
}

/// The files in conflict: our side as it is in mainline, theirs as the branch has it.
pub(super) fn conflicts(detail: &BranchDetail) -> Vec<ConflictView> {
    let Some(candidate) = &detail.candidate else { return Vec::new() };
    let CandidateOutcome::Conflict { files } = &candidate.outcome else { return Vec::new() };
    let name = |text: &str| {
        let named = text.replace(candidate.mainline.as_str(), &format!("mainline {}", candidate.mainline.short()));
        match &detail.summary.commit {
            Some(commit) => named.replace(commit.as_str(), &format!("r{} {}", candidate.revision, commit.short())),
            None => named,
        }
    };
    let view = |(n, file): (usize, &api::ConflictFile)| ConflictView {
        id: format!("c{n}"),
        path: file.path.clone(),
        message: file.message.clone(),
        lines: hunks(file.hunks.trim_end_matches('\n'), &name),
    };
    (1..).zip(files).map(view).collect()
}

/// The merged text with git's markers, as rows: the markers stand out, `name` says whose they are, and each side has its
/// colour.
fn hunks(text: &str, name: &dyn Fn(&str) -> String) -> Vec<DiffRow> {
    let mut kind = DiffKind::Context;
    let row = |line: &str| {
        let marker = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"]
            .iter()
            .position(|m| line.strip_prefix(m).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')));
        let after = match marker {
            Some(0) => DiffKind::Delete,
            Some(2) => DiffKind::Add,
            Some(_) => DiffKind::Context,
            None => kind,
        };
        let shown = if marker.is_some() { DiffKind::Hunk } else { kind };
        kind = after;
        let text = if marker.is_some() { name(line) } else { line.to_owned() };
        DiffLine { kind: shown, old: None, new: None, text }
    };
    let lines: Vec<DiffLine> = text.lines().map(row).collect();
    diff_rows(&lines, None)
}

pub(super) fn refusal(outcome: Option<&CandidateOutcome>) -> Option<RefusalView> {
    match outcome {
        Some(CandidateOutcome::Refused(refusal) | CandidateOutcome::MainlineTrouble(refusal)) => Some(refusal.into()),
        _ => None,
    }
}

/// What is said of the ChangeLogs.
#[derive(Default, Serialize)]
pub(super) struct ChangelogsView {
    files: Vec<FileView>,
    fragments: Vec<String>,
    coming: Vec<FileView>,
    kept: Vec<String>,
    stay: &'static str,
    notes: Vec<String>,
    nothing: Option<String>,
}

/// How the ChangeLogs change, now or at the release, where the entries come from, and what is worth saying.
pub(super) fn changelogs(outcome: Option<&CandidateOutcome>) -> ChangelogsView {
    let Some(CandidateOutcome::Made { changelogs, fragments, coming, kept, exempt, notes, .. }) = outcome else {
        return ChangelogsView { nothing: Some("Not known: there is no candidate.".to_owned()), ..Default::default() };
    };
    let nothing = match exempt {
        _ if !changelogs.is_empty() || !coming.is_empty() => None,
        Some(reason) => Some(format!("It stays as it is: no entry is needed, as the branch says: {reason}")),
        None if notes.is_empty() => Some("It stays as it is: the branch brings no fragment.".to_owned()),
        None => Some("It stays as it is.".to_owned()),
    };
    ChangelogsView {
        files: views(changelogs, "cl"),
        fragments: fragments.clone(),
        coming: views(coming, "cr"),
        kept: kept.clone(),
        stay: if kept.len() == 1 { "stays" } else { "stay" },
        notes: notes.clone(),
        nothing,
    }
}

#[derive(Serialize)]
pub(super) struct CandidateLine {
    commit: Commit,
    mainline: Commit,
    revision: u32,
    /// What it does to ChangeLogs.
    fold: &'static str,
    made: When,
    is: &'static str,
}

/// Of which mainline what is shown is true.
pub(super) fn as_of(detail: &BranchDetail) -> Option<AsOf> {
    let candidate = detail.candidate.as_ref()?;
    let now = candidate.mainline_now.as_ref().map(Commit::from)?;
    Some(AsOf { mainline: Commit::from(&candidate.mainline), now, again: candidate.again })
}

#[derive(Serialize)]
pub(super) struct AsOf {
    mainline: Commit,
    now: Commit,
    again: bool,
}

pub(super) fn candidate(detail: &BranchDetail, now: UnixMs) -> Option<CandidateLine> {
    let candidate = detail.candidate.as_ref()?;
    let CandidateOutcome::Made { commit, changelogs, coming, .. } = &candidate.outcome else { return None };
    Some(CandidateLine {
        commit: Commit::from(commit),
        mainline: Commit::from(&candidate.mainline),
        revision: candidate.revision,
        fold: match (changelogs.is_empty(), coming.is_empty()) {
            (false, _) => " + ChangeLog folded",
            (true, false) => ", its fragment kept until the release",
            (true, true) => "",
        },
        made: When::new(candidate.made_ms, now),
        is: match (detail.summary.verdict.look, detail.watch.next_ms) {
            (Look::Landed, _) => "It is what landed.",
            (_, Some(_)) => "It is what would land.",
            (_, None) => "",
        },
    })
}

/// The revisions that have builds, newest first; at most four.
fn built(detail: &BranchDetail) -> Vec<u32> {
    let of_rows = detail.builders.iter().flat_map(|row| row.builds.iter().map(|b| b.revision));
    let numbers: BTreeSet<u32> = of_rows.chain(detail.summary.revision).collect();
    numbers.into_iter().rev().take(4).collect()
}

pub(super) fn columns(detail: &BranchDetail) -> Vec<String> {
    let name = |(at, number): (usize, u32)| if at == 0 { format!("r{number}, now") } else { format!("r{number}") };
    built(detail).into_iter().enumerate().map(name).collect()
}

#[derive(Serialize)]
pub(super) struct BuilderLine {
    builder: String,
    optional: bool,
    cells: Vec<Cell>,
    says: String,
}

#[derive(Serialize)]
struct Cell {
    column: String,
    old: bool,
    page: Option<String>,
    look: &'static str,
    word: String,
    time: String,
}

pub(super) fn builders(detail: &BranchDetail, now: UnixMs) -> Vec<BuilderLine> {
    let (revisions, columns) = (built(detail), columns(detail));
    let cell = |(at, build): (usize, Option<&api::BuildSummary>)| match build {
        Some(build) => Cell {
            column: columns.get(at).cloned().unwrap_or_default(),
            old: at > 0,
            page: Some(build.page.clone()),
            look: look(build.look),
            word: build.word.clone(),
            time: ran(build, now).unwrap_or_else(|| build.word.clone()),
        },
        None => Cell {
            column: columns.get(at).cloned().unwrap_or_default(),
            old: at > 0,
            page: None,
            look: "waiting",
            word: String::new(),
            time: String::new(),
        },
    };
    let line = |row: &api::BuilderRow| BuilderLine {
        builder: row.builder.clone(),
        optional: !row.required,
        cells: revisions.iter().map(|r| row.builds.iter().find(|b| b.revision == *r)).enumerate().map(cell).collect(),
        says: says(row),
    };
    detail.builders.iter().map(line).collect()
}

fn says(row: &api::BuilderRow) -> String {
    let newest = row.builds.first();
    let slave = newest.and_then(|b| b.slave.as_ref()).map(|slave| format!("on {slave}"));
    let word = newest.filter(|b| row.says.is_empty() || b.word != "passed").map(|b| b.word.clone());
    let parts = [word, Some(row.says.clone()).filter(|s| !s.is_empty()), slave];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[derive(Serialize)]
pub(super) struct CommitLine {
    id: Commit,
    subject: String,
    body: String,
    author: String,
    email: String,
    authored: When,
}

impl CommitLine {
    pub(super) fn of(commit: &api::Commit, now: UnixMs) -> Self {
        Self {
            id: Commit::from(&commit.id),
            subject: commit.subject.clone(),
            body: commit.body.trim().to_owned(),
            author: commit.author.clone(),
            email: commit.email.clone(),
            authored: When::new(commit.authored_ms, now),
        }
    }
}

pub(super) fn commits_note(detail: &BranchDetail) -> String {
    let all = detail.revisions.first().filter(|r| r.refused.is_none()).map_or(0, |r| r.commits as usize);
    match detail.commits.len() {
        0 => String::new(),
        shown if shown < all => format!("the newest {shown} of {all}"),
        shown => format!("{shown}, newest first"),
    }
}

pub(super) fn diff_note(detail: &BranchDetail) -> String {
    let Diff { files, .. } = &detail.diff;
    let made = matches!(detail.candidate.as_ref().map(|c| &c.outcome), Some(CandidateOutcome::Made { .. }));
    let what = if made { "mainline to candidate" } else { "merge base to revision" };
    if files.is_empty() {
        return String::new();
    }
    format!("{what}: {},", count(files.len(), "file", "files"))
}

#[derive(Serialize)]
pub(in crate::pages) struct RevisionLine {
    number: u32,
    id: Commit,
    subject: String,
    commits: u32,
    seen: When,
    refused: Option<RefusalView>,
}

impl RevisionLine {
    pub(in crate::pages) fn of(revision: &Revision, now: UnixMs) -> Self {
        Self {
            number: revision.number,
            id: Commit::from(&revision.commit),
            subject: revision.subject.clone(),
            commits: revision.commits,
            seen: When::new(revision.seen_ms, now),
            refused: revision.refused.as_ref().map(RefusalView::from),
        }
    }
}

#[derive(Serialize)]
pub(super) struct EventLine {
    id: String,
    at: When,
    look: &'static str,
    text: String,
    page: Option<String>,
    actor: Option<String>,
}

impl EventLine {
    pub(super) fn of(event: &Event, project: &ProjectName, now: UnixMs) -> Self {
        Self {
            id: event.id.to_string(),
            at: When::new(event.at_ms, now),
            look: look(event.look),
            text: event.text.clone(),
            page: event.build.map(|id| crate::names::build_page(project, id)),
            actor: Some(event.actor.clone()).filter(|actor| actor != "bb" && !event.text.contains(actor.as_str())),
        }
    }
}

/// What stands beside the verdict.
pub(super) fn facts(detail: &BranchDetail, now: UnixMs) -> Vec<Fact> {
    let mut facts = vec![Fact::new("State", detail.summary.verdict.state.clone())];
    if let Some(entry) = detail.queue.first() {
        if let Some(place) = entry.place {
            facts.push(Fact::new("Queue", format!("place {place}")));
        }
        if let Some(landed) = &entry.landed {
            facts.push(Fact::new("Landed as", landed.short()));
        }
        facts.push(Fact::new("Accepted", format!("r{} by {}", entry.revision, entry.accepted_by)));
    }
    let running = detail.builders.iter().flat_map(|r| r.builds.first()).filter(|b| b.word == "running");
    for build in running {
        facts.push(Fact::new("Running", format!("{} for {}", build.builder, ran(build, now).unwrap_or_default())));
    }
    facts.push(Fact::new("Code", detail.summary.verdict.code.clone()));
    facts
}
