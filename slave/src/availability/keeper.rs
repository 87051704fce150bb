//! Keeps what a running slave says of itself: looks again whenever somebody says something, the clock changes it, or a few seconds
//! went by.

use super::history::History;
use super::machine::{Trouble, Troubles};
use super::measure::{free_disk, measure};
use super::said::{self, Said};
use super::settings::Settings;
use super::status::{self, Status};
use crate::work::Room;
use gate::availability::{Measured, Memory, Rules, own};
use protocol::UnixMs;
use protocol::wire::{Availability, Word};
use rustix::fs::inotify;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, watch};

/// How often the machine is measured.
const TICK: Duration = Duration::from_secs(5);
/// How often the file with a person's word is looked at where the kernel does not tell of changes.
const POLL: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Keeper {
    basedir: PathBuf,
    /// Where builds work.
    work: PathBuf,
    settings: Settings,
    rules: Rules,
    troubles: Arc<Troubles>,
    room: Arc<Room>,
    word: watch::Sender<Word>,
    admin: watch::Sender<Option<Word>>,
    builds: watch::Sender<Vec<i64>>,
    state: Mutex<State>,
    /// Held by whoever looks, so that what was read first is not said last.
    looking: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    memory: Memory,
    said: Option<Said>,
    status: Option<Status>,
    look_again: Option<UnixMs>,
    history: History,
    page: Option<String>,
    /// Why running builds are to go elsewhere, if a person said so.
    moves: Option<String>,
}

/// The time now.
pub(super) fn now() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

impl Keeper {
    /// Looks for the first time.
    pub(crate) fn begin(
        basedir: &Path,
        work: &Path,
        settings: &Settings,
        troubles: Arc<Troubles>,
        room: Arc<Room>,
    ) -> Arc<Self> {
        let keeper = Self {
            basedir: basedir.to_owned(),
            work: work.to_owned(),
            rules: settings.rules().unwrap_or_default(),
            settings: settings.clone(),
            troubles,
            room,
            word: watch::Sender::new(Word::nobody(now())),
            admin: watch::Sender::new(None),
            builds: watch::Sender::new(Vec::new()),
            state: Mutex::new(State { history: History::read(basedir, now()), ..State::default() }),
            looking: Mutex::default(),
        };
        for fight in settings.fights() {
            tracing::warn!("slave.toml: {fight}");
        }
        keeper.look();
        Arc::new(keeper)
    }

    /// The slave's own word, as it changes.
    pub(crate) fn word(&self) -> watch::Receiver<Word> {
        self.word.subscribe()
    }

    /// Where the connection puts the admin's word.
    pub(crate) fn admin(&self) -> watch::Sender<Option<Word>> {
        self.admin.clone()
    }

    /// Where the builds that run are said.
    pub(crate) fn runs(&self, builds: Vec<i64>) {
        self.builds.send_if_modified(|before| {
            let changed = *before != builds;
            *before = builds;
            changed
        });
    }

    /// What holds now.
    pub(crate) fn status(&self) -> Option<Status> {
        self.locked().status.clone()
    }

    /// Where its own page is.
    pub(crate) fn has_page(&self, at: String) {
        self.locked().page = Some(at);
        self.troubles.wake();
    }

