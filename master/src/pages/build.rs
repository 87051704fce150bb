//! A build: what broke, whose fault it is, and how to see it at home; with the log open where it failed.

use super::artifacts::{ArtifactsLine, artifacts_of};
use super::frame::At;
use super::log::render;
use super::parts::{BuildLine, VerdictView, ran, sentence};
use super::tested::{TestsLine, tests_of};
use super::together::{LineView, Names};
use super::words::{Commit, Fact, Link, When, capital, count, duration, look, size, thousands};
use super::{Context, Pages, PagesError};
use crate::logs::Line;
use crate::read::{LINES, LogPart, StepIs, Wanted};
use protocol::UnixMs;
use protocol::api::{BuildDetail, BuildState, Look, StepDetail};
use protocol::wire::Isolation;
use serde::Serialize;

/// What the reader may do with a build.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct May {
    /// Run it again, or cancel it.
    pub(crate) rebuild: bool,
}

/// Lines shown of steps that are not read first.
const FEW: u64 = 100;
/// Lines shown before and after the one that tells of the first error; the others near it are folded.
const NEAR: usize = 3;

/// Which part of which step's log the page shows; `at` is what its address asks for.
pub(crate) fn log_parts(detail: &BuildDetail, at: Option<(u32, Wanted)>) -> Vec<(u32, Wanted, StepIs)> {
    let first = first_read(detail);
    let part = |step: &StepDetail| {
        let is = match step.look {
            Look::Running => StepIs::Running,
            Look::Failed | Look::Exception => StepIs::Failed,
            _ => StepIs::Ended,
        };
        let wanted = match at {
            Some((of, wanted)) if of == step.number => wanted,
            _ if is == StepIs::Failed => Wanted::Error,
            _ if first == Some(step.number) => Wanted::Last(LINES),
            _ => Wanted::Last(FEW),
        };
        (step.number, wanted, is)
    };
    detail.steps.iter().filter(|s| s.log_len > 0 || s.look == Look::Running).map(part).collect()
}

#[derive(Serialize)]
struct View {
    branches: String,
    queue: String,
    together: Option<Names>,
    line: Option<LineView>,
    purpose: String,
    branch: String,
    branch_page: String,
    page: String,
    id: String,
    builder: String,
    revision: u32,
    candidate: Commit,
    slave: Option<String>,
    when_said: &'static str,
    at: When,
    ran: Option<String>,
    running: bool,
    ended: bool,
    again: bool,
    cancel: bool,
    verdict: VerdictView,
    facts: Vec<Fact>,
    retried: Option<Retried>,
    steps: Vec<StepLine>,
    logs: Vec<LogView>,
    log_note: String,
    reproduce: String,
    links: Vec<StepLink>,
    tests: Vec<TestsLine>,
    artifacts: Vec<ArtifactsLine>,
    lately: Vec<BuildLine>,
    requested: When,
    started: Option<When>,
    finished: Option<When>,
}

#[derive(Serialize)]
struct Retried {
    id: String,
    page: String,
}

#[derive(Serialize)]
struct StepLine {
    number: u32,
    name: String,
    command: String,
    look: &'static str,
    word: String,
    says: String,
    ran: Option<String>,
    log: bool,
}

#[derive(Serialize)]
struct LogView {
    number: u32,
    name: String,
    look: &'static str,
    word: String,
    ran: Option<String>,
    count: String,
    size: String,
    raw_page: String,
    missing: Option<String>,
    range: Option<String>,
    earlier: Option<Window>,
    later: Option<Window>,
    end: Option<Window>,
    error: Option<Window>,
    open: bool,
    live: Option<String>,
    before: Option<Fold>,
    html: String,
    after: Option<Fold>,
}

/// A link to another part of a log; its address says which, and stays true.
#[derive(Serialize)]
struct Window {
    href: String,
    label: String,
}

/// Lines that are folded.
#[derive(Serialize)]
struct Fold {
    label: String,
    html: String,
}

#[derive(Serialize)]
struct StepLink {
    #[serde(flatten)]
    link: Link,
    step: String,
}

/// The step whose log is read first: the one that failed, else the one that runs, else the last that printed.
fn first_read(detail: &BuildDetail) -> Option<u32> {
    let printed = |s: &&StepDetail| s.log_len > 0 || s.look == Look::Running;
    let of = |look: Look| detail.steps.iter().filter(printed).find(move |s| s.look == look);
    let found = of(Look::Failed).or_else(|| of(Look::Exception)).or_else(|| of(Look::Running));
    found.or_else(|| detail.steps.iter().rev().find(printed)).map(|s| s.number)
}

fn step_line(step: &StepDetail, logs: &[LogPart]) -> StepLine {
    StepLine {
        number: step.number,
        name: step.name.clone(),
        command: step.command.clone(),
        look: look(step.look),
        word: step.word.clone(),
        says: match step.exit_code {
            Some(code) if code != 0 && step.says.is_empty() => format!("exit code {code}"),
            _ => step.says.clone(),
        },
        ran: step.ran_ms.map(duration),
        log: logs.iter().any(|log| log.step == step.number),
    }
}

