//! Runs one build: gets the candidate, runs the steps, reports.
//!
//! It reports to the spool only, and never knows whether a master is there. Whatever goes wrong ends in a last report.

mod artifacts;
pub(crate) mod environment;
mod find;
mod junit;
mod lacking;
pub(crate) mod notes;
mod rules;
mod step;

use crate::availability::{Keeper, Troubles};
use crate::config::{Config, Token};
use crate::sandbox::{Sandbox, Task};
use crate::source::Source;
use crate::spool::{LogWriter, Spooled};
use crate::work::{Room, Slot, Slots};
use protocol::artifacts::Artifacts;
use protocol::tested::TestReport;
use protocol::wire::{Assignment, Happened, Isolation, Limits, StepFile};
use protocol::{BuildResult, UnixMs};
use recipe::Step;
use rules::Progress;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use step::{Bounds, Ended};
use tokio::sync::watch;
use tokio::time::Instant;

/// What the builds of a slave share.
pub(crate) struct Shop {
    pub(crate) bench: Bench,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) troubles: Arc<Troubles>,
    pub(crate) room: Arc<Room>,
    pub(crate) slots: Arc<Slots>,
}

/// What a build works with, on a slave and at home.
pub(crate) struct Bench {
    pub(crate) config: Config,
    /// As it was proven last.
    pub(crate) sandbox: RwLock<Arc<Sandbox>>,
    pub(crate) source: Arc<dyn Source>,
    /// What the source shows to the master; none at home.
    pub(crate) token: Option<Token>,
}

impl Bench {
    /// The sandbox as it was proven last.
    pub(crate) fn sandbox(&self) -> Arc<Sandbox> {
        Arc::clone(&self.sandbox.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why a build is to stop.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// The master said so, and why.
    Cancel(String),
    /// The master wants to hear no more of it.
    Forget,
    /// The slave itself stops.
    Shutdown,
    /// It is to go to another slave, and why.
    Move(String),
}

impl Stop {
    fn result(&self) -> (BuildResult, String) {
        match self {
            Self::Cancel(reason) => (BuildResult::Cancelled, format!("cancelled: {reason}")),
            Self::Forget => (BuildResult::Cancelled, "the master has forgotten it".to_owned()),
            Self::Shutdown => (BuildResult::Retry, "the slave was stopped".to_owned()),
            Self::Move(why) => (BuildResult::Retry, format!("handed back, as the slave was made unavailable ({why})")),
        }
    }
}

/// Told when a build is to stop.
pub(crate) type Stopped = watch::Receiver<Option<Stop>>;

/// Waits until a build is to stop.
pub(crate) async fn stopped(stop: &mut Stopped) -> Stop {
    match stop.wait_for(Option::is_some).await {
        Ok(said) => said.clone().unwrap_or(Stop::Shutdown),
        Err(_) => Stop::Shutdown,
    }
}

/// Runs a build to its last report.
pub(crate) async fn run(shop: Arc<Shop>, assignment: &Assignment, spooled: Arc<Spooled>, mut stop: Stopped) {
    let slot = tokio::select! {
        // In this order: what is to stop takes no slot.
        biased;
        why = stopped(&mut stop) => Err(why.result()),
        slot = shop.slots.take() => slot.map_err(|error| (BuildResult::Exception, format!("no slot: {error}"))),
    };
    let (slot, (result, reason)) = match slot {
        Ok(slot) => {
            let _in_use = shop.room.uses(&assignment.project);
            let end = match trouble(&shop).await {
                Some(why) => Stop::Move(why).result(),
                None => Build::run(&shop.bench, assignment, &spooled, &slot, stop).await,
            };
            (Some(slot), end)
        }
        Err(end) => (None, end),
    };
    tracing::info!(build = %assignment.of.build, %result, "{reason}");
    // A slave that was restarted may have been brought down by this very build; one that was stopped was not.
    let handed_back = result == BuildResult::Retry;
    report(&spooled, Happened::BuildFinished { result, reason, handed_back }).await;
    // A large folder takes its time, for which nobody is to wait but the next build in this slot.
    if let Some(slot) = slot
        && let Err(error) = slot.clean().await
    {
        tracing::warn!("a work folder can't be cleaned: {error}");
    }
}

/// What keeps the machine from building now, looked at anew: also whether there is room on disk.
async fn trouble(shop: &Shop) -> Option<String> {
    let keeper = Arc::clone(&shop.keeper);
    let _ = tokio::task::spawn_blocking(move || keeper.look_again()).await;
    shop.troubles.why()
}

/// Reports; a report that can't be written down is sent all the same.
async fn report(spooled: &Arc<Spooled>, what: Happened) -> bool {
    let at = UnixMs(jiff::Timestamp::now().as_millisecond());
    let to = Arc::clone(spooled);
    let written = tokio::task::spawn_blocking(move || to.report(what, at)).await;
    match written {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(build = %spooled.of.build, "a report can't be written to the slave's disk: {error}");
            false
        }
        Err(error) => {
            tracing::error!(build = %spooled.of.build, "{error}");
            false
        }
    }
}

/// One build, from getting the candidate to the end of its last step.
pub(crate) struct Build<'a> {
    bench: &'a Bench,
    sandbox: Arc<Sandbox>,
    assignment: &'a Assignment,
    spooled: &'a Arc<Spooled>,
    slot: &'a Slot,
    stop: Stopped,
    limits: Limits,
    /// Bytes of files that its steps keep so far.
    kept: u64,
    ends: Instant,
    progress: Progress,
}

