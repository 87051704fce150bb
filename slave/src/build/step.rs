//! Watches over one running step: its output, its limits, its end.

use super::{Stop, Stopped, disk, lacking, stopped};
use crate::launch::{End, Outcome};
use crate::sandbox::{Next, Running};
use crate::spool::LogWriter;
use protocol::BuildResult;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The limits of a step.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Longest run.
    pub(super) timeout: Option<Duration>,
    /// When the build's time is up, and how long that was in seconds.
    pub(super) build: Instant,
    pub(super) build_s: u64,
    /// Longest time without output.
    pub(super) silence: Duration,
    /// Longest log, in bytes; bb's own lines not counted.
    pub(super) log_bytes: u64,
    /// Time between TERM and KILL.
    pub(super) grace: Duration,
}

/// How a step ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// By itself.
    Itself(End),
    /// It ran too long.
    TooLong(Duration),
    /// It was the build that ran too long, with so many seconds.
    OutOfBuildTime(u64),
    /// It printed nothing for too long.
    Silent(Duration),
    /// It printed more than so many bytes.
    TooMuch(u64),
    /// The build is to stop.
    Stopped(Stop),
    /// Its log can't be written.
    Unwritable(String),
    /// Some of its processes can't be ended.
    Unending,
    /// Its supervisor died without a word.
    Lost,
}

/// How long the supervisor may take beyond the grace.
const SUPERVISOR: Duration = Duration::from_secs(30);

/// How long output is waited for when everything that could print is gone.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// What came of a step.
pub(super) struct Came {
    /// How it ended.
    pub(super) ended: Ended,
    /// The end of its output.
    pub(super) tail: Vec<u8>,
    /// Whether its supervisor said that nothing of it runs any more.
    pub(super) gone: bool,
}

/// Follows a step to its end. When this returns nothing of it runs any more, unless its supervisor failed.
pub(super) async fn run(mut running: Running, log: &mut LogWriter, bounds: &Bounds, stop: &mut Stopped) -> Came {
    let began = Instant::now();
    let times_out = bounds.timeout.map(|timeout| began + timeout);
    let mut watch = Watch { log, limit: bounds.log_bytes, cause: None, heard: began, muted: false, tail: Vec::new() };
    let mut buffer = vec![0; 64 << 10];
    let mut open = true;
    let mut given_up = None;
    let outcome = loop {
        let ending = watch.cause.is_some();
        let silent = watch.heard + bounds.silence;
        let cause = tokio::select! {
            next = running.next(&mut buffer, open) => match next {
                Next::Output(Ok(0) | Err(_)) => {
                    open = false;
                    None
                }
                Next::Output(Ok(n)) => watch.printed(&buffer[..n]).await,
                Next::Ended(outcome) => break outcome,
            },
            why = stopped(stop), if !ending => Some(Ended::Stopped(why)),
            () = sleep_until(times_out.unwrap_or(silent)), if !ending && times_out.is_some() => {
                bounds.timeout.map(Ended::TooLong)
            }
            () = sleep_until(bounds.build), if !ending => Some(Ended::OutOfBuildTime(bounds.build_s)),
            () = sleep_until(silent), if !ending => Some(Ended::Silent(bounds.silence)),
            () = sleep_until(given_up.unwrap_or(silent)), if given_up.is_some() => {
                running.kill_supervisor().await;
                break None;
            }
        };
        if let Some(cause) = cause
            && watch.cause.is_none()
        {
            watch.cause = Some(cause);
            given_up = Some(Instant::now() + bounds.grace + SUPERVISOR);
            running.end().await;
        }
    };
    let drained = async {
        while open && let Ok(n @ 1..) = running.read(&mut buffer).await {
            let more = watch.printed(&buffer[..n]).await;
            watch.cause = watch.cause.take().or(more);
        }
    };
    // A process that got away with the pipe must not hold the build up.
    let _ = tokio::time::timeout(LAST_OUTPUT, drained).await;
    running.collect().await;
    let tail = std::mem::take(&mut watch.tail);
    let gone = outcome.as_ref().is_some_and(|outcome| outcome.survivors == 0);
    Came { ended: watch.end(outcome).await, tail, gone }
}

struct Watch<'a> {
    log: &'a mut LogWriter,
    limit: u64,
    /// Why the step was ended, if it was.
    cause: Option<Ended>,
    heard: Instant,
    /// Nothing more is written: the log is full, or can't be written.
    muted: bool,
    /// The end of what was printed, at least [`lacking::TAIL`] bytes of it.
    tail: Vec<u8>,
}

