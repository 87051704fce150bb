//! The slave as a whole: one life from start to stop.

use crate::availability::{Keeper, Trouble, Troubles};
use crate::build::{self, Bench, Shop, Stop};
use crate::config::{Config, ConfigError, Token};
use crate::connection::{Connector, Lost, Order};
use crate::page::{Page, PageAddress};
use crate::sandbox::{Launcher, NoUsers, Sandbox, Users};
use crate::source::Source;
use crate::spool::{Spool, SpoolError, Spooled};
use crate::work::{self, Room, Slots};
use protocol::wire::{Assignment, Availability, BuildRef, Happened, Hello, VERSION, Word};
use protocol::{BuildResult, UnixMs};
use rustix::fs::{FlockOperation, flock};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A slave, ready to run. `bb slave run` makes one from a basedir; `bb up` from values.
pub struct Slave {
    /// Its configuration.
    pub config: Config,
    /// Where its spool, work folders and lock are.
    pub basedir: PathBuf,
    /// Who it is for the master.
    pub token: Token,
    /// How its supervisors are started.
    pub launcher: Launcher,
    /// Where candidates come from.
    pub source: Arc<dyn Source>,
    /// Where its own page is; none for no page.
    pub page: Option<PageAddress>,
}

/// A slave can't run, or can't run on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration or the token can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another slave runs on this basedir.
    #[error("another slave runs on {0}; one basedir is for one slave")]
    Locked(PathBuf),
    /// Something in the basedir can't be used.
    #[error("{path}: {error}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The spool can't be read.
    #[error("the builds on disk can't be read: {0}")]
    Spool(Box<dyn std::error::Error + Send + Sync>),
    /// Its page can't be served.
    #[error("the slave's page can't be served ({0}); give another address with --page")]
    Page(io::Error),
    /// A slave that runs as root finds no users for its builds.
    #[error(transparent)]
    Users(#[from] NoUsers),
    /// The master does not know the token.
    #[error("{0}")]
    Unauthorized(String),
    /// Master and slave are too different in age.
    #[error("{0}")]
    Incompatible(String),
}

impl From<SpoolError> for RunError {
    fn from(error: SpoolError) -> Self {
        Self::Spool(Box::new(error))
    }
}

/// How long the last reports are waited for when the slave stops.
const FAREWELL: Duration = Duration::from_secs(5);

impl Slave {
    /// Reads configuration and token of a basedir.
    ///
    /// # Errors
    /// When one of them is missing or wrong.
    pub fn load(basedir: &Path, launcher: Launcher, source: Arc<dyn Source>) -> Result<Self, ConfigError> {
        let config = Config::load(basedir)?;
        let token = config.load_token(basedir)?;
        Ok(Self { config, basedir: basedir.to_owned(), token, launcher, source, page: None })
    }

    /// Runs until `shutdown`, whatever becomes of the master. Running builds are then ended and run again elsewhere.
    ///
    /// # Errors
    /// When it can't start; and when the master does not know the token or is of another major version, once no build
    /// runs here.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let basedir = absolute(&self.basedir)?;
        let _lock = lock(&basedir)?;
        hide();
        // Fails only when there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (at, name) = (self.page, self.config.name.to_string());
        let life = Life::begin(self, &basedir).await?;
        let mut pages = JoinSet::new();
        if let Some(at) = at {
            let keeper = Arc::clone(&life.keeper);
            let page = Page::open(at, &name, &basedir, keeper).await.map_err(RunError::Page)?;
            pages.spawn(page.serve());
        }
        life.run(shutdown).await
    }
}

/// What a running slave has.
struct Life {
    shop: Arc<Shop>,
    spool: Arc<Spool>,
    connector: Connector,
    orders: mpsc::Receiver<Order>,
    running: Arc<AtomicUsize>,
    keeper: Arc<Keeper>,
    troubles: Arc<Troubles>,
    proof: Proof,
    _users: Option<Users>,
}

