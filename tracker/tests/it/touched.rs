//! Random histories, with folders that are renamed, files that become folders, what lands and what is undone: whoever is not
//! met by what moved on mainline gets, made again, what he had.

use crate::support::{NEW_ENTRY, OLD_ENTRY, World};
use git2::{Oid, Repository, Signature, Time};
use protocol::CommitId;
use std::collections::{BTreeMap, BTreeSet};
use tracker::candidate::{CandidateOutcome, Touched};

/// So many histories are played; `BB_HISTORIES` says how many instead.
const HISTORIES: u64 = 10;
const BRANCHES: usize = 3;
const MOVES: usize = 5;

/// xorshift: the same at each run.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = dice.roll(2));
        dice
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one_of<'t, T>(&mut self, of: &'t [T]) -> Option<&'t T> {
        if of.is_empty() { None } else { of.get(self.roll(of.len())) }
    }
}

/// What a tree holds: paths and texts.
type Files = BTreeMap<String, String>;

const FOLDERS: [&str; 7] = ["", "d/", "e/", "d/s/", "d/s/t/", "f/", "g/h/"];

fn text(seed: usize) -> String {
    (0..12).map(|line| format!("line {line} of {}\n", if line % 3 == 0 { seed } else { seed % 4 })).collect()
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Puts a file there, whatever is in its way.
fn put(files: &mut Files, path: &str, text: String) {
    files.retain(|old, _| !is_below(old, path) && !is_below(path, old));
    files.insert(path.to_owned(), text);
}

fn edited(text: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = dice.roll(lines.len().max(1));
    match lines.get_mut(at) {
        Some(line) if dice.roll(4) > 0 => *line = format!("edited {}", dice.roll(1000)),
        _ => lines.insert(at.min(lines.len()), format!("inserted {}", dice.roll(1000))),
    }
    lines.join("\n") + "\n"
}

/// Changes something.
fn change(files: &mut Files, dice: &mut Dice) {
    let own = |path: &&String| !matches!(path.as_str(), "ChangeLog" | ".bb.toml");
    let paths: Vec<String> = files.keys().filter(own).cloned().collect();
    let somewhere = |dice: &mut Dice| {
        format!("{}{}", dice.one_of(&FOLDERS).unwrap(), dice.one_of(&["a", "b", "c", "m", "n", "s"]).unwrap())
    };
    let Some(path) = dice.one_of(&paths).cloned() else {
        return put(files, &somewhere(dice), text(dice.roll(20)));
    };
    match dice.roll(13) {
        0..=4 => {
            let new = edited(&files[&path], dice);
            files.insert(path, new);
        }
        5 | 6 => put(files, &somewhere(dice), text(dice.roll(20))),
        7 => drop(files.remove(&path)),
        8 | 9 => {
            let old = files.remove(&path).unwrap();
            let new = if dice.roll(2) == 0 { edited(&old, dice) } else { old };
            put(files, &somewhere(dice), new);
        }
        10 | 11 => {
            // A folder is renamed, or some of it goes elsewhere.
            let Some(end) = path.rfind('/') else { return };
            let (old, new) = (path[..end].to_owned(), *dice.one_of(&["d", "e", "d/s", "f", "k", "k/l"]).unwrap());
            if old == new || is_below(new, &old) {
                return;
            }
            let all = dice.roll(3) > 0;
            let inside: Vec<String> = files.keys().filter(|it| is_below(it, &old)).cloned().collect();
            for it in inside {
                if all || dice.roll(2) == 0 {
                    let text = files.remove(&it).unwrap();
                    put(files, &format!("{new}{}", &it[old.len()..]), text);
                }
            }
        }
        _ => {
            // A file becomes a folder.
            let text = files.remove(&path).unwrap();
            put(files, &format!("{path}/{}", ["a", "z"][dice.roll(2)]), text);
        }
    }
}

/// Writes into the mirror as it is on the disk: what admits is tested elsewhere.
struct Writer {
    repository: Repository,
    when: i64,
}

impl Writer {
    fn commit(&mut self, files: &Files, parents: &[&CommitId]) -> CommitId {
        let mut index = git2::Index::new().unwrap();
        for (path, text) in files {
            let id = self.repository.blob(text.as_bytes()).unwrap();
            let time = git2::IndexTime::new(0, 0);
            let entry = git2::IndexEntry {
                ctime: time,
                mtime: time,
                dev: 0,
                ino: 0,
                mode: 0o100_644,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path: path.as_bytes().to_vec(),
            };
            index.add(&entry).unwrap();
        }
        let tree = self.repository.find_tree(index.write_tree_to(&self.repository).unwrap()).unwrap();
        self.when += 1;
        let by = Signature::new("Ann", "ann@example.org", &Time::new(self.when, 0)).unwrap();
        let parents: Vec<_> = parents.iter().map(|it| self.repository.find_commit(id(it)).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        let made = self.repository.commit(None, &by, &by, "Change", &tree, &parents).unwrap();
        made.to_string().parse().unwrap()
    }

    fn files(&self, commit: &CommitId) -> Files {
        let tree = self.repository.find_commit(id(commit)).unwrap().tree().unwrap();
        let mut files = Files::new();
        let walk = tree.walk(git2::TreeWalkMode::PreOrder, |root, entry| {
            if let Ok(blob) = self.repository.find_blob(entry.id()) {
                let path = format!("{root}{}", entry.name().unwrap());
                files.insert(path, String::from_utf8(blob.content().to_vec()).unwrap());
            }
            git2::TreeWalkResult::Ok
        });
        walk.unwrap();
        files
    }
}

fn id(commit: &CommitId) -> Oid {
    commit.as_str().parse().unwrap()
}

/// What matters of an outcome: its kind, and what it changes on the mainline that it stands on, or where it conflicts.
fn essence(outcome: &CandidateOutcome, writer: &Writer, mainline: &CommitId) -> (String, BTreeSet<String>) {
    match outcome {
        CandidateOutcome::Made(made) => {
            let (before, after) = (writer.files(mainline), writer.files(&made.commit));
            let paths: BTreeSet<&String> = before.keys().chain(after.keys()).filter(|it| *it != "ChangeLog").collect();
            let changed = paths.into_iter().filter(|it| before.get(*it) != after.get(*it));
            let line = |it: &String| format!("{it}: {:?} → {:?}", before.get(it), after.get(it));
            ("made".to_owned(), changed.map(line).collect())
        }
        CandidateOutcome::Conflict { files, .. } => {
            // A file in the way of a folder is called after the commit that it is of.
            let plain = |path: &str| path.split('~').next().unwrap_or_default().to_owned();
            ("conflict".to_owned(), files.iter().map(|file| plain(&file.path)).collect())
        }
        CandidateOutcome::Refused(it) => (it.code.clone(), BTreeSet::new()),
        CandidateOutcome::MainlineTrouble(it) => (format!("mainline: {}", it.code), BTreeSet::new()),
    }
}

struct Branch {
    head: CommitId,
    outcome: CandidateOutcome,
    touched: Touched,
    /// The mainline that it was made on.
    on: CommitId,
}

async fn make(world: &World, head: &CommitId, on: &CommitId) -> (CandidateOutcome, Touched) {
    let mut request = world.request("ann", head);
    request.mainline = on.clone();
    world.mirror.candidate_and_touched(&request).await.unwrap()
}

/// Plays one history; how many were spared, and how many made again.
async fn play(world: &World, writer: &mut Writer, seed: u64) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let mut files =
        Files::from([("ChangeLog".to_owned(), OLD_ENTRY.to_owned()), (".bb.toml".to_owned(), String::new())]);
    for n in 0..14 {
        let folder = FOLDERS[dice.roll(FOLDERS.len())];
        put(&mut files, &format!("{folder}{}", ["a", "b", "c", "m", "n"][dice.roll(5)]), text(n));
    }
    let root = writer.commit(&files, &[]);
    let mut tip = root.clone();
    for _ in 0..dice.roll(3) {
        change(&mut files, &mut dice);
        tip = writer.commit(&files, &[&tip]);
    }
    let mut branches: Vec<Branch> = Vec::new();
    for n in 0..BRANCHES {
        // Some stand on another branch.
        let start = if n > 0 && dice.roll(4) == 0 { branches[n - 1].head.clone() } else { root.clone() };
        let mut own = writer.files(&start);
        let mut head = start;
        for _ in 0..=dice.roll(2) {
            (0..=dice.roll(2)).for_each(|_| change(&mut own, &mut dice));
            if dice.roll(2) == 0 {
                own.insert(format!("changelog-fragments/{n}.ChangeLog"), NEW_ENTRY.to_owned());
            }
            head = writer.commit(&own, &[&head]);
        }
        let (outcome, touched) = make(world, &head, &tip).await;
        branches.push(Branch { head, outcome, touched, on: tip.clone() });
    }
    let (mut spared, mut again) = (0, 0);
    for step in 0..MOVES {
        let new = next_mainline(world, writer, &mut dice, &tip, &branches).await;
        let moved = world.mirror.what_moved((&tip, &new), [None, None], jiff::civil::date(2024, 3, 6)).await.unwrap();
        for (n, branch) in branches.iter_mut().enumerate() {
            let (outcome, touched) = make(world, &branch.head, &new).await;
            if branch.touched.is_met_by(&moved) {
                again += 1;
                (branch.outcome, branch.touched, branch.on) = (outcome, touched, new.clone());
                continue;
            }
            spared += 1;
            let before = essence(&branch.outcome, writer, &branch.on);
            let now = essence(&outcome, writer, &new);
            assert_eq!(
                before,
                now,
                "history {seed}, move {step} of mainline from {tip} to {new}, branch {n} at {} made on {}: it was spared (mirror {})",
                branch.head,
                branch.on,
                world.mirror.path().display()
            );
        }
        tip = new;
    }
    (spared, again)
}

/// Somebody's push, or a landing, whole or in part.
async fn next_mainline(
    world: &World,
    writer: &mut Writer,
    dice: &mut Dice,
    tip: &CommitId,
    branches: &[Branch],
) -> CommitId {
    let mut files = writer.files(tip);
    match dice.roll(6) {
        0 => {
            let branch = dice.one_of(branches).unwrap();
            match make(world, &branch.head, tip).await.0 {
                CandidateOutcome::Made(made) => made.commit,
                // Whatever came of it: mainline has the commit now, and nothing of what it brings.
                _ => writer.commit(&files, &[tip, &branch.head]),
            }
        }
        1 => {
            files.insert("ChangeLog".to_owned(), format!("{NEW_ENTRY}\n{}", files["ChangeLog"]));
            writer.commit(&files, &[tip])
        }
        _ => {
            (0..=dice.roll(3)).for_each(|_| change(&mut files, dice));
            writer.commit(&files, &[tip])
        }
    }
}

#[tokio::test]
async fn who_is_spared_would_get_the_same_again() {
    let world = World::new().await;
    let mut writer = Writer { repository: Repository::open(world.mirror.path()).unwrap(), when: 1_700_000_000 };
    let most = std::env::var("BB_HISTORIES").ok().and_then(|it| it.parse().ok()).unwrap_or(HISTORIES);
    let (mut spared, mut again) = (0, 0);
    for seed in 0..most {
        let (more_spared, more_again) = play(&world, &mut writer, seed).await;
        spared += more_spared;
        again += more_again;
    }
    assert!(spared * 4 > again && again * 4 > spared, "{spared} were spared, and {again} were made again");
}