impl Watch<'_> {
    fn remember(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(lacking::TAIL)..];
        if self.tail.len() + bytes.len() > 2 * lacking::TAIL {
            self.tail.drain(..self.tail.len().saturating_sub(lacking::TAIL));
        }
        self.tail.extend_from_slice(bytes);
    }

    /// Writes output to the log, up to the limit and a mark that says so. Gives the reason to end the step, if it is one.
    async fn printed(&mut self, bytes: &[u8]) -> Option<Ended> {
        self.heard = Instant::now();
        self.remember(bytes);
        if self.muted {
            return None;
        }
        let room = usize::try_from(self.limit.saturating_sub(self.log.len())).unwrap_or(usize::MAX);
        let fits = &bytes[..bytes.len().min(room)];
        let mut written = self.log.append(fits).await;
        if written.is_ok() && fits.len() == bytes.len() {
            return None;
        }
        self.muted = true;
        let cause = Ended::TooMuch(self.limit);
        if written.is_ok() {
            written = self.log.remark(&format!("the log is cut off here: it {}", cause.words())).await;
        }
        Some(written.map_or_else(|error| Ended::Unwritable(disk(&error)), |()| cause))
    }

    async fn end(self, outcome: Option<Outcome>) -> Ended {
        let Self { log, cause, .. } = self;
        let left_behind = outcome.as_ref().map_or(0, |outcome| outcome.left_behind);
        let ended = match (cause, outcome) {
            (_, Some(outcome)) if outcome.survivors > 0 => Ended::Unending,
            (Some(cause), _) => cause,
            (None, Some(outcome)) => Ended::Itself(outcome.end),
            (None, None) => Ended::Lost,
        };
        let remark = match &ended {
            Ended::Itself(_) if left_behind > 0 => {
                Some(format!("ended {left_behind} processes that the step left behind"))
            }
            Ended::Itself(End::Exited(_)) | Ended::TooMuch(_) | Ended::Unwritable(_) => None,
            other => Some(other.words()),
        };
        let said = match remark {
            Some(words) => log.remark(&words).await,
            None => Ok(()),
        };
        match (said, ended) {
            (Err(error), Ended::Itself(_)) => Ended::Unwritable(disk(&error)),
            (_, ended) => ended,
        }
    }
}

/// What a step's end comes to.
pub(super) struct Judgement {
    pub(super) result: BuildResult,
    pub(super) exit_code: Option<i32>,
    /// The reason, if there is more to say than the exit code.
    pub(super) reason: Option<String>,
    /// The program that this slave lacks, if that is the reason.
    pub(super) lacks: Option<String>,
}

impl Ended {
    /// Judges it. `started` is whether the step's own command was reached: if not, the sandbox is at fault. `tail` is the
    /// end of what it printed.
    pub(super) fn judge(&self, started: bool, tail: &[u8]) -> Judgement {
        let judged = |result, reason| Judgement { result, exit_code: None, reason, lacks: None };
        match self {
            Self::Itself(End::Exited(0)) if started => {
                Judgement { exit_code: Some(0), ..judged(BuildResult::Success, None) }
            }
            Self::Itself(End::Exited(code)) if started => {
                let lacks = lacking::program(*code, tail);
                let reason = lacks.as_deref().map(|program| lacking::words(program, *code));
                let reason = reason.or_else(|| lacking::own(*code, tail)).or_else(|| lacking::code(*code));
                Judgement { result: BuildResult::Failure, exit_code: Some(*code), reason, lacks }
            }
            Self::Itself(End::Exited(code)) => {
                let reason = format!("the sandbox did not come up (exit code {code}); its words are in the log");
                judged(BuildResult::Exception, Some(reason))
            }
            Self::Itself(End::NotStarted(_)) | Self::Unwritable(_) | Self::Unending | Self::Lost => {
                judged(BuildResult::Exception, Some(self.words()))
            }
            Self::Stopped(stop) => {
                let (result, reason) = stop.result();
                judged(result, Some(reason))
            }
            Self::Itself(End::Signalled(_))
            | Self::TooLong(_)
            | Self::OutOfBuildTime(_)
            | Self::Silent(_)
            | Self::TooMuch(_) => judged(BuildResult::Failure, Some(self.words())),
        }
    }

    /// What happened, for people.
    fn words(&self) -> String {
        match self {
            Self::Itself(End::Exited(code)) => format!("ended with exit code {code}"),
            Self::Itself(End::Signalled(signal)) => format!("died by {}", lacking::signal(*signal)),
            Self::Itself(End::NotStarted(why)) | Self::Unwritable(why) => why.clone(),
            Self::TooLong(limit) => format!("ran longer than {}", time(limit.as_secs())),
            Self::OutOfBuildTime(limit) => format!("the build ran longer than {}", time(*limit)),
            Self::Silent(limit) => format!("printed nothing for {}", time(limit.as_secs())),
            Self::TooMuch(limit) => format!("printed more than {}", size(*limit)),
            Self::Stopped(stop) => stop.result().1,
            Self::Unending => "some of its processes can't be ended".to_owned(),
            Self::Lost => "its supervisor was killed".to_owned(),
        }
    }
}

/// A time for people: `90 s`, `20 min`, `3 h`.
fn time(seconds: u64) -> String {
    match seconds {
        s if s >= 7200 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s >= 120 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// A size for people: `100 bytes`, `256 MiB`.
fn size(bytes: u64) -> String {
    match bytes {
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}