impl Life {
    async fn begin(slave: Slave, basedir: &Path) -> Result<Self, RunError> {
        let Slave { config, token, launcher, source, .. } = slave;
        let seed = work::seed(basedir);
        let root = rustix::process::geteuid().is_root();
        let users = match root {
            true => {
                let first = config.build_user.map(u32::from);
                Some(Users::take(&Path::new(work::MACHINE_FOLDER).join("users"), config.slots, first, seed)?)
            }
            false => None,
        };
        let each = match &users {
            Some(users) => users.each.iter().copied().map(Some).collect(),
            None => vec![None; config.slots.get() as usize],
        };
        // The dot keeps one mark from being the beginning of another.
        let mark = format!("{seed:016x}.");
        let _ = Sandbox::sweep(&mark, each.iter().copied().flatten().collect()).await;
        let folder = work::work_folder(basedir, config.work_folder.as_deref(), root);
        let io = |error| RunError::Io { path: folder.clone(), error };
        let slots = Arc::new(Slots::create(&folder, &each, &mark).map_err(io)?);
        let spool = Arc::new(Spool::open(basedir.join("builds"))?);
        for build in spool.builds() {
            if !build.finished() {
                build.restarted();
                close(&build, BuildResult::Retry, "the slave was restarted");
            }
        }
        let secret = basedir.join(&config.token_file);
        let troubles = Arc::new(Troubles::default());
        let probed = slots.take().await.map_err(io)?;
        let proven = Sandbox::prove(&config, launcher.clone(), &probed, &secret).await;
        drop(probed);
        let sandbox = proven.unwrap_or_else(|failed| {
            // It says so to its master, takes nothing, and tries again.
            tracing::error!("{failed}");
            troubles.set(Trouble::SelfTest, Some(failed.to_string()), now());
            Sandbox::unproven(&config, launcher.clone(), failed.notes)
        });
        tracing::info!(isolation = sandbox.isolation().as_str(), "{}", sandbox.notes().join("; "));
        let room = Arc::new(Room::new(basedir, &folder, config.slots.get()));
        let keeper = Keeper::begin(basedir, &folder, &config.availability, Arc::clone(&troubles), Arc::clone(&room));
        let word = keeper.word().borrow().clone();
        let hello = Hello {
            version: VERSION,
            bb: env!("CARGO_PKG_VERSION").to_owned(),
            name: config.name.clone(),
            labels: config.labels.clone(),
            slots: config.slots.get(),
            isolation: sandbox.isolation(),
            isolation_notes: sandbox.notes().to_vec(),
            availability: word.says,
            word: Some(word),
            machine: machine(),
            builds: Vec::new(),
        };
        let said = watch::Sender::new(hello);
        let (order, orders) = mpsc::channel(64);
        let master = config.master.clone();
        let connector = Connector {
            master,
            token: token.clone(),
            hello: said.subscribe(),
            word: keeper.word(),
            admin: keeper.admin(),
            spool: Arc::clone(&spool),
            orders: order,
            connected: Arc::default(),
        };
        let sandbox = RwLock::new(Arc::new(sandbox));
        let (its, of_builds) = (Arc::clone(&keeper), Arc::clone(&troubles));
        let bench = Bench { config, sandbox, source, token: Some(token) };
        let shop = Arc::new(Shop { bench, keeper: its, troubles: of_builds, room, slots });
        let proof = Proof { shop: Arc::clone(&shop), launcher, secret, said };
        Ok(Self { shop, spool, connector, orders, running: Arc::default(), keeper, troubles, proof, _users: users })
    }

    async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let Self { shop, spool, connector, mut orders, running, keeper, troubles, proof, _users } = self;
        let drain = shop.bench.config.availability.drain();
        let connected = Arc::clone(&connector.connected);
        let (tasks, known) = (JoinSet::new(), HashMap::new());
        let mut builds = Builds { shop, spool: Arc::clone(&spool), tasks, known, word: keeper.word() };
        let idle = || running.load(Ordering::Acquire) == 0;
        let connection = connector.run(idle);
        tokio::pin!(connection);
        let (say_move, mut moves) = mpsc::channel(4);
        // Ended with this life.
        let mut own = JoinSet::new();
        own.spawn(Arc::clone(&keeper).run(say_move));
        own.spawn(proof.again_and_again());
        let _gone = OnDrop(|| keeper.end());
        let mut drained = None;
        loop {
            running.store(builds.tasks.len(), Ordering::Release);
            keeper.runs(builds.numbers());
            if drained.is_some() && builds.tasks.is_empty() {
                break;
            }
            tokio::select! {
                () = shutdown.cancelled(), if drained.is_none() => {
                    if drain.is_zero() {
                        break;
                    }
                    let why = "it was told to end, and finishes what it runs".to_owned();
                    troubles.set(Trouble::Stopping, Some(why), now());
                    drained = Some(Instant::now() + drain);
                }
                () = at(drained) => break,
                Some(why) = moves.recv() => builds.move_all(&why),
                Some(order) = orders.recv() => builds.order(order).await,
                Some(ended) = builds.tasks.join_next_with_id() => builds.ended(ended),
                lost = &mut connection => return match lost {
                    Lost::Unauthorized(_) => Err(RunError::Unauthorized(lost.to_string())),
                    Lost::Incompatible { .. } => Err(RunError::Incompatible(lost.to_string())),
                    _ => Ok(()),
                },
            }
        }
        builds.stop_all();
        let farewell = async {
            while let Some(ended) = builds.tasks.join_next_with_id().await {
                builds.ended(ended);
            }
            let until = Instant::now() + FAREWELL;
            while !spool.all_told() && connected.load(Ordering::Acquire) && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = farewell => {}
            _ = connection => {}
            // Orders are still taken, so that the connection is not held up; none is obeyed any more.
            () = async { while orders.recv().await.is_some() {} } => {}
        }
        Ok(())
    }
}

