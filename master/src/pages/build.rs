//! A build: what broke, whose fault it is, and how to see it at home; with the log open where it failed.

use super::frame::At;
use super::log::{End, WINDOW, render};
use super::parts::{BuildLine, VerdictView, ran, sentence};
use super::words::{Commit, Fact, Link, When, count, duration, look, size};
use super::{Context, Pages, PagesError};
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

/// The end of a step's log.
#[derive(Clone, Debug)]
pub(crate) struct StepLog {
    number: u32,
    from: u64,
    bytes: Vec<u8>,
}

impl StepLog {
    /// The bytes of step `number`'s log from byte `from` on; a line that began before them is left out.
    pub(crate) fn new(number: u32, from: u64, mut bytes: Vec<u8>) -> Self {
        let whole = if from == 0 { 0 } else { bytes.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1) };
        bytes.drain(..whole);
        Self { number, from: from.saturating_add(whole as u64), bytes }
    }
}

/// Bytes that the page shows of each step's log, from its end: the most of the one that is read first.
pub(crate) fn log_windows(it: &BuildDetail) -> Vec<(u32, u64)> {
    let first = first_read(it);
    let window = |step: &StepDetail| (step.number, if first == Some(step.number) { WINDOW } else { WINDOW / 16 });
    it.steps.iter().filter(|s| s.log_len > 0 || s.look == Look::Running).map(window).collect()
}

#[derive(Serialize)]
struct View {
    branches: String,
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
    size: String,
    raw_page: String,
    cut: Option<String>,
    open: bool,
    live: Option<String>,
    html: String,
}

#[derive(Serialize)]
struct StepLink {
    #[serde(flatten)]
    link: Link,
    step: String,
}

/// The step whose log is read first: the one that failed, else the one that runs, else the last that printed.
fn first_read(it: &BuildDetail) -> Option<u32> {
    let printed = |s: &&StepDetail| s.log_len > 0 || s.look == Look::Running;
    let of = |look: Look| it.steps.iter().filter(printed).find(move |s| s.look == look);
    let found = of(Look::Failed).or_else(|| of(Look::Exception)).or_else(|| of(Look::Running));
    found.or_else(|| it.steps.iter().rev().find(printed)).map(|s| s.number)
}

fn step_line(step: &StepDetail, logs: &[StepLog]) -> StepLine {
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
        log: logs.iter().any(|log| log.number == step.number),
    }
}

fn log_view(it: &BuildDetail, step: &StepDetail, log: &StepLog, open: bool) -> LogView {
    let running = step.look == Look::Running;
    let shown = render(&log.bytes, step.number, if running { End::Open } else { End::Closed });
    let next = log.from.saturating_add(shown.used);
    let live = running.then(|| {
        let (id, n, line) = (it.summary.id, step.number, shown.next_line);
        format!("/api/v1/builds/{id}/steps/{n}/log/events?from={next}&line={line}")
    });
    let cut = (log.from > 0 || shown.lines_left_out > 0).then(|| {
        format!("Only its end is shown, with lines numbered from where that begins; it has {}.", size(step.log_len))
    });
    LogView {
        number: step.number,
        name: step.name.clone(),
        look: look(step.look),
        word: step.word.clone(),
        ran: step.ran_ms.map(duration),
        size: size(step.log_len),
        raw_page: format!("{}/steps/{}/log", it.summary.page, step.number),
        cut,
        open,
        live,
        html: shown.html,
    }
}

/// The log of the step that comes next, while none runs.
fn awaits(it: &BuildDetail) -> Option<String> {
    if it.steps.iter().any(|s| s.look == Look::Running) {
        return None;
    }
    let begun = it.summary.state == BuildState::Running && !it.steps.is_empty();
    let next = it.steps.iter().find(|s| s.look == Look::Waiting).filter(|_| begun).map_or(0, |s| s.number);
    Some(format!("/api/v1/builds/{}/steps/{next}/log/events?from=0", it.summary.id))
}

