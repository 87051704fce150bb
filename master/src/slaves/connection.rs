//! One slave's connection: hello, welcome, and then reports and logs in, builds and acknowledgements out.
//!
//! A slave is trusted only with the builds that were given to it. What it says of others is answered with `Forget`.

use super::Sessions;
use super::assigned::{Assigned, cut};
use crate::logs::{Logs, Writer};
use crate::store::{
    ArtifactLength, BuildRowState, Change, Finished, Recorded, SlaveRow, Store, StoreError, TokenRow, Topic, now,
};
use axum::extract::ws::{Message, WebSocket};
use futures_util::FutureExt as _;
use protocol::wire::{
    BadChunk, BuildRef, Happened, Have, Hello, Limits, LogChunk, MAX_HELD, MAX_WORD, Report, StepFile, ToMaster,
    ToSlave, VERSION, Voice, Word,
};
use protocol::{BuildId, BuildResult, SlaveName};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout};

/// How long a slave may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// A connection is tried so many times before a slave counts as silent.
const PINGS: u32 = 3;
/// Log bytes after which a sync is made though more are there to be read.
const SYNC_AFTER: usize = 1 << 20;
/// Reports that are recorded in one write.
const TOGETHER: usize = 64;
/// Frames that are taken before what they say is recorded and the slave is told what there is to do, however many are there.
const FRAMES: usize = 256;
/// Builds that ended and whose logs are still on their way, of one slave.
const MAX_ENDED: usize = MAX_HELD;
/// The longest label of a slave, in characters, and the most lines that its self-test says.
const MAX_LABEL: usize = 100;
const MAX_NOTES: usize = 64;
/// The longest of what a slave says of itself, in characters.
const MAX_SAID: usize = 200;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Socket(#[from] axum::Error),
    #[error("it closed the connection")]
    Closed,
    #[error("nothing was heard of it for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("it did not read what it was sent for {} s", .0.as_secs())]
    Stuck(Duration),
    #[error("another connection of it was opened, or its token was revoked")]
    Replaced,
    #[error("it sent something that can't be understood: {0}")]
    Nonsense(String),
    #[error("it said what it may not: {0}")]
    Forbidden(String),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("a log can't be written: {0}")]
    Log(#[from] std::io::Error),
    #[error("the master ends")]
    Shutdown,
}

impl From<BadChunk> for Ended {
    fn from(error: BadChunk) -> Self {
        Self::Nonsense(error.to_string())
    }
}

/// What a connection works with.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) logs: Logs,
    pub(crate) sessions: Sessions,
    pub(crate) limits: Limits,
    /// How long a slave may be silent, and how long it may take to read.
    pub(crate) silence: Duration,
    pub(crate) shutdown: tokio_util::sync::CancellationToken,
}

/// Serves a slave that showed its token, until the connection ends.
pub(crate) async fn serve(mut socket: WebSocket, token: TokenRow, parts: Parts) {
    let hello = match timeout(HELLO, first_frame(&mut socket)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(error)) => return tracing::info!(slave = token.name, %error, "no hello"),
        Err(_) => return tracing::info!(slave = token.name, "no hello in time"),
    };
    let hello = tidy(hello);
    if let Err(reason) = acceptable(&hello, &token) {
        tracing::warn!(slave = %hello.name, reason, "slave refused");
        let _ = send(&mut socket, &ToSlave::Refused { reason }, parts.silence).await;
        return;
    }
    let name = hello.name.clone();
    match run(socket, &token, &hello, &parts).await {
        Err(error @ (Ended::Store(_) | Ended::Log(_) | Ended::Nonsense(_) | Ended::Forbidden(_))) => {
            tracing::warn!(slave = %name, %error, "connection ended");
        }
        Err(error) => tracing::info!(slave = %name, %error, "connection ended"),
        Ok(()) => {}
    }
}

