//! The [`World`] of a story: an official repository, a master that guards it, slaves, authors and a maintainer. The
//! master and the slaves are the real program, started as a user starts it; everybody speaks to them by the real
//! command line and the real API.
//!
//! ```no_run
//! # use testkit::world::World;
//! let world = World::start(env!("CARGO"));
//! world.slave("oak");
//! let ann = world.author("ann");
//! ann.writes("feature", &[("hello.txt", "hello\n")]);
//! ann.publishes("feature").ok();
//! world.until("feature", |branch| branch.summary.verdict.code == "ready");
//! world.maintainer().accepts("feature").ok();
//! world.until("feature", |branch| branch.summary.verdict.code == "landed");
//! assert!(world.mainline().files("main").contains(&"hello.txt".to_owned()));
//! ```

mod front;
mod people;
mod program;

pub use front::Front;
pub use people::{Author, Maintainer, WAITS};
pub use program::{Program, Said};

use crate::git::Repo;
use crate::http::Client;
use protocol::api::{BranchDetail, BuildDetail, BuildSummary, Event, Queue, Slave};
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a story waits for what must come: only the outer safety net, so that a lost event is a failure, not a hang.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The recipe of the official repository, unless a story brings its own.
pub const RECIPE: &str = "\
[[builder]]
name = \"linux\"

[[builder.step]]
name = \"test\"
run = \"make check\"
";

/// What the official repository holds besides the recipe: a program with a test, and a ChangeLog.
pub const FILES: &[(&str, &str)] = &[
    ("Makefile", "check:\n\tsh test.sh\n"),
    ("test.sh", "set -e\ngrep -q '^heron' greeting.txt\necho '1 test passed'\n"),
    ("greeting.txt", "heron says hello\n"),
    ("ChangeLog", "2026-01-01  A U Thor  <author@example.org>\n\n\t* greeting.txt: New file.\n"),
];

/// The project's name.
pub const PROJECT: &str = "heron";

/// What a story may want otherwise.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The official repository's `.bb.toml`; none for a project without one.
    pub recipe: Option<String>,
    /// A recipe in the master's configuration, for a repository that has none.
    pub recipe_of_master: Option<String>,
    /// Lines for the master's settings, before the first table.
    pub settings: String,
    /// Whole tables for the master's settings.
    pub tables: String,
    /// The store's URL; none for the embedded one.
    pub store: Option<String>,
    /// Seconds that a slave may be away before its builds are given to others.
    pub lease_s: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            recipe: Some(RECIPE.to_owned()),
            recipe_of_master: None,
            settings: String::new(),
            tables: String::new(),
            store: None,
            lease_s: 60,
        }
    }
}

/// See the module. Everything that it started ends with it, in the order of its fields.
pub struct World {
    slaves: RefCell<BTreeMap<String, Program>>,
    master: RefCell<Option<Program>>,
    front: Front,
    bb: PathBuf,
    token: RefCell<String>,
    runs: Cell<u32>,
    file_limit: Cell<Option<u64>>,
    unheard: Cell<bool>,
    folder: tempfile::TempDir,
}

impl World {
    /// A World with an official repository and a running master, by the program `bb`.
    #[must_use]
    pub fn start(bb: impl AsRef<Path>) -> World {
        World::start_as(bb, &Plan::default())
    }

    /// The same by a plan.
    #[must_use]
    pub fn start_as(bb: impl AsRef<Path>, plan: &Plan) -> World {
        let world = World::without_master(bb, plan);
        world.start_master();
        world
    }

    /// The same with a master that is created and doesn't run yet.
    ///
    /// # Panics
    /// When the master can't be created.
    #[must_use]
    pub fn without_master(bb: impl AsRef<Path>, plan: &Plan) -> World {
        let world = World::empty(bb);
        world.make_official(plan.recipe.as_deref());
        world.create_master(plan);
        let write = |name: &str, text: &str| std::fs::write(world.basedir().join(name), text);
        write("master.toml", &world.settings(plan)).expect("the basedir can be written");
        if let Some(recipe) = &plan.recipe_of_master {
            write("recipe.toml", recipe).expect("the basedir can be written");
        }
        world
    }