/// What a step's end is reported as.
struct Finished {
    result: BuildResult,
    exit_code: Option<i32>,
    reason: Option<String>,
    lacks: Option<String>,
    links: Vec<(String, String)>,
    summary: String,
    tests: Option<TestReport>,
    artifacts: Option<Artifacts>,
}

impl Finished {
    fn bare(result: BuildResult, reason: impl Into<Option<String>>) -> Self {
        let (links, summary) = (Vec::new(), String::new());
        let reason = reason.into();
        Self { result, exit_code: None, reason, lacks: None, links, summary, tests: None, artifacts: None }
    }
}

impl<'a> Build<'a> {
    /// Runs it and gives its result and one line on it; everything else is in the reports and logs.
    pub(crate) async fn run(
        bench: &'a Bench,
        assignment: &'a Assignment,
        spooled: &'a Arc<Spooled>,
        slot: &'a Slot,
        stop: Stopped,
    ) -> (BuildResult, String) {
        let sandbox = bench.sandbox();
        let has = sandbox.isolation();
        if has < assignment.isolation {
            return (BuildResult::Exception, too_open(has, assignment.isolation, sandbox.notes()));
        }
        let limits = bench.config.limits.stricter(assignment.limits);
        let ends = Instant::now() + Duration::from_secs(limits.build_s);
        let progress = Progress::default();
        let mut build = Self { bench, sandbox, assignment, spooled, slot, stop, limits, kept: 0, ends, progress };
        build.fetch().await;
        for (n, step) in (1..).zip(&assignment.builder.steps) {
            build.step(n, step).await;
        }
        build.progress.result()
    }