async fn first_frame(socket: &mut WebSocket) -> Result<Hello, Ended> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
            Ok(ToMaster::Hello(hello)) => Ok(hello),
            Ok(_) => Err(Ended::Nonsense("the first message is no hello".to_owned())),
            Err(error) => Err(Ended::Nonsense(error.to_string())),
        },
        Some(Ok(_)) => Err(Ended::Nonsense("the first frame is no text".to_owned())),
        Some(Err(error)) => Err(error.into()),
        None => Err(Ended::Closed),
    }
}

fn acceptable(hello: &Hello, token: &TokenRow) -> Result<(), String> {
    hello.version.check(&hello.bb).map_err(|e| e.to_string())?;
    if token.name.parse::<SlaveName>().as_ref() != Ok(&hello.name) {
        return Err(format!(
            "the token is of slave `{}`, and this is slave `{}`: make another with `bb token new slave {}`",
            token.name, hello.name, hello.name
        ));
    }
    if hello.slots == 0 || hello.slots > 1024 || hello.labels.len() > 256 {
        return Err("a slave has 1 to 1024 slots and at most 256 labels: mend slave.toml".to_owned());
    }
    if hello.labels.iter().any(|label| label.chars().nth(MAX_LABEL).is_some() || label.contains('\0')) {
        return Err(format!("a label has at most {MAX_LABEL} characters: mend slave.toml"));
    }
    if hello.builds.len() > MAX_HELD {
        return Err(format!(
            "a slave has at most {MAX_HELD} builds on its disk, and this one says it has {}: empty its spool",
            hello.builds.len()
        ));
    }
    Ok(())
}

/// A hello whose words for people are no longer than anybody reads.
fn tidy(mut hello: Hello) -> Hello {
    let short = |text: &str| cut(&clean_text(text), MAX_SAID);
    hello.bb = short(&hello.bb);
    hello.machine = short(&hello.machine);
    hello.isolation_notes.truncate(MAX_NOTES);
    hello.isolation_notes = hello.isolation_notes.iter().map(|note| short(note)).collect();
    hello.word = hello.word.map(|word| Word { says: hello.availability, ..tidy_word(word) });
    hello
}

/// A slave's word as it is kept: for people no longer than anybody reads, never an admin's, and not since a time to come.
fn tidy_word(mut word: Word) -> Word {
    let short = |text: &str| cut(&clean_text(text), MAX_WORD);
    (word.who, word.reason) = (short(&word.who), short(&word.reason));
    if word.voice == Voice::Admin {
        word.voice = Voice::Nobody;
    }
    word.since.0 = word.since.0.clamp(0, now().0);
    word
}

async fn send(socket: &mut WebSocket, message: &ToSlave, patience: Duration) -> Result<(), Ended> {
    let text = serde_json::to_string(message).map_err(|e| Ended::Nonsense(e.to_string()))?;
    send_frame(socket, Message::Text(text.into()), patience).await
}

/// Sends a frame. A slave that doesn't read must not hold its connection, and its builds, for ever.
async fn send_frame(socket: &mut WebSocket, frame: Message, patience: Duration) -> Result<(), Ended> {
    Ok(timeout(patience, socket.send(frame)).await.map_err(|_| Ended::Stuck(patience))??)
}

async fn run(mut socket: WebSocket, token: &TokenRow, hello: &Hello, parts: &Parts) -> Result<(), Ended> {
    let slave = parts.store.slave_connected(token.id, hello).await?.ok_or(Ended::Replaced)?;
    // Before the comparison: what an older connection is given during it would be nobody's.
    let (number, outgoing, replaced) = parts.sessions.open(slave.id, token.id);
    let open = Open { slave: &slave, number, parts };
    // What it says is recorded only while its token counts.
    let as_slave = Parts { store: parts.store.by(Some(token.id)), ..parts.clone() };
    let talk = async {
        // Whoever revokes the token ends the connections that he finds: this one may be younger than that.
        if !parts.store.token_counts(token.id).await? {
            return Err(Ended::Replaced);
        }
        talk(&mut socket, hello, &slave, &as_slave, number, outgoing).await
    };
    let result = tokio::select! {
        result = talk => result,
        () = replaced.cancelled() => Err(Ended::Replaced),
        () = parts.shutdown.cancelled() => Err(Ended::Shutdown),
    };
    if let Err(error @ (Ended::Nonsense(_) | Ended::Forbidden(_))) = &result {
        let reason = format!("the connection is ended: {error}");
        let _ = send(&mut socket, &ToSlave::Refused { reason }, parts.silence).await;
    }
    drop(open);
    parts.sessions.record_gone(&parts.store).await;
    result
}

