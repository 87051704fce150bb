//! What is known of the builds this slave was given, on disk until the master has it.
//!
//! `BASEDIR/builds/BUILD-FENCE/` holds `assignment.json`, `reports` (one JSON report a line, each durable before it is
//! sent), `log-N`, the log of step N as it was printed, and `artifacts-N`, the files that it keeps, one after the other. The folder goes when the master says that it has everything.
//! The spool never talks to the master and never runs anything.

mod log;

use crate::work::make_folder;
pub(crate) use log::LogWriter;
use protocol::UnixMs;
use protocol::wire::{Assignment, BuildRef, Happened, Report, StepFile};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// All builds on this slave's disk.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    builds: Mutex<BTreeMap<(i64, i64), Arc<Spooled>>>,
    changed: Arc<Notify>,
}

/// One build on disk.
#[derive(Debug)]
pub(crate) struct Spooled {
    /// Which build.
    pub(crate) of: BuildRef,
    folder: PathBuf,
    state: Mutex<State>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    reports: Vec<Report>,
    /// How many of them the master has.
    told: u32,
    /// The first report written after a restart, until the master said how many it has.
    own_from: Option<u32>,
    /// How long each file of a step is.
    files: BTreeMap<StepFile, u64>,
}

/// The spool's folder or a build's in it can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub(crate) struct SpoolError {
    path: PathBuf,
    #[source]
    error: io::Error,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |error| SpoolError { path, error }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(of: BuildRef) -> (i64, i64) {
    (of.build.0, of.fence.0)
}

impl Spool {
    /// Reads what is on disk. A build whose assignment never became durable is deleted: the master has heard nothing of
    /// it and gives it again.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, SpoolError> {
        // Not for the eyes of builds, whoever they belong to.
        make_folder(&folder, 0o700).map_err(at(&folder))?;
        let changed = Arc::new(Notify::new());
        let mut builds = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            match Spooled::open(&path, &changed).map_err(at(&path))? {
                Some(build) => {
                    builds.insert(key(build.of), Arc::new(build));
                }
                None => fs::remove_dir_all(&path).map_err(at(&path))?,
            }
        }
        Ok(Self { folder, builds: Mutex::new(builds), changed })
    }

    /// Takes an assignment in; durable when this returns. None when the build is here already.
    pub(crate) fn add(&self, assignment: &Assignment) -> Result<Option<Arc<Spooled>>, SpoolError> {
        let of = assignment.of;
        if self.get(of).is_some() {
            return Ok(None);
        }
        let folder = self.folder.join(format!("{}-{}", of.build, of.fence));
        let write = || {
            fs::create_dir_all(&folder)?;
            let half = folder.join("assignment.new");
            let mut file = File::create(&half)?;
            serde_json::to_writer(&mut file, assignment)?;
            file.sync_all()?;
            fs::rename(&half, folder.join(ASSIGNMENT))?;
            File::open(&folder)?.sync_all()?;
            File::open(&self.folder)?.sync_all()
        };
        if let Err(error) = write() {
            let _ = fs::remove_dir_all(&folder);
            return Err(SpoolError { path: folder, error });
        }
        Ok(Some(self.insert(of, folder)))
    }

    /// Takes a build in that can't be written down, so that at least its end can be told.
    pub(crate) fn add_in_memory(&self, of: BuildRef) -> Arc<Spooled> {
        self.insert(of, self.folder.join(format!("{}-{}", of.build, of.fence)))
    }

    fn insert(&self, of: BuildRef, folder: PathBuf) -> Arc<Spooled> {
        let build = Spooled { of, folder, state: Mutex::default(), changed: Arc::clone(&self.changed) };
        let build = Arc::new(build);
        locked(&self.builds).insert(key(of), Arc::clone(&build));
        build
    }

    /// One build.
    pub(crate) fn get(&self, of: BuildRef) -> Option<Arc<Spooled>> {
        locked(&self.builds).get(&key(of)).cloned()
    }

    /// All builds, oldest first.
    pub(crate) fn builds(&self) -> Vec<Arc<Spooled>> {
        locked(&self.builds).values().cloned().collect()
    }

    /// Deletes a build. Nothing is to be written to it any more.
    pub(crate) fn forget(&self, of: BuildRef) {
        let gone = locked(&self.builds).remove(&key(of));
        if let Some(build) = gone
            && let Err(error) = fs::remove_dir_all(&build.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(build = %of.build, "{} can't be deleted: {error}", build.folder.display());
        }
    }

    /// Whether the master has every report.
    pub(crate) fn all_told(&self) -> bool {
        let told = |build: &Arc<Spooled>| {
            let state = locked(&build.state);
            state.told as usize >= state.reports.len()
        };
        locked(&self.builds).values().all(told)
    }

    /// Woken whenever there is more to send.
    pub(crate) fn changed(&self) -> &Notify {
        &self.changed
    }
}

