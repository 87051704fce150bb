//! Delivers reports and the files of steps to the master, from where it has them on.
//!
//! Memory is bounded: one piece of a file at a time is read from disk, and of each file at most [`WINDOW`] bytes are on
//! their way without having been acknowledged.

use super::{Lost, send, text};
use crate::spool::{Spool, Spooled};
use futures_util::Sink;
use protocol::wire::{BuildRef, Have, LogChunk, MAX_CHUNK, StepFile, ToMaster, Word};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// Most bytes of one file that are sent and not acknowledged.
pub(super) const WINDOW: u64 = 1 << 20;
/// How long what there is to say waits for what comes right after it: most steps end before anybody could read that they began,
/// and what comes together costs the master one write.
const GATHER: Duration = Duration::from_millis(25);
/// So many bytes of a file wait for nothing.
const MUCH: u64 = 64 << 10;

/// What of each build was sent in this session.
pub(super) struct Delivery {
    spool: Arc<Spool>,
    sent: Mutex<HashMap<BuildRef, Sent>>,
    acknowledged: Notify,
}

#[derive(Debug, Default)]
struct Sent {
    next_report: u32,
    files: BTreeMap<StepFile, Window>,
    /// The master wants no more of it; it is on disk only until that is carried out.
    forgotten: bool,
}

/// How far one file is sent, and how far the master has it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Window {
    sent: u64,
    acknowledged: u64,
}

impl Window {
    /// How many bytes may be sent now of a file of this length.
    fn room(self, len: u64) -> usize {
        let open = WINDOW.saturating_sub(self.sent.saturating_sub(self.acknowledged));
        let there = len.saturating_sub(self.sent);
        usize::try_from(open.min(there)).unwrap_or(MAX_CHUNK).min(MAX_CHUNK)
    }

    /// Takes in that the master has all below `next`; what was never sent can't be acknowledged.
    fn acknowledge(&mut self, next: u64) {
        self.acknowledged = self.acknowledged.max(next.min(self.sent));
    }
}

impl Delivery {
    /// Starts from what the master has; nothing of `forgotten` is sent.
    pub(super) fn new(spool: &Arc<Spool>, have: Vec<Have>, forgotten: &[BuildRef]) -> Self {
        let mut sent = HashMap::new();
        for &of in forgotten {
            sent.insert(of, Sent { forgotten: true, ..Sent::default() });
        }
        for Have { of, next_report, logs, .. } in have {
            let Some(build) = spool.get(of) else {
                tracing::warn!(build = %of.build, "the master waits for a build that this slave does not have");
                continue;
            };
            build.catch_up(next_report);
            build.told(next_report);
            let files = logs.into_iter().map(|(file, at)| (file, Window { sent: at, acknowledged: at })).collect();
            sent.insert(of, Sent { next_report, files, forgotten: false });
        }
        Self { spool: Arc::clone(spool), sent: Mutex::new(sent), acknowledged: Notify::new() }
    }

    /// The master has all of a file below `next`.
    pub(super) fn acknowledged(&self, of: BuildRef, file: StepFile, next: u64) {
        if let Some(window) = self.locked().get_mut(&of).and_then(|sent| sent.files.get_mut(&file)) {
            window.acknowledge(next);
        }
        self.acknowledged.notify_one();
    }

    /// Nothing more of a build is to be sent.
    pub(super) fn forget(&self, of: BuildRef) {
        self.locked().entry(of).or_default().forgotten = true;
    }

    /// Sends whatever there is to send, as it comes up, until the connection is lost.
    pub(super) async fn run<S>(
        &self,
        mut sink: S,
        ping: Duration,
        mut said: watch::Receiver<Word>,
    ) -> Result<Infallible, Lost>
    where
        S: Sink<Message, Error = WsError> + Unpin,
    {
        let mut pings = tokio::time::interval(ping);
        loop {
            // First, so that a slave that hands builds back is not given others in the same breath.
            if said.has_changed().unwrap_or(false) {
                let word = said.borrow_and_update().clone();
                let message = ToMaster::Availability { said: word.says, reason: word.reason.clone(), word: Some(word) };
                send(&mut sink, text(&message)?).await?;
            }
            // One report or piece of a file of each step in turn, so that no build waits for another's long log.
            let mut more = false;
            for build in self.wanted() {
                more |= self.send_reports(&build, &mut sink).await?;
                for (file, len) in build.files() {
                    more |= self.send_file(&build, file, len, &mut sink).await?;
                }
            }
            tokio::select! {
                // In this order, so that pings go out also while there is always more to send.
                biased;
                _ = pings.tick() => send(&mut sink, Message::Ping(bytes::Bytes::new())).await?,
                Ok(()) = said.changed() => said.mark_changed(),
                () = std::future::ready(()), if more => {}
                () = self.spool.changed().notified() => self.gather().await,
                () = self.acknowledged.notified() => {}
            }
        }
    }

