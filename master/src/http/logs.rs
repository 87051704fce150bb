//! Logs: a step's bytes, a whole build's, as they are or as they grow.

use super::doors::Stays;
use super::extract::{Asked, BuildPart, Part};
use super::range::{Ranged, nowhere, within};
use crate::actions;
use crate::read;
use crate::refused::{Done, Refused};
use crate::state::Shared;
use crate::store::{Build, Interest, Listener, Topic};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures_util::{Stream, stream};
use headers::{HeaderMapExt as _, Range};
use protocol::BuildId;
use protocol::wire::StepFile;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes read at once, and the longest wait for a wake-up.
const PIECE: usize = 64 << 10;
const LOOK: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
pub(super) struct StepPart {
    pub(super) id: BuildId,
    pub(super) step: u32,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    /// The first byte; from the end when negative.
    #[serde(default)]
    from: i64,
    /// At most so many bytes.
    limit: Option<u64>,
    /// Any value but `0`: go on as the log grows.
    follow: Option<String>,
    /// Any value but `0`: a line before each step.
    headers: Option<String>,
    /// The number of the first line, for a reader who has those before it.
    line: Option<u64>,
}

fn on(flag: Option<&String>) -> bool {
    flag.is_some_and(|value| value != "0")
}

/// Reads logs piece by piece, waiting for more where that is wanted.
struct Reader {
    shared: Arc<Shared>,
    build: BuildId,
    follow: bool,
    growth: tokio::sync::watch::Receiver<u64>,
    changes: Listener,
}

impl Reader {
    fn new(shared: Arc<Shared>, build: BuildId, follow: bool) -> Self {
        let growth = shared.logs.growth();
        let changes = shared.store.listen(Interest::all([Topic::Build, Topic::Step]).only(build.0));
        Self { shared, build, follow, growth, changes }
    }

    /// The next piece of a step's log from `at` on; none at its end.
    async fn piece(&mut self, step: u32, at: u64, limit: usize) -> Result<Option<Vec<u8>>, io::Error> {
        loop {
            self.growth.borrow_and_update();
            self.changes.heard();
            // Asked before reading: what comes between is found at the next turn.
            let ended = self.ended(step, at).await;
            let logs = self.shared.logs.clone();
            let build = self.build;
            let read = tokio::task::spawn_blocking(move || logs.read(build, StepFile::Log(step), at, limit)).await;
            let bytes = read.map_err(io::Error::other)??;
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
            if !self.follow || ended || !self.wait().await {
                return Ok(None);
            }
        }
    }

    /// Whether no more can come of a step's log.
    async fn ended(&self, step: u32, at: u64) -> bool {
        let Ok(steps) = self.shared.store.steps(self.build).await else { return true };
        let whole = steps.iter().find(|s| s.number == step).and_then(|s| s.log_len);
        if let Some(whole) = whole {
            return at >= u64::try_from(whole).unwrap_or(0);
        }
        self.build_ended().await
    }

    async fn build_ended(&self) -> bool {
        !matches!(self.shared.store.build(self.build).await, Ok(Some(build)) if build.result().is_none())
    }

    /// Waits for something to happen; false when the master ends.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            () = self.shared.shutdown.cancelled() => false,
            _ = timeout(LOOK, self.growth.changed()) => true,
            () = self.changes.changed() => true,
        }
    }
}

fn text(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body).into_response()
}

/// `GET /builds/N/steps/M/log`: the bytes of one step's log. A range (RFC 9110, section 14) counts when nothing in the address
/// says which bytes are wanted.
pub(super) async fn step(
    State(shared): State<Arc<Shared>>,
    Part(part): Part<StepPart>,
    Asked(wanted): Asked<Wanted>,
    stays: Option<Extension<Stays>>,
    headers: HeaderMap,
) -> Done<Response> {
    has_step(&actions::build(&shared.store, part.id).await?, part.step)?;
    let follow = stays.is_some() && on(wanted.follow.as_ref());
    let asked = if follow || wanted.from != 0 || wanted.limit.is_some() { None } else { headers.typed_get::<Range>() };
    let range = match asked {
        Some(asked) => within(&asked, len(&shared, part.id, part.step)?),
        None => Ranged::Whole,
    };
    let (at, left) = match &range {
        Ranged::Whole => (start(&shared, part.id, part.step, wanted.from)?, wanted.limit.unwrap_or(u64::MAX)),
        Ranged::Part { bytes, .. } => (bytes.start, bytes.end - bytes.start),
        Ranged::Nowhere { len } => return Ok(nowhere("log", *len)),
    };
    let reader = Reader::new(shared, part.id, follow);
    let pieces = stream::try_unfold((reader, at, left), move |(mut reader, at, left)| async move {
        let limit = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        if limit == 0 {
            return Ok(None);
        }
        let Some(bytes) = reader.piece(part.step, at, limit).await? else { return Ok(None) };
        let n = bytes.len() as u64;
        Ok::<_, io::Error>(Some((Bytes::from(bytes), (reader, at + n, left - n))))
    });
    Ok(range.said_in(text(Body::from_stream(pieces))))
}

