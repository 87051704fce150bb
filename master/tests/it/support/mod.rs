//! A master in this process, with an official repository and an author's.

pub mod counts;
pub mod slave;

use master::stepping::{Loop, Stops};
use master::store::{Branch, Claim, Interest, NewRevision, Store, TokenKind, Topics};
use master::{Running, create, stepping};
use protocol::ProjectId;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;
use testkit::git::Repo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what must come: only the outer safety net.
pub const PATIENCE: Duration = Duration::from_secs(90);

const RECIPE: &str = "[[builder]]\nname = \"linux\"\n\n[[builder.step]]\nname = \"test\"\nrun = \"true\"\n";

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The code of a problem, which has all that a problem must have.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{} {}", self.status, self.text);
        let it = self.json();
        assert_eq!(it["status"], self.status, "{it}");
        for field in ["title", "detail", "code", "type"] {
            assert!(it[field].as_str().is_some_and(|text| !text.is_empty()), "no {field}: {it}");
        }
        it["code"].as_str().unwrap().to_owned()
    }
}

/// A revision that is recorded without a look.
pub fn revision(number: u32, commit: &str) -> NewRevision {
    let (subject, title, author) = ("Work".to_owned(), "Work".to_owned(), "Ann".to_owned());
    NewRevision { number, commit: commit.parse().unwrap(), subject, title, author, commits: 1, refusal: None }
}