    /// A World with nothing in it but a home.
    #[must_use]
    pub fn empty(bb: impl AsRef<Path>) -> World {
        let folder = crate::folder();
        // Builds run as other users, who must be able to get there.
        open_to_all(folder.path());
        for name in ["home", "authors", "slaves", "work"] {
            std::fs::create_dir(folder.path().join(name)).expect("folders can be made");
        }
        open_to_all(&folder.path().join("work"));
        World {
            slaves: RefCell::default(),
            master: RefCell::default(),
            front: Front::start(),
            bb: bb.as_ref().to_path_buf(),
            token: RefCell::default(),
            runs: Cell::new(0),
            file_limit: Cell::new(None),
            unheard: Cell::new(false),
            folder,
        }
    }

    fn create_master(&self, plan: &Plan) {
        let (basedir, official) = (self.basedir(), self.folder.path().join("official.git"));
        let mut command = self.command(["master", "create"]);
        command.arg(basedir).args(["--name", PROJECT, "--repository"]).arg(official);
        if let Some(store) = &plan.store {
            command.args(["--store", store]);
        }
        Said::of(&mut command).ok();
    }

    fn make_official(&self, recipe: Option<&str>) {
        let official = Repo::init_bare(self.folder.path().join("official.git"));
        let first = Repo::init(self.folder.path().join("first"));
        let mut files = FILES.to_vec();
        if let Some(recipe) = recipe {
            files.push((".bb.toml", recipe));
        }
        first.commit(&files, "Begin");
        first.git(&["push", "--quiet", official.url(), "main"]);
    }

    fn settings(&self, plan: &Plan) -> String {
        let store = plan.store.as_ref().map_or_else(String::new, |url| format!("store = {url:?}\n"));
        format!(
            "listen = \"127.0.0.1:0\"\nurl = {url:?}\n{store}{settings}
[[project]]
name = {PROJECT:?}
repository = {official:?}
{recipe}
[sources]
allow_local = [{authors:?}]
allow_private = [\"127.0.0.0/8\"]

[times]
poll_s = 1
poll_quiet_s = 2
lease_s = {lease}

{tables}",
            url = self.url(),
            settings = plan.settings,
            recipe = plan.recipe_of_master.as_ref().map_or("", |_| "recipe = \"recipe.toml\"\n"),
            official = self.folder.path().join("official.git"),
            authors = self.folder.path().join("authors"),
            lease = plan.lease_s,
            tables = plan.tables,
        )
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The master's basedir.
    #[must_use]
    pub fn basedir(&self) -> PathBuf {
        self.folder.path().join("master")
    }

    /// Where everybody finds the master; the same after a restart.
    #[must_use]
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// The door that all connections to the master pass.
    #[must_use]
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// The official repository.
    #[must_use]
    pub fn mainline(&self) -> Repo {
        Repo::at(self.folder.path().join("official.git"))
    }

    /// Starts the master and waits until it answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_master(&self) {
        let address = self.basedir().join("run/address");
        let _ = std::fs::remove_file(&address);
        let basedir = self.basedir();
        let args = [OsStr::new("master"), OsStr::new("run"), basedir.as_os_str()];
        let mut program = self.program("master", args);
        program.until("it answers", || {
            std::fs::read_to_string(&address).ok().filter(|text| text.ends_with('\n')).is_some()
        });
        let text = std::fs::read_to_string(&address).expect("it was there");
        self.front.leads_to(text.trim());
        let token = std::fs::read_to_string(self.basedir().join("secrets/maintainer.token"));
        token.expect("a running master has a maintainer's token").trim().clone_into(&mut self.token.borrow_mut());
        *self.master.borrow_mut() = Some(program);
    }

    /// Ends the master at once, as a power failure would.
    pub fn kill_master(&self) {
        drop(self.master.borrow_mut().take());
    }

    /// The running master.
    ///
    /// # Panics
    /// When there is none.
    pub fn with_master<T>(&self, look: impl FnOnce(&mut Program) -> T) -> T {
        look(self.master.borrow_mut().as_mut().expect("the master runs"))
    }

    /// Creates a slave with one slot and starts it; waits until the master knows it.
    pub fn slave(&self, name: &str) {
        self.slave_with(name, "");
    }

    /// The same with more lines of settings.
    ///
    /// # Panics
    /// When it can't be created.
    pub fn slave_with(&self, name: &str, settings: &str) {
        let secret = self.run(["token", "new", "slave", name]).ok();
        let token = self.folder.path().join(format!("slaves/{name}.token"));
        std::fs::write(&token, secret.trim()).expect("the folder can be written");
        let basedir = self.slave_basedir(name);
        let (basedir, token) = (basedir.to_str().expect("UTF-8"), token.to_str().expect("UTF-8"));
        self.run(["slave", "create", basedir, "--master", &self.url(), "--token-file", token, "--name", name]).ok();
        let file = self.slave_basedir(name).join("slave.toml");
        let work = self.folder.path().join("work").join(name);
        std::fs::create_dir(&work).expect("folders can be made");
        open_to_all(&work);
        let mine = format!("master = {:?}\nname = {name:?}\nwork_folder = {work:?}\n{settings}", self.url());
        std::fs::write(&file, mine).expect("the basedir can be written");
        self.start_slave(name);
    }

    fn slave_basedir(&self, name: &str) -> PathBuf {
        self.folder.path().join("slaves").join(name)
    }

    /// Starts a slave that was created, and waits until the master knows it.
    pub fn start_slave(&self, name: &str) {
        let basedir = self.slave_basedir(name);
        let args = [OsStr::new("slave"), OsStr::new("run"), basedir.as_os_str()];
        let program = self.program(&format!("slave-{name}"), args);
        self.slaves.borrow_mut().insert(name.to_owned(), program);
        self.wait(&format!("slave {name} is connected"), || {
            self.slaves().into_iter().find(|slave| slave.name.as_str() == name && slave.connected)
        });
    }

    /// Ends a slave at once, as a power failure would.
    pub fn kill_slave(&self, name: &str) {
        drop(self.slaves.borrow_mut().remove(name));
    }

    /// A running slave.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn with_slave<T>(&self, name: &str, look: impl FnOnce(&mut Program) -> T) -> T {
        look(self.slaves.borrow_mut().get_mut(name).expect("the slave runs"))
    }

