//! Repositories of this machine that lead out of the allowed folders: whatever they name, and whenever they name it.

use crate::support::{Repo, World, branch, git, name, plain_git, source};
use protocol::CommitId;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracker::Explain;
use tracker::mirror::{Admission, AdmissionLimits};
use tracker::source::{SourcePolicy, SourceUrl, UncheckedUrl};
use tracker::watch::{Head, PollLimits, Poller};

/// A repository that is nobody's business, in two forms: with loose objects, and packed.
struct Secret {
    loose: Repo,
    packed: PathBuf,
    commit: CommitId,
}

impl Secret {
    fn new(folder: &Path) -> Self {
        let loose = Repo::init(folder.join("secret"));
        loose.write("password", "hunter2\n").branch("x").commit("Secret");
        let packed = folder.join("packed.git");
        let done = plain_git().args(["clone", "-q", "--bare"]).arg(&loose.path).arg(&packed).status().unwrap();
        assert!(done.success());
        for args in [&["repack", "-adq"][..], &["pack-refs", "--all"]] {
            assert!(plain_git().arg("-C").arg(&packed).args(args).status().unwrap().success());
        }
        Self { commit: loose.head(), loose, packed }
    }

    fn git_dir(&self) -> PathBuf {
        self.loose.path.join(".git")
    }

    /// Files below a folder of the secret, as paths relative to it.
    fn files(of: &Path) -> Vec<PathBuf> {
        let all = crate::support::files_below(of);
        all.into_iter().map(|file| file.strip_prefix(of).unwrap().to_owned()).collect()
    }
}

/// A way that a repository can lead out; done to the stranger's work tree at `at`.
type Way = fn(at: &Path, secret: &Secret);

/// Every one of these, without care, publishes the secret's commit as the stranger's branch `x`.
const WAYS: [(&str, Way); 15] = [
    ("the folder is a link", |at, secret| {
        fs::remove_dir_all(at).unwrap();
        symlink(&secret.loose.path, at).unwrap();
    }),
    (".git is a link", |at, secret| {
        fs::remove_dir_all(at.join(".git")).unwrap();
        symlink(secret.git_dir(), at.join(".git")).unwrap();
    }),
    (".git is a file", |at, secret| {
        fs::remove_dir_all(at.join(".git")).unwrap();
        fs::write(at.join(".git"), format!("gitdir: {}\n", secret.git_dir().display())).unwrap();
    }),
    ("commondir", |at, secret| {
        fs::write(at.join(".git/commondir"), format!("{}\n", secret.git_dir().display())).unwrap();
    }),
    ("commondir, relative", |at, _| {
        fs::write(at.join(".git/commondir"), "../../../secret/.git\n").unwrap();
    }),
    ("objects is a link", |at, secret| {
        name_it(at, secret);
        fs::remove_dir_all(at.join(".git/objects")).unwrap();
        symlink(secret.git_dir().join("objects"), at.join(".git/objects")).unwrap();
    }),
    ("each loose object is a link", |at, secret| {
        name_it(at, secret);
        for file in Secret::files(&secret.git_dir().join("objects")) {
            let to = at.join(".git/objects").join(&file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let _ = symlink(secret.git_dir().join("objects").join(&file), to);
        }
    }),
    ("each folder of loose objects is a link", |at, secret| {
        name_it(at, secret);
        let _ = fs::remove_dir_all(at.join(".git/objects"));
        fs::create_dir(at.join(".git/objects")).unwrap();
        for entry in fs::read_dir(secret.git_dir().join("objects")).unwrap().flatten() {
            symlink(entry.path(), at.join(".git/objects").join(entry.file_name())).unwrap();
        }
    }),
    ("packs are links", |at, secret| {
        name_it(at, secret);
        fs::create_dir_all(at.join(".git/objects/pack")).unwrap();
        for entry in fs::read_dir(secret.packed.join("objects/pack")).unwrap().flatten() {
            symlink(entry.path(), at.join(".git/objects/pack").join(entry.file_name())).unwrap();
        }
    }),
    ("the folder of packs is a link", |at, secret| {
        name_it(at, secret);
        let _ = fs::remove_dir_all(at.join(".git/objects/pack"));
        symlink(secret.packed.join("objects/pack"), at.join(".git/objects/pack")).unwrap();
    }),
    ("alternates", |at, secret| {
        name_it(at, secret);
        alternates(at, &secret.git_dir().join("objects").display().to_string());
    }),
    ("alternates, relative", |at, secret| {
        name_it(at, secret);
        alternates(at, "../../../../secret/.git/objects");
    }),
    ("alternates of a store within", |at, secret| {
        name_it(at, secret);
        let inner = at.join(".git/inner");
        fs::create_dir_all(inner.join("info")).unwrap();
        fs::write(inner.join("info/alternates"), format!("{}\n", secret.git_dir().join("objects").display())).unwrap();
        alternates(at, &inner.display().to_string());
    }),
    ("alternates is a link", |at, secret| {
        name_it(at, secret);
        let list = secret.loose.path.join("list");
        fs::write(&list, format!("{}\n", secret.git_dir().join("objects").display())).unwrap();
        fs::create_dir_all(at.join(".git/objects/info")).unwrap();
        symlink(list, at.join(".git/objects/info/alternates")).unwrap();
    }),
    ("refs and objects are links", |at, secret| {
        for part in ["refs", "objects"] {
            fs::remove_dir_all(at.join(".git").join(part)).unwrap();
            symlink(secret.git_dir().join(part), at.join(".git").join(part)).unwrap();
        }
    }),
];

/// The stranger has heard of the secret's commit id.
fn name_it(at: &Path, secret: &Secret) {
    fs::write(at.join(".git/refs/heads/x"), format!("{}\n", secret.commit)).unwrap();
}

fn alternates(at: &Path, line: &str) {
    fs::create_dir_all(at.join(".git/objects/info")).unwrap();
    fs::write(at.join(".git/objects/info/alternates"), format!("{line}\n")).unwrap();
}

/// A world whose allowed folder is `open`, and the secret beside it.
struct Stage {
    world: World,
    secret: Arc<Secret>,
    policy: SourcePolicy,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new().await;
        let folder = world.temp.path().join("local");
        fs::create_dir_all(folder.join("open")).unwrap();
        let secret = Arc::new(Secret::new(&folder));
        let policy = SourcePolicy { allow_local: vec![folder.join("open")], ..SourcePolicy::default() };
        Self { world, secret, policy }
    }

    fn open(&self) -> PathBuf {
        self.policy.allow_local[0].clone()
    }

    fn stranger(&self, number: usize) -> (Repo, CommitId) {
        let repo = Repo::init(self.open().join(format!("r{number}")));
        let head = repo.write("a", "1\n").branch("x").commit("Good");
        (repo, head)
    }

    fn poller(&self) -> Poller {
        Poller::new(git(), self.policy.clone(), PollLimits::default()).unwrap()
    }

    fn admission(&self, source: SourceUrl, number: usize) -> Admission {
        Admission {
            source,
            branch: branch("x"),
            expected: None,
            name: name(&format!("b{number}")),
            revision: 1,
            limits: AdmissionLimits::default(),
        }
    }

    /// Neither the mirror nor anything that failed on the way has the secret.
    fn assert_not_hit(&self, way: &str) {
        let mut has = plain_git();
        has.arg("-C").arg(self.world.mirror.path()).args(["cat-file", "-e", self.secret.commit.as_str()]);
        assert!(!has.output().unwrap().status.success(), "{way}: the mirror has the secret");
        assert!(!self.world.refs().contains(self.secret.commit.as_str()), "{way}");
    }
}