/// The time now.
fn now() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

/// How long a self-test that failed rests before it is tried again.
const PROVE_AGAIN: Duration = Duration::from_secs(10);

/// The self-test of isolation that is demanded, for as long as it fails.
struct Proof {
    shop: Arc<Shop>,
    launcher: Launcher,
    secret: PathBuf,
    /// What the master is told of this slave.
    said: watch::Sender<Hello>,
}

impl Proof {
    /// Tries again until it passes; then the master hears of it and the machine takes its word back.
    async fn again_and_again(self) {
        let Self { shop, launcher, secret, said } = self;
        while shop.troubles.has(Trouble::SelfTest) {
            tokio::time::sleep(PROVE_AGAIN).await;
            let Ok(slot) = shop.slots.take().await else { continue };
            match Sandbox::prove(&shop.bench.config, launcher.clone(), &slot, &secret).await {
                Ok(sandbox) => {
                    tracing::info!(isolation = sandbox.isolation().as_str(), "the self-test passes now");
                    said.send_modify(|hello| {
                        hello.isolation = sandbox.isolation();
                        hello.isolation_notes = sandbox.notes().to_vec();
                    });
                    *shop.bench.sandbox.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sandbox);
                    shop.troubles.set(Trouble::SelfTest, None, now());
                }
                Err(failed) => shop.troubles.set(Trouble::SelfTest, Some(failed.to_string()), now()),
            }
        }
        // What is said stays said.
        std::future::pending::<()>().await;
    }
}