/// Refuses a step that a build never has; one that did not begin yet has an empty log.
fn has_step(build: &Build, step: u32) -> Done<()> {
    // Before the recipe's steps comes bb's own, the fetch.
    if usize::try_from(step).is_ok_and(|step| step <= build.builder.steps.len()) {
        return Ok(());
    }
    let detail = format!("build #{} has no step {step}", build.id);
    Err(Refused::new(404, "no-such-step", detail, "the build's page lists its steps"))
}

fn start(shared: &Shared, build: BuildId, step: u32, from: i64) -> Done<u64> {
    if let Ok(from) = u64::try_from(from) {
        return Ok(from);
    }
    Ok(len(shared, build, step)?.saturating_sub(from.unsigned_abs()))
}

fn len(shared: &Shared, build: BuildId, step: u32) -> Done<u64> {
    let len = shared.logs.len(build, StepFile::Log(step));
    len.map_err(|e| Refused::new(500, "log", format!("the log can't be read: {e}"), ""))
}

/// Where a reader of a whole build is.
struct Whole {
    reader: Reader,
    headers: bool,
    /// The steps' numbers and names that are still to be read.
    steps: VecDeque<(u32, String)>,
    seen: u32,
    at: u64,
    /// The last line that was given has no line feed.
    open: bool,
}

/// `GET /builds/N/log`: the logs of all steps, one after the other.
pub(super) async fn whole(
    State(shared): State<Arc<Shared>>,
    Part(part): Part<BuildPart>,
    Asked(wanted): Asked<Wanted>,
    stays: Option<Extension<Stays>>,
) -> Done<Response> {
    actions::build(&shared.store, part.id).await?;
    let reader = Reader::new(shared, part.id, stays.is_some() && on(wanted.follow.as_ref()));
    let whole =
        Whole { reader, headers: on(wanted.headers.as_ref()), steps: VecDeque::new(), seen: 0, at: 0, open: false };
    let pieces = stream::try_unfold(whole, |mut whole| async move {
        Ok::<_, io::Error>(whole.next().await?.map(|bytes| (Bytes::from(bytes), whole)))
    });
    Ok(text(Body::from_stream(pieces)))
}

impl Whole {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, io::Error> {
        loop {
            let Some((step, name)) = self.steps.front().cloned() else {
                if !self.more_steps().await {
                    return Ok(None);
                }
                continue;
            };
            if self.at == 0 && self.seen <= step {
                self.seen = step + 1;
                if self.headers {
                    // What a step printed last may be no whole line; what comes next begins one.
                    let end = if std::mem::take(&mut self.open) { "\n" } else { "" };
                    return Ok(Some(format!("{end}=== {name}\n").into_bytes()));
                }
            }
            if let Some(mut bytes) = self.reader.piece(step, self.at, PIECE).await? {
                let begins = self.at == 0;
                self.at += bytes.len() as u64;
                if begins && self.open {
                    bytes.insert(0, b'\n');
                }
                self.open = bytes.last() != Some(&b'\n');
                return Ok(Some(bytes));
            }
            self.steps.pop_front();
            self.at = 0;
        }
    }

    /// Finds steps that began since; waits for one when following; false when there will be none.
    async fn more_steps(&mut self) -> bool {
        loop {
            self.reader.changes.heard();
            let ended = self.reader.build_ended().await;
            let Ok(steps) = self.reader.shared.store.steps(self.reader.build).await else { return false };
            self.steps = steps.into_iter().filter(|s| s.number >= self.seen).map(|s| (s.number, s.name)).collect();
            if !self.steps.is_empty() {
                return true;
            }
            if ended || !self.reader.follow || !self.reader.wait().await {
                return false;
            }
        }
    }
}

/// The number of the line that a byte is of.
async fn line_at(shared: &Shared, build: BuildId, step: u32, at: u64) -> Done<u64> {
    let logs = shared.logs.clone();
    let found = tokio::task::spawn_blocking(move || logs.lines(build, step)?.line_at(at)).await;
    Ok(found.map_err(io::Error::other).flatten().map_err(read::ReadError::Log)?)
}

/// A piece of a log for the page.
#[derive(Serialize)]
struct Shown {
    from: u64,
    html: String,
}

/// `GET /builds/N/steps/M/log/events`: the log as HTML lines, as it grows; `end` when the step has ended.
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    Part(part): Part<StepPart>,
    Asked(wanted): Asked<Wanted>,
    Extension(Stays): Extension<Stays>,
) -> Done<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    has_step(&actions::build(&shared.store, part.id).await?, part.step)?;
    let at = start(&shared, part.id, part.step, wanted.from)?;
    let line = match wanted.line {
        Some(line) => line,
        None => line_at(&shared, part.id, part.step, at).await?,
    };
    let reader = Reader::new(shared, part.id, true);
    let view = crate::pages::LiveLog::new(part.step, line);
    let events = stream::unfold(Some((reader, view, at)), move |state| async move {
        let (mut reader, mut view, at) = state?;
        match reader.piece(part.step, at, PIECE).await {
            Ok(Some(bytes)) => {
                let html = view.push(&bytes);
                let data = serde_json::to_string(&Shown { from: at, html }).ok()?;
                let event = Event::default().event("log").data(data);
                Some((Ok(event), Some((reader, view, at + bytes.len() as u64))))
            }
            Ok(None) | Err(_) => Some((Ok(Event::default().event("end").data("{}")), None)),
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}