#[tokio::test]
async fn what_leads_out_is_refused() {
    let stage = Stage::new().await;
    let poller = stage.poller();
    for (number, (way, lead_out)) in WAYS.iter().enumerate() {
        let (repo, head) = stage.stranger(number);
        let url = source(repo.path.to_str().unwrap(), &stage.policy);
        assert_eq!(poller.head(&url, &branch("x")).await.unwrap(), Head::At(head), "{way}");
        lead_out(&repo.path, &stage.secret);
        let refused = SourceUrl::check(&UncheckedUrl::new(repo.path.to_str().unwrap()), &stage.policy).unwrap_err();
        assert!(refused.code() == "url-local-not-allowed", "{way}: {refused}");
        assert!(!refused.to_string().contains("hunter2"), "{way}: {refused}");
        let error = poller.head(&url, &branch("x")).await.unwrap_err();
        assert!(error.code() == "url-local-not-allowed", "{way}: {error}");
        let error = stage.world.mirror.admit(&poller, &stage.admission(url, number)).await.unwrap_err();
        assert!(error.code() == "url-local-not-allowed", "{way}: {error}");
        stage.assert_not_hit(way);
    }
}

#[tokio::test]
async fn what_is_exchanged_between_the_check_and_the_fetch_leads_nowhere() {
    let stage = Stage::new().await;
    for (number, (way, lead_out)) in WAYS.iter().enumerate() {
        for is_look in [true, false] {
            let number = 2 * number + usize::from(is_look);
            let (repo, _) = stage.stranger(number);
            let url = source(repo.path.to_str().unwrap(), &stage.policy);
            let (at, secret) = (repo.path.clone(), stage.secret.clone());
            let lead_out = *lead_out;
            let done = std::sync::Once::new();
            let poller = stage.poller().calling_between(move || done.call_once(|| lead_out(&at, &secret)));
            if is_look {
                let said = poller.head(&url, &branch("x")).await;
                // The stranger's own file may name whatever id the stranger has heard of.
                let own = repo.path.join(".git/refs/heads/x").exists() && !repo.path.join(".git/refs").is_symlink();
                if let (Ok(Head::At(head)), false) = (&said, own) {
                    assert_ne!(*head, stage.secret.commit, "{way}: the secret's ref was read");
                }
            } else {
                let admitted = stage.world.mirror.admit(&poller, &stage.admission(url, number)).await;
                assert!(admitted.as_ref().is_ok_and(|it| *it != stage.secret.commit) || admitted.is_err(), "{way}");
            }
            stage.assert_not_hit(way);
        }
    }
}