/// `line 7`, `lines 7 to 9`.
fn range(from: u64, to: u64) -> String {
    if from == to {
        format!("line {}", thousands(from))
    } else {
        format!("lines {} to {}", thousands(from), thousands(to))
    }
}

fn fold(step: u32, lines: &[Line]) -> Option<Fold> {
    let (first, last) = (lines.first()?.number, lines.last()?.number);
    Some(Fold { label: capital(&range(first, last)), html: render(step, lines, None) })
}

fn log_view(detail: &BuildDetail, step: &StepDetail, log: &LogPart, open: bool) -> LogView {
    let n = step.number;
    let (first, last) = log.lines.first().zip(log.lines.last()).map_or((1, log.count), |(a, b)| (a.number, b.number));
    let here = |line: u64| format!("?at={n}-{line}#L{n}-{line}");
    let from = |line: u64| format!("?from={n}-{line}#log-{n}");
    let earlier = (first > 1).then(|| {
        let before = first.saturating_sub(LINES).max(1);
        Window { href: from(before), label: format!("Earlier: {}", range(before, first - 1)) }
    });
    let rest = log.count.saturating_sub(last);
    let later = (rest > 0).then(|| {
        let to = last.saturating_add(LINES).min(log.count);
        Window { href: from(last + 1), label: format!("Later: {}", range(last + 1, to)) }
    });
    let end = (rest > LINES)
        .then(|| Window { href: here(log.count), label: format!("End: {}", range(log.count, log.count)) });
    let error = log.hit.map(|hit| Window { href: here(hit), label: format!("First error: {}", range(hit, hit)) });
    let at = log.hit.filter(|_| log.at_hit).and_then(|hit| log.lines.iter().position(|line| line.number == hit));
    let (before, near, after) = match at {
        Some(at) => {
            let (begin, end) = (at.saturating_sub(NEAR), (at + NEAR + 1).min(log.lines.len()));
            (fold(n, &log.lines[..begin]), &log.lines[begin..end], fold(n, &log.lines[end..]))
        }
        None => (None, log.lines.as_slice(), None),
    };
    LogView {
        number: n,
        name: step.name.clone(),
        look: look(step.look),
        word: step.word.clone(),
        ran: step.ran_ms.map(duration),
        count: match log.count {
            1 => "1 line".to_owned(),
            n => format!("{} lines", thousands(n)),
        },
        size: size(step.log_len),
        raw_page: format!("{}/steps/{n}/log", detail.summary.page),
        missing: log.missing.map(|line| {
            format!(
                "There is no line {}: the log has {}. These are its last lines.",
                thousands(line),
                thousands(log.count)
            )
        }),
        // What grows has no last line.
        range: (log.grows_at.is_none() && rest + first > 1).then(|| capital(&range(first, last))),
        earlier,
        later,
        end,
        error,
        open,
        live: log.grows_at.map(|(byte, line)| {
            format!("/api/v1/builds/{}/steps/{n}/log/events?from={byte}&line={line}", detail.summary.id)
        }),
        before,
        html: render(n, near, log.hit),
        after,
    }
}

/// The log of the step that comes next, while none runs.
fn awaits(detail: &BuildDetail) -> Option<String> {
    if detail.steps.iter().any(|s| s.look == Look::Running) {
        return None;
    }
    let begun = detail.summary.state == BuildState::Running && !detail.steps.is_empty();
    let next = detail.steps.iter().find(|s| s.look == Look::Waiting).filter(|_| begun).map_or(0, |s| s.number);
    Some(format!("/api/v1/builds/{}/steps/{next}/log/events?from=0", detail.summary.id))
}

fn verdict(detail: &BuildDetail) -> VerdictView {
    let summary = &detail.summary;
    let failed = detail.steps.iter().find(|s| s.look == Look::Failed || s.look == Look::Exception);
    let (builder, together) = (&summary.builder, summary.together());
    let says = |before: &str| if summary.says.is_empty() { String::new() } else { format!("{before}{}", summary.says) };
    let at = gate::verdict::ended_at(failed.map(|step| step.name.as_str()), &summary.says);
    let headline = match summary.state {
        BuildState::Waiting => format!("{builder} waits{together}{}", says(": ")),
        BuildState::Running => format!("{builder} runs{together}{}", says(": ")),
        BuildState::Finished(result) if result.passed() => format!("{builder} passed{together}{}", says(": ")),
        BuildState::Finished(protocol::BuildResult::Failure) => format!("{builder} failed{together}{at}"),
        BuildState::Finished(protocol::BuildResult::Exception) => {
            format!("{builder} ended by the machine's or bb's fault{together}{at}")
        }
        BuildState::Finished(protocol::BuildResult::Retry) => {
            format!("{builder} was interrupted{together}{}", says(": "))
        }
        BuildState::Finished(_) => format!("{builder}{together}: {}{}", summary.word, says(", ")),
    };
    VerdictView {
        look: look(summary.look),
        headline,
        who: detail.next.as_ref().map(|next| next.who.clone()),
        what: detail.next.as_ref().map(|next| sentence(&next.what)).unwrap_or_default(),
        needs: Vec::new(),
    }
}