/// A slave's open connection. However it ends, the slave counts as away from then on, and whoever gives builds out is woken:
/// also when the store can't say so yet.
struct Open<'a> {
    slave: &'a SlaveRow,
    number: u64,
    parts: &'a Parts,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.parts.sessions.close(self.slave, self.number) {
            self.parts.store.say(Change::of_all(Topic::Slave, self.slave.id.0));
        }
    }
}

/// Agrees with a slave on its builds, then takes what it says and tells it what there is to do.
async fn talk(
    socket: &mut WebSocket,
    hello: &Hello,
    slave: &SlaveRow,
    parts: &Parts,
    number: u64,
    mut outgoing: mpsc::Receiver<ToSlave>,
) -> Result<(), Ended> {
    let Agreed { have, ended, owned } = agree(hello, slave, parts).await?;
    if !parts.sessions.ready(slave.id, number, owned) {
        return Err(Ended::Replaced);
    }
    tracing::info!(slave = %slave.name, builds = have.len(), isolation = slave.isolation.as_str(), "slave connected");
    let welcome = ToSlave::Welcome { version: VERSION, bb: env!("CARGO_PKG_VERSION").to_owned(), builds: have };
    send(socket, &welcome, parts.silence).await?;
    send(socket, &admins_word(slave), parts.silence).await?;
    parts.store.say(Change::of_all(Topic::Slave, slave.id.0));
    let writer = parts.logs.writer();
    let mut connection =
        Connection { slave, parts, writer, unsynced: 0, word: None, reports: Vec::new(), ended, heard: Instant::now() };
    let mut ping = interval(parts.silence / PINGS);
    loop {
        tokio::select! {
            frame = socket.recv() => connection.frames(socket, frame).await?,
            message = outgoing.recv() => send(socket, &message.ok_or(Ended::Replaced)?, parts.silence).await?,
            _ = ping.tick() => {
                if connection.heard.elapsed() > parts.silence {
                    return Err(Ended::Silent(parts.silence));
                }
                send_frame(socket, Message::Ping(Default::default()), parts.silence).await?;
            }
        }
    }
}

/// What a slave is told of the admin's word.
pub(crate) fn admins_word(slave: &SlaveRow) -> ToSlave {
    let word = slave.admin_at(now());
    ToSlave::Availability { admin: word.says, word: Some(word) }
}

/// What master and slave agree on when the slave says hello.
struct Agreed {
    /// How far the master is with each build that it still waits for.
    have: Vec<Have>,
    /// Those of them that have ended and whose logs are still on their way.
    ended: HashSet<BuildRef>,
    /// What the slave may say of each.
    owned: HashMap<BuildRef, Arc<Assigned>>,
}

