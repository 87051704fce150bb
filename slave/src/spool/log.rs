//! A step's log on its way to disk.

use super::Spooled;
use protocol::wire::StepFile;
use std::io::{self, SeekFrom};
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

/// Writes one step's log. What was written is at once there to be sent.
#[derive(Debug)]
pub(crate) struct LogWriter {
    build: Arc<Spooled>,
    step: u32,
    file: File,
    len: u64,
}

impl LogWriter {
    pub(super) fn new(build: Arc<Spooled>, step: u32, file: File) -> Self {
        Self { build, step, file, len: 0 }
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Appends. After an error the log is as long as it was before.
    pub(crate) async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.write(bytes).await {
            let _ = self.file.set_len(self.len).await;
            let _ = self.file.seek(SeekFrom::Start(self.len)).await;
            return Err(error);
        }
        self.len += bytes.len() as u64;
        self.build.grew(StepFile::Log(self.step), self.len);
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        // tokio writes in the background and tells of errors here.
        self.file.flush().await
    }

    /// Appends a line of bb's own, on a line of its own.
    pub(crate) async fn remark(&mut self, text: &str) -> io::Result<()> {
        let before = if self.len == 0 { "" } else { "\n" };
        self.append(format!("{before}[bb: {text}]\n").as_bytes()).await
    }

    /// Makes it durable and says how long it is.
    pub(crate) async fn finish(self) -> io::Result<u64> {
        self.file.sync_data().await?;
        Ok(self.len)
    }
}