#[tokio::test]
async fn what_takes_its_data_from_many_places_holds_few_of_them_open() {
    let stage = Stage::new().await;
    let (repo, _) = stage.stranger(0);
    let (elsewhere, many) = (stage.open().join("elsewhere"), repo.path.join(".git/objects/00"));
    for folder in [&elsewhere, &many] {
        fs::create_dir_all(folder).unwrap();
    }
    let taken = |n: usize| {
        fs::write(elsewhere.join(n.to_string()), "").unwrap();
        symlink(elsewhere.join(n.to_string()), many.join(n.to_string())).unwrap();
        SourceUrl::check(&UncheckedUrl::new(repo.path.to_str().unwrap()), &stage.policy)
    };
    let most = (0..1000).take_while(|n| taken(*n).is_ok()).count();
    assert!((20..100).contains(&most), "each is a file that the master holds open, and it held {most}");
}

#[tokio::test]
async fn configuration_includes_read_nothing_outside() {
    let stage = Stage::new().await;
    let poller = stage.poller();
    let (repo, _) = stage.stranger(0);
    let outside = stage.open().parent().unwrap().join("hunter2-is-in-here");
    fs::write(&outside, "hunter2 = [\n").unwrap();
    let config = repo.path.join(".git/config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}[include]\n\tpath = {}\n", outside.display())).unwrap();
    let url = source(repo.path.to_str().unwrap(), &stage.policy);
    let said = format!("{:?}", poller.head(&url, &branch("x")).await);
    assert!(said.contains("Permission denied") && !said.contains("bad config line 1"), "the file was read: {said}");
}

#[tokio::test]
async fn what_stays_within_is_read_also_where_it_is_spread() {
    let stage = Stage::new().await;
    let poller = stage.poller();
    let (repo, head) = stage.stranger(0);
    // Another work tree of it, and a clone that shares its objects.
    let tree = stage.open().join("tree");
    repo.git(&["worktree", "add", "-q", "-b", "y", tree.to_str().unwrap()]);
    let shared = stage.open().join("shared");
    let clone = plain_git().args(["clone", "-q", "--shared"]).arg(&repo.path).arg(&shared).status().unwrap();
    assert!(clone.success());
    for (number, path) in [tree, shared].iter().enumerate() {
        let url = source(path.to_str().unwrap(), &stage.policy);
        assert_eq!(poller.head(&url, &branch("x")).await.unwrap(), Head::At(head.clone()), "{}", path.display());
        let admitted = stage.world.mirror.admit(&poller, &stage.admission(url, number)).await.unwrap();
        assert_eq!(admitted, head);
    }
}

#[tokio::test]
async fn a_starred_folder_allows_the_repositories_in_it_and_nothing_deeper_or_hidden() {
    let stage = Stage::new().await;
    let open = stage.open();
    let policy = SourcePolicy { allow_local: vec![open.join("*")], ..SourcePolicy::default() };
    for path in ["r1", ".dotfiles", "r1/vendor/deep", "group/r2"] {
        Repo::init(open.join(path)).branch("x").commit("One");
    }
    let code = |path: &str| {
        let url = UncheckedUrl::new(open.join(path).to_str().unwrap());
        SourceUrl::check(&url, &policy).map_or_else(|refused| refused.code(), |_| "taken")
    };
    assert_eq!(code("r1"), "taken");
    for path in [".dotfiles", "r1/vendor/deep", "group/r2", "group", ""] {
        assert_eq!(code(path), "url-local-not-allowed", "{path}");
    }
    alternates(&open.join("r1"), &open.join(".dotfiles/.git/objects").display().to_string());
    assert_eq!(code("r1"), "url-local-not-allowed");
    let url = source(open.join("r1").to_str().unwrap(), &stage.policy);
    assert!(stage.poller().head(&url, &branch("x")).await.is_ok(), "the whole folder is allowed there");
}
