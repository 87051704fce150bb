//! What the tests play with: authors' repositories, an official one, a mirror, servers.

pub(crate) mod http;
pub(crate) mod other;

use protocol::{BranchName, CommitId};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tracker::candidate::{CandidateOutcome, CandidateRequest, Identity, Made, Message};
use tracker::checkout::{Place, Reach};
use tracker::git::Git;
use tracker::mirror::{Admission, AdmissionLimits, Mirror, OfficialUrl};
use tracker::source::{BranchRef, SourcePolicy, SourceUrl, UncheckedUrl};
use tracker::watch::{PollLimits, Poller};

pub(crate) fn git() -> Git {
    Git::find(None).expect("git 2.38 or newer is needed on PATH for these tests; install it")
}

/// A command that sees nothing of the tester's own configuration.
pub(crate) fn plain_git() -> Command {
    let mut command = Command::new(git().program());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in [
        ("HOME", "/dev/null/none"),
        ("LC_ALL", "C.UTF-8"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_AUTHOR_NAME", "Ann"),
        ("GIT_AUTHOR_EMAIL", "ann@example.org"),
        ("GIT_COMMITTER_NAME", "Ann"),
        ("GIT_COMMITTER_EMAIL", "ann@example.org"),
        ("GIT_AUTHOR_DATE", "1700000000 +0000"),
        ("GIT_COMMITTER_DATE", "1700000000 +0000"),
    ] {
        command.env(name, value);
    }
    command.stdin(Stdio::null());
    command
}

/// A build's folders: its files, and beside them the way to the objects.
pub(crate) fn place(files: &Path) -> Place {
    let objects = files.with_extension("objects");
    Place { files: files.to_owned(), objects: objects.clone(), objects_seen: objects, reach: Reach::Link }
}

/// A repository with a work tree.
#[derive(Clone)]
pub(crate) struct Repo {
    pub(crate) path: PathBuf,
}

impl Repo {
    pub(crate) fn init(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        std::fs::create_dir_all(&path).unwrap();
        let repo = Self { path };
        repo.git(&["init", "-q", "-b", "main"]);
        repo
    }

    pub(crate) fn clone_of(other: &Self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let done = plain_git().args(["clone", "-q"]).arg(&other.path).arg(&path).status().unwrap();
        assert!(done.success());
        Self { path }
    }

    /// Runs git there and gives what it prints; it must succeed.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let said = plain_git().arg("-C").arg(&self.path).args(args).output().unwrap();
        assert!(said.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim_end().to_owned()
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Commits everything.
    pub(crate) fn commit(&self, message: &str) -> CommitId {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    pub(crate) fn head(&self) -> CommitId {
        self.git(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    /// A new branch here.
    pub(crate) fn branch(&self, name: &str) -> &Self {
        self.git(&["checkout", "-q", "-b", name]);
        self
    }

    /// Writes an object of any content, however wrong, and gives its id.
    pub(crate) fn object(&self, kind: &str, bytes: &[u8]) -> String {
        use std::io::Write;
        let mut child = plain_git()
            .arg("-C")
            .arg(&self.path)
            .args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    }
}

/// An entry of a tree object.
pub(crate) fn entry(mode: &str, name: &[u8], id: &str) -> Vec<u8> {
    let mut bytes = format!("{mode} ").into_bytes();
    bytes.extend_from_slice(name);
    bytes.push(0);
    bytes.extend((0..20).map(|i| u8::from_str_radix(&id[2 * i..2 * i + 2], 16).unwrap()));
    bytes
}

/// An official repository with a first commit, its mirror, and room for authors.
pub(crate) struct World {
    pub(crate) temp: TempDir,
    pub(crate) official: Repo,
    pub(crate) mirror: Mirror,
    pub(crate) poller: Poller,
    pub(crate) mainline: CommitId,
}

pub(crate) const OLD_ENTRY: &str = "2023-01-01  Bob  <bob@example.org>\n\n\t* a.c: Start.\n";
pub(crate) const NEW_ENTRY: &str = "2024-01-01  Ann  <ann@example.org>\n\n\t* b.c: Say hello.\n";

impl World {
    pub(crate) async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let official = Repo::init(temp.path().join("official"));
        official.write("a.c", "1\n2\n3\n4\n5\n6\n7\n8\n9\n").write("ChangeLog", OLD_ENTRY).write(".bb.toml", "");
        official.commit("Start");
        let mirror = Mirror::open_or_create(git(), &temp.path().join("mirror.git")).await.unwrap();
        let poller = Poller::new(git(), policy(&temp), PollLimits::default()).unwrap();
        let mut world = Self { mainline: official.head(), temp, official, mirror, poller };
        world.update().await;
        world
    }

    /// Fetches mainline into the mirror.
    pub(crate) async fn update(&mut self) {
        let tip = self.mirror.update_mainline(&self.official_url(), &branch("main")).await.unwrap();
        assert_eq!(tip, self.official.head());
        self.mainline = tip;
    }

    pub(crate) fn official_url(&self) -> OfficialUrl {
        OfficialUrl::new(self.official.path.to_str().unwrap()).unwrap()
    }

    /// An author's clone of the official repository, on a branch of the author's name.
    pub(crate) fn author(&self, name: &str) -> Repo {
        let repo = Repo::clone_of(&self.official, self.temp.path().join("authors").join(name));
        repo.branch(name);
        repo
    }

    pub(crate) fn source(&self, repo: &Repo) -> SourceUrl {
        source(repo.path.to_str().unwrap(), self.poller.policy())
    }

    /// What admits the branch of an author's name from that author's repository.
    pub(crate) fn admission(&self, repo: &Repo, name: &str, revision: u32) -> Admission {
        Admission {
            source: self.source(repo),
            branch: branch(name),
            expected: None,
            name: self::name(name),
            revision,
            limits: AdmissionLimits::default(),
        }
    }

    pub(crate) async fn admit(&self, repo: &Repo, name: &str, revision: u32) -> CommitId {
        self.mirror.admit(&self.poller, &self.admission(repo, name, revision)).await.unwrap()
    }

    pub(crate) fn request(&self, name: &str, commit: &CommitId) -> CandidateRequest {
        CandidateRequest {
            branch: self::name(name),
            revision: 1,
            mainline: self.mainline.clone(),
            commit: commit.clone(),
            date: jiff::civil::date(2024, 3, 5),
            otherwise: None,
            message: Message { title: "Say hello".to_owned(), ..Message::default() },
            committer: Identity { name: "bb".to_owned(), email: "bb@example.org".to_owned() },
            when: 1_700_000_000,
        }
    }

    pub(crate) async fn candidate(&self, name: &str, commit: &CommitId) -> CandidateOutcome {
        self.mirror.candidate(&self.request(name, commit)).await.unwrap()
    }

    pub(crate) async fn made(&self, name: &str, commit: &CommitId) -> Made {
        match self.candidate(name, commit).await {
            CandidateOutcome::Made(made) => made,
            other => panic!("no candidate: {other:?}"),
        }
    }

    /// What stands at a path of a commit in the mirror.
    pub(crate) async fn file(&self, commit: &CommitId, path: &str) -> Option<String> {
        let bytes = self.mirror.file_at(commit, path, 1 << 20).await.unwrap();
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Everything below refs/ in the mirror.
    pub(crate) fn refs(&self) -> String {
        let said = plain_git().arg("-C").arg(self.mirror.path()).arg("show-ref").output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    }
}

fn policy(temp: &TempDir) -> SourcePolicy {
    SourcePolicy { allow_local: vec![temp.path().to_owned()], ..on_loopback() }
}

/// The policy of a test that calls its own servers.
pub(crate) fn on_loopback() -> SourcePolicy {
    SourcePolicy { allow_private: vec!["127.0.0.1/32".parse().unwrap()], ..SourcePolicy::default() }
}

pub(crate) fn source(text: &str, policy: &SourcePolicy) -> SourceUrl {
    SourceUrl::check(&UncheckedUrl::new(text), policy).unwrap()
}

pub(crate) fn branch(name: &str) -> BranchRef {
    name.parse().unwrap()
}

pub(crate) fn name(name: &str) -> BranchName {
    name.parse().unwrap()
}

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}
