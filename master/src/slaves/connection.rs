//! One slave's connection: hello, welcome, and then reports and logs in, builds and acknowledgements out.
//!
//! A slave is trusted only with the builds that were given to it. What it says of others is answered with `Forget`.

use super::Sessions;
use crate::logs::{Logs, Writer};
use crate::store::{BuildRowState, Finished, Recorded, SlaveRow, Store, StoreError, TokenRow};
use axum::extract::ws::{Message, WebSocket};
use futures_util::FutureExt as _;
use protocol::wire::{BadChunk, BuildRef, Have, Hello, LogChunk, Report, ToMaster, ToSlave, VERSION};
use protocol::{BuildResult, SlaveName};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::{Instant, interval, timeout};

/// How long a slave may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// How often a connection is tried.
const PING: Duration = Duration::from_secs(15);
/// How long a slave may be silent.
const SILENCE: Duration = Duration::from_secs(45);
/// Log bytes after which a sync is made though more are there to be read.
const SYNC_AFTER: usize = 1 << 20;
/// What a log may be longer than its limit by: the mark that it was cut.
const LOG_SLACK: u64 = 64 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Socket(#[from] axum::Error),
    #[error("it closed the connection")]
    Closed,
    #[error("nothing was heard of it for {} s", SILENCE.as_secs())]
    Silent,
    #[error("another connection of it was opened")]
    Replaced,
    #[error("it sent something that can't be understood: {0}")]
    Nonsense(String),
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
    pub(crate) log_limit: u64,
    pub(crate) shutdown: tokio_util::sync::CancellationToken,
}