/// More reports than this no disk loses; a master that counts so is wrong.
const MOST_LOST: u32 = 10_000;

const ASSIGNMENT: &str = "assignment.json";
const REPORTS: &str = "reports";

impl Spooled {
    fn open(folder: &Path, changed: &Arc<Notify>) -> io::Result<Option<Self>> {
        let Ok(text) = fs::read(folder.join(ASSIGNMENT)) else { return Ok(None) };
        let Ok(assignment) = serde_json::from_slice::<Assignment>(&text) else { return Ok(None) };
        let of = assignment.of;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Some(file) = entry.file_name().to_str().and_then(file_named) {
                files.insert(file, entry.metadata()?.len());
            }
        }
        let reports = read_reports(&folder.join(REPORTS))?;
        // What was not told of is not whole.
        files
            .retain(|file, _| matches!(file, StepFile::Log(_)) || reports.iter().any(|report| tells_of(report, *file)));
        let state = Mutex::new(State { reports, told: 0, own_from: None, files });
        Ok(Some(Self { of, folder: folder.to_owned(), state, changed: Arc::clone(changed) }))
    }

    /// Reports something; durable when this returns without an error, and to be sent in any case.
    pub(crate) fn report(&self, what: Happened, at: UnixMs) -> io::Result<()> {
        let mut state = locked(&self.state);
        let number = u32::try_from(state.reports.len()).unwrap_or(u32::MAX);
        let report = Report { of: self.of, number, at, what };
        let written = append_line(&self.folder.join(REPORTS), &report);
        state.reports.push(report);
        drop(state);
        self.changed.notify_one();
        written
    }

    /// The report with this number, if there is one.
    pub(crate) fn report_at(&self, number: u32) -> Option<Report> {
        locked(&self.state).reports.get(number as usize).cloned()
    }

    /// The master has all reports below this number.
    pub(crate) fn told(&self, next: u32) {
        let mut state = locked(&self.state);
        state.told = state.told.max(next);
    }

    /// Whether the last report was made.
    pub(crate) fn finished(&self) -> bool {
        matches!(locked(&self.state).reports.last(), Some(Report { what: Happened::BuildFinished { .. }, .. }))
    }

    /// The step that started but did not finish, and what its log holds.
    pub(crate) fn open_step(&self) -> Option<(u32, u64)> {
        let state = locked(&self.state);
        let Happened::StepStarted { step, .. } = state.reports.last()?.what else { return None };
        Some((step, state.files.get(&StepFile::Log(step)).copied().unwrap_or(0)))
    }

    /// What follows are the first reports after a restart.
    pub(crate) fn restarted(&self) {
        let mut state = locked(&self.state);
        state.own_from = Some(u32::try_from(state.reports.len()).unwrap_or(u32::MAX));
    }

    /// The master waits for report `next`. If it counts more than an earlier life of this slave left on disk, the disk
    /// lost some: then the last one is told again under the number that is waited for.
    pub(crate) fn catch_up(&self, next: u32) {
        let mut state = locked(&self.state);
        // Asked once, before anything of this life was sent.
        let lost = state.own_from.take().is_some_and(|from| next > from && next < from.saturating_add(MOST_LOST));
        let Some(last) = state.reports.last().cloned().filter(|_| lost) else { return };
        while state.reports.len() <= next as usize {
            let number = u32::try_from(state.reports.len()).unwrap_or(u32::MAX);
            state.reports.push(Report { number, ..last.clone() });
        }
    }

    /// How long each file of a step is.
    pub(crate) fn files(&self) -> Vec<(StepFile, u64)> {
        locked(&self.state).files.iter().map(|(&file, &len)| (file, len)).collect()
    }

    /// At most `max` bytes of a step's file.
    pub(crate) fn read_file(&self, of: StepFile, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path_of(of))?;
        file.seek(SeekFrom::Start(offset))?;
        let known = locked(&self.state).files.get(&of).copied().unwrap_or(0);
        let mut bytes = Vec::with_capacity(max.min(usize::try_from(known.saturating_sub(offset)).unwrap_or(max)));
        file.take(known.saturating_sub(offset).min(max as u64)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Begins a step's log.
    pub(crate) async fn log(self: &Arc<Self>, step: u32) -> io::Result<LogWriter> {
        let file = tokio::fs::File::create(self.path_of(StepFile::Log(step))).await?;
        self.grew(StepFile::Log(step), 0);
        Ok(LogWriter::new(Arc::clone(self), step, file))
    }

    /// An empty file for what a step keeps; nothing of it is sent before [`Spooled::grew`] says how long it is.
    pub(crate) fn artifacts(&self, step: u32) -> io::Result<File> {
        File::create(self.path_of(StepFile::Artifacts(step)))
    }

    /// A step's file is so long now, and all of it can be sent.
    pub(crate) fn grew(&self, of: StepFile, len: u64) {
        locked(&self.state).files.insert(of, len);
        self.changed.notify_one();
    }

    fn path_of(&self, file: StepFile) -> PathBuf {
        let prefix = if matches!(file, StepFile::Log(_)) { LOG } else { ARTIFACTS };
        self.folder.join(format!("{prefix}{}", file.step()))
    }
}