/// What runs.
pub struct World {
    pub token: String,
    pub official: Repo,
    pub author: Repo,
    client: reqwest::Client,
    running: Option<Running>,
    shutdown: CancellationToken,
    stops: Arc<Stops>,
    /// Whether the loops of its masters run of themselves.
    loops: bool,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::start_as("", "").await
    }

    /// With more lines for the settings, at their beginning and in `[times]`.
    pub async fn start_as(settings: &str, times: &str) -> Self {
        let mut world = Self::make(settings, "", "", &format!("poll_s = 1\npoll_quiet_s = 2\n{times}"), true).await;
        world.start_master().await;
        world
    }

    /// Where anybody may publish, also from this machine; with more lines for the settings, at their beginning and in
    /// `[sources]`.
    pub async fn open_to_all(settings: &str, sources: &str) -> Self {
        let (project, sources) = ("publish = \"open\"\n", format!("allow_private = [\"127.0.0.0/8\"]\n{sources}\n"));
        let mut world = Self::make(settings, project, &sources, "poll_s = 1\npoll_quiet_s = 2\n", true).await;
        world.start_master().await;
        world
    }

    /// A world in which only [`World::turn`] makes loops do anything, and branches are looked at only when somebody
    /// publishes.
    pub async fn stepped() -> Self {
        Self::stepped_as("").await
    }

    /// The same with more lines for the settings, at their beginning.
    pub async fn stepped_as(settings: &str) -> Self {
        let times = "poll_s = 3600\npoll_quiet_s = 3600\nlease_s = 0\n";
        let mut world = Self::make(settings, "", "", times, false).await;
        world.start_master().await;
        world
    }

    /// A world whose master was not started yet.
    async fn make(settings: &str, project: &str, sources: &str, times: &str, loops: bool) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let folder = if loops { testkit::folder() } else { testkit::quick_folder() };
        let official = Repo::init_bare(folder.path().join("official.git"));
        let first = Repo::init(folder.path().join("first"));
        first.commit(&[(".bb.toml", RECIPE), ("README", "heron\n")], "Begin");
        first.git(&["push", "--quiet", official.url(), "main"]);
        let author = Repo::clone(official.url(), folder.path().join("author"));
        let text = format!(
            "listen = \"127.0.0.1:0\"\n{settings}\n[[project]]\nname = \"heron\"\nrepository = {:?}\n{project}\
             [sources]\nallow_local = [{:?}]\n{sources}[times]\n{times}\n",
            official.path(),
            author.path(),
        );
        let token = create(&folder.path().join("master"), &text, "mia").await.unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let client = client.build().unwrap();
        let (shutdown, stops) = (CancellationToken::new(), Arc::default());
        Self { token, official, author, client, running: None, shutdown, stops, loops, folder }
    }

    pub fn basedir(&self) -> PathBuf {
        self.folder.path().join("master")
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub async fn start_master(&mut self) {
        self.shutdown = CancellationToken::new();
        self.stops = Arc::default();
        let (basedir, shutdown) = (self.basedir(), self.shutdown.clone());
        self.running = Some(stepping::start(&basedir, None, shutdown, &self.stops, self.loops).await.unwrap());
    }

    /// Ends the master wherever it is, without its orderly end.
    pub async fn kill_master(&mut self) {
        let running = self.running.take().unwrap();
        self.stops.kill();
        let store = running.store().clone();
        drop(running);
        self.shutdown.cancel();
        store.close().await;
    }

    /// The running master's claim on the project.
    pub async fn claim(&self) -> Claim {
        let owner = self.basedir().display().to_string();
        self.store().claim_project(ProjectId(1), &owner, 30_000).await.unwrap().expect("the master's own")
    }

    /// One turn of a loop, to its end.
    pub async fn turn(&self, which: Loop) {
        self.master().turn(which).await.unwrap();
    }

    /// Where whoever comes by can be stopped: in turns, in what people do, and in slaves' connections.
    pub fn stops(&self) -> &Arc<Stops> {
        &self.stops
    }

    /// Whether a master runs.
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    pub fn master(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn store(&self) -> &Store {
        self.master().store()
    }

    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.master().address())
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.at(path))
    }

    pub async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answer { status, headers, text: answer.text().await.unwrap() }
    }

    /// Reads as anybody.
    pub async fn get(&self, path: &str) -> Answer {
        self.answer(self.request(Method::GET, path)).await
    }

    /// Changes something, with a token.
    pub async fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.answer(self.request(Method::POST, path).bearer_auth(token).json(body)).await
    }

    /// The same as the maintainer.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(&self.token, path, body).await
    }

    pub async fn token(&self, kind: TokenKind, name: &str) -> String {
        self.master().make_token(kind, name).await.unwrap()
    }

    /// Sends bytes as they are and reads until the master closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.master().address()).await.unwrap();
        let _ = socket.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("the master closes");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A connection to the master.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.master().address()).await.unwrap()
    }

    /// Sends the beginning of a request, then one byte after another until the master closes.
    pub async fn drip(&self, bytes: &[u8]) {
        let (mut reader, mut writer) = self.connect().await.into_split();
        writer.write_all(bytes).await.unwrap();
        let drip = async {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            while writer.write_all(b"0").await.is_ok() {
                tick.tick().await;
            }
        };
        let read = async {
            let mut answer = Vec::new();
            let _ = reader.read_to_end(&mut answer).await;
        };
        let either = async {
            tokio::select! {
                () = drip => {}
                () = read => {}
            }
        };
        tokio::time::timeout(PATIENCE, either).await.expect("the master closes");
    }

    /// The same for a client that says at once that no more will come.
    pub async fn raw_all(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.master().address()).await.unwrap();
        let _ = socket.write_all(bytes).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("the master closes");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Waits until a build of a branch was asked for.
    pub async fn asked(&self, name: &str) {
        self.until(&format!("a build of {name} waits"), async || {
            let id = self.branch_row(name).await.id;
            let open = self.store().open_builds().await.unwrap();
            if open.iter().any(|b| b.branch == id) { Ok(()) } else { Err(self.branch(name).await["watch"].to_string()) }
        })
        .await;
    }

    /// Makes and publishes a branch that adds a file.
    pub async fn publish(&self, name: &str) {
        self.author.git(&["fetch", "--quiet", "origin"]);
        self.author.branch(name, "origin/main");
        self.author.commit(&[(name, "text\n")], &format!("Add {name}"));
        let body = json!({"url": self.author.url(), "branch": name, "name": name});
        let answer = self.post("/api/v1/projects/heron/branches", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    pub async fn branch(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/projects/heron/branches/{name}")).await.json()
    }

    pub async fn branch_row(&self, name: &str) -> Branch {
        self.store().branch(ProjectId(1), &name.parse().unwrap()).await.unwrap().unwrap()
    }

    /// Waits for a verdict on a branch.
    pub async fn verdict(&self, name: &str, code: &str) -> Value {
        self.until(&format!("{name} is {code}"), async || {
            let it = self.branch(name).await;
            if it["summary"]["verdict"]["code"] == code { Ok(it) } else { Err(it["summary"]["verdict"].to_string()) }
        })
        .await
    }

    /// What whoever accepts a branch's newest revision sends: what is to be read of it now.
    pub async fn as_read(&self, name: &str) -> Value {
        let summary = self.branch(name).await["summary"].take();
        json!({"commit": summary["commit"], "words": summary["words"]})
    }

    /// Accepts a branch's newest revision.
    pub async fn accept(&self, name: &str) {
        let path = format!("/api/v1/projects/heron/branches/{name}/accept");
        let answer = self.post(&path, &self.as_read(name).await).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    /// How often a page reads from the store.
    pub async fn reads(&self, path: &str) -> usize {
        self.stops().stop_at(&["store.read"]);
        let mut asked = Box::pin(self.get(path));
        let mut count = 0;
        let answer = loop {
            tokio::select! {
                answer = &mut asked => break answer,
                held = self.stops().held() => {
                    count += 1;
                    held.go();
                }
            }
        };
        self.stops().open();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        count
    }

    /// Waits until something is so: asked again at each write to the store, and now and then.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
        let changes = self.store().listen(Interest { project: None, topics: Topics::ALL, id: None });
        let mut last = String::new();
        let all = async {
            loop {
                changes.heard();
                match look().await {
                    Ok(found) => return found,
                    Err(now) => last = now,
                }
                let _ = tokio::time::timeout(Duration::from_millis(100), changes.changed()).await;
            }
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(found) => found,
            Err(_) => panic!("not in time: {what}; at last: {last}"),
        }
    }
}
