//! Logs of steps, and the files that steps keep: in the basedir, appended as slaves send them; logs are packed once their build
//! ended.
//!
//! A log's length is the length of its file, so that after any crash the file says what the master has. Bytes count as
//! acknowledged only after [`Writer::sync`].

mod content;
mod errors;
mod lines;
mod packed;

pub use lines::{Line, Lines};

pub(crate) use packed::path_of as packed_path;

use content::Content;
use errors::Found;
use protocol::BuildId;
use protocol::wire::StepFile;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Files that one connection keeps open, at most: a slave chooses how many it writes to.
const MAX_OPEN: usize = 16;

/// All logs of a master. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs {
    folder: Arc<Path>,
    grew: watch::Sender<u64>,
    found: Arc<Found>,
}

impl Logs {
    /// Logs in a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: folder.into(), grew: watch::Sender::new(0), found: Arc::default() }
    }

    fn path(&self, build: BuildId, file: StepFile) -> PathBuf {
        let name = match file {
            StepFile::Log(step) => format!("{step}.log"),
            StepFile::Artifacts(step) => format!("{step}.artifacts"),
        };
        self.folder.join((build.0 / 1000).to_string()).join(build.to_string()).join(name)
    }

    /// A receiver that sees a new value whenever some log grew.
    pub fn growth(&self) -> watch::Receiver<u64> {
        self.grew.subscribe()
    }

    /// How many bytes there are of a step's file.
    ///
    /// # Errors
    /// When the file can't be looked at.
    pub fn len(&self, build: BuildId, file: StepFile) -> io::Result<u64> {
        let path = self.path(build, file);
        match std::fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Content::open(&path)?.map_or(0, |log| log.len()))
            }
            Err(error) => Err(error),
        }
    }

    /// The same, of bytes that are durable: what a process wrote before it was killed may be in memory only.
    ///
    /// # Errors
    /// When the file can't be looked at or synced.
    pub fn durable_len(&self, build: BuildId, file: StepFile) -> io::Result<u64> {
        match File::open(self.path(build, file)) {
            Ok(file) => {
                file.sync_data()?;
                Ok(file.metadata()?.len())
            }
            // What was packed was durable before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.len(build, file),
            Err(error) => Err(error),
        }
    }

    /// At most `limit` bytes of a step's file from `from` on; fewer, also none, at its end.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(&self, build: BuildId, file: StepFile, from: u64, limit: usize) -> io::Result<Vec<u8>> {
        let content = Content::open(&self.path(build, file))?;
        content.map_or_else(|| Ok(Vec::new()), |content| content.read(from, limit))
    }

    /// Deletes what a step keeps.
    ///
    /// # Errors
    /// When the file can't be deleted.
    pub fn delete_artifacts(&self, build: BuildId, step: u32) -> io::Result<()> {
        match std::fs::remove_file(self.path(build, StepFile::Artifacts(step))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Packs a step's log, which has all of its `len` bytes and never grows again; false when there are not so many yet.
    ///
    /// # Errors
    /// When a file can't be read or written; the log stays as it is.
    pub fn pack(&self, build: BuildId, step: u32, len: u64) -> io::Result<bool> {
        let path = self.path(build, StepFile::Log(step));
        match Content::open(&path)? {
            Some(Content::Packed(_)) => Ok(true),
            Some(Content::Plain { len: there, .. }) if there >= len => packed::pack(&path).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Forgets what there is of a build's files, before it is run anew under another fencing number.
    ///
    /// # Errors
    /// When the files can't be deleted.
    pub fn forget(&self, build: BuildId) -> io::Result<()> {
        let path = self.path(build, StepFile::Log(0));
        match path.parent().map(std::fs::remove_dir_all) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A writer for one slave's connection.
    pub fn writer(&self) -> Writer {
        Writer {
            logs: self.clone(),
            files: Vec::new(),
            unsynced: Vec::new(),
            synced: Vec::new(),
            counted: HashMap::new(),
        }
    }
}

/// Appends to steps' files, keeping those open that it writes to.
#[derive(Debug)]
pub struct Writer {
    logs: Logs,
    /// The one that was written to last is the last.
    files: Vec<((BuildId, StepFile), File)>,
    unsynced: Vec<(BuildId, StepFile)>,
    /// Those that were closed to make room, and their durable lengths.
    synced: Vec<(BuildId, StepFile, u64)>,
    /// How far the lines of logs are counted.
    counted: HashMap<(BuildId, u32), u64>,
}

/// Bytes after which the lines of a growing log are counted, so that nobody who reads it has to wait for that.
const COUNTED: u64 = 4 << 20;

impl Writer {
    /// Appends bytes that belong at `offset`. What is there already is left as it is; bytes past a gap are refused by
    /// returning, like any call, the offset expected next.
    ///
    /// # Errors
    /// When the file can't be written, as on a full disk; what was there stays.
    pub fn append(&mut self, build: BuildId, of: StepFile, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        let Some(file) = self.open(build, of)? else { return self.logs.len(build, of) };
        let len = file.metadata()?.len();
        let skip = len.saturating_sub(offset);
        if offset > len || skip >= bytes.len() as u64 {
            return Ok(len);
        }
        let new = bytes.get(usize::try_from(skip).unwrap_or(usize::MAX)..).unwrap_or_default();
        if let Err(error) = file.write_all_at(new, len) {
            // A piece of a write must not be taken for the file's end.
            let _ = file.set_len(len);
            return Err(error);
        }
        if !self.unsynced.contains(&(build, of)) {
            self.unsynced.push((build, of));
        }
        Ok(len + new.len() as u64)
    }

    /// The open file; another one is closed for it where there are too many. None for a log that was packed: it is whole.
    fn open(&mut self, build: BuildId, file: StepFile) -> io::Result<Option<&File>> {
        let of = (build, file);
        let there = match self.files.iter().position(|(other, _)| *other == of) {
            Some(at) => self.files.remove(at),
            None => {
                if self.files.len() >= MAX_OPEN {
                    self.close_oldest()?;
                }
                let path = self.logs.path(build, file);
                if packed::path_of(&path).exists() && !path.exists() {
                    return Ok(None);
                }
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                (of, OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?)
            }
        };
        self.files.push(there);
        Ok(self.files.last().map(|(_, file)| file))
    }

    /// Closes the file that was not written to for the longest time; what was appended to it is durable then.
    fn close_oldest(&mut self) -> io::Result<()> {
        let Some((of, file)) = self.files.first() else { return Ok(()) };
        let of = *of;
        if self.unsynced.contains(&of) {
            file.sync_data()?;
            self.synced.retain(|(build, file, _)| (*build, *file) != of);
            self.synced.push((of.0, of.1, file.metadata()?.len()));
            self.unsynced.retain(|other| *other != of);
        }
        self.files.remove(0);
        Ok(())
    }

    /// Makes everything appended durable, and returns which files that were and their lengths now.
    ///
    /// # Errors
    /// When a file can't be synced.
    pub fn sync(&mut self) -> io::Result<Vec<(BuildId, StepFile, u64)>> {
        let mut synced = std::mem::take(&mut self.synced);
        while let Some((build, of)) = self.unsynced.last().copied() {
            if let Some((_, file)) = self.files.iter().find(|(other, _)| *other == (build, of)) {
                file.sync_data()?;
                synced.retain(|(other, file, _)| (*other, *file) != (build, of));
                let len = file.metadata()?.len();
                synced.push((build, of, len));
                if let StepFile::Log(step) = of {
                    self.count_lines(build, step, len);
                }
            }
            self.unsynced.pop();
        }
        if !synced.is_empty() {
            self.logs.grew.send_modify(|n| *n += 1);
        }
        Ok(synced)
    }

    fn count_lines(&mut self, build: BuildId, step: u32, len: u64) {
        let counted = self.counted.entry((build, step)).or_default();
        if len.saturating_sub(*counted) >= COUNTED {
            // A reader counts what could not be counted here.
            let _ = self.logs.lines(build, step);
            *counted = len;
        }
    }

    /// Closes the files of a build.
    pub fn close(&mut self, build: BuildId) {
        self.files.retain(|((of, _), _)| *of != build);
        self.counted.retain(|(of, _), _| *of != build);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn however_many_logs_are_written_to_few_are_open_and_all_are_made_durable() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().to_owned());
        let open = || {
            let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            all.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(folder.path()))).count()
        };
        let mut writer = logs.writer();
        for round in 0..3u64 {
            for step in 0..100 {
                assert_eq!(
                    writer.append(BuildId(1), StepFile::Log(step), 4 * round, b"text").unwrap(),
                    4 * (round + 1)
                );
                assert!(open() <= MAX_OPEN);
            }
        }
        let mut synced = writer.sync().unwrap();
        synced.sort_unstable();
        assert_eq!(synced, (0..100).map(|step| (BuildId(1), StepFile::Log(step), 12)).collect::<Vec<_>>());
        assert_eq!(writer.sync().unwrap(), []);
    }

    #[test]
    fn a_log_has_each_byte_once() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().to_owned());
        let build = BuildId(1234);
        let mut writer = logs.writer();
        assert_eq!(writer.append(build, StepFile::Log(1), 0, b"one ").unwrap(), 4);
        assert_eq!(writer.append(build, StepFile::Log(1), 2, b"e two").unwrap(), 7, "an overlap is written once");
        assert_eq!(writer.append(build, StepFile::Log(1), 0, b"one").unwrap(), 7, "what is there stays");
        assert_eq!(writer.append(build, StepFile::Log(1), 9, b"gap").unwrap(), 7, "a gap is refused");
        assert_eq!(writer.sync().unwrap(), [(build, StepFile::Log(1), 7)]);
        assert_eq!(logs.read(build, StepFile::Log(1), 4, 100).unwrap(), b"two");
        assert_eq!(logs.read(build, StepFile::Log(1), 9, 100).unwrap(), b"");
        assert_eq!(logs.len(build, StepFile::Log(2)).unwrap(), 0);
        logs.forget(build).unwrap();
        assert_eq!(logs.len(build, StepFile::Log(1)).unwrap(), 0);
    }

    #[test]
    fn a_packed_log_reads_as_before_and_takes_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().to_owned());
        let build = BuildId(7);
        let text: Vec<u8> = (0..40_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let len = text.len() as u64;
        assert_eq!(logs.writer().append(build, StepFile::Log(1), 0, &text[..9]).unwrap(), 9);
        assert!(!logs.pack(build, 1, len).unwrap(), "it is not whole yet");
        assert_eq!(logs.writer().append(build, StepFile::Log(1), 9, &text[9..]).unwrap(), len);
        let before = logs.lines(build, 1).unwrap().window(20_000, 3, 100, 1000).unwrap();
        for _ in 0..2 {
            assert!(logs.pack(build, 1, len).unwrap());
            assert_eq!(
                (logs.len(build, StepFile::Log(1)).unwrap(), logs.durable_len(build, StepFile::Log(1)).unwrap()),
                (len, len)
            );
            assert!(logs.read(build, StepFile::Log(1), 100_000, 200_000).unwrap() == text[100_000..300_000]);
            assert_eq!(logs.lines(build, 1).unwrap().window(20_000, 3, 100, 1000).unwrap(), before);
            // A slave that did not hear that it has all sends it once more.
            assert_eq!(logs.writer().append(build, StepFile::Log(1), 0, &text).unwrap(), len);
            assert_eq!(logs.writer().append(build, StepFile::Log(1), len, b"more").unwrap(), len);
        }
        assert!(!folder.path().join("0/7/1.log").exists());
        assert!(!logs.pack(build, 2, 0).unwrap(), "there is none");
    }
}