/// Waits until then, or for ever.
async fn at(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Does something when it is dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The builds that run.
struct Builds {
    shop: Arc<Shop>,
    spool: Arc<Spool>,
    tasks: JoinSet<()>,
    known: HashMap<task::Id, (BuildRef, watch::Sender<Option<Stop>>)>,
    /// The slave's own word: a build that was on its way when it became unavailable is handed back.
    word: watch::Receiver<Word>,
}

impl Builds {
    async fn order(&mut self, order: Order) {
        match order {
            Order::Start(assignment) => self.start(*assignment),
            Order::Cancel(of, reason) => self.stop(of, &Stop::Cancel(reason)),
            Order::Forget(of) if self.runs(of) => self.stop(of, &Stop::Forget),
            Order::Forget(of) => {
                let spool = Arc::clone(&self.spool);
                let _ = task::spawn_blocking(move || spool.forget(of)).await;
            }
        }
    }

    fn runs(&self, of: BuildRef) -> bool {
        self.known.values().any(|known| known.0 == of)
    }

    fn start(&mut self, assignment: Assignment) {
        let of = assignment.of;
        if self.runs(of) || self.spool.get(of).is_some() {
            tracing::info!(build = %of.build, "this build was given to the slave before");
            return;
        }
        let (stop, stopped) = watch::channel(None);
        let word = self.word.borrow().clone();
        if word.says == Availability::Unavailable {
            stop.send_replace(Some(Stop::Move(word.because())));
        } else {
            tracing::info!(build = %of.build, builder = assignment.builder.name, "a build starts");
        }
        let (shop, spool) = (Arc::clone(&self.shop), Arc::clone(&self.spool));
        let task = self.tasks.spawn(async move {
            let keep = Arc::clone(&spool);
            let assignment = Arc::new(assignment);
            let durable = Arc::clone(&assignment);
            match task::spawn_blocking(move || keep.add(&durable)).await {
                Ok(Ok(Some(spooled))) => build::run(shop, &assignment, spooled, stopped).await,
                Ok(Ok(None)) => {}
                Ok(Err(error)) => {
                    end(&spool.add_in_memory(of), BuildResult::Exception, format!("the slave's disk: {error}"));
                }
                Err(error) => end(&spool.add_in_memory(of), BuildResult::Exception, error.to_string()),
            }
        });
        self.known.insert(task.id(), (of, stop));
    }

    fn stop(&self, of: BuildRef, why: &Stop) {
        for (_, stop) in self.known.values().filter(|known| known.0 == of) {
            stop.send_if_modified(|said| match said {
                // Who was told to forget is not told anything else.
                Some(Stop::Forget) => false,
                _ => {
                    *said = Some(why.clone());
                    true
                }
            });
        }
    }

    fn stop_all(&self) {
        self.end_all(&Stop::Shutdown);
    }

    /// Hands all builds back, for other slaves.
    fn move_all(&self, why: &str) {
        tracing::info!(builds = self.known.len(), "running builds go to other slaves: {why}");
        self.end_all(&Stop::Move(why.to_owned()));
    }

    fn end_all(&self, why: &Stop) {
        for (_, stop) in self.known.values() {
            stop.send_if_modified(|said| {
                let first = said.is_none();
                said.get_or_insert_with(|| why.clone());
                first
            });
        }
    }

    /// The numbers of the builds that run, sorted.
    fn numbers(&self) -> Vec<i64> {
        let mut numbers: Vec<i64> = self.known.values().map(|(of, _)| of.build.0).collect();
        numbers.sort_unstable();
        numbers
    }

    fn ended(&mut self, ended: Result<(task::Id, ()), task::JoinError>) {
        let id = ended.as_ref().map_or_else(task::JoinError::id, |(id, ())| *id);
        let Some((of, stop)) = self.known.remove(&id) else { return };
        if *stop.borrow() == Some(Stop::Forget) {
            self.spool.forget(of);
        } else if let Err(error) = ended
            && let Some(build) = self.spool.get(of).filter(|build| !build.finished())
        {
            tracing::error!(build = %of.build, "{error}");
            close(&build, BuildResult::Exception, "bb on the slave failed; its log has more");
        }
    }
}

/// Ends a build that nothing works on any more: its open step and then itself.
fn close(build: &Spooled, result: BuildResult, reason: &str) {
    if let Some((step, log_len)) = build.open_step() {
        let reason = Some(reason.to_owned());
        let (links, summary) = (Vec::new(), String::new());
        let what = Happened::StepFinished {
            step,
            result,
            exit_code: None,
            log_len,
            reason,
            lacks: None,
            ran_ms: 0,
            links,
            summary,
            tests: None,
            artifacts: None,
        };
        tell(build, what);
    }
    end(build, result, reason.to_owned());
}

fn end(build: &Spooled, result: BuildResult, reason: String) {
    tell(build, Happened::BuildFinished { result, reason, handed_back: false });
}

fn tell(build: &Spooled, what: Happened) {
    if let Err(error) = build.report(what, UnixMs(jiff::Timestamp::now().as_millisecond())) {
        tracing::error!(build = %build.of.build, "a report can't be written to the slave's disk: {error}");
    }
}

fn absolute(basedir: &Path) -> Result<PathBuf, RunError> {
    std::fs::canonicalize(basedir).map_err(|error| RunError::Io { path: basedir.to_owned(), error })
}

/// Keeps another slave from the same basedir for as long as the file is open.
fn lock(basedir: &Path) -> Result<File, RunError> {
    let path = basedir.join("slave.lock");
    let io = |error| RunError::Io { path: path.clone(), error };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(RunError::Locked(basedir.to_owned())),
        Err(error) => Err(io(error.into())),
    }
}

/// Keeps builds that run under the slave's own user from reading its memory, where the token is.
pub(crate) fn hide() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("the slave's memory can't be hidden from builds: {error}");
    }
}

/// The machine, for people.
fn machine() -> String {
    let uname = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = rustix::system::sysinfo();
    let gib = (memory.totalram as u64).saturating_mul(u64::from(memory.mem_unit)) >> 30;
    let (system, release) = (uname.sysname().to_string_lossy(), uname.release().to_string_lossy());
    format!("{system} {release} {}, {cores} cores, {gib} GiB", uname.machine().to_string_lossy())
}