/// Compares what the slave has with what the store says it should have, and says how far the master is.
async fn agree(hello: &Hello, slave: &SlaveRow, parts: &Parts) -> Result<Agreed, Ended> {
    let (mut have, mut ended, mut owned) = (Vec::new(), HashSet::new(), HashMap::new());
    let held: HashSet<BuildRef> = hello.builds.iter().copied().collect();
    for build in parts.store.open_builds().await? {
        if build.slave != Some(slave.id) || build.state != BuildRowState::Running {
            continue;
        }
        let of = build.reference();
        if held.contains(&of) {
            let logs = files(build.id, parts).await?;
            have.push(Have { of, next_report: build.next_report, logs, cancel: build.cancel.is_some() });
            owned.insert(of, Arc::new(Assigned::of(&build.builder)));
        } else if build.next_report == 0 {
            // It was given out and never reached the slave.
            parts.logs.forget(build.id)?;
            parts.store.take_back(of).await?;
        } else {
            let says = format!("slave {} has lost it", slave.name);
            parts.store.give_up(of, &Finished { result: BuildResult::Retry, says }).await?;
        }
    }
    // Ended builds whose logs are still on their way.
    for of in &held {
        if owned.contains_key(of) {
            continue;
        }
        let Some(build) = parts.store.build(of.build).await? else { continue };
        let mine = build.slave == Some(slave.id) && build.fence == of.fence && build.result().is_some();
        if mine && !complete(*of, parts).await? {
            let logs = files(build.id, parts).await?;
            have.push(Have { of: *of, next_report: build.next_report, logs, cancel: false });
            owned.insert(*of, Arc::new(Assigned::of(&build.builder)));
            ended.insert(*of);
        }
    }
    Ok(Agreed { have, ended, owned })
}

/// A report without NUL characters: a step can write them into what it publishes, and not every database takes them. One
/// report that can't be recorded would hold up all that follow.
fn clean(mut report: Report) -> Report {
    match &mut report.what {
        Happened::StepStarted { name, .. } => *name = clean_text(name),
        Happened::StepFinished { reason, lacks, links, summary, tests, artifacts, .. } => {
            // It is repeated in sentences, so it must be what a program may be called.
            let plain = |c: char| c.is_alphanumeric() || "+-._@".contains(c);
            *lacks = lacks.take().filter(|name| name.len() <= 256 && name.chars().all(plain));
            *summary = clean_text(summary);
            *reason = reason.as_deref().map(clean_text);
            for text in links.iter_mut().flat_map(|(name, url)| [name, url]) {
                *text = clean_text(text);
            }
            if let Some(tests) = tests {
                let failing = tests.failing.iter_mut().flat_map(|test| [&mut test.name, &mut test.text]);
                failing.chain(&mut tests.notes).for_each(|text| *text = clean_text(text));
            }
            if let Some(artifacts) = artifacts {
                artifacts.notes.iter_mut().for_each(|text| *text = clean_text(text));
            }
        }
        Happened::BuildFinished { reason, .. } => *reason = clean_text(reason),
    }
    report
}

fn clean_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// How much of each file of a build's steps is durable here.
async fn files(build: BuildId, parts: &Parts) -> Result<Vec<(StepFile, u64)>, Ended> {
    let mut files = Vec::new();
    for step in parts.store.steps(build).await? {
        let (log, kept) = (StepFile::Log(step.number), StepFile::Artifacts(step.number));
        files.push((log, parts.logs.durable_len(build, log)?));
        // Most steps keep none; of what is not said there is nothing.
        files.extend(Some(parts.logs.durable_len(build, kept)?).filter(|len| *len > 0).map(|len| (kept, len)));
    }
    Ok(files)
}