    /// How many builds wait by [`WAITS`] and were not let go.
    #[must_use]
    pub fn waiting_builds(&self) -> usize {
        people::waiting(&self.folder.path().join("work")).len()
    }

    /// Lets all builds go on that wait by [`WAITS`]; gives how many.
    ///
    /// # Panics
    /// When a work folder can't be written.
    #[must_use]
    pub fn release_builds(&self) -> usize {
        let waiting = people::waiting(&self.folder.path().join("work"));
        for folder in &waiting {
            std::fs::write(folder.join(".released"), "").expect("a work folder can be written");
        }
        waiting.len()
    }

    /// Forgets builds that waited when their slave was killed, so that only newer ones count.
    pub fn forget_waiting_builds(&self) {
        for folder in people::waiting(&self.folder.path().join("work")) {
            let _ = std::fs::remove_file(folder.join(".waiting"));
        }
    }

    /// An author, with a clone of the official repository as of the first call.
    #[must_use]
    pub fn author(&self, name: &str) -> Author<'_> {
        Author::of(self, name)
    }

    /// The maintainer.
    #[must_use]
    pub fn maintainer(&self) -> Maintainer<'_> {
        Maintainer::of(self)
    }

    /// Runs bb as the maintainer does at his terminal, to its end.
    pub fn run<const N: usize>(&self, args: [&str; N]) -> Said {
        self.run_in(self.folder.path(), &args)
    }

    /// The same in a folder.
    pub fn run_in(&self, folder: &Path, args: &[&str]) -> Said {
        Said::of(self.command(args).current_dir(folder))
    }

    /// Lets no file of programs started from now on grow beyond so many bytes: each write beyond fails, as on a full
    /// disk. None lifts it.
    pub fn limit_files(&self, bytes: Option<u64>) {
        self.file_limit.set(bytes);
    }

    /// Has nothing of what is started from now on be able to print: its log is on a full disk.
    pub fn silence(&self, unheard: bool) {
        self.unheard.set(unheard);
    }

    /// Starts bb and doesn't wait for its end; what it prints goes to `NAME-N.log` of the World's folder.
    pub fn program<I: AsRef<OsStr>>(&self, name: &str, args: impl IntoIterator<Item = I>) -> Program {
        self.runs.set(self.runs.get() + 1);
        let log = self.folder.path().join(format!("{name}-{}.log", self.runs.get()));
        let mut words: Vec<OsString> = Vec::new();
        if self.unheard.get() {
            words.extend(["sh", "-c", "exec \"$@\" >/dev/full 2>&1", "sh"].map(OsString::from));
        }
        if let Some(bytes) = self.file_limit.get() {
            // The shell counts in blocks of 512 bytes; the signal that comes first would end the program.
            let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$@\"", bytes / 512);
            words.extend(["sh", "-c", &script, "sh"].map(OsString::from));
        }
        words.push(self.bb.clone().into_os_string());
        words.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        Program::start(name, &words, |command| self.surround(command), log)
    }

    /// A bb command to be run, told where the master is and who asks.
    #[must_use]
    pub fn command<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> std::process::Command {
        let mut command = std::process::Command::new(&self.bb);
        command.args(args);
        self.surround(&mut command);
        command
    }

    /// Nothing of the user's own environment, but where programs are.
    fn surround(&self, command: &mut std::process::Command) {
        let home = self.folder.path().join("home");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC0")
            .env("BB_MASTER", self.url())
            .current_dir(self.folder.path());
        if !self.token.borrow().is_empty() {
            command.env("BB_TOKEN", self.token.borrow().as_str());
        }
    }

    /// The maintainer's token.
    #[must_use]
    pub fn token(&self) -> String {
        self.token.borrow().clone()
    }

    /// A client of the API with the maintainer's token.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url()).with_token(&self.token.borrow())
    }

    /// What the API says at `/api/v1` and `path`.
    ///
    /// # Panics
    /// When it says something else than a `T`.
    #[must_use]
    pub fn api<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.client().get(&format!("/api/v1{path}"));
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("GET {path}: {error}: {}", answer.body))
    }

    /// A branch, whole.
    #[must_use]
    pub fn branch(&self, name: &str) -> BranchDetail {
        self.api(&format!("/projects/{PROJECT}/branches/{name}"))
    }

    /// The builds of a branch, all builders', newest revision first.
    #[must_use]
    pub fn builds(&self, branch: &str) -> Vec<BuildSummary> {
        self.branch(branch).builders.into_iter().flat_map(|row| row.builds).collect()
    }

    /// A build, whole.
    #[must_use]
    pub fn build(&self, id: protocol::BuildId) -> BuildDetail {
        self.api(&format!("/builds/{id}"))
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> Queue {
        self.api(&format!("/projects/{PROJECT}/queue"))
    }

    /// The slaves.
    #[must_use]
    pub fn slaves(&self) -> Vec<Slave> {
        self.api("/slaves")
    }

    /// Waits until a branch is as `is` wants it, and gives it.
    ///
    /// # Panics
    /// When it never is; the last that was seen of it is told.
    pub fn until(&self, branch: &str, is: impl Fn(&BranchDetail) -> bool) -> BranchDetail {
        let last = RefCell::new(String::new());
        let what = || format!("branch {branch} gets there; last seen: {}", last.borrow());
        self.wait_saying(what, || {
            let seen = self.branch(branch);
            let verdict = &seen.summary.verdict;
            *last.borrow_mut() = format!("{} ({}), {}", verdict.code, verdict.state, verdict.because);
            is(&seen).then_some(seen)
        })
    }

    /// Waits until a branch's verdict has this code, and gives the branch.
    pub fn until_verdict(&self, branch: &str, code: &str) -> BranchDetail {
        self.until(branch, |seen| seen.summary.verdict.code == code)
    }

    /// Waits until `look` finds something: looks now, and again after each event.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        self.wait_saying(|| what.to_owned(), look)
    }

    fn wait_saying<T>(&self, what: impl Fn() -> String, look: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let events = self.events();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "waited {} s until {}", PATIENCE.as_secs(), what());
            // Not everything that changes is an event, so each wait is also short.
            let _ = events.recv_timeout(Duration::from_millis(500));
            while events.try_recv().is_ok() {}
        }
    }

    /// What happens from now on, as the event stream tells it.
    #[must_use]
    pub fn events(&self) -> mpsc::Receiver<Event> {
        let (tell, events) = mpsc::channel();
        let client = self.client();
        std::thread::spawn(move || {
            let Ok(lines) = client.try_lines("/api/v1/events", PATIENCE) else { return };
            for line in lines.map_while(Result::ok) {
                let event = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data.trim()).ok());
                if let Some(event) = event
                    && tell.send(event).is_err()
                {
                    return;
                }
            }
        });
        events
    }
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("it was just made");
}
