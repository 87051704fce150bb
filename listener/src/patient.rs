//! A connection whose reader must keep reading.
//!
//! Somebody who asks for much and takes nothing, or a byte now and then, would hold what the answer holds for as long as it
//! likes. So while an answer can't be written on, its reader has a time to take a piece of it, again and again.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The piece, in bytes.
const PIECE: usize = 32 << 10;

/// How well a reader keeps up.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// While not all could be written: until when a piece must be, and how much of it was.
    behind: Option<(Instant, usize)>,
}

impl Pace {
    /// So much of what was wanted could be written.
    fn took(&mut self, now: Instant, patience: Duration, bytes: usize, wanted: usize) {
        if let Some((_, taken)) = &mut self.behind {
            *taken += bytes;
            if *taken >= PIECE {
                self.behind = None;
            }
        }
        if bytes < wanted {
            self.stuck(now, patience);
        }
    }

    /// Nothing can be written now; until when that may be so.
    fn stuck(&mut self, now: Instant, patience: Duration) -> Instant {
        self.behind.get_or_insert((now + patience, 0)).0
    }

    /// All that there was has been written.
    fn caught_up(&mut self) {
        self.behind = None;
    }
}

/// A stream that is written to with patience, but not for ever.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    patience: Duration,
    pace: Pace,
    end: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, pace: Pace::default(), end: Box::pin(sleep(patience)) }
    }

    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        wanted: usize,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.pace.took(Instant::now(), self.patience, bytes, wanted);
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => {
                let until = self.pace.stuck(Instant::now(), self.patience);
                if self.end.deadline() != until {
                    self.end.as_mut().reset(until);
                }
                ready!(self.end.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not read")))
            }
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(context, written, bytes.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Who flushes has written all that there was.
        self.pace.caught_up();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Whether a reader who takes so many bytes each second gets an answer of a megabyte; after how many seconds it has,
    /// or was given up.
    fn answered(each_second: usize) -> (bool, u64) {
        let (mut pace, mut now, mut left, begun) = (Pace::default(), Instant::now(), 1_usize << 20, Instant::now());
        loop {
            let taken = each_second.min(left);
            if taken > 0 {
                pace.took(now, PATIENCE, taken, left);
                left -= taken;
            }
            if left == 0 {
                return (true, (now - begun).as_secs());
            }
            now += Duration::from_secs(1);
            if pace.stuck(now, PATIENCE) <= now {
                return (false, (now - begun).as_secs());
            }
        }
    }

    #[test]
    fn who_reads_nothing_or_drips_is_given_up() {
        for each_second in [0, 1, 500, 1000] {
            let (all, seconds) = answered(each_second);
            assert!(!all && seconds <= 32, "{each_second}: {all}, {seconds}");
        }
    }

    #[test]
    fn who_reads_slowly_gets_all() {
        assert!(matches!(answered(2 << 10), (true, 500..520)));
        assert_eq!(answered(1 << 20), (true, 0));
    }

    #[test]
    fn a_pause_between_two_answers_counts_for_nothing() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..5 {
            assert!(pace.stuck(now, PATIENCE) > now);
            pace.took(now + PATIENCE / 2, PATIENCE, 20, 20);
            pace.caught_up();
            now += PATIENCE * 10;
        }
    }

    #[tokio::test]
    async fn a_writer_gets_the_error_and_its_bytes_until_then() {
        let (mut reader, writer) = tokio::io::duplex(10);
        let mut writer = Patient::new(writer, Duration::from_millis(1));
        let error = writer.write_all(&[7; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(writer);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, [7; 10]);
    }
}