/// Whether what the steps of a build that ended left is all here.
async fn complete(of: BuildRef, parts: &Parts) -> Result<bool, Ended> {
    for step in parts.store.steps(of.build).await? {
        let wanted = step.log_len.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        if parts.logs.len(of.build, StepFile::Log(step.number))? < wanted {
            return Ok(false);
        }
    }
    for kept in parts.store.artifacts(of.build).await? {
        let there = parts.logs.len(of.build, StepFile::Artifacts(kept.step))?;
        if there < kept.files.bytes() && !kept.gone {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether bytes of what a step keeps are taken, up to `end`: once it is recorded what they are, so that none are here that nobody
/// counts and deletes. An older slave may send them before that; it is told that there are none, and sends them at its next connection.
///
/// # Errors
/// When there are more than were told of, or the steps of the build keep more than `most` together.
fn told_of(told: &[ArtifactLength], step: u32, end: u64, most: u64) -> Result<bool, String> {
    let all = told.iter().fold(0_u64, |sum, it| sum.saturating_add(it.bytes));
    let Some(of) = told.iter().find(|it| it.step == step && !it.gone) else { return Ok(false) };
    if all > most {
        return Err(format!("the files of its steps: {all} bytes, where {most} bytes are allowed"));
    }
    if end > of.bytes {
        return Err(format!("the files of step {step}: more than the {} bytes that it said", of.bytes));
    }
    Ok(true)
}

struct Connection<'a> {
    slave: &'a SlaveRow,
    parts: &'a Parts,
    writer: Writer,
    unsynced: usize,
    /// Its newest word on its availability, until it is recorded: before the reports that are, so that no build is given back to
    /// a slave that takes none.
    word: Option<Word>,
    /// Reports that were taken and are not recorded yet.
    reports: Vec<Report>,
    /// Builds that ended and whose logs are not all here.
    ended: HashSet<BuildRef>,
    heard: Instant,
}

impl Connection<'_> {
    /// Takes a frame, and those that are there already, then makes the logs durable and acknowledges them.
    async fn frames(
        &mut self,
        socket: &mut WebSocket,
        first: Option<Result<Message, axum::Error>>,
    ) -> Result<(), Ended> {
        let mut frame = first;
        for taken in 1.. {
            self.heard = Instant::now();
            match frame.ok_or(Ended::Closed)?? {
                Message::Text(text) => self.text(socket, &text).await?,
                Message::Binary(bytes) => self.chunk(socket, &bytes).await?,
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return Err(Ended::Closed),
            }
            if self.unsynced >= SYNC_AFTER || self.reports.len() >= TOGETHER || taken >= FRAMES {
                break;
            }
            match socket.recv().now_or_never() {
                Some(next) => frame = next,
                None => break,
            }
        }
        self.record(socket).await?;
        self.sync(socket).await
    }

    async fn say(&self, socket: &mut WebSocket, message: ToSlave) -> Result<(), Ended> {
        send(socket, &message, self.parts.silence).await
    }

    async fn text(&mut self, socket: &mut WebSocket, text: &str) -> Result<(), Ended> {
        match serde_json::from_str(text).map_err(|e| Ended::Nonsense(e.to_string()))? {
            ToMaster::Hello(_) => Err(Ended::Nonsense("a second hello".to_owned())),
            ToMaster::Availability { said, reason, word } => {
                let word = word.unwrap_or_else(|| Word { reason, ..Word::nobody(now()) });
                self.word = Some(Word { says: said, ..tidy_word(word) });
                Ok(())
            }
            ToMaster::Report(report) => self.take(socket, report).await,
        }
    }

    /// What the slave may say of a build; else it is told to forget it.
    async fn assigned(&self, socket: &mut WebSocket, of: BuildRef) -> Result<Option<Arc<Assigned>>, Ended> {
        let assigned = self.parts.sessions.assigned(self.slave.id, of);
        if assigned.is_none() {
            self.say(socket, ToSlave::Forget { of }).await?;
        }
        Ok(assigned)
    }

    /// Something was said that the assignment does not allow: the connection ends. A slave that can't but say so again
    /// loses the build, so that it does not keep a slot for ever.
    async fn forbidden(&self, of: BuildRef, why: String) -> Result<Ended, Ended> {
        let why = format!("of build #{}: {why}", of.build);
        if self.parts.sessions.strike(of) {
            let says = format!("slave {} said what it may not {why}", self.slave.name);
            self.parts.store.give_up(of, &Finished { result: BuildResult::Retry, says }).await?;
        }
        Ok(Ended::Forbidden(why))
    }

    /// Takes a report, to be recorded with those that come with it.
    async fn take(&mut self, socket: &mut WebSocket, mut report: Report) -> Result<(), Ended> {
        let of = report.of;
        let Some(assigned) = self.assigned(socket, of).await? else { return Ok(()) };
        if let Err(why) = assigned.check(&mut report, &self.parts.limits, now().0) {
            self.record(socket).await?;
            return Err(self.forbidden(of, why).await?);
        }
        self.reports.push(clean(report));
        Ok(())
    }

    /// Records the word and the reports that were taken, and says so of these.
    async fn record(&mut self, socket: &mut WebSocket) -> Result<(), Ended> {
        if let Some(word) = self.word.take() {
            self.parts.store.slave_said(self.slave, &word).await?;
        }
        let reports = std::mem::take(&mut self.reports);
        if reports.is_empty() {
            return Ok(());
        }
        let recorded = self.parts.store.reports(self.slave.id, &reports).await?;
        for (of, recorded) in recorded {
            match recorded {
                Recorded::Next(next) | Recorded::Gap(next) => {
                    self.say(socket, ToSlave::ReportsAcknowledged { of, next }).await?;
                }
                Recorded::Ended(next) => {
                    // It is forgotten, if everything is here, after the logs that came with it were made durable.
                    self.ended.insert(of);
                    if self.ended.len() > MAX_ENDED {
                        let why = format!("{MAX_ENDED} builds have ended whose logs never came");
                        return Err(Ended::Forbidden(why));
                    }
                    self.say(socket, ToSlave::ReportsAcknowledged { of, next }).await?;
                }
                Recorded::Stale => {
                    self.parts.sessions.disown(self.slave.id, of);
                    self.say(socket, ToSlave::Forget { of }).await?;
                }
            }
        }
        Ok(())
    }

    async fn chunk(&mut self, socket: &mut WebSocket, frame: &[u8]) -> Result<(), Ended> {
        let (LogChunk { of, file, offset }, bytes) = LogChunk::decode(frame)?;
        let Some(assigned) = self.assigned(socket, of).await? else { return Ok(()) };
        let end = offset.saturating_add(bytes.len() as u64);
        if let Err(why) = assigned.check_end(file, end, &self.parts.limits) {
            return Err(self.forbidden(of, why).await?);
        }
        if let StepFile::Artifacts(step) = file {
            // The report that tells of them may have come just before.
            self.record(socket).await?;
            let told = self.parts.store.artifact_lengths(of.build).await?;
            match told_of(&told, step, end, self.parts.limits.artifact_bytes) {
                Ok(true) => {}
                Ok(false) => {
                    let next = self.parts.logs.len(of.build, file)?;
                    return self.say(socket, ToSlave::LogAcknowledged { of, file, next }).await;
                }
                Err(why) => return Err(self.forbidden(of, why).await?),
            }
        }
        let next = tokio::task::block_in_place(|| self.writer.append(of.build, file, offset, bytes))?;
        if next == end {
            self.unsynced += bytes.len();
            return Ok(());
        }
        // A gap, or bytes that are here already.
        self.say(socket, ToSlave::LogAcknowledged { of, file, next }).await
    }

    async fn sync(&mut self, socket: &mut WebSocket) -> Result<(), Ended> {
        if self.unsynced == 0 {
            return self.forget_complete(socket).await;
        }
        self.unsynced = 0;
        for (build, file, next) in tokio::task::block_in_place(|| self.writer.sync())? {
            let of = self.owned_reference(build);
            if let Some(of) = of {
                self.say(socket, ToSlave::LogAcknowledged { of, file, next }).await?;
            }
        }
        self.forget_complete(socket).await
    }

    fn owned_reference(&self, build: protocol::BuildId) -> Option<BuildRef> {
        let inner = self.parts.sessions.lock();
        inner.open.get(&self.slave.id)?.owned.keys().find(|of| of.build == build).copied()
    }

    /// Tells the slave to forget the builds that ended and of which everything is here.
    async fn forget_complete(&mut self, socket: &mut WebSocket) -> Result<(), Ended> {
        let ended: Vec<BuildRef> = self.ended.iter().copied().collect();
        for of in ended {
            if complete(of, self.parts).await? {
                self.ended.remove(&of);
                self.writer.close(of.build);
                self.parts.sessions.disown(self.slave.id, of);
                self.say(socket, ToSlave::Forget { of }).await?;
            }
        }
        Ok(())
    }
}