const LOG: &str = "log-";
const ARTIFACTS: &str = "artifacts-";

/// Which file of a step has this name.
fn file_named(name: &str) -> Option<StepFile> {
    let of = |prefix: &str| name.strip_prefix(prefix)?.parse().ok();
    of(LOG).map(StepFile::Log).or_else(|| of(ARTIFACTS).map(StepFile::Artifacts))
}

fn tells_of(report: &Report, file: StepFile) -> bool {
    matches!(&report.what, Happened::StepFinished { step, artifacts: Some(_), .. } if StepFile::Artifacts(*step) == file)
}

fn append_line(path: &Path, report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let before = file.metadata()?.len();
    let written = file.write_all(&line).and_then(|()| file.sync_data());
    if written.is_err() {
        let _ = file.set_len(before);
    }
    written
}

/// The whole reports of a file; what follows the last of them was torn by a crash and is cut off.
fn read_reports(path: &Path) -> io::Result<Vec<Report>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let (reports, whole) = parse_reports(&text);
    if whole < text.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(reports)
}

/// The reports at the beginning of `text` that are whole and numbered without gaps, and how many bytes they take.
fn parse_reports(text: &[u8]) -> (Vec<Report>, usize) {
    let (mut reports, mut whole) = (Vec::new(), 0);
    for line in text.split_inclusive(|&b| b == b'\n') {
        let Some(json) = line.strip_suffix(b"\n") else { break };
        match serde_json::from_slice::<Report>(json) {
            Ok(report) if report.number as usize == reports.len() => reports.push(report),
            _ => break,
        }
        whole += line.len();
    }
    (reports, whole)
}

#[cfg(test)]
mod tests;