    /// Step 0: gets the candidate.
    async fn fetch(&mut self) {
        self.start(0, "fetch").await;
        let began = Instant::now();
        let mut log = match self.spooled.log(0).await {
            Ok(log) => log,
            Err(error) => {
                let finished = Finished::bare(BuildResult::Exception, disk(&error));
                self.finish(0, "fetch", None, began, recipe::OnFailure::Fail, finished).await;
                return;
            }
        };
        let (bench, assignment, slot) = (self.bench, self.assignment, self.slot);
        let url = bench.config.master.join(&assignment.git_path);
        let place = self.sandbox.place(slot);
        let get = async {
            if !Sandbox::sweep_slot(slot).await {
                return Err("processes of an earlier build in this slot can't be ended".to_owned());
            }
            slot.clean().await.map_err(|error| format!("the work folder can't be cleaned: {error}"))?;
            let got = bench
                .source
                .checkout(url.as_str(), bench.token.as_ref(), assignment, &place)
                .await
                .map_err(|error| error.to_string())?;
            slot.hand_over().await.map_err(|error| format!("the work folder can't be handed over: {error}"))?;
            Ok(got)
        };
        let finished = tokio::select! {
            got = get => match got {
                Ok(text) => match log.append(text.as_bytes()).await {
                    Ok(()) => Finished::bare(BuildResult::Success, None),
                    Err(error) => Finished::bare(BuildResult::Exception, disk(&error)),
                },
                Err(why) => {
                    let _ = log.append(format!("{why}\n").as_bytes()).await;
                    let why: String = why;
                    Finished::bare(BuildResult::Exception, format!("the candidate can't be had: {}", first_line(&why)))
                }
            },
            why = stopped(&mut self.stop) => {
                let (result, reason) = why.result();
                Finished::bare(result, reason)
            }
            () = tokio::time::sleep_until(self.ends) => {
                Finished::bare(BuildResult::Exception, format!("not got within {} s", self.limits.build_s))
            }
        };
        self.finish(0, "fetch", Some(log), began, recipe::OnFailure::Fail, finished).await;
    }

    async fn step(&mut self, n: u32, step: &Step) {
        if !self.progress.wants(step.when) {
            if self.progress.stopped() {
                return;
            }
            self.start(n, &step.name).await;
            let why = Progress::why_skipped(step.when).to_owned();
            let finished = Finished::bare(BuildResult::Skipped, why);
            self.finish(n, &step.name, None, Instant::now(), step.on_failure, finished).await;
            return;
        }
        self.start(n, &step.name).await;
        let began = Instant::now();
        let (log, finished) = match self.spooled.log(n).await {
            Ok(mut log) => {
                let finished = self.run_step(n, step, &mut log).await;
                (Some(log), finished)
            }
            Err(error) => (None, Finished::bare(BuildResult::Exception, disk(&error))),
        };
        self.finish(n, &step.name, log, began, step.on_failure, finished).await;
    }

    async fn run_step(&mut self, n: u32, step: &Step, log: &mut LogWriter) -> Finished {
        let view = self.sandbox.view(self.slot);
        if let Err(error) = notes::begin(self.slot).await {
            return Finished::bare(BuildResult::Exception, format!("the slave's disk: {error}"));
        }
        let grace = Duration::from_secs(self.limits.grace_s);
        let env = environment::of_step(&self.bench.config.env, self.assignment, step, &view);
        let task = Task { argv: environment::argv(&step.run), env, grace };
        let running = match self.sandbox.start(self.slot, task).await {
            Ok(running) => running,
            Err(error) => return Finished::bare(BuildResult::Exception, error.to_string()),
        };
        let bounds = Bounds {
            timeout: step.timeout_s.map(Duration::from_secs),
            build: self.ends,
            build_s: self.limits.build_s,
            silence: Duration::from_secs(self.limits.silence_s),
            log_bytes: self.limits.log_bytes,
            grace,
        };
        let step::Came { ended, tail, gone } = step::run(running, log, &bounds, &mut self.stop).await;
        // The supervisor has seen to it, unless it was itself killed or held up by the build.
        let gone = gone || Sandbox::sweep_slot(self.slot).await;
        let ended = if gone { ended } else { Ended::Unending };
        let noted = notes::read(self.slot).await;
        let started = noted.started;
        let step::Judgement { result, exit_code, reason, lacks } = ended.judge(started, &tail);
        if let Ended::OutOfBuildTime(_) = ended {
            self.progress.stop(BuildResult::Failure, format!("{}: {}", step.name, reason.as_deref().unwrap_or("")));
        }
        // What still runs could change under the reader's hands.
        let tests = if gone { junit::read(self.slot, &step.junit).await } else { None };
        let artifacts = match gone {
            true => {
                let left = self.limits.artifact_bytes.saturating_sub(self.kept);
                artifacts::keep(self.slot, self.spooled, n, &step.artifacts, left).await
            }
            false => None,
        };
        self.kept += artifacts.as_ref().map_or(0, Artifacts::bytes);
        let (result, reason) = judged_by_tests(result, reason, tests.as_ref());
        let (result, reason) = judged_by_artifacts(result, reason, artifacts.as_ref());
        let (links, summary) = (noted.links, noted.summary);
        Finished { result, exit_code, reason, lacks, links, summary, tests, artifacts }
    }