    /// Waits a moment for more to say, unless what there is should be said at once.
    async fn gather(&self) {
        let urgent = async {
            while !self.is_urgent() {
                self.spool.changed().notified().await;
            }
        };
        // When the moment is over, what there is is said.
        let _ = tokio::time::timeout(GATHER, urgent).await;
    }

    /// Whether a build has ended, whose slot and whose people wait for that, or a file has grown much.
    fn is_urgent(&self) -> bool {
        let builds = self.wanted();
        let sent = self.locked();
        builds.iter().any(|build| {
            let sent = sent.get(&build.of);
            let ended = build.finished() && build.report_at(sent.map_or(0, |sent| sent.next_report)).is_some();
            let unsent = |file: StepFile, len: u64| {
                len.saturating_sub(sent.and_then(|sent| sent.files.get(&file)).map_or(0, |window| window.sent))
            };
            ended || build.files().into_iter().any(|(file, len)| unsent(file, len) >= MUCH)
        })
    }

    /// The builds to send of. What is on disk no more is dropped from memory too.
    fn wanted(&self) -> Vec<Arc<Spooled>> {
        let mut builds = self.spool.builds();
        let mut sent = self.locked();
        sent.retain(|of, _| builds.iter().any(|build| build.of == *of));
        builds.retain(|build| !sent.get(&build.of).is_some_and(|sent| sent.forgotten));
        builds
    }

    async fn send_reports<S>(&self, build: &Arc<Spooled>, sink: &mut S) -> Result<bool, Lost>
    where
        S: Sink<Message, Error = WsError> + Unpin,
    {
        let mut any = false;
        loop {
            let number = self.locked().entry(build.of).or_default().next_report;
            let Some(report) = build.report_at(number) else { return Ok(any) };
            send(sink, text(&ToMaster::Report(report))?).await?;
            if let Some(sent) = self.locked().get_mut(&build.of) {
                sent.next_report = number + 1;
            }
            any = true;
        }
    }

    async fn send_file<S>(&self, build: &Arc<Spooled>, file: StepFile, len: u64, sink: &mut S) -> Result<bool, Lost>
    where
        S: Sink<Message, Error = WsError> + Unpin,
    {
        let window = *self.locked().entry(build.of).or_default().files.entry(file).or_default();
        let room = window.room(len);
        if room == 0 {
            return Ok(false);
        }
        let from = Arc::clone(build);
        let read = tokio::task::spawn_blocking(move || from.read_file(file, window.sent, room)).await;
        let bytes = match read {
            Ok(Ok(bytes)) if !bytes.is_empty() => bytes,
            Ok(Ok(_)) => return Ok(false),
            Ok(Err(error)) => {
                tracing::warn!(build = %build.of.build, ?file, "what a step left can't be read: {error}");
                return Ok(false);
            }
            Err(error) => return Err(Lost::Socket(Box::new(WsError::Io(std::io::Error::other(error))))),
        };
        let chunk = LogChunk { of: build.of, file, offset: window.sent };
        send(sink, Message::Binary(chunk.encode(&bytes).into())).await?;
        if let Some(window) = self.locked().get_mut(&build.of).and_then(|sent| sent.files.get_mut(&file)) {
            window.sent += bytes.len() as u64;
        }
        Ok(true)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<BuildRef, Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_more_than_a_window_is_under_way(acks in proptest::collection::vec(0u64..3 << 20, 0..40)) {
            let len = 2 << 20;
            let mut window = Window::default();
            for ack in acks {
                window.sent += window.room(len) as u64;
                prop_assert!(window.sent - window.acknowledged <= WINDOW && window.sent <= len);
                window.acknowledge(ack);
                prop_assert!(window.acknowledged <= window.sent);
            }
        }

        #[test]
        fn everything_is_sent_when_the_master_keeps_up(len in 0u64..5 << 20) {
            let mut window = Window::default();
            for _ in 0..=len / MAX_CHUNK as u64 {
                window.sent += window.room(len) as u64;
                window.acknowledge(window.sent);
            }
            prop_assert_eq!(window.sent, len);
        }
    }
}