/// Serves a slave that showed its token, until the connection ends.
pub(crate) async fn serve(mut socket: WebSocket, token: TokenRow, parts: Parts) {
    let hello = match timeout(HELLO, first_frame(&mut socket)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(error)) => return tracing::info!(slave = token.name, %error, "no hello"),
        Err(_) => return tracing::info!(slave = token.name, "no hello in time"),
    };
    if let Err(reason) = acceptable(&hello, &token) {
        tracing::warn!(slave = %hello.name, reason, "slave refused");
        let _ = send(&mut socket, &ToSlave::Refused { reason }).await;
        return;
    }
    let name = hello.name.clone();
    match run(socket, &token, &hello, &parts).await {
        Err(error @ (Ended::Store(_) | Ended::Log(_) | Ended::Nonsense(_))) => {
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
    Ok(())
}

async fn send(socket: &mut WebSocket, message: &ToSlave) -> Result<(), Ended> {
    let text = serde_json::to_string(message).map_err(|e| Ended::Nonsense(e.to_string()))?;
    Ok(socket.send(Message::Text(text.into())).await?)
}

async fn run(mut socket: WebSocket, token: &TokenRow, hello: &Hello, parts: &Parts) -> Result<(), Ended> {
    let slave = parts.store.slave_connected(token.id, hello).await?;
    let have = agree(hello, &slave, parts).await?;
    let owned: HashSet<BuildRef> = have.iter().map(|h| h.of).collect();
    let (number, mut outgoing, replaced) = parts.sessions.open(slave.id, owned);
    tracing::info!(slave = %slave.name, builds = have.len(), isolation = slave.isolation.as_str(), "slave connected");

    let mut connection = Connection {
        slave: &slave,
        parts,
        writer: parts.logs.writer(),
        unsynced: 0,
        ended: HashSet::new(),
        heard: Instant::now(),
    };
    let result = async {
        let welcome = ToSlave::Welcome { version: VERSION, bb: env!("CARGO_PKG_VERSION").to_owned(), builds: have };
        send(&mut socket, &welcome).await?;
        send(&mut socket, &ToSlave::Availability { admin: slave.admin }).await?;
        parts.store.wake();
        let mut ping = interval(PING);
        loop {
            tokio::select! {
                frame = socket.recv() => connection.frames(&mut socket, frame).await?,
                message = outgoing.recv() => send(&mut socket, &message.ok_or(Ended::Replaced)?).await?,
                _ = ping.tick() => {
                    if connection.heard.elapsed() > SILENCE {
                        return Err(Ended::Silent);
                    }
                    socket.send(Message::Ping(Default::default())).await?;
                }
                () = replaced.cancelled() => return Err(Ended::Replaced),
                () = parts.shutdown.cancelled() => return Err(Ended::Shutdown),
            }
        }
    }
    .await;
    if parts.sessions.close(slave.id, number) {
        parts.store.slave_gone(slave.id).await?;
    }
    result
}

/// Compares what the slave has with what the store says it should have, and says how far the master is.
async fn agree(hello: &Hello, slave: &SlaveRow, parts: &Parts) -> Result<Vec<Have>, Ended> {
    let mut have = Vec::new();
    for build in parts.store.open_builds().await? {
        if build.slave != Some(slave.id) || build.state != BuildRowState::Running {
            continue;
        }
        let of = build.reference();
        if hello.builds.contains(&of) {
            let mut logs = Vec::new();
            for step in parts.store.steps(build.id).await? {
                logs.push((step.number, parts.logs.len(build.id, step.number)?));
            }
            have.push(Have { of, next_report: build.next_report, logs, cancel: build.cancel.is_some() });
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
    for of in &hello.builds {
        if have.iter().any(|h| h.of == *of) {
            continue;
        }
        let Some(build) = parts.store.build(of.build).await? else { continue };
        let mine = build.slave == Some(slave.id) && build.fence == of.fence && build.result().is_some();
        if mine && !complete(*of, parts).await? {
            let mut logs = Vec::new();
            for step in parts.store.steps(build.id).await? {
                logs.push((step.number, parts.logs.len(build.id, step.number)?));
            }
            have.push(Have { of: *of, next_report: build.next_report, logs, cancel: false });
        }
    }
    Ok(have)
}

/// Whether the logs of a build that ended are all here.
async fn complete(of: BuildRef, parts: &Parts) -> Result<bool, Ended> {
    for step in parts.store.steps(of.build).await? {
        let wanted = step.log_len.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        if parts.logs.len(of.build, step.number)? < wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Connection<'a> {
    slave: &'a SlaveRow,
    parts: &'a Parts,
    writer: Writer,
    unsynced: usize,
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
        loop {
            self.heard = Instant::now();
            match frame.ok_or(Ended::Closed)?? {
                Message::Text(text) => self.text(socket, &text).await?,
                Message::Binary(bytes) => self.chunk(socket, &bytes).await?,
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return Err(Ended::Closed),
            }
            if self.unsynced >= SYNC_AFTER {
                break;
            }
            match socket.recv().now_or_never() {
                Some(next) => frame = next,
                None => break,
            }
        }
        self.sync(socket).await
    }

    async fn text(&mut self, socket: &mut WebSocket, text: &str) -> Result<(), Ended> {
        match serde_json::from_str(text).map_err(|e| Ended::Nonsense(e.to_string()))? {
            ToMaster::Hello(_) => Err(Ended::Nonsense("a second hello".to_owned())),
            ToMaster::Availability { said, reason } => {
                let reason: String = reason.chars().take(200).collect();
                Ok(self.parts.store.slave_said(self.slave.id, said, &reason).await?)
            }
            ToMaster::Report(report) => self.report(socket, &report).await,
        }
    }

    async fn report(&mut self, socket: &mut WebSocket, report: &Report) -> Result<(), Ended> {
        let of = report.of;
        match self.parts.store.report(self.slave.id, report).await? {
            Recorded::Next(next) | Recorded::Gap(next) => {
                send(socket, &ToSlave::ReportsAcknowledged { of, next }).await
            }
            Recorded::Ended(next) => {
                send(socket, &ToSlave::ReportsAcknowledged { of, next }).await?;
                self.ended.insert(of);
                self.forget_complete(socket).await
            }
            Recorded::Stale => {
                self.parts.sessions.disown(self.slave.id, of);
                send(socket, &ToSlave::Forget { of }).await
            }
        }
    }

    async fn chunk(&mut self, socket: &mut WebSocket, frame: &[u8]) -> Result<(), Ended> {
        let (LogChunk { of, step, offset }, bytes) = LogChunk::decode(frame)?;
        if !self.parts.sessions.owns(self.slave.id, of) {
            return send(socket, &ToSlave::Forget { of }).await;
        }
        if offset + bytes.len() as u64 > self.parts.log_limit + LOG_SLACK {
            return Err(Ended::Nonsense(format!(
                "the log of build #{}, step {step}, is longer than allowed",
                of.build
            )));
        }
        let next = tokio::task::block_in_place(|| self.writer.append(of.build, step, offset, bytes))?;
        if next == offset + bytes.len() as u64 {
            self.unsynced += bytes.len();
            return Ok(());
        }
        // A gap, or bytes that are here already.
        send(socket, &ToSlave::LogAcknowledged { of, step, next }).await
    }

    async fn sync(&mut self, socket: &mut WebSocket) -> Result<(), Ended> {
        if self.unsynced == 0 {
            return Ok(());
        }
        self.unsynced = 0;
        for (build, step, next) in tokio::task::block_in_place(|| self.writer.sync())? {
            let of = self.owned_reference(build);
            if let Some(of) = of {
                send(socket, &ToSlave::LogAcknowledged { of, step, next }).await?;
            }
        }
        self.forget_complete(socket).await
    }

    fn owned_reference(&self, build: protocol::BuildId) -> Option<BuildRef> {
        let inner = self.parts.sessions.lock();
        inner.open.get(&self.slave.id)?.owned.iter().find(|of| of.build == build).copied()
    }

    /// Tells the slave to forget the builds that ended and of which everything is here.
    async fn forget_complete(&mut self, socket: &mut WebSocket) -> Result<(), Ended> {
        let ended: Vec<BuildRef> = self.ended.iter().copied().collect();
        for of in ended {
            if complete(of, self.parts).await? {
                self.ended.remove(&of);
                self.writer.close(of.build);
                self.parts.sessions.disown(self.slave.id, of);
                send(socket, &ToSlave::Forget { of }).await?;
            }
        }
        Ok(())
    }
}