    async fn start(&mut self, step: u32, name: &str) {
        if !report(self.spooled, Happened::StepStarted { step, name: name.to_owned() }).await {
            self.progress.stop(BuildResult::Exception, "the slave's disk can't be written".to_owned());
        }
    }

    async fn finish(
        &mut self,
        step: u32,
        name: &str,
        log: Option<LogWriter>,
        began: Instant,
        on_failure: recipe::OnFailure,
        mut finished: Finished,
    ) {
        let mut log_len = 0;
        if let Some(log) = log {
            log_len = log.len();
            if let Err(error) = log.finish().await {
                finished.result = BuildResult::Exception;
                finished.reason = Some(disk(&error));
            }
        }
        let Finished { result, exit_code, reason, lacks, links, summary, tests, artifacts } = finished;
        let why = match (&reason, exit_code) {
            (Some(reason), _) if matches!(result, BuildResult::Cancelled | BuildResult::Retry) => reason.clone(),
            (Some(reason), _) => format!("{name}: {reason}"),
            (None, Some(code)) => format!("{name} failed with exit code {code}"),
            (None, None) => format!("{name}: {result}"),
        };
        if step == 0 {
            self.progress.fetched(result, why);
        } else {
            self.progress.step(result, on_failure, why);
        }
        let ran_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let kept = artifacts.as_ref().map(Artifacts::bytes);
        let (tests, artifacts) = (tests.map(Box::new), artifacts.map(Box::new));
        let what = Happened::StepFinished {
            step,
            result,
            exit_code,
            log_len,
            reason,
            lacks,
            ran_ms,
            links,
            summary,
            tests,
            artifacts,
        };
        if !report(self.spooled, what).await {
            self.progress.stop(BuildResult::Exception, "the slave's disk can't be written".to_owned());
        }
        // After the report that says what they are.
        if let Some(bytes) = kept {
            self.spooled.grew(StepFile::Artifacts(step), bytes);
        }
    }
}

/// A step's result with what its tests say: one that failed fails a step that ended well, and names what failed in one that
/// did not. Files that its recipe promises and that can't be read are worth a warning.
fn judged_by_tests(
    result: BuildResult,
    reason: Option<String>,
    tests: Option<&TestReport>,
) -> (BuildResult, Option<String>) {
    let Some(tests) = tests else { return (result, reason) };
    match (result, tests.failures()) {
        (BuildResult::Success | BuildResult::Warnings | BuildResult::Failure, Some(failures)) => {
            (BuildResult::Failure, reason.or(Some(failures)))
        }
        (BuildResult::Success, None) => match tests.notes.first() {
            Some(note) => (BuildResult::Warnings, Some(note.clone())),
            None => (result, reason),
        },
        _ => (result, reason),
    }
}

/// Files that a step's recipe wants kept and that are not are worth a warning.
fn judged_by_artifacts(
    result: BuildResult,
    reason: Option<String>,
    artifacts: Option<&Artifacts>,
) -> (BuildResult, Option<String>) {
    match artifacts.and_then(|kept| kept.notes.first()) {
        Some(note) if result == BuildResult::Success => (BuildResult::Warnings, Some(note.clone())),
        _ => (result, reason),
    }
}

fn too_open(has: Isolation, wanted: Isolation, notes: &[String]) -> String {
    format!(
        "this build needs the isolation {}, and this slave has {}: {}",
        wanted.as_str(),
        has.as_str(),
        notes.join("; ")
    )
}

/// What is said of an error while writing.
fn disk(error: &std::io::Error) -> String {
    format!("the slave's disk can't be written: {error}")
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("").chars().take(300).collect()
}
