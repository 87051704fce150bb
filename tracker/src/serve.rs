//! The mirror over HTTP, read only, for slaves and for anybody's plain git.
//!
//! `GET …/info/refs?service=git-upload-pack` is answered by [`Mirror::advertise`], `POST …/git-upload-pack` by
//! [`Mirror::upload_pack`]. Only mainline, the tags of the official repository, revisions and candidates can be seen. Nothing can be pushed.

use crate::Explain;
use crate::git::{RunError, RunLimits, Running};
use crate::mirror::Mirror;
use bytes::Bytes;
use flate2::write::GzDecoder;
use futures_util::{Stream, StreamExt};
use protocol::Hint;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The content type of an advertisement.
pub const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
/// The content type of an answer of `upload-pack`.
pub const RESULT: &str = "application/x-git-upload-pack-result";

/// The longest request, unpacked, in bytes.
const MAX_REQUEST: usize = 64 << 20;

/// How a request's body is packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// `Content-Encoding: gzip`, as git sends longer ones.
    Gzip,
}

/// A request for git that is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Only fetching is.
    #[error("`{service}` is not served here: this repository can only be fetched from")]
    Service {
        /// What was asked for.
        service: String,
    },
    /// git could not be started.
    #[error(transparent)]
    Git(#[from] RunError),
}

impl Explain for ServeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Service { .. } => "git-read-only",
            Self::Git(error) => error.code(),
        }
    }

    fn hint(&self) -> Hint {
        match self {
            Self::Service { .. } => Hint::new("push to a repository of your own and publish the branch from there"),
            Self::Git(error) => error.hint(),
        }
    }
}

/// An answer of git, piece by piece. Dropped, it kills the process behind it.
pub struct GitStream {
    pieces: mpsc::Receiver<std::io::Result<Bytes>>,
    _tasks: JoinSet<()>,
}

impl Stream for GitStream {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_recv(context)
    }
}

fn limits() -> RunLimits {
    RunLimits {
        wall: Duration::from_secs(60 * 60),
        cpu: Duration::from_secs(10 * 60),
        file_bytes: 1 << 20,
        output_bytes: usize::MAX,
        ..RunLimits::default()
    }
}

impl Mirror {
    /// Whether a service, as `?service=` names it, is served.
    ///
    /// # Errors
    /// When it is any but `git-upload-pack`.
    pub fn check_service(service: &str) -> Result<(), ServeError> {
        match service {
            "git-upload-pack" => Ok(()),
            other => Err(ServeError::Service { service: crate::text::shortened(other, 40) }),
        }
    }

    /// The answer to `GET …/info/refs?service=git-upload-pack`, of the type [`ADVERTISEMENT`]. `protocol` is the
    /// request's `Git-Protocol` header.
    ///
    /// # Errors
    /// When git can't be started.
    pub fn advertise(&self, protocol: Option<&str>) -> Result<GitStream, ServeError> {
        let version = version(protocol);
        let before = match version {
            Some("version=2") => Bytes::new(),
            _ => Bytes::from_static(b"001e# service=git-upload-pack\n0000"),
        };
        let running = self.start(version, &["--advertise-refs"], false)?;
        let mut tasks = JoinSet::new();
        Ok(GitStream { pieces: pump(&mut tasks, running, before), _tasks: tasks })
    }

    /// The answer to `POST …/git-upload-pack`, of the type [`RESULT`].
    ///
    /// # Errors
    /// When git can't be started. What goes wrong later ends the stream with an error.
    pub fn upload_pack<S, E>(
        &self,
        protocol: Option<&str>,
        packing: Packing,
        request: S,
    ) -> Result<GitStream, ServeError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Send + 'static,
    {
        let mut running = self.start(version(protocol), &[], true)?;
        let mut tasks = JoinSet::new();
        if let Some(stdin) = running.stdin.take() {
            tasks.spawn(async move {
                // git is told of a broken request by its end; it answers with an error of its own.
                let _ = feed(stdin, packing, request).await;
            });
        }
        Ok(GitStream { pieces: pump(&mut tasks, running, Bytes::new()), _tasks: tasks })
    }

    fn start(&self, version: Option<&str>, args: &[&str], with_input: bool) -> Result<Running, ServeError> {
        let run = self.git().bounded().own(self.path()).config("uploadpack.allowFilter=true").limits(limits());
        let run = version.into_iter().fold(run, |run, version| run.env("GIT_PROTOCOL", version));
        let run = run.args(["upload-pack", "--strict", "--stateless-rpc"]).args(args).arg(self.path());
        Ok(run.start(with_input)?)
    }
}

/// The version that a client asks for; other words of the header are not for us.
fn version(protocol: Option<&str>) -> Option<&'static str> {
    let asked = protocol?.split(':').find(|word| word.starts_with("version="))?;
    ["version=2", "version=1", "version=0"].into_iter().find(|known| *known == asked)
}

/// Carries git's output to whoever reads the stream, and no longer than somebody does.
fn pump(tasks: &mut JoinSet<()>, mut running: Running, before: Bytes) -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (sender, pieces) = mpsc::channel(4);
    tasks.spawn(async move {
        let work = async {
            if !before.is_empty() && sender.send(Ok(before)).await.is_err() {
                return;
            }
            let Some(mut stdout) = running.stdout.take() else { return };
            loop {
                let mut piece = Vec::with_capacity(64 << 10);
                match stdout.read_buf(&mut piece).await {
                    Ok(0) => break,
                    Ok(_) if sender.send(Ok(piece.into())).await.is_ok() => {}
                    Ok(_) => return,
                    Err(error) => {
                        let _ = sender.send(Err(error)).await;
                        return;
                    }
                }
            }
            match running.finish().await {
                Ok((Some(0), ..)) => {}
                Ok((_, _, said)) => {
                    _ = sender.send(Err(std::io::Error::other(format!("git upload-pack: {said}")))).await;
                }
                Err(error) => _ = sender.send(Err(std::io::Error::other(error))).await,
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(limits().wall, work) => {}
            () = sender.closed() => {}
        }
    });
    pieces
}

async fn feed<S, E>(mut stdin: ChildStdin, packing: Packing, request: S) -> std::io::Result<()>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    let mut request = std::pin::pin!(request);
    let mut unpacker = GzDecoder::new(Vec::new());
    let mut sum = 0;
    let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    while let Some(piece) = request.next().await {
        let piece = piece.map_err(|_| cut())?;
        // A small piece can unpack to a thousand times its size, so it is taken in still smaller ones.
        for part in piece.chunks(4096) {
            let plain = match packing {
                Packing::Plain => part.to_vec(),
                Packing::Gzip => {
                    unpacker.write_all(part)?;
                    std::mem::take(unpacker.get_mut())
                }
            };
            sum += plain.len();
            if sum > MAX_REQUEST {
                return Err(cut());
            }
            stdin.write_all(&plain).await?;
        }
    }
    if packing == Packing::Gzip {
        let rest = unpacker.finish()?;
        stdin.write_all(&rest).await?;
    }
    stdin.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_are_taken_from_the_header() {
        assert_eq!(version(Some("version=2")), Some("version=2"));
        assert_eq!(version(Some("x=y:version=1")), Some("version=1"));
        assert_eq!(version(Some("version=9; rm -rf")), None);
        assert_eq!(version(None), None);
    }

    #[test]
    fn nothing_can_be_pushed() {
        assert!(Mirror::check_service("git-upload-pack").is_ok());
        assert_eq!(Mirror::check_service("git-receive-pack").map_err(|e| e.code()), Err("git-read-only"));
    }
}