fn verdict(it: &BuildDetail) -> VerdictView {
    let summary = &it.summary;
    let failed = it.steps.iter().find(|s| s.look == Look::Failed || s.look == Look::Exception);
    let builder = &summary.builder;
    let says = |before: &str| if summary.says.is_empty() { String::new() } else { format!("{before}{}", summary.says) };
    let (headline, who, what) = match (summary.state, failed) {
        (BuildState::Waiting, _) => (format!("{builder} waits{}", says(": ")), "bb", "gives it to a slave"),
        (BuildState::Running, _) => (format!("{builder} runs{}", says(": ")), "bb", "reports how it ends"),
        (BuildState::Finished(result), _) if result.passed() => (format!("{builder} passed{}", says(": ")), "", ""),
        (BuildState::Finished(protocol::BuildResult::Failure), Some(step)) => {
            let why = says(": ").replace(&format!(": {}: ", step.name), ": ");
            (
                format!("{builder} failed at {}{why}", step.name),
                "the author",
                "mends it, or finds out why it fails here",
            )
        }
        (BuildState::Finished(protocol::BuildResult::Failure), None) => {
            (format!("{builder} failed{}", says(": ")), "the author", "mends it")
        }
        (BuildState::Finished(protocol::BuildResult::Exception), _) => (
            format!("{builder} ended by the machine's or bb's fault{}", says(": ")),
            "an admin",
            "looks after the machine, then somebody runs it again",
        ),
        (BuildState::Finished(protocol::BuildResult::Retry), _) => {
            (format!("{builder} was interrupted{}", says(": ")), "bb", "runs it again")
        }
        (BuildState::Finished(_), _) => (format!("{builder}: {}{}", summary.word, says(", ")), "", ""),
    };
    VerdictView {
        look: look(summary.look),
        headline,
        who: Some(who.to_owned()).filter(|w| !w.is_empty()),
        what: sentence(what),
        needs: Vec::new(),
    }
}

fn facts(it: &BuildDetail) -> Vec<Fact> {
    let result = match it.summary.state {
        BuildState::Waiting => "none yet".to_owned(),
        BuildState::Running => "none yet, it runs".to_owned(),
        BuildState::Finished(result) => result.as_str().to_owned(),
    };
    let isolation = match it.isolation {
        Isolation::None => "none needed".to_owned(),
        Isolation::Bubblewrap => format!("{} needed", it.isolation.as_str()),
    };
    vec![
        Fact::new("Result", result),
        Fact::new("Attempt", it.attempt.to_string()),
        Fact::new("Isolation", isolation),
        Fact::new("Asked for by", if it.summary.for_queue { "the queue" } else { "the branch" }),
    ]
}

impl Pages {
    /// A build's page, with the ends of its steps' logs.
    ///
    /// # Errors
    /// When the templates, which a user can override, can't be filled.
    pub(crate) fn build(
        &self,
        context: &Context,
        it: &BuildDetail,
        logs: &[StepLog],
        may: May,
    ) -> Result<String, PagesError> {
        let (summary, now) = (&it.summary, context.now);
        let open = first_read(it);
        let ended = matches!(summary.state, BuildState::Finished(_));
        let (when_said, at) = match (summary.finished_ms, summary.started_ms) {
            (Some(at), _) => ("ended", at),
            (None, Some(at)) => ("started", at),
            (None, None) => ("asked for", summary.requested_ms),
        };
        let log_of = |step: &StepDetail| {
            let log = logs.iter().find(|l| l.number == step.number)?;
            Some(log_view(it, step, log, open == Some(step.number)))
        };
        let links = it.steps.iter().flat_map(|step| {
            step.links.iter().map(|(name, url)| StepLink { link: Link::new(name, url), step: step.name.clone() })
        });
        let printed: u64 = it.steps.iter().map(|s| s.log_len).sum();
        let view = View {
            branches: format!("{}/branches", context.base()),
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
            verdict: verdict(it),
            facts: facts(it),
            retried: it
                .retried_as
                .map(|id| Retried { id: id.to_string(), page: crate::names::build_page(&summary.project, id) }),
            steps: it.steps.iter().map(|s| step_line(s, logs)).collect(),
            logs: it.steps.iter().filter_map(log_of).collect(),
            log_note: format!("{} in {}", size(printed), count(it.steps.len(), "step", "steps")),
            reproduce: it.reproduce.join("\n"),
            links: links.collect(),
            lately: it.lately.iter().map(|b| BuildLine::of(b, now)).collect(),
            requested: When::new(summary.requested_ms, now),
            started: summary.started_ms.map(|at: UnixMs| When::new(at, now)),
            finished: summary.finished_ms.map(|at| When::new(at, now)),
        };
        let frame = context.frame(self, At::Branches, &format!("{} #{}", summary.builder, summary.id));
        if ended {
            return self.render("build", frame, view);
        }
        let frame = frame.renewed_by(&[("build", &summary.id.to_string())]).awaiting(awaits(it));
        self.render("build", frame, view)
    }
}