fn facts(detail: &BuildDetail) -> Vec<Fact> {
    let result = match detail.summary.state {
        BuildState::Waiting => "none yet".to_owned(),
        BuildState::Running => "none yet, it runs".to_owned(),
        BuildState::Finished(result) => result.as_str().to_owned(),
    };
    let needed = match detail.isolation {
        Isolation::None => "none needed".to_owned(),
        Isolation::Bubblewrap => format!("{} needed", detail.isolation.as_str()),
    };
    let isolation = match (detail.ran_in, detail.summary.state) {
        (Some(Isolation::Bubblewrap), _) => Isolation::Bubblewrap.as_str().to_owned(),
        (Some(Isolation::None), _) => "none, for a trusted publisher".to_owned(),
        (None, BuildState::Waiting) => needed,
        (None, _) => format!("not recorded, {needed}"),
    };
    vec![
        Fact::new("Result", result),
        Fact::new("Attempt", detail.attempt.to_string()),
        Fact::new("Isolation", isolation),
        Fact::new("Asked for by", if detail.summary.for_queue { "the queue" } else { "the branch" }),
    ]
}

impl Pages {
    /// A build's page, with parts of its steps' logs; `at` is the step that its address asks for.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn build(
        &self,
        context: &Context,
        detail: &BuildDetail,
        logs: &[LogPart],
        at: Option<u32>,
        may: May,
    ) -> Result<String, PagesError> {
        let (summary, now) = (&detail.summary, context.now);
        let open = at.or_else(|| first_read(detail));
        let ended = matches!(summary.state, BuildState::Finished(_));
        let (when_said, at) = match (summary.finished_ms, summary.started_ms) {
            (Some(at), _) => ("ended", at),
            (None, Some(at)) => ("started", at),
            (None, None) => ("asked for", summary.requested_ms),
        };
        let log_of = |step: &StepDetail| {
            let log = logs.iter().find(|l| l.step == step.number)?;
            Some(log_view(detail, step, log, open == Some(step.number)))
        };
        let links = detail.steps.iter().flat_map(|step| {
            step.links.iter().map(|(name, url)| StepLink { link: Link::new(name, url), step: step.name.clone() })
        });
        let printed: u64 = detail.steps.iter().map(|s| s.log_len).sum();
        let view = View {
            branches: format!("{}/branches", context.base()),
            queue: format!("{}/queue", context.base()),
            together: Names::of(&summary.project, summary.branches()),
            line: detail.line.as_ref().map(|line| LineView::of(&summary.project, line)),
            purpose: detail.line.as_ref().map(|line| line.purpose.clone()).unwrap_or_default(),
            branch: summary.branch.to_string(),
            branch_page: crate::names::branch_page(&summary.project, &summary.branch),
            page: summary.page.clone(),
            id: summary.id.to_string(),
            builder: summary.builder.clone(),
            revision: summary.revision,
            candidate: Commit::from(&summary.commit),
            slave: summary.slave.as_ref().map(ToString::to_string),
            when_said,
            at: When::new(at, now),
            ran: ran(summary, now),
            running: summary.state == BuildState::Running,
            ended,
            again: ended && may.rebuild,
            cancel: !ended && may.rebuild,
            verdict: verdict(detail),
            facts: facts(detail),
            retried: detail
                .retried_as
                .map(|id| Retried { id: id.to_string(), page: crate::names::build_page(&summary.project, id) }),
            steps: detail.steps.iter().map(|s| step_line(s, logs)).collect(),
            logs: detail.steps.iter().filter_map(log_of).collect(),
            log_note: format!("{} in {}", size(printed), count(detail.steps.len(), "step", "steps")),
            reproduce: detail.reproduce.join("\n"),
            links: links.collect(),
            tests: detail.steps.iter().filter_map(tests_of).collect(),
            artifacts: detail.steps.iter().filter_map(|step| artifacts_of(step, now)).collect(),
            lately: detail.lately.iter().map(|b| BuildLine::of(b, now)).collect(),
            requested: When::new(summary.requested_ms, now),
            started: summary.started_ms.map(|at: UnixMs| When::new(at, now)),
            finished: summary.finished_ms.map(|at| When::new(at, now)),
        };
        let frame = context.frame(self, At::Branches, &format!("{} #{}", summary.builder, summary.id));
        if ended {
            return self.render("build", frame, view);
        }
        let frame = frame.renewed_by(&[("build", &summary.id.to_string())]).awaiting(awaits(detail));
        self.render("build", frame, view)
    }
}