    /// The machine's load over the last day.
    pub(crate) fn history(&self) -> History {
        self.locked().history.clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at everything again: somebody waits for it, or a build is about to begin.
    pub(crate) fn look_again(&self) {
        self.look();
        // What a person said by now is for the loop.
        self.troubles.wake();
    }

    /// Looks at everything again.
    fn look(&self) {
        let _alone = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut measured = measure(&self.work, &self.basedir);
        let at = now();
        let said = match said::read(&self.basedir) {
            Ok(said) => {
                self.troubles.set(Trouble::Said, None, at);
                said
            }
            Err(error) => {
                self.troubles.set(Trouble::Said, Some(error.to_string()), at);
                None
            }
        };
        let (before, min) = (self.troubles.has(Trouble::Disk), self.settings.min_free_disk());
        if status::short_of_disk(&measured, min, before).is_some() {
            // Clearly enough, so that it is not short again at once.
            let enough = || {
                let measured = Measured { free_disk: free_disk(&self.work, &self.basedir), ..Measured::default() };
                status::short_of_disk(&measured, min, true).is_none()
            };
            self.room.make(enough);
            measured.free_disk = free_disk(&self.work, &self.basedir);
        }
        self.troubles.set(Trouble::Disk, status::short_of_disk(&measured, min, before), at);
        let machine = self.troubles.words();
        let mut state = self.locked();
        if let Some(load) = measured.load
            && state.history.add(at, load)
        {
            state.history.write(&self.basedir);
        }
        let person = said.as_ref().map(|said| &said.word).filter(|word| word.holds(at));
        let it = own(at, (&self.rules, &measured, &state.memory), person, &machine);
        let mut status = status::put_together(&self.settings, &self.rules, &it, &measured, (person, &machine));
        status.admin = self.admin.borrow().clone().filter(|word| word.holds(at));
        status.builds.clone_from(&self.builds.borrow());
        status.page.clone_from(&state.page);
        let first = state.status.is_none();
        let moves = said.as_ref().filter(|said| {
            said.now && !first && state.said.as_ref() != Some(said) && said.word.says == Availability::Unavailable
        });
        if let Some(said) = moves {
            state.moves = Some(said.word.because());
        }
        state.memory = it.ruling.memory;
        state.look_again = it.look_again;
        state.said = said;
        if state.status.as_ref() != Some(&status) {
            if let Err(error) = status::write(&self.basedir, &status) {
                tracing::warn!("what holds can't be written to {}: {error}", self.basedir.display());
            }
            state.status = Some(status);
        }
        drop(state);
        self.word.send_if_modified(|word| {
            let changed = *word != it.word;
            if word.says != it.word.says {
                tracing::info!("this slave is {} now: {}", it.word.says.as_str(), it.word.because());
            }
            *word = it.word;
            changed
        });
    }

    /// Looks again and again; says on `moves` when running builds are to go elsewhere, and why.
    pub(crate) async fn run(self: Arc<Self>, moves: mpsc::Sender<String>) {
        let watched = Watched::new(&self.basedir);
        if let Err(error) = &watched {
            tracing::warn!("changes of {} are not told by the kernel ({error}); it is looked at", said::FILE);
        }
        let (mut admin, mut builds) = (self.admin.subscribe(), self.builds.subscribe());
        loop {
            let look_again = self.locked().look_again;
            let by_the_clock = look_again.map(|at| Duration::from_millis(u64::try_from(at.0 - now().0).unwrap_or(0)));
            let tick = if watched.is_ok() { TICK } else { POLL };
            let wait = by_the_clock.map_or(tick, |wait| wait.max(Duration::from_millis(1)).min(tick));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.troubles.changed() => {}
                () = changed(watched.as_ref().ok()) => {}
                Ok(()) = admin.changed() => {}
                Ok(()) = builds.changed() => {}
            }
            let keeper = Arc::clone(&self);
            // A disk may be slow to answer.
            let _ = tokio::task::spawn_blocking(move || keeper.look()).await;
            let why = self.locked().moves.take();
            if let Some(why) = why
                && moves.send(why).await.is_err()
            {
                return;
            }
        }
    }

    /// The slave ends.
    pub(crate) fn end(&self) {
        self.locked().history.write(&self.basedir);
        status::gone(&self.basedir);
    }
}

async fn changed(watched: Option<&Watched>) {
    match watched {
        Some(watched) => watched.changed().await,
        None => std::future::pending().await,
    }
}

/// The basedir, as the kernel tells of it.
struct Watched(AsyncFd<OwnedFd>);

impl Watched {
    fn new(basedir: &Path) -> std::io::Result<Self> {
        let fd = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        let what = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::DELETE | inotify::WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&fd, basedir, what)?;
        // What makes it unsound is a descriptor that others close; this one is owned, and given to nobody.
        #[allow(deprecated)]
        let fd = AsyncFd::new(fd)?;
        Ok(Self(fd))
    }

    /// Waits until the file with a person's word is another one.
    async fn changed(&self) {
        loop {
            let Ok(mut ready) = self.0.readable().await else { return std::future::pending().await };
            let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 4096];
            let mut reader = inotify::Reader::new(self.0.get_ref(), &mut buffer);
            let mut ours = false;
            loop {
                match reader.next() {
                    Ok(event) => ours |= event.file_name().is_some_and(|name| name.to_bytes() == said::FILE.as_bytes()),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(rustix::io::Errno::WOULDBLOCK) => break,
                    // Too many events at once, or worse: looked at is better than missed.
                    Err(_) => return tokio::time::sleep(POLL).await,
                }
            }
            ready.clear_ready();
            if ours {
                return;
            }
        }
    }
}
