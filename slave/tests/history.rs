//! History and tags as a build's own git sees them: in bubblewrap and without, of a slave that is root and of a plain
//! user's. And what a build can do to the kept mirror.
#![allow(clippy::unwrap_used)]

mod support;

use protocol::BuildResult::Success;
use protocol::wire::Assignment;
use recipe::History;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::files::MIRROR;
use support::*;
use tempfile::TempDir;
use testkit::git::Repo;
use tracker::checkout::WorkMirror;
use tracker::git::Git;

/// A slave in a process of its own, whose mirror has three commits and two tags.
struct Stage {
    master: Master,
    basedir: TempDir,
    mirror: PathBuf,
    head: String,
    _official: TempDir,
    _slave: process::Slave,
}

impl Stage {
    async fn new(isolation: &str, as_root: bool) -> Self {
        let (master, basedir, official) = (Master::start().await, basedir(), tempfile::tempdir().unwrap());
        let repo = Repo::init(official.path().join("official"));
        repo.commit(&[("Makefile", "all:\n")], "First");
        repo.git(&["tag", "-a", "-m", "The first", "v1.0"]);
        repo.commit(&[("a.c", "1\n"), ("lib/b.c", "1\n")], "Second");
        repo.git(&["tag", "light"]);
        let head = repo.commit(&[("a.c", "2\n")], "Third");
        let mirror = basedir.path().join("mirrors/demo.git");
        WorkMirror::open_or_create(Git::find_to_fetch(None).unwrap(), &mirror).await.unwrap();
        let into = Repo::at(&mirror);
        let url = repo.path().to_str().unwrap().to_owned();
        let names = ["+refs/tags/*:refs/tags/*", "+refs/heads/*:refs/remotes/origin/*"];
        into.git(&["-c", "fetch.unpackLimit=1", "fetch", "-q", &url, names[0], names[1]]);
        // The program itself may lie where only root can reach it.
        let program = basedir.path().join("slave-under-test");
        std::fs::copy(env!("CARGO_BIN_EXE_slave-under-test"), &program).unwrap();
        let program = program.to_str().unwrap().to_owned();
        let mut words = vec![program.as_str()];
        if is_root() && !as_root {
            let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(basedir.path()).status();
            assert!(owned.unwrap().success());
            words.splice(0..0, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        let toml = format!("master = \"{}\"\nname = \"testling\"\nisolation = \"{isolation}\"\n", master.url());
        let _slave = process::Slave::start_by(&words, basedir.path(), &toml);
        Self { master, basedir, mirror, head, _official: official, _slave }
    }

    /// What the steps of a build printed.
    async fn builds(&self, n: i64, history: History, text: &str) -> String {
        let mut assignment: Assignment = assignment(n, vec![sh("look", text)]);
        assignment.commit = self.head.parse().unwrap();
        assignment.builder.history = history;
        assignment.env.push((MIRROR.to_owned(), self.mirror.to_str().unwrap().to_owned()));
        self.master.give(assignment);
        let seen = self.master.finished(build(n)).await;
        assert_eq!(result(&seen).0, Success, "{:?}: {}{}", result(&seen), seen.log(0), seen.log(1));
        seen.log(1)
    }

    /// Every file of the mirror, with what is in it.
    fn mirror(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn all(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    all(&path, found);
                } else {
                    found.insert(path.clone(), std::fs::read(&path).unwrap());
                }
            }
        }
        let mut found = BTreeMap::new();
        all(&self.mirror, &mut found);
        assert!(found.len() > 5, "{:?} in {}", found.keys(), self.basedir.path().display());
        found
    }
}

const LOOK: &str = "git describe --long | sed s/-g.*//; git describe --tags --long | sed s/-g.*//
git rev-list --count HEAD; git log --format=%s; git rev-parse --is-shallow-repository
git status --porcelain; git diff HEAD; git tag -l; git show HEAD~1:lib/b.c; git log -1 --format=%s origin/main";

const SEEN: &str = "v1.0-2\nlight-1\n3\nThird\nSecond\nFirst\nfalse\nlight\nv1.0\n1\nThird\n";

/// Every way to write what the build reads its history from, and what a housekeeping git does by itself.
const WRITE: &str = r#"at=$(cat .git/objects/info/alternates)
for file in "$at"/pack/* "$at"/info/x "$at"/x "$at"/pack/x; do
    chmod u+w "$file" 2>/dev/null || true
    if (echo x >"$file") 2>/dev/null; then echo "written: $file"; fi
    if rm -f "$file" 2>/dev/null && test -e "$at/pack/$(basename "$file")"; then echo "kept"; fi
    if ln "$file" here 2>/dev/null && (chmod u+w here && echo x >here) 2>/dev/null; then echo "written by a link: $file"; fi
    if mv "$file" moved 2>/dev/null; then echo "moved: $file"; fi
done
chmod 777 "$at" "$at/pack" 2>/dev/null || true
if mkdir "$at/new" 2>/dev/null; then echo "made: $at/new"; fi
git config user.name A; git config user.email a@example.org; git commit -q --allow-empty -m Mine; git tag -f v1.0
git gc -q --prune=now; git repack -adq; git prune --expire=now; git fsck --no-dangling 2>&1
printf '#!/bin/sh\ntouch /tmp/ran\n' >program; chmod +x program; mkdir -p .git/hooks
for hook in post-checkout post-index-change reference-transaction; do cp program .git/hooks/$hook; done
git config core.fsmonitor "$PWD/program"; git config core.pager "$PWD/program"
touch .git/index.lock .git/HEAD.lock; rm -rf .git/objects; ln -s "$at" .git/objects"#;

async fn told(isolation: &str, as_root: bool) {
    let stage = Stage::new(isolation, as_root).await;
    assert_eq!(stage.builds(1, History::Full, LOOK).await, SEEN, "{isolation}, root: {as_root}");
    // Without a sandbox and a user of its own a build can write what its slave can.
    if isolation == "bubblewrap" || as_root {
        let before = stage.mirror();
        let said = stage.builds(2, History::Full, WRITE).await;
        assert!(!said.contains("written") && !said.contains("moved") && !said.contains("made"), "{said}");
        assert_eq!(stage.mirror(), before, "{isolation}, root: {as_root}");
        assert_eq!(stage.builds(3, History::Full, LOOK).await, SEEN, "{isolation}, root: {as_root}");
    }
    let part = "git rev-list --count HEAD; git tag -l; git status --porcelain; git rev-parse --is-shallow-repository";
    let two = History::Commits(2.try_into().unwrap());
    assert_eq!(stage.builds(4, two, part).await, "2\nlight\ntrue\n", "{isolation}, root: {as_root}");
}

#[tokio::test]
async fn in_bubblewrap() {
    told("bubblewrap", true).await;
}

#[tokio::test]
async fn without_a_sandbox() {
    told("none", true).await;
}

#[tokio::test]
async fn in_bubblewrap_of_a_plain_user() {
    told("bubblewrap", false).await;
}

#[tokio::test]
async fn without_a_sandbox_of_a_plain_user() {
    told("none", false).await;
}
